//! An API server for the benchmark: it answers lists page by page and keeps watches open, over TLS and HTTP/2 as a real one
//! does, with as many databases and OpsRequests as are wished. A real one would take minutes to fill, and its work would stand
//! beside what is measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, thread};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use dbscale_core::catalog::{Catalog, DATABASE_GROUP, Engine, OPS_GROUP};
use dbscale_serve::Certificate;
use dbscale_serve::certificate::{Files, unix_now_s};
use futures::{StreamExt as _, stream};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_rustls::TlsAcceptor;

use super::name;
use super::reviews::{self, NAMESPACE};

/// Events that a watch may be behind.
const BEHIND: usize = 1 << 14;

/// What stands for the name of a database in a template.
const NAME: &str = "@@";

/// How many objects there are, all MongoDB's.
#[derive(Clone, Copy)]
pub struct Filled {
    /// Databases.
    pub databases: usize,
    /// Active OpsRequests, one a database.
    pub operations: usize,
}

/// An API server that runs until this process ends.
pub struct Api {
    /// How to reach it.
    pub kubeconfig: PathBuf,
    ends: broadcast::Sender<Bytes>,
}

struct Shown {
    filled: Filled,
    database: String,
    operation: String,
    ends: broadcast::Sender<Bytes>,
}

impl Api {
    /// Starts one with the certificate and key of `folder`, signed by `authority` (PEM).
    pub fn start(folder: &Path, authority: &str, filled: Filled) -> Result<Self> {
        let pair = Files::new(folder.join("tls.crt"), folder.join("tls.key")).read(unix_now_s())?;
        let mut tls = Certificate::new(pair.context("no certificate")?).server_config()?;
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let tls = TlsAcceptor::from(Arc::new(tls));
        let mut database = reviews::database(NAME);
        database["metadata"]["managedFields"] = reviews::managed(7_500);
        let operation = reviews::ops_request(&format!("{NAME}-ops"), NAME, 5);
        let (ends, _) = broadcast::channel(BEHIND);
        let (database, operation) = (database.to_string(), operation.to_string());
        let shown = Arc::new(Shown { filled, database, operation, ends: ends.clone() });
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(answer).with_state(shown);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            if let Err(error) = runtime.block_on(serve(listener, tls, router)) {
                eprintln!("the API server of the benchmark ended: {error}");
            }
        });
        Ok(Self { kubeconfig: kubeconfig(folder, authority, address)?, ends })
    }

    /// Tells that the OpsRequest `ask` of each of these databases is gone.
    pub fn end(&self, databases: impl Iterator<Item = String>) {
        for database in databases {
            let event = json!({"type": "DELETED", "object": reviews::ops_request("ask", &database, 5)});
            // Where nobody watches, nobody has to be told.
            let _ = self.ends.send(Bytes::from(format!("{event}\n")));
        }
    }
}

async fn serve(listener: std::net::TcpListener, tls: TlsAcceptor, router: Router) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (tls, router) = (tls.clone(), TowerToHyperService::new(router.clone()));
        tokio::spawn(async move {
            // A client that goes away in the middle is the end of its connection, and of nothing else.
            let Ok(stream) = tls.accept(stream).await else { return };
            let http = http2::Builder::new(TokioExecutor::new());
            let _ = http.serve_connection(TokioIo::new(stream), router).await;
        });
    }
}

fn kubeconfig(folder: &Path, authority: &str, address: SocketAddr) -> Result<PathBuf> {
    let trusted = folder.join("ca.crt");
    fs::write(&trusted, authority)?;
    let path = folder.join(format!("{}.kubeconfig", address.port()));
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {"server": format!("https://{address}"), "certificate-authority": trusted}}],
        "users": [{"name": "bench", "user": {"token": "bench"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench", "namespace": NAMESPACE}}]});
    fs::write(&path, config.to_string())?;
    Ok(path)
}

async fn answer(State(shown): State<Arc<Shown>>, uri: Uri) -> Response {
    let query: Vec<(&str, &str)> =
        uri.query().unwrap_or_default().split('&').filter_map(|q| q.split_once('=')).collect();
    let value = |name: &str| query.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let way: Vec<&str> = uri.path().split('/').skip(1).collect();
    match way.as_slice() {
        ["apis", group, version] => json_of(resources(group, version).to_string()),
        // Nothing is registered for the webhook.
        ["apis", "admissionregistration.k8s.io", ..] | [] => not_found(),
        [.., plural] if value("watch").is_some() => watch(&shown, plural),
        [.., "mongodbs", name] => shown.one(name),
        [.., plural] => {
            let number = |name: &str| value(name).and_then(|text| text.parse().ok());
            json_of(shown.list(plural, number("continue").unwrap_or(0), number("limit").unwrap_or(usize::MAX)))
        }
    }
}

/// The resources of a group: all that the catalog knows.
fn resources(group: &str, version: &str) -> Value {
    let engines = Catalog::builtin().engines();
    let plurals: Vec<String> = match group {
        DATABASE_GROUP => {
            engines.filter(|e| e.versions.iter().any(|v| v == version)).map(|e| e.plural.clone()).collect()
        }
        OPS_GROUP => engines.map(Engine::ops_plural).collect(),
        _ => Vec::new(),
    };
    let resources: Vec<Value> = plurals.iter().map(|plural| json!({"name": plural, "namespaced": true})).collect();
    json!({"kind": "APIResourceList", "groupVersion": format!("{group}/{version}"), "resources": resources})
}

/// A watch that stays open; that of OpsRequests tells of those that end.
fn watch(shown: &Shown, plural: &str) -> Response {
    if plural != "mongodbopsrequests" {
        return body_of(Body::from_stream(stream::pending::<Result<Bytes, RecvError>>()));
    }
    let events = stream::unfold(shown.ends.subscribe(), |mut ends| async { Some((ends.recv().await, ends)) });
    // A client that is told of a closed watch takes it up again.
    body_of(Body::from_stream(events.take_while(|event| std::future::ready(event.is_ok()))))
}

impl Shown {
    fn one(&self, wanted: &str) -> Response {
        match (0..self.filled.databases).map(name).find(|name| name == wanted) {
            Some(name) => json_of(self.database.replace(NAME, &name)),
            None => not_found(),
        }
    }

    fn list(&self, plural: &str, from: usize, limit: usize) -> String {
        let (count, template) = match plural {
            "mongodbs" => (self.filled.databases, &self.database),
            "mongodbopsrequests" => (self.filled.operations, &self.operation),
            "storageclasses" => (1, &reviews::class().to_string()),
            _ => (0, &String::new()),
        };
        let to = count.min(from.saturating_add(limit));
        let items: Vec<String> = (from..to).map(|number| template.replace(NAME, &name(number))).collect();
        let next = if to < count { to.to_string() } else { String::new() };
        let metadata = json!({"resourceVersion": "7", "continue": next});
        format!(r#"{{"kind":"List","apiVersion":"v1","metadata":{metadata},"items":[{}]}}"#, items.join(","))
    }
}

fn not_found() -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
        "message": "not found", "details": {"name": "x"}});
    let mut response = json_of(status.to_string());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn json_of(text: String) -> Response {
    body_of(Body::from(text))
}

fn body_of(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

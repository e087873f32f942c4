//! The webhook under load while its certificates change and its replicas die. A few seconds each; `cargo xtask soak webhook` says
//! a minute, and prints what the tests print.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dbscale_core::catalog::Catalog;
use dbscale_core::policy;
use dbscale_e2e::databases::mongodb;
use dbscale_e2e::policies::Policies;
use dbscale_e2e::webhook::{Certificates, Webhook, register, wrong};
use dbscale_e2e::{World, playground};
use dbscale_testbed::balancer::Balancer;
use dbscale_testbed::client;
use http::Method;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;

/// How many ask at the same time, of each kind.
const CLIENTS: usize = 4;

/// How long the load lasts.
fn lasts() -> Duration {
    Duration::from_secs(std::env::var("DBSCALE_SOAK_S").map_or(8, |text| text.parse().unwrap()))
}

/// What came of the calls of a kind: how often each answer.
type Answers = Arc<Mutex<BTreeMap<(&'static str, String), usize>>>;

fn count(answers: &Answers, kind: &'static str, answer: String) {
    *answers.lock().unwrap().entry((kind, answer)).or_default() += 1;
}

fn counted(answers: &Answers) -> BTreeMap<(&'static str, String), usize> {
    answers.lock().unwrap().clone()
}

/// A call to the API server that is tried once, as nothing is to be hidden by a second try: `let in`, the rule that refuses, `not
/// judged` where the webhook did not answer, or else what was said. Nothing is written.
async fn call(client: &kube::Client, method: Method, path: &str, body: &Value) -> String {
    let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request =
        http::Request::builder().method(method).uri(format!("{path}?dryRun=All")).header("content-type", kind);
    let said = match client.request_text(request.body(body.to_string().into_bytes()).unwrap()).await {
        Ok(_) => return "let in".to_owned(),
        Err(error) => error.to_string(),
    };
    let rule = said.split_once('[').and_then(|(_, rest)| Some(rest.split_once(']')?.0));
    match rule {
        _ if said.contains("failed calling webhook") => "not judged".to_owned(),
        Some(rule) => rule.to_owned(),
        None => said,
    }
}

/// Asks again and again until told to stop.
async fn again<F: Future<Output = ()>>(stop: watch::Receiver<bool>, ask: impl Fn() -> F) {
    while !*stop.borrow() {
        ask().await;
    }
}

fn requests(world: &World) -> String {
    format!("/apis/ops.kubedb.com/v1alpha1/namespaces/{}/redisopsrequests", world.namespace)
}

/// One review over a connection of its own; the certificate that was served.
async fn handshake(connector: &TlsConnector, address: SocketAddr) -> std::io::Result<Vec<u8>> {
    let body =
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE"}}"#;
    let tcp = TcpStream::connect(address).await?;
    let mut tls = connector.connect(ServerName::try_from("localhost").unwrap(), tcp).await?;
    let certificate = tls.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    let length = body.len();
    let request = format!(
        "POST /validate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    tls.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    tls.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    if text.starts_with("HTTP/1.1 200") && text.contains(r#""allowed":true"#) {
        return Ok(certificate);
    }
    Err(std::io::Error::other(text.into_owned()))
}

fn connector(certificates: &Certificates) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(certificates.authority.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    TlsConnector::from(Arc::new(config.with_no_client_auth()))
}

/// A new certificate every second; each is read a second later at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_every_second_and_no_call_fails() {
    let world = World::unjudged("rotation");
    let certificates = Certificates::new(&world.namespace);
    let (webhook, address) = Webhook::with(&certificates, "127.0.0.1:0", &["--reread", "1"]);
    webhook.until_ready();
    let _registration = register(&world, address, &certificates);

    let (answers, served): (Answers, _) = (Answers::default(), Arc::new(Mutex::new(BTreeMap::new())));
    let (stop, stopped) = watch::channel(false);
    let (client, connector) = (client(&playground().join("kubeconfig")).await.unwrap(), connector(&certificates));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (stopped, stopped_too) = (stopped.clone(), stopped.clone());
        let ask = (client.clone(), answers.clone(), requests(&world));
        tasks.spawn(again(stopped, move || {
            let (client, answers, path) = ask.clone();
            async move { count(&answers, "through the API server", call(&client, Method::POST, &path, &wrong()).await) }
        }));
        let ask = (connector.clone(), answers.clone(), served.clone());
        tasks.spawn(again(stopped_too, move || {
            let (connector, answers, served) = ask.clone();
            async move {
                let answer = match handshake(&connector, address).await {
                    Ok(certificate) => {
                        *served.lock().unwrap().entry(certificate).or_insert(0) += 1;
                        "answered".to_owned()
                    }
                    Err(error) => error.to_string(),
                };
                count(&answers, "over a new connection", answer);
            }
        }));
    }
    let began = Instant::now();
    let mut made = 1;
    while began.elapsed() < lasts() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        certificates.renew();
        made += 1;
    }
    stop.send(true).unwrap();
    tasks.join_all().await;
    let (answers, served) = (counted(&answers), served.lock().unwrap().len());
    let kinds: Vec<_> = answers.keys().map(|(kind, answer)| (*kind, answer.as_str())).collect();
    assert_eq!(
        kinds,
        [("over a new connection", "answered"), ("through the API server", "database/missing")],
        "{answers:?}"
    );
    let numbers: Vec<usize> = answers.values().copied().collect();
    assert!(served * 2 > made, "of {made} certificates {served} were served");
    println!(
        "soak: {made} certificates, {served} served, in {:.0?}: {} reviews over new connections and {} through the API server, none failed",
        began.elapsed(),
        numbers[0],
        numbers[1]
    );
}

/// Two replicas behind one address, of which one is killed all the while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_die_and_nothing_is_let_in_unjudged() {
    let world = World::unjudged("replicas");
    let policies = Policies::install(&world, &policy::beside_webhook(Catalog::builtin().find("mongodb").unwrap()));
    policies.hold_in(&world, "enforce");
    let certificates = Certificates::new(&world.namespace);
    let mut replicas = [(); 2].map(|()| Webhook::with(&certificates, "127.0.0.1:0", &[]));
    for (replica, _) in &replicas {
        replica.until_ready();
    }
    let addresses: Vec<SocketAddr> = replicas.iter().map(|(_, address)| *address).collect();
    let balancer = Balancer::start(addresses).await.unwrap();
    let _registration = register(&world, balancer.address, &certificates);
    world.create(&mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");

    let databases = format!("/apis/kubedb.com/v1/namespaces/{}/mongodbs/db", world.namespace);
    let operations = format!("/apis/ops.kubedb.com/v1alpha1/namespaces/{}/mongodbopsrequests", world.namespace);
    let right = json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": {"name": "right"},
        "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "db"}, "horizontalScaling": {"replicas": 5}}});
    let shrink = json!({"spec": {"storage": {"resources": {"requests": {"storage": "10Gi"}}}}});
    let load = [
        ("wrong OpsRequest", Method::POST, requests(&world), wrong()),
        ("right OpsRequest", Method::POST, operations, right),
        ("shrink", Method::PATCH, databases.clone(), shrink),
        ("floor", Method::PATCH, databases, json!({"spec": {"replicas": 0}})),
    ];
    let client = client(&playground().join("kubeconfig")).await.unwrap();
    let began = Instant::now();
    while call(&client, load[2].1.clone(), &load[2].2, &load[2].3).await != "storage/no-shrink" {
        assert!(began.elapsed() < Duration::from_secs(60), "the policies do not hold");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answers = Answers::default();
    let (stop, stopped) = watch::channel(false);
    let mut tasks = tokio::task::JoinSet::new();
    for (kind, method, path, body) in load {
        for _ in 0..CLIENTS / 2 {
            let ask = (client.clone(), answers.clone(), method.clone(), path.clone(), body.clone());
            tasks.spawn(again(stopped.clone(), move || {
                let (client, answers, method, path, body) = ask.clone();
                async move { count(&answers, kind, call(&client, method, &path, &body).await) }
            }));
        }
    }
    let began = Instant::now();
    let mut killed = 0;
    while began.elapsed() < lasts() {
        let (replica, address) = &mut replicas[killed % 2];
        replica.kill();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let again = Webhook::with(&certificates, &address.to_string(), &[]).0;
        *replica = again;
        killed += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    stop.send(true).unwrap();
    tasks.join_all().await;
    let answers = counted(&answers);
    println!("soak: {killed} replicas killed in {:.0?}: {answers:?}", began.elapsed());
    for (kind, answer) in answers.keys() {
        let fine: &[&str] = match *kind {
            "wrong OpsRequest" => &["database/missing", "not judged"],
            "right OpsRequest" => &["let in", "not judged"],
            "shrink" => &["storage/no-shrink"],
            _ => &["replicas/minimum"],
        };
        assert!(fine.contains(&answer.as_str()), "a {kind} is answered with: {answer}");
    }
    let of = |kind: &'static str, answer: &str| answers.get(&(kind, answer.to_owned())).copied().unwrap_or(0);
    for (kind, answer) in [
        ("wrong OpsRequest", "database/missing"),
        ("right OpsRequest", "let in"),
        ("shrink", "storage/no-shrink"),
        ("floor", "replicas/minimum"),
    ] {
        assert!(of(kind, answer) > killed, "{kind} {answer}: {}", of(kind, answer));
    }
}

//! The running program among clients that mean it no good: connections that say nothing, and bodies that are no reviews. It goes on
//! answering, and its memory stays bounded.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use dbscale_e2e::World;
use dbscale_e2e::webhook::{Certificates, Webhook};
use rstest::rstest;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

/// Connections that say nothing.
const IDLE: usize = 1_000;

/// How much the program may have in memory in the end, in KiB. As it is shipped it takes a few MiB; this one is built for tests, and
/// has held [`IDLE`] connections and bodies of 7 MiB.
const MOST_KIB: u64 = 128 << 10;

const PATIENCE: Duration = Duration::from_secs(30);

struct Served {
    _world: World,
    certificates: Certificates,
    webhook: Webhook,
    address: SocketAddr,
}

impl Served {
    fn start(name: &str) -> Self {
        let world = World::unjudged(name);
        let certificates = Certificates::new(&world.namespace);
        let (webhook, address) = Webhook::with(&certificates, "127.0.0.1:0", &[]);
        webhook.until_ready();
        Self { _world: world, certificates, webhook, address }
    }

    fn tcp(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).unwrap();
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp
    }

    fn tls(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificates.authority.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(config.with_no_client_auth()), name).unwrap();
        StreamOwned::new(client, self.tcp())
    }

    /// Posts a body; the code and the body of the answer.
    fn post(&self, body: &[u8]) -> (u16, String) {
        self.announce(body.len(), body)
    }

    /// Announces so many bytes and sends these.
    fn announce(&self, length: usize, body: &[u8]) -> (u16, String) {
        let mut tls = self.tls();
        let head = "POST /validate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: ";
        write!(tls, "{head}{length}\r\n\r\n").and_then(|()| tls.write_all(body)).unwrap();
        let mut answer = Vec::new();
        tls.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8(answer).unwrap();
        let code = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        (code, text.split_once("\r\n\r\n").unwrap_or_default().1.to_owned())
    }

    /// A review that is right, and what is wrong in it is told.
    fn answers(&self) {
        let (code, said) = self.post(review().to_string().as_bytes());
        let answer: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((code, &answer["response"]["uid"]), (200, &json!("u-1")));
        let causes = answer["response"]["status"]["details"]["causes"].as_array().unwrap();
        let rules: Vec<&Value> = causes.iter().map(|cause| &cause["reason"]).collect();
        assert_eq!(rules, ["database/missing", "replicas/minimum"]);
    }

    /// What it has in memory; nothing where that is not told as on Linux.
    fn resident_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.webhook.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    fn is_well(&self) {
        self.answers();
        assert_eq!(self.webhook.probe("/readyz").0, 200);
        if let Some(kib) = self.resident_kib() {
            println!("{kib} KiB resident");
            assert!(kib < MOST_KIB, "{kib} KiB are resident");
        }
    }
}

fn review() -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u-1", "operation": "CREATE", "name": "ask", "namespace": "nowhere", "userInfo": {"username": "ann"},
        "kind": {"group": "ops.kubedb.com", "version": "v1alpha1", "kind": "MongoDBOpsRequest"},
        "resource": {"group": "ops.kubedb.com", "version": "v1alpha1", "resource": "mongodbopsrequests"},
        "object": {"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": {"name": "ask"},
            "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "db"}, "horizontalScaling": {"replicas": 0}}}}})
}

#[rstest]
#[case::that_say_nothing("")]
#[case::that_begin_a_handshake("\u{16}\u{3}\u{1}")]
#[case::that_speak_without_tls("GET / HTTP/1.1\r\n")]
fn a_thousand_connections_keep_nobody_out(#[case] begin: &str) {
    let served = Served::start("idle");
    let held: Vec<TcpStream> = (0..IDLE)
        .map(|_| {
            let mut tcp = served.tcp();
            tcp.write_all(begin.as_bytes()).unwrap();
            tcp
        })
        .collect();
    served.is_well();
    // Each is closed from the other side.
    for mut tcp in held {
        let closed = tcp.read_to_end(&mut Vec::new());
        assert!(closed.is_ok() || closed.is_err_and(|e| e.kind() == ErrorKind::ConnectionReset));
    }
    served.is_well();
}

fn with(at: &str, value: Value) -> Vec<u8> {
    let mut review = review();
    *review.pointer_mut(at).unwrap() = value;
    review.to_string().into_bytes()
}

/// A review whose object holds this text.
fn around(text: &str) -> Vec<u8> {
    with("/request/object/spec", json!("HERE"))
        .escape_ascii()
        .to_string()
        .replace("\\\"", "\"")
        .replace("\"HERE\"", text)
        .into_bytes()
}

#[test]
fn what_is_no_review_is_told_and_what_is_one_is_answered() {
    let served = Served::start("hostile");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let text = review().to_string();
    let twice = text.replacen("\"request\":", "\"request\":{\"uid\":\"u-0\"},\"request\":", 1);
    let keys = |times: usize| format!("{{{}}}", vec!["\"type\":\"Restart\""; times].join(","));
    let long = format!("{{\"type\":\"{}\"}}", "x".repeat(6 << 20));
    let mut update = review();
    update["request"]["operation"] = json!("UPDATE");
    // (what, the body, the code, a word of the answer)
    let bodies: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("nothing", Vec::new(), 400, "no AdmissionReview"),
        ("garbage", vec![0xff; 10_000], 400, "no AdmissionReview"),
        ("truncated", text[..text.len() / 2].into(), 400, "no AdmissionReview"),
        ("an old version", with("/apiVersion", json!("admission.k8s.io/v1beta1")), 400, "v1beta1"),
        ("another kind", with("/kind", json!("ConversionReview")), 400, "ConversionReview"),
        ("no object", with("/request/object", Value::Null), 400, "no request.object"),
        ("no old object", update.to_string().into_bytes(), 400, "no request.oldObject"),
        ("10,000 levels", around(&deep), 400, "recursion limit"),
        ("a million values", around(&format!("[{}0]", "0,".repeat(1_000_000))), 400, "more values"),
        ("a text of 6 MiB", around(&long), 200, "\"uid\":\"u-1\""),
        ("a key 200,000 times", around(&keys(200_000)), 400, "more values"),
        ("a key 1,000 times", around(&keys(1_000)), 200, "\"uid\":\"u-1\""),
        ("two requests", twice.into_bytes(), 200, "\"uid\":\"u-1\""),
        ("a kind that is not KubeDB's", with("/request/kind/kind", json!("Widget")), 200, "\"allowed\":true"),
        ("a deletion", with("/request/operation", json!("DELETE")), 200, "\"allowed\":true"),
    ];
    for round in 0..3 {
        for (what, body, code, says) in &bodies {
            let (answered, said) = served.post(body);
            let start = &said[..said.len().min(300)];
            assert_eq!(answered, *code, "{what}, round {round}: {start}");
            assert!(said.contains(says), "{what}: {start}");
        }
    }
    // One that announces too much is told so before it sends anything; one that sends less than it announced, when it is time.
    let (code, said) = served.announce(8 << 20, b"");
    assert!(code == 413 && said.contains("longer than"), "{code}: {said}");
    let (code, said) = served.announce(1_000, b"{");
    assert!(code == 408 && said.contains("did not arrive"), "{code}: {said}");
    served.is_well();
}

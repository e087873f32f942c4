//! The accept loop over real sockets: limits, drain, and certificates that change under open connections.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use dbscale_serve::certificate::{Pair, unix_now_s};
use dbscale_serve::{Certificate, Limits, Stop, serve};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than anything here takes; shorter than a person's patience.
const PATIENCE: Duration = Duration::from_secs(20);

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for localhost whose common name is `name`.
    fn pair(&self, name: &str) -> Pair {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        let key = key.serialize_pem();
        Pair::of_pem(certificate.as_bytes(), key.as_bytes(), ["tls.crt", "tls.key"], unix_now_s()).unwrap()
    }

    fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }
}

struct World {
    address: SocketAddr,
    authority: Authority,
    certificate: Arc<Certificate>,
    stop: Stop,
    /// Lets `/slow` answer.
    go: Arc<Notify>,
    /// Told when `/slow` has been asked.
    asked: Arc<Notify>,
    server: JoinHandle<usize>,
}

impl World {
    async fn new(limits: Limits) -> Self {
        let authority = Authority::new();
        let certificate = Certificate::new(authority.pair("first"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (go, asked, stop) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Stop::default());
        let (wait, tell) = (Arc::clone(&go), Arc::clone(&asked));
        let slow = move || async move {
            tell.notify_one();
            wait.notified().await;
            "slow"
        };
        let router = Router::new().route("/", get(|| async { "hello" })).route("/slow", get(slow));
        let tls = Arc::new(certificate.server_config().unwrap());
        let server = tokio::spawn(serve(listener, Some(tls), router, limits, stop.clone()));
        Self { address, authority, certificate, stop, go, asked, server }
    }

    async fn connect(&self) -> BufReader<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        BufReader::new(self.authority.connector().connect(name, tcp).await.unwrap())
    }

    async fn until_asked(&self) {
        tokio::time::timeout(PATIENCE, self.asked.notified()).await.expect("/slow is asked in time");
    }
}

/// Sends a request; answers its status line, its headers and its body.
async fn ask(connection: &mut BufReader<TlsStream<TcpStream>>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    answer(connection).await
}

async fn answer(connection: &mut BufReader<TlsStream<TcpStream>>) -> String {
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, connection.read_line(&mut line)).await.unwrap().unwrap();
        assert_ne!(read, 0, "the connection ended after: {text}");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.unwrap();
    text + &String::from_utf8(body).unwrap()
}

fn common_name(connection: &BufReader<TlsStream<TcpStream>>) -> Vec<CertificateDer<'static>> {
    connection.get_ref().get_ref().1.peer_certificates().unwrap().to_vec()
}

/// Waits until the other side closes; what it still sends does not matter.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    // Cut without a farewell is closed too.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("closed in time");
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_leaves_the_open_ones_alone() {
    let world = World::new(Limits::default()).await;
    let mut before = world.connect().await;
    assert!(ask(&mut before, "/").await.ends_with("hello"));
    world.certificate.replace(world.authority.pair("second"));
    let mut after = world.connect().await;
    assert_ne!(common_name(&before), common_name(&after));
    assert!(ask(&mut before, "/").await.ends_with("hello"));
    assert!(ask(&mut after, "/").await.ends_with("hello"));
}

#[tokio::test]
async fn silent_clients_are_closed_in_every_state() {
    let short = Duration::from_millis(100);
    let limits = Limits { handshake: short, first_request: short, idle: short, ..Limits::default() };
    let world = World::new(limits).await;
    let mut no_handshake = TcpStream::connect(world.address).await.unwrap();
    let mut garbage = TcpStream::connect(world.address).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut no_request = world.connect().await;
    let mut half_request = world.connect().await;
    half_request.write_all(b"GET / HT").await.unwrap();
    let mut idle = world.connect().await;
    assert!(ask(&mut idle, "/").await.ends_with("hello"));
    closed(&mut no_handshake).await;
    closed(&mut garbage).await;
    closed(&mut no_request).await;
    closed(&mut half_request).await;
    closed(&mut idle).await;
}

#[tokio::test]
async fn a_request_under_way_is_not_idle() {
    let short = Duration::from_millis(300);
    let world = World::new(Limits { first_request: short, idle: short, ..Limits::default() }).await;
    let mut one = world.connect().await;
    one.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    world.until_asked().await;
    let mut two = world.connect().await;
    closed(&mut two).await; // so a whole idle time is over
    world.go.notify_one();
    assert!(answer(&mut one).await.ends_with("slow"));
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_a_place() {
    let world = World::new(Limits { connections: 1, ..Limits::default() }).await;
    let mut first = world.connect().await;
    assert!(ask(&mut first, "/").await.ends_with("hello"));
    let second = world.connect();
    tokio::pin!(second);
    tokio::select! {
        biased;
        _ = &mut second => panic!("there is one place only"),
        _ = ask(&mut first, "/") => {}
    }
    drop(first);
    let mut second = tokio::time::timeout(PATIENCE, second).await.unwrap();
    assert!(ask(&mut second, "/").await.ends_with("hello"));
}

#[tokio::test]
async fn the_stop_closes_idle_connections_and_lets_requests_end() {
    let world = World::new(Limits::default()).await;
    let mut slow = world.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    world.until_asked().await;
    let mut told = world.connect().await;
    let mut idle = world.connect().await;
    assert!(!ask(&mut idle, "/").await.contains("connection: close"));
    world.stop.announced.cancel();
    assert!(ask(&mut told, "/").await.contains("connection: close"));
    closed(&mut told).await;
    world.stop.now.cancel();
    closed(&mut idle).await;
    assert!(!world.server.is_finished());
    world.go.notify_one();
    assert!(answer(&mut slow).await.ends_with("slow"));
    assert_eq!(tokio::time::timeout(PATIENCE, world.server).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn the_drain_has_an_end() {
    let world = World::new(Limits { drain: Duration::from_millis(50), ..Limits::default() }).await;
    let mut slow = world.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    world.until_asked().await;
    world.stop.now.cancel();
    closed(&mut slow).await;
    assert_eq!(tokio::time::timeout(PATIENCE, world.server).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_thousand_half_open_connections_do_not_keep_others_out() {
    let world = World::new(Limits { connections: 2000, ..Limits::default() }).await;
    let mut silent = Vec::new();
    for number in 0..1000 {
        let mut tcp = TcpStream::connect(world.address).await.unwrap();
        if number % 2 == 0 {
            tcp.write_all(&[22, 3, 1]).await.unwrap(); // the first bytes of a handshake
        }
        silent.push(tcp);
    }
    let mut one = world.connect().await;
    assert!(ask(&mut one, "/").await.ends_with("hello"));
}

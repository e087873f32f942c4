use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use http::{Response, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::CertifiedKey;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::*;

/// How many requests are under way at the same time.
const MANY: usize = 50;

/// A server over TLS. A request for `/apis/many` is answered once [`MANY`] are there.
struct Server {
    client: kube::Client,
    renewal: Renewal,
    seen: Arc<Seen>,
    /// Ends all that it does for its connections; none is closed.
    freeze: AbortHandle,
}

/// What a server has seen.
#[derive(Default)]
struct Seen {
    /// A second handle of each connection, which keeps it open.
    connections: Mutex<Vec<StdStream>>,
    versions: Mutex<Vec<Version>>,
}

fn config(address: SocketAddr, root: Vec<u8>) -> Config {
    let mut config = Config::new(format!("https://localhost:{}", address.port()).parse().unwrap());
    config.root_cert = Some(vec![root]);
    config
}

async fn server(protocols: &[&str]) -> Server {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions().unwrap();
    let mut tls = tls.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    tls.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(listener.local_addr().unwrap(), cert.der().to_vec());
    let (client, renewal) = client(config).unwrap();
    let seen = Arc::<Seen>::default();
    let freeze = tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(tls)), seen.clone())).abort_handle();
    Server { client, renewal, seen, freeze }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, seen: Arc<Seen>) {
    let barrier = Arc::new(Barrier::new(MANY));
    let mut open = JoinSet::new();
    loop {
        let stream = listener.accept().await.unwrap().0.into_std().unwrap();
        seen.connections.lock().unwrap().push(stream.try_clone().unwrap());
        let stream = TcpStream::from_std(stream).unwrap();
        let (tls, barrier, seen) = (tls.clone(), barrier.clone(), seen.clone());
        open.spawn(async move {
            let stream = tls.accept(stream).await.unwrap();
            let answer = |request: Request<Incoming>| {
                let (barrier, seen) = (barrier.clone(), seen.clone());
                async move {
                    seen.versions.lock().unwrap().push(request.version());
                    if request.uri().path() == "/apis/many" {
                        barrier.wait().await;
                    }
                    Ok::<_, Infallible>(Response::new("{}".to_owned()))
                }
            };
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                let server = http2::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            } else {
                let server = http1::Builder::new();
                let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            }
        });
    }
}

impl Server {
    async fn ask(&self, path: &str) -> kube::Result<()> {
        self.client.send(Request::get(path).body(Body::empty()).unwrap()).await.map(drop)
    }

    async fn many(&self) {
        for answer in join_all((0..MANY).map(|_| self.ask("/apis/many"))).await {
            answer.unwrap();
        }
    }
}

#[tokio::test]
async fn all_that_is_asked_at_the_same_time_goes_over_one_connection() {
    let server = server(&["h2", "http/1.1"]).await;
    server.ask("/apis/first").await.unwrap();
    server.many().await;
    assert_eq!(server.seen.connections.lock().unwrap().len(), 1);
    assert_eq!(*server.seen.versions.lock().unwrap(), vec![Version::HTTP_2; MANY + 1]);
}

#[tokio::test]
async fn what_is_asked_after_a_renewal_goes_over_another_connection() {
    let server = server(&["h2"]).await;
    for _ in 0..2 {
        server.ask("/apis/first").await.unwrap();
    }
    server.renewal.renew();
    for _ in 0..2 {
        server.ask("/apis/first").await.unwrap();
    }
    assert_eq!(server.seen.connections.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn who_knows_http_1_alone_is_spoken_to_so() {
    let server = server(&["http/1.1"]).await;
    server.many().await;
    assert_eq!(server.seen.connections.lock().unwrap().len(), MANY);
    assert_eq!(*server.seen.versions.lock().unwrap(), vec![Version::HTTP_11; MANY]);
}

#[tokio::test]
async fn a_connection_whose_other_end_has_gone_without_a_word_is_given_up() {
    let server = server(&["h2"]).await;
    server.ask("/apis/first").await.unwrap();
    server.freeze.abort();
    // From here on time passes only where nothing else is to be done.
    tokio::time::pause();
    let began = Instant::now();
    let lost = server.ask("/apis/first").await.unwrap_err();
    let took = began.elapsed();
    assert!(took <= PING_EVERY + PING_WITHIN + Duration::from_secs(1), "{took:?}: {lost:?}");
}

//! The load: reviews over HTTP/1.1 and TLS, as an API server sends them, on connections that stay open or on new ones.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use rustls::client::Resumption;
use rustls::crypto::ring::{self, cipher_suite, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client that takes the certificates of one authority.
pub struct Client {
    tls: TlsConnector,
}

type Connection = TlsStream<TcpStream>;

impl Client {
    /// A client that trusts `authority` (PEM). It asks for what an API server's own client asks first, and never resumes.
    pub fn new(authority: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
        let mut provider = ring::default_provider();
        provider.cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
        provider.kx_groups = vec![kx_group::X25519];
        let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Opens connections to `server`.
    pub async fn connect(&self, server: SocketAddr, connections: usize) -> Result<Vec<Connection>> {
        try_join_all((0..connections).map(|_| self.open(server))).await
    }

    async fn open(&self, server: SocketAddr) -> Result<Connection> {
        let tcp = TcpStream::connect(server).await?;
        tcp.set_nodelay(true)?;
        Ok(self.tls.connect(ServerName::try_from("localhost")?, tcp).await?)
    }

    /// Sends each request on a connection of its own, some at once.
    pub async fn send_on_new(&self, server: SocketAddr, requests: &[Vec<u8>], at_once: usize) -> Result<()> {
        let dealt = dealt(requests, at_once);
        awake(try_join_all(dealt.into_iter().map(|own| self.each_on_new(server, own)))).await
    }

    async fn each_on_new(&self, server: SocketAddr, requests: Vec<&Vec<u8>>) -> Result<()> {
        for request in requests {
            exchange(&mut self.open(server).await?, request, &mut Vec::new()).await?;
        }
        Ok(())
    }

    /// Sends one request, and answers what comes back.
    pub async fn ask(&self, server: SocketAddr, request: &[u8]) -> Result<String> {
        let mut answer = Vec::new();
        exchange(&mut self.open(server).await?, request, &mut answer).await?;
        Ok(String::from_utf8(answer)?)
    }
}

/// Sends the requests over connections that stay open, one at a time on each; each has to be let in without a word.
pub async fn send(connections: &mut [Connection], requests: &[Vec<u8>]) -> Result<()> {
    let dealt = dealt(requests, connections.len());
    awake(try_join_all(connections.iter_mut().zip(dealt).map(|(connection, own)| one_by_one(connection, own)))).await
}

/// Waits for all, and never sleeps meanwhile: who answers a client that sleeps wakes it, and the kernel would count that as
/// the server's. A server that is slower than the client would pay for it, and one that is faster would not.
async fn awake<T>(all: impl Future<Output = Result<T>>) -> Result<()> {
    let restless = async {
        loop {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = all => done.map(drop),
        () = restless => Ok(()),
    }
}

async fn one_by_one(connection: &mut Connection, requests: Vec<&Vec<u8>>) -> Result<()> {
    let mut answer = Vec::new();
    for request in requests {
        exchange(connection, request, &mut answer).await?;
        let text = String::from_utf8_lossy(&answer);
        ensure!(text.contains(r#""allowed":true"#) && !text.contains("warnings"), "not simply let in: {text}");
    }
    Ok(())
}

/// Deals requests out, as evenly as may be.
fn dealt(requests: &[Vec<u8>], hands: usize) -> Vec<Vec<&Vec<u8>>> {
    (0..hands).map(|hand| requests.iter().skip(hand).step_by(hands).collect()).collect()
}

/// A review as a request of HTTP/1.1.
pub fn request(review: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /validate?timeout=5s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: kube-apiserver-admission\r\nContent-Length: {}\r\n\
         Accept: application/json, */*\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
        review.len()
    );
    [head.as_bytes(), review].concat()
}

/// Sends a request and reads its answer, whose body is left in `answer`.
async fn exchange(connection: &mut Connection, request: &[u8], answer: &mut Vec<u8>) -> Result<()> {
    connection.write_all(request).await?;
    connection.flush().await?;
    answer.clear();
    loop {
        ensure!(connection.read_buf(answer).await? > 0, "the connection was closed before the answer");
        let Some(body) = answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4) else { continue };
        let head = std::str::from_utf8(answer.get(..body).unwrap_or_default())?.to_ascii_lowercase();
        if !head.starts_with("http/1.1 200 ") {
            bail!("refused: {}", String::from_utf8_lossy(answer));
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let end = body + length.context("an answer without its length")?;
        if answer.len() >= end {
            answer.drain(..body);
            return Ok(());
        }
    }
}

//! A line between a program and an API server, which can be made bad while it is in use.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::{World, playground};

/// How good the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// All goes through.
    Good,
    /// Each piece comes so much later.
    Slow(Duration),
    /// Nothing goes through, and nobody is told. What was sent meanwhile comes when the line is good again.
    Silent,
    /// All connections are broken, and new ones are too.
    Cut,
}

/// A line to one server.
pub struct Line {
    /// Where it begins.
    pub address: SocketAddr,
    quality: watch::Sender<Quality>,
    connections: Arc<AtomicUsize>,
}

impl Line {
    /// A good line to the playground's API server.
    ///
    /// # Panics
    /// Where the playground has no kubeconfig that can be read.
    pub async fn to_playground() -> Self {
        let file = playgrounds_kubeconfig();
        let server = file["clusters"][0]["cluster"]["server"].as_str().expect("it names a server").to_owned();
        Self::to(server.trim_start_matches("https://")).await
    }

    /// A good line to `server`, as `127.0.0.1:6443`.
    ///
    /// # Panics
    /// Where no port is free.
    pub async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (quality, seen) = watch::channel(Quality::Good);
        let connections = Arc::new(AtomicUsize::new(0));
        let (server, count) = (server.to_owned(), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry(client, server.clone(), seen.clone()));
            }
        });
        Self { address, quality, connections }
    }

    /// A kubeconfig for a world's cluster that leads over this line; the path of its file.
    ///
    /// # Panics
    /// Where the playground's own cannot be read.
    pub fn kubeconfig(&self, world: &World) -> String {
        let mut file = playgrounds_kubeconfig();
        file["clusters"][0]["cluster"]["server"] = Value::from(format!("https://{}", self.address));
        world.write("kubeconfig-line", &file.to_string())
    }

    /// Makes the line so, also for the connections that there are.
    pub fn make(&self, quality: Quality) {
        self.quality.send_replace(quality);
    }

    /// How many connections were asked for since the beginning.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn playgrounds_kubeconfig() -> Value {
    let text = std::fs::read_to_string(playground().join("kubeconfig")).expect("the playground has one");
    serde_json::from_str(&text).expect("it is JSON")
}

async fn carry(client: TcpStream, server: String, mut quality: watch::Receiver<Quality>) {
    let (up, down) = (quality.clone(), quality.clone());
    let both = async {
        let Ok(server) = TcpStream::connect(server).await else { return };
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::select! { () = pass(from_client, to_server, up) => {}, () = pass(from_server, to_client, down) => {} }
    };
    // Looked at first, so that nothing is carried where the line is cut already.
    tokio::select! { biased; _ = quality.wait_for(|q| *q == Quality::Cut) => {}, () = both => {} }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut quality: watch::Receiver<Quality>) {
    let mut buffer = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let Ok(now) = quality.wait_for(|q| *q != Quality::Silent).await.map(|q| *q) else { return };
        if let Quality::Slow(by) = now {
            tokio::time::sleep(by).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

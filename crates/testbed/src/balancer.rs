//! One address for several servers, as a Service is to its pods.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Passes each connection on to the next server that takes it, until it is dropped. It knows nothing of what is said.
#[derive(Debug)]
pub struct Balancer {
    /// Where it listens.
    pub address: SocketAddr,
    servers: Arc<Mutex<Vec<SocketAddr>>>,
    task: JoinHandle<()>,
}

impl Balancer {
    /// Listens on loopback.
    ///
    /// # Errors
    /// Where nothing can be listened on.
    pub async fn start(servers: Vec<SocketAddr>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port is free")?;
        let address = listener.local_addr()?;
        let (servers, next) = (Arc::new(Mutex::new(servers)), AtomicUsize::new(0));
        let present = Arc::clone(&servers);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let servers = present.lock().unwrap_or_else(PoisonError::into_inner).clone();
                tokio::spawn(pass(client, servers, next.fetch_add(1, Ordering::Relaxed)));
            }
        });
        Ok(Self { address, servers, task })
    }

    /// Passes new connections to these servers from now on, as when others have become ready.
    pub fn route(&self, servers: Vec<SocketAddr>) {
        *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Passes a connection on, until either side ends it; without a server it ends at once.
async fn pass(mut client: TcpStream, servers: Vec<SocketAddr>, first: usize) {
    for n in 0..servers.len() {
        if let Ok(mut server) = TcpStream::connect(servers[(first + n) % servers.len()]).await {
            // How it ended is for the two sides to tell.
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A server that says its name to everybody.
    async fn named(name: &'static str) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                client.write_all(name.as_bytes()).await.unwrap();
            }
        });
        (address, task)
    }

    async fn said(address: SocketAddr) -> String {
        let mut text = String::new();
        TcpStream::connect(address).await.unwrap().read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn connections_take_turns_and_pass_by_a_server_that_is_gone() {
        let ((one, first), (two, _second)) = (named("one").await, named("two").await);
        let balancer = Balancer::start(vec![one]).await.unwrap();
        assert_eq!(said(balancer.address).await, "one");
        balancer.route(vec![two, one]);
        let turns = [said(balancer.address).await, said(balancer.address).await, said(balancer.address).await];
        assert_eq!(turns, ["one", "two", "one"]);
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert_eq!([said(balancer.address).await, said(balancer.address).await], ["two", "two"]);
    }
}

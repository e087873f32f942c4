//! A server that is measured: a process, what it has had of the processors, and what it holds in memory.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A process that ends when this is dropped.
pub struct Server {
    child: Child,
    /// Where it answers reviews.
    pub address: SocketAddr,
}

/// An address of this machine that is free.
pub fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// What a server without TLS answers to a GET, with its headers.
pub async fn plain(address: SocketAddr, path: &str) -> Result<String> {
    let mut connection = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}

impl Server {
    /// Starts a program that will answer at `address`, with its log in a file.
    pub fn start(command: &mut Command, address: SocketAddr, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("could not write {}", log.display()))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn();
        Ok(Self { child: child.with_context(|| format!("could not start {command:?}"))?, address })
    }

    /// What all its threads have had of the processors, in user and kernel mode.
    pub fn cpu(&self) -> Result<Duration> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread that ends between the two is not there any more.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let first = text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok());
            sum += first.context("the kernel does not tell what a thread has had of the processors")?;
        }
        Ok(Duration::from_nanos(sum))
    }

    /// What it holds in memory, in MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u32 = line.and_then(|l| l.trim().strip_suffix(" kB")?.trim().parse().ok()).context("no VmRSS")?;
        Ok(f64::from(kib) / 1024.0)
    }

    /// Fails where it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("a server that is measured ended with {status}"),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! The controller with its own account ([`crate::shipped`]), as a process that is started again when it ends, as a kubelet
//! would.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// The pause before it is started again.
const AGAIN: Duration = Duration::from_secs(1);

/// A controller that runs until it is dropped.
#[derive(Debug)]
pub struct Controller {
    /// Where it serves probes and metrics.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Controller {
    /// Starts `program` with the account of `kubeconfig`, and again whenever it ends.
    ///
    /// # Errors
    /// Where it cannot be started, or its log not be written.
    pub fn start(program: &Path, kubeconfig: &Path, arguments: &[String], log: &Path) -> Result<Self> {
        let address = free_address()?;
        let mut child = spawn(program, kubeconfig, address, arguments, log)?;
        let (program, kubeconfig) = (program.to_owned(), kubeconfig.to_owned());
        let (arguments, log) = (arguments.to_vec(), log.to_owned());
        let task = tokio::spawn(async move {
            loop {
                let ended = child.wait().await;
                tracing::info!(?ended, "the controller ended; it is started again");
                tokio::time::sleep(AGAIN).await;
                match spawn(&program, &kubeconfig, address, &arguments, &log) {
                    Ok(next) => child = next,
                    Err(error) => tracing::warn!(%error, "the controller was not started again"),
                }
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.task.abort(); // its process is killed with it
    }
}

/// Starts one process of the controller; it is killed when it is dropped.
///
/// # Errors
/// Where it cannot be started, or its log not be written.
pub fn spawn(
    program: &Path,
    kubeconfig: &Path,
    address: SocketAddr,
    arguments: &[String],
    log: &Path,
) -> Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    Command::new(program)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .arg(format!("--metrics-address={address}"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("could not start {}", program.display()))
}

/// An address on loopback that nobody listens on.
///
/// # Errors
/// Where there is none.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

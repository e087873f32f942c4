//! The controller as it is shipped: its definitions and its role from `manifests/`, its own account by a token, and a
//! process that is started again when it ends, as a kubelet would.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::{ControlPlane, assets};

/// What is installed, in this order.
const MANIFESTS: [&str; 3] = ["crds/scalingrecords.yaml", "base/namespace.yaml", "base/controller/rbac.yaml"];

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

/// Installs the controller's definitions and its role; answers a kubeconfig with a token of its account.
///
/// # Errors
/// What kubectl says.
pub async fn install(plane: &ControlPlane) -> Result<PathBuf> {
    for manifest in MANIFESTS {
        let file = assets::workspace().join("manifests").join(manifest);
        kubectl(plane, &["create", "-f", &file.display().to_string()]).await?;
    }
    kubectl(plane, &["wait", "--for=condition=Established", "crd/scalingrecords.dbscale.dev", "--timeout=60s"]).await?;
    let token = ["create", "token", "dbscale-controller", "--namespace=dbscale-system", "--duration=24h"];
    let token = kubectl(plane, &token).await?;
    let mut kubeconfig: Value = serde_json::from_slice(&fs::read(plane.kubeconfig())?)?;
    kubeconfig["users"][0]["user"] = json!({"token": token.trim()});
    let path = plane.folder().join("controller.kubeconfig");
    fs::write(&path, kubeconfig.to_string())?;
    Ok(path)
}

async fn kubectl(plane: &ControlPlane, arguments: &[&str]) -> Result<String> {
    let output = Command::new(plane.assets().join("kubectl"))
        .args(arguments)
        .env("KUBECONFIG", plane.kubeconfig())
        .stdin(Stdio::null())
        .output()
        .await
        .context("could not run kubectl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {}: {}", arguments.join(" "), said.trim());
    Ok(String::from_utf8(output.stdout)?)
}

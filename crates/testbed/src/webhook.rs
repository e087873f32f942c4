//! The webhook as it is shipped ([`crate::shipped`]): the Deployment's own arguments, its own account, and a process in place
//! of the pods, which nobody runs here.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::Client;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::shipped::NAMESPACE;
use crate::{ControlPlane, assets, client, shipped};

const NAME: &str = "dbscale-webhook";
const CONFIGURATION: &str = "dbscale";

/// How long it may take until the API server asks the webhook.
const ASKED_WITHIN: Duration = Duration::from_secs(60);

/// How often it is looked whether somebody has applied the manifests again.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A webhook that is asked, until it is dropped.
#[derive(Debug)]
pub struct Webhook {
    _child: Child,
    redirecting: JoinHandle<()>,
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.redirecting.abort();
    }
}

impl Webhook {
    /// Starts `program` with its log in `log`, and returns when the API server asks it. What is
    /// shipped has to be installed.
    ///
    /// # Errors
    /// What kubectl says, or that the webhook does not become ready; the message shows its log.
    pub async fn start(plane: &ControlPlane, program: &Path, log: &Path) -> Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let redirection = Redirection::to(plane, &format!("https://127.0.0.1:{}/validate", listen.port()))?;
        redirection.apply().await?;
        let kubeconfig = shipped::account(plane, NAME).await?;
        let file = File::create(log)?;
        let mut child = Command::new(program)
            .args(shipped::arguments(plane, NAMESPACE, NAME).await?)
            .arg(format!("--listen={listen}"))
            .args(["--probes=127.0.0.1:0", "--notice=0"])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("could not start {}", program.display()))?;
        let client = client(&plane.kubeconfig()).await?;
        let began = Instant::now();
        while !is_asked(&client).await? {
            if child.try_wait()?.is_some() || began.elapsed() > ASKED_WITHIN {
                bail!("the webhook is not asked:\n{}", fs::read_to_string(log).unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Self { _child: child, redirecting: tokio::spawn(redirection.keep(client)) })
    }
}

/// Has the API server call an address in place of the Service, behind which no pod answers here. The only thing that is not as it
/// is shipped. It is applied as whoever installs dbscale applies the manifests, so that they may do so again.
struct Redirection {
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    file: PathBuf,
}

impl Redirection {
    fn to(plane: &ControlPlane, url: &str) -> Result<Self> {
        let shipped = assets::workspace().join("manifests/base/webhook-configuration.yaml");
        let mut configuration: Value = serde_saphyr::from_str(&fs::read_to_string(shipped)?)?;
        for entry in configuration["webhooks"].as_array_mut().context("the configuration has no entries")? {
            entry["clientConfig"] = json!({"url": url});
        }
        let file = plane.folder().join("webhook-configuration.json");
        fs::write(&file, configuration.to_string())?;
        Ok(Self { kubectl: plane.assets().join("kubectl"), kubeconfig: plane.kubeconfig(), file })
    }

    async fn apply(&self) -> Result<()> {
        let file = self.file.display().to_string();
        let arguments = ["apply", "--server-side", "--validate=strict", "-f", &file];
        shipped::kubectl_with(&self.kubectl, &self.kubeconfig, &arguments).await?;
        Ok(())
    }

    /// Does so again whenever the Service is what is asked.
    async fn keep(self, client: Client) {
        let path = format!("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{CONFIGURATION}");
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // While there is no configuration, or no API server, there is nothing to be done.
            let Ok(request) = http::Request::get(&path).body(Vec::new()) else { return };
            let Ok(now) = client.request::<Value>(request).await else { continue };
            let mut entries = now["webhooks"].as_array().into_iter().flatten();
            if entries.any(|entry| entry["clientConfig"].get("service").is_some())
                && let Err(error) = self.apply().await
            {
                tracing::warn!(%error, "the API server asks the Service, behind which nobody is; trying again");
            }
        }
    }
}

/// Whether an OpsRequest that is wrong for sure is refused by the webhook.
async fn is_asked(client: &Client) -> Result<bool> {
    let wrong = json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "RedisOpsRequest",
        "metadata": {"name": "is-it-asked"}, "spec": {"type": "Restart", "databaseRef": {"name": "nobody"}}});
    let path = "/apis/ops.kubedb.com/v1alpha1/namespaces/default/redisopsrequests?dryRun=All";
    let request = http::Request::post(path).header("content-type", "application/json");
    let answer = client.request_text(request.body(wrong.to_string().into_bytes())?).await;
    Ok(answer.is_err_and(|error| error.to_string().contains("[database/missing]")))
}

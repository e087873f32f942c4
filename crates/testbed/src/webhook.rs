//! The webhook as it is shipped ([`crate::shipped`]): the Deployment's own arguments, its own account, and a process in place
//! of the pods, which nobody runs here.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::Client;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::shipped::{NAMESPACE, kubectl};
use crate::{ControlPlane, client, shipped};

const NAME: &str = "dbscale-webhook";
const CONFIGURATION: &str = "dbscale";

/// How long it may take until the API server asks the webhook.
const ASKED_WITHIN: Duration = Duration::from_secs(60);

/// A webhook that is asked, until it is dropped.
#[derive(Debug)]
pub struct Webhook {
    _child: Child,
}

impl Webhook {
    /// Starts `program` with its log in `log`, and returns when the API server asks it. What is
    /// shipped has to be installed.
    ///
    /// # Errors
    /// What kubectl says, or that the webhook does not become ready; the message shows its log.
    pub async fn start(plane: &ControlPlane, program: &Path, log: &Path) -> Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        redirect(plane, &format!("https://127.0.0.1:{}/validate", listen.port())).await?;
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
        Ok(Self { _child: child })
    }
}

/// Has the API server call `url` in place of the Service, behind which no pod answers here. The only thing that is not as it
/// is shipped.
async fn redirect(plane: &ControlPlane, url: &str) -> Result<()> {
    let entry = |index: usize| json!({"op": "replace", "path": format!("/webhooks/{index}/clientConfig"), "value": {"url": url}});
    let patch = json!([entry(0), entry(1), entry(2)]).to_string();
    kubectl(plane, &["patch", "validatingwebhookconfiguration", CONFIGURATION, "--type=json", "-p", &patch]).await?;
    Ok(())
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

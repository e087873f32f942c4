//! The chart on a real API server by the words of the docs: installed, upgraded, and away again. Helm is taken from `HELM` or the
//! PATH; without it that is said.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::{Child, Command};

use super::upgrade::{left, repository, until_ready, webhook};
use super::{Plane, patience};

const CONFIGURATION: &str = "validatingwebhookconfiguration/dbscale";

/// What the docs say to do with Helm, where they say it: the line with these words, without `helm` itself.
fn told(page: &str, words: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join("docs").join(page)).unwrap().replace("\\\n", " ");
    let at = text.find(&format!("helm {words}")).unwrap();
    let line = text[at..].split(['\n', '`']).next().unwrap();
    line.split_whitespace().skip(1).map(str::to_owned).collect()
}

fn program() -> String {
    std::env::var("HELM").unwrap_or_else(|_| "helm".to_owned())
}

async fn helm(plane: &Plane, arguments: &[String]) {
    let mut command = Command::new(program());
    command.args(arguments).current_dir(repository()).env("KUBECONFIG", plane.playground.plane.kubeconfig());
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What the webhook itself sets of each entry: the rules, and the authority of its certificate.
fn asked(configuration: &Value) -> Vec<(Value, Value)> {
    let entries = configuration["webhooks"].as_array().unwrap();
    entries.iter().map(|e| (e["rules"].clone(), e["clientConfig"]["caBundle"].clone())).collect()
}

async fn deployment(plane: &Plane) -> Value {
    let get = ["get", "deployment", "dbscale-webhook", "--namespace", "dbscale-system", "-o", "json"];
    serde_json::from_str(&plane.kubectl(&get).await).unwrap()
}

/// Waits until there is an answer.
async fn until<T>(look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < patience(), "kubectl does not tell of it");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What kubectl sees of a kind while it looks on.
struct Look {
    kubectl: Child,
    file: PathBuf,
}

impl Look {
    async fn at(plane: &Plane, kind: &str) -> Self {
        let file = plane.folder.path().join(format!("{kind}.events"));
        let all = ["get", kind, "--all-namespaces", "--watch", "--output-watch-events", "-o", "json"];
        let mut command = plane.command("kubectl", &all);
        let kubectl = command.stdout(File::create(&file).unwrap()).kill_on_drop(true).spawn().unwrap();
        let look = Self { kubectl, file };
        // It tells first of what is there.
        until(|| (!look.events().is_empty()).then_some(())).await;
        look
    }

    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        serde_json::Deserializer::from_str(&text).into_iter().map_while(Result::ok).collect()
    }

    /// When the first of a name was deleted, as the store counts.
    async fn deleted(mut self, name: &str) -> u64 {
        let when = until(|| {
            let all = self.events();
            let one = all.iter().find(|e| e["type"] == "DELETED" && e["object"]["metadata"]["name"] == name)?;
            one["object"]["metadata"]["resourceVersion"].as_str()?.parse().ok()
        });
        let when = when.await;
        self.kubectl.kill().await.unwrap();
        when
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_helm_it_is_installed_and_upgraded_and_taken_away_with_what_asks_the_webhook_first() {
    if Command::new(program()).arg("version").output().await.is_err() {
        println!("SKIPPED: there is no helm; name one with HELM");
        return;
    }
    let plane = Plane::without_dbscale(false).await;
    // Of what the docs say all but Prometheus' operator, which is not here.
    let mut install = told("install.md", "install dbscale");
    install.truncate(install.len() - 2);
    helm(&plane, &install).await;
    let image = deployment(&plane).await["spec"]["template"]["spec"]["containers"][0]["image"].to_string();
    assert!(image.starts_with("\"registry.example/dbscale-webhook:v"), "{image}");

    let (running, _) = webhook(&plane).await;
    let running = until_ready(running).await;
    let set = plane.until("validatingwebhookconfigurations", 1, |configuration| {
        asked(configuration).iter().all(|(rules, authority)| rules.is_array() && authority.is_string())
    });
    let before = asked(&set.await[0]);
    let mut upgrade = told("upgrading.md", "upgrade dbscale");
    upgrade.extend(["--reuse-values", "--set", "webhook.replicas=3"].map(str::to_owned));
    helm(&plane, &upgrade).await;
    assert_eq!(deployment(&plane).await["spec"]["replicas"], 3);
    assert_eq!(asked(&plane.get(CONFIGURATION).await), before, "what the webhook has set is as it was");

    let configurations = Look::at(&plane, "validatingwebhookconfigurations").await;
    let deployments = Look::at(&plane, "deployments").await;
    helm(&plane, &told("upgrading.md", "uninstall dbscale")).await;
    let configuration = configurations.deleted("dbscale").await;
    let deployment = deployments.deleted("dbscale-webhook").await;
    assert!(configuration < deployment, "{configuration} {deployment}");
    drop(running);
    let definitions = ["scalingpolicies.dbscale.dev", "scalingrecords.dbscale.dev"];
    // Helm made the namespace, and leaves it.
    assert_eq!(left(&plane).await, [&["dbscale-system"][..], &definitions].concat());
}

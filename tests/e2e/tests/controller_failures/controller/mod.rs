//! A control plane of a test's own, and what is asked of it.

mod clusters;
mod kills;
mod network;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use dbscale_e2e::{databases, playground};
use dbscale_testbed::controller::{free_address, spawn};
use dbscale_testbed::playground::Playground;
use dbscale_testbed::shipped;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// How long a condition may take to come true.
fn patience() -> Duration {
    Duration::from_secs(number("DBSCALE_PATIENCE_S", 180) as u64)
}

fn program() -> PathBuf {
    playground().join("bin/dbscale-controller")
}

/// A control plane with what starts controllers on it.
struct Plane {
    folder: tempfile::TempDir,
    playground: Playground,
    kubeconfig: PathBuf,
}

impl Plane {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let playground = Playground::start(&folder.path().join("plane"), true).await.unwrap();
        shipped::install(&playground.plane).await.unwrap();
        let kubeconfig = shipped::account(&playground.plane, "dbscale-controller").await.unwrap();
        Self { folder, playground, kubeconfig }
    }

    /// The controller's kubeconfig, for a server that is reached at another address.
    fn kubeconfig_for(&self, server: &str) -> PathBuf {
        let mut file: Value = serde_json::from_str(&std::fs::read_to_string(&self.kubeconfig).unwrap()).unwrap();
        file["clusters"][0]["cluster"]["server"] = json!(format!("https://{server}"));
        let path = self.folder.path().join(format!("{}.kubeconfig", server.replace(':', "-")));
        std::fs::write(&path, file.to_string()).unwrap();
        path
    }

    /// Starts a controller whose lease lasts three seconds.
    fn controller(&self, more: &[&str]) -> (Child, SocketAddr) {
        let address = free_address().unwrap();
        let mut arguments = vec!["--lease-seconds=3".to_owned()];
        arguments.extend(more.iter().map(|a| (*a).to_owned()));
        (spawn(&program(), &self.kubeconfig, address, &arguments, &self.log_file()).unwrap(), address)
    }

    async fn kubectl(&self, arguments: &[&str]) -> String {
        let output = Command::new(self.playground.plane.assets().join("kubectl"))
            .args(arguments)
            .env("KUBECONFIG", self.playground.plane.kubeconfig())
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn create(&self, items: Vec<Value>) {
        let file = self.folder.path().join("objects.json");
        std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).unwrap();
        self.kubectl(&["create", "--validate=false", "-f", &file.display().to_string()]).await;
    }

    async fn list(&self, kind: &str) -> Vec<Value> {
        let list: Value = serde_json::from_str(&self.kubectl(&["get", kind, "-o", "json"]).await).unwrap();
        list["items"].as_array().unwrap().clone()
    }

    /// Waits until all objects of a kind are as wanted; answers them.
    async fn until(&self, kind: &str, count: usize, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let all = self.list(kind).await;
            let so = all.iter().filter(|o| wanted(o)).count();
            if so == count && all.len() == count {
                return all;
            }
            let odd = all.iter().find(|o| !wanted(o)).map(|o| o["status"].to_string());
            assert!(began.elapsed() < patience(), "{so} of {count} {kind} are as wanted; one that is not: {odd:?}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Waits until one object of a kind is as wanted.
    async fn until_one(&self, kind: &str, wanted: impl Fn(&Value) -> bool) {
        let began = Instant::now();
        while !self.list(kind).await.iter().any(&wanted) {
            assert!(began.elapsed() < patience(), "none of the {kind} is as wanted");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("controller.log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap()
    }
}

fn database(index: usize) -> Value {
    let mut object = databases::mongodb();
    object["metadata"] = json!({"name": format!("db-{index}"), "namespace": "default",
        "annotations": {"testbed.dbscale.dev/no-pods": "true"}});
    object
}

/// A request of dbscale's own, which runs for up to so many seconds; of the first round every fifth fails and wants to go
/// back.
fn request(index: usize, round: usize, longest_s: usize) -> Value {
    let fails = index.is_multiple_of(5) && round == 0;
    let mut annotations = json!({"testbed.dbscale.dev/slow": format!("{}s", 1 + (index * 7 + round * 3) % longest_s)});
    if fails {
        annotations["testbed.dbscale.dev/fail"] = json!("no room");
        annotations["dbscale.dev/rollback"] = json!("on-failure");
        annotations["dbscale.dev/before"] = json!(r#"{"component": "replicaSet", "replicas": 3}"#);
    }
    json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
        "metadata": {"name": format!("db-{index}-scale-{round}"), "namespace": "default",
            "labels": {"app.kubernetes.io/managed-by": "dbscale"}, "annotations": annotations},
        "spec": {"type": "HorizontalScaling", "databaseRef": {"name": format!("db-{index}")},
            "horizontalScaling": {"replicas": 4 + round}}})
}

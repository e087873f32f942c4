//! A control plane of a test's own, and what is asked of it.

mod clusters;
mod ends;
mod helm;
mod install;
mod kills;
mod namespaced;
mod network;
mod upgrade;

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
        Self::start_with(true).await
    }

    async fn start_with(simulator: bool) -> Self {
        let mut plane = Self::without_dbscale(simulator).await;
        shipped::install(&plane.playground.plane).await.unwrap();
        plane.kubeconfig = shipped::account(&plane.playground.plane, "dbscale-controller").await.unwrap();
        plane
    }

    /// One on which nothing of dbscale is installed; its kubeconfig is an administrator's.
    async fn without_dbscale(simulator: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let playground = Playground::start(&folder.path().join("plane"), simulator).await.unwrap();
        let kubeconfig = playground.plane.kubeconfig();
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

    /// Starts a controller; its lease lasts three seconds unless it is told otherwise.
    fn controller(&self, more: &[&str]) -> (Child, SocketAddr) {
        let address = free_address().unwrap();
        let mut arguments: Vec<String> = more.iter().map(|a| (*a).to_owned()).collect();
        if !more.iter().any(|a| a.starts_with("--lease-seconds=")) {
            arguments.push("--lease-seconds=3".to_owned());
        }
        (spawn(&program(), &self.kubeconfig, address, &arguments, &self.log_file()).unwrap(), address)
    }

    async fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.command("kubectl", arguments).output().await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn create(&self, items: Vec<Value>) {
        let first = items[0]["metadata"]["name"].as_str().unwrap();
        let file = self.folder.path().join(format!("{first}.json"));
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

    /// Waits until one value of an object is as wanted.
    async fn until_at(&self, object: &str, pointer: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let now = self.get(object).await;
            if now.pointer(pointer).and_then(Value::as_str) == Some(wanted) {
                return;
            }
            assert!(began.elapsed() < patience(), "{pointer} of {object} is not {wanted}: {}", now["status"]);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// Waits until kubectl prints what is wanted.
    async fn until_says(&self, arguments: &[&str], wanted: &str) {
        let began = Instant::now();
        loop {
            let output = self.command("kubectl", arguments).output().await.unwrap();
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if said == wanted {
                return;
            }
            assert!(began.elapsed() < patience(), "{arguments:?} says '{said}', not '{wanted}'");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// What the plugin prints, whatever it thinks of it.
    async fn dbscale(&self, arguments: &[&str]) -> String {
        let output = self.command("kubectl-dbscale", arguments).output().await.unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// A program, as an administrator, that is not started yet.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(playground().join("bin").join(program));
        command.args(arguments).env("KUBECONFIG", self.playground.plane.kubeconfig()).stdin(Stdio::null());
        command
    }

    /// An object as it is.
    async fn get(&self, object: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", object, "-o", "json"]).await).unwrap()
    }

    /// What the record of a database remembers of an OpsRequest, as soon as it has ended so.
    async fn past(&self, database: &str, name: &str, outcome: &str) -> Value {
        let record = format!("scalingrecord/mongodb-{database}");
        let began = Instant::now();
        loop {
            let status = self.get(&record).await["status"].take();
            let past = status["history"].as_array().into_iter().flatten().find(|p| p["name"] == name);
            if let Some(past) = past.filter(|p| p["outcome"] == outcome) {
                return past.clone();
            }
            assert!(began.elapsed() < patience(), "{name} is not {outcome}: {status}");
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// The lines of the log of one name about one OpsRequest.
    fn lines(&self, event: &str, name: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["event"] == event && line["ops_request_name"] == name).collect()
    }

    /// Holds the log to one such line, with these fields among its own. The record is written first: it comes soon.
    async fn told(&self, event: &str, name: &str, fields: &Value) {
        let began = Instant::now();
        while self.lines(event, name).is_empty() {
            assert!(began.elapsed() < patience(), "{event} of {name} is not in the log");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let lines = self.lines(event, name);
        assert_eq!(lines.len(), 1, "{lines:?}");
        for (field, value) in fields.as_object().unwrap() {
            assert_eq!(&lines[0][field], value, "{field} of {}", lines[0]);
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("controller.log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap()
    }
}

impl Drop for Plane {
    /// A test that fails shows what its controllers said last; the log goes with the folder.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
            let skip = log.lines().count().saturating_sub(30);
            log.lines().skip(skip).for_each(|line| eprintln!("{line}"));
        }
    }
}

/// A database without pods, so that an operation costs nothing but its phases.
fn bare(name: &str) -> Value {
    let mut object = databases::mongodb();
    object["metadata"] =
        json!({"name": name, "namespace": "default", "annotations": {"testbed.dbscale.dev/no-pods": "true"}});
    object
}

fn database(index: usize) -> Value {
    bare(&format!("db-{index}"))
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

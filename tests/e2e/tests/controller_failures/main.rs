//! What the controller must bear: its leader killed at any moment, the API server gone for a while, a cluster that does not
//! answer. On a control plane of its own, for the others' tests need theirs.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

/// A module, so that the suite can choose these tests by the beginning of their names.
mod controller {
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

    const PATIENCE: Duration = Duration::from_secs(180);

    fn number(variable: &str, otherwise: usize) -> usize {
        std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
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

        /// Starts a controller whose lease lasts three seconds.
        fn controller(&self, more: &[&str]) -> (Child, SocketAddr) {
            let address = free_address().unwrap();
            let mut arguments = vec!["--lease-seconds=3".to_owned()];
            arguments.extend(more.iter().map(|a| (*a).to_owned()));
            let program = playground().join("bin/dbscale-controller");
            let log = self.folder.path().join("controller.log");
            (spawn(&program, &self.kubeconfig, address, &arguments, &log).unwrap(), address)
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
                assert!(began.elapsed() < PATIENCE, "{so} of {count} {kind} are as wanted; one that is not: {odd:?}");
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }

        fn log(&self) -> String {
            std::fs::read_to_string(self.folder.path().join("controller.log")).unwrap()
        }
    }

    fn database(index: usize) -> Value {
        let mut object = databases::mongodb();
        object["metadata"] = json!({"name": format!("db-{index}"), "namespace": "default",
            "annotations": {"testbed.dbscale.dev/no-pods": "true"}});
        object
    }

    /// A request of dbscale's own; every fifth fails and wants to go back.
    fn request(index: usize, round: usize) -> Value {
        let fails = index.is_multiple_of(5) && round == 0;
        let mut annotations = json!({"testbed.dbscale.dev/slow": format!("{}s", 1 + (index * 7 + round * 3) % 12)});
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_leader_that_is_killed_at_any_moment_loses_nothing_and_does_nothing_twice() {
        let (kills, count) = (number("DBSCALE_KILLS", 10), number("DBSCALE_DATABASES", 40));
        let plane = Plane::start().await;
        plane.create((0..count).map(database).collect()).await;
        plane.until("mongodbs", count, |o| o["status"]["phase"] == "Ready").await;
        let mut running = [plane.controller(&[]).0, plane.controller(&[]).0];
        // The first round runs while leaders die; those that fail go back, and no other request follows them.
        plane.create((0..count).map(|i| request(i, 0)).collect()).await;
        for kill in 0..kills {
            // Both die in turn, so that it is the leader often enough, at moments that differ from turn to turn.
            tokio::time::sleep(Duration::from_millis(700 + (kill as u64 * 977) % 2600)).await;
            running[kill % 2].kill().await.unwrap();
            running[kill % 2] = plane.controller(&[]).0;
        }
        let rolled_back = (0..count).filter(|i| i.is_multiple_of(5)).count();
        let settled = |o: &Value| {
            let history = o["status"]["history"].as_array().map(Vec::as_slice).unwrap_or_default();
            let number: usize = o["spec"]["databaseRef"]["name"].as_str().unwrap()[3..].parse().unwrap();
            let wanted = if number.is_multiple_of(5) { 2 } else { 1 };
            history.len() == wanted && o["status"]["phase"] == "Running" && o["status"].get("operations").is_none()
        };
        let records = plane.until("scalingrecords", count, settled).await;
        let outcomes = |outcome: &str| {
            let all = records.iter().flat_map(|r| r["status"]["history"].as_array().unwrap());
            all.filter(|p| p["outcome"] == outcome).count()
        };
        assert_eq!((outcomes("Failed"), outcomes("Successful")), (rolled_back, count));
        // One rollback for each failure, and nothing deleted: no database has more than three.
        assert_eq!(plane.list("mongodbopsrequests").await.len(), count + rolled_back);
        assert!(plane.log().matches("\"lease taken\"").count() > 1, "the leader changed");
        assert_eq!(plane.log().matches("ops_request_deleted").count(), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_cluster_that_does_not_answer_holds_up_no_other() {
        let plane = Plane::start().await;
        let mut dead: Value = serde_json::from_str(&std::fs::read_to_string(&plane.kubeconfig).unwrap()).unwrap();
        dead["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
        let path = plane.folder.path().join("dead.kubeconfig");
        std::fs::write(&path, dead.to_string()).unwrap();
        let (west, east) = (format!("west={}", path.display()), format!("east={}", plane.kubeconfig.display()));
        let (controller, _) = plane.controller(&["--cluster", &west, "--cluster", &east]);
        plane.create((0..5).map(database).collect()).await;
        plane.until("scalingrecords", 5, |o| o["status"]["phase"] == "Running").await;
        plane.create((0..5).map(|i| request(i, 1)).collect()).await;
        plane.until("scalingrecords", 5, |o| o["status"]["last"] == "HorizontalScaling Successful").await;
        drop(controller);
    }
}

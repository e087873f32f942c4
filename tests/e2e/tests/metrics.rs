//! What a real Prometheus makes of the metrics of the running programs.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dbscale_e2e::webhook::wrong;
use dbscale_e2e::{World, playground};
use serde_json::{Value, json};

/// A Prometheus that asks one program every second; `None` where it is not installed.
struct Prometheus {
    child: Child,
    address: String,
    _data: tempfile::TempDir,
}

impl Prometheus {
    fn of(job: &str, target: &str) -> Option<Self> {
        if Command::new("prometheus").arg("--version").output().is_err() {
            println!("SKIPPED: there is no prometheus");
            return None;
        }
        let data = tempfile::tempdir().unwrap();
        let config = data.path().join("prometheus.yml");
        let scrape = json!({"scrape_configs": [{"job_name": job, "scrape_interval": "1s",
            "static_configs": [{"targets": [target]}]}]});
        std::fs::write(&config, scrape.to_string()).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, address, _data: data })
    }

    /// The value of a query; `None` while there is none.
    fn value(&self, query: &str) -> Option<f64> {
        let query = query.bytes().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "%{byte:02X}");
            text
        });
        let text = get(&self.address, &format!("/api/v1/query?query={query}"))?;
        let answer: Value = serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()?;
        answer.pointer("/data/result/0/value/1")?.as_str()?.parse().ok()
    }

    /// Waits until a query has a value that is as wanted.
    fn until(&self, query: &str, wanted: impl Fn(f64) -> bool) {
        let began = Instant::now();
        while !self.value(query).is_some_and(&wanted) {
            assert!(began.elapsed() < Duration::from_secs(60), "{query} is {:?}", self.value(query));
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole answer to a request, head and body; `None` while nobody listens.
fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    // Version 1.0: the body comes in one piece, and the connection ends with it.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Where a program of the playground serves its metrics, as its log told last.
fn metrics_of(program: &str, field: &str) -> String {
    let log = std::fs::read_to_string(playground().join(format!("{program}.log"))).unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut told = lines.filter_map(|line| Some(line.get(field)?.as_str()?.to_owned()));
    told.next_back().unwrap_or_else(|| panic!("{program}.log has no {field}:\n{log}"))
}

#[test]
fn a_refusal_is_counted() {
    let world = World::new("metrics");
    let Some(prometheus) = Prometheus::of("dbscale-webhook", &metrics_of("webhook", "probes")) else { return };
    let refused = r#"sum(dbscale_webhook_reviews_total{engine="redis",operation="create",verdict="refused"})"#;
    prometheus.until("up", |up| up > 0.5);
    let before = prometheus.value(refused).unwrap_or(0.0);
    assert_eq!(world.try_create(&wrong(), &[]).code, 1);
    prometheus.until(refused, |count| count > before + 0.5);
    prometheus.until(r#"dbscale_webhook_findings_total{rule="database/missing",engine="redis"}"#, |count| count > 0.5);
    prometheus.until("dbscale_webhook_certificate_expiry_seconds - time()", |left| left > 80.0 * 86_400.0);
    prometheus.until("dbscale_webhook_cache_age_seconds", |age| age < 60.0);
    prometheus.until("histogram_quantile(0.5, dbscale_webhook_duration_seconds_bucket)", |half| half < 1.0);
}

/// With the controller alone: see `cargo xtask test`.
mod controller {
    use super::*;

    #[test]
    fn an_operation_is_counted() {
        let world = World::new("metrics-controller");
        let Some(prometheus) = Prometheus::of("dbscale-controller", &metrics_of("controller", "address")) else {
            return;
        };
        prometheus.until("dbscale_leading", |leads| leads > 0.5);
        world.create(&dbscale_e2e::databases::mongodb());
        world.until("mongodb/db", ".status.phase", "Ready");
        let ended = r#"sum(dbscale_operations_total{engine="mongodb",type="HorizontalScaling",outcome="successful"})"#;
        let before = prometheus.value(ended).unwrap_or(0.0);
        assert_eq!(world.dbscale(&["horizontal", "mongodb/db", "--replicas", "5"]).code, 0);
        prometheus.until(ended, |count| count > before + 0.5);
        prometheus.until(r#"dbscale_objects_known{kind="database"}"#, |count| count > 0.5);
        prometheus.until("time() - dbscale_last_reconcile_timestamp_seconds", |ago| ago < 60.0);
    }
    /// Waits until a gauge is as wanted, as the controller itself serves it.
    fn until(gauge: &str, wanted: impl Fn(f64) -> bool) {
        let (address, began) = (metrics_of("controller", "address"), Instant::now());
        let value = || {
            let text = get(&address, "/metrics")?;
            let line = text.lines().find(|line| line.starts_with(&format!("{gauge}{{")))?;
            line.rsplit_once(' ')?.1.parse::<f64>().ok()
        };
        while !value().is_some_and(&wanted) {
            assert!(began.elapsed() < Duration::from_secs(60), "{gauge} is {:?}", value());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    #[test]
    fn what_is_outside_of_policies_is_counted() {
        let world = World::new("metrics-policies");
        let name = world.namespace.as_str();
        let [outside, exceeded] = ["dbscale_databases_outside", "dbscale_policies_exceeded"];
        let mut object = dbscale_e2e::databases::mongodb();
        object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/never-start": "true"});
        world.create(&object);
        world.until("mongodb/db", ".status.phase", "Ready");
        assert_eq!(world.dbscale(&["horizontal", "mongodb/db", "--replicas", "5"]).code, 0);
        let policy = json!({"apiVersion": "dbscale.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": name},
            "spec": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}, "replicas": {"max": 2},
                "operations": {"perCluster": 0}}});
        world.create(&policy);
        until(outside, |count| count > 0.5);
        until(exceeded, |count| count > 0.5);
        world.must(&["delete", "scalingpolicy", name]);
        until(outside, |count| count < 0.5);
        until(exceeded, |count| count < 0.5);
    }
}

//! What a review costs inside the process, without the network: read, judged with ten thousand databases known, answered.
//! `cargo bench --profile server -p dbscale-webhook`; one line a case, in microseconds of CPU.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a measurement fails")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use dbscale_cluster::Cluster;
use dbscale_cluster::cache::{Cache, Event, Topic};
use dbscale_cluster::trim::shapes::Role;
use dbscale_core::finding::Severity;
use dbscale_webhook::answer;
use dbscale_webhook::judge::{Judge, Options};
use dbscale_webhook::review;
use dbscale_webhook::users::Users;
use jiff::Timestamp;
use kube::client::Body;
use serde_json::{Value, json};

const KNOWN: usize = 10_000;
const ROUNDS: usize = 20_000;

fn database(name: &str) -> Value {
    let resources = json!({"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}});
    json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB",
        "metadata": {"name": name, "namespace": "demo", "uid": "6a7e4f0a-0c2c-4f0e-9a55-6f5a5c1d2e3f"},
        "spec": {"version": "8.0.4", "replicaSet": {"name": "rs0"}, "replicas": 3, "storageType": "Durable",
            "storage": {"storageClassName": "standard", "resources": {"requests": {"storage": "10Gi"}}},
            "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources}]}}},
        "status": {"phase": "Ready"}})
}

/// The record of who wrote which field, as the API server keeps it, of about `bytes` bytes.
fn managed(bytes: usize) -> Value {
    let mut fields = json!({});
    let mut entry = json!([]);
    for number in 0.. {
        fields[format!("f:field{number}")] = json!({".": {}, "f:requests": {"f:storage": {}, "f:memory": {}}});
        entry = json!([{"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "kubedb.com/v1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields}}]);
        if entry.to_string().len() >= bytes {
            break;
        }
    }
    entry
}

fn review(object: &Value, old: &Value) -> Vec<u8> {
    let kind = object["kind"].as_str().unwrap();
    let group = object["apiVersion"].as_str().unwrap().split('/').next().unwrap();
    // In the order of the API server.
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","kind":{{"group":"{group}","version":"v1","kind":"{kind}"}},"resource":{{"group":"{group}","version":"v1","resource":"x"}},"requestKind":{{"group":"{group}","version":"v1","kind":"{kind}"}},"requestResource":{{"group":"{group}","version":"v1","resource":"x"}},"name":"ask","namespace":"demo","operation":"{}","userInfo":{{"username":"system:serviceaccount:kubedb:kubedb-ops-manager","uid":"d2b2b7f0","groups":["system:serviceaccounts","system:authenticated"]}},"object":{object},"oldObject":{old},"dryRun":false,"options":{{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1"}}}}}}"#,
        if old.is_null() { "CREATE" } else { "UPDATE" }
    )
    .into_bytes()
}

fn judge() -> Judge {
    let cache: Arc<Cache> = Arc::default();
    let now = Timestamp::now();
    let databases = Topic::Engine("mongodb", Role::Database);
    let operations = Topic::Engine("mongodb", Role::Operation);
    for topic in [databases, operations, Topic::Classes] {
        cache.tell(topic, &Event::Begin, now);
    }
    for number in 0..KNOWN {
        cache.tell(databases, &Event::Apply(&database(&format!("db-{number}"))), now);
    }
    for topic in [databases, operations, Topic::Classes] {
        cache.tell(topic, &Event::Complete, now);
    }
    let nobody = tower::service_fn(|_: http::Request<Body>| async {
        Err::<http::Response<Body>, _>(std::io::Error::other("nobody"))
    });
    let cluster =
        Cluster::new(kube::Client::new(nobody, "demo"), "https://nobody".to_owned(), Duration::from_millis(1));
    let operators = Users::new(["system:serviceaccount:kubedb:kubedb-*".to_owned()]);
    Judge {
        cache,
        cluster,
        options: Options { direct_edits: Severity::Warn, lookup_failure: Severity::Deny, operators },
    }
}

fn main() {
    // `cargo test --all-targets` runs benchmarks too, as if they were tests; `cargo bench` says that it measures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let judge = runtime.block_on(async { judge() });
    let metadata = |name: &str| json!({"name": name, "namespace": "demo", "managedFields": managed(900)});
    let request = |replicas: i64| {
        (0..100).map(move |n| {
            let mut object = json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": metadata("ask"),
                "spec": {"type": "HorizontalScaling", "databaseRef": {"name": format!("db-{}", n * 97)},
                    "horizontalScaling": {"replicas": replicas}}});
            let short = 2500 - review(&object, &Value::Null).len().min(2500);
            object["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": "x".repeat(short)});
            review(&object, &Value::Null)
        })
    };
    let update = |replicas: i64| {
        let mut old = database("db-1");
        old["metadata"]["managedFields"] = managed(7_500);
        old["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/last-applied-configuration": "y".repeat(1000)});
        let mut new = old.clone();
        new["spec"]["replicas"] = json!(replicas);
        vec![review(&new, &old)]
    };
    for (name, bodies) in [
        ("OpsRequest CREATE, allowed", request(5).collect::<Vec<_>>()),
        ("OpsRequest CREATE, refused", request(0).collect()),
        ("database UPDATE, nothing judged", update(3)),
        ("database UPDATE, members by KubeDB", update(5)),
    ] {
        let bytes = bodies[0].len();
        let read = time(|n| {
            black_box(review::read(&bodies[n % bodies.len()]).unwrap());
        });
        let all = runtime.block_on(async {
            let mut took = Vec::new();
            for _ in 0..5 {
                let began = cpu();
                for n in 0..ROUNDS {
                    let mut review = review::read(&bodies[n % bodies.len()]).unwrap();
                    review.dry_run = true; // so that nothing is remembered
                    let verdict = judge.judge(&mut review).await;
                    black_box(answer::write(&review, &verdict.findings));
                }
                took.push(cpu().saturating_sub(began));
            }
            micros(took)
        });
        println!("{name}, {bytes} bytes: read {read:.1}, all {all:.1}");
    }
}

fn time(mut once: impl FnMut(usize)) -> f64 {
    let mut took = Vec::new();
    for _ in 0..5 {
        let began = cpu();
        (0..ROUNDS).for_each(&mut once);
        took.push(cpu().saturating_sub(began));
    }
    micros(took)
}

/// What this thread has had of a CPU: unlike a clock it does not count who else was running.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// The median, in microseconds a round.
fn micros(mut took: Vec<Duration>) -> f64 {
    took.sort();
    took[took.len() / 2].as_secs_f64() * 1e6 / f64::from(u32::try_from(ROUNDS).unwrap())
}

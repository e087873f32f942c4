//! The generated policies on the real API server: one corpus of cases, judged by the rules and by the policies. Where a policy
//! speaks, both say the same, with the same id.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

mod databases;
mod namespaces;
mod requests;
mod scaling;
mod without_webhook;

use std::time::{Duration, Instant};

use dbscale_cluster::call::{Call, Cluster};
use dbscale_cluster::connect::{Connect, connect};
use dbscale_cluster::read::operations_path;
use dbscale_core::catalog::{Catalog, Engine, Node, Pointer};
use dbscale_e2e::{World, playground};
use serde_json::{Value, json};

/// What the API server answers within, however busy the machine: a comparison that never ends would take minutes.
const SOON: Duration = Duration::from_secs(10);

async fn cluster() -> Cluster {
    let options = Connect { kubeconfig: Some(playground().join("kubeconfig")), ..Connect::default() };
    connect(&options).await.unwrap()
}

/// Creates an object, with what its definition requires beside that.
async fn create(cluster: &Cluster, path: &str, mut object: Value) -> Value {
    for _ in 0..6 {
        let failure = match cluster.call(&Call::post(path, &object)).await {
            Ok(kept) => return kept,
            Err(failure) => failure,
        };
        for (field, message) in &failure.causes {
            let value = match message.as_str() {
                m if m.contains("Required value") => json!({}),
                m if m.contains("must be of type string") => json!("1"),
                m if m.contains("must be of type integer") => json!(1),
                m if m.contains("must be of type array") => json!([]),
                m if m.contains("must be of type boolean") => json!(true),
                m => match m.split_once("supported values: \"").and_then(|(_, rest)| rest.split('"').next()) {
                    Some(first) => json!(first),
                    None => panic!("{failure}: {object}"),
                },
            };
            let at: Pointer = format!("/{}", field.replace('.', "/")).parse().unwrap();
            at.set(&mut object, value);
        }
    }
    panic!("{object} is not taken")
}

/// The places of sizes and of numbers in an object.
fn places(engine: &Engine, object: &Value) -> (Vec<Pointer>, Vec<Pointer>) {
    let (mut sizes, mut counts) = (Vec::new(), Vec::new());
    for component in engine.components_of(engine.topology_of(object).unwrap()) {
        sizes.extend(component.storage.as_ref().filter(|s| s.at.is_some()).map(|s| s.size.of_item("one")));
        let numbers = [&component.replicas, &component.shards].into_iter().flatten();
        counts.extend(numbers.filter_map(|c| c.at.as_ref()).map(|at| at.of_item("one")));
    }
    (sizes, counts)
}

/// Waits until the policies have taken effect: an amount that nobody can read is then refused.
async fn until_held(cluster: &Cluster, world: &World) {
    let began = Instant::now();
    for engine in Catalog::builtin().engines() {
        let path = operations_path(engine, Some(&world.namespace));
        let leaves = engine.form().leaves();
        let Some((at, _)) = leaves.iter().find(|(_, node)| matches!(node, Node::Resources(_))) else { continue };
        let mut ask = json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": engine.ops_kind(), "metadata": {"name": "held"},
            "spec": {"type": "VerticalScaling", engine.reference.as_str(): {"name": "db"}}});
        at.of_item("one").set(&mut ask, json!({"limits": {"cpu": "1e999999999"}}));
        while cluster.call(&Call::post(&path, &ask).query("dryRun", Some("All"))).await.is_ok() {
            assert!(began.elapsed() < Duration::from_secs(60), "{}: the policies do not hold", engine.name);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn responsive(cluster: &Cluster) {
    let began = Instant::now();
    cluster.call(&Call::get("/api/v1/namespaces/default")).await.unwrap();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

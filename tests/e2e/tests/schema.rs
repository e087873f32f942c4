//! Rule request/schema against the real API server with KubeDB's definitions: what one refuses the other does too, before
//! and after the request is sent. And what docs/kubedb-admits.md shows does pass those definitions.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use dbscale_cluster::apply::{Created, Write};
use dbscale_cluster::call::Cluster;
use dbscale_cluster::connect::{Connect, connect};
use dbscale_cluster::read::operations_path;
use dbscale_core::catalog::{Catalog, Component, Engine};
use dbscale_core::change::Change;
use dbscale_core::facts::{Case, Facts};
use dbscale_core::rules::judge;
use dbscale_e2e::{World, playground};
use serde_json::{Value, json};

/// The API server, where it has KubeDB's own definitions: those that are made of the catalog prove nothing here. Nobody but it
/// judges what is sent to the namespace.
async fn cluster() -> Option<(Cluster, World)> {
    if std::env::var_os("KUBEDB_DATA").is_none_or(|v| v.is_empty()) {
        println!("skipped: KUBEDB_DATA is not set, so the API server has no definitions of KubeDB to compare with");
        return None;
    }
    let options = Connect { kubeconfig: Some(playground().join("kubeconfig")), ..Connect::default() };
    Some((connect(&options).await.unwrap(), World::unjudged("schema")))
}

/// Whether the API server takes an object; nothing is kept.
async fn taken((cluster, world): &(Cluster, World), engine: &Engine, object: &Value) -> Result<(), String> {
    let mut object = object.clone();
    object["metadata"]["namespace"] = json!(world.namespace);
    let write = Write { dry_run: true, field_manager: "test".to_owned() };
    match cluster.create(&operations_path(engine, Some(&world.namespace)), &object, &write).await {
        Ok(Created::Ours(_) | Created::Taken) => Ok(()),
        Err(failure) => Err(failure.to_string()),
    }
}

/// The rules that speak of what an API server looks at: types, words, and the pattern of amounts.
const OF_THE_SERVER: [&str; 4] = ["request/schema", "request/type", "engine/unsupported", "quantity/unreadable"];

fn refused_by_us(engine: &'static Engine, object: &Value) -> bool {
    let change = Change::of_request(engine, object, None);
    let found = judge(&Case { change: &change, facts: &Facts::default() });
    found.iter().any(|f| OF_THE_SERVER.contains(&f.rule.0))
}

fn request(engine: &Engine, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "ops.kubedb.com/v1alpha1", "kind": engine.ops_kind(),
        "metadata": {"name": "schema", "annotations": {"dbscale.dev/request-id": "schema"}},
        "spec": {"type": "Restart", engine.reference.as_str(): {"name": "db"}},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

/// Right and wrong values at every place of a component that a request fills.
fn specs(component: &Component) -> Vec<Value> {
    let mut specs = Vec::new();
    for ask in [&component.replicas, &component.shards].into_iter().flatten().filter_map(|c| c.ask.as_ref()) {
        for value in [json!(3), json!(2.5), json!("3"), json!(true), json!({}), json!(i32::MAX), json!(1_i64 << 31)] {
            let mut spec = json!({"type": "HorizontalScaling"});
            ask.of_item("one").set(&mut spec, value);
            specs.push(spec);
        }
    }
    if let Some(ask) = component.storage.as_ref().and_then(|s| s.ask.as_ref()) {
        for (mode, size) in [
            (json!("Online"), json!("20Gi")),
            (json!("Online"), json!(20_000_000_000_i64)),
            (json!("Online"), json!(1.5)),
            (json!("Online"), json!("20GB")),
            (json!("Online"), json!([])),
            (json!("online"), json!("20Gi")),
            (Value::Null, json!("20Gi")),
        ] {
            let mut spec = json!({"type": "VolumeExpansion", "volumeExpansion": {"mode": mode}});
            ask.of_item("one").set(&mut spec, size);
            specs.push(spec);
        }
    }
    if let Some(ask) = component.resources.as_ref().and_then(|r| r.ask.as_ref()) {
        let fine = json!({"limits": {"cpu": "2"}});
        for (field, value) in [
            ("resources", fine.clone()),
            ("resources", json!({"limits": {"cpu": 2}})),
            ("resources", json!({"limits": {"cpu": 0.5}})),
            ("resources", json!({"limits": {"cpu": true}})),
            ("resources", json!({"limits": {"cpu": "two"}})),
            ("resources", json!({"limits": "2"})),
            ("resources", json!([])),
            ("topology", json!({"key": "zone"})),
            ("topology", json!({"key": "zone", "value": "a"})),
            ("nodeSelectionPolicy", json!(1)),
        ] {
            // A container inside other pods has no place of its own: the server drops that field unseen.
            if component.sidecar_of.is_some() && field != "resources" {
                continue;
            }
            let mut spec = json!({"type": "VerticalScaling"});
            ask.of_item("one").field("resources").set(&mut spec, fine.clone());
            ask.of_item("one").field(field).set(&mut spec, value);
            specs.push(spec);
        }
    }
    specs
}

#[tokio::test]
async fn the_api_server_and_the_rule_refuse_the_same_forms() {
    let Some(cluster) = cluster().await else { return };
    let (mut tried, mut refused, mut apart) = (0, 0, Vec::new());
    for engine in Catalog::builtin().engines() {
        let frame = [
            json!({}),
            json!({"apply": "Always"}),
            json!({"apply": "Now"}),
            json!({"apply": 1}),
            json!({"timeout": "5m"}),
            json!({"timeout": 5}),
            json!({"type": null}),
            json!({"type": "Resize"}),
            json!({"type": 1}),
            json!({engine.reference.as_str(): null}),
            json!({engine.reference.as_str(): "db"}),
            json!({engine.reference.as_str(): {"name": 1}}),
            json!({"verticalScaling": "x", "type": "VerticalScaling"}),
            json!({"verticalScaling": {"mode": "Hot"}, "type": "VerticalScaling"}),
        ];
        for spec in frame.into_iter().chain(engine.components.values().flat_map(specs)) {
            let object = request(engine, &spec);
            let (server, ours) = (taken(&cluster, engine, &object).await, refused_by_us(engine, &object));
            tried += 1;
            refused += usize::from(ours);
            if server.is_err() != ours {
                apart.push(format!("{}: {spec}: the server says {server:?}", engine.name));
            }
        }
    }
    assert!(apart.is_empty(), "{} of {tried} are judged apart:\n{}", apart.len(), apart.join("\n"));
    assert!(tried > 1_500 && refused > 800, "{tried} were tried, {refused} refused");
}

#[tokio::test]
async fn what_kubedb_admits_passes_its_definitions() {
    let Some(cluster) = cluster().await else { return };
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/kubedb-admits.md")).unwrap();
    let mut tried = 0;
    for block in page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("\n```")).map(|(block, _)| block) {
        let documents: Vec<Value> = serde_saphyr::from_multiple(block).unwrap();
        let asked = documents.into_iter().next_back().unwrap();
        let Some(engine) = Catalog::builtin().of_ops_kind(asked["kind"].as_str().unwrap()) else { continue };
        let answer = taken(&cluster, engine, &asked).await;
        // dbscale asks strictly, so that the one field that does not exist is told; who does not ask so loses it unseen.
        let unknown = answer.as_ref().is_err_and(|e| e.contains("unknown field \"spec.horizontalScaling.member\""));
        assert!(answer.is_ok() || unknown, "{answer:?}\n{block}");
        tried += 1;
    }
    assert!(tried >= 30, "{tried}");
}

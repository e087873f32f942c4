//! Updates of databases.

use dbscale_cluster::ApiFailure;
use dbscale_cluster::call::{Call, Cluster};
use dbscale_cluster::read::databases_path;
use dbscale_core::catalog::{Catalog, Engine, Pointer};
use dbscale_core::change::Change;
use dbscale_core::database::Database;
use dbscale_core::facts::{Case, Facts};
use dbscale_core::finding::Finding;
use dbscale_core::plan::REVERT_TO;
use dbscale_core::policy;
use dbscale_core::rules::judge;
use dbscale_e2e::policies::{Policies, Verdicts};
use dbscale_e2e::{World, databases, playground};
use serde_json::{Value, json};

use crate::{cluster, create, places, responsive, until_held};

/// The rules that the policies for databases hold.
const OF_DATABASES: [&str; 4] = ["quantity/unreadable", "storage/no-shrink", "storage/minimum", "replicas/minimum"];

/// What the rules say of an update.
fn of_update(engine: &'static Engine, old: &Value, new: &Value) -> Vec<Finding> {
    let old = Database::of(engine, old);
    let change = Change::of_update(&old, Database::of(engine, new));
    judge(&Case { change: &change, facts: &Facts { database: old.into(), ..Facts::default() } })
}

/// Replaces what an object has at its top, but for what the server keeps; nothing is kept.
async fn update(cluster: &Cluster, path: &str, old: &Value, new: &Value) -> Result<Value, ApiFailure> {
    let mut steps = vec![json!({"op": "add", "path": "/spec", "value": new["spec"]})];
    if old["metadata"]["annotations"] != new["metadata"]["annotations"] {
        steps.push(json!({"op": "add", "path": "/metadata/annotations", "value": new["metadata"]["annotations"]}));
    }
    let body = json!(steps).to_string().into_bytes();
    cluster.call(&Call::patch(path, "application/json-patch+json", body).query("dryRun", Some("All"))).await
}

/// An object with another value at a place, or none.
pub fn with(object: &Value, at: &Pointer, value: &Value) -> Value {
    let mut object = object.clone();
    if !value.is_null() {
        at.set(&mut object, value.clone());
    } else if let Some((above, field)) = at.to_json_pointer(&object).unwrap().rsplit_once('/') {
        object.pointer_mut(above).and_then(Value::as_object_mut).unwrap().remove(field);
    }
    object
}

/// Updates of one database: (what, the new object).
///
/// Of each engine's first database the first place is tried with everything, all others with what matters.
fn updates(engine: &Engine, old: &Value, first: bool) -> Vec<(String, Value)> {
    let sizes = [
        json!("5Gi"),
        json!("10G"),
        json!("10Gi"),
        json!("10240Mi"),
        json!("10.0Gi"),
        json!(10_737_418_240_i64),
        json!(5_368_709_120_i64),
        json!("50Gi"),
        json!("900M"),
        json!("850M"),
        json!("800000k"),
        json!("700M"),
        json!("-5Gi"),
        json!("0"),
        json!("1e999999999"),
        json!("1e-999999999"),
        json!("1e40"),
        json!("1e11"),
        json!("1.5e3"),
        json!("1e1.5"),
        json!(format!("{}1", "0".repeat(63))),
        json!(format!("{}1", "0".repeat(64))),
        json!(format!("{}1.0", "0".repeat(63))),
        json!("99999999999999999999999999999"),
        json!("100000000000000000000000000000"),
        json!("100000000000000000000000000000Ei"),
        Value::Null,
    ];
    let (at_sizes, at_counts) = places(engine, old);
    let mut cases = Vec::new();
    for (n, at) in at_sizes.iter().enumerate() {
        let matters = |i: &usize| [0, 3, 7, 8, 9, 11, 14, 26].contains(i);
        for (_, size) in sizes.iter().enumerate().filter(|(i, _)| (n == 0 && first) || matters(i)) {
            cases.push((format!("{} := {size}", at.dotted()), with(old, at, size)));
        }
    }
    if let Some(at) = at_sizes.first().filter(|_| first) {
        for (said, size) in [("9Gi", "9Gi"), ("9Gi", "8Gi"), ("9216Mi", "9Gi"), ("8Gi", "8Gi"), ("900M", "900M")] {
            let mut new = with(old, at, &json!(size));
            new["metadata"]["annotations"][REVERT_TO] = json!(said);
            cases.push((format!("{} := {size}, revert-to {said}", at.dotted()), new));
        }
    }
    for (n, at) in at_counts.iter().enumerate() {
        for number in
            [json!(0), json!(-1), json!(1), json!(7), Value::Null].iter().take(if n == 0 && first { 5 } else { 1 })
        {
            cases.push((format!("{} := {number}", at.dotted()), with(old, at, number)));
        }
    }
    cases
}

/// What the rules say, but for the way down, which they know by the claims and the policies by the annotation: one that was
/// there before (9Gi and 8Gi at first and second database) is none.
fn expected(engine: &'static Engine, old: &Value, new: &Value) -> Vec<Finding> {
    let mut found = of_update(engine, old, new);
    let said = |object: &Value| object["metadata"]["annotations"][REVERT_TO].as_str().map(str::to_owned);
    if let Some(size) = said(new).filter(|s| said(old).as_ref() != Some(s)) {
        let goes_there = |f: &Finding| f.rule.0 == "storage/no-shrink" && f.message.starts_with(&format!("{size} is"));
        found.retain(|f| !goes_there(f));
    }
    found
}

#[tokio::test]
async fn databases_are_judged_as_by_the_rules() {
    let world = World::new("policy-databases");
    let objects: Vec<Value> = Catalog::builtin().engines().flat_map(policy::beside_webhook).collect();
    let cluster = cluster().await;
    let mut there = Vec::new();
    for engine in Catalog::builtin().engines() {
        for (n, topology) in engine.topologies.iter().enumerate() {
            for (size, said) in [("10Gi", "8Gi"), ("800M", "9Gi")] {
                let mut object = databases::of_topology(engine, topology, &engine.versions[0], &world.namespace);
                object["metadata"] = json!({"name": format!("db-{n}-{}", size.to_lowercase()),
                    "annotations": {REVERT_TO: said}});
                for at in places(engine, &object).0 {
                    at.set(&mut object, json!(size));
                }
                let path = databases_path(engine, &engine.versions[0], Some(&world.namespace));
                let kept = create(&cluster, &path, object).await;
                there.push((engine, kept));
            }
        }
    }
    let policies = Policies::install(&world, &objects);
    policies.hold_in(&world, "enforce");
    until_held(&cluster, &world).await;
    let mut verdicts = Verdicts::new(&OF_DATABASES);
    for (engine, old) in &there {
        let name = old["metadata"]["name"].as_str().unwrap();
        let path = format!("{}/{name}", databases_path(engine, &engine.versions[0], Some(&world.namespace)));
        for (case, new) in updates(engine, old, name.starts_with("db-0")) {
            // All components of another topology are new to the rules; a policy still sees what stays in its place.
            if engine.topology_of(&new).map(|t| &t.name) != engine.topology_of(old).map(|t| &t.name) {
                continue;
            }
            let judged = update(&cluster, &path, old, &new).await;
            if judged.as_ref().is_err_and(|e| !e.message.contains("ValidatingAdmissionPolicy '")) {
                continue; // what the definition itself refuses never comes to a policy
            }
            verdicts.compare(&format!("{} {name} {case}", engine.name), &expected(engine, old, &new), &judged);
        }
    }
    responsive(&cluster).await;
    verdicts.agree(1_500, 500);
    every_version_and_no_status(&cluster, &there).await;
    policies.until_checked(&world);
}

/// A shrink is refused in whatever version it comes; what goes to `status` is nobody's business.
async fn every_version_and_no_status(cluster: &Cluster, there: &[(&'static Engine, Value)]) {
    let (mut tried, real) = (0, std::fs::read_to_string(playground().join("origin")).unwrap() == "Real");
    for (engine, old) in there {
        let Some(at) = places(engine, old).0.into_iter().next() else { continue };
        let new = with(old, &at, &json!("600M"));
        let meta = &old["metadata"];
        let (namespace, name) = (meta["namespace"].as_str(), meta["name"].as_str().unwrap());
        for version in engine.versions.iter().take(if real { 2 } else { 1 }) {
            let path = format!("{}/{name}", databases_path(engine, version, namespace));
            let refused = update(cluster, &path, old, &new).await.unwrap_err();
            assert!(refused.message.contains("[storage/no-shrink] 600M is less than"), "{path}: {refused}");
            let status = json!({"status": {"phase": "Ready"}, "spec": new["spec"]}).to_string().into_bytes();
            let patched =
                cluster.call(&Call::patch(format!("{path}/status"), "application/merge-patch+json", status)).await;
            assert_eq!(patched.unwrap()["status"]["phase"], "Ready", "{path}");
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried}");
}

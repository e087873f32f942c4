//! What the tests against KubeDB's own files share.

#![allow(dead_code, reason = "each test takes the part that it needs")]

use std::env;
use std::path::PathBuf;

use dbscale_core::catalog::{Count, Engine, Pointer, Topology, When};
use dbscale_core::change::Change;
use dbscale_core::database::Database;
use dbscale_core::facts::{Case, Facts};
use dbscale_core::finding::Finding;
use dbscale_core::rules::judge;
use serde_json::{Value, json};

/// The folder that `KUBEDB_DATA` names. Without it there is nothing to compare with: that is said, and is a failure where
/// `DBSCALE_REQUIRE_KUBEDB_DATA` is set.
pub fn data(so: &str) -> Option<PathBuf> {
    let folder = env::var_os("KUBEDB_DATA").filter(|v| !v.is_empty()).map(PathBuf::from);
    if folder.is_none() {
        assert!(env::var_os("DBSCALE_REQUIRE_KUBEDB_DATA").is_none(), "KUBEDB_DATA is not set");
        println!("skipped: KUBEDB_DATA is not set, so {so}");
    }
    folder
}

/// The documents of a YAML file that are objects.
pub fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    documents.into_iter().filter(Value::is_object).collect()
}

/// The present size of each volume, and the present number of members and shards, of [`database`].
pub const SIZE: &str = "10Gi";

/// The present number of members or shards: three, where the engine takes so many.
pub fn present(count: &Count) -> i64 {
    count.min.unwrap_or(1).max(3).min(count.max.unwrap_or(i64::MAX))
}

/// A database of a topology, every component with all that it can have, in one of the engine's versions.
pub fn database(engine: &'static Engine, topology: &Topology, version: &str) -> Value {
    let mut object = json!({
        "apiVersion": format!("kubedb.com/{version}"), "kind": engine.kind,
        "metadata": {"name": "db", "namespace": "demo", "uid": "u-1"},
    });
    for component in engine.components_of(topology) {
        for count in [&component.replicas, &component.shards].into_iter().flatten() {
            if let Some(at) = &count.at {
                one_item(at).set(&mut object, json!(present(count)));
            }
        }
        if let Some(at) = component.resources.as_ref().and_then(|r| r.at.as_ref()?.of(version)) {
            let amounts = json!({"cpu": "1", "memory": "1Gi"});
            one_item(at).set(&mut object, json!({"requests": amounts, "limits": amounts}));
        }
        if let Some(storage) = component.storage.as_ref().filter(|s| s.at.is_some()) {
            one_item(&storage.size).set(&mut object, json!(SIZE));
        }
        if let Some(exists) = &component.exists
            && exists.get(&object).is_none()
        {
            exists.set(&mut object, json!({}));
        }
    }
    for when in &topology.when {
        match when {
            When::Present { present } if present.get(&object).is_none() => {
                present.set(&mut object, json!({"name": "x"}));
            }
            When::Is { at, is, .. } => at.set(&mut object, json!(is)),
            When::AtMost { at, at_most } => at.set(&mut object, json!(at_most)),
            When::Present { .. } | When::Absent { .. } => {}
        }
    }
    object
}

/// A pointer to every item of a list, narrowed to the one item that [`database`] makes.
pub fn one_item(at: &Pointer) -> Pointer {
    at.of_item("one")
}

/// A request of a type for that database, with one value at one place of its spec.
pub fn request(engine: &Engine, ops_type: &str, at: Option<&Pointer>, value: Value) -> Value {
    let mut spec = json!({"type": ops_type, engine.reference.as_str(): {"name": "db"}});
    if ops_type == "VolumeExpansion" {
        spec["volumeExpansion"] = json!({"mode": "Online"});
    }
    if let Some(at) = at {
        one_item(at).set(&mut spec, value);
    }
    json!({
        "apiVersion": "ops.kubedb.com/v1alpha1", "kind": engine.ops_kind(),
        "metadata": {"name": "ask", "namespace": "demo"}, "spec": spec,
    })
}

/// What all rules say of a request.
pub fn verdict(engine: &'static Engine, ask: &Value, facts: &Facts) -> Vec<Finding> {
    let change = Change::of_request(engine, ask, facts.database.here());
    judge(&Case { change: &change, facts })
}

/// The present, where only the database is known.
pub fn facts(engine: &'static Engine, object: &Value) -> Facts {
    Facts { database: Database::of(engine, object).into(), ..Facts::default() }
}

/// The rules that refuse.
pub fn denials(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().filter(|f| f.refuses()).map(|f| f.rule.0).collect()
}

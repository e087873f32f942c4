//! Trimming loses nothing that anybody looks at: a database or OpsRequest reads the same, trimmed or whole.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::env;
use std::path::{Path, PathBuf};

use dbscale_core::catalog::Catalog;
use dbscale_core::change::Change;
use dbscale_core::database::Database;
use dbscale_core::status::Operation;
use dbscale_trim::shapes::{Role, any_database, any_operation, known_kind};
use dbscale_trim::{Budget, Keep};
use serde_json::{Value, json};

fn trim(keep: &Keep, object: &Value) -> Value {
    keep.trim(object, &Budget::new(10_000)).unwrap()
}

/// Reads `object` whole, by its own shape and by that of any engine, all the ways that there are.
fn reads_alike(object: &Value) -> bool {
    let group = object["apiVersion"].as_str().and_then(|v| v.split('/').next()).unwrap_or_default();
    let Some(known) = known_kind(group, object["kind"].as_str().unwrap_or_default()) else { return false };
    let engine = known.engine;
    let any = match known.role {
        Role::Database => any_database(),
        Role::Operation => any_operation(),
    };
    for trimmed in [trim(&known.keep, object), trim(any, object)] {
        match known.role {
            Role::Database => {
                let (whole, trimmed) = (Database::of(engine, object), Database::of(engine, &trimmed));
                assert_eq!(format!("{whole:?}"), format!("{trimmed:?}"));
            }
            Role::Operation => {
                let change = |object| format!("{:?}", Change::of_request(engine, object, None));
                assert_eq!(change(object), change(&trimmed));
                let mut whole = Operation::of(object, &engine.reference);
                whole.reason.clear(); // of a failure: nobody judges by it
                assert_eq!(whole, Operation::of(&trimmed, &engine.reference));
            }
        }
    }
    true
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_example_of_kubedb_reads_the_same_when_it_is_trimmed() {
    let Some(data) = env::var_os("KUBEDB_DATA").filter(|v| !v.is_empty()) else {
        assert!(env::var_os("DBSCALE_REQUIRE_KUBEDB_DATA").is_none(), "KUBEDB_DATA is not set");
        println!("skipped: KUBEDB_DATA is not set");
        return;
    };
    let mut paths = Vec::new();
    files(&Path::new(&data).join("examples"), &mut paths);
    let mut read = 0;
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        for document in serde_saphyr::from_multiple::<Value>(&text).unwrap_or_default() {
            read += usize::from(reads_alike(&document));
        }
    }
    assert!(read >= 100, "only {read} objects were found");
}

/// An object that has something at every place that the catalog knows of an engine, so that no place is forgotten.
#[test]
fn every_place_of_the_catalog_is_kept() {
    for engine in Catalog::builtin().engines() {
        for version in &engine.versions {
            let mut object = json!({
                "apiVersion": format!("kubedb.com/{version}"), "kind": engine.kind,
                "metadata": {
                    "name": "db", "namespace": "demo", "uid": "u", "resourceVersion": "7",
                    "labels": {"app": "x", "kustomize.toolkit.fluxcd.io/name": "apps"},
                    "annotations": {"a": "b"},
                },
                "status": {"phase": "Ready", "conditions": []},
            });
            for component in engine.components.values() {
                fill(&mut object, component, version);
            }
            for topology in &engine.topologies {
                assert!(reads_alike(&object), "{}", engine.name);
                for when in topology.when.iter().chain(engine.marks.values().flatten()) {
                    make(&mut object, when);
                }
            }
            assert!(reads_alike(&object), "{}", engine.name);
        }
    }
}

fn fill(object: &mut Value, component: &dbscale_core::catalog::Component, version: &str) {
    let size = json!({"storageClassName": "fast", "resources": {"requests": {"storage": "20Gi"}}});
    let resources = json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}});
    let counts = [&component.replicas, &component.shards].into_iter().flatten().filter_map(|c| c.at.clone());
    let counts = counts.map(|at| (at, json!(3)));
    let storage = component.storage.iter().filter_map(|s| s.at.clone()).map(|at| (at, size.clone()));
    let kinds = component.storage.iter().filter_map(|s| s.kind.clone()).map(|at| (at, json!("Ephemeral")));
    let at = component.resources.iter().filter_map(|r| r.at.as_ref()?.of(version).cloned());
    let resources = at.map(|at| (at, resources.clone()));
    let exists = component.exists.clone().filter(|at| at.get(object).is_none()).map(|at| (at, json!({"x": 1})));
    let all: Vec<_> = counts.chain(storage).chain(kinds).chain(resources).chain(exists).collect();
    for (at, value) in all {
        at.of_item("one").set(object, value);
    }
}

fn make(object: &mut Value, when: &dbscale_core::catalog::When) {
    use dbscale_core::catalog::When;
    match when {
        When::Present { present } if present.get(object).is_none() => present.set(object, json!({"x": 1})),
        When::Absent { absent } if absent.get(object).is_some() => absent.set(object, Value::Null),
        When::Is { at, is, .. } => at.set(object, json!(is)),
        When::AtMost { at, at_most } => at.set(object, json!(at_most + 1)),
        When::Present { .. } | When::Absent { .. } => {}
    }
}

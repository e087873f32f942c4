//! The catalog against KubeDB's own resource definitions, in the folder that `KUBEDB_DATA` names.
//!
//! Without that folder there is nothing to compare with: the test says so, and fails where
//! `DBSCALE_REQUIRE_KUBEDB_DATA` is set.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::path::Path;
use std::{fs, thread};

use common::data;
use dbscale_core::catalog::{Catalog, Engine, misfits};
use serde_json::Value;

fn definition(folder: &Path, name: &str) -> Value {
    let path = folder.join(format!("{name}.yaml"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What does not fit of one engine.
fn faults(folder: &Path, engine: &Engine) -> Vec<String> {
    let database = definition(folder, &format!("kubedb.com_{}", engine.plural));
    let operation = definition(folder, &format!("ops.kubedb.com_{}", engine.ops_plural()));
    misfits(engine, &database, &operation).into_iter().map(|m| format!("{}: {}", engine.name, m.message)).collect()
}

#[test]
fn the_catalog_fits_kubedbs_own_definitions() {
    let Some(folder) = data("the catalog is not compared with KubeDB's resource definitions") else { return };
    let folder = folder.join("crds");
    let engines: Vec<&Engine> = Catalog::builtin().engines().collect();
    assert_eq!(engines.len(), 32);
    let faults: Vec<String> = thread::scope(|scope| {
        let halves: Vec<_> = engines
            .chunks(engines.len().div_ceil(2))
            .map(|half| scope.spawn(|| half.iter().flat_map(|engine| faults(&folder, engine)).collect::<Vec<_>>()))
            .collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn what_does_not_fit_is_found() {
    let Some(folder) = data("the catalog is not compared with definitions that were changed") else { return };
    let folder = folder.join("crds");
    let engine = Catalog::builtin().find("mongodb").unwrap();
    let database = definition(&folder, "kubedb.com_mongodbs");
    let mut operation = definition(&folder, "ops.kubedb.com_mongodbopsrequests");
    let spec = operation.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties").unwrap();
    let horizontal = spec["horizontalScaling"]["properties"].as_object_mut().unwrap();
    let replicas = horizontal.remove("replicas").unwrap();
    horizontal.insert("members".to_owned(), replicas);
    let found: Vec<(String, bool)> =
        misfits(engine, &database, &operation).into_iter().map(|m| (m.message, m.breaks)).collect();
    assert!(found.contains(&(
        "an OpsRequest has no whole number at /horizontalScaling/replicas, where replicaSet is asked for".to_owned(),
        true
    )));
    let more = "an OpsRequest has /horizontalScaling/members, which the catalog does not know".to_owned();
    assert!(found.contains(&(more, false)), "{found:?}");
}

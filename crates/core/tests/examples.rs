//! Every manifest of KubeDB's own documents, in the folder that `KUBEDB_DATA` names, against every rule.
//!
//! The databases and OpsRequests of one folder are each other's context. What KubeDB shows as right must not be refused;
//! where KubeDB itself refuses an example of its own, it stands in [`EXCEPTIONS`] with the reason.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{data, documents};
use dbscale_core::catalog::Catalog;
use dbscale_core::change::Change;
use dbscale_core::database::Database;
use dbscale_core::facts::{Case, Facts};
use dbscale_core::rules::judge;
use serde_json::Value;

/// Examples that a rule refuses and KubeDB refuses too: (folder, file, rule, why).
const EXCEPTIONS: [(&str, &str, &str, &str); 2] = [
    (
        "examples__redis__scaling__horizontal-scaling",
        "horizontal-cluster.yaml",
        "replicas/engine-bounds",
        "replicas 1 of a Redis Cluster: KubeDB wants 2 or more",
    ),
    (
        "examples__redis__scaling__horizontal-scaling",
        "horizontal-cluster.yaml",
        "replicas/transition",
        "shards 3 → 4 with replicas 2 → 1: KubeDB grows or shrinks, not both in one request",
    ),
];

fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The rules that refuse a request against each of the databases that it may mean.
fn refusals(ask: &Value, databases: &[Database]) -> BTreeSet<&'static str> {
    let engine = Catalog::builtin().of_ops_kind(text(ask, "/kind")).unwrap();
    let name = text(ask, &format!("/spec/{}/name", engine.reference));
    let meant = databases.iter().filter(|d| d.engine.name == engine.name && d.name == name);
    let mut facts: Vec<Facts> = meant.map(|d| Facts { database: d.clone().into(), ..Facts::default() }).collect();
    if facts.is_empty() {
        facts.push(Facts::default());
    }
    let refused = facts.iter().map(|facts| {
        let change = Change::of_request(engine, ask, facts.database.here());
        let found = judge(&Case { change: &change, facts });
        found.iter().filter(|f| f.refuses()).map(|f| f.rule.0).collect::<BTreeSet<_>>()
    });
    refused.min_by_key(BTreeSet::len).unwrap_or_default()
}

fn refusals_of_create(database: &Database) -> BTreeSet<&'static str> {
    let change = Change::of_create(database);
    let found = judge(&Case { change: &change, facts: &Facts::default() });
    found.iter().filter(|f| f.refuses()).map(|f| f.rule.0).collect()
}

/// What is refused in a folder: (file, rule).
fn refused_in(folder: &Path) -> (usize, Vec<(String, &'static str)>) {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let objects: Vec<(String, Value)> = files
        .iter()
        .flat_map(|file| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            documents(&fs::read_to_string(file).unwrap()).into_iter().map(move |object| (name.clone(), object))
        })
        .collect();
    let database = |object: &Value| {
        let engine = Catalog::builtin().of_kind(text(object, "/kind"))?;
        text(object, "/apiVersion").starts_with("kubedb.com/").then(|| Database::of(engine, object))
    };
    let databases: Vec<Database> = objects.iter().filter_map(|(_, object)| database(object)).collect();
    let mut judged = 0;
    let mut refused = Vec::new();
    for (file, object) in &objects {
        let rules = if Catalog::builtin().of_ops_kind(text(object, "/kind")).is_some() {
            refusals(object, &databases)
        } else if let Some(database) = database(object) {
            refusals_of_create(&database)
        } else {
            continue;
        };
        judged += 1;
        refused.extend(rules.into_iter().map(|rule| (file.clone(), rule)));
    }
    (judged, refused)
}

#[test]
fn what_kubedb_shows_as_right_is_not_refused() {
    let Some(data) = data("KubeDB's example manifests are not judged") else { return };
    let mut folders: Vec<_> = fs::read_dir(data.join("examples")).unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    let mut judged = 0;
    let mut refused = BTreeSet::new();
    for folder in folders.iter().filter(|f| f.is_dir()) {
        let (n, found) = refused_in(folder);
        judged += n;
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        refused.extend(found.into_iter().map(|(file, rule)| (name.clone(), file, rule)));
    }
    let expected: BTreeSet<_> =
        EXCEPTIONS.iter().map(|(folder, file, rule, _)| ((*folder).to_owned(), (*file).to_owned(), *rule)).collect();
    assert_eq!(refused, expected);
    assert!(judged >= 120, "only {judged} manifests were judged");
}

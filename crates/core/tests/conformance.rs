//! The catalog against KubeDB's own resource definitions, in the folder that `KUBEDB_DATA` names.
//!
//! Without that folder there is nothing to compare with: the test says so, and fails where
//! `DBSCALE_REQUIRE_KUBEDB_DATA` is set.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, thread};

use common::data;
use dbscale_core::catalog::{Catalog, Engine, Pointer, Segment, When};
use serde_json::Value;

fn definition(folder: &Path, name: &str) -> Value {
    let path = folder.join(format!("{name}.yaml"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The schema at a place; an open one (`x-kubernetes-preserve-unknown-fields`) stands for all that is below it.
fn schema<'s>(root: &'s Value, pointer: &Pointer) -> Option<&'s Value> {
    let mut at = root;
    for segment in pointer.segments() {
        let open = at["x-kubernetes-preserve-unknown-fields"] == true;
        let next = match segment {
            Segment::Field(name) => at["properties"].get(name),
            Segment::Item { .. } | Segment::Each { .. } => at.get("items"),
        };
        match next {
            Some(next) => at = next,
            None if open => return Some(at),
            None => return None,
        }
    }
    Some(at)
}

/// What a version of a database does not have, though the OpsRequest or the newest version does: (engine, version, component).
/// An empty component stands for the topology. Such objects read as databases without it.
const ABSENT: [(&str, &str, &str); 7] = [
    ("db2", "v1alpha2", "exporter"),
    ("documentdb", "v1alpha2", "arbiter"),
    ("documentdb", "v1alpha2", "exporter"),
    ("documentdb", "v1alpha2", "readReplicas"),
    ("mariadb", "v1alpha2", "maxscale"),
    ("mariadb", "v1alpha2", ""),
    ("postgres", "v1alpha2", "readReplicas"),
];

/// What does not fit of one engine.
fn faults(folder: &Path, engine: &Engine) -> Vec<String> {
    let mut faults = Vec::new();
    let database = definition(folder, &format!("kubedb.com_{}", engine.plural));
    let operation = definition(folder, &format!("ops.kubedb.com_{}", engine.ops_plural()));
    let mut check = |ok: bool, what: String| {
        if !ok {
            faults.push(format!("{}: {what}", engine.name));
        }
    };
    let served: BTreeSet<&str> = database["spec"]["versions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|v| v["served"] == true)
        .map(|v| v["name"].as_str().unwrap())
        .collect();
    check(served == engine.versions.iter().map(String::as_str).collect(), format!("versions are {served:?}"));
    check(database["spec"]["names"]["kind"] == engine.kind.as_str(), "the kind".to_owned());
    check(database["spec"]["names"]["shortNames"] == serde_json::json!(engine.short), "the short names".to_owned());
    let ask_root = &operation["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let types = &ask_root["properties"]["type"]["enum"];
    check(types == &serde_json::json!(engine.types), format!("the types are {types}"));
    check(ask_root["properties"].get(&engine.reference).is_some(), format!("no field {}", engine.reference));
    check(ask_root["properties"].get("maxRetries").is_some() == engine.max_retries, "maxRetries".to_owned());
    for version in database["spec"]["versions"].as_array().unwrap() {
        let name = version["name"].as_str().unwrap();
        check((version["storage"] == true) == (engine.versions[0] == name), format!("{name} is stored or not"));
        let root = &version["schema"]["openAPIV3Schema"];
        for (key, component) in &engine.components {
            let counts = [&component.replicas, &component.shards].into_iter().flatten();
            // An older version has a number at the same place, or at the one that the catalog names for it.
            let numbers = counts.filter(|count| count.at.is_some()).map(|count| {
                let places = [count.at.as_ref(), count.older.as_ref()];
                (count.at.as_ref(), places.into_iter().flatten().any(|at| schema(root, at).is_some()))
            });
            let claims = component.storage.as_ref().and_then(|s| s.at.as_ref());
            let sizes = claims.map(|at| at.field("resources").field("requests"));
            let kind = component.storage.as_ref().and_then(|s| s.kind.as_ref());
            let resources = component.resources.as_ref().and_then(|r| r.at.as_ref()?.of(name));
            let places = [component.exists.as_ref(), sizes.as_ref(), kind, resources].into_iter().flatten();
            let found = places.map(|at| (Some(at), schema(root, at).is_some()));
            for (at, there) in numbers.chain(found) {
                let Some(at) = at else { continue };
                let absent = ABSENT.contains(&(engine.name.as_str(), name, key.as_str()));
                check(there || absent, format!("{name} {key}: there is no {at}"));
            }
        }
        let tests = engine.topologies.iter().flat_map(|t| &t.when);
        for when in tests {
            let (When::Present { present: at }
            | When::Absent { absent: at }
            | When::Is { at, .. }
            | When::AtMost { at, .. }) = when;
            let absent = ABSENT.contains(&(engine.name.as_str(), name, ""));
            check(schema(root, at).is_some() || absent, format!("{name}: there is no {at}"));
        }
    }
    for (key, component) in &engine.components {
        for count in [&component.replicas, &component.shards].into_iter().flatten() {
            if let Some(ask) = &count.ask {
                let kind = schema(ask_root, ask).map(|s| &s["type"]);
                check(kind == Some(&"integer".into()), format!("{key}: {ask} is {kind:?}"));
            }
        }
        if let Some(ask) = component.resources.as_ref().and_then(|r| r.ask.as_ref()) {
            check(schema(ask_root, &ask.field("resources")).is_some(), format!("{key}: no {ask}/resources"));
        }
        if let Some(ask) = component.storage.as_ref().and_then(|s| s.ask.as_ref()) {
            let amount = schema(ask_root, ask).is_some_and(|s| s["x-kubernetes-int-or-string"] == true);
            check(amount, format!("{key}: {ask} is no amount"));
        }
    }
    for lost in unaccounted(engine, ask_root) {
        check(false, format!("{lost} is in no component and not among the unused fields"));
    }
    faults
}

/// Fields of the scaling stanzas that neither a component nor the list of unused fields has.
fn unaccounted(engine: &Engine, root: &Value) -> Vec<String> {
    let mut known: BTreeSet<String> = engine.unused.keys().map(ToString::to_string).collect();
    for component in engine.components.values() {
        for count in [&component.replicas, &component.shards].into_iter().flatten() {
            known.extend(count.ask.as_ref().map(ToString::to_string));
            known.extend(count.with.keys().map(ToString::to_string));
        }
        known.extend(component.resources.as_ref().and_then(|r| r.ask.as_ref()).map(ToString::to_string));
        known.extend(component.storage.as_ref().and_then(|s| s.ask.as_ref()).map(ToString::to_string));
    }
    let mut lost = Vec::new();
    for stanza in ["verticalScaling", "horizontalScaling", "volumeExpansion"] {
        if let Some(schema) = root["properties"].get(stanza) {
            known.insert(format!("/{stanza}/mode"));
            walk(&format!("/{stanza}"), schema, &known, &mut lost);
        }
    }
    lost
}

fn walk(path: &str, schema: &Value, known: &BTreeSet<String>, lost: &mut Vec<String>) {
    if known.contains(path) {
        return;
    }
    let below = |prefix: String| known.iter().any(|k| k.starts_with(&prefix));
    let item = format!("{path}[name=*]");
    if schema.get("items").is_some() && below(format!("{item}/")) {
        let fields = schema["items"]["properties"].as_object().into_iter().flatten();
        fields.filter(|(name, _)| *name != "name").for_each(|(n, s)| walk(&format!("{item}/{n}"), s, known, lost));
    } else if let Some(fields) = schema["properties"].as_object()
        && (below(format!("{path}/")) || path.matches('/').count() == 1)
    {
        fields.iter().for_each(|(name, schema)| walk(&format!("{path}/{name}"), schema, known, lost));
    } else if path.matches('/').count() > 1 {
        lost.push(path.to_owned());
    }
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

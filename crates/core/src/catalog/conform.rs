//! The catalog against a cluster's own resource definitions, field by field.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Engine, Pointer, STANZAS, Segment, When};

/// A place where the definitions are not as the catalog has them.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Misfit {
    /// What it is; a sentence without its full stop.
    pub message: String,
    /// Whether something that dbscale reads or writes is not there; else there is only more, or something is called otherwise.
    pub breaks: bool,
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

/// What does not fit of one engine. `database` and `operation` are the CustomResourceDefinitions of its databases and of its
/// OpsRequests.
#[must_use]
pub fn misfits(engine: &Engine, database: &Value, operation: &Value) -> Vec<Misfit> {
    let mut found = Vec::new();
    of_names(engine, database, operation, &mut found);
    for version in list(database, "/spec/versions") {
        of_version(engine, version, &mut found);
    }
    of_requests(engine, ask_root(operation), &mut found);
    found
}

/// Notes what does not hold.
fn check(found: &mut Vec<Misfit>, holds: bool, breaks: bool, message: impl FnOnce() -> String) {
    if !holds {
        found.push(Misfit { message: message(), breaks });
    }
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The schema of an OpsRequest's spec.
fn ask_root(operation: &Value) -> &Value {
    &operation["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
}

fn of_names(engine: &Engine, database: &Value, operation: &Value, found: &mut Vec<Misfit>) {
    let served = list(database, "/spec/versions").iter().filter(|v| v["served"] == true);
    let served: BTreeSet<&str> = served.filter_map(|v| v["name"].as_str()).collect();
    let known: BTreeSet<&str> = engine.versions.iter().map(String::as_str).collect();
    let words = |versions: &BTreeSet<&str>| versions.iter().copied().collect::<Vec<_>>().join(" and ");
    check(found, served == known, known.is_disjoint(&served), || {
        format!("{} is served as {}, the catalog knows {}", engine.kind, words(&served), words(&known))
    });
    let names = &database["spec"]["names"];
    check(found, names["kind"] == engine.kind.as_str(), true, || format!("the kind is {}", names["kind"]));
    let short = names["shortNames"] == serde_json::json!(engine.short);
    check(found, short, false, || format!("the short names are {}", names["shortNames"]));
    let root = ask_root(operation);
    let types = &root["properties"]["type"]["enum"];
    let has = |name: &str| types.as_array().is_some_and(|all| all.iter().any(|t| t == name));
    let scaling = STANZAS.iter().map(|s| s.ops_type).filter(|t| engine.types.iter().any(|known| known == t));
    let lacks_one = scaling.into_iter().any(|ops_type| !has(ops_type));
    check(found, *types == serde_json::json!(engine.types), lacks_one, || {
        format!("the types of OpsRequests are {types}")
    });
    let reference = root["properties"].get(&engine.reference).is_some();
    check(found, reference, true, || format!("an OpsRequest has no field {}", engine.reference));
    let retries = root["properties"].get("maxRetries").is_some();
    let word = if retries { "has" } else { "has no" };
    check(found, retries == engine.max_retries, !retries, || format!("an OpsRequest {word} maxRetries"));
}

fn of_version(engine: &Engine, version: &Value, found: &mut Vec<Misfit>) {
    let name = version["name"].as_str().unwrap_or_default();
    let stored = (version["storage"] == true) == (engine.versions.first().is_some_and(|first| first == name));
    check(found, stored, false, || format!("{name} is the stored version, or is not"));
    if !engine.versions.iter().any(|known| known == name) {
        return; // told as a version already
    }
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
        let places = places.map(|at| (Some(at), schema(root, at).is_some()));
        for (at, there) in numbers.chain(places) {
            let Some(at) = at else { continue };
            let absent = ABSENT.contains(&(engine.name.as_str(), name, key.as_str()));
            check(found, there || absent, true, || format!("{name} has no {at}, where {key} would be"));
        }
    }
    for when in engine.topologies.iter().flat_map(|t| &t.when) {
        let (When::Present { present: at }
        | When::Absent { absent: at }
        | When::Is { at, .. }
        | When::AtMost { at, .. }) = when;
        let absent = ABSENT.contains(&(engine.name.as_str(), name, ""));
        check(found, schema(root, at).is_some() || absent, true, || {
            format!("{name} has no {at}, which tells the topology")
        });
    }
}

fn of_requests(engine: &Engine, root: &Value, found: &mut Vec<Misfit>) {
    for (key, component) in &engine.components {
        for ask in [&component.replicas, &component.shards].into_iter().flatten().filter_map(|count| count.ask.as_ref())
        {
            let kind = schema(root, ask).map(|s| &s["type"]);
            let told = || format!("an OpsRequest has no whole number at {ask}, where {key} is asked for");
            check(found, kind == Some(&"integer".into()), true, told);
        }
        if let Some(ask) = component.resources.as_ref().and_then(|r| r.ask.as_ref()) {
            let there = schema(root, &ask.field("resources")).is_some();
            check(found, there, true, || format!("an OpsRequest has no {ask}/resources, where {key} is sized"));
        }
        if let Some(ask) = component.storage.as_ref().and_then(|s| s.ask.as_ref()) {
            let amount = schema(root, ask).is_some_and(|s| s["x-kubernetes-int-or-string"] == true);
            check(found, amount, true, || format!("an OpsRequest has no amount at {ask}, where {key} grows"));
        }
    }
    for more in unaccounted(engine, root) {
        check(found, false, false, || format!("an OpsRequest has {more}, which the catalog does not know"));
    }
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
    for stanza in STANZAS.map(|stanza| stanza.field) {
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

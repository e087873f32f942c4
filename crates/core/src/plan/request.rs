//! The OpsRequests of a plan, in the shape that each engine's CRD wants.

use serde_json::{Map, Value, json};

use super::resend::present_values;
use super::{BEFORE, Intent, MANAGED_BY, PlanError, REQUEST_ID, REQUESTED_BY, RequestStep, SIZE, Stamp, request_name};
use crate::amount::ResourceSet;
use crate::catalog::{Count, OPS_GROUP, OPS_VERSION};
use crate::change::{Change, HORIZONTAL, Stanza, VERTICAL, VOLUME};
use crate::database::{ComponentView, Database};
use crate::quantity::Quantity;

/// The counts that differ from the present ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub replicas: Option<i64>,
    pub shards: Option<i64>,
}

/// The resources that a wish leads to; `None` where it asks for none, or for what is there.
///
/// Requests and limits get the same value; what is not given stays as it is, and so does every other resource.
///
/// # Errors
/// [`PlanError::Incomplete`] where one of the two is neither given nor there.
pub(super) fn wanted_resources(view: &ComponentView, intent: &Intent) -> Result<Option<ResourceSet>, PlanError> {
    let given = [("cpu", intent.cpu), ("memory", intent.memory)];
    if given.iter().all(|(_, amount)| amount.is_none()) {
        return Ok(None);
    }
    let present = view.resources().cloned().unwrap_or_default();
    let mut wanted = present.clone();
    for (name, amount) in given {
        match amount {
            Some(amount) => wanted = wanted.with(name, amount),
            None if present.size(name).is_some() => {}
            None => return Err(PlanError::Incomplete { component: view.name(), missing: name }),
        }
    }
    let there = view.resources().is_some_and(|present| present.same_as(&wanted));
    Ok((!there).then_some(wanted))
}

/// A VerticalScaling of one component.
pub(super) fn vertical(
    database: &Database,
    view: &ComponentView,
    resources: &ResourceSet,
    intent: &Intent,
    stamp: &Stamp,
    index: usize,
) -> RequestStep {
    let mut spec = json!({});
    if let Some(ask) = view.component.resources.as_ref().and_then(|r| r.ask.as_ref()) {
        view.narrowed(ask).field("resources").set(&mut spec, resources.to_json());
    }
    if let Some(mode) = &intent.vertical_mode {
        spec[VERTICAL.field]["mode"] = json!(mode);
    }
    let before = json!({"resources": view.resources().map(ResourceSet::to_json)});
    let mut step = build(database, view, &VERTICAL, spec, before, intent, stamp, index);
    if let Some(size) = &intent.size {
        step.object["metadata"]["annotations"][SIZE] = json!(size);
    }
    step
}

/// A HorizontalScaling of one component. A count that KubeDB wants along with another is taken from the object.
pub(super) fn horizontal(
    database: &Database,
    view: &ComponentView,
    counts: Counts,
    intent: &Intent,
    stamp: &Stamp,
    index: usize,
) -> RequestStep {
    let mut spec = json!({});
    let mut before = Map::new();
    let kinds = [
        ("replicas", &view.component.replicas, counts.replicas, view.replicas()),
        ("shards", &view.component.shards, counts.shards, view.shards()),
    ];
    for (name, count, wanted, present) in kinds {
        let Some(Count { ask: Some(ask), with, together, .. }) = count else { continue };
        let Some(number) = wanted.or(if *together { present } else { None }) else { continue };
        view.narrowed(ask).set(&mut spec, json!(number));
        for (pointer, value) in with {
            pointer.set(&mut spec, value.clone());
        }
        before.insert(name.to_owned(), json!(present));
    }
    build(database, view, &HORIZONTAL, spec, Value::Object(before), intent, stamp, index)
}

/// A VolumeExpansion of one component. KubeDB's documents call Online the default, its CRDs require the mode.
pub(super) fn volume(
    database: &Database,
    view: &ComponentView,
    size: Quantity,
    intent: &Intent,
    stamp: &Stamp,
    index: usize,
) -> RequestStep {
    let mut spec = json!({VOLUME.field: {"mode": intent.volume_mode.as_deref().unwrap_or("Online")}});
    if let Some(ask) = view.component.storage.as_ref().and_then(|s| s.ask.as_ref()) {
        view.narrowed(ask).set(&mut spec, json!(size.to_string()));
    }
    let before = json!({"storage": view.storage().map(|q| q.to_string())});
    build(database, view, &VOLUME, spec, before, intent, stamp, index)
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one object; a struct for this one call would only rename them"
)]
fn build(
    database: &Database,
    view: &ComponentView,
    stanza: &'static Stanza,
    mut spec: Value,
    mut before: Value,
    intent: &Intent,
    stamp: &Stamp,
    index: usize,
) -> RequestStep {
    let engine = database.engine;
    let offset = i64::try_from(index).unwrap_or(0);
    let name = match &stamp.name {
        Some(name) if index == 0 => name.clone(),
        Some(name) => format!("{name}-{}", index + 1),
        None => request_name(&database.name, stamp.unix_seconds + offset),
    };
    spec["type"] = json!(stanza.ops_type);
    if let Some(apply) = &intent.apply {
        spec["apply"] = json!(apply);
    }
    if let Some(timeout) = &intent.timeout {
        spec["timeout"] = json!(timeout);
    }
    if let Some(retries) = intent.max_retries.filter(|_| engine.max_retries) {
        spec["maxRetries"] = json!(retries);
    }
    before["component"] = json!(view.name());
    let mut annotations = marks(stamp, index);
    annotations[BEFORE] = json!(before.to_string());
    let object = object(database, &name, spec, &annotations);
    let change = Change::of_request(engine, &object, Some(database));
    RequestStep { ops_type: stanza.ops_type, object, change }
}

/// An OpsRequest with a spec that is there already; its values from before are noted as those of any other.
pub(super) fn whole(
    database: &Database,
    ops_type: &'static str,
    spec: Value,
    more: &[(&str, &str)],
    stamp: &Stamp,
) -> RequestStep {
    let name = stamp.name.clone().unwrap_or_else(|| request_name(&database.name, stamp.unix_seconds));
    let mut annotations = marks(stamp, 0);
    for (key, value) in more {
        annotations[*key] = json!(value);
    }
    let mut object = object(database, &name, spec, &annotations);
    let change = Change::of_request(database.engine, &object, Some(database));
    if let Some(before) = present_values(database, &change, ops_type) {
        object["metadata"]["annotations"][BEFORE] = json!(before.to_string());
    }
    RequestStep { ops_type, object, change }
}

/// The annotations by which a request is recognised, and who asked.
fn marks(stamp: &Stamp, index: usize) -> Value {
    let mut annotations = json!({REQUEST_ID: format!("{}-{}", stamp.request_id, index + 1)});
    if let Some(user) = &stamp.requested_by {
        annotations[REQUESTED_BY] = json!(user);
    }
    annotations
}

/// An OpsRequest for a database.
pub(crate) fn object(database: &Database, name: &str, mut spec: Value, annotations: &Value) -> Value {
    let engine = database.engine;
    spec[engine.reference.as_str()] = json!({"name": database.name});
    json!({
        "apiVersion": format!("{OPS_GROUP}/{OPS_VERSION}"),
        "kind": engine.ops_kind(),
        "metadata": {
            "name": name,
            "namespace": database.namespace,
            "labels": {MANAGED_BY.0: MANAGED_BY.1},
            "annotations": annotations,
        },
        "spec": spec,
    })
}

/// Brings an annotation of `from` into `object`; two JSON objects become one.
pub(super) fn merge_annotation(object: &mut Value, from: &Value, key: &str) {
    let Some(theirs) = from["metadata"]["annotations"][key].as_str() else { return };
    let mine = object["metadata"]["annotations"][key].as_str().and_then(|t| serde_json::from_str::<Value>(t).ok());
    let merged = match (mine, serde_json::from_str::<Value>(theirs)) {
        (Some(Value::Object(mut mine)), Ok(Value::Object(theirs))) => {
            mine.extend(theirs);
            Value::Object(mine).to_string()
        }
        _ => theirs.to_owned(),
    };
    object["metadata"]["annotations"][key] = json!(merged);
}

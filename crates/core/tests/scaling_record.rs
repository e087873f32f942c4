//! The ScalingRecord's definition against what the controller writes: a field that only one of them has fails.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::collections::BTreeSet;
use std::path::Path;

use dbscale_core::record::{Delta, GROUP, Growth, KIND, Overdue, PLURAL, Past, Rollback, Status, Tracked, VERSION};
use serde_json::Value;

fn definition() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/crds/scalingrecords.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A status in which nothing is left out.
fn full() -> Status {
    let text = || "x".to_owned();
    let changes = || vec![Delta { before: Some(text()), ..Delta::default() }];
    Status {
        reason: text(),
        message: text(),
        last: text(),
        operations: vec![Tracked {
            started_at: Some(epoch()),
            waiting_from: Some(epoch()),
            overdue: Some(Overdue::default()),
            requested_by: Some(text()),
            changes: changes(),
            ..Tracked::default()
        }],
        history: vec![Past {
            reason: text(),
            message: text(),
            requested_by: Some(text()),
            started_at: Some(epoch()),
            duration_seconds: Some(1),
            changes: changes(),
            effect: Some(text()),
            rollback: Some(Rollback { name: text(), message: text(), ..Rollback::default() }),
            ..Past::default()
        }],
        history_dropped: 1,
        storage: Some(Growth {
            request_id: text(),
            requested_by: Some(text()),
            changes: changes(),
            message: text(),
            ..Growth::default()
        }),
        observed_at: Some(epoch()),
        ..Status::default()
    }
}

fn epoch() -> jiff::Timestamp {
    jiff::Timestamp::UNIX_EPOCH
}

fn written(path: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                written(&format!("{path}.{name}"), value, into);
            }
        }
        Value::Array(items) => {
            for item in items {
                written(&format!("{path}[]"), item, into);
            }
        }
        Value::Number(_) => drop(into.insert(format!("{path}: integer"))),
        _ => drop(into.insert(format!("{path}: string"))),
    }
}

fn defined(path: &str, schema: &Value, into: &mut BTreeSet<String>) {
    match schema["type"].as_str() {
        Some("object") => {
            for (name, schema) in schema["properties"].as_object().unwrap() {
                defined(&format!("{path}.{name}"), schema, into);
            }
        }
        Some("array") => defined(&format!("{path}[]"), &schema["items"], into),
        Some(kind) => drop(into.insert(format!("{path}: {kind}"))),
        None => panic!("{path} has no type"),
    }
}

#[test]
fn the_definition_has_the_fields_that_are_written_and_no_others() {
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    written("status", &serde_json::to_value(full()).unwrap(), &mut ours);
    let definition = definition();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
    defined("status", schema, &mut theirs);
    assert_eq!(ours, theirs);
}

#[test]
fn the_definition_is_called_as_the_controller_calls_it() {
    let definition = definition();
    let spec = &definition["spec"];
    let columns: Vec<&str> = spec["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|c| c["name"].as_str())
        .collect();
    assert_eq!(columns, ["ENGINE", "DATABASE", "STATUS", "LAST", "AGE", "MESSAGE"]);
    assert_eq!(
        (&spec["group"], &spec["names"]["kind"], &spec["names"]["plural"]),
        (&GROUP.into(), &KIND.into(), &PLURAL.into())
    );
    assert_eq!(spec["versions"][0]["name"], VERSION);
}

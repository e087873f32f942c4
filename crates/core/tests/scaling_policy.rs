//! The ScalingPolicy's definition against what is read: a field or word that only one of them has fails.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::collections::BTreeSet;
use std::path::Path;

use dbscale_core::catalog::Catalog;
use dbscale_core::record::GROUP;
use dbscale_core::scaling_policy::{
    Breach, Classes, Condition, Expression, KIND, MOST_NAMED, Operations, Outside, OwnClass, PLURAL, Range, Retention,
    ScalingPolicy, Selector, Span, Spec, Status, VERSION,
};
use jiff::Timestamp;
use serde_json::{Value, json};

fn definition() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/crds/scalingpolicies.yaml");
    serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn schema(definition: &Value) -> &Value {
    &properties(definition)["spec"]
}

fn properties(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
}

/// A value with everything in it that a schema knows; of an enumeration the so many-th word.
fn filled(schema: &Value, word: usize) -> Value {
    if let Some(words) = schema["enum"].as_array() {
        return words[word % words.len()].clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let own = properties.map(|(name, schema)| (name.clone(), filled(schema, word)));
            let any = schema.get("additionalProperties").map(|schema| ("x".to_owned(), filled(schema, word)));
            Value::Object(own.chain(any).collect())
        }
        Some("array") => json!([filled(&schema["items"], word)]),
        Some("integer") => json!(7),
        // A duration, where only such a text may stand.
        Some("string") if !schema["x-kubernetes-validations"].is_null() => json!("10m"),
        Some("string") => json!("x"),
        None if schema["x-kubernetes-int-or-string"] == true => json!("7Gi"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_definition_has_the_fields_that_are_read_and_no_others() {
    let definition = definition();
    let words = Catalog::builtin().engines().count();
    for word in 0..words {
        let object = json!({"metadata": {"name": "a"}, "spec": filled(schema(&definition), word)});
        let policy = ScalingPolicy::of(&object).unwrap_or_else(|unreadable| panic!("{unreadable:?}: {object}"));
        assert!(is_full(policy.spec), "{object}");
    }
}

/// Whether nothing is left out. Every field is named here, so that a new one is thought of.
fn is_full(spec: Spec) -> bool {
    let Spec {
        namespace_selector: Some(namespaces),
        selector: Some(selector),
        engines,
        replicas: Some(Range { min: Some(_), max: Some(_), max_step: Some(_) }),
        storage: Some(Range { min: Some(_), max: Some(_), max_step: Some(_) }),
        cpu: Some(Span { min: Some(_), max: Some(_) }),
        memory: Some(Span { min: Some(_), max: Some(_) }),
        sizes: Some(Classes { allowed, own }),
        operations: Some(Operations { per_namespace: Some(_), per_cluster: Some(_) }),
        direct_edits: Some(_),
        retention: Some(Retention { count: Some(_), age: Some(_) }),
        monitoring_timeout: Some(_),
        rollback: Some(_),
    } = spec
    else {
        return false;
    };
    let whole = |Selector { match_labels, match_expressions }: Selector| {
        let tests = |Expression { key, operator: _, values }: &Expression| !key.is_empty() && !values.is_empty();
        !match_labels.is_empty() && match_expressions.iter().all(tests) && match_expressions.len() == 1
    };
    let amounts = own.values().all(|OwnClass { cpu, memory }| !cpu.is_zero() && !memory.is_zero());
    whole(namespaces) && whole(selector) && engines.len() == 1 && allowed.len() == 1 && own.len() == 1 && amounts
}

/// A status with everything in it.
fn full() -> Status {
    let breach = Breach { field: text(), component: text(), has: text(), allowed: text() };
    Status {
        observed_generation: 1,
        covers: Some(2),
        outside: Some(1),
        databases_outside: vec![Outside { engine: text(), namespace: text(), name: text(), breaks: vec![breach] }],
        conditions: vec![Condition {
            kind: text(),
            status: text(),
            reason: text(),
            message: text(),
            last_transition_time: Timestamp::UNIX_EPOCH,
        }],
    }
}

fn text() -> String {
    "x".to_owned()
}

fn written(path: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| written(&format!("{path}.{name}"), value, into));
        }
        Value::Array(items) => items.iter().for_each(|item| written(&format!("{path}[]"), item, into)),
        Value::Number(_) => drop(into.insert(format!("{path}: integer"))),
        _ => drop(into.insert(format!("{path}: string"))),
    }
}

fn defined(path: &str, schema: &Value, into: &mut BTreeSet<String>) {
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().unwrap();
            properties.iter().for_each(|(name, schema)| defined(&format!("{path}.{name}"), schema, into));
        }
        Some("array") => defined(&format!("{path}[]"), &schema["items"], into),
        Some(kind) => drop(into.insert(format!("{path}: {kind}"))),
        None => panic!("{path} has no type"),
    }
}

#[test]
fn the_status_has_the_fields_that_are_written_and_no_others() {
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    written("status", &serde_json::to_value(full()).unwrap(), &mut ours);
    let definition = definition();
    let status = &properties(&definition)["status"];
    defined("status", status, &mut theirs);
    assert_eq!(ours, theirs);
    assert_eq!(status["properties"]["databasesOutside"]["maxItems"], MOST_NAMED);
    assert!(definition["spec"]["versions"][0]["subresources"]["status"].is_object());
}

#[test]
fn the_definition_knows_the_engines_of_the_catalog() {
    let definition = definition();
    let engines: Vec<&str> = schema(&definition)["properties"]["engines"]["items"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(engines, Catalog::builtin().engines().map(|e| e.name.as_str()).collect::<Vec<_>>());
}

#[test]
fn the_definition_is_called_as_it_is_asked_for() {
    let definition = definition();
    let spec = &definition["spec"];
    assert_eq!(
        (&spec["group"], &spec["names"]["kind"], &spec["names"]["plural"], &spec["scope"]),
        (&GROUP.into(), &KIND.into(), &PLURAL.into(), &"Cluster".into())
    );
    assert_eq!(spec["versions"][0]["name"], VERSION);
}

/// `1e999999999` would keep the API server busy for half an hour: no amount is computed before its form is known.
#[test]
fn no_amount_is_computed_before_its_form_is_known() {
    let text = definition().to_string();
    let rules: Vec<&str> = text.match_indices("\"rule\":\"").map(|(at, m)| &text[at + m.len()..]).collect();
    let rules = rules.iter().filter_map(|rest| rest.split_once("\",\"").or_else(|| rest.split_once("\"}")));
    let computing: Vec<&str> = rules.map(|(rule, _)| rule).filter(|rule| rule.contains("quantity(")).collect();
    assert_eq!(computing.len(), 3 + 4 + 2);
    for rule in computing {
        assert!(rule.trim_start().starts_with('!'), "{rule}");
        assert!(rule.find(".matches('^(").unwrap() < rule.find("quantity(").unwrap(), "{rule}");
    }
}

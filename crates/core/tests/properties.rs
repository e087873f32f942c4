//! Laws of the rules, over engines, topologies, values and any JSON at all.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::collections::BTreeSet;

use common::{database, denials, facts, present, request, verdict};
use dbscale_core::catalog::{Catalog, Component, Engine, Topology};
use dbscale_core::change::Change;
use dbscale_core::database::Database;
use dbscale_core::facts::{Case, Facts};
use dbscale_core::finding::Finding;
use dbscale_core::plan::{Intent, Plan, Stamp, Step, StorageVia, plan};
use dbscale_core::quantity::Quantity;
use dbscale_core::rules::judge;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

type Place = (&'static Engine, &'static Topology, &'static Component);

/// Every component of every topology.
fn places() -> Vec<Place> {
    let topologies = Catalog::builtin().engines().flat_map(|e| e.topologies.iter().map(move |t| (e, t)));
    topologies.flat_map(|(e, t)| e.components_of(t).map(move |c| (e, t, c))).collect()
}

/// Components whose volumes an OpsRequest grows.
fn with_volumes() -> Vec<Place> {
    places()
        .into_iter()
        .filter(|(.., c)| c.storage.as_ref().is_some_and(|s| s.at.is_some() && s.ask.is_some()))
        .collect()
}

/// Components that both versions of a database have a place for.
fn in_two_versions() -> Vec<Place> {
    let in_all = |e: &Engine, c: &Component| {
        let at = c.resources.as_ref().and_then(|r| r.at.as_ref());
        at.is_none_or(|at| e.versions.iter().all(|v| at.of(v).is_some()))
    };
    places().into_iter().filter(|(e, _, c)| e.versions.len() == 2 && in_all(e, c)).collect()
}

fn stamp() -> Stamp {
    let requested_by = Some("ann".to_owned());
    Stamp { unix_seconds: 1_763_937_600, request_id: "id".to_owned(), requested_by, name: None }
}

/// What is said, without the words: they repeat the values as they were written.
fn gist(findings: &[Finding]) -> BTreeSet<(&'static str, bool, String)> {
    findings.iter().map(|f| (f.rule.0, f.refuses(), f.path.clone())).collect()
}

fn speaks(finding: &Finding) -> bool {
    !finding.message.is_empty() && dbscale_core::rules::find(finding.rule.0).is_some()
}

fn planned(place: &Place, intent: &Intent) -> Option<(Plan, Facts)> {
    let (engine, topology, component) = place;
    let facts = facts(engine, &database(engine, topology, &engine.versions[0]));
    let view = facts.database.here()?.components.iter().find(|c| std::ptr::eq(c.component, *component))?;
    let intent = Intent { component: Some(view.name()), ..intent.clone() };
    plan(&facts, &intent, &stamp()).ok().map(|plan| (plan, facts))
}

/// Any wish at all, right or wrong.
fn any_intent() -> impl Strategy<Value = Intent> {
    let number = || prop::option::of(prop_oneof![-3_i64..12, any::<i32>().prop_map(i64::from)]);
    let amount = || prop::option::of((-5_i64..200).prop_map(Quantity::from_units));
    let bytes = || prop::option::of((0_u64..1 << 40).prop_map(Quantity::from_bytes));
    let via = select(vec![StorageVia::Patch, StorageVia::OpsRequest]);
    (number(), number(), amount(), bytes(), bytes(), via).prop_map(|(replicas, shards, cpu, memory, storage, via)| {
        Intent { replicas, shards, cpu, memory, storage, via, ..Intent::default() }
    })
}

/// Any JSON, a few levels deep, with the words of OpsRequests among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let key = select(vec![
        "spec",
        "type",
        "databaseRef",
        "proxyRef",
        "name",
        "horizontalScaling",
        "verticalScaling",
        "volumeExpansion",
        "mode",
        "replicas",
        "shards",
        "member",
        "node",
        "topology",
        "shard",
        "readReplicas",
        "resources",
        "limits",
        "requests",
        "cpu",
        "timeout",
        "apply",
        "maxRetries",
        "announce",
        "endpoints",
        "metadata",
        "status",
        "phase",
        "x",
    ]);
    let word = select(vec![
        "",
        "HorizontalScaling",
        "VolumeExpansion",
        "Restart",
        "50Gi",
        "1e999999999",
        "-5m",
        "Online",
        "µ",
        "db",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

/// The same document with every list of named items the other way round.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), reversed(v))).collect::<Map<_, _>>().into(),
        Value::Array(items) if items.iter().all(|i| i.get("name").is_some()) => {
            items.iter().rev().map(reversed).collect()
        }
        other => other.clone(),
    }
}

/// The same document with each quantity in plain units: `1Gi` as a number of bytes, `2` CPUs as `2000m`.
fn respelled(value: &Value) -> Value {
    let plain = |text: &str| {
        let quantity: Quantity = text.parse().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit()))?;
        Some(Value::from(format!("{}n", quantity.nanos())))
    };
    match value {
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), respelled(v))).collect::<Map<_, _>>().into(),
        Value::Array(items) => items.iter().map(respelled).collect(),
        Value::String(text) => plain(text).unwrap_or_else(|| value.clone()),
        other => other.clone(),
    }
}

/// The rules that a plan's values may break; its form never does.
const OF_VALUES: [&str; 11] = [
    "replicas/minimum",
    "replicas/engine-bounds",
    "replicas/transition",
    "replicas/implausible",
    "resources/invalid",
    "resources/implausible",
    "resources/request-above-limit",
    "storage/minimum",
    "storage/no-shrink",
    "storage/not-greater",
    "storage/ephemeral",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is wished, what dbscale writes has the form that it asks of others; only values are refused.
    #[test]
    fn a_plan_is_never_refused_for_its_form(place in select(places()), intent in any_intent()) {
        let Some((plan, facts)) = planned(&place, &intent) else { return Ok(()) };
        for rule in denials(&plan.findings) {
            prop_assert!(OF_VALUES.contains(&rule), "{}: {rule}: {:?}", place.0.name, plan.findings);
        }
        for step in &plan.steps {
            if let Step::Request(step) = step {
                prop_assert_eq!(gist(&verdict(place.0, &step.object, &facts)), gist(&judge(&Case { change: &step.change, facts: &facts })));
            }
        }
    }

    /// A wish for more, within what the engine takes, is never refused.
    #[test]
    fn a_plan_that_grows_is_never_refused(
        place in select(places()), more in 0_i64..3, shards in 0_i64..3, cpu in 2_i64..200, memory in 2_u64..4_000, storage in 11_u64..60_000,
        wants in any::<[bool; 4]>(), via in select(vec![StorageVia::Patch, StorageVia::OpsRequest]),
    ) {
        let (engine, _, component) = &place;
        let grown = |count: &Option<dbscale_core::catalog::Count>, more: i64| {
            let count = count.as_ref().filter(|c| c.ask.is_some())?;
            Some((present(count) + more).min(count.max.unwrap_or(i64::MAX)))
        };
        let intent = Intent {
            replicas: grown(&component.replicas, more).filter(|_| wants[0]),
            shards: grown(&component.shards, shards).filter(|_| wants[1]),
            cpu: wants[2].then(|| Quantity::from_units(cpu)),
            memory: wants[2].then(|| Quantity::from_bytes(memory << 30)),
            storage: wants[3].then(|| Quantity::from_bytes(storage << 30)),
            via,
            ..Intent::default()
        };
        if let Some((plan, _)) = planned(&place, &intent) {
            prop_assert!(!plan.is_refused(), "{}: {:?}", engine.name, plan.findings);
        }
    }

    /// Of volumes, more is never refused and less always is, by a request and by an update of the database alike.
    #[test]
    fn volumes_only_grow(place in select(with_volumes()), present in 1_u64..1 << 46, wanted in 1_u64..1 << 46) {
        let (engine, topology, component) = place;
        prop_assume!(present >= 1_000_000_000 && wanted >= 1_000_000_000);
        let storage = component.storage.as_ref().unwrap();
        let sized = |bytes: u64| {
            let mut object = database(engine, topology, &engine.versions[0]);
            common::one_item(&storage.size).set(&mut object, json!(bytes.to_string()));
            object
        };
        let (old, new) = (facts(engine, &sized(present)), facts(engine, &sized(wanted)));
        let ask = request(engine, "VolumeExpansion", storage.ask.as_ref(), json!(wanted.to_string()));
        let asked = denials(&verdict(engine, &ask, &old));
        let change = Change::of_update(old.database.here().unwrap(), new.database.here().unwrap().clone());
        let patched = denials(&judge(&Case { change: &change, facts: &old }));
        let (of_request, of_update): (&[&str], &[&str]) = match wanted.cmp(&present) {
            std::cmp::Ordering::Less => (&["storage/no-shrink"], &["storage/no-shrink"]),
            std::cmp::Ordering::Equal => (&["storage/not-greater"], &[]),
            std::cmp::Ordering::Greater => (&[], &[]),
        };
        prop_assert_eq!((asked.as_slice(), patched.as_slice()), (of_request, of_update), "{}", engine.name);
    }

    /// A verdict depends on what is asked, not on the order of named items nor on how an amount is spelled. (A map has no order
    /// of fields to try: that of a text is tried where texts are read, in the plugin's tests.)
    #[test]
    fn neither_order_nor_spelling_decides(place in select(places()), intent in any_intent()) {
        let Some((plan, facts)) = planned(&place, &intent) else { return Ok(()) };
        let (engine, topology, _) = place;
        let object = database(engine, topology, &engine.versions[0]);
        for step in &plan.steps {
            let Step::Request(step) = step else { continue };
            let said = gist(&verdict(engine, &step.object, &facts));
            for other in [reversed as fn(&Value) -> Value, respelled] {
                let facts = common::facts(engine, &other(&object));
                let mut ask = step.object.clone();
                ask["spec"] = other(&ask["spec"]);
                prop_assert_eq!(&gist(&verdict(engine, &ask, &facts)), &said, "{}", engine.name);
            }
        }
    }

    /// The same database read in v1 and in v1alpha2 gets the same verdicts.
    #[test]
    fn the_version_of_the_database_does_not_decide(place in select(in_two_versions()), intent in any_intent()) {
        let (engine, topology, _) = place;
        let Some((plan, _)) = planned(&place, &intent) else { return Ok(()) };
        let facts = engine.versions.iter().map(|version| facts(engine, &database(engine, topology, version))).collect::<Vec<_>>();
        for step in &plan.steps {
            let Step::Request(step) = step else { continue };
            let said: Vec<_> = facts.iter().map(|facts| gist(&verdict(engine, &step.object, facts))).collect();
            prop_assert_eq!(&said[0], &said[1], "{}", engine.name);
        }
    }

    /// Any JSON is read and judged, as a request, as a change of one and as a database.
    #[test]
    fn nothing_makes_the_reader_or_a_rule_fail(place in select(places()), ask in any_json(), other in any_json(), at in any::<prop::sample::Index>()) {
        let (engine, topology, component) = place;
        let right = database(engine, topology, &engine.versions[0]);
        let known = facts(engine, &right);
        let mut half = request(engine, "HorizontalScaling", component.replicas.as_ref().and_then(|c| c.ask.as_ref()), json!(5));
        // A right request with one of its parts replaced by anything.
        let parts = ["/spec", "/spec/type", "/spec/horizontalScaling", "/metadata", "/metadata/name"];
        if let Some(part) = half.pointer_mut(parts[at.index(parts.len())]) {
            *part = other.clone();
        }
        for ask in [&ask, &half] {
            for facts in [&known, &Facts::default()] {
                let found = verdict(engine, ask, facts);
                prop_assert!(found.iter().all(speaks));
            }
            let change = Change::of_request_update(engine, &half, ask);
            let found = judge(&Case { change: &change, facts: &known });
            prop_assert!(found.iter().all(speaks));
        }
        let (old, new) = (Database::of(engine, &right), Database::of(engine, &other));
        for change in [Change::of_update(&old, new.clone()), Change::of_update(&new, old.clone()), Change::of_create(&new)] {
            let found = judge(&Case { change: &change, facts: &known });
            prop_assert!(found.iter().all(speaks));
        }
    }
}

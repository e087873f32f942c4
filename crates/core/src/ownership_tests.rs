use rstest::rstest;
use serde_json::json;

use super::*;
use crate::catalog::Catalog;

/// A made-up engine with everything that names can have: a prefix, shards, a follower of the shards, list items, a sidecar.
fn database() -> (Database, Value) {
    let engine = json!([{
        "name": "toy", "kind": "Toy", "plural": "toys", "versions": ["v1"], "types": ["HorizontalScaling"],
        "topologies": [{"name": "all", "title": "all", "components": ["node", "shard", "arbiter", "rack", "proxy", "exporter"]}],
        "components": {
            "node": {"replicas": {"at": "/spec/replicas"}, "pods": {"sets": ["{db}"], "claims": ["{db}-data", "data"]}},
            "shard": {
                "shards": {"at": "/spec/shard/shards"}, "replicas": {"at": "/spec/shard/replicas"},
                "pods": {"sets": ["{/spec/shard/prefix}{db}-shard{i}", "{db}-shard{i}"], "claims": ["datadir"],
                         "labels": {"toy/type": "shard", "toy/index": "{i}"}, "service": "{db}-shard{i}-pods"}
            },
            "arbiter": {"pods": {"sets": ["{db}-shard{i}-arbiter"], "instance": "{db}-mx"}},
            "rack": {"replicas": {"at": "/spec/rack[name=*]/replicas"}, "pods": {"sets": ["{db}-rack-{item}"], "claims": ["data"]}},
            "proxy": {"pods": {"sets": []}},
            "exporter": {"sidecarOf": "node"}
        }
    }]);
    let catalog: &'static Catalog = Box::leak(Box::new(Catalog::from_json(&engine.to_string()).unwrap()));
    let object = json!({"apiVersion": "kubedb.com/v1", "kind": "Toy", "metadata": {"name": "x", "namespace": "demo", "uid": "u"},
        "spec": {"replicas": 3, "shard": {"shards": 2, "replicas": 3}, "rack": [{"name": "r0"}, {"name": "a-b"}]}});
    (Database::of(catalog.find("toy").unwrap(), &object), object)
}

#[test]
fn every_workload_of_the_object() {
    let (database, object) = database();
    let found = workloads(&database, &object);
    let told: Vec<_> = found.iter().map(|w| (w.component, w.name.as_str(), w.shard, w.item.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("node", "x", None, None),
            ("shard", "x-shard0", Some(0), None),
            ("shard", "x-shard1", Some(1), None),
            ("arbiter", "x-shard0-arbiter", Some(0), None),
            ("arbiter", "x-shard1-arbiter", Some(1), None),
            ("rack", "x-rack-r0", None, Some("r0")),
            ("rack", "x-rack-a-b", None, Some("a-b")),
        ]
    );
}

#[rstest]
#[case::plain("x", &[("node", None)])]
#[case::a_shard("x-shard1", &[("shard", Some(1))])]
#[case::a_shard_beyond_the_object("x-shard12", &[("shard", Some(12))])]
#[case::the_arbiter_of_a_shard("x-shard1-arbiter", &[("arbiter", Some(1))])]
#[case::an_item("x-rack-a-b", &[("rack", None)])]
#[case::an_item_that_is_not_there("x-rack-r7", &[])]
#[case::no_number("x-shard", &[])]
#[case::padded_number("x-shard01", &[])]
#[case::signed_number("x-shard+1", &[])]
#[case::another_database("y", &[])]
fn back_from_the_name(#[case] name: &str, #[case] wanted: &[(&str, Option<i64>)]) {
    let (database, object) = database();
    let found: Vec<_> = components_of(&database, &object, name).iter().map(|w| (w.component, w.shard)).collect();
    assert_eq!(found, wanted);
}

#[test]
fn a_prefix_in_the_object_goes_before_the_plain_pattern() {
    let (database, mut object) = database();
    object["spec"]["shard"]["prefix"] = json!("eu-");
    let names: Vec<_> =
        workloads(&database, &object).into_iter().map(|w| w.name).filter(|n| n.contains("shard0")).collect();
    assert_eq!(names, ["eu-x-shard0", "x-shard0-arbiter"]);
    assert!(components_of(&database, &object, "x-shard0").is_empty());
    object["spec"]["shard"]["prefix"] = json!("");
    assert_eq!(components_of(&database, &object, "x-shard0").len(), 1);
}

#[test]
fn two_components_of_one_name_are_both_told() {
    let (mut database, object) = database();
    let again = database.components[0].clone();
    database.components.push(again);
    assert_eq!(components_of(&database, &object, "x").len(), 2);
}

#[rstest]
#[case::first("datadir-x-0", Some(0))]
#[case::tenth("datadir-x-10", Some(10))]
#[case::of_another_set("datadir-x-shard0-0", None)]
#[case::another_template("data-x-0", None)]
#[case::migration_copy("data-migrate-x-0", None)]
#[case::padded("datadir-x-00", None)]
#[case::none("datadir-x-", None)]
fn ordinals_of_claims(#[case] claim: &str, #[case] ordinal: Option<i64>) {
    assert_eq!(claim_ordinal(claim, "datadir", "x"), ordinal);
    if let Some(ordinal) = ordinal {
        assert_eq!(claim_name("datadir", "x", ordinal), claim);
    }
}

#[rstest]
#[case::first("x-0", Some(0))]
#[case::of_another_set("x-shard0-0", None)]
fn ordinals_of_pods(#[case] pod: &str, #[case] ordinal: Option<i64>) {
    assert_eq!(pod_ordinal(pod, "x"), ordinal);
}

#[test]
fn labels_templates_and_services() {
    let (database, object) = database();
    let pods = |key: &str| database.engine.components[key].pods.as_ref().unwrap();
    let base = base_labels(database.engine, Some(pods("shard")), &object);
    assert_eq!(
        serde_json::to_value(base).unwrap(),
        json!({NAME_LABEL: "toys.kubedb.com", INSTANCE_LABEL: "x", MANAGED_BY_LABEL: "kubedb.com"})
    );
    assert_eq!(base_labels(database.engine, Some(pods("arbiter")), &object)[INSTANCE_LABEL], "x-mx");
    let holes = Holes { shard: Some(1), item: None };
    assert_eq!(
        serde_json::to_value(extra_labels(pods("shard"), &object, holes)).unwrap(),
        json!({"toy/type": "shard", "toy/index": "1"})
    );
    assert_eq!(service_name(pods("shard"), &object, holes).as_deref(), Some("x-shard1-pods"));
    assert_eq!(service_name(pods("node"), &object, holes).as_deref(), Some("x-pods"));
    assert_eq!(claim_templates(pods("node"), &object, None), ["x-data", "data"]);
}

#[rstest]
#[case::open("{db", "a brace is not closed")]
#[case::unknown("{shard}", "'{shard}' is no hole")]
#[case::bad_place("{/spec//x}", "a step is empty")]
fn unreadable_patterns(#[case] pattern: &str, #[case] reason: &str) {
    let error = pattern.parse::<Pattern>().unwrap_err().to_string();
    assert!(error.contains(reason) && error.contains(pattern), "{error}");
}

#[test]
fn every_pattern_of_the_catalog_can_be_read() {
    for engine in Catalog::builtin().engines() {
        for (key, component) in &engine.components {
            for pattern in patterns(component) {
                assert!(pattern.parse::<Pattern>().is_ok(), "{} {key}: {pattern}", engine.name);
            }
        }
    }
}

//! What is found missing, and what is named as the cause.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::catalog::Catalog;

fn object() -> Value {
    let resources = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi"}});
    json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db", "namespace": "demo", "uid": "u"},
        "spec": {"replicaSet": {"name": "rs0"}, "replicas": 3, "storage": {"resources": {"requests": {"storage": "20Gi"}}},
            "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources}]}}}})
}

fn pod(name: &str, memory: &str, status: &Value) -> Value {
    json!({"metadata": {"name": name, "labels": {"app.kubernetes.io/instance": "db"},
            "ownerReferences": [{"kind": "PetSet", "name": "db", "controller": true}]},
        "spec": {"containers": [{"name": "mongodb", "resources": {"requests": {"memory": memory}, "limits": {"memory": memory}}}]},
        "status": status})
}

fn request(spec: &Value, database: &Database) -> Change {
    let mut object = json!({"metadata": {"name": "r", "namespace": "demo"}, "spec": spec});
    object["spec"]["databaseRef"] = json!({"name": "db"});
    Change::of_request(database.engine, &object, Some(database))
}

fn found(spec: &Value, object: &Value, pods: &[Value], object_too: bool) -> Vec<String> {
    let database = Database::of(Catalog::builtin().find("mongodb").unwrap(), object);
    let pods = pods_of(&database, object, pods);
    let claim = |name: &str, capacity: &str, idle| ClaimFact {
        name: name.to_owned(),
        component: "replicaSet".to_owned(),
        class: None,
        attributes: Vec::new(),
        requested: "50Gi".parse().unwrap(),
        capacity: capacity.parse().ok(),
        failed: None,
        idle,
    };
    // The second is left over from a member that was scaled away.
    let claims = [claim("datadir-db-0", "20Gi", false), claim("datadir-db-3", "10Gi", true)];
    let there = There { database: &database, object_too, pods: Some(&pods), claims: &claims };
    missing(&request(spec, &database), &there)
}

fn members(n: i64) -> Value {
    json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": n}})
}

fn memory(text: &str) -> Value {
    let amounts = json!({"memory": text});
    json!({"type": "VerticalScaling",
        "verticalScaling": {"replicaSet": {"resources": {"requests": amounts, "limits": amounts}}}})
}

#[rstest]
#[case::all_there(members(3), true, &[])]
#[case::object_and_pods_lack(members(5), true, &["the object says 3 members of replicaSet, not 5"])]
#[case::pods_lack(members(5), false, &["replicaSet has 3 of 5 pods"])]
#[case::too_many(members(2), false, &["replicaSet has 3 of 2 pods"])]
#[case::same_size_other_spelling(memory("2048Mi"), true, &[])]
#[case::object_has_other(memory("4Gi"), true, &["the object has other resources for replicaSet"])]
#[case::pods_have_other(memory("4Gi"), false, &["pod db-0 and 2 more of replicaSet have other resources"])]
#[case::volumes(json!({"type": "VolumeExpansion", "volumeExpansion": {"mode": "Online", "replicaSet": "50Gi"}}), false, &["claim datadir-db-0 is smaller than 50Gi"])]
#[case::a_stanza_that_the_type_does_not_name(
    json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": 3}, "verticalScaling": memory("4Gi")["verticalScaling"]}), true, &[])]
fn of_a_replica_set(#[case] spec: Value, #[case] object_too: bool, #[case] wanted: &[&str]) {
    let pods: Vec<Value> = (0..3).map(|i| pod(&format!("db-{i}"), "2Gi", &Value::Null)).collect();
    assert_eq!(found(&spec, &object(), &pods, object_too), wanted);
}

#[test]
fn shards_and_members_count_together() {
    let object = json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db"}, "spec": {"shardTopology": {
        "shard": {"shards": 2, "replicas": 2}, "configServer": {"replicas": 3}, "mongos": {"replicas": 2}}}});
    let pods: Vec<Value> = ["db-shard0-0", "db-shard0-1", "db-shard1-0", "db-shard1-1", "db-shard2-0"]
        .iter()
        .map(|name| {
            let mut pod = pod(name, "1Gi", &Value::Null);
            pod["metadata"]["ownerReferences"][0]["name"] = json!(&name[..9]);
            pod
        })
        .collect();
    let spec = json!({"type": "HorizontalScaling", "horizontalScaling": {"shard": {"shards": 3, "replicas": 2}}});
    assert_eq!(found(&spec, &object, &pods, false), ["shard has 5 of 6 pods"]);
}

#[test]
fn pods_of_a_database_with_a_longer_name_are_not_taken() {
    let mut other = pod("db-shard0-0", "2Gi", &Value::Null);
    other["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("db-shard0");
    let database = Database::of(Catalog::builtin().find("mongodb").unwrap(), &object());
    assert_eq!(pods_of(&database, &object(), &[other]), []);
}

#[rstest]
#[case::scheduling(
    json!({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]}),
    "pod db-0 does not fit on any node: 0/3 nodes are available"
)]
#[case::resize(
    json!({"conditions": [{"type": "PodResizePending", "status": "True", "reason": "Infeasible", "message": "node has 2 CPUs"}]}),
    "pod db-0 cannot be resized in place: node has 2 CPUs"
)]
#[case::image(
    json!({"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}),
    "pod db-0 does not start: ImagePullBackOff no such image"
)]
#[case::well(json!({}), "quota small is used up: pods 3 of 3")]
fn one_cause(#[case] status: Value, #[case] wanted: &str) {
    let database = Database::of(Catalog::builtin().find("mongodb").unwrap(), &object());
    let pods = pods_of(&database, &object(), &[pod("db-0", "2Gi", &status)]);
    let quota = json!({"metadata": {"name": "small"}, "status": {
        "hard": {"persistentvolumeclaims": "10", "pods": "3"}, "used": {"persistentvolumeclaims": "3", "pods": "3"}}});
    assert_eq!(cause(&pods, &[], &[quota], Some("get pod; ConditionStatus:False")).as_deref(), Some(wanted));
}

#[test]
fn the_conditions_come_last() {
    let none: [Value; 0] = [];
    assert_eq!(cause(&[], &[], &none, Some("i/o timeout")).as_deref(), Some("i/o timeout"));
    assert_eq!(cause(&[], &[], &none, Some("")), None);
}

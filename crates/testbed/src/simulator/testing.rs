//! What the tests of the pure parts share: a MongoDB replica set called `mg`, and what there is of it.

use std::sync::Arc;

use dbscale_core::catalog::Catalog;
use serde_json::{Value, json};

use super::layout::{self, Set};
use super::operation::{Goal, Present};

/// A replica set of three members with 1 CPU and 20Gi each.
pub fn database() -> Value {
    json!({
        "apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "mg", "namespace": "demo", "uid": "db"},
        "spec": {
            "replicas": 3, "replicaSet": {"name": "rs0"}, "storageType": "Durable",
            "storage": {"resources": {"requests": {"storage": "20Gi"}}},
            "podTemplate": {"spec": {"containers": [
                {"name": "mongodb", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}}]}},
        },
    })
}

/// The workloads of a database by its object, without those that have no pods in these tests.
pub fn sets_of(object: &Value) -> Vec<Set> {
    let mut sets = layout::sets(Catalog::builtin().find("mongodb").unwrap(), object);
    sets.retain(|s| s.component == "replicaSet");
    sets
}

/// The goal of a request with this spec on [`database`].
pub fn goal_of(spec: &Value) -> Goal {
    goal_on(spec, &database())
}

/// The goal of a request with this spec on another database.
pub fn goal_on(spec: &Value, object: &Value) -> Goal {
    Goal::of(Catalog::builtin().find("mongodb").unwrap(), &json!({"spec": spec}), object).unwrap()
}

/// The workload with this CPU in its template, a pod for each CPU given, ready, and their claims of 20Gi.
pub fn present(template: &str, pods: &[&str]) -> Present {
    let cpu = |cpu: &str| json!({"requests": {"cpu": cpu}, "limits": {"cpu": cpu}});
    let mut set = sets_of(&database()).remove(0).object;
    set["metadata"]["uid"] = json!("set");
    set["spec"]["replicas"] = json!(pods.len());
    set["spec"]["template"]["spec"]["containers"] = json!([{"name": "mongodb", "resources": cpu(template)}]);
    let pod = |(n, c): (usize, &&str)| {
        let name = format!("mg-{n}");
        json!({
            "metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": "set", "controller": true}]},
            "spec": {"containers": [{"name": "mongodb", "resources": cpu(c)}]},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "mongodb", "resources": cpu(c)}],
            },
        })
    };
    let claim = |n: usize| {
        json!({
            "metadata": {"name": format!("datadir-mg-{n}")},
            "spec": {"resources": {"requests": {"storage": "20Gi"}}},
            "status": {"capacity": {"storage": "20Gi"}},
        })
    };
    Present {
        sets: vec![Arc::new(set)],
        pods: pods.iter().enumerate().map(pod).map(Arc::new).collect(),
        claims: (0..pods.len()).map(claim).map(Arc::new).collect(),
    }
}

/// Changes one value of an object.
pub fn change(object: &mut Arc<Value>, pointer: &str, value: Value) {
    *Arc::make_mut(object).pointer_mut(pointer).unwrap() = value;
}

/// Makes a pod unready.
pub fn unready(present: &mut Present, pod: usize) {
    change(&mut present.pods[pod], "/status/conditions/0/status", json!("False"));
}

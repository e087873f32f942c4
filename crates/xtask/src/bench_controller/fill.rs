//! A cluster that has been in use for a while: databases, each with five OpsRequests that have ended.

use anyhow::Result;
use dbscale_core::catalog::{DATABASE_GROUP, OPS_GROUP};
use dbscale_core::plan::MANAGED_BY;
use dbscale_testbed::ControlPlane;
use dbscale_testbed::seed::seed;
use serde_json::{Value, json};

/// OpsRequests of a database.
pub const EACH: usize = 5;

/// How many objects are made before they are stored.
const PORTION: usize = 1000;

/// Stores databases and their OpsRequests, made and ended days ago: of each database three that dbscale made, as many as
/// stay, and two of somebody else.
pub async fn fill(plane: &ControlPlane, databases: usize) -> Result<()> {
    for first in (0..databases).step_by(PORTION) {
        let some = first..(first + PORTION).min(databases);
        seed(plane, DATABASE_GROUP, "mongodbs", some.clone().map(database).collect()).await?;
        let requests = some.flat_map(|index| (0..EACH).map(move |age| ended(index, age)));
        seed(plane, OPS_GROUP, "mongodbopsrequests", requests.collect()).await?;
    }
    Ok(())
}

/// The name of a database.
pub fn name(index: usize) -> String {
    format!("db-{index}")
}

fn resources() -> Value {
    json!({"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}})
}

/// A UID that no other object has: 8 bits tell the kind, the rest is a number.
fn uid(kind: u8, number: usize) -> String {
    format!("00000000-0000-4000-80{kind:02x}-{number:012x}")
}

fn database(index: usize) -> Value {
    let sidecars = (0..3).map(|n| json!({"name": format!("sidecar-{n}"), "resources": resources()}));
    let containers: Vec<Value> =
        std::iter::once(json!({"name": "mongodb", "resources": resources()})).chain(sidecars).collect();
    json!({
        "apiVersion": "kubedb.com/v1", "kind": "MongoDB",
        "metadata": {"name": name(index), "namespace": "default", "uid": uid(1, index), "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "shop", "tier": "gold"}},
        "spec": {"version": "4.4.26", "replicaSet": {"name": "rs0"}, "replicas": 3, "storageType": "Durable",
            "storage": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}},
            "podTemplate": {"spec": {"containers": containers}}},
        "status": {"phase": "Ready", "observedGeneration": 1},
    })
}

/// An OpsRequest with the steps that KubeDB tells of three pods.
fn ended(index: usize, age: usize) -> Value {
    let condition = |kind: &str, second: usize| {
        json!({"type": kind, "status": "True", "reason": kind, "observedGeneration": 1,
            "message": format!("{kind} is done for MongoDB default/{}", name(index)),
            "lastTransitionTime": format!("2026-01-0{}T00:10:{second:02}Z", 2 + age)})
    };
    let steps =
        ["VerticalScaling", "EvictPod--db-0", "EvictPod--db-1", "EvictPod--db-2", "UpdatePetSets", "Successful"];
    let mut object = request(index, &format!("{}-scale-{age}", name(index)), age < 3);
    object["metadata"]["namespace"] = json!("default");
    object["metadata"]["uid"] = json!(uid(2, index * EACH + age));
    object["metadata"]["generation"] = json!(1);
    object["metadata"]["creationTimestamp"] = json!(format!("2026-01-0{}T00:00:00Z", 2 + age));
    let conditions: Vec<Value> = steps.iter().enumerate().map(|(second, kind)| condition(kind, second)).collect();
    object["status"] = json!({"phase": "Successful", "observedGeneration": 1, "conditions": conditions});
    object
}

/// An OpsRequest for what the database has already, as one reads at the end of a run.
pub fn request(index: usize, request: &str, ours: bool) -> Value {
    let labels = if ours { json!({MANAGED_BY.0: MANAGED_BY.1}) } else { json!({}) };
    json!({
        "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
        "metadata": {"name": request, "labels": labels},
        "spec": {"type": "VerticalScaling", "databaseRef": {"name": name(index)}, "apply": "IfReady",
            "verticalScaling": {"replicaSet": {"resources": resources()}}},
    })
}

/// The workload of a database, by which the controller knows that its pods can be looked at.
pub fn workload(index: usize) -> Value {
    let labels = json!({"app.kubernetes.io/name": "mongodbs.kubedb.com", "app.kubernetes.io/instance": name(index),
        "app.kubernetes.io/managed-by": "kubedb.com"});
    json!({
        "apiVersion": "apps.k8s.appscode.com/v1", "kind": "PetSet",
        "metadata": {"name": name(index), "labels": labels, "ownerReferences": [{"apiVersion": "kubedb.com/v1",
            "kind": "MongoDB", "name": name(index), "uid": uid(1, index), "controller": true}]},
        "spec": {"replicas": 3, "serviceName": name(index), "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "mongodb", "image": "mongo"}]}}},
    })
}

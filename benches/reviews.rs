//! The reviews that benchmarks send, of the size and in the order of an API server's.

use serde_json::{Map, Value, json};

/// The namespace of everything.
pub const NAMESPACE: &str = "demo";

/// Bytes of a review of an OpsRequest that is created.
const CREATE: usize = 2_500;
/// Bytes of a review of a database that is updated: the object stands in it twice.
const UPDATE: usize = 20_000;

/// A database as a watch tells of it, but for its `managedFields`.
pub fn database(name: &str) -> Value {
    let resources = json!({"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}});
    json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": "6a7e4f0a-0c2c-4f0e-9a55-6f5a5c1d2e3f", "resourceVersion": "7"},
        "spec": {"version": "8.0.4", "replicaSet": {"name": "rs0"}, "replicas": 3, "storageType": "Durable",
            "storage": {"storageClassName": "standard", "resources": {"requests": {"storage": "10Gi"}}},
            "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources}]}}},
        "status": {"phase": "Ready"}})
}

/// An OpsRequest for other members.
pub fn ops_request(name: &str, database: &str, replicas: i64) -> Value {
    json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
        "metadata": {"name": name, "namespace": NAMESPACE, "resourceVersion": "7"},
        "spec": {"type": "HorizontalScaling", "databaseRef": {"name": database},
            "horizontalScaling": {"replicas": replicas}}})
}

/// The storage class of the databases.
pub fn class() -> Value {
    json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "allowVolumeExpansion": true,
        "metadata": {"name": "standard", "resourceVersion": "7"}})
}

/// The record of who wrote which field, as the API server keeps it, of about `bytes` bytes.
pub fn managed(bytes: usize) -> Value {
    let field = |number: usize| {
        let below = json!({".": {}, "f:requests": {"f:storage": {}, "f:memory": {}}});
        (format!("f:field{number}"), json!({format!("k:{{\"name\":\"item{number}\"}}"): below}))
    };
    let (name, value) = field(10);
    let fields: Map<String, Value> = (0..bytes / (name.len() + value.to_string().len() + 4)).map(field).collect();
    json!([{"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "kubedb.com/v1",
        "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields}}])
}

/// The review of an OpsRequest that is created for a database: 2.5 KB.
pub fn create(database: &str, replicas: i64) -> Vec<u8> {
    let mut object = ops_request("ask", database, replicas);
    object["metadata"]["managedFields"] = managed(900);
    filled(CREATE, 1, |filler| {
        object["metadata"]["annotations"] = annotation(filler);
        review("jane", &object, &Value::Null)
    })
}

/// The review of an update of a database, by `user`, that sets one field: 20 KB.
pub fn update(user: &str, name: &str, at: &str, value: &Value) -> Vec<u8> {
    let mut old = database(name);
    old["metadata"]["managedFields"] = managed(7_500);
    filled(UPDATE, 2, |filler| {
        old["metadata"]["annotations"] = annotation(filler);
        let mut new = old.clone();
        if let Some(place) = new.pointer_mut(at) {
            *place = value.clone();
        }
        review(user, &new, &old)
    })
}

fn annotation(filler: usize) -> Value {
    json!({"kubectl.kubernetes.io/last-applied-configuration": "x".repeat(filler)})
}

/// A text of `bytes` bytes, where the filler stands in it so many times.
fn filled(bytes: usize, times: usize, mut make: impl FnMut(usize) -> Vec<u8>) -> Vec<u8> {
    let bare = make(0).len();
    make(bytes.saturating_sub(bare) / times)
}

fn review(user: &str, object: &Value, old: &Value) -> Vec<u8> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, version) = (text(&object["kind"]), text(&object["apiVersion"]));
    let (group, version) = version.split_once('/').unwrap_or_default();
    let (name, operation) = (&object["metadata"]["name"], if old.is_null() { "CREATE" } else { "UPDATE" });
    // In the order of the API server.
    format!(
        r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","kind":{{"group":"{group}","version":"{version}","kind":"{kind}"}},"resource":{{"group":"{group}","version":"{version}","resource":"x"}},"requestKind":{{"group":"{group}","version":"{version}","kind":"{kind}"}},"requestResource":{{"group":"{group}","version":"{version}","resource":"x"}},"name":{name},"namespace":"{NAMESPACE}","operation":"{operation}","userInfo":{{"username":"{user}","uid":"d2b2b7f0","groups":["team-a","system:authenticated"]}},"object":{object},"oldObject":{old},"dryRun":false,"options":{{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1"}}}}}}"#
    )
    .into_bytes()
}

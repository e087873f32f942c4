//! A small world for the rules' tests: databases, requests, and what the rules say of them.

use serde_json::{Value, json};

use super::judge;
use crate::catalog::Catalog;
use crate::change::Change;
use crate::database::Database;
use crate::facts::{Case, ClaimFact, Facts};
use crate::finding::Finding;
use crate::status::{Operation, Phase};

/// A MongoDB replica set of three, db.t3.small, 20Gi.
pub fn replica_set() -> Value {
    let resources = json!({"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}});
    json!({
        "apiVersion": "kubedb.com/v1",
        "kind": "MongoDB",
        "metadata": {"name": "my-db", "namespace": "demo", "uid": "u-1", "resourceVersion": "7"},
        "spec": {
            "version": "4.4.26",
            "replicaSet": {"name": "rs0"},
            "replicas": 3,
            "storageType": "Durable",
            "storage": {"resources": {"requests": {"storage": "20Gi"}}},
            "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources}]}},
        },
        "status": {"phase": "Ready"},
    })
}

/// A sharded MongoDB: two shards of three, three config servers, two mongos.
pub fn sharded() -> Value {
    let storage = json!({"resources": {"requests": {"storage": "20Gi"}}});
    json!({
        "apiVersion": "kubedb.com/v1",
        "kind": "MongoDB",
        "metadata": {"name": "my-db", "namespace": "demo"},
        "spec": {"shardTopology": {
            "shard": {"shards": 2, "replicas": 3, "storage": storage},
            "configServer": {"replicas": 3, "storage": storage},
            "mongos": {"replicas": 2},
        }},
    })
}

#[expect(clippy::needless_pass_by_value, reason = "a literal at every call; a reference would only add noise")]
/// A MongoDBOpsRequest called `ask` for `my-db`; `spec` holds the stanzas.
pub fn request(ops_type: &str, spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": "ops.kubedb.com/v1alpha1",
        "kind": "MongoDBOpsRequest",
        "metadata": {"name": "ask", "namespace": "demo"},
        "spec": spec,
    });
    object["spec"]["type"] = json!(ops_type);
    object["spec"]["databaseRef"] = json!({"name": "my-db"});
    object
}

/// The typed view of a database object.
pub fn database(object: &Value) -> Database {
    Database::of(Catalog::builtin().of_kind(object["kind"].as_str().unwrap()).unwrap(), object)
}

/// The present, where only the database is known.
pub fn facts(object: &Value) -> Facts {
    Facts { database: database(object).into(), ..Facts::default() }
}

/// An OpsRequest that is there already.
pub fn operation(name: &str, ops_type: &str, phase: &str) -> Operation {
    Operation {
        name: name.to_owned(),
        database: "my-db".to_owned(),
        ops_type: ops_type.to_owned(),
        phase: Phase::of(phase),
        created: "2026-01-01T00:00:00Z".to_owned(),
        deleting: false,
        controller: None,
        reason: String::new(),
        follows: false,
    }
}

/// A claim that asks for 20Gi and has `capacity`.
pub fn claim(component: &str, capacity: &str) -> ClaimFact {
    ClaimFact {
        name: format!("datadir-my-db-{capacity}"),
        component: component.to_owned(),
        class: None,
        attributes: Vec::new(),
        requested: "20Gi".parse().unwrap(),
        capacity: Some(capacity.parse().unwrap()),
        failed: None,
        idle: false,
    }
}

/// What all rules say of a request.
pub fn findings(ask: &Value, facts: &Facts) -> Vec<Finding> {
    let kind = ask.get("kind").and_then(Value::as_str).unwrap_or("MongoDBOpsRequest");
    let engine = Catalog::builtin().of_ops_kind(kind).unwrap();
    let change = Change::of_request(engine, ask, facts.database.here());
    judge(&Case { change: &change, facts })
}

/// What all rules say of a request for a database of any engine; of both only what matters is given.
pub fn verdict(database: &Value, spec: &Value) -> Vec<Finding> {
    let engine = Catalog::builtin().of_kind(database["kind"].as_str().unwrap()).unwrap();
    let mut object = database.clone();
    object["metadata"] = json!({"name": "db", "namespace": "demo"});
    object["apiVersion"] = json!(format!("kubedb.com/{}", engine.versions[0]));
    let mut ask = json!({"kind": engine.ops_kind(), "metadata": {"name": "ask", "namespace": "demo"}, "spec": spec});
    ask["spec"][engine.reference.as_str()] = json!({"name": "db"});
    let facts = Facts { database: Database::of(engine, &object).into(), ..Facts::default() };
    findings(&ask, &facts)
}

/// What all rules say of an update that sets one field of a request.
pub fn findings_of_request_update(old: &Value, pointer: &str, value: Value, facts: &Facts) -> Vec<Finding> {
    let engine = Catalog::builtin().of_ops_kind(old["kind"].as_str().unwrap()).unwrap();
    let mut new = old.clone();
    *new.pointer_mut(pointer).unwrap() = value;
    let change = Change::of_request_update(engine, old, &new);
    judge(&Case { change: &change, facts })
}

/// The ids of what all rules say of a request for a database.
pub fn rules_of(object: &Value, ask: &Value) -> Vec<&'static str> {
    findings(ask, &facts(object)).iter().map(|f| f.rule.0).collect()
}

/// What all rules say of an update that sets one field of a database.
pub fn findings_of_update(object: &Value, pointer: &str, value: Value, claims: Vec<ClaimFact>) -> Vec<Finding> {
    findings_of_update_with(object, pointer, value, &Facts { claims, ..facts(object) })
}

/// The same with all that is known of the present.
pub fn findings_of_update_with(object: &Value, pointer: &str, value: Value, facts: &Facts) -> Vec<Finding> {
    let mut new = object.clone();
    *new.pointer_mut(pointer).unwrap() = value;
    let change = Change::of_update(&database(object), database(&new));
    judge(&Case { change: &change, facts })
}

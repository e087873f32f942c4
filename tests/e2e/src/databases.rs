//! Databases of the scenarios, small enough for many at once.

use dbscale_core::catalog::{Engine, Pointer, Topology, When};
use serde_json::{Value, json};

/// Resources of a container, requests and limits alike.
#[must_use]
pub fn resources(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}})
}

/// A claim of a size.
#[must_use]
pub fn storage(size: &str) -> Value {
    json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}})
}

/// A pod template with a container of 200m and 256Mi.
#[must_use]
pub fn pods(container: &str) -> Value {
    json!({"spec": {"containers": [{"name": container, "resources": resources("200m", "256Mi")}]}})
}

/// A database called `db`.
#[must_use]
pub fn database(kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": "kubedb.com/v1", "kind": kind, "metadata": {"name": "db"}, "spec": spec})
}

/// One that keeps 20Gi a member; `more` holds what its engine wants beside that.
fn plain(kind: &str, container: &str, version: &str, replicas: i64, more: &Value) -> Value {
    let mut spec = json!({"version": version, "replicas": replicas, "storageType": "Durable",
        "storage": storage("20Gi"), "podTemplate": pods(container)});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key.as_str()] = value.clone();
    }
    database(kind, &spec)
}

/// A MongoDB replica set of three.
#[must_use]
pub fn mongodb() -> Value {
    plain("MongoDB", "mongodb", "4.4.26", 3, &json!({"replicaSet": {"name": "rs0"}}))
}

/// A sharded MongoDB: two shards of three, three config servers, two mongos.
#[must_use]
pub fn mongodb_sharded() -> Value {
    let part = |more: Value| {
        let mut part = json!({"storage": storage("20Gi"), "podTemplate": pods("mongodb")});
        more.as_object().into_iter().flatten().for_each(|(key, value)| part[key.as_str()] = value.clone());
        part
    };
    database(
        "MongoDB",
        &json!({"version": "4.4.26", "storageType": "Durable", "shardTopology": {
            "shard": part(json!({"shards": 2, "replicas": 3})),
            "configServer": part(json!({"replicas": 3})),
            "mongos": {"replicas": 2, "podTemplate": pods("mongodb")},
        }}),
    )
}

/// A Postgres of three.
#[must_use]
pub fn postgres() -> Value {
    plain("Postgres", "postgres", "16.4", 3, &Value::Null)
}

/// A MySQL group of three.
#[must_use]
pub fn mysql() -> Value {
    plain("MySQL", "mysql", "8.0.36", 3, &json!({"topology": {"mode": "GroupReplication"}}))
}

/// A MariaDB Galera cluster of three.
#[must_use]
pub fn mariadb() -> Value {
    plain("MariaDB", "mariadb", "11.1.3", 3, &json!({"topology": {"mode": "GaleraCluster"}}))
}

/// A Redis behind Sentinel, of three.
#[must_use]
pub fn redis_sentinel() -> Value {
    let sentinel = json!({"mode": "Sentinel", "sentinelRef": {"name": "sentinel", "namespace": "demo"}});
    plain("Redis", "redis", "7.4.0", 3, &sentinel)
}

/// A Redis cluster of three shards with a replica each.
#[must_use]
pub fn redis_cluster() -> Value {
    let mut object =
        plain("Redis", "redis", "7.4.0", 3, &json!({"mode": "Cluster", "cluster": {"shards": 3, "replicas": 2}}));
    object["spec"]["replicas"].take();
    object
}

/// An Elasticsearch of three that play all roles.
#[must_use]
pub fn elasticsearch() -> Value {
    plain("Elasticsearch", "elasticsearch", "xpack-8.11.1", 3, &Value::Null)
}

/// An Elasticsearch with dedicated roles.
#[must_use]
pub fn elasticsearch_topology() -> Value {
    let role = |replicas: i64, size: &str| json!({"replicas": replicas, "storage": storage(size), "podTemplate": pods("elasticsearch")});
    database(
        "Elasticsearch",
        &json!({"version": "xpack-8.11.1", "storageType": "Durable", "topology": {
            "master": role(3, "4Gi"), "data": role(3, "20Gi"), "ingest": role(1, "4Gi"),
        }}),
    )
}

/// A ZooKeeper of three.
#[must_use]
pub fn zookeeper() -> Value {
    let mut object = plain("ZooKeeper", "zookeeper", "3.8.3", 3, &Value::Null);
    object["apiVersion"] = json!("kubedb.com/v1alpha2");
    object
}

/// A Kafka of three that are brokers and controllers.
#[must_use]
pub fn kafka() -> Value {
    plain("Kafka", "kafka", "3.6.1", 3, &Value::Null)
}

/// A database of a topology in which every component of the catalog exists and has something: 10Gi, three members.
#[must_use]
pub fn of_topology(engine: &Engine, topology: &Topology, version: &str, namespace: &str) -> Value {
    let mut object = json!({
        "apiVersion": format!("kubedb.com/{version}"), "kind": engine.kind,
        "metadata": {"name": "db", "namespace": namespace}, "spec": {},
    });
    let set = |object: &mut Value, at: &Pointer, value: Value| at.of_item("one").set(object, value);
    for component in engine.components_of(topology) {
        for count in [&component.replicas, &component.shards].into_iter().flatten() {
            if let Some(at) = &count.at {
                set(&mut object, at, json!(count.min.unwrap_or(1).max(3)));
            }
        }
        if let Some(at) = component.resources.as_ref().and_then(|r| r.at.as_ref()).and_then(|at| at.of(version)) {
            set(&mut object, at, resources("1", "1Gi"));
        }
        if let Some(at) = component.storage.as_ref().and_then(|s| s.at.as_ref()) {
            set(&mut object, &at.field("resources").field("requests").field("storage"), json!("10Gi"));
        }
        if let Some(exists) = &component.exists
            && exists.get(&object).is_none()
        {
            exists.set(&mut object, json!({}));
        }
    }
    for when in &topology.when {
        match when {
            When::Present { present } if present.get(&object).is_none() => {
                present.set(&mut object, json!({"name": "x"}));
            }
            When::Is { at, is, .. } => at.set(&mut object, json!(is)),
            When::AtMost { at, at_most } => at.set(&mut object, json!(at_most)),
            When::Present { .. } | When::Absent { .. } => {}
        }
    }
    object
}

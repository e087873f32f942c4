//! The main job through real kubectl: resize, more members, both at once, more storage, and what is refused.
#![allow(missing_docs, clippy::panic, reason = "tests explain themselves, and a panic is how one fails")]

use dbscale_e2e::World;
use rstest::rstest;
use serde_json::{Value, json};

fn resources(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}})
}

fn storage(size: &str) -> Value {
    json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}})
}

fn pods(container: &str) -> Value {
    json!({"spec": {"containers": [{"name": container, "resources": resources("200m", "256Mi")}]}})
}

/// Databases of the original scenarios, small enough for many at once.
fn database(which: &str) -> Value {
    let (kind, spec) = match which {
        "mongodb" => (
            "MongoDB",
            json!({"version": "4.4.26", "replicaSet": {"name": "rs0"}, "replicas": 3,
            "storageType": "Durable", "storage": storage("20Gi"), "podTemplate": pods("mongodb")}),
        ),
        "postgres" => (
            "Postgres",
            json!({"version": "16.4", "replicas": 3, "storageType": "Durable",
            "storage": storage("20Gi"), "podTemplate": pods("postgres")}),
        ),
        "mysql" => (
            "MySQL",
            json!({"version": "8.0.36", "replicas": 3, "topology": {"mode": "GroupReplication"},
            "storageType": "Durable", "storage": storage("20Gi"), "podTemplate": pods("mysql")}),
        ),
        "mariadb" => (
            "MariaDB",
            json!({"version": "11.1.3", "replicas": 3, "topology": {"mode": "GaleraCluster"},
            "storageType": "Durable", "storage": storage("20Gi"), "podTemplate": pods("mariadb")}),
        ),
        "elasticsearch" => (
            "Elasticsearch",
            json!({"version": "xpack-8.11.1", "replicas": 3, "storageType": "Durable",
            "storage": storage("20Gi"), "podTemplate": pods("elasticsearch")}),
        ),
        "kafka" => (
            "Kafka",
            json!({"version": "3.6.1", "replicas": 3, "storageType": "Durable",
            "storage": storage("20Gi"), "podTemplate": pods("kafka")}),
        ),
        other => panic!("no database {other}"),
    };
    json!({"apiVersion": "kubedb.com/v1", "kind": kind, "metadata": {"name": "db"}, "spec": spec})
}

#[rstest]
#[case::mongodb("mongodb", "datadir-db-4")]
#[case::postgres("postgres", "data-db-4")]
#[case::mysql("mysql", "data-db-4")]
#[case::mariadb("mariadb", "data-db-4")]
#[case::elasticsearch("elasticsearch", "data-db-4")]
#[case::kafka("kafka", "db-data-db-4")]
fn the_original_scenarios(#[case] engine: &str, #[case] last_claim: &str) {
    let world = World::new(engine);
    let target = format!("{engine}/db");
    world.create(&database(engine));
    world.until(&target, ".status.phase", "Ready");

    let done = world.dbscale(&["vertical", &target, "--cpu", "250m", "--memory", "300Mi", "--wait", "-o", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.json()["phase"], "Successful");
    assert_eq!(done.json()["ops_type"], "VerticalScaling");
    world.until("pod/db-2", ".spec.containers[0].resources.limits.memory", "300Mi");

    let done = world.dbscale(&["horizontal", &target, "--replicas", "5", "--wait"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    world.until("pod/db-4", ".status.phase", "Running");
    world.until(&target, ".spec.replicas", "5");

    let done = world.dbscale(&["storage", &target, "--to", "50Gi", "--wait", "-o", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.json()["claims"].as_array().map(Vec::len), Some(5));
    assert_eq!(world.value(&format!("pvc/{last_claim}"), ".status.capacity.storage"), "50Gi");

    let done = world.dbscale(&["set", &target, "--replicas", "4", "--cpu", "300m", "--wait", "-o", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let types: Vec<Value> =
        done.json()["ops_requests"].as_array().into_iter().flatten().map(|o| o["ops_type"].clone()).collect();
    assert_eq!(types, ["HorizontalScaling", "VerticalScaling"]);
    world.until(&target, ".spec.replicas", "4");
}

#[test]
fn asking_again_for_what_is_there_sends_nothing() {
    let world = World::new("skip");
    world.create(&database("mongodb"));
    let done = world.dbscale(&["horizontal", "mg/db", "--replicas", "3", "-o", "json"]);
    assert_eq!((done.code, &done.json()["skipped"]), (0, &json!(true)));
    assert_eq!(world.count("mongodbopsrequests"), 0);
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = World::new("dry");
    world.create(&database("mongodb"));
    for dry in ["client", "server"] {
        let done =
            world.dbscale(&["horizontal", "mg/db", "--replicas", "5", "-o", "json", &format!("--dry-run={dry}")]);
        assert_eq!((done.code, &done.json()["dry_run"]), (0, &json!(dry)), "{}", done.stderr);
    }
    let done = world.dbscale(&["storage", "mg/db", "--to", "50Gi", "--dry-run=server"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 0);
    assert_eq!(world.value("mongodb/db", ".spec.storage.resources.requests.storage"), "20Gi");
}

#[rstest]
#[case::no_members(&["horizontal", "mg/db", "--replicas", "0"], 3, "replicas/minimum")]
#[case::negative_members(&["horizontal", "mg/db", "--replicas", "-1"], 3, "replicas/minimum")]
#[case::too_small(&["storage", "mg/db", "--to", "500M"], 3, "storage/minimum")]
#[case::shrink(&["storage", "mg/db", "--to", "10Gi"], 3, "storage/no-shrink")]
#[case::unit_of_people(&["storage", "mg/db", "--to", "100GB"], 2, "quantity/unreadable")]
#[case::huge_exponent(&["storage", "mg/db", "--to", "1e999999999"], 2, "quantity/unreadable")]
#[case::no_unit(&["storage", "mg/db", "--to", "100"], 3, "100Gi")]
#[case::engine(&["vertical", "mongo/db", "--size", "db.t3.small"], 2, "near: mongodb")]
#[case::size(&["vertical", "mg/db", "--size", "db.t3.smal"], 2, "db.t3.small")]
#[case::component(&["vertical", "mg/db", "--size", "db.t3.small", "--component", "shard"], 2, "component/unknown")]
#[case::missing(&["vertical", "mg/other", "--size", "db.t3.small"], 3, "database/missing")]
#[case::context(&["vertical", "mg/db", "--size", "db.t3.small", "--context", "other"], 1, "there is no context 'other'")]
#[case::forbidden(&["vertical", "mg/db", "--size", "db.t3.small", "--as", "nobody"], 1, "nobody")]
fn bad_input(#[case] arguments: &[&str], #[case] code: i32, #[case] says: &str) {
    let world = World::new("bad");
    world.create(&database("mongodb"));
    let refused = world.dbscale(arguments);
    assert_eq!(refused.code, code, "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    assert_eq!(world.count("mongodbopsrequests"), 0);
}

#[test]
fn several_components_are_a_choice_with_their_sizes() {
    let world = World::new("choice");
    world.create(&json!({"apiVersion": "kubedb.com/v1", "kind": "Elasticsearch", "metadata": {"name": "db"}, "spec": {
    "version": "xpack-8.11.1", "storageType": "Durable",
    "topology": {
        "master": {"replicas": 3, "storage": storage("4Gi"), "podTemplate": pods("elasticsearch")},
        "data": {"replicas": 2, "storage": storage("40Gi"), "podTemplate": pods("elasticsearch")},
        "ingest": {"replicas": 1, "storage": storage("4Gi"), "podTemplate": pods("elasticsearch")},
    }}}));
    let refused = world.dbscale(&["vertical", "es/db", "--size", "db.t3.small"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    for word in ["--component", "master", "data", "ingest", "40Gi"] {
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    let done = world.dbscale(&["horizontal", "es/db", "--component", "data", "--replicas", "3", "-o", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.json()["replicas"], 3);
}

#[test]
fn a_sharded_cluster_takes_both_shard_numbers_and_a_second_request_of_a_type_is_refused() {
    let world = World::new("sharded");
    world.create(&json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db"}, "spec": {
    "version": "4.4.26", "storageType": "Durable",
    "shardTopology": {
        "shard": {"shards": 2, "replicas": 3, "storage": storage("10Gi"), "podTemplate": pods("mongodb")},
        "configServer": {"replicas": 3, "storage": storage("5Gi"), "podTemplate": pods("mongodb")},
        "mongos": {"replicas": 2, "podTemplate": pods("mongodb")},
    }}}));
    world.until("mongodb/db", ".status.phase", "Ready");
    world.must(&["annotate", "-n", &world.namespace, "mongodb/db", "testbed.dbscale.dev/slow=20s"]);
    let done = world.dbscale(&["horizontal", "mg/db", "--shards", "3", "-o", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let name = done.json()["ops_request_name"].as_str().unwrap().to_owned();
    assert_eq!(world.value(&format!("mongodbopsrequest/{name}"), ".spec.horizontalScaling.shard.replicas"), "3");
    assert_eq!(world.value(&format!("mongodbopsrequest/{name}"), ".spec.horizontalScaling.shard.shards"), "3");

    let again = world.dbscale(&["horizontal", "mg/db", "--component", "shard", "--shards", "4"]);
    assert_eq!(again.code, 5, "{}", again.stderr);
    assert!(again.stderr.contains("operation/active"), "{}", again.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 1);
}

#[test]
fn a_failed_operation_is_told_with_its_reason() {
    let world = World::new("failed");
    world.create(&database("postgres"));
    world.until("postgres/db", ".status.phase", "Ready");
    world.must(&["annotate", "-n", &world.namespace, "postgres/db", "testbed.dbscale.dev/fail=no room on any node"]);
    let done = world.dbscale(&["vertical", "pg/db", "--memory", "512Mi", "--wait"]);
    assert_eq!(done.code, 6, "{}", done.stderr);
    assert!(done.stderr.contains("no room on any node"), "{}", done.stderr);
}

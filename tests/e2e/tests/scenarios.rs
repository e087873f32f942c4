//! The main job through real kubectl: resize, more members, both at once, more storage, and what is refused.
#![allow(missing_docs, clippy::panic, reason = "tests explain themselves, and a panic is how one fails")]

use std::process::{Command, Stdio};

use dbscale_e2e::World;
use dbscale_e2e::databases;
use rstest::rstest;
use serde_json::{Value, json};

/// What a scenario looks at: the numbers are of the component that it scales.
struct Scenario {
    /// `engine/db`, and which component where it is a choice.
    target: &'static [&'static str],
    /// The flag and the place in the object of what grows from 3 to 5 and goes back to 4: members, or shards.
    count: (&'static str, &'static str),
    /// Whether it can shrink beside a new size; shards hold data, and engines refuse to take one away.
    shrinks: bool,
    /// A pod that is there from the start, and one that comes with the fifth.
    pods: (&'static str, &'static str),
    /// The claim of the pod that comes.
    claim: &'static str,
    /// How many claims grow in the end.
    claims: usize,
}

const REPLICAS: (&str, &str) = ("--replicas", ".spec.replicas");

const fn members(target: &'static [&'static str], claim: &'static str) -> Scenario {
    Scenario { target, count: REPLICAS, shrinks: true, pods: ("db-2", "db-4"), claim, claims: 5 }
}

#[rstest]
#[case::mongodb(databases::mongodb(), members(&["mongodb/db"], "datadir-db-4"))]
#[case::mongodb_sharded(databases::mongodb_sharded(), Scenario {
    target: &["mongodb/db", "--component", "shard"],
    count: ("--replicas", ".spec.shardTopology.shard.replicas"),
    shrinks: true,
    pods: ("db-shard0-2", "db-shard1-4"),
    claim: "datadir-db-shard1-4",
    claims: 10,
})]
#[case::postgres(databases::postgres(), members(&["postgres/db"], "data-db-4"))]
#[case::mysql(databases::mysql(), members(&["mysql/db"], "data-db-4"))]
#[case::mariadb(databases::mariadb(), members(&["mariadb/db"], "data-db-4"))]
#[case::redis_sentinel(databases::redis_sentinel(), members(&["redis/db"], "data-db-4"))]
#[case::redis_cluster(databases::redis_cluster(), Scenario {
    target: &["redis/db"],
    count: ("--shards", ".spec.cluster.shards"),
    shrinks: false,
    pods: ("db-shard2-1", "db-shard4-1"),
    claim: "data-db-shard4-1",
    claims: 10,
})]
#[case::elasticsearch(databases::elasticsearch(), members(&["elasticsearch/db"], "data-db-4"))]
#[case::elasticsearch_topology(databases::elasticsearch_topology(), Scenario {
    target: &["elasticsearch/db", "--component", "data"],
    count: ("--replicas", ".spec.topology.data.replicas"),
    shrinks: true,
    pods: ("db-data-2", "db-data-4"),
    claim: "data-db-data-4",
    claims: 5,
})]
#[case::kafka(databases::kafka(), members(&["kafka/db"], "db-data-db-4"))]
fn the_original_scenarios(#[case] object: Value, #[case] scenario: Scenario) {
    let Scenario { target, count: (flag, place), shrinks, pods: (first, fifth), claim, claims } = scenario;
    let database = target[0];
    let world = World::new(database.trim_end_matches("/db"));
    let ask = |command: &str, flags: &[&str]| {
        let done = world.dbscale(&[&[command], target, flags, &["--wait", "-o", "json"]].concat());
        assert_eq!(done.code, 0, "{command} {flags:?}: {}", done.stderr);
        done.json()
    };
    world.create(&object);
    world.until(database, ".status.phase", "Ready");

    let done = ask("vertical", &["--cpu", "250m", "--memory", "300Mi"]);
    assert_eq!((&done["phase"], &done["ops_type"]), (&json!("Successful"), &json!("VerticalScaling")));
    world.until(&format!("pod/{first}"), ".spec.containers[0].resources.limits.memory", "300Mi");

    ask("horizontal", &[flag, "5"]);
    world.until(&format!("pod/{fifth}"), ".status.phase", "Running");
    world.until(database, place, "5");

    let done = ask("storage", &["--to", "50Gi"]);
    assert_eq!(done["claims"].as_array().map(Vec::len), Some(claims), "{done}");
    assert_eq!(world.value(&format!("pvc/{claim}"), ".status.capacity.storage"), "50Gi");

    let number = if shrinks { "4" } else { "6" };
    let done = ask("set", &[flag, number, "--cpu", "300m"]);
    let types: Vec<&Value> = done["ops_requests"].as_array().into_iter().flatten().map(|o| &o["ops_type"]).collect();
    assert_eq!(types, ["HorizontalScaling", "VerticalScaling"]);
    world.until(database, place, number);
    world.until(&format!("pod/{first}"), ".spec.containers[0].resources.limits.cpu", "300m");
}

#[test]
fn asking_again_for_what_is_there_sends_nothing() {
    let world = World::new("skip");
    world.create(&databases::mongodb());
    let done = world.dbscale(&["horizontal", "mg/db", "--replicas", "3", "-o", "json"]);
    assert_eq!((done.code, &done.json()["skipped"]), (0, &json!(true)));
    assert_eq!(world.count("mongodbopsrequests"), 0);
}

#[test]
fn a_dry_run_writes_nothing() {
    let world = World::new("dry");
    world.create(&databases::mongodb());
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
    world.create(&databases::mongodb());
    let refused = world.dbscale(arguments);
    assert_eq!(refused.code, code, "{}{}", refused.stdout, refused.stderr);
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert_eq!(refused.stdout, "");
    assert_eq!(world.count("mongodbopsrequests"), 0);
}

#[rstest]
#[case::nobody_listens(
    r#"{"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"}"#,
    "http://127.0.0.1:1 could not be reached"
)]
#[case::broken("clusters: [", "cannot be used")]
#[case::no_context(r#"{"clusters": [], "users": [], "contexts": [], "current-context": "gone"}"#, "gone")]
fn a_cluster_that_cannot_be_had(#[case] kubeconfig: &str, #[case] says: &str) {
    let world = World::new("unreachable");
    let file = world.write("kubeconfig", kubeconfig);
    let begun = std::time::Instant::now();
    let failed = world.kubectl(&[
        "dbscale",
        "vertical",
        "mg/db",
        "--size",
        "db.t3.small",
        "--kubeconfig",
        &file,
        "--request-timeout",
        "2s",
    ]);
    assert_eq!((failed.code, failed.stdout.as_str()), (1, ""), "{}", failed.stderr);
    assert!(failed.stderr.starts_with("error: ") && failed.stderr.contains(says), "{}", failed.stderr);
    assert!(begun.elapsed().as_secs() < 20, "a call is bounded by its time limit");
}

#[test]
fn an_engine_that_kubedb_has_not_installed_is_told() {
    let world = World::new("absent");
    let definition = world.must(&["get", "crd", "weaviates.kubedb.com", "-o", "json"]);
    world.must(&["delete", "crd", "weaviates.kubedb.com"]);
    let failed = world.dbscale(&["vertical", "weaviate/db", "--size", "db.t3.small"]);
    let file = world.write("weaviates", &definition);
    world.must(&["create", "-f", &file]); // first of all, for the other tests
    assert_eq!((failed.code, failed.stdout.as_str()), (1, ""), "{}", failed.stderr);
    for word in ["KubeDB's Weaviate is not installed in this cluster", "Install KubeDB with Weaviate"] {
        assert!(failed.stderr.contains(word), "{}", failed.stderr);
    }
}

#[test]
fn a_name_of_63_characters_gets_a_request_whose_name_fits() {
    let world = World::new("long");
    let name = format!("{}z", "a".repeat(62));
    let mut object = databases::mongodb();
    object["metadata"]["name"] = json!(name);
    world.create(&object);
    let done = world.dbscale(&["horizontal", &format!("mg/{name}"), "--replicas", "5", "-o", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let made = done.json()["ops_request_name"].as_str().unwrap().to_owned();
    assert_eq!(made.len(), 63, "{made}");
    assert_eq!(world.value(&format!("mongodbopsrequest/{made}"), ".spec.databaseRef.name"), name);
}

#[test]
fn a_later_step_that_cannot_be_made_is_told_with_what_was_done() {
    let world = World::new("partial");
    let mut object = databases::mongodb();
    object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/no-pods": "true"});
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "one"},
        "spec": {"hard": {"count/mongodbopsrequests.ops.kubedb.com": "1"}}});
    world.create(&quota);
    world.until("resourcequota/one", ".status.hard.count/mongodbopsrequests\\.ops\\.kubedb\\.com", "1");
    let failed = world.dbscale(&["set", "mg/db", "--replicas", "5", "--memory", "512Mi"]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 1);
    for word in ["done: db-scale-", "not done: VerticalScaling", "exceeded quota"] {
        assert!(failed.stderr.contains(word), "{}", failed.stderr);
    }
}

#[test]
fn the_second_of_two_ordered_requests_waits_for_the_first_to_begin() {
    let world = World::new("ordered");
    let mut object = databases::mongodb();
    object["metadata"]["annotations"] =
        json!({"testbed.dbscale.dev/no-pods": "true", "testbed.dbscale.dev/never-start": "true"});
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    let set = ["set", "mg/db", "--replicas", "5", "--memory", "512Mi", "--ordered"];
    let late = world.dbscale(&[&set[..], &["--wait", "--wait-timeout", "2s"]].concat());
    assert_eq!(late.code, 7, "{}", late.stderr);
    assert!(late.stderr.contains("not done: VerticalScaling"), "{}", late.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 1);

    world.must(&["delete", "-n", &world.namespace, "mongodbopsrequests", "--all"]);
    world.must(&["annotate", "-n", &world.namespace, "mongodb/db", "testbed.dbscale.dev/never-start-"]);
    let done = world.dbscale(&[&set[..], &["--wait", "-o", "json"]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 2);
}

#[test]
fn several_components_are_a_choice_with_their_sizes() {
    let world = World::new("choice");
    world.create(&databases::elasticsearch_topology());
    let refused = world.dbscale(&["vertical", "es/db", "--size", "db.t3.small"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    for word in ["--component", "master", "data", "ingest", "20Gi"] {
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    let done = world.dbscale(&["horizontal", "es/db", "--component", "data", "--replicas", "4", "-o", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.json()["replicas"], 4);
}

#[test]
fn a_sharded_cluster_takes_both_shard_numbers_and_a_second_request_of_a_type_is_refused() {
    let world = World::new("sharded");
    let mut object = databases::mongodb_sharded();
    // From its creation, so that the simulator cannot begin an operation before it has seen this.
    object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/slow": "10m"});
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
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
    let mut object = databases::postgres();
    object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/fail": "no room on any node"});
    world.create(&object);
    world.until("postgres/db", ".status.phase", "Ready");
    let done = world.dbscale(&["vertical", "pg/db", "--memory", "512Mi", "--wait"]);
    assert_eq!(done.code, 6, "{}", done.stderr);
    assert!(done.stderr.contains("no room on any node"), "{}", done.stderr);
}

#[test]
fn an_interrupt_tells_what_was_made_and_leaves_it_running() {
    let world = World::new("interrupt");
    let mut object = databases::mongodb();
    object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/never-start": "true"});
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    let arguments =
        ["dbscale", "horizontal", "mg/db", "--replicas", "5", "--wait", "-o", "json", "-n", &world.namespace];
    let mut command = World::command(&arguments);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    world.until("mongodbopsrequests", ".items[0].spec.type", "HorizontalScaling");
    let sent = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = told["ops_request_name"].as_str().unwrap();
    assert_eq!(world.value(&format!("mongodbopsrequest/{name}"), ".spec.horizontalScaling.replicas"), "5");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains(&format!("interrupted: {name} is still Pending; it goes on in the cluster")), "{stderr}");
}

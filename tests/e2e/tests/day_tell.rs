//! `history` and `describe` without a controller: what the cluster alone still tells, in exactly these words.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use dbscale_e2e::{World, databases, settled};
use serde_json::json;

/// A database `db` with a size change that succeeded and one that failed.
fn world(name: &str) -> World {
    let world = World::new(name);
    world.create(&databases::mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    let ask = |name: &str, memory: &str, phase: &str| {
        let made = world.dbscale(&["vertical", "mg/db", "--memory", memory, "--name", name]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        world.until(&format!("mongodbopsrequest/{name}"), ".status.phase", phase);
    };
    ask("first", "512Mi", "Successful");
    world.must(&["annotate", "-n", &world.namespace, "mongodb", "db", "testbed.dbscale.dev/fail=no room on any node"]);
    ask("second", "1Gi", "Failed");
    world
}

const LACK: &str = "there is no record of it (the dbscale controller keeps one)";

#[test]
fn a_history_is_told_by_what_is_still_there() {
    let world = world("history");
    let told = world.dbscale(&["history", "mg/db"]);
    let wanted = "\
AGE  OPERATION  CHANGE  OUTCOME  TOOK
TIME  second  memory 512Mi → 1Gi  Failed  -
  no room on any node
TIME  first  memory 256Mi → 512Mi  Successful  -
";
    let note = format!("mongodb/db: {LACK}; this is what the OpsRequests tell that are still there.\n");
    assert_eq!((told.code, settled(&told.stdout).as_str(), told.stderr.as_str()), (0, wanted, note.as_str()));
    let wide = settled(&world.dbscale(&["history", "mg/db", "-o", "wide"]).stdout);
    assert!(wide.contains("TIME  first  memory 256Mi → 512Mi  Successful  -  VerticalScaling  admin\n"), "{wide}");
    let value = world.dbscale(&["history", "mg/db", "-o", "json"]).json();
    assert_eq!((&value["source"], &value["dropped"]), (&json!("ops_requests"), &json!(0)));
    assert_eq!(value["history"][0]["message"], "no room on any node");
    let lines = world.dbscale(&["history", "mg/db", "-o", "ndjson"]).stdout;
    let names: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((names.len(), &names[1]["name"]), (2, &json!("first")));
    let empty = world.dbscale(&["history", "mg/db", "--since", "0s"]);
    let wanted = format!("{note}No operation of mongodb/db has ended within that time.\n");
    assert_eq!((empty.code, empty.stdout.as_str(), empty.stderr), (0, "", wanted));
    let coloured = World::command(&["dbscale", "history", "mg/db", "-n", &world.namespace])
        .env("CLICOLOR_FORCE", "1")
        .output()
        .unwrap();
    let coloured = String::from_utf8(coloured.stdout).unwrap();
    assert!(
        coloured.contains("  \u{1b}[31mFailed\u{1b}[0m  ") && coloured.contains("  \u{1b}[32mSuccessful\u{1b}[0m  ")
    );
    let missing = world.dbscale(&["history", "mg/other"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (3, ""), "{}", missing.stderr);
}

#[test]
fn a_database_is_described_on_one_page() {
    let world = world("describe");
    // A larger size in the object alone, past the plugin: nobody grows the claims.
    let larger = r#"{"spec":{"storage":{"resources":{"requests":{"storage":"30Gi"}}}}}"#;
    world.must(&["patch", "-n", &world.namespace, "mongodb", "db", "--type=merge", "-p", larger]);
    world.create(&json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "told"}, "type": "Warning",
        "reason": "Unhealthy", "message": "a member lags behind", "lastTimestamp": "2026-01-01T00:00:00Z",
        "involvedObject": {"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "name": "db", "namespace": world.namespace}}));
    let told = world.dbscale(&["describe", "mongodb", "db"]);
    let wanted = format!(
        "\
mongodb/db in {}
  Engine  MongoDB 4.4.26
  Topology  replica set
  Status  Ready
  Age  TIME
  Record  {LACK}

Components
  NAME  SIZE  REPLICAS  STORAGE  VOLUMES  CLASS
  replicaSet  200m / 512Mi  3  20Gi → 30Gi  0 of 3  standard

Operations
  none

History
  AGE  OPERATION  CHANGE  OUTCOME  TOOK
  TIME  second  memory 512Mi → 1Gi  Failed  -
  no room on any node
  TIME  first  memory 256Mi → 512Mi  Successful  -

Drift
  replicaSet: claim datadir-db-0 asks for 20Gi, the object for 30Gi (and 2 more)
  replicaSet: a new volume begins with 20Gi, not with 30Gi

Findings
  none

A restart now
  none

Events
  AGE  TYPE  REASON  MESSAGE
  TIME  Warning  Unhealthy  a member lags behind
",
        world.namespace
    );
    assert_eq!((told.code, settled(&told.stdout), told.stderr.as_str()), (0, wanted, ""));
    assert!(told.stdout.lines().all(|line| line.chars().count() <= 80), "{}", told.stdout);
    let value = world.dbscale(&["describe", "mg/db", "-o", "json"]).json();
    assert_eq!((&value["version"], &value["drift"][0]["what"]), (&json!("4.4.26"), &json!("claims")));
    assert_eq!(value["events"][0]["reason"], "Unhealthy");
    let missing = world.dbscale(&["describe", "mg/other"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (3, ""), "{}", missing.stderr);
    let two = world.dbscale(&["describe", "mg/db", "mg/other"]);
    assert_eq!((two.code, two.stderr.as_str()), (2, "error: name one database; these are 2\n"));
}

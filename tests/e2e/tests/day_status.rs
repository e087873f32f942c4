//! `status`: what is there, what is under way, what waits, and what failed, in exactly these words.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use dbscale_e2e::line::{Line, Quality};
use dbscale_e2e::{World, databases, without_times};
use serde_json::{Value, json};

/// The database under another name, with annotations of the simulator.
fn named(mut object: Value, name: &str, annotations: &[(&str, &str)]) -> Value {
    object["metadata"]["name"] = json!(name);
    for (key, value) in annotations {
        object["metadata"]["annotations"][format!("testbed.dbscale.dev/{key}")] = json!(value);
    }
    object
}

#[test]
fn idle_ones_of_every_engine_stand_beside_each_other() {
    let world = World::new("status-idle");
    world.create(&named(databases::mongodb(), "my-db", &[]));
    world.create(&named(databases::elasticsearch_topology(), "logs", &[]));
    let mut sized = named(databases::postgres(), "crm", &[]);
    sized["spec"]["podTemplate"]["spec"]["containers"][0]["resources"] = databases::resources("2", "4Gi");
    sized["metadata"]["labels"] = json!({"tier": "gold"});
    world.create(&sized);
    for database in ["mongodb/my-db", "elasticsearch/logs", "postgres/crm"] {
        world.until(database, ".status.phase", "Ready");
    }
    let told = world.dbscale(&["status"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    let wanted = "\
DATABASE            SIZE          REPLICAS  STORAGE  STATUS  AGE
elasticsearch/logs                                   Ready   TIME
  master            200m / 256Mi  3         4Gi
  ingest            200m / 256Mi  1         4Gi
  data              200m / 256Mi  3         20Gi
mongodb/my-db       200m / 256Mi  3         20Gi     Ready   TIME
postgres/crm        db.t3.medium  3         20Gi     Ready   TIME
";
    assert_eq!(without_times(&told.stdout), wanted);

    let gold = world.dbscale(&["status", "-l", "tier=gold", "-o", "name"]);
    assert_eq!((gold.code, gold.stdout.as_str()), (0, "postgres.kubedb.com/crm\n"), "{}", gold.stderr);
    let engine = world.dbscale(&["status", "mg", "-o", "json"]);
    assert_eq!(engine.json()["results"][0]["name"], "my-db", "{}", engine.stderr);
    let one = world.dbscale(&["status", "pg/crm", "-o", "json"]).json();
    assert_eq!((&one["phase"], &one["components"][0]["size"]), (&json!("Ready"), &json!("db.t3.medium")));
    assert_eq!(one["components"][0]["volumes"], json!({"done": 3, "all": 3}));
}

#[test]
fn what_is_under_way_and_what_waits_behind_it_is_told_with_a_verdict() {
    let world = World::unjudged("status-line");
    world.create(&named(databases::mongodb(), "my-db", &[("slow", "10m")]));
    world.until("mongodb/my-db", ".status.phase", "Ready");
    let ask = |arguments: &[&str]| {
        let made = world.dbscale(arguments);
        assert_eq!(made.code, 0, "{}", made.stderr);
    };
    ask(&["horizontal", "mg/my-db", "--replicas", "5", "--name", "a-grow"]);
    world.until("mongodbopsrequest/a-grow", ".status.phase", "Progressing");
    ask(&["vertical", "mg/my-db", "--memory", "512Mi", "--name", "b-resize"]);
    world.until("mongodbopsrequest/b-resize", ".status.phase", "Pending");
    // Their names sort as they came, since times count whole seconds. Asked past the plugin, which refuses it as the
    // webhook would.
    world.create(&json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
        "metadata": {"name": "c-grow", "namespace": world.namespace},
        "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "my-db"}, "apply": "Always",
            "horizontalScaling": {"replicas": 5}}}));
    world.until("mongodbopsrequest/c-grow", ".status.phase", "Pending");
    let told = world.dbscale(&["status", "mg/my-db"]);
    let wanted = "\
DATABASE       SIZE          REPLICAS  STORAGE  STATUS  AGE
mongodb/my-db  200m / 256Mi  3 → 5     20Gi     Ready   TIME
  a-grow  HorizontalScaling  Progressing  TIME
  b-resize  VerticalScaling  Pending  will queue  TIME
  c-grow  HorizontalScaling  Pending  duplicate  TIME
";
    assert_eq!((told.code, without_times(&told.stdout).as_str()), (0, wanted), "{}", told.stderr);
    let wide = world.dbscale(&["status", "mg/my-db", "-o", "wide"]).stdout;
    assert!(wide.contains("b-resize  VerticalScaling  Pending  will queue behind a-grow  "), "{wide}");
    let value = world.dbscale(&["status", "mg/my-db", "-o", "json"]).json();
    let verdicts: Vec<&Value> = value["operations"].as_array().unwrap().iter().map(|o| &o["verdict"]).collect();
    assert_eq!(verdicts, ["running", "will_queue", "duplicate"]);
    assert_eq!(value["components"][0]["wanted"], json!({"replicas": "5"}));
}

#[test]
fn volumes_that_lag_behind_and_a_failure_are_told() {
    let world = World::new("status-lag");
    world.create(&named(databases::mongodb(), "my-db", &[("no-resize", "datadir-my-db-1")]));
    world.create(&named(databases::redis_sentinel(), "cache", &[("fail", "no room on any node")]));
    world.until("mongodb/my-db", ".status.phase", "Ready");
    world.until("redis/cache", ".status.phase", "Ready");
    assert_eq!(world.dbscale(&["storage", "mg/my-db", "--to", "40Gi"]).code, 0);
    assert_eq!(world.dbscale(&["vertical", "rd/cache", "--memory", "512Mi", "--name", "resize"]).code, 0);
    world.until("redisopsrequest/resize", ".status.phase", "Failed");
    world.until("pvc/datadir-my-db-2", ".status.capacity.storage", "40Gi");
    world.until("pvc/datadir-my-db-0", ".status.capacity.storage", "40Gi");
    let told = world.dbscale(&["status"]);
    let wanted = "\
DATABASE       SIZE          REPLICAS  STORAGE      STATUS  AGE
mongodb/my-db  200m / 256Mi  3         20Gi → 40Gi  Ready   TIME
  2 of 3 volumes have grown to 40Gi
redis/cache    200m / 256Mi  3         20Gi         Ready   TIME
  resize  VerticalScaling  Failed  no room on any node
";
    assert_eq!((told.code, without_times(&told.stdout).as_str()), (0, wanted), "{}", told.stderr);
}

#[test]
fn nothing_and_the_missing_are_told() {
    let world = World::new("status-none");
    let none = world.dbscale(&["status"]);
    let wanted = format!("There is no database in namespace {}.\n", world.namespace);
    assert_eq!((none.code, none.stdout.as_str(), none.stderr), (0, "", wanted));
    let missing = world.dbscale(&["status", "mg/other"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (3, ""), "{}", missing.stderr);
    assert!(missing.stderr.contains("database/missing"), "{}", missing.stderr);
    let forbidden = world.dbscale(&["status", "--as", "nobody"]);
    assert_eq!((forbidden.code, forbidden.stdout.as_str()), (1, ""), "{}", forbidden.stderr);
}

#[test]
fn who_may_see_one_engine_gets_that_one_and_a_word_on_the_others() {
    let world = World::new("status-rights");
    world.create(&named(databases::mongodb(), "my-db", &[]));
    let resources = "--resource=mongodbs.kubedb.com,mongodbopsrequests.ops.kubedb.com";
    world.must(&["create", "role", "view", "--verb=get,list", resources, "-n", &world.namespace]);
    world.must(&["create", "rolebinding", "view", "--role=view", "--user=ann", "-n", &world.namespace]);
    let told = world.dbscale(&["status", "--as", "ann", "-o", "name"]);
    assert_eq!((told.code, told.stdout.as_str()), (0, "mongodb.kubedb.com/my-db\n"), "{}", told.stderr);
    let (first, second) = told.stderr.split_once('\n').unwrap();
    let wanted = "warning: left out, since you may not list their databases or OpsRequests: ";
    assert!(first.starts_with(wanted) && first.ends_with(" more"), "{first}");
    assert!(second.starts_with("warning: what volumes really have is not told: ") && second.lines().count() == 1);
}

#[test]
fn watched_a_database_is_told_again_when_it_changes_while_anybody_reads() {
    let world = World::new("status-watch");
    world.create(&named(databases::mongodb(), "my-db", &[("no-pods", "true")]));
    world.until("mongodb/my-db", ".status.phase", "Ready");
    let arguments = ["dbscale", "status", "-w", "-n", &world.namespace];
    let mut running = World::command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("mongodb/my-db  200m / 256Mi  3 ")));
    assert_eq!(world.dbscale(&["horizontal", "mg/my-db", "--replicas", "5"]).code, 0);
    assert!(lines.any(|line| line.starts_with("mongodb/my-db  200m / 256Mi  5 ")));
    drop(lines);
    assert_eq!(world.dbscale(&["horizontal", "mg/my-db", "--replicas", "7"]).code, 0);
    assert_eq!(running.wait().unwrap().code(), Some(0), "it ends when nobody reads it any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn watched_an_outage_is_borne_and_a_database_that_goes_is_told() {
    let world = World::new("status-outage");
    for name in ["my-db", "other"] {
        world.create(&named(databases::mongodb(), name, &[("no-pods", "true")]));
        world.until(&format!("mongodb/{name}"), ".status.phase", "Ready");
    }
    let line = Line::to_playground().await;
    let kubeconfig = line.kubeconfig(&world);
    let place = ["-n", &world.namespace, "--kubeconfig", &kubeconfig, "--request-timeout", "10s"];
    let mut command = World::command(&[&["dbscale", "status", "-w"], &place[..]].concat());
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut answer = BufReader::new(running.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut said = BufReader::new(running.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(answer.any(|line| line.starts_with("mongodb/other  200m / 256Mi  3 ")));
    line.make(Quality::Cut);
    let lost = said.next().unwrap();
    assert!(lost.starts_with("The API server does not answer (") && lost.ends_with("; it is asked on."), "{lost}");
    world.must(&["delete", "-n", &world.namespace, "mongodb", "other"]);
    line.make(Quality::Good);
    assert_eq!(said.next().as_deref(), Some("The API server answers again."));
    // Nothing else has changed, so nothing else is told in between.
    assert_eq!(answer.next().as_deref(), Some("mongodb/other is gone"));
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!((said.next(), answer.next()), (None, None));
}

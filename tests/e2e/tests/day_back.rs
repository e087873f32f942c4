//! `rollback` and `retry`: forward to the values from before, and the same again; what is sent, and what is refused.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use dbscale_e2e::{World, databases, settled};
use serde_json::{Value, json};

/// A database `db` that is Ready; its annotations are for the simulator.
fn world(name: &str, annotations: &[(&str, &str)]) -> World {
    let world = World::new(name);
    let mut object = databases::mongodb();
    for (key, value) in annotations {
        object["metadata"]["annotations"][format!("testbed.dbscale.dev/{key}")] = json!(value);
    }
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    world
}

/// Asks, and waits for the phase that the request is to end in.
fn ended(world: &World, name: &str, phase: &str, arguments: &[&str]) {
    let made = world.dbscale(&[arguments, &["--name", name]].concat());
    assert_eq!(made.code, 0, "{}", made.stderr);
    world.until(&format!("mongodbopsrequest/{name}"), ".status.phase", phase);
}

fn object(world: &World, name: &str) -> Value {
    let text = world.must(&["get", "-n", &world.namespace, "mongodbopsrequest", name, "-o", "json"]);
    serde_json::from_str(&text).unwrap()
}

/// The annotation away, so that what comes next succeeds.
fn mend(world: &World, annotation: &str) {
    let gone = format!("testbed.dbscale.dev/{annotation}-");
    world.must(&["annotate", "-n", &world.namespace, "mongodb", "db", &gone]);
}

#[test]
fn a_rollback_shows_its_plan_and_asks_for_the_values_from_before() {
    let world = world("rollback", &[]);
    ended(&world, "more", "Successful", &["horizontal", "mg/db", "--replicas", "5"]);
    ended(&world, "bigger", "Successful", &["vertical", "mg/db", "--memory", "512Mi"]);
    let plan = world.dbscale(&["rollback", "mg/db", "--plan"]);
    let ns = &world.namespace;
    let wanted = format!(
        "mongodb/db in {ns} · replica set · Ready\n\n  memory     512Mi  →  256Mi\n\nSteps\n  1  VerticalScaling    \
         MongoDBOpsRequest       5 pods restart, one by one\n\nBack to what was before bigger (VerticalScaling, \
         Successful).\nNothing has been changed. Do it: kubectl dbscale rollback mongodb/db -n {ns}\n"
    );
    assert_eq!((plan.code, plan.stdout, plan.stderr.as_str()), (0, wanted, ""));
    assert_eq!(world.count("mongodbopsrequests"), 2);

    let back = world.dbscale(&["rollback", "mg/db", "--to", "more", "--name", "back"]);
    let said = format!(
        "Back to what was before more (HorizontalScaling, Successful)\nmongodb/db (replica set, 5 members)   replicas 5 → 3\n\
         warning: [replicas/scale-in] replicaSet 5 → 3: 2 members go, and the claims stay behind; make sure that those which \
         stay hold all data and bear the load\nFollow it: kubectl dbscale wait back -n {ns}\n"
    );
    let made = "mongodbopsrequest.ops.kubedb.com/back created\n";
    assert_eq!((back.code, back.stdout.as_str(), back.stderr), (0, made, said));
    let made = object(&world, "back");
    assert_eq!(made["spec"]["horizontalScaling"], json!({"replicas": 3}));
    assert_eq!(made["metadata"]["annotations"]["dbscale.dev/rollback-of"], "more");
    let noted: Value =
        serde_json::from_str(made["metadata"]["annotations"]["dbscale.dev/before"].as_str().unwrap()).unwrap();
    assert_eq!(noted, json!({"component": "replicaSet", "replicas": 5}));
    world.until("mongodb/db", ".spec.replicas", "3");
    world.until("mongodbopsrequest/back", ".status.phase", "Successful");

    let history = settled(&world.dbscale(&["history", "mg/db"]).stdout);
    let wanted = "\
AGE  OPERATION  CHANGE  OUTCOME  TOOK
TIME  back  replicas 5 → 3  Successful  -
  it goes back from more
TIME  bigger  memory 256Mi → 512Mi  Successful  -
TIME  more  replicas 3 → 5  Successful  -
  back goes back from it
";
    assert_eq!(history, wanted);

    // The way back from that would bring it again.
    let twice = world.dbscale(&["rollback", "mg/db"]);
    assert_eq!((twice.code, twice.stdout.as_str()), (1, ""));
    let said = "error: the newest, back, is itself the way back from more\n";
    assert!(twice.stderr.starts_with(said), "{}", twice.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 3);
}

#[test]
fn a_failed_run_is_compared_with_its_pods() {
    let world = world("rollback-failed", &[("fail", "no room on any node"), ("fail-after", "2")]);
    ended(&world, "bigger", "Failed", &["vertical", "mg/db", "--memory", "512Mi"]);
    assert_eq!(world.value("mongodb/db", ".spec.podTemplate.spec.containers[0].resources.limits.memory"), "256Mi");
    mend(&world, "fail");
    let back = world.dbscale(&["rollback", "mg/db", "--wait", "-o", "json"]);
    assert_eq!(back.code, 0, "{}", back.stderr);
    let value = back.json();
    assert_eq!((&value["memory"], &value["phase"]), (&json!("256Mi"), &json!("Successful")));
    // They have their old size now, and it is sent all the same.
    let memory = ".spec.containers[0].resources.limits.memory";
    for pod in ["pod/db-0", "pod/db-1", "pod/db-2"] {
        world.until(pod, memory, "256Mi");
    }
    let again = world.dbscale(&["rollback", "mg/db", "--to", "bigger", "--name", "again"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, "mongodbopsrequest.ops.kubedb.com/again created\n"));
    assert!(
        again.stderr.contains("The pods of mongodb/db have these values; KubeDB is asked all the same.\n"),
        "{}",
        again.stderr
    );
}

#[test]
fn a_database_that_is_not_ready_is_not_waited_for() {
    let world = world("rollback-not-ready", &[("fail", "no room"), ("never-start", "false")]);
    ended(&world, "bigger", "Failed", &["vertical", "mg/db", "--memory", "512Mi"]);
    let broken = "testbed.dbscale.dev/phase=NotReady";
    world.must(&["annotate", "-n", &world.namespace, "mongodb", "db", broken]);
    world.until("mongodb/db", ".status.phase", "NotReady");
    let back = world.dbscale(&["rollback", "mg/db", "--name", "back"]);
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert_eq!(object(&world, "back")["spec"]["apply"], "Always");
}

#[test]
fn there_is_no_way_back_beside_an_operation_from_volumes_or_to_what_nobody_noted() {
    let world = world("rollback-refused", &[]);
    let ns = world.namespace.clone();
    let none = world.dbscale(&["rollback", "mg/db"]);
    let history = format!("kubectl dbscale history mongodb/db -n {ns}");
    let wanted = format!("error: mongodb/db has no operation to go back from\n  See what is known: {history}.\n");
    assert_eq!((none.code, none.stdout.as_str(), none.stderr), (1, "", wanted));

    ended(&world, "grow", "Successful", &["storage", "mg/db", "--to", "30Gi", "--via", "ops-request"]);
    let volumes = world.dbscale(&["rollback", "mg/db"]);
    let wanted = "error: there is no way back from grow (VolumeExpansion, Successful): volumes only grow\n  Go back from an \
        earlier one with --to, or restore a backup into a smaller database.\n";
    assert_eq!((volumes.code, volumes.stdout.as_str(), volumes.stderr.as_str()), (3, "", wanted));

    world.create(&json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
        "metadata": {"name": "of-hand", "namespace": ns},
        "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "db"}, "horizontalScaling": {"replicas": 5}}}));
    world.until("mongodbopsrequest/of-hand", ".status.phase", "Successful");
    let unknown = world.dbscale(&["rollback", "mg/db"]);
    let wanted = "error: there is no way back from of-hand (HorizontalScaling, Successful): the values from before were not \
        noted, and there is no record of it (the dbscale controller keeps one)\n  Ask for the values that you want with \
        kubectl dbscale set.\n";
    assert_eq!((unknown.code, unknown.stderr.as_str()), (1, wanted));

    world.must(&["annotate", "-n", &ns, "mongodb", "db", "testbed.dbscale.dev/slow=10m"]);
    ended(&world, "busy", "Progressing", &["horizontal", "mg/db", "--replicas", "6"]);
    let beside = world.dbscale(&["rollback", "mg/db", "--to", "grow"]);
    let wanted = format!(
        "error: busy (HorizontalScaling) is Progressing: what it leaves behind is not known yet\n  Go back when it has \
         ended: kubectl dbscale wait busy -n {ns}.\n"
    );
    assert_eq!((beside.code, beside.stderr), (5, wanted));
    let gone = world.dbscale(&["rollback", "mg/other"]);
    assert_eq!(gone.code, 3, "{}", gone.stderr);
    assert!(gone.stderr.contains("database/missing"), "{}", gone.stderr);
}

#[test]
fn a_retry_sends_the_same_again_and_says_what_is_different() {
    let world = world("retry", &[("fail", "no room on any node")]);
    ended(&world, "more", "Failed", &["horizontal", "mg/db", "--replicas", "5", "--timeout", "7m"]);
    mend(&world, "fail");
    let again = world.dbscale(&["retry", "mg/db", "--name", "again"]);
    let wanted = format!(
        "more (HorizontalScaling) ended Failed: no room on any node\nSince then no value of it has changed.\nmongodb/db \
         (replica set, 3 members)   replicas 3 → 5\nFollow it: kubectl dbscale wait again -n {}\n",
        world.namespace
    );
    let made = "mongodbopsrequest.ops.kubedb.com/again created\n";
    assert_eq!((again.code, again.stdout.as_str(), again.stderr), (0, made, wanted));
    let (first, second) = (object(&world, "more"), object(&world, "again"));
    assert_eq!(first["spec"], second["spec"]);
    assert_eq!(second["metadata"]["annotations"]["dbscale.dev/retry-of"], "more");
    world.until("mongodbopsrequest/again", ".status.phase", "Successful");

    let done = world.dbscale(&["retry", "mg/db"]);
    let wanted = "error: again, the newest of mongodb/db, ended Successful: there is nothing to try again\n  Name an \
        OpsRequest to send that one again.\n";
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (1, "", wanted));
    let named = world.dbscale(&["retry", "more", "--apply", "Always", "--dry-run=server"]);
    assert_eq!(named.code, 0, "{}", named.stderr);
    assert!(named.stderr.contains("Different now: replicas 3 then, 5 now\n"), "{}", named.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 2);
    let missing = world.dbscale(&["retry", "nothing"]);
    assert_eq!(missing.code, 1, "{}", missing.stderr);
    assert!(missing.stderr.starts_with("error: there is no OpsRequest called nothing"), "{}", missing.stderr);
}

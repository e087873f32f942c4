//! `wait`, and how operations are told while they are followed: off a terminal, on one, and where they end badly.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use std::io::Read as _;
use std::process::{Command, Stdio};

use dbscale_e2e::line::{Line, Quality};
use dbscale_e2e::screen::Screen;
use dbscale_e2e::{Answer, World, databases, without_times};
use serde_json::json;

/// A database `db` whose requests do as the annotation says, with a request `ask` for more memory.
fn asked(name: &str, annotation: &str, value: &str) -> World {
    let world = World::new(name);
    let mut object = databases::mongodb();
    object["metadata"]["annotations"] = json!({format!("testbed.dbscale.dev/{annotation}"): value});
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    let made = world.dbscale(&["vertical", "mg/db", "--memory", "512Mi", "--name", "ask"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let follow = format!("Follow it: kubectl dbscale wait ask -n {}\n", world.namespace);
    assert!(made.stderr.ends_with(&follow), "{}", made.stderr);
    world
}

fn told(answer: &Answer) -> (i32, String) {
    (answer.code, without_times(&answer.stderr))
}

#[test]
fn off_a_terminal_a_line_tells_a_change() {
    let world = asked("wait-plain", "slow", "3s");
    world.until("mongodbopsrequest/ask", ".status.phase", "Progressing");
    let done = world.dbscale(&["wait", "mg/db"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{}", done.stderr);
    let lines = without_times(&done.stderr);
    let (first, last) = (lines.lines().next(), lines.lines().last());
    assert_eq!(first, Some("ask  VerticalScaling  Progressing  0 of 3 pods  TIME"));
    assert_eq!(last, Some("ask  VerticalScaling  Successful  TIME"));
    assert!(lines.lines().all(|line| line.len() <= 80), "{lines}");

    let again = world.dbscale(&["wait", "mg/db"]);
    assert_eq!(told(&again), (0, "mongodb/db has no active operation\n".to_owned()));
    let by_name = world.dbscale(&["wait", "mongodbopsrequest.ops.kubedb.com/ask", "-o", "json"]);
    let value = by_name.json();
    assert_eq!((by_name.code, &value["phase"], &value["name"]), (0, &json!("Successful"), &json!("db")));
}

#[test]
fn a_failure_is_told_with_its_reason() {
    let world = asked("wait-failed", "fail", "no room on any node");
    world.until("mongodbopsrequest/ask", ".status.phase", "Failed");
    let failed = world.dbscale(&["wait", "ask"]);
    let wanted = "ask  VerticalScaling  Failed  TIME\nerror: ask ended Failed: no room on any node\n";
    assert_eq!(told(&failed), (6, wanted.to_owned()));
    let wanted = world.dbscale(&["wait", "ask", "--for", "phase=Failed"]);
    assert_eq!(wanted.code, 0, "{}", wanted.stderr);
}

#[test]
fn an_end_that_does_not_come_is_a_time_out() {
    let world = asked("wait-late", "never-start", "true");
    let late = world.dbscale(&["wait", "ask", "--timeout", "1s"]);
    let wanted = "ask  VerticalScaling  Pending  TIME\n\
        error: ask is still Pending when the time to wait was over\n  It goes on; wait longer with --timeout.\n";
    assert_eq!(told(&late), (7, wanted.to_owned()));
    assert_eq!(world.dbscale(&["wait", "ask", "--for", "phase=Pending"]).code, 0);
}

#[test]
fn one_that_is_deleted_meanwhile_is_told() {
    let world = asked("wait-gone", "never-start", "true");
    let arguments = ["dbscale", "wait", "ask", "-n", &world.namespace];
    let mut running = World::command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 4];
    running.stderr.as_mut().unwrap().read_exact(&mut first).unwrap(); // it has looked once
    world.must(&["delete", "-n", &world.namespace, "mongodbopsrequest", "ask"]);
    let output = running.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(stderr.contains("error: ask is gone: somebody has deleted it"), "{stderr}");
}

#[test]
fn volumes_that_grow_without_an_operation_are_followed() {
    let world = World::new("wait-claims");
    let mut object = databases::mongodb();
    object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/no-resize": "datadir-db-1"});
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    assert_eq!(world.dbscale(&["storage", "mg/db", "--to", "40Gi"]).code, 0);
    for claim in ["pvc/datadir-db-0", "pvc/datadir-db-2"] {
        world.until(claim, ".status.capacity.storage", "40Gi");
    }
    let late = world.dbscale(&["wait", "mg/db", "--timeout", "5s"]);
    let wanted = "mongodb/db  StoragePatch  Progressing  2 of 3 claims  TIME\n\
        error: 2 of 3 volumes have grown to 40Gi when the time to wait was over\n  It goes on; wait longer with --timeout.\n";
    assert_eq!(told(&late), (7, wanted.to_owned()));

    let mut follow = World::command(&["dbscale", "wait", "mg/db", "-o", "json", "-n", &world.namespace]);
    let mut running = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 4];
    running.stderr.as_mut().unwrap().read_exact(&mut first).unwrap(); // it has looked once
    world.must(&["annotate", "-n", &world.namespace, "mongodb", "db", "testbed.dbscale.dev/no-resize-"]);
    let done = Answer::of(&running.wait_with_output().unwrap());
    let value = done.json();
    assert_eq!((done.code, &value["phase"], &value["storage"]), (0, &json!("Successful"), &json!("40Gi")));
    assert_eq!(value["claims"], json!(["datadir-db-0", "datadir-db-1", "datadir-db-2"]));
    let again = world.dbscale(&["wait", "mg/db"]);
    assert_eq!(told(&again), (0, "mongodb/db has no active operation\n".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_followed_over_few_connections() {
    const MANY: usize = 24;
    let world = World::unjudged("wait-many");
    let objects = (0..MANY).flat_map(|n| {
        let mut database = databases::mongodb();
        let no_work = json!({"testbed.dbscale.dev/no-pods": "true", "testbed.dbscale.dev/never-start": "true"});
        database["metadata"] = json!({"name": format!("db-{n}"), "labels": {"tier": "gold"}, "annotations": no_work});
        let request = json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
            "metadata": {"name": format!("ask-{n}")}, "spec": {"type": "HorizontalScaling",
                "databaseRef": {"name": format!("db-{n}")}, "horizontalScaling": {"replicas": 5}}});
        [database, request]
    });
    let objects: Vec<_> = objects.collect();
    world.create(&json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects}));
    let line = Line::to_playground().await;
    line.make(Quality::Slow(std::time::Duration::from_millis(20)));
    let kubeconfig = line.kubeconfig(&world);
    let late = world.dbscale(&["wait", "mg", "-l", "tier=gold", "--timeout", "15s", "--kubeconfig", &kubeconfig]);
    assert_eq!(late.code, 7, "{}", late.stderr);
    for n in 0..MANY {
        let said = format!("error: ask-{n} is still Pending when the time to wait was over\n");
        assert!(late.stderr.contains(&said), "{}", late.stderr);
    }
    // One for each call that is under way; looking for them took at most two at a time.
    assert!(line.connections() <= 10, "{} connections", line.connections());
}

#[test]
fn what_is_not_there_is_told() {
    let world = World::new("wait-missing");
    let missing = world.dbscale(&["wait", "nothing"]);
    let wanted = format!(
        "error: there is no OpsRequest called nothing in namespace {}\n  Name one that is there, or a database as \
         ENGINE/NAME; see them with kubectl dbscale status.\n",
        world.namespace
    );
    assert_eq!(told(&missing), (1, wanted));
    let missing = world.dbscale(&["wait", "mg/nothing"]);
    assert_eq!(missing.code, 3, "{}", missing.stderr);
    assert!(missing.stderr.contains("database/missing"), "{}", missing.stderr);
}

#[test]
fn on_a_terminal_one_line_is_rewritten_and_an_interrupt_leaves_the_operation_running() {
    let world = asked("wait-pty", "slow", "10m");
    world.until("mongodbopsrequest/ask", ".status.phase", "Progressing");
    let mut command = World::command(&["dbscale", "wait", "ask", "-n", &world.namespace]);
    let (mut running, mut screen) = Screen::start(command.env("TERM", "xterm"), 80);
    screen.until("ask  VerticalScaling  Progressing  ░░░░░░░░░░  0 of 3 pods");
    let sent = Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(sent.success());
    screen.until("stopping; what was asked for goes on in the cluster");
    screen.until("interrupted: ask is still Progressing; it goes on in the cluster");
    assert_eq!(running.wait().unwrap().code(), Some(130));
    assert_eq!(world.value("mongodbopsrequest/ask", ".status.phase"), "Progressing");
}

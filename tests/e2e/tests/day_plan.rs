//! `plan --out` and `apply`: a plan is carried out as it was read, or not at all.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use dbscale_e2e::{World, databases};
use serde_json::Value;

/// A database `db` that is Ready, and a file for its plan.
fn world(name: &str) -> (World, String) {
    let world = World::new(name);
    world.create(&databases::mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    let file = world.write("plan.json", "");
    (world, file)
}

fn planned(world: &World, file: &str, flags: &[&str]) -> Value {
    let plan = world.dbscale(&[&["plan", "mg/db", "--out", file], flags].concat());
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let last = plan.stdout.lines().last().unwrap();
    assert_eq!(last, format!("Nothing has been changed. Do it: kubectl dbscale apply {file}"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn the_very_objects_of_the_plan_are_made_once() {
    let (world, file) = world("plan-apply");
    let plan = planned(&world, &file, &["--replicas", "5", "--memory", "512Mi", "--storage", "30Gi"]);
    let version = world.value("mongodb/db", ".metadata.resourceVersion");
    assert_eq!(plan["databases"][0]["observed"]["resource_version"], version.as_str());
    let steps = plan["databases"][0]["steps"].as_array().unwrap();
    assert_eq!(
        steps.iter().map(|s| s["kind"].as_str().unwrap()).collect::<Vec<_>>(),
        ["Patch", "OpsRequest", "OpsRequest"]
    );
    let tried = world.dbscale(&["apply", &file, "--dry-run=client"]);
    assert_eq!(tried.code, 0, "{}", tried.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 0);
    // A status that somebody writes is no change of what the plan rests on.
    let patch = r#"{"status":{"observedGeneration":1}}"#;
    world.must(&[
        "patch",
        "-n",
        &world.namespace,
        "mongodb",
        "db",
        "--subresource=status",
        "--type=merge",
        "-p",
        patch,
    ]);
    let done = world.dbscale(&["apply", &file, "--wait"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for step in &steps[1..] {
        let name = step["object"]["metadata"]["name"].as_str().unwrap();
        let made = world.must(&["get", "-n", &world.namespace, "mongodbopsrequest", name, "-o", "json"]);
        let made: Value = serde_json::from_str(&made).unwrap();
        assert_eq!(made["metadata"]["annotations"], step["object"]["metadata"]["annotations"]);
    }
    assert_eq!(world.value("mongodb/db", ".spec.replicas"), "5");
    world.until("pvc/datadir-db-0", ".status.capacity.storage", "30Gi");
    let again = world.dbscale(&["apply", &file]);
    assert_eq!((again.code, again.stdout.as_str()), (1, ""), "{}", again.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 2);
}

#[test]
fn what_has_changed_since_is_told_and_nothing_is_done() {
    let (world, file) = world("plan-stale");
    planned(&world, &file, &["--memory", "512Mi"]);
    let refused = |what: &str| {
        let stale = world.dbscale(&["apply", &file]);
        let wanted = format!(
            "error: the present is not what the plan saw; nothing was changed\n  mongodb/db in {}: {what}\n  Make a new plan, \
             and read it.\n",
            world.namespace
        );
        assert_eq!((stale.code, stale.stdout.as_str(), stale.stderr), (1, "", wanted));
    };
    world.must(&["label", "-n", &world.namespace, "mongodb", "db", "tier=gold"]);
    refused("metadata.labels was not set, and is {\"tier\":\"gold\"}");
    planned(&world, &file, &["--memory", "512Mi"]);
    let patch = r#"{"spec":{"replicas":4}}"#;
    world.must(&["patch", "-n", &world.namespace, "mongodb", "db", "--type=merge", "-p", patch]);
    world.until("mongodb/db", ".status.phase", "Ready");
    refused("spec.replicas was 3, and is 4");
    planned(&world, &file, &["--memory", "512Mi"]);
    let made = world.dbscale(&["vertical", "mg/db", "--cpu", "300m", "--name", "other", "--dry-run=none"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    world.until("mongodbopsrequest/other", ".status.phase", "Successful");
    let stale = world.dbscale(&["apply", &file]);
    assert_eq!(stale.code, 1);
    assert!(stale.stderr.contains(": OpsRequest other has come, and is Successful\n"), "{}", stale.stderr);

    // Steps that nobody planned are not sent, whoever wrote them.
    let mut plan = planned(&world, &file, &["--memory", "512Mi"]);
    plan["databases"][0]["steps"][0]["object"]["spec"]["apply"] = "Always".into();
    std::fs::write(&file, plan.to_string()).unwrap();
    refused("other steps lead there now");
    assert_eq!(world.count("mongodbopsrequests"), 1);
}

#[test]
fn what_is_no_plan_is_told() {
    let (world, file) = world("plan-none");
    let empty = world.dbscale(&["apply", &file]);
    assert_eq!(empty.code, 2);
    assert!(
        empty.stderr.contains("is no plan: EOF") && empty.stderr.contains("kubectl dbscale plan … --out FILE"),
        "{}",
        empty.stderr
    );
    let gone = world.dbscale(&["apply", "/nonexistent/plan.json"]);
    assert_eq!(gone.code, 2, "{}", gone.stderr);
    let refused = world.dbscale(&["plan", "mg/db", "--replicas", "0", "--out", &file]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "", "a plan that is refused is not written");
}

//! `cancel` and `cleanup`: what may be taken away, what may not, and in which words.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use dbscale_e2e::{World, databases};
use serde_json::{Value, json};

/// A database `db` whose requests do as the annotation says.
fn world(name: &str, annotation: &str, value: &str) -> World {
    let world = World::new(name);
    let mut object = databases::mongodb();
    object["metadata"]["annotations"] =
        json!({format!("testbed.dbscale.dev/{annotation}"): value, "testbed.dbscale.dev/no-pods": "true"});
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    world
}

fn ask(world: &World, name: &str, arguments: &[&str]) {
    let made = world.dbscale(&[arguments, &["--name", name]].concat());
    assert_eq!(made.code, 0, "{}", made.stderr);
}

#[test]
fn one_that_has_not_begun_is_cancelled() {
    let world = world("cancel", "never-start", "true");
    ask(&world, "resize", &["vertical", "mg/db", "--memory", "512Mi"]);
    for dry in ["client", "server"] {
        let tried = world.dbscale(&["cancel", "resize", &format!("--dry-run={dry}")]);
        let wanted = format!("mongodbopsrequest.ops.kubedb.com/resize cancelled ({dry} dry run)\n");
        assert_eq!((tried.code, tried.stdout), (0, wanted), "{}", tried.stderr);
    }
    assert_eq!(world.count("mongodbopsrequests"), 1);
    let done = world.dbscale(&["cancel", "resize", "-o", "json"]);
    assert_eq!((done.code, &done.json()["cancelled"]), (0, &json!(true)), "{}", done.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 0);
    let none = world.dbscale(&["cancel", "mg/db"]);
    assert_eq!((none.code, none.stderr.as_str()), (0, "mongodb/db has no active operation\n"));
}

#[test]
fn what_has_begun_goes_on_and_what_waits_behind_it_is_cancelled() {
    let world = world("cancel-running", "slow", "10m");
    ask(&world, "grow", &["horizontal", "mg/db", "--replicas", "5"]);
    world.until("mongodbopsrequest/grow", ".status.phase", "Progressing");
    let begun = world.dbscale(&["cancel", "grow"]);
    let wanted = format!(
        "error: grow has begun, and KubeDB stops no operation in the middle\n  Wait for its end (kubectl dbscale wait grow \
         -n {}), and ask for the values of before then.\n",
        world.namespace
    );
    assert_eq!((begun.code, begun.stdout.as_str(), begun.stderr), (5, "", wanted));

    ask(&world, "resize", &["vertical", "mg/db", "--memory", "512Mi"]);
    let behind = world.dbscale(&["cancel", "mg/db"]);
    assert_eq!((behind.code, behind.stderr.as_str()), (0, "grow is Progressing and goes on\n"));
    assert_eq!(behind.stdout, "mongodbopsrequest.ops.kubedb.com/resize cancelled\n");
    assert_eq!(world.must(&["get", "-n", &world.namespace, "mongodbopsrequests", "-o", "name"]).lines().count(), 1);
}

#[test]
fn what_a_tool_would_make_again_is_not_cancelled() {
    let world = world("cancel-gitops", "never-start", "true");
    world.create(&json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
        "metadata": {"name": "of-git", "namespace": world.namespace,
            "annotations": {"argocd.argoproj.io/tracking-id": "shop:ops.kubedb.com/MongoDBOpsRequest:demo/of-git"}},
        "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "db"}, "horizontalScaling": {"replicas": 5}}}));
    let kept = world.dbscale(&["cancel", "of-git"]);
    let wanted = "error: of-git is looked after by Argo CD (shop), which would make it again\n  Take it away there.\n";
    assert_eq!((kept.code, kept.stdout.as_str(), kept.stderr.as_str()), (3, "", wanted));
    assert_eq!(world.count("mongodbopsrequests"), 1);
}

/// A finished OpsRequest; the API server takes a status only by itself.
fn finished(world: &World, index: usize, managed: bool) {
    let name = format!("old-{index}");
    let labels = if managed { json!({"app.kubernetes.io/managed-by": "dbscale"}) } else { json!({}) };
    world.create(&json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
        "metadata": {"name": name, "namespace": world.namespace, "labels": labels},
        "spec": {"type": "Restart", "databaseRef": {"name": "db"}}}));
    world.until(&format!("mongodbopsrequest/{name}"), ".status.phase", "Successful");
}

fn names(world: &World) -> Vec<String> {
    let list = world.must(&["get", "-n", &world.namespace, "mongodbopsrequests", "-o", "json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn finished_ones_of_dbscale_are_taken_away_but_for_the_newest() {
    let world = world("cleanup", "slow", "0s");
    for index in 0..5 {
        finished(&world, index, index != 0);
    }
    let tried = world.dbscale(&["cleanup", "mg/db", "--keep", "2", "--dry-run"]);
    let wanted = "mongodbopsrequest.ops.kubedb.com/old-1 deleted (client dry run)\n\
        mongodbopsrequest.ops.kubedb.com/old-2 deleted (client dry run)\n";
    assert_eq!((tried.code, tried.stdout.as_str()), (0, wanted), "{}", tried.stderr);
    assert_eq!(names(&world).len(), 5);
    let all = world.dbscale(&["cleanup", "mongodb", "-l", "nothing=here"]);
    assert_eq!((all.code, all.stdout.as_str(), all.stderr.as_str()), (0, "", "There is nothing to take away.\n"));
    let done = world.dbscale(&["cleanup", "mg/db", "--keep", "2"]);
    assert_eq!((done.code, done.stdout.lines().count()), (0, 2), "{}", done.stderr);
    assert_eq!(names(&world), ["old-0", "old-3", "old-4"]);
    let again = world.dbscale(&["cleanup", "mg/db", "--keep", "2"]);
    assert_eq!((again.code, again.stderr.as_str()), (0, "There is nothing to take away.\n"));
}

//! What an operation may come to, under a controller whose limits are seconds; and what its flags change.

use dbscale_e2e::databases;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{Plane, bare};

/// The limits. What is to take longer takes an hour, until a test lets it go on: no moment can be missed.
const TIMEOUT: &str = "--monitoring-timeout=8s";
const AGE: &str = "--retention-age=6s";

/// No other process is there to take over, so a lease that a busy machine cannot lose.
const LEASE: &str = "--lease-seconds=30";

/// Ends a controller in order: it lets go of its lease.
async fn stop(controller: &mut Child) {
    let pid = controller.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert!(controller.wait().await.unwrap().success());
}

/// A request for a database in which `annotations` ask the simulator for trouble.
fn request(name: &str, database: &str, spec: &Value, annotations: &Value) -> Value {
    let mut object = json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "spec": {"databaseRef": {"name": database}}});
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key.as_str()] = value.clone();
    }
    object
}

fn members(count: i64) -> Value {
    json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": count}})
}

fn memory(amount: &str) -> Value {
    json!({"type": "VerticalScaling", "verticalScaling": {"replicaSet": {"resources": databases::resources("200m", amount)}}})
}

fn trouble(what: &str, how: &str) -> Value {
    json!({format!("testbed.dbscale.dev/{what}"): how})
}

/// Takes an OpsRequest out of its trouble.
async fn go_on(plane: &Plane, name: &str, what: &str) {
    let request = format!("mongodbopsrequest/{name}");
    plane.kubectl(&["annotate", &request, &format!("testbed.dbscale.dev/{what}-")]).await;
}

/// A database with pods.
fn with_pods(name: &str) -> Value {
    let mut object = databases::mongodb();
    object["metadata"] = json!({"name": name, "namespace": "default"});
    object
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_an_operation_comes_to_the_record_says_so_and_the_flags_are_kept() {
    let plane = Plane::start().await;
    let strict = [LEASE, TIMEOUT, AGE, "--retention-count=20", "--retention-scope=all", "--grow-pvcs=all"];
    let (mut controller, _) = plane.controller(&strict);
    let names = ["asked", "allowed", "idle", "late", "queue", "broken"];
    plane.create(names.map(bare).into()).await;
    plane.create(vec![with_pods("stuck"), with_pods("wide")]).await;
    plane.until("mongodbs", 8, |o| o["status"]["phase"] == "Ready").await;
    plane.until("scalingrecords", 8, |o| o["status"]["phase"] == "Running").await;

    tokio::join!(
        waits_and_never_begins(&plane),
        runs_too_long(&plane),
        is_stuck(&plane),
        is_skipped(&plane),
        fails(&plane),
        grows(&plane)
    );
    // All of these are everybody's, and old enough by now. Only what has not ended stays.
    plane.until("mongodbopsrequests", 1, |o| o["metadata"]["name"] == "stuck-now").await;
    stop(&mut controller).await;

    let (controller, _) = plane.controller(&[LEASE, "--retention-count=0", "--retention-scope=off", "--grow-pvcs=off"]);
    stays(&plane).await;
    drop(controller);
}

/// Waiting for approval takes no time; not to begin does.
async fn waits_and_never_begins(plane: &Plane) {
    let wait = trouble("wait-for-approval", "true");
    plane
        .create(vec![
            request("asked-now", "asked", &members(5), &wait),
            request("allowed-now", "allowed", &members(5), &wait),
        ])
        .await;
    plane.until_at("scalingrecord/mongodb-asked", "/status/reason", "WaitingForApproval").await;
    plane.until_at("scalingrecord/mongodb-allowed", "/status/reason", "WaitingForApproval").await;
    // This one has less time behind it, and is out of it first.
    plane.create(vec![request("idle-now", "idle", &members(5), &trouble("never-start", "true"))]).await;
    plane.until_at("scalingrecord/mongodb-idle", "/status/reason", "NeverStarted").await;
    let idle = plane.get("scalingrecord/mongodb-idle").await;
    assert_eq!(idle["status"]["phase"], "Failed");
    assert_eq!(idle["status"]["message"], "idle-now has not begun within 8 s: KubeDB has not begun it");
    for name in ["asked", "allowed"] {
        let record = plane.get(&format!("scalingrecord/mongodb-{name}")).await;
        assert_eq!(
            (&record["status"]["phase"], &record["status"]["reason"]),
            (&json!("Scaling"), &json!("WaitingForApproval"))
        );
    }

    for (name, answer) in [("asked-now", "Denied"), ("allowed-now", "Approved")] {
        let patch = json!({"status": {"phase": answer}}).to_string();
        let object = format!("mongodbopsrequest/{name}");
        plane.kubectl(&["patch", &object, "--subresource=status", "--type=merge", "-p", &patch]).await;
    }
    go_on(plane, "idle-now", "never-start").await;
    let denied = plane.past("asked", "asked-now", "Denied").await;
    assert_eq!((&denied["effect"], &denied["startedAt"]), (&Value::Null, &Value::Null), "it never ran: {denied}");
    plane.past("allowed", "allowed-now", "Successful").await;
    plane.past("idle", "idle-now", "Successful").await;
    for name in ["asked", "allowed", "idle"] {
        plane.until_at(&format!("scalingrecord/mongodb-{name}"), "/status/phase", "Running").await;
    }
    plane.told("ops_request_not_run", "asked-now", &json!({"phase": "Denied"})).await;
    assert_eq!(plane.lines("ops_request_overdue", "idle-now").len(), 1, "told once");
    for name in ["asked-now", "allowed-now"] {
        assert_eq!(plane.lines("ops_request_overdue", name), [] as [Value; 0], "{name} waited for a person");
    }
}

/// Too long is a failure, until it ends after all; what waits behind it is in no delay.
async fn runs_too_long(plane: &Plane) {
    plane.create(vec![request("late-now", "late", &members(5), &trouble("slow", "1h"))]).await;
    plane.until_at("scalingrecord/mongodb-late", "/status/last", "HorizontalScaling Progressing").await;
    plane.create(vec![request("behind", "late", &memory("300Mi"), &json!({}))]).await;
    plane.until_at("scalingrecord/mongodb-late", "/status/reason", "MonitoringTimeout").await;
    let late = plane.get("scalingrecord/mongodb-late").await;
    assert_eq!(late["status"]["phase"], "Failed");
    assert_eq!(late["status"]["message"], "late-now has not ended within 8 s");
    go_on(plane, "late-now", "slow").await;
    plane.past("late", "late-now", "Successful").await;
    plane.past("late", "behind", "Successful").await;
    plane.until_at("scalingrecord/mongodb-late", "/status/phase", "Running").await;
    plane
        .told(
            "ops_request_overdue",
            "late-now",
            &json!({"phase": "Progressing", "reason": "MonitoringTimeout",
        "message": "late-now has not ended within 8 s"}),
        )
        .await;
    plane
        .told(
            "ops_request_successful",
            "late-now",
            &json!({"database_id": "mongodb/default/late",
        "ops_type": "HorizontalScaling", "phase": "Successful", "reason": "", "message": "", "level": "INFO"}),
        )
        .await;
    assert_eq!(plane.lines("ops_request_overdue", "behind"), [] as [Value; 0], "it waited for another");
}

/// A member that fits on no node, and the one sentence that says so.
async fn is_stuck(plane: &Plane) {
    plane.create(vec![request("stuck-now", "stuck", &memory("100Gi"), &json!({}))]).await;
    plane.until_at("scalingrecord/mongodb-stuck", "/status/reason", "Stuck").await;
    let said = plane.get("scalingrecord/mongodb-stuck").await["status"]["message"].as_str().unwrap().to_owned();
    let begins = "stuck-now has not ended within 8 s: pod stuck-";
    assert!(said.starts_with(begins) && said.contains(" does not fit on any node: 0/4 nodes are available"), "{said}");
    assert_eq!(said.matches("pod stuck-").count(), 1, "one cause: {said}");
}

/// A newer one of its type takes the place of one that has not begun.
async fn is_skipped(plane: &Plane) {
    plane.create(vec![request("first", "queue", &members(5), &trouble("slow", "1h"))]).await;
    plane.until_at("scalingrecord/mongodb-queue", "/status/last", "HorizontalScaling Progressing").await;
    plane.create(vec![request("second", "queue", &memory("300Mi"), &json!({}))]).await;
    plane.until_at("mongodbopsrequest/second", "/status/phase", "Pending").await;
    plane.create(vec![request("third", "queue", &memory("400Mi"), &json!({}))]).await;
    let skipped = plane.past("queue", "second", "Skipped").await;
    assert_eq!((&skipped["effect"], &skipped["startedAt"]), (&Value::Null, &Value::Null), "it never ran: {skipped}");
    go_on(plane, "first", "slow").await;
    let done = plane.past("queue", "third", "Successful").await;
    assert_eq!(
        done["changes"][0],
        json!({"component": "replicaSet", "field": "memory", "before": "256Mi", "after": "400Mi"})
    );
    plane.until_at("scalingrecord/mongodb-queue", "/status/phase", "Running").await;
    plane.told("ops_request_not_run", "second", &json!({"phase": "Skipped"})).await;
    assert_eq!(plane.lines("ops_request_successful", "second"), [] as [Value; 0]);
    assert_eq!(plane.lines("ops_request_failed", "second"), [] as [Value; 0]);
}

async fn fails(plane: &Plane) {
    plane.create(vec![request("broken-now", "broken", &members(5), &trouble("fail", "no room"))]).await;
    plane.past("broken", "broken-now", "Failed").await;
    plane.told("ops_request_failed", "broken-now", &json!({"database_id": "mongodb/default/broken",
        "ops_type": "HorizontalScaling", "phase": "Failed", "reason": "Failed", "message": "no room", "level": "ERROR"})).await;
}

/// Everybody's claims grow, also those of a database that dbscale has never changed.
async fn grows(plane: &Plane) {
    plane.kubectl(&["patch", "mongodb/wide", "--type=merge", "-p", &storage("30Gi")]).await;
    for claim in 0..3 {
        plane.until_at(&format!("pvc/datadir-wide-{claim}"), "/status/capacity/storage", "30Gi").await;
    }
    plane.until_at("scalingrecord/mongodb-wide", "/status/history/0/type", "StoragePatch").await;
}

fn storage(size: &str) -> String {
    json!({"spec": {"storage": {"resources": {"requests": {"storage": size}}}}}).to_string()
}

/// Nobody's claims grow and nothing is deleted, also of what dbscale itself has made.
async fn stays(plane: &Plane) {
    plane.kubectl(&["annotate", "mongodb/wide", "dbscale.dev/request-id=one"]).await;
    plane.kubectl(&["patch", "mongodb/wide", "--type=merge", "-p", &storage("40Gi")]).await;
    let mut ours = request("of-dbscale", "wide", &members(4), &json!({}));
    ours["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "dbscale"});
    plane.create(vec![ours]).await;
    plane.past("wide", "of-dbscale", "Successful").await;
    // Whatever follows from the first has been done when the second, which came later, is in the record.
    plane.create(vec![request("last", "wide", &memory("300Mi"), &json!({}))]).await;
    plane.past("wide", "last", "Successful").await;
    plane.get("mongodbopsrequest/of-dbscale").await;
    let claim = plane.get("pvc/datadir-wide-0").await;
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "30Gi");
}

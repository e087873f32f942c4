//! Several clusters, of which one does not answer.

use std::time::{Duration, Instant};

use dbscale_e2e::line::{Line, Quality};
use http::Request;
use kube::Client;
use serde_json::{Value, json};

use super::{Plane, database, patience, request};

/// How many phases are changed to see how soon the record follows.
const CHANGES: usize = 25;

/// How many databases the other cluster has.
const OTHERS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_that_refuse_or_fall_silent_make_no_other_slower() {
    // Nobody but this test changes a phase here.
    let (west, east) = tokio::join!(Plane::start_with(false), Plane::start_with(false));
    let line = Line::to(west.playground.plane.address().trim_start_matches("https://")).await;
    let through = west.kubeconfig_for(&line.address.to_string());
    let dead = west.kubeconfig_for("127.0.0.1:1");
    // Long enough that nobody else's work on this machine makes one of them lose its lease.
    let mut flags = vec!["--lease-seconds=6".to_owned()];
    for (name, kubeconfig) in [("dead", &dead), ("west", &through), ("east", &east.kubeconfig)] {
        flags.push(format!("--cluster={name}={}", kubeconfig.display()));
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let (controller, _) = east.controller(&flags);
    east.create(vec![database(1), request(1, 1, 1)]).await;
    west.create((0..OTHERS).map(database).collect()).await;
    let client = dbscale_testbed::client(&east.playground.plane.kubeconfig()).await.unwrap();
    let last = |o: &Value| o["status"]["last"].clone();
    east.until("scalingrecords", 1, |o| last(o) == "HorizontalScaling Pending").await;
    west.until("scalingrecords", OTHERS, |o| o["status"]["phase"] == "Running").await;

    // Both have just started, and are busy with that at first.
    follow(&client).await;
    let well = follow(&client).await;
    // It falls silent with work under way, and all that is asked of it is left hanging.
    west.create((0..OTHERS).map(|index| request(index, 1, 1)).collect()).await;
    let losses = || east.log().matches("the lease of cluster west is lost").count();
    let before = losses();
    line.make(Quality::Silent);
    let first = follow(&client).await;
    let began = Instant::now();
    while losses() == before {
        assert!(began.elapsed() < patience(), "the silence was not noticed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let later = follow(&client).await;
    println!(
        "phase change → record, median and longest: {well:?}; the other falls silent {first:?}, and stays so {later:?}"
    );
    // Whoever waited for the silent one would wait for seconds.
    for (median, _) in [first, later] {
        assert!(median <= 2 * well.0 + Duration::from_millis(200), "{median:?}, and {:?} while all was well", well.0);
    }
    // Nothing was waited out: a call may take 30 s.
    assert!(first.1.max(later.1) < Duration::from_secs(5), "{first:?}, {later:?}");

    line.make(Quality::Good);
    west.until("scalingrecords", OTHERS, |o| last(o) == "HorizontalScaling Pending").await;
    drop(controller);
}

/// Changes the phase of an OpsRequest again and again; answers the median and the longest time until the record says so.
async fn follow(client: &Client) -> (Duration, Duration) {
    let mut took = Vec::new();
    for change in 0..CHANGES {
        let phase = if change.is_multiple_of(2) { "WaitingForApproval" } else { "Pending" };
        let body = json!({"status": {"phase": phase}}).to_string().into_bytes();
        let status =
            Request::patch("/apis/ops.kubedb.com/v1alpha1/namespaces/default/mongodbopsrequests/db-1-scale-1/status");
        let patch = status.header("content-type", "application/merge-patch+json").body(body).unwrap();
        let began = Instant::now();
        client.request_text(patch).await.unwrap();
        let wanted = format!("HorizontalScaling {phase}");
        while record(client).await["status"]["last"] != wanted.as_str() {
            assert!(began.elapsed() < patience(), "the record does not say {phase}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        took.push(began.elapsed());
    }
    took.sort_unstable();
    (took[CHANGES / 2], took[CHANGES - 1])
}

async fn record(client: &Client) -> Value {
    let path = "/apis/dbscale.dev/v1alpha1/namespaces/default/scalingrecords/mongodb-db-1";
    let get = Request::get(path).body(Vec::new()).unwrap();
    client.request(get).await.unwrap()
}

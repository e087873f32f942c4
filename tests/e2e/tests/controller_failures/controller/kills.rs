//! The leader is killed at any moment.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Child;

use super::{Plane, database, number, patience, request};

/// How long a leader works before it is killed, at most: the first second of one is the busiest, for it does what the one
/// before has left.
const LIVES_MS: u64 = 1000;

/// About how many seconds pass from a kill to the next: a lease that runs out, and half of a life.
const TURN_S: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_at_any_moment_loses_nothing_and_does_nothing_twice() {
    let (kills, count) = (number("DBSCALE_KILLS", 10), number("DBSCALE_DATABASES", 40));
    let plane = Plane::start().await;
    plane.create((0..count).map(database).collect()).await;
    plane.until("mongodbs", count, |o| o["status"]["phase"] == "Ready").await;
    let mut running = [plane.controller(&[]).0, plane.controller(&[]).0];
    // Each database's one operation runs while leaders die; those that fail go back, and no other request follows them.
    // They end one by one, the last when the last leader has died.
    plane.create((0..count).map(|i| request(i, 0, TURN_S * kills)).collect()).await;
    let (mut at_work, mut untold) = (0, 0);
    for kill in 0..kills {
        let leader = leader(&plane, &mut running).await;
        tokio::time::sleep(Duration::from_millis((kill as u64 * 977) % LIVES_MS)).await;
        running[leader].kill().await.unwrap();
        let left = left_behind(&plane).await;
        at_work += usize::from(left.runs > 0);
        untold += usize::from(left.untold > 0);
        running[leader] = plane.controller(&[]).0;
    }
    println!(
        "{at_work} of {kills} kills hit the leader while operations ran, {untold} before a record had told of a change"
    );
    assert!(2 * at_work >= kills, "only {at_work} of {kills} kills hit work under way");

    let rolled_back = (0..count).filter(|i| i.is_multiple_of(5)).count();
    let settled = |o: &Value| {
        let history = o["status"]["history"].as_array().map(Vec::as_slice).unwrap_or_default();
        let number: usize = o["spec"]["databaseRef"]["name"].as_str().unwrap()[3..].parse().unwrap();
        let wanted = if number.is_multiple_of(5) { 2 } else { 1 };
        history.len() == wanted && o["status"]["phase"] == "Running" && o["status"].get("operations").is_none()
    };
    let records = plane.until("scalingrecords", count, settled).await;
    let outcomes = |outcome: &str| {
        let all = records.iter().flat_map(|r| r["status"]["history"].as_array().unwrap());
        all.filter(|p| p["outcome"] == outcome).count()
    };
    assert_eq!((outcomes("Failed"), outcomes("Successful")), (rolled_back, count));
    // One rollback for each failure, and nothing deleted: no database has more than three.
    assert_eq!(plane.list("mongodbopsrequests").await.len(), count + rolled_back);
    let leaders = plane.log().matches("\"lease taken\"").count();
    // The last one may have left nothing to do, and then nobody waits for its successor.
    assert!(leaders >= kills, "each kill hits another leader, and there were {leaders}");
    assert_eq!(plane.log().matches("ops_request_deleted").count(), 0);
    println!("{count} databases, {} operations, {kills} kills, {leaders} leaders", count + rolled_back);
}

/// Which of them has the lease, as soon as one has. One that has lost it on a busy machine is started again, as by a kubelet.
async fn leader(plane: &Plane, running: &mut [Child]) -> usize {
    let began = Instant::now();
    let lease = ["get", "lease", "--ignore-not-found", "-n", "dbscale-system", "dbscale-controller"];
    loop {
        for child in running.iter_mut() {
            if child.try_wait().unwrap().is_some() {
                *child = plane.controller(&[]).0;
            }
        }
        let holder = plane.kubectl(&[&lease[..], &["-o", "jsonpath={.spec.holderIdentity}"]].concat()).await;
        let is = |child: &Child| child.id().is_some_and(|pid| holder.contains(&format!("_{pid:x}-")));
        if let Some(leader) = running.iter().position(is) {
            return leader;
        }
        assert!(began.elapsed() < patience(), "nobody takes the lease; '{holder}' had it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a leader that was killed has left.
struct LeftBehind {
    /// Operations that run.
    runs: usize,
    /// Operations whose phase no record tells yet.
    untold: usize,
}

async fn left_behind(plane: &Plane) -> LeftBehind {
    let requests = plane.list("mongodbopsrequests").await;
    let records = plane.list("scalingrecords").await;
    let mut left = LeftBehind { runs: 0, untold: 0 };
    for request in &requests {
        let phase = &request["status"]["phase"];
        left.runs += usize::from(phase == "Progressing");
        let parts = |part: &str, field: &str| {
            let all = records.iter().flat_map(|r| r["status"][part].as_array().into_iter().flatten());
            all.filter(|o| o["uid"] == request["metadata"]["uid"]).any(|o| o[field] == *phase)
        };
        left.untold += usize::from(!parts("operations", "phase") && !parts("history", "outcome"));
    }
    left
}

//! The leader is killed at any moment.

use std::time::Duration;

use serde_json::Value;

use super::{Plane, database, number, request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_at_any_moment_loses_nothing_and_does_nothing_twice() {
    let (kills, count) = (number("DBSCALE_KILLS", 10), number("DBSCALE_DATABASES", 40));
    let plane = Plane::start().await;
    plane.create((0..count).map(database).collect()).await;
    plane.until("mongodbs", count, |o| o["status"]["phase"] == "Ready").await;
    let mut running = [plane.controller(&[]).0, plane.controller(&[]).0];
    // The first round runs while leaders die; those that fail go back, and no other request follows them.
    // They end one by one while the kills last, which is some two seconds each.
    plane.create((0..count).map(|i| request(i, 0, 12.max(2 * kills))).collect()).await;
    for kill in 0..kills {
        // Both die in turn, so that it is the leader often enough, at moments that differ from turn to turn.
        tokio::time::sleep(Duration::from_millis(700 + (kill as u64 * 977) % 2600)).await;
        running[kill % 2].kill().await.unwrap();
        running[kill % 2] = plane.controller(&[]).0;
    }
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
    assert!(leaders > 1, "the leader changed");
    assert_eq!(plane.log().matches("ops_request_deleted").count(), 0);
    println!("{count} databases, {} operations, {kills} kills, {leaders} leaders", count + rolled_back);
}

//! The API server restarted, slow, silent and cut off while operations run.

use std::time::{Duration, Instant};

use dbscale_e2e::line::{Line, Quality};
use dbscale_testbed::audit::{self, Asked};
use dbscale_testbed::controller::Controller;

use super::{Plane, database, number, program, request};

/// How long the lease lasts; its holder gives up after two thirds of that.
const LEASE_S: u64 = 6;

/// What is watched: of each engine two kinds, and some more.
const WATCHES: usize = 70;

/// Requests of an operation from its creation to its end, and as many again for what has to be asked twice.
const REQUESTS: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_is_away_slow_silent_or_cut_off_loses_nothing() {
    let count = number("DBSCALE_DATABASES", 20);
    // Shorter than the lease bears, and longer; the long form has a minute for all.
    let (short, long) = (number("DBSCALE_OUTAGE_S", 2) as u64, number("DBSCALE_OUTAGE_S", 8) as u64);
    let [short, long] = [short, long].map(Duration::from_secs);
    let mut plane = Plane::start().await;
    let line = Line::to(plane.playground.plane.address().trim_start_matches("https://")).await;
    let kubeconfig = plane.kubeconfig_for(&line.address.to_string());
    let lease = [format!("--lease-seconds={LEASE_S}")];
    let controller = Controller::start(&program(), &kubeconfig, &lease, &plane.log_file()).unwrap();
    plane.create((0..count).map(database).collect()).await;
    plane.until("scalingrecords", count, |o| o["status"]["phase"] == "Running").await;

    for round in 1..=5 {
        plane.create((0..count).map(|index| request(index, round, 4)).collect()).await;
        // The trouble comes while operations run.
        plane.until_one("scalingrecords", |o| o["status"]["operations"].is_array()).await;
        let (connections, began) = (line.connections(), Instant::now());
        match round {
            1 => plane.playground.plane.restart_api_server(short).await.unwrap(),
            2 => make(&line, Quality::Slow(Duration::from_millis(50)), long).await,
            3 => make(&line, Quality::Silent, short).await,
            4 => make(&line, Quality::Cut, short).await,
            _ => make(&line, Quality::Cut, long).await,
        }
        // Each watch tries again after pauses that grow, and so does whoever wants the lease.
        let (tries, most) =
            (line.connections() - connections, 4 * WATCHES + 10 * usize::try_from(began.elapsed().as_secs()).unwrap());
        assert!(tries <= most, "round {round}: {tries} connections were asked for, more than {most}");
        let well = Instant::now();
        let ended = |o: &serde_json::Value| o["status"]["history"].as_array().is_some_and(|h| h.len() == round);
        let records = plane
            .until("scalingrecords", count, |o| {
                ended(o) && o["status"]["phase"] == "Running" && o["status"].get("operations").is_none()
            })
            .await;
        let outcomes = records.iter().flat_map(|r| r["status"]["history"].as_array().unwrap());
        assert!(outcomes.clone().all(|p| p["outcome"] == "Successful"), "round {round}");
        println!(
            "round {round}: {tries} connections were asked for; all true {:.0?} after it was well",
            well.elapsed()
        );
    }
    assert!(plane.log().contains("the lease of cluster own is lost"), "the long cut outlasts the lease");
    // Three of five stay.
    plane.until("mongodbopsrequests", 3 * count, |o| o["status"]["phase"] == "Successful").await;
    drop(controller);
    let asked = audit::read(&plane.playground.plane.audit_log()).unwrap();
    let of_operations = asked.iter().filter(|a| is_of_operations(a)).count();
    let most = 5 * count * REQUESTS;
    assert!(of_operations <= most, "{of_operations} requests for {} operations, more than {most}", 5 * count);
    println!("{} operations, {of_operations} requests", 5 * count);
    let read_anew = asked.iter().filter(|a| a.verb == "list" && a.resource == "mongodbs").count();
    let starts = plane.log().matches("\"lease taken\"").count();
    assert!(read_anew <= starts + 5, "{read_anew} lists of one kind, {starts} starts and 5 troubles");
}

async fn make(line: &Line, quality: Quality, how_long: Duration) {
    line.make(quality);
    tokio::time::sleep(how_long).await;
    line.make(Quality::Good);
}

/// Whether it is asked for one database, and not for the lease or to read a kind as a whole.
fn is_of_operations(asked: &Asked) -> bool {
    let whole = ["list", "watch"].contains(&asked.verb.as_str()) && asked.resource != "pods";
    !whole && !asked.resource.is_empty() && asked.resource != "leases"
}

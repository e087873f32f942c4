//! KubeDB's own writes under the webhook, direct edits denied: what it writes into a database at the end of an operation is
//! neither refused nor warned of, whoever it is, nor held up where the webhook does not answer.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::time::{Duration, Instant};

use dbscale_core::catalog::Catalog;
use dbscale_core::policy;
use dbscale_e2e::policies::Policies;
use dbscale_e2e::webhook::Webhook;
use dbscale_e2e::{World, databases};
use rstest::rstest;
use serde_json::{Value, json};

/// Rounds of a test; in each, one operation for the members and one for their size. `DBSCALE_ROUNDS` says another number, such
/// as the 56 of the long form, which make 1,008 operations.
fn rounds() -> usize {
    std::env::var("DBSCALE_ROUNDS").map_or(6, |text| text.parse().unwrap())
}

/// How long the API server waits for the webhook, in seconds, as the metric's bucket has it.
const TIMEOUT_S: &str = "5.0";

#[rstest]
#[case::mongodb(databases::mongodb(), "mongodb/db", &[])]
#[case::postgres(databases::postgres(), "postgres/db", &[])]
#[case::mysql(databases::mysql(), "mysql/db", &[])]
#[case::mariadb(databases::mariadb(), "mariadb/db", &[])]
#[case::kafka(databases::kafka(), "kafka/db", &[])]
#[case::elasticsearch(databases::elasticsearch(), "elasticsearch/db", &[])]
#[case::redis_sentinel(databases::redis_sentinel(), "redis/db", &[])]
#[case::zookeeper(databases::zookeeper(), "zookeeper/db", &[])]
// As somebody who is not KubeDB to the webhook, so that only what the operations wish lets the writes pass.
#[case::as_nobody_in_particular(databases::mongodb(), "mongodb/db", &["--kubedb-users", "nobody"])]
fn kubedb_is_let_write_what_was_asked_for(#[case] database: Value, #[case] target: &str, #[case] more: &[&str]) {
    let world = World::unjudged("kubedb");
    let webhook = Webhook::start(&world, &[&["--direct-edits", "deny"], more].concat());
    world.create(&database);
    world.until(target, ".status.phase", "Ready");
    for round in 0..rounds() {
        let (replicas, memory) = if round % 2 == 0 { ("5", "512Mi") } else { ("3", "256Mi") };
        let asked =
            ["set", target, "--replicas", replicas, "--cpu", "200m", "--memory", memory, "--wait", "-o", "json"];
        let done = world.dbscale(&asked);
        assert_eq!(done.code, 0, "round {round}: {}", done.stderr);
        assert_eq!(done.json()["ops_requests"].as_array().map(Vec::len), Some(2), "round {round}");
        world.until(target, ".spec.replicas", replicas);
    }
    let (_, metrics) = webhook.probe("/metrics");
    let of_updates = |verdict: &str| {
        let label = format!(r#"operation="update",verdict="{verdict}""#);
        metrics.lines().any(|line| line.contains(&label))
    };
    assert!(!of_updates("refused") && !of_updates("warned"), "{metrics}");
    assert!(of_updates("allowed") || of_updates("passed"), "{metrics}");
    let counted = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap()
    };
    let bucket = format!("dbscale_webhook_duration_seconds_bucket{{le=\"{TIMEOUT_S}\"}}");
    let (in_time, all) = (counted(&bucket), counted("dbscale_webhook_duration_seconds_count"));
    assert!(in_time == all && all > 0, "{in_time} of {all} were answered in time");
}

/// The webhook ends in the middle of an operation. Two hold beside it: KubeDB ends what it has begun, and the policies refuse.
#[test]
fn without_the_webhook_kubedb_goes_on_a_shrink_is_refused_and_an_ops_request_waits() {
    let world = World::unjudged("without");
    let policies = Policies::install(&world, &policy::beside_webhook(Catalog::builtin().find("mongodb").unwrap()));
    policies.hold_in(&world, "enforce");
    let mut webhook = Webhook::start(&world, &[]);
    world.create(&databases::mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    let patch = |size: &str| {
        let patch = json!({"spec": {"storage": {"resources": {"requests": {"storage": size}}}}}).to_string();
        world.kubectl(&[
            "patch",
            "-n",
            &world.namespace,
            "mongodb/db",
            "--type=merge",
            "--dry-run=server",
            "-p",
            &patch,
        ])
    };
    let began = Instant::now();
    while !patch("10Gi").stderr.contains("ValidatingAdmissionPolicy '") {
        assert!(began.elapsed() < Duration::from_secs(60), "the policies do not hold");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Long enough for the webhook to be gone when KubeDB writes.
    let slow = "testbed.dbscale.dev/slow=5s";
    world.must(&["annotate", "-n", &world.namespace, "mongodb/db", slow]);
    let asked = world.dbscale(&["horizontal", "mongodb/db", "--replicas", "5"]);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    assert_eq!(webhook.end(), Some(0));
    assert_eq!(world.value("mongodb/db", ".spec.replicas"), "3", "the operation was over before the webhook was");

    let refused = patch("10Gi");
    let says = "[storage/no-shrink] 10Gi is less than the present 20Gi";
    assert!(refused.code == 1 && refused.stderr.contains(says), "{}", refused.stderr);
    assert!(refused.stderr.contains("ValidatingAdmissionPolicy '"), "{}", refused.stderr);
    assert_eq!(patch("30Gi").code, 0);
    let refused = world.dbscale(&["vertical", "mongodb/db", "--memory", "512Mi"]);
    let says = "failed calling webhook \"opsrequests.dbscale.dev\"";
    assert!(refused.code != 0 && refused.stderr.contains(says), "{}", refused.stderr);
    world.until("mongodb/db", ".spec.replicas", "5");
    world.until("mongodbopsrequests", ".items[0].status.phase", "Successful");
}

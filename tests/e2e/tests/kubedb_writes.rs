//! KubeDB's own writes under the webhook, direct edits denied: what it writes into a database at the end of an operation is
//! neither refused nor warned of, whoever it is.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use dbscale_e2e::webhook::Webhook;
use dbscale_e2e::{World, databases};
use rstest::rstest;
use serde_json::Value;

/// Rounds of a test; in each, one operation for the members and one for their size.
const ROUNDS: usize = 10;

#[rstest]
#[case::mongodb(databases::mongodb(), "mongodb/db", &[])]
#[case::postgres(databases::postgres(), "postgres/db", &[])]
#[case::mysql(databases::mysql(), "mysql/db", &[])]
#[case::mariadb(databases::mariadb(), "mariadb/db", &[])]
#[case::kafka(databases::kafka(), "kafka/db", &[])]
// As somebody who is not KubeDB to the webhook, so that only what the operations wish lets the writes pass.
#[case::as_nobody_in_particular(databases::mongodb(), "mongodb/db", &["--kubedb-users", "nobody"])]
fn kubedb_is_let_write_what_was_asked_for(#[case] database: Value, #[case] target: &str, #[case] more: &[&str]) {
    let world = World::unjudged("kubedb");
    let webhook = Webhook::start(&world, &[&["--direct-edits", "deny"], more].concat());
    world.create(&database);
    world.until(target, ".status.phase", "Ready");
    for round in 0..ROUNDS {
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
}

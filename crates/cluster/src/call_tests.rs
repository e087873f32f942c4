use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::mock::{self, Act, status};

const TIMEOUT: Duration = Duration::from_secs(30);

fn get() -> Call {
    Call::get("/api/v1/nodes")
}

#[tokio::test(start_paused = true)]
async fn busy_and_broken_servers_are_asked_again_with_growing_pauses() {
    let script = vec![
        status(429, "TooManyRequests", "later"),
        status(500, "InternalError", "oh"),
        Act::Cut,
        Act::Text(502, "bad gateway"),
        Act::Answer(201, json!({"kind": "Node"})),
    ];
    let (cluster, asked) = mock::cluster(TIMEOUT, script);
    let object = json!({"kind": "Node", "metadata": {"name": "one"}});
    let call = Call::post("/api/v1/nodes", &object).query("dryRun", Some("All")).query("fieldManager", None);
    assert_eq!(cluster.call(&call).await.unwrap()["kind"], "Node");
    drop(cluster);
    let asked = asked.await.unwrap();
    assert!(asked.iter().all(|a| a.line == "POST /api/v1/nodes?dryRun=All" && a.body == object), "{asked:#?}");
    let at: Vec<u128> = asked.iter().map(|a| a.at.as_millis()).collect();
    let pauses: Vec<u128> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Each pause is twice the last, and up to as much again at random.
    for (pause, least) in pauses.iter().zip([50, 100, 200, 400]) {
        assert!((least..=2 * least + 2).contains(pause), "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_pause_that_the_server_asks_for_is_kept() {
    let busy = json!({"reason": "TooManyRequests", "message": "later"});
    let told = json!({"reason": "TooManyRequests", "message": "later", "details": {"retryAfterSeconds": 3}});
    let script = vec![Act::With(429, busy, "retry-after", "7"), Act::Answer(429, told), Act::Answer(200, json!({}))];
    let (cluster, asked) = mock::cluster(TIMEOUT, script);
    cluster.call(&get()).await.unwrap();
    drop(cluster);
    let at: Vec<u64> = asked.await.unwrap().iter().map(|a| a.at.as_secs()).collect();
    assert_eq!(at, [0, 7, 10]);
}

#[rstest]
#[case::longer_than_is_left("31")]
#[case::longer_than_any_clock("18446744073709551615")]
#[tokio::test(start_paused = true)]
async fn a_pause_beyond_the_time_left_ends_the_call(#[case] pause: &'static str) {
    let busy = json!({"reason": "TooManyRequests", "message": "later"});
    let (cluster, asked) = mock::cluster(TIMEOUT, vec![Act::With(429, busy, "retry-after", pause)]);
    assert_eq!(cluster.call(&get()).await.unwrap_err().kind, Kind::TooMany);
    drop(cluster);
    assert_eq!(asked.await.unwrap().len(), 1);
}

#[rstest]
#[case::unknown_caller(401, "Unauthorized", Kind::Unauthenticated)]
#[case::forbidden(403, "Forbidden", Kind::Forbidden)]
#[case::missing(404, "NotFound", Kind::NotFound)]
#[case::conflict(409, "Conflict", Kind::Conflict)]
#[case::invalid(422, "Invalid", Kind::Invalid)]
#[tokio::test(start_paused = true)]
async fn other_answers_are_final(#[case] code: u16, #[case] reason: &str, #[case] kind: Kind) {
    let (cluster, asked) = mock::cluster(TIMEOUT, vec![status(code, reason, "no")]);
    let failure = cluster.call(&get()).await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (kind, code));
    drop(cluster);
    assert_eq!(asked.await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_silent_ends_the_call_in_time() {
    let began = Instant::now();
    let (cluster, _) = mock::cluster(TIMEOUT, vec![Act::Silence]);
    let failure = cluster.call(&get()).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout);
    assert_eq!(failure.message, "no answer from https://cluster.test within 30s");
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_is_a_lost_one() {
    let script = vec![Act::Text(200, r#"{"kind": "Node"#), Act::Answer(200, json!({"kind": "NodeList"}))];
    let (cluster, _) = mock::cluster(TIMEOUT, script);
    assert_eq!(cluster.call(&get()).await.unwrap()["kind"], "NodeList");
}

#[tokio::test(start_paused = true)]
async fn each_warning_is_told_once_and_where_it_belongs() {
    let warned = |text| Act::With(200, json!({}), "warning", text);
    let script = vec![
        warned(r#"299 - "spec.x is \"old\"""#),
        warned(r#"299 - "spec.x is \"old\"""#),
        warned(r#"299 - "spec.y is gone""#),
    ];
    let (cluster, _) = mock::cluster(TIMEOUT, script);
    let (one, other) = (cluster.separate(), cluster.separate());
    one.call(&get()).await.unwrap();
    one.clone().call(&get()).await.unwrap();
    other.call(&get()).await.unwrap();
    assert_eq!(cluster.take_warnings(), Vec::<String>::new());
    assert_eq!(one.take_warnings(), [r#"spec.x is "old""#]);
    assert_eq!(one.take_warnings(), Vec::<String>::new());
    assert_eq!(other.take_warnings(), ["spec.y is gone"]);
}

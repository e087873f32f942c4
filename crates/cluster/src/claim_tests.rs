use std::time::Duration;

use rstest::rstest;

use super::*;
use crate::mock::{self, Act, Asked, status};

const CLAIM: &str = "/api/v1/namespaces/demo/persistentvolumeclaims/data-0";

fn claim(version: u32, size: &str) -> Value {
    json!({
        "metadata": {"name": "data-0", "uid": "u-1", "resourceVersion": version.to_string()},
        "spec": {"resources": {"requests": {"storage": size}}},
    })
}

fn is(version: u32, size: &str) -> Act {
    Act::Answer(200, claim(version, size))
}

/// Grows `data-0` to 20Gi on a server that plays the script; the answer and what was asked.
async fn grow(dry_run: bool, script: Vec<Act>) -> (Result<Grown, ApiFailure>, Vec<Asked>) {
    let (cluster, asked) = mock::cluster(Duration::from_secs(30), script);
    let write = Write { dry_run, field_manager: "test".to_owned() };
    let grown = cluster.grow_claim("demo", "data-0", "20Gi".parse().unwrap(), &write).await;
    drop(cluster);
    (grown, asked.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_smaller_claim_is_asked_for_more_with_the_version_that_was_read() {
    let (grown, asked) = grow(false, vec![is(7, "10Gi"), is(8, "20Gi")]).await;
    assert!(matches!(grown, Ok(Grown::Asked(claim)) if claim["metadata"]["resourceVersion"] == "8"));
    assert_eq!(asked[0].line, format!("GET {CLAIM}"));
    assert_eq!(asked[1].line, format!("PATCH {CLAIM}?fieldManager=test"));
    assert_eq!(
        asked[1].body,
        json!({"metadata": {"uid": "u-1", "resourceVersion": "7"}, "spec": {"resources": {"requests": {"storage": "20Gi"}}}})
    );
}

#[rstest]
#[case::equal_in_another_spelling("20480Mi")]
#[case::larger("30Gi")]
#[tokio::test(start_paused = true)]
async fn a_claim_that_is_large_enough_is_left_alone(#[case] size: &str) {
    let (grown, asked) = grow(false, vec![is(7, size)]).await;
    assert!(matches!(grown, Ok(Grown::Enough(claim)) if claim["spec"]["resources"]["requests"]["storage"] == size));
    assert_eq!(asked.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_somebody_has_grown_beyond_in_between_is_never_lowered() {
    let conflict = status(409, "Conflict", "the object has been modified");
    let (grown, asked) = grow(false, vec![is(7, "10Gi"), conflict, is(8, "50Gi")]).await;
    assert!(matches!(grown, Ok(Grown::Enough(_))), "{grown:?}");
    assert_eq!(asked.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_changes_all_the_time_is_told_after_some_reads() {
    let change = || [is(7, "10Gi"), status(409, "Conflict", "the object has been modified")];
    let (grown, asked) = grow(false, (0..READS).flat_map(|_| change()).collect()).await;
    assert_eq!(grown.unwrap_err().kind, Kind::Conflict);
    assert_eq!(asked.len(), 2 * READS as usize);
}

#[tokio::test(start_paused = true)]
async fn a_patch_whose_answer_is_lost_is_found_by_the_next_read() {
    let conflict = status(409, "Conflict", "the object has been modified");
    let (grown, _) = grow(false, vec![is(7, "10Gi"), Act::Cut, conflict, is(8, "20Gi")]).await;
    assert!(matches!(grown, Ok(Grown::Enough(_))), "{grown:?}");
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_is_never_answered_is_looked_for() {
    let (grown, _) = grow(false, vec![is(7, "10Gi"), Act::Silence, is(7, "10Gi"), is(8, "20Gi")]).await;
    assert!(matches!(grown, Ok(Grown::Asked(claim)) if claim["metadata"]["resourceVersion"] == "8"));
    let (grown, _) = grow(false, vec![is(7, "10Gi"), Act::Silence, Act::Silence]).await;
    let failure = grown.unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout);
    assert!(failure.message.contains("persistentvolumeclaims/data-0 may have been grown all the same"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_is_not_looked_for() {
    let (grown, asked) = grow(true, vec![is(7, "10Gi"), Act::Silence]).await;
    assert_eq!(grown.unwrap_err().kind, Kind::Timeout);
    assert_eq!(asked[1].line, format!("PATCH {CLAIM}?fieldManager=test&dryRun=All"));
    assert_eq!(asked.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_cannot_grow_is_told() {
    let (grown, _) = grow(false, vec![status(404, "NotFound", "persistentvolumeclaims \"data-0\" not found")]).await;
    assert_eq!(grown.unwrap_err().kind, Kind::NotFound);

    let mut ending = claim(7, "10Gi");
    ending["metadata"]["deletionTimestamp"] = json!("2025-11-24T20:00:00Z");
    let (grown, asked) = grow(false, vec![Act::Answer(200, ending)]).await;
    let failure = grown.unwrap_err();
    assert_eq!(failure.kind, Kind::NotFound);
    assert_eq!(failure.message, "claim demo/data-0 is being deleted since 2025-11-24T20:00:00Z and cannot grow");
    assert_eq!(asked.len(), 1);

    let (grown, asked) = grow(false, vec![is(7, "1e999999999")]).await;
    assert_eq!(grown.unwrap_err().kind, Kind::Invalid);
    assert_eq!(asked.len(), 1);
}

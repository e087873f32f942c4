use json_patch::{Patch, PatchOperation, TestOperation, jsonptr::PointerBuf};
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::mock::{self, Act, Asked, status};

const COLLECTION: &str = "/apis/ops.kubedb.com/v1alpha1/namespaces/demo/mongodbopsrequests";
const DATABASE: &str = "/apis/kubedb.com/v1/namespaces/demo/mongodbs/my-db";

fn write(dry_run: bool) -> Write {
    Write { dry_run, field_manager: "test".to_owned() }
}

fn object(id: &str) -> Value {
    json!({"kind": "MongoDBOpsRequest", "metadata": {"name": "ask-1", "annotations": {REQUEST_ID: id}}})
}

fn found(id: &str) -> Act {
    Act::Answer(200, object(id))
}

fn exists() -> Act {
    status(409, "AlreadyExists", "mongodbopsrequests \"ask-1\" already exists")
}

fn missing() -> Act {
    status(404, "NotFound", "mongodbopsrequests \"ask-1\" not found")
}

/// Creates `ask-1` with the request id `mine`; the answer and what was asked. The call may take 2 s.
async fn create(dry_run: bool, script: Vec<Act>) -> (Result<Created, ApiFailure>, Vec<Asked>) {
    let (cluster, asked) = mock::cluster(Duration::from_secs(2), script);
    let created = cluster.create(COLLECTION, &object("mine"), &write(dry_run)).await;
    drop(cluster);
    (created, asked.await.unwrap())
}

/// Patches `my-db` with the request id `mine`.
async fn patch(dry_run: bool, script: Vec<Act>) -> (Result<Value, ApiFailure>, Vec<Asked>) {
    let (cluster, asked) = mock::cluster(Duration::from_secs(2), script);
    let test = TestOperation { path: PointerBuf::parse("/spec/x").unwrap(), value: json!(1) };
    let patched =
        cluster.patch_guarded(DATABASE, &Patch(vec![PatchOperation::Test(test)]), "mine", &write(dry_run)).await;
    drop(cluster);
    (patched, asked.await.unwrap())
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Ours,
    Taken,
    Failed(Kind),
}

fn outcome(created: &Result<Created, ApiFailure>) -> Outcome {
    match created {
        Ok(Created::Ours(_)) => Outcome::Ours,
        Ok(Created::Taken) => Outcome::Taken,
        Err(failure) => Outcome::Failed(failure.kind),
    }
}

#[rstest]
#[case::made(vec![Act::Answer(201, object("mine"))], Outcome::Ours)]
#[case::another_has_the_name(vec![exists(), found("theirs")], Outcome::Taken)]
#[case::another_without_an_id(vec![exists(), Act::Answer(200, json!({"metadata": {"name": "ask-1"}}))], Outcome::Taken)]
#[case::another_has_gone_again(vec![exists(), missing()], Outcome::Taken)]
#[case::conflict_is_not_exists(vec![status(409, "Conflict", "modified")], Outcome::Failed(Kind::Conflict))]
#[case::lost_answer(vec![Act::Cut, exists(), found("mine")], Outcome::Ours)]
#[case::lost_and_another_has_the_name(vec![Act::Cut, exists(), found("theirs")], Outcome::Taken)]
#[case::lost_and_refused_for_itself(vec![Act::Cut, status(403, "Forbidden", "admission webhook \"w\" denied the request: [operation/active] no"), found("mine")], Outcome::Ours)]
#[case::lost_and_refused(vec![Act::Cut, status(403, "Forbidden", "no"), missing()], Outcome::Failed(Kind::Forbidden))]
#[case::refused(vec![status(403, "Forbidden", "no")], Outcome::Failed(Kind::Forbidden))]
#[case::no_answer_but_made(vec![Act::Silence, found("mine")], Outcome::Ours)]
#[case::no_answer_and_made_later(vec![Act::Silence, missing(), missing(), found("mine")], Outcome::Ours)]
#[tokio::test(start_paused = true)]
async fn creates(#[case] script: Vec<Act>, #[case] wanted: Outcome) {
    let calls = script.len();
    let (created, asked) = create(false, script).await;
    assert_eq!(outcome(&created), wanted, "{created:?}");
    assert_eq!(asked.len(), calls);
}

#[tokio::test(start_paused = true)]
async fn a_create_says_who_writes_and_is_strict() {
    let (_, asked) = create(false, vec![exists(), found("mine")]).await;
    assert_eq!(asked[0].line, format!("POST {COLLECTION}?fieldManager=test&fieldValidation=Strict"));
    assert_eq!(asked[0].body, object("mine"));
    assert_eq!(asked[1].line, format!("GET {COLLECTION}/ask-1"));
}

#[tokio::test(start_paused = true)]
async fn a_create_that_nobody_can_tell_of_names_the_object() {
    let began = Instant::now();
    let (created, asked) = create(false, vec![Act::Silence, Act::Silence]).await;
    let failure = created.unwrap_err();
    assert_eq!((failure.kind, asked.len()), (Kind::Timeout, 2));
    assert_eq!(
        failure.message,
        format!(
            "no answer from https://cluster.test within 2s; mongodbopsrequests/ask-1 may have been made all the same \
             (looking for it failed too: GET {COLLECTION}/ask-1: no answer from https://cluster.test within 5s): \
             see kubectl get mongodbopsrequests/ask-1 -n demo before you ask again"
        )
    );
    // The look has its own time, however short the call's is.
    assert_eq!(began.elapsed().as_secs(), 7);
}

/// Creates `ask-1` on a server that falls silent and then always answers alike.
async fn create_unanswered(then: impl FnMut() -> Act) -> Result<Created, ApiFailure> {
    let looks = std::iter::repeat_with(then).take(30);
    create(false, std::iter::once(Act::Silence).chain(looks).collect()).await.0
}

#[tokio::test(start_paused = true)]
async fn what_stays_open_to_the_end_is_told_as_it_is() {
    assert_eq!(outcome(&create_unanswered(|| found("theirs")).await), Outcome::Taken);
    let failure = create_unanswered(missing).await.unwrap_err();
    assert!(failure.message.contains("may have been made all the same (it was not there afterwards)"), "{failure}");
}

#[rstest]
#[case::exists(vec![exists()], Outcome::Taken)]
#[case::no_answer(vec![Act::Silence], Outcome::Failed(Kind::Timeout))]
#[tokio::test(start_paused = true)]
async fn a_dry_run_makes_nothing_and_looks_for_nothing(#[case] script: Vec<Act>, #[case] wanted: Outcome) {
    let (created, asked) = create(true, script).await;
    assert_eq!(outcome(&created), wanted);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].line, format!("POST {COLLECTION}?fieldManager=test&dryRun=All&fieldValidation=Strict"));
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_cannot_be_called_has_made_nothing() {
    let failing = || status(500, "InternalError", "Internal error occurred: failed calling webhook \"w\": refused");
    let (cluster, asked) = mock::cluster(Duration::from_secs(2), std::iter::repeat_with(failing).take(30).collect());
    let failure = cluster.create(COLLECTION, &object("mine"), &write(false)).await.unwrap_err();
    drop(cluster);
    assert_eq!(failure.kind, Kind::Server);
    assert!(!failure.message.contains("may have been made"), "{failure}");
    assert!(asked.await.unwrap().iter().all(|a| a.line.starts_with("POST")));
}

#[tokio::test]
async fn a_server_that_is_not_there_has_made_nothing() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = format!("http://{closed}");
    let (client, _) = dbscale_transport::client(kube::Config::new(server.parse().unwrap())).unwrap();
    let cluster = Cluster::new(client, server, Duration::from_millis(40));
    let failure = cluster.create(COLLECTION, &object("mine"), &write(false)).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Unreachable);
    assert!(!failure.message.contains("may have been made"), "{failure}");
}

fn failed_test() -> Act {
    status(422, "Invalid", "the server rejected our request due to an error in our request")
}

#[rstest]
#[case::applied(vec![found("mine")], Ok("mine"))]
#[case::somebody_was_faster(vec![failed_test()], Err(Kind::Conflict))]
#[case::lost_answer(vec![Act::Cut, failed_test(), found("mine")], Ok("mine"))]
#[case::lost_and_somebody_was_faster(vec![Act::Cut, failed_test(), found("theirs")], Err(Kind::Conflict))]
#[case::lost_and_refused_for_itself(vec![Act::Cut, status(422, "Invalid", "admission webhook \"w\" denied the request: no"), found("mine")], Ok("mine"))]
#[case::schema(vec![status(422, "Invalid", "spec.x: Required value")], Err(Kind::Invalid))]
#[case::no_answer_but_changed(vec![Act::Silence, found("mine")], Ok("mine"))]
#[case::no_answer_and_changed_later(vec![Act::Silence, found("theirs"), found("mine")], Ok("mine"))]
#[tokio::test(start_paused = true)]
async fn patches(#[case] script: Vec<Act>, #[case] wanted: Result<&str, Kind>) {
    let calls = script.len();
    let (patched, asked) = patch(false, script).await;
    let id = patched.as_ref().map(|there| request_id(there).unwrap_or_default()).map_err(|failure| failure.kind);
    assert_eq!(id, wanted);
    assert_eq!(asked.len(), calls);
    assert_eq!(asked[0].line, format!("PATCH {DATABASE}?fieldManager=test&fieldValidation=Strict"));
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_nobody_can_tell_of_names_the_object() {
    let (patched, _) = patch(false, vec![Act::Silence, Act::Silence]).await;
    let failure = patched.unwrap_err();
    assert_eq!(failure.kind, Kind::Timeout);
    assert!(failure.message.contains("mongodbs/my-db may have been changed all the same"), "{failure}");
    assert!(failure.message.ends_with("see kubectl get mongodbs/my-db -n demo before you ask again"), "{failure}");

    let (patched, asked) = patch(true, vec![Act::Silence]).await;
    assert!(!patched.unwrap_err().message.contains("may have been changed"));
    assert_eq!(asked.len(), 1);
}

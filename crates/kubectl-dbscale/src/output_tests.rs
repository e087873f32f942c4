use dbscale_core::finding::{Finding, RuleId};
use rstest::rstest;

use super::*;

fn request(name: &str) -> Operation {
    Operation {
        ops_request_name: Some(name.to_owned()),
        ops_request_uid: Some("u-1".to_owned()),
        ops_type: "VerticalScaling".to_owned(),
        message: "OpsRequest created, reconciler will monitor progress".to_owned(),
        component: "replicaSet".to_owned(),
        size: Some("db.t3.medium".to_owned()),
        engine: "mongodb".to_owned(),
        namespace: "demo".to_owned(),
        name: "my-db".to_owned(),
        resource: format!("mongodbopsrequest.ops.kubedb.com/{name}"),
        ..Operation::default()
    }
}

fn patch() -> Operation {
    Operation {
        ops_type: "StoragePatch".to_owned(),
        storage: Some("50Gi".to_owned()),
        claims: Some(vec!["datadir-my-db-0".to_owned()]),
        ops_request_name: None,
        ops_request_uid: None,
        size: None,
        ..request("")
    }
}

fn refusal() -> Failure {
    let rule = RuleId("storage/no-shrink");
    let finding = Finding::deny(rule, "spec.storage", "10Gi is less than the present 50Gi: volumes only grow");
    Failure {
        exit_code: 3,
        rule: Some(rule.0.to_owned()),
        message: finding.to_string(),
        findings: vec![finding],
        ..Failure::default()
    }
}

fn outcome(operations: Vec<Operation>, failure: Option<Failure>) -> Outcome {
    Outcome {
        engine: "mongodb".to_owned(),
        namespace: "demo".to_owned(),
        name: "my-db".to_owned(),
        topology: "replica set, 3 members".to_owned(),
        differences: Vec::new(),
        warnings: Vec::new(),
        skipped: operations.is_empty() && failure.is_none(),
        operations,
        failure,
    }
}

#[test]
fn one_operation_is_the_object_itself() {
    let wanted = json!({
        "ops_request_name": "my-db-scale-1", "ops_request_uid": "u-1", "ops_type": "VerticalScaling",
        "message": "OpsRequest created, reconciler will monitor progress", "component": "replicaSet",
        "size": "db.t3.medium", "engine": "mongodb", "namespace": "demo", "name": "my-db",
    });
    assert_eq!(json_of(&outcome(vec![request("my-db-scale-1")], None)), wanted);
}

#[test]
fn a_patch_has_a_null_name_and_its_claims() {
    let value = json_of(&outcome(vec![patch()], None));
    assert_eq!(value["ops_type"], "StoragePatch");
    assert_eq!(value.get("ops_request_name"), Some(&Value::Null));
    assert_eq!(value["storage"], "50Gi");
    assert_eq!(value["claims"], json!(["datadir-my-db-0"]));
    assert_eq!(value.get("size"), None);
}

#[test]
fn several_operations_stand_in_a_list_in_their_order() {
    let value = json_of(&outcome(vec![patch(), request("a"), request("b")], None));
    assert_eq!(value.get("ops_request_name"), None);
    assert_eq!(value["name"], "my-db");
    let names: Vec<&Value> = value["ops_requests"].as_array().unwrap().iter().map(|o| &o["ops_request_name"]).collect();
    assert_eq!(names, [&Value::Null, &json!("a"), &json!("b")]);
}

#[test]
fn nothing_to_do_is_skipped() {
    let wanted = json!({
        "skipped": true, "message": "already at the desired state",
        "engine": "mongodb", "namespace": "demo", "name": "my-db",
    });
    assert_eq!(json_of(&outcome(Vec::new(), None)), wanted);
}

#[test]
fn a_failure_says_rule_message_and_exit_code() {
    let value = json_of(&outcome(Vec::new(), Some(refusal())));
    let wanted = json!({
        "rule": "storage/no-shrink", "exit_code": 3,
        "message": "[storage/no-shrink] 10Gi is less than the present 50Gi: volumes only grow",
    });
    assert_eq!(value["error"], wanted);
    assert_eq!(value.get("skipped"), None);
}

#[test]
fn what_was_done_before_a_failure_is_told_with_it() {
    let value = json_of(&outcome(vec![request("a")], Some(refusal())));
    assert_eq!(value["ops_request_name"], "a");
    assert_eq!(value["error"]["exit_code"], 3);
}

#[rstest]
#[case::one(1)]
#[case::several(2)]
fn dry_runs_have_the_same_shapes(#[case] count: usize) {
    let operation = Operation { dry_run: Some("server".to_owned()), ops_request_uid: None, ..request("a") };
    let value = json_of(&outcome(vec![operation; count], None));
    assert_eq!(value["dry_run"], "server");
}

#[rstest]
#[case::created(vec![request("a")], None, 0, "created")]
#[case::patched(vec![patch()], None, 0, "patched")]
#[case::both(vec![patch(), request("a")], None, 0, "created")]
#[case::nothing(Vec::new(), None, 0, "unchanged")]
#[case::refused(Vec::new(), Some(3), 3, "refused")]
#[case::busy(Vec::new(), Some(5), 5, "refused")]
#[case::unreachable(Vec::new(), Some(1), 1, "failed")]
#[case::operation_failed(vec![request("a")], Some(6), 6, "failed")]
#[case::late(vec![request("a")], Some(7), 7, "timed out")]
fn verdicts(
    #[case] operations: Vec<Operation>,
    #[case] failed_with: Option<u8>,
    #[case] exit_code: u8,
    #[case] word: &str,
) {
    let failure = failed_with.map(|exit_code| Failure { exit_code, ..Failure::default() });
    let outcome = outcome(operations, failure);
    assert_eq!((verdict(&outcome).0, outcome.exit_code()), (word, exit_code));
}

#[rstest]
#[case::request(request("a"), "mongodbopsrequest.ops.kubedb.com/a created")]
#[case::dry(Operation { dry_run: Some("server".to_owned()), ..request("a") }, "mongodbopsrequest.ops.kubedb.com/a created (server dry run)")]
#[case::patch(Operation { resource: "mongodb.kubedb.com/my-db".to_owned(), message: "3 claims grow".to_owned(), ..patch() }, "mongodb.kubedb.com/my-db patched: 3 claims grow")]
fn lines(#[case] operation: Operation, #[case] wanted: &str) {
    assert_eq!(line(&operation), wanted);
}

fn difference(field: &'static str, before: Option<&str>, after: &str) -> Difference {
    Difference { field, before: before.map(str::to_owned), after: after.to_owned(), irreversible: false }
}

#[rstest]
#[case::memory_alone_changes(vec![difference("memory", Some("2Gi"), "4Gi")], "db.t3.medium", Some("db.t3.small"))]
#[case::spelling(vec![difference("memory", Some("2048Mi"), "4Gi")], "db.t3.medium", Some("db.t3.small"))]
#[case::same_family_reads_best(vec![difference("memory", Some("8Gi"), "16Gi"), difference("cpu", Some("2"), "4")], "db.m6g.xlarge", Some("db.m6g.large"))]
#[case::another_family(vec![difference("memory", Some("2Gi"), "8Gi")], "db.m6g.large", Some("db.t3.small"))]
#[case::no_class(vec![difference("memory", Some("3Gi"), "4Gi")], "db.t3.medium", None)]
#[case::nothing_set(vec![difference("memory", None, "4Gi"), difference("cpu", None, "2")], "db.t3.medium", None)]
#[case::own_class(vec![difference("memory", Some("2Gi"), "4Gi")], "team.small", None)]
fn the_present_class(#[case] differences: Vec<Difference>, #[case] wanted: &str, #[case] class: Option<&str>) {
    assert_eq!(present_class(&differences, wanted).as_deref(), class);
}

#[test]
fn a_table_has_no_trailing_blanks() {
    let text = table(&["A", "LONGER"], &[vec!["value".to_owned(), String::new()]]);
    assert_eq!(text, "A      LONGER\nvalue\n");
}

#[rstest]
#[case::capital("ask for more than 50Gi", "Ask for more than 50Gi")]
#[case::a_name_stays(
    "my-db-scale-1 (VerticalScaling) is Progressing",
    "my-db-scale-1 (VerticalScaling) is Progressing"
)]
#[case::a_target_stays("mongodb/db has no component 'x'", "mongodb/db has no component 'x'")]
#[case::a_place_stays("spec.type is missing", "spec.type is missing")]
#[case::one_full_stop("write 3.", "Write 3")]
#[case::a_number("10Gi is less", "10Gi is less")]
fn sentences(#[case] text: &str, #[case] wanted: &str) {
    assert_eq!(capital(text), wanted);
}

//! What is decided of ways back, case by case.

use super::*;
use crate::catalog::Catalog;
use crate::record::Delta;
use rstest::rstest;

fn database(phase: &str) -> Database {
    let object = json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db", "namespace": "demo"},
        "spec": {"replicaSet": {"name": "rs0"}, "replicas": 3}, "status": {"phase": phase}});
    Database::of(Catalog::builtin().find("mongodb").unwrap(), &object)
}

/// A request of a type, created in a minute of one hour.
fn request(name: &str, minute: u32, ops_type: &str, phase: &str, before: &str) -> Request {
    let object = json!({
        "metadata": {"name": name, "uid": format!("uid-{name}"), "creationTimestamp": format!("2026-01-01T00:{minute:02}:00Z"),
            "annotations": {"dbscale.dev/rollback": "on-failure", "dbscale.dev/before": before}},
        "spec": {"type": ops_type, "databaseRef": {"name": "db"}}, "status": {"phase": phase},
    });
    Request::of(Catalog::builtin().find("mongodb").unwrap(), &object).unwrap()
}

fn alone<'a>(requests: &'a [&'a Request]) -> Around<'a> {
    Around { requests, noted_before: &[] }
}

fn pods(count: usize) -> Vec<PodFact> {
    let pod = |i: usize| PodFact {
        name: format!("db-{i}"),
        component: "replicaSet",
        item: None,
        containers: Vec::new(),
        deleting: false,
        ready: true,
        problem: None,
    };
    (0..count).map(pod).collect()
}

const THREE: &str = r#"{"component": "replicaSet", "replicas": 3}"#;

#[rstest]
#[case::scaling("HorizontalScaling", None, RollbackState::Planned, "")]
#[case::volumes("VolumeExpansion", None, RollbackState::Declined, "volumes only grow")]
#[case::other_type("Restart", None, RollbackState::Declined, "there is none from a Restart")]
#[case::a_rollback(
    "HorizontalScaling",
    Some("first"),
    RollbackState::Declined,
    "it was itself the way back from first"
)]
fn decisions(#[case] ops_type: &str, #[case] of: Option<&str>, #[case] state: RollbackState, #[case] message: &str) {
    let mut failed = request("r", 1, ops_type, "Failed", THREE);
    failed.rollback_of = of.map(Into::into);
    let decided = decide(&database("Ready"), &failed, alone(&[&failed]));
    assert_eq!((decided.state, decided.message.as_str()), (state, message));
    assert_eq!(decided.name.is_empty(), state == RollbackState::Declined);
}

#[test]
fn a_newer_request_ends_the_way_back() {
    let failed = request("r", 1, "HorizontalScaling", "Failed", THREE);
    let newer = request("later", 2, "VerticalScaling", "Pending", "");
    assert_eq!(decide(&database("Ready"), &failed, alone(&[&failed, &newer])).message, "later came after it");
}

/// Two requests of one second: the first had ended, or not, when the second was made and failed.
#[rstest]
#[case::it_had_ended_and_was_noted(Some("00"), true, None)]
#[case::it_was_noted_and_ended_later(Some("01"), true, Some("other came after it"))]
#[case::nobody_noted_which_was_first(Some("00"), false, Some("other came after it"))]
#[case::it_has_not_ended(None, false, Some("other came after it"))]
fn of_two_of_one_second(#[case] ended: Option<&str>, #[case] noted: bool, #[case] newer: Option<&str>) {
    let failed = request("r", 1, "HorizontalScaling", "Failed", THREE);
    let mut other =
        request("other", 1, "HorizontalScaling", if ended.is_some() { "Successful" } else { "Progressing" }, "");
    other.changed = ended.map(|second| format!("2026-01-01T00:01:{second}Z").parse().unwrap());
    let uid = other.uid.clone();
    let before = if noted { vec![&*uid] } else { Vec::new() };
    let around = Around { requests: &[&failed, &other], noted_before: &before };
    let decided = decide(&database("Ready"), &failed, around);
    assert_eq!(Some(&*decided.message).filter(|message| !message.is_empty()), newer);
    let planned = decide(&database("Ready"), &failed, alone(&[&failed]));
    let next = next(&database("Ready"), &failed, around, &planned, Some(&pods(4)), true);
    match newer {
        Some(newer) => assert_eq!(next, Next::Decline(newer.to_owned())),
        None => assert!(matches!(next, Next::Create(_)), "{next:?}"),
    }
}

#[rstest]
#[case::pods_came(Some(4), false, "create")]
#[case::pods_may_still_come(Some(3), false, "wait")]
#[case::nothing_came(Some(3), true, "decline")]
#[case::not_known(None, false, "create")]
fn compared_with_the_pods(#[case] there: Option<usize>, #[case] settled: bool, #[case] wanted: &str) {
    let failed = request("r", 5, "HorizontalScaling", "Failed", THREE);
    let planned = decide(&database("Ready"), &failed, alone(&[&failed]));
    let pods = there.map(pods);
    let step = next(&database("Ready"), &failed, alone(&[&failed]), &planned, pods.as_deref(), settled);
    let word = match &step {
        Next::Create(_) => "create",
        Next::Wait => "wait",
        Next::Decline(_) => "decline",
    };
    assert_eq!(word, wanted, "{step:?}");
}

#[test]
fn an_older_operation_that_still_runs_goes_first() {
    let failed = request("r", 5, "HorizontalScaling", "Failed", THREE);
    let older = request("older", 1, "VerticalScaling", "Progressing", "");
    let planned = decide(&database("Ready"), &failed, alone(&[&failed]));
    assert_eq!(next(&database("Ready"), &failed, alone(&[&older, &failed]), &planned, None, true), Next::Wait);
}

#[rstest]
#[case::ready("Ready", Value::Null)]
#[case::not_ready("NotReady", json!("Always"))]
fn the_request_goes_to_the_values_from_before(#[case] phase: &str, #[case] apply: Value) {
    let failed = request("r", 5, "HorizontalScaling", "Failed", THREE);
    let planned = decide(&database(phase), &failed, alone(&[&failed]));
    let Next::Create(object) = next(&database(phase), &failed, alone(&[&failed]), &planned, Some(&pods(4)), true)
    else {
        panic!("it is created")
    };
    assert_eq!(object["spec"]["horizontalScaling"], json!({"replicas": 3}));
    assert_eq!(object["spec"]["databaseRef"], json!({"name": "db"}));
    assert_eq!(object["spec"]["apply"], apply);
    assert_eq!(object["metadata"]["annotations"]["dbscale.dev/rollback-of"], "r");
    assert_eq!(object["metadata"]["name"], planned.name.as_str());
}

#[rstest]
#[case::numbers("HorizontalScaling", &[("replicas", Some("3"))], Ok(json!({"component": "replicaSet", "replicas": 3})))]
#[case::amounts("VerticalScaling", &[("memory", Some("2Gi"))], Ok(json!({"component": "replicaSet",
    "resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi"}}})))]
#[case::nothing_noted("HorizontalScaling", &[("replicas", None)], Err("the values from before were not noted"))]
#[case::no_change("Restart", &[], Err("the values from before were not noted"))]
fn a_history_tells_what_was_before(
    #[case] ops_type: &str,
    #[case] changes: &[(&str, Option<&str>)],
    #[case] wanted: Result<Value, &str>,
) {
    let changes = changes.iter().map(|(field, before)| Delta {
        component: "replicaSet".to_owned(),
        field: (*field).to_owned(),
        before: before.map(str::to_owned),
        after: "5".to_owned(),
    });
    let past = Past { ops_type: ops_type.to_owned(), changes: changes.collect(), ..Past::default() };
    assert_eq!(noted(&database("Ready"), &past), wanted.map_err(str::to_owned));
}

#[test]
fn resources_go_back_whole() {
    let before = r#"{"component": "replicaSet", "resources": {"limits": {"memory": "2Gi"}}}"#;
    let failed = request("r", 5, "VerticalScaling", "Failed", before);
    let spec = inverse(&database("Ready"), &failed).unwrap();
    assert_eq!(spec["verticalScaling"]["replicaSet"]["resources"], json!({"limits": {"memory": "2Gi"}}));
    let failed = request("r", 5, "VerticalScaling", "Failed", r#"{"component": "replicaSet", "resources": null}"#);
    assert_eq!(inverse(&database("Ready"), &failed).unwrap_err(), "it had no resources of its own before");
}

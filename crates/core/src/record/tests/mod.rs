//! A database's record, step by step.

mod effects;
mod history;

use std::collections::BTreeMap;
use std::slice::from_ref;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::catalog::Catalog;
use crate::growth::Volumes;
use crate::scaling_policy::WayBack;

/// Minutes after the hour at which everything here begins.
fn at(minutes: i64) -> Timestamp {
    "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
}

fn database() -> Database {
    let resources = json!({"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}});
    let object = json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db", "namespace": "demo", "uid": "u-db"},
        "spec": {"replicaSet": {"name": "rs0"}, "replicas": 3,
            "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources}]}}},
        "status": {"phase": "Ready"}});
    Database::of(Catalog::builtin().find("mongodb").unwrap(), &object)
}

/// A request that was created in a minute; `ended` is the time of its newest condition.
fn request(name: &str, minute: i64, kind: &str, phase: &str) -> Value {
    let mut spec = json!({"type": kind, "databaseRef": {"name": "db"}});
    match kind {
        "HorizontalScaling" => spec["horizontalScaling"] = json!({"replicas": 5}),
        "VerticalScaling" => {
            spec["verticalScaling"] =
                json!({"replicaSet": {"resources": {"requests": {"memory": "4Gi"}, "limits": {"memory": "4Gi"}}}});
        }
        _ => {}
    }
    json!({"metadata": {"name": name, "uid": format!("u-{name}"), "creationTimestamp": at(minute).to_string()},
        "spec": spec, "status": {"phase": phase}})
}

/// Successive looks at one database.
struct Story {
    database: Database,
    status: Status,
    looks: BTreeMap<String, Look>,
    volumes: Volumes,
    rollbacks: BTreeMap<String, Rollback>,
    way_back: Option<(WayBack, String)>,
    settings: Settings,
}

impl Story {
    fn new() -> Self {
        Self {
            database: database(),
            status: Status::default(),
            looks: BTreeMap::new(),
            volumes: Volumes::Unknown,
            rollbacks: BTreeMap::new(),
            way_back: None,
            settings: Settings::default(),
        }
    }

    fn see(&mut self, minute: i64, objects: &[Value]) -> Observation {
        let requests: Vec<Request> = objects.iter().map(|o| Request::of(self.database.engine, o).unwrap()).collect();
        let present = Present {
            database: &self.database,
            requests: requests.iter().collect(),
            looks: self.looks.clone(),
            volumes: self.volumes.clone(),
            rollbacks: self.rollbacks.clone(),
            way_back: self.way_back.clone(),
        };
        let seen = observe(&present, &self.status, &self.settings, at(minute));
        self.status = seen.status.clone();
        seen
    }

    fn says(&self) -> (State, &str, &str) {
        (self.status.phase, &self.status.reason, &self.status.message)
    }
}

fn notices(seen: &Observation) -> Vec<Notice> {
    seen.told.iter().map(|t| t.notice).collect()
}

#[test]
fn an_operation_from_its_creation_to_its_end() {
    let mut story = Story::new();
    story.see(0, &[]);
    assert_eq!(story.says(), (State::Running, "", ""));

    story.see(1, &[request("r", 1, "HorizontalScaling", "")]);
    assert_eq!(story.says(), (State::Scaling, "Pending", "r waits for KubeDB to begin: replicas 3 → 5"));

    story.see(2, &[request("r", 1, "HorizontalScaling", "Progressing")]);
    assert_eq!(story.says(), (State::Scaling, "Progressing", "r runs: replicas 3 → 5"));

    let mut done = request("r", 1, "HorizontalScaling", "Successful");
    done["status"]["conditions"] =
        json!([{"type": "Successful", "status": "True", "lastTransitionTime": at(4).to_string()}]);
    story.looks.insert("u-r".to_owned(), Look::default());
    let seen = story.see(5, from_ref(&done));
    assert_eq!(notices(&seen), [Notice::Successful]);
    assert_eq!(story.says(), (State::Running, "Successful", ""));
    assert_eq!(story.status.last, "HorizontalScaling Successful");
    let past = &story.status.history[0];
    assert_eq!((past.started_at, past.ended_at, past.duration_seconds), (Some(at(2)), at(4), Some(120)));
    assert_eq!(past.effect.as_deref(), Some(CONFIRMED));
    let delta = &past.changes[0];
    assert_eq!((delta.field.as_str(), delta.before.as_deref(), delta.after.as_str()), ("replicas", Some("3"), "5"));

    let seen = story.see(6, &[done]);
    assert_eq!((seen.status.observed_at, seen.told.len()), (Some(at(5)), 0), "nothing changed, nothing is told");
    let seen = story.see(7, &[]);
    assert_eq!(seen.status.observed_at, Some(at(5)), "a request that was deleted stays in the history");
}

#[test]
fn what_no_request_tells_is_told_while_it_is_so() {
    let mut story = Story::new();
    let runs = request("r", 1, "HorizontalScaling", "Progressing");
    story.see(2, from_ref(&runs));
    assert!(!story.status.says_more());
    story.looks.insert("u-r".to_owned(), Look { missing: vec!["a member".to_owned()], cause: None });
    story.see(20, from_ref(&runs));
    assert!(story.status.says_more(), "{}", story.status.reason);
    let knows = |object: &Value| story.status.knows(&[Request::of(story.database.engine, object).unwrap()]);
    assert!(knows(&runs));
    assert!(!knows(&request("r", 1, "HorizontalScaling", "Successful")), "it has ended since");
    assert!(!knows(&request("other", 3, "HorizontalScaling", "Progressing")), "it has come since");
}

#[rstest]
#[case::vertical("VerticalScaling", "Progressing", State::Updating, "Progressing", "r runs: memory 2Gi → 4Gi")]
#[case::another_type("Restart", "Progressing", State::Updating, "Progressing", "r runs")]
#[case::approval(
    "HorizontalScaling",
    "WaitingForApproval",
    State::Scaling,
    "WaitingForApproval",
    "r waits for approval: replicas 3 → 5"
)]
#[case::approved(
    "HorizontalScaling",
    "Approved",
    State::Scaling,
    "Approved",
    "r waits for KubeDB to begin: replicas 3 → 5"
)]
#[case::successful("HorizontalScaling", "Successful", State::Running, "Successful", "")]
#[case::skipped("HorizontalScaling", "Skipped", State::Running, "Skipped", "")]
#[case::denied("HorizontalScaling", "Denied", State::Running, "Denied", "")]
#[case::failed(
    "HorizontalScaling",
    "Failed",
    State::Failed,
    "OpsRequestFailed",
    "HorizontalScaling r failed: it does not say why"
)]
fn one_request(
    #[case] kind: &str,
    #[case] phase: &str,
    #[case] state: State,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let mut story = Story::new();
    story.see(1, &[request("r", 0, kind, phase)]);
    assert_eq!(story.says(), (state, reason, message));
    assert_eq!(story.status.last, format!("{kind} {phase}"));
}

#[test]
fn a_failure_tells_the_condition_that_says_so() {
    let mut story = Story::new();
    let mut failed = request("r", 0, "VerticalScaling", "Failed");
    failed["status"]["conditions"] = json!([
        {"type": "Successful", "status": "True", "message": "done"},
        {"type": "VerticalScaling", "status": "False", "reason": "FailedToPerformVerticalScaling", "message": "i/o timeout"}]);
    let seen = story.see(1, &[failed]);
    assert_eq!(notices(&seen), [Notice::Failed]);
    let said = "VerticalScaling r failed: i/o timeout";
    assert_eq!(story.says(), (State::Failed, "FailedToPerformVerticalScaling", said));
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let mut story = Story::new();
    let mut object = request("r", 0, "Restart", "Failed");
    object["status"]["conditions"] = json!([{"type": "Failed", "status": "True", "reason": "Failed",
        "message": format!("a{}", "ü".repeat(5000)), "lastTransitionTime": at(0).to_string()}]);
    story.see(0, &[object]);
    assert_eq!(story.status.history[0].message, format!("a{}…", "ü".repeat(511)));
}

#[test]
fn a_skipped_request_does_not_hide_the_failure_before_it() {
    let mut story = Story::new();
    let failed = request("r1", 0, "VerticalScaling", "Failed");
    story.see(3, &[failed, request("r2", 2, "VerticalScaling", "Skipped")]);
    assert_eq!(story.status.phase, State::Failed);
    assert_eq!(story.status.last, "VerticalScaling Skipped");
}

#[test]
fn the_progressing_one_is_followed_and_the_newest_active_else() {
    let mut story = Story::new();
    let (older, newer) =
        (request("r1", 0, "HorizontalScaling", "Progressing"), request("r2", 1, "VerticalScaling", ""));
    story.see(2, &[newer.clone(), older]);
    assert_eq!(story.status.phase, State::Scaling);
    assert_eq!(story.status.operations.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["r1", "r2"]);
    story.see(3, &[newer, request("r1", 0, "HorizontalScaling", "Pending")]);
    assert_eq!(story.status.phase, State::Updating);
}

/// When each request is first seen in each phase, and from which minute on it is overdue.
#[rstest]
#[case::progressing(&[(1, "Progressing")], Some((11, "MonitoringTimeout")))]
#[case::counted_from_progressing_not_from_creation(&[(1, ""), (8, "Progressing")], Some((18, "MonitoringTimeout")))]
#[case::never_started(&[(1, "")], Some((10, "NeverStarted")))]
#[case::waiting_for_approval(&[(1, "WaitingForApproval")], None)]
#[case::approved_after_an_hour(&[(1, "WaitingForApproval"), (60, "Approved")], Some((70, "NeverStarted")))]
fn overdue(#[case] phases: &[(i64, &str)], #[case] wanted: Option<(i64, &str)>) {
    let mut story = Story::new();
    let mut found = None;
    for minute in 1..90 {
        let (_, phase) = phases.iter().rev().find(|(from, _)| *from <= minute).unwrap();
        let seen = story.see(minute, &[request("r", 0, "HorizontalScaling", phase)]);
        if notices(&seen) == [Notice::Overdue] {
            assert_eq!((found, story.status.phase), (None, State::Failed), "told once");
            found = Some((minute, story.status.reason.clone()));
        }
    }
    assert_eq!(found.as_ref().map(|(minute, reason)| (*minute, reason.as_str())), wanted);
}

#[test]
fn a_short_timeout_is_told_as_it_is() {
    let mut story = Story::new();
    story.settings.timeout = SignedDuration::from_secs(30);
    let object = request("r", 0, "Restart", "Progressing");
    story.see(0, std::slice::from_ref(&object));
    story.see(1, &[object]);
    assert_eq!(story.says(), (State::Failed, "MonitoringTimeout", "r has not ended within 30 s"));
}

#[test]
fn waiting_behind_another_does_not_count() {
    let mut story = Story::new();
    let behind = request("r2", 0, "VerticalScaling", "");
    story.settings.timeout = SignedDuration::from_mins(30);
    story.see(1, &[request("r1", 0, "HorizontalScaling", "Progressing"), behind.clone()]);
    story.see(25, &[request("r1", 0, "HorizontalScaling", "Successful"), behind.clone()]);
    let seen = story.see(54, from_ref(&behind));
    assert!(notices(&seen).is_empty(), "{:?}", seen.told);
    assert_eq!(story.see(55, &[behind]).status.reason, "NeverStarted");
}

#[test]
fn an_overdue_operation_that_ends_is_followed() {
    let mut story = Story::new();
    story.see(0, &[request("r", 0, "HorizontalScaling", "Progressing")]);
    let seen = story.see(10, &[request("r", 0, "HorizontalScaling", "Progressing")]);
    assert_eq!(seen.looks, ["u-r"]);
    assert_eq!(story.status.phase, State::Failed);
    let seen = story.see(12, &[request("r", 0, "HorizontalScaling", "Successful")]);
    assert_eq!((story.status.phase, notices(&seen)), (State::Running, vec![Notice::Successful]));
}

#[rstest]
#[case::done(Look::default(), "DoneButNotReported", "all that r was to do is there, but it still says Progressing")]
#[case::stuck(
    Look { missing: vec!["x".to_owned()], cause: Some("pod db-4 does not fit on any node".to_owned()) },
    "Stuck", "r has not ended within 10 minutes: pod db-4 does not fit on any node"
)]
#[case::nobody_knows(
    Look { missing: vec!["x".to_owned()], cause: None }, "MonitoringTimeout", "r has not ended within 10 minutes"
)]
fn why_it_is_overdue(#[case] look: Look, #[case] reason: &str, #[case] message: &str) {
    let mut story = Story::new();
    let running = request("r", 0, "HorizontalScaling", "Progressing");
    story.see(0, from_ref(&running));
    story.looks.insert("u-r".to_owned(), look);
    story.see(10, from_ref(&running));
    assert_eq!(story.says(), (State::Failed, reason, message));
    story.looks.clear();
    let seen = story.see(11, &[running]);
    assert_eq!(story.says(), (State::Failed, reason, message), "it stays so until the next look");
    assert_eq!(seen.status.observed_at, Some(at(10)));
}

#[test]
fn a_request_that_vanishes_while_it_runs_is_remembered() {
    let mut story = Story::new();
    story.see(0, &[request("r", 0, "HorizontalScaling", "Progressing")]);
    let seen = story.see(1, &[]);
    assert_eq!(notices(&seen), [Notice::NotRun]);
    assert_eq!(story.status.history[0].outcome, DELETED);
    assert_eq!(story.status.phase, State::Running);
}

#[rstest]
#[case::short("mongodb", "my-db", "mongodb-my-db")]
#[case::just_fits("redis", &"a".repeat(247), &format!("redis-{}", "a".repeat(247)))]
fn names(#[case] engine: &str, #[case] database: &str, #[case] wanted: &str) {
    assert_eq!(name(engine, database), wanted);
}

#[test]
fn long_names_stay_apart() {
    let names = ["x", "y"].map(|end| name("mongodb", &format!("{}{end}", "a".repeat(252))));
    assert_ne!(names[0], names[1]);
    assert!(names.iter().all(|n| n.len() <= 253), "{names:?}");
}

#[test]
fn no_engine_has_a_hyphen_so_that_names_are_never_shared() {
    assert!(Catalog::builtin().engines().all(|e| !e.name.contains('-')));
}

#[test]
fn the_object_is_owned_by_the_database() {
    let object = object(&database());
    assert_eq!(object["metadata"]["name"], "mongodb-db");
    assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "u-db");
    assert_eq!(object["spec"]["databaseRef"], json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "name": "db"}));
}

#[test]
fn a_record_without_a_status_gets_one_though_nothing_has_happened() {
    let mut story = Story::new();
    story.see(3, &[]);
    assert_ne!(story.status, Status::default(), "what is as it was is not written");
    assert_eq!((story.status.phase, story.status.observed_at), (State::Running, Some(at(3))));
    story.see(4, &[]);
    assert_eq!(story.status.observed_at, Some(at(3)));
}

#[test]
fn a_status_is_read_as_it_was_written() {
    let mut story = Story::new();
    story.see(0, &[request("r", 0, "HorizontalScaling", "Progressing")]);
    story.see(10, &[request("r", 0, "HorizontalScaling", "Progressing"), request("f", 0, "VerticalScaling", "Failed")]);
    let written = serde_json::to_value(&story.status).unwrap();
    assert_eq!(serde_json::from_value::<Status>(written).unwrap(), story.status);
}

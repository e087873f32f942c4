//! What a record remembers of what has ended, and of growing volumes and ways back.

use std::slice::from_ref;

use serde_json::{Value, json};

use super::*;

#[test]
fn the_history_is_bounded_and_nothing_comes_back_into_it() {
    let mut story = Story::new();
    story.settings.history = 2;
    let all: Vec<Value> = (0..5).map(|i| request(&format!("r{i}"), i, "Restart", "Successful")).collect();
    let seen = story.see(6, &all);
    assert_eq!(seen.archived.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["r2", "r1", "r0"]);
    assert_eq!(story.status.history_dropped, 3);
    let seen = story.see(7, &all);
    assert_eq!((seen.archived.len(), seen.told.len(), seen.status.observed_at), (0, 0, Some(at(6))));
    assert!(all.iter().all(|o| story.status.holds(&Request::of(database().engine, o).unwrap())));
}

#[test]
fn what_ended_long_before_anybody_watched_is_remembered_and_not_told() {
    let mut story = Story::new();
    let seen = story.see(60, &[request("old", 0, "Restart", "Successful"), request("new", 55, "Restart", "Failed")]);
    assert_eq!(seen.told.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["new"]);
    assert_eq!(story.status.history.len(), 2);
}

#[test]
fn volumes_that_grow_are_an_update_and_then_history() {
    let mut story = Story::new();
    let delta = |before: &str| Delta {
        component: "replicaSet".to_owned(),
        field: "storage".to_owned(),
        before: Some(before.to_owned()),
        after: "50Gi".to_owned(),
    };
    let growth = |grown, message: &str| Growth {
        request_id: "id".to_owned(),
        changes: vec![delta("20Gi")],
        grown,
        volumes: 3,
        message: message.to_owned(),
        ..Growth::default()
    };
    story.volumes = Volumes::Growing(growth(1, ""));
    story.see(1, &[]);
    let said = "storage 20Gi → 50Gi, 1 of 3 volumes done";
    assert_eq!(story.says(), (State::Updating, "VolumesGrowing", said));
    story.volumes = Volumes::Growing(growth(2, "claim datadir-db-2: forbidden"));
    story.see(2, &[]);
    let said = "storage 20Gi → 50Gi, 2 of 3 volumes done: claim datadir-db-2: forbidden";
    assert_eq!(story.says(), (State::Failed, "VolumesNotGrown", said));
    story.volumes = Volumes::Unknown;
    assert_eq!(story.see(3, &[]).status.observed_at, Some(at(2)), "what cannot be seen changes nothing");
    story.volumes = settled("50Gi");
    story.see(4, &[]);
    assert_eq!(story.says(), (State::Running, "Successful", ""));
    let past = &story.status.history[0];
    assert_eq!((past.ops_type.as_str(), past.uid.as_str(), past.duration_seconds), (STORAGE_PATCH, "id", Some(180)));
    story.see(5, &[]);
    assert_eq!(story.status.history.len(), 1);
}

fn growing(id: &str, after: &str) -> Volumes {
    let change = Delta {
        component: "replicaSet".to_owned(),
        field: "storage".to_owned(),
        before: Some("20Gi".to_owned()),
        after: after.to_owned(),
    };
    Volumes::Growing(Growth { request_id: id.to_owned(), changes: vec![change], volumes: 3, ..Growth::default() })
}

fn settled(size: &str) -> Volumes {
    Volumes::Settled([("replicaSet".to_owned(), size.parse().unwrap())].into())
}

/// Outcome and wanted size of what is remembered, newest first.
fn grown(story: &Story) -> Vec<(&str, &str)> {
    story.status.history.iter().map(|p| (p.outcome.as_str(), p.changes[0].after.as_str())).collect()
}

#[test]
fn a_growth_that_is_taken_back_was_not_done() {
    let mut story = Story::new();
    story.volumes = growing("id", "50Gi");
    story.see(1, &[]);
    story.volumes = settled("20Gi");
    story.see(2, &[]);
    let past = &story.status.history[0];
    assert_eq!((past.outcome.as_str(), past.effect.as_deref()), (SUPERSEDED, None));
    assert_eq!(past.message, "the database asks for 20Gi now, and not every volume had 50Gi by then");
    assert_eq!((story.status.phase, &story.status.storage), (State::Running, &None));
}

#[rstest]
#[case::with_an_id_of_its_own("other")]
#[case::with_the_databases("id")]
fn a_second_growth_leaves_a_trace_of_the_first(#[case] second: &str) {
    let mut story = Story::new();
    for (minute, volumes) in [growing("id", "50Gi"), growing(second, "80Gi"), settled("80Gi")].into_iter().enumerate() {
        story.volumes = volumes;
        story.see(i64::try_from(minute).unwrap(), &[]);
    }
    assert_eq!(grown(&story), [("Successful", "80Gi"), (SUPERSEDED, "50Gi")]);
    story.volumes = growing("id", "90Gi");
    story.see(4, &[]);
    story.volumes = settled("90Gi");
    story.see(5, &[]);
    assert_eq!(grown(&story)[0], ("Successful", "90Gi"), "also one whose id is known");
}

#[test]
fn a_growth_that_nobody_looks_after_any_more_ends() {
    let mut story = Story::new();
    story.volumes = growing("id", "50Gi");
    story.see(1, &[]);
    story.volumes = Volumes::Left;
    story.see(2, &[]);
    assert_eq!(grown(&story), [(SUPERSEDED, "50Gi")]);
    assert_eq!((story.status.phase, &story.status.storage), (State::Running, &None));
}

#[test]
fn a_rollback_is_noted_before_it_is_made_and_only_once() {
    let mut story = Story::new();
    let mut failed = request("r", 0, "HorizontalScaling", "Failed");
    failed["metadata"]["annotations"] = json!({"dbscale.dev/rollback": "on-failure",
        "dbscale.dev/before": r#"{"component": "replicaSet", "replicas": 3}"#});
    story.see(1, from_ref(&failed));
    let planned = story.status.history[0].rollback.clone().unwrap();
    assert_eq!(planned.state, RollbackState::Planned);
    let back = request(&planned.name, 2, "HorizontalScaling", "Progressing");
    let seen = story.see(2, &[failed.clone(), back]);
    assert_eq!(notices(&seen), [Notice::Rollback]);
    story.see(3, &[failed]);
    let rollback = story.status.history.iter().find(|p| p.name == "r").and_then(|p| p.rollback.clone());
    assert_eq!(rollback.map(|r| r.state), Some(RollbackState::Requested));
}

#[rstest]
#[case::of_one_that_ran_well("Successful", json!({}))]
#[case::of_one_that_failed("Failed", json!({}))]
#[case::where_none_was_to_be_made("Failed", json!({"dbscale.dev/rollback": "on-failure"}))]
fn a_way_back_that_a_person_asks_for_is_noted(#[case] phase: &str, #[case] annotations: Value) {
    let mut story = Story::new();
    let mut ended = request("r", 1, "VerticalScaling", phase);
    ended["metadata"]["annotations"] = annotations;
    story.see(2, std::slice::from_ref(&ended));
    let mut back = request("back", 3, "VerticalScaling", "Progressing");
    back["metadata"]["annotations"] = json!({"dbscale.dev/rollback-of": "r"});
    let seen = story.see(4, &[ended.clone(), back.clone()]);
    let noted = Rollback { name: "back".to_owned(), state: RollbackState::Requested, message: String::new() };
    assert_eq!(story.status.history[0].rollback, Some(noted.clone()));
    assert!(!notices(&seen).contains(&Notice::Rollback));
    back["status"]["phase"] = json!("Successful");
    story.see(5, &[ended, back]);
    let noted_of = |name: &str| story.status.history.iter().find(|p| p.name == name).unwrap().rollback.clone();
    assert_eq!((noted_of("r"), noted_of("back")), (Some(noted), None));
}

/// A way back from `r`.
fn way_back(name: &str, minute: i64, phase: &str) -> Value {
    let mut back = request(name, minute, "VerticalScaling", phase);
    back["metadata"]["annotations"] = json!({"dbscale.dev/rollback-of": "r"});
    back
}

#[rstest]
#[case::was_skipped(Some("Skipped"))]
#[case::was_denied(Some("Denied"))]
#[case::was_deleted(None)]
fn the_way_back_that_is_noted_is_the_second_where_the_first(#[case] phase: Option<&str>) {
    let mut story = Story::new();
    let ended = request("r", 1, "VerticalScaling", "Failed");
    story.see(4, &[ended.clone(), way_back("first", 3, "")]);
    let noted_of = |story: &Story| {
        let past = story.status.history.iter().find(|p| p.name == "r").unwrap();
        past.rollback.as_ref().map(|r| r.name.clone())
    };
    assert_eq!(noted_of(&story).as_deref(), Some("first"));
    let first = phase.map(|phase| way_back("first", 3, phase));
    let all: Vec<Value> = [ended, way_back("second", 5, "Progressing")].into_iter().chain(first).collect();
    story.see(6, &all);
    assert_eq!(noted_of(&story).as_deref(), Some("second"));
}

#[test]
fn of_two_operations_with_one_name_the_way_back_is_of_the_later() {
    let mut story = Story::new();
    story.see(2, &[request("r", 1, "VerticalScaling", "Failed")]);
    let mut again = request("r", 3, "VerticalScaling", "Failed");
    again["metadata"]["uid"] = json!("u-r-again");
    story.see(4, from_ref(&again));
    story.see(6, &[again, way_back("back", 5, "Progressing")]);
    let noted_of = |uid: &str| story.status.history.iter().find(|p| p.uid == uid).unwrap().rollback.clone();
    assert_eq!((noted_of("u-r"), noted_of("u-r-again").unwrap().name.as_str()), (None, "back"));
}

#[test]
fn a_rollback_ends_where_its_failed_request_is_deleted_before() {
    let mut story = Story::new();
    let mut failed = request("r", 0, "HorizontalScaling", "Failed");
    failed["metadata"]["annotations"] = json!({"dbscale.dev/rollback": "on-failure",
        "dbscale.dev/before": r#"{"component": "replicaSet", "replicas": 3}"#});
    assert!(story.see(1, from_ref(&failed)).recheck.is_some(), "its own is still to be made");
    let seen = story.see(2, &[]);
    let rollback = story.status.history[0].rollback.clone().unwrap();
    assert_eq!((rollback.state, rollback.message.as_str()), (RollbackState::Declined, "r was deleted before"));
    assert_eq!((notices(&seen), seen.recheck), (vec![Notice::Rollback], None));
}

#[test]
fn a_record_stays_small_enough_to_be_stored_whatever_others_write() {
    let mut story = Story::new();
    story.settings.history = 200;
    let long = |name: &str, minute, phase: &str| {
        let mut object = request(name, minute, "HorizontalScaling", phase);
        object["metadata"]["annotations"] = json!({"dbscale.dev/requested-by": "ü".repeat(5000),
            "dbscale.dev/before": json!({"component": "replicaSet", "replicas": "9".repeat(50_000)}).to_string()});
        object["status"]["conditions"] = json!([{"type": "HorizontalScaling", "status": "False", "reason": "x".repeat(9000),
            "message": "ü".repeat(30_000), "lastTransitionTime": at(minute).to_string()}]);
        object
    };
    let mut all: Vec<Value> = (0..200).map(|i| long(&format!("failed-{i}"), i, "Failed")).collect();
    all.extend((200..700).map(|i| long(&format!("waits-{i}"), i, "")));
    all.push(long("runs", 700, "Progressing"));
    story.see(701, &all);
    let size = serde_json::to_vec(&story.status).unwrap().len();
    assert!(size <= 1_000_000, "{size} bytes");
    assert!(story.status.history[0].message.ends_with('…'), "a text that was cut says so");
    let followed: Vec<&str> = story.status.operations.iter().map(|o| o.name.as_str()).collect();
    assert_eq!((followed.len(), followed[0], followed[99]), (100, "waits-200", "runs"));
    let seen = story.see(702, &all);
    assert_eq!((seen.status.observed_at, seen.archived.len()), (Some(at(701)), 0), "nothing changed");
}

#[test]
fn of_two_that_ended_in_one_second_the_later_made_is_the_newer() {
    let mut story = Story::new();
    let ended = |name: &str, minute, phase: &str| {
        let mut object = request(name, minute, "HorizontalScaling", phase);
        object["status"]["conditions"] = json!([{"lastTransitionTime": at(3).to_string()}]);
        object
    };
    story.see(3, &[ended("z-failed", 1, "Failed"), ended("a-rollback", 3, "Successful")]);
    assert_eq!((story.status.phase, story.status.history[0].name.as_str()), (State::Running, "a-rollback"));
}

/// A failed operation whose way back was made, and ended, within the second in which it had been made itself.
#[test]
fn a_rollback_is_the_newer_also_within_one_second() {
    let mut story = Story::new();
    let ended = |name: &str, phase: &str, annotations: Value| {
        let mut object = request(name, 1, "HorizontalScaling", phase);
        object["metadata"]["annotations"] = annotations;
        object["status"]["conditions"] = json!([{"lastTransitionTime": at(1).to_string()}]);
        object
    };
    let asks = json!({"dbscale.dev/rollback": "on-failure",
        "dbscale.dev/before": r#"{"component": "replicaSet", "replicas": 3}"#});
    let failed = ended("z-failed", "Failed", asks);
    story.see(1, from_ref(&failed));
    let back = story.status.history[0].rollback.clone().unwrap().name;
    let seen = story.see(1, &[failed, ended(&back, "Successful", json!({"dbscale.dev/rollback-of": "z-failed"}))]);
    assert_eq!((story.status.phase, story.status.history[0].name.as_str()), (State::Running, back.as_str()));
    assert_eq!(seen.looks, [format!("u-{back}")], "its effects are looked at");
}

/// Two failed operations of one second, the second made when the first had been seen to end: it goes back.
#[test]
fn what_had_ended_within_the_second_came_before() {
    let mut story = Story::new();
    let fails = |name: &str, rollback: &str| {
        let mut object = request(name, 1, "HorizontalScaling", "Failed");
        object["metadata"]["annotations"] = json!({"dbscale.dev/rollback": rollback,
            "dbscale.dev/before": r#"{"component": "replicaSet", "replicas": 3}"#});
        object["status"]["conditions"] = json!([{"lastTransitionTime": at(1).to_string()}]);
        object
    };
    let (first, second) = (fails("z-first", "never"), fails("a-second", "on-failure"));
    story.see(1, from_ref(&first));
    story.see(1, &[first, second]);
    let back = story.status.history.iter().find(|p| p.name == "a-second").unwrap().rollback.clone().unwrap();
    assert_eq!((back.state, back.message.as_str()), (RollbackState::Planned, ""));
}

#[test]
fn what_is_usual_is_the_middle_of_what_went_well() {
    let past = |ops_type: &str, outcome: &str, seconds| Past {
        ops_type: ops_type.to_owned(),
        outcome: outcome.to_owned(),
        duration_seconds: seconds,
        ..Past::default()
    };
    let mut status = Status::default();
    assert_eq!(status.usual_seconds("VerticalScaling"), None);
    for seconds in [Some(600), Some(150), None, Some(10)] {
        status.history.push(past("VerticalScaling", "Successful", seconds));
    }
    status.history.push(past("VerticalScaling", "Failed", Some(1)));
    status.history.push(past("HorizontalScaling", "Successful", Some(1)));
    assert_eq!(status.usual_seconds("VerticalScaling"), Some(150));
}

/// A way from three members to five that has failed, with what it says of rollbacks.
fn failed(annotation: Option<&str>) -> Value {
    let mut failed = request("r", 1, "HorizontalScaling", "Failed");
    failed["metadata"]["annotations"] = json!({"dbscale.dev/before": r#"{"component": "replicaSet", "replicas": 3}"#});
    if let Some(annotation) = annotation {
        failed["metadata"]["annotations"]["dbscale.dev/rollback"] = json!(annotation);
    }
    failed
}

#[rstest]
#[case::nobody_asks(None, None, None)]
#[case::it_asks(None, Some("on-failure"), Some(RollbackState::Planned))]
#[case::it_asks_not_to(None, Some("never"), None)]
#[case::a_policy_asks(Some(WayBack::OnFailure), None, Some(RollbackState::Planned))]
#[case::a_policy_asks_and_it_asks_not_to(Some(WayBack::OnFailure), Some("never"), None)]
#[case::a_policy_forbids_what_it_asks(Some(WayBack::Never), Some("on-failure"), Some(RollbackState::Declined))]
#[case::a_policy_forbids_what_nobody_asks(Some(WayBack::Never), None, None)]
fn what_a_policy_says_of_ways_back(
    #[case] policy: Option<WayBack>,
    #[case] annotation: Option<&str>,
    #[case] wanted: Option<RollbackState>,
) {
    let mut story = Story::new();
    story.way_back = policy.map(|policy| (policy, "gold".to_owned()));
    story.see(1, &[request("r", 1, "HorizontalScaling", "Progressing")]);
    let seen = story.see(2, &[failed(annotation)]);
    let rollback = story.status.history[0].rollback.clone();
    assert_eq!(rollback.as_ref().map(|r| r.state), wanted);
    if wanted == Some(RollbackState::Declined) {
        assert_eq!(rollback.unwrap().message, "ScalingPolicy gold allows none (spec.rollback)");
        assert_eq!(notices(&seen), [Notice::Failed, Notice::Rollback]);
    }
}

#[test]
fn a_policy_asks_for_no_way_back_from_what_failed_before_it() {
    let mut story = Story::new();
    story.see(1, &[request("r", 1, "HorizontalScaling", "Progressing")]);
    story.see(2, &[failed(None)]);
    story.way_back = Some((WayBack::OnFailure, "gold".to_owned()));
    story.see(3, &[failed(None)]);
    assert_eq!(story.status.history[0].rollback, None);
}

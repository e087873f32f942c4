//! Effects that are missing, that come after all, and that something newer overrides.

use super::*;

fn lacks(what: &str) -> Look {
    Look { missing: vec![what.to_owned()], cause: None }
}

/// A story whose horizontal scaling `r`, from 3 to 5, was watched, ended in minute 1, and is missed since minute 3.
fn missed() -> (Story, Value) {
    let mut story = Story::new();
    story.see(0, &[request("r", 0, "HorizontalScaling", "Progressing")]);
    let done = ended("r", 0, "HorizontalScaling", 1);
    story.looks.insert("u-r".to_owned(), lacks("replicaSet has 3 of 5 pods"));
    story.see(3, from_ref(&done));
    assert_eq!(story.says(), (State::Failed, "EffectMissing", "r ended Successful, but replicaSet has 3 of 5 pods"));
    (story, done)
}

/// The database of the stories with other replicas than 3.
fn database_of(replicas: i64) -> Database {
    let object = json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db", "namespace": "demo"},
        "spec": {"replicaSet": {"name": "rs0"}, "replicas": replicas}, "status": {"phase": "Ready"}});
    Database::of(Catalog::builtin().find("mongodb").unwrap(), &object)
}

/// A request that ended well in a minute.
fn ended(name: &str, created: i64, kind: &str, minute: i64) -> Value {
    let mut object = request(name, created, kind, "Successful");
    object["status"]["conditions"] =
        json!([{"type": "Successful", "status": "True", "lastTransitionTime": at(minute).to_string()}]);
    object
}

fn effect<'s>(story: &'s Story, name: &str) -> Option<&'s str> {
    story.status.history.iter().find(|p| p.name == name).unwrap().effect.as_deref()
}

#[test]
fn an_effect_may_show_a_little_later_and_its_absence_is_told_once() {
    let mut story = Story::new();
    let done = request("r", 0, "HorizontalScaling", "Successful");
    let seen = story.see(0, from_ref(&done));
    assert_eq!(seen.looks, ["u-r"]);
    story.looks.insert("u-r".to_owned(), lacks("replicaSet has 3 of 5 pods"));
    let seen = story.see(0, from_ref(&done));
    assert_eq!(story.status.phase, State::Running, "within its grace");
    assert_eq!(seen.recheck, Some(at(0) + SignedDuration::from_secs(5)));
    let seen = story.see(1, from_ref(&done));
    assert_eq!(notices(&seen), [Notice::EffectMissing]);
    assert_eq!(seen.told[0].duration_s, None, "it was told when the operation ended");
    assert_eq!(story.says(), (State::Failed, "EffectMissing", "r ended Successful, but replicaSet has 3 of 5 pods"));
    let seen = story.see(2, &[done]);
    assert_eq!((seen.told.len(), seen.recheck), (0, Some(at(3))));
}

#[test]
fn what_is_missing_is_looked_for_until_it_is_there() {
    let (mut story, done) = missed();
    story.looks.clear();
    let seen = story.see(60, from_ref(&done));
    assert_eq!((seen.looks.as_slice(), seen.recheck), (&["u-r".to_owned()][..], Some(at(61))));
    story.looks.insert("u-r".to_owned(), lacks("replicaSet has 4 of 5 pods"));
    let seen = story.see(61, from_ref(&done));
    assert!(seen.told.is_empty(), "{:?}", seen.told);
    assert_eq!(effect(&story, "r"), Some("Missing: replicaSet has 4 of 5 pods"));
    story.looks.insert("u-r".to_owned(), Look::default());
    let seen = story.see(62, from_ref(&done));
    assert_eq!(notices(&seen), [Notice::EffectFound]);
    assert_eq!(story.says(), (State::Running, "Successful", ""));
    let seen = story.see(63, from_ref(&done));
    assert_eq!((effect(&story, "r"), seen.looks.len(), seen.recheck), (Some(CONFIRMED), 0, None));
}

#[rstest]
#[case::of_the_same_values(request("s", 5, "HorizontalScaling", "Successful"), true)]
#[case::of_the_same_values_that_failed(request("s", 5, "HorizontalScaling", "Failed"), true)]
#[case::of_the_same_values_that_was_skipped(request("s", 5, "HorizontalScaling", "Skipped"), false)]
#[case::of_others(request("s", 5, "VerticalScaling", "Successful"), false)]
fn a_newer_operation(#[case] newer: Value, #[case] overrides: bool) {
    let (mut story, done) = missed();
    story.looks.insert("u-s".to_owned(), Look::default());
    let seen = story.see(6, &[done, newer]);
    let missing = "replicaSet has 3 of 5 pods";
    let wanted = if overrides { format!("Superseded: {missing}") } else { format!("Missing: {missing}") };
    assert_eq!(effect(&story, "r"), Some(wanted.as_str()));
    assert!(!notices(&seen).contains(&Notice::EffectMissing), "{:?}", seen.told);
    assert_eq!(story.status.reason == "EffectMissing", !overrides, "{}", story.status.message);
}

#[rstest]
#[case::to_a_third_value(4, Some("Superseded: replicaSet has 3 of 5 pods"))]
#[case::back_to_the_old_value(3, Some("Missing: replicaSet has 3 of 5 pods"))]
fn a_direct_change(#[case] replicas: i64, #[case] wanted: Option<&str>) {
    let (mut story, done) = missed();
    story.database = database_of(replicas);
    story.see(6, &[done]);
    assert_eq!(effect(&story, "r"), wanted);
}

#[test]
fn the_value_that_the_operation_before_has_set_is_no_direct_change() {
    let mut story = Story::new();
    let to_seven = |mut object: Value| {
        object["spec"]["horizontalScaling"]["replicas"] = json!(7);
        object
    };
    let waits = to_seven(request("s", 1, "HorizontalScaling", ""));
    story.see(1, &[request("r", 0, "HorizontalScaling", "Progressing"), waits]);
    story.database = database_of(5);
    let first = ended("r", 0, "HorizontalScaling", 2);
    story.see(2, &[first.clone(), to_seven(request("s", 1, "HorizontalScaling", "Progressing"))]);
    story.looks.insert("u-s".to_owned(), lacks("replicaSet has 5 of 7 pods"));
    let seen = story.see(5, &[first, to_seven(ended("s", 1, "HorizontalScaling", 3))]);
    assert_eq!(notices(&seen), [Notice::Successful, Notice::EffectMissing]);
    assert_eq!(effect(&story, "s"), Some("Missing: replicaSet has 5 of 7 pods"));
}

#[test]
fn each_that_ended_is_looked_at_when_nothing_runs_any_more() {
    let mut story = Story::new();
    let second = |phase: &str| request("s", 0, "VerticalScaling", phase);
    story.see(0, &[request("r", 0, "HorizontalScaling", "Progressing"), second("")]);
    let first = ended("r", 0, "HorizontalScaling", 1);
    let seen = story.see(1, &[first.clone(), second("Progressing")]);
    assert!(seen.looks.is_empty(), "a run moves the pods: {:?}", seen.looks);
    let both = [first, ended("s", 0, "VerticalScaling", 20)];
    let seen = story.see(20, &both);
    assert_eq!(seen.looks, ["u-s", "u-r"]);
    story.looks = [("u-r", lacks("replicaSet has 4 of 5 pods")), ("u-s", Look::default())]
        .map(|(uid, look)| (uid.to_owned(), look))
        .into();
    story.see(20, &both);
    assert_eq!((effect(&story, "r"), effect(&story, "s")), (None, Some(CONFIRMED)), "the pods may still come");
    let seen = story.see(21, &both);
    assert_eq!(notices(&seen), [Notice::EffectMissing]);
    assert_eq!(story.says(), (State::Failed, "EffectMissing", "r ended Successful, but replicaSet has 4 of 5 pods"));
}

#[test]
fn one_that_ended_while_nobody_watched_is_looked_at_once_it_is_seen() {
    let mut story = Story::new();
    story.see(0, &[request("r", 0, "HorizontalScaling", "Progressing")]);
    let done = ended("r", 0, "HorizontalScaling", 1);
    assert_eq!(story.see(90, from_ref(&done)).looks, ["u-r"]);
    let old = Story::new().see(90, &[done]);
    assert!(old.looks.is_empty(), "long before anybody watched: {:?}", old.looks);
}

#[test]
fn one_that_was_watched_is_looked_at_though_nobody_was_there_during_its_grace() {
    let mut story = Story::new();
    story.see(0, &[request("r", 0, "HorizontalScaling", "Progressing")]);
    let done = ended("r", 0, "HorizontalScaling", 1);
    assert_eq!(story.see(1, from_ref(&done)).looks, ["u-r"]);
    let seen = story.see(90, from_ref(&done));
    assert_eq!((seen.looks.as_slice(), seen.recheck), (&["u-r".to_owned()][..], Some(at(91))));
    let seen = story.see(24 * 60 + 1, from_ref(&done));
    assert_eq!((seen.looks.len(), seen.recheck), (0, None), "a day later");
    story.looks.insert("u-r".to_owned(), lacks("replicaSet has 3 of 5 pods"));
    assert_eq!(notices(&story.see(90, &[done])), [Notice::EffectMissing]);
}

#[test]
fn whoever_deletes_the_request_has_seen_that_its_effect_is_missing() {
    let (mut story, _) = missed();
    let seen = story.see(5, &[]);
    assert_eq!((story.status.phase, seen.looks.len(), seen.recheck), (State::Running, 0, None));
    assert_eq!(effect(&story, "r"), Some("Missing: replicaSet has 3 of 5 pods"));
}

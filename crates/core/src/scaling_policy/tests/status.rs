//! How databases stand to a policy, what its status says, and what it asks of the controller.

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{record, retention};

fn breach(field: &str, component: &str, has: &str, allowed: &str) -> Breach {
    let [field, component, has, allowed] = [field, component, has, allowed].map(str::to_owned);
    Breach { field, component, has, allowed }
}

#[rstest]
#[case::within(json!({"replicas": {"min": 3, "max": 3, "maxStep": 1}, "storage": {"min": "20Gi", "max": "20Gi"},
    "cpu": {"min": 2, "max": 2}, "memory": {"min": "2Gi", "max": "2Gi"}}), vec![])]
#[case::too_many(json!({"replicas": {"max": 2}}), vec![breach("spec.replicas.max", "replicaSet", "3", "2")])]
#[case::too_few(json!({"replicas": {"min": 5}}), vec![breach("spec.replicas.min", "replicaSet", "3", "5")])]
#[case::volumes(json!({"storage": {"max": "10Gi"}}), vec![breach("spec.storage.max", "replicaSet", "20Gi", "10Gi")])]
#[case::amounts(json!({"cpu": {"max": "500m"}, "memory": {"min": "4Gi"}}),
    vec![breach("spec.cpu.max", "replicaSet", "2", "500m"), breach("spec.memory.min", "replicaSet", "2Gi", "4Gi")])]
#[case::its_size(json!({"sizes": {"allowed": ["db.t3.small"]}}), vec![])]
#[case::another_size(json!({"sizes": {"allowed": ["db.t3.medium", "odd"], "own": {"odd": {"cpu": 1, "memory": "1Gi"}}}}),
    vec![breach("spec.sizes.allowed", "replicaSet", "2 CPU, 2Gi", "db.t3.medium, odd")])]
#[case::no_bounds(json!({"operations": {"perCluster": 0}, "directEdits": "deny"}), vec![])]
fn what_a_database_breaks_today(#[case] spec: Value, #[case] wanted: Vec<Breach>) {
    let database = Database::of(Catalog::builtin().find("mongodb").unwrap(), &database());
    assert_eq!(policy("a", &spec).policy.breaches(&database), wanted);
}

#[test]
fn request_and_limit_are_judged_alike_and_what_says_no_amounts_is_not() {
    let engine = Catalog::builtin().find("mongodb").unwrap();
    let at = "/spec/podTemplate/spec/containers/0/resources";
    let breaches = |resources: Value, spec: &Value| {
        let mut object = database();
        *object.pointer_mut(at).unwrap() = resources;
        let of = |b: Breach| format!("{} {}", b.field, b.has);
        policy("a", spec).policy.breaches(&Database::of(engine, &object)).into_iter().map(of).collect::<Vec<_>>()
    };
    let wide = json!({"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "4", "memory": "4Gi"}});
    let both = json!({"cpu": {"min": 2, "max": 3}, "sizes": {"allowed": ["db.t3.medium"]}});
    assert_eq!(
        breaches(wide, &both),
        ["spec.cpu.min 1", "spec.cpu.max 4", "spec.sizes.allowed 1 to 4 CPU, 2Gi to 4Gi"]
    );
    assert!(breaches(json!({}), &both).is_empty());
}

#[test]
fn a_status_tells_the_numbers_and_keeps_the_time_of_what_stays() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let named = |n: usize| Outside { name: format!("db-{n}"), ..Outside::default() };
    let standing = Standing { covers: 50, outside: 40, named: (0..40).map(named).collect(), exceeded: None };
    let first = Status::next(Ok(&standing), 3, &Status::default(), at(10));
    assert_eq!((first.observed_generation, first.covers, first.outside), (3, Some(50), Some(40)));
    assert_eq!((first.databases_outside.len(), first.databases_outside[19].name.as_str()), (MOST_NAMED, "db-19"));
    assert_eq!(Status::next(Ok(&standing), 3, &first, at(20)), first, "nothing is written where nothing changes");

    let why = "ü".repeat(5000);
    let unreadable = Unreadable { name: "a".to_owned(), why };
    let broken = Status::next(Err(&unreadable), 4, &first, at(30));
    assert_eq!((broken.covers, broken.outside, broken.databases_outside.len()), (None, None, 0));
    let condition = broken.condition(UNDERSTOOD).unwrap();
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", "Unreadable"));
    assert!(condition.message.starts_with("it is not held: ü") && condition.message.len() <= 1024);
    assert_eq!((first.conditions[0].last_transition_time, condition.last_transition_time), (at(10), at(30)));
    let read: Status = serde_json::from_value(serde_json::to_value(&broken).unwrap()).unwrap();
    assert_eq!(read, broken);
}

fn active(places: &[(&str, usize)]) -> Active {
    let names = |count: usize| (0..count).map(|n| format!("mongodbopsrequest/ask-{n}")).collect();
    places.iter().map(|(namespace, count)| ((*namespace).to_owned(), names(*count))).collect()
}

#[rstest]
#[case::as_many_as_allowed(json!({"perNamespace": 2, "perCluster": 3}), &[("demo", 2), ("prod", 1)], vec![])]
#[case::in_a_namespace(json!({"perNamespace": 1}), &[("demo", 2), ("prod", 1)],
    vec!["2 operations are active in namespace demo, 1 allowed (spec.operations.perNamespace): mongodbopsrequest/ask-0, mongodbopsrequest/ask-1"])]
#[case::in_the_cluster(json!({"perNamespace": 2, "perCluster": 1}), &[("demo", 1), ("prod", 1)],
    vec!["2 operations are active in the cluster, 1 allowed (spec.operations.perCluster): demo/mongodbopsrequest/ask-0, prod/mongodbopsrequest/ask-0"])]
#[case::none_may_begin(json!({"perCluster": 0}), &[("demo", 1)],
    vec!["1 operation is active in the cluster, 0 allowed (spec.operations.perCluster): demo/mongodbopsrequest/ask-0"])]
fn limits_that_are_exceeded(#[case] limits: Value, #[case] there: &[(&str, usize)], #[case] wanted: Vec<&str>) {
    let limits: Operations = serde_json::from_value(limits).unwrap();
    assert_eq!(limits.exceeded(&active(there)), wanted);
}

#[test]
fn of_many_that_exceed_a_limit_some_are_named() {
    let limits = Operations { per_namespace: Some(0), per_cluster: Some(12) };
    let places: Vec<String> = (0..8).map(|n| format!("ns-{n}")).collect();
    let there: Vec<(&str, usize)> = places.iter().map(|place| (place.as_str(), 12)).collect();
    let told = limits.exceeded(&active(&there));
    assert_eq!(told.len(), 5 + 1 + 1);
    assert!(told[4].starts_with("12 operations are active in namespace ns-4") && told[4].ends_with("ask-9, 2 more"));
    assert_eq!(told[5], "and in 3 more namespaces");
    assert!(told[6].starts_with("96 operations are active in the cluster, 12") && told[6].ends_with(", 86 more"));
}

#[test]
fn a_status_tells_of_limits_where_the_policy_sets_some() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let next = |exceeded: Option<&[&str]>, previous: &Status, second| {
        let exceeded = exceeded.map(|all| all.iter().map(|&text| text.to_owned()).collect());
        Status::next(Ok(&Standing { exceeded, ..Standing::default() }), 1, previous, at(second))
    };
    let none = next(None, &Status::default(), 1);
    assert!(none.condition(OPERATIONS_EXCEEDED).is_none() && !none.is_exceeded());
    let within = next(Some(&[]), &none, 2);
    let exceeded = next(Some(&["3 of 2", "4 of 3"]), &within, 3);
    let still = next(Some(&["4 of 3"]), &exceeded, 4);
    let told = |status: &Status| {
        let condition = status.condition(OPERATIONS_EXCEEDED).unwrap();
        (status.is_exceeded(), condition.message.clone(), condition.last_transition_time.as_second())
    };
    assert_eq!(told(&within), (false, "no limit of operations is exceeded".to_owned(), 2));
    assert_eq!(told(&exceeded), (true, "3 of 2; 4 of 3".to_owned(), 3));
    assert_eq!(told(&still), (true, "4 of 3".to_owned(), 3));
}

#[rstest]
#[case::nobody_asks(&[json!({"directEdits": "deny"})], Upkeep::default())]
#[case::the_least_of_each(
    &[json!({"retention": {"count": 5, "age": "2h"}, "monitoringTimeout": "10m"}),
        json!({"retention": {"count": 3}, "monitoringTimeout": "90s"}), json!({"retention": {"age": "90m"}})],
    Upkeep { count: Some(3), age: "90m".parse().ok(), timeout: "90s".parse().ok(), way_back: None })]
#[case::never_wins(&[json!({"rollback": "OnFailure"}), json!({"rollback": "Never"}), json!({"rollback": "Never"}), json!({"rollback": "OnFailure"})],
    Upkeep { way_back: Some((WayBack::Never, "p1".to_owned())), ..Upkeep::default() })]
#[case::on_failure(&[json!({"replicas": {"max": 3}}), json!({"rollback": "OnFailure"})],
    Upkeep { way_back: Some((WayBack::OnFailure, "p1".to_owned())), ..Upkeep::default() })]
fn what_is_asked_of_the_controller(#[case] specs: &[Value], #[case] wanted: Upkeep) {
    let policies: Vec<PolicyFact> = specs.iter().enumerate().map(|(n, spec)| policy(&format!("p{n}"), spec)).collect();
    assert_eq!(Upkeep::of(policies.iter().map(|fact| &*fact.policy)), wanted);
}

#[test]
fn what_no_policy_says_is_as_usual() {
    let (record, kept) = (record::Settings::default(), retention::Policy::default());
    let none = Upkeep::default();
    assert_eq!(
        (none.record(record).timeout, none.retention(kept).keep, none.retention(kept).age),
        (record.timeout, 3, None)
    );
    let some = Upkeep { count: Some(0), age: "1h".parse().ok(), timeout: "1h".parse().ok(), way_back: None };
    let hour = SignedDuration::from_hours(1);
    assert_eq!((some.record(record).timeout, some.record(record).history), (hour, record.history));
    let off = retention::Policy { scope: retention::Scope::Off, ..kept };
    let kept = some.retention(off);
    assert_eq!((kept.keep, kept.age, kept.scope), (0, Some(hour), retention::Scope::Off));
}

#[rstest]
#[case::seconds("90s", "1m30s")]
#[case::hours("720h", "720h")]
#[case::all("1h2m3s", "1h2m3s")]
fn periods(#[case] text: &str, #[case] told: &str) {
    assert_eq!(text.parse::<Period>().map(|period| period.to_string()).as_deref(), Ok(told));
}

use rstest::rstest;
use serde_json::json;

use super::databases::MOST_PARTS;
use super::*;

fn mongodb() -> &'static Engine {
    Catalog::builtin().find("mongodb").unwrap()
}

const DATABASES: Topic = Topic::Engine("mongodb", Role::Database);
const OPERATIONS: Topic = Topic::Engine("mongodb", Role::Operation);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn database(name: &str) -> Value {
    json!({"apiVersion": "kubedb.com/v1", "metadata": {"namespace": "demo", "name": name}, "spec": {"replicas": 3}})
}

fn operation(name: &str, phase: &str, conditions: &Value) -> Value {
    json!({"metadata": {"namespace": "demo", "name": name}, "spec": {"type": "Restart", "databaseRef": {"name": "db"}},
        "status": {"phase": phase, "conditions": conditions}})
}

fn names(cache: &Cache, now: i64) -> Vec<String> {
    let seen = cache.operations(mongodb(), "demo", "db", at(now)).unwrap();
    seen.into_iter().map(|s| s.operation.name).collect()
}

#[test]
fn missing_is_said_only_when_all_is_read() {
    let cache = Cache::default();
    let state = |name| match cache.database(mongodb(), "demo", name) {
        Known::Unknown => "unknown",
        Known::Missing => "missing",
        Known::Here(_) => "here",
    };
    assert_eq!(state("db"), "unknown");
    cache.tell(DATABASES, &Event::Begin, at(0));
    cache.tell(DATABASES, &Event::Apply(&database("db")), at(0));
    assert_eq!((state("db"), state("other")), ("unknown", "unknown"));
    assert_eq!(cache.waiting(), ["mongodb databases: not read yet"]);
    cache.tell(DATABASES, &Event::Complete, at(0));
    assert_eq!((state("db"), state("other")), ("here", "missing"));
    assert!(cache.waiting().is_empty());
    cache.tell(DATABASES, &Event::Delete(&database("db")), at(0));
    assert_eq!(state("db"), "missing");
}

#[test]
fn a_new_list_takes_the_place_of_the_old_one_when_it_is_complete() {
    let cache = Cache::default();
    let here = |name| matches!(cache.database(mongodb(), "demo", name), Known::Here(_));
    for event in [Event::Begin, Event::Apply(&database("old")), Event::Complete] {
        cache.tell(DATABASES, &event, at(0));
    }
    cache.tell(DATABASES, &Event::Broken("gone".to_owned()), at(5));
    cache.tell(DATABASES, &Event::Broken("still".to_owned()), at(10));
    assert_eq!((cache.age_s(at(12)), cache.age_s(at(101))), (7, 0));
    cache.tell(DATABASES, &Event::Begin, at(20));
    cache.tell(DATABASES, &Event::Apply(&database("new")), at(20));
    assert!(here("old") && !here("new"));
    cache.tell(DATABASES, &Event::Complete, at(20));
    assert!(!here("old") && here("new"));
    assert_eq!(cache.age_s(at(30)), 0);
}

#[test]
fn a_list_that_is_read_again_shares_what_has_not_changed() {
    let cache = Cache::default();
    let list = |version: &str, form: &str| {
        let mut object = database("db");
        object["apiVersion"] = json!(format!("kubedb.com/{form}"));
        object["metadata"]["resourceVersion"] = json!(version);
        for event in [Event::Begin, Event::Apply(&object), Event::Complete] {
            cache.tell(DATABASES, &event, at(0));
        }
        let Known::Here(database) = cache.database(mongodb(), "demo", "db") else { panic!("it is there") };
        database
    };
    let first = list("7", "v1");
    assert!(Arc::ptr_eq(&first, &list("7", "v1")));
    let other = list("8", "v1");
    assert_eq!((Arc::ptr_eq(&first, &other), other.resource_version.as_str()), (false, "8"));
    assert_eq!(list("8", "v1alpha2").version, "v1alpha2");
    assert!(!Arc::ptr_eq(&list("", "v1"), &list("", "v1")));
}

#[test]
fn a_database_that_is_too_large_is_not_kept_and_not_missing() {
    let cache = Cache::default();
    let mut object = database("db");
    let labels = |n: usize| (0..n).map(|n| (format!("l{n}"), json!("x"))).collect::<serde_json::Map<_, _>>();
    for (number, there) in [(MOST_PARTS + 1, false), (MOST_PARTS / 2, true)] {
        object["metadata"]["labels"] = labels(number).into();
        for event in [Event::Begin, Event::Apply(&object), Event::Complete] {
            cache.tell(DATABASES, &event, at(0));
        }
        let known = cache.database(mongodb(), "demo", "db");
        assert_eq!((matches!(known, Known::Here(_)), matches!(known, Known::Missing)), (there, false));
    }
}

#[rstest]
#[case::active("Progressing", json!([]), true, true)]
#[case::ended_just_now("Successful", json!([{"lastTransitionTime": "1970-01-01T00:16:30Z"}]), true, false)]
#[case::ended_long_ago("Successful", json!([{"lastTransitionTime": "1970-01-01T00:01:00Z"}]), false, false)]
#[case::the_last_condition_counts("Failed", json!([{"lastTransitionTime": "1970-01-01T00:16:30Z"}, {"lastTransitionTime": "1970-01-01T00:01:00Z"}]), true, false)]
#[case::it_does_not_say_when("Failed", json!([]), true, false)]
fn finished_operations_are_remembered_for_a_while(
    #[case] phase: &str,
    #[case] conditions: Value,
    #[case] now: bool,
    #[case] later: bool,
) {
    let cache = Cache::default();
    for event in [Event::Begin, Event::Apply(&operation("ask", phase, &conditions)), Event::Complete] {
        cache.tell(OPERATIONS, &event, at(1000));
    }
    assert_eq!(names(&cache, 1000).len(), usize::from(now));
    assert_eq!(names(&cache, 1601).len(), usize::from(later));
    cache.forget(at(1601));
    assert_eq!(cache.sizes().1, usize::from(later));
}

#[test]
fn what_is_let_in_is_known_before_any_watch_tells_of_it() {
    let cache = Cache::default();
    for event in [Event::Begin, Event::Complete] {
        cache.tell(OPERATIONS, &event, at(0));
    }
    let ask = operation("ask", "", &json!([]));
    cache.admit(mongodb(), "demo", &ask, at(1));
    cache.admit(mongodb(), "demo", &ask, at(2));
    assert_eq!(names(&cache, 2), ["ask"]);
    // A list that was asked for before it came to be does not forget it.
    for event in [Event::Begin, Event::Complete] {
        cache.tell(OPERATIONS, &event, at(3));
    }
    assert_eq!(names(&cache, 3), ["ask"]);
    cache.tell(OPERATIONS, &Event::Apply(&ask), at(4));
    let seen = cache.operations(mongodb(), "demo", "db", at(4)).unwrap();
    assert_eq!((seen.len(), seen[0].admitted_ms), (1, None));
    // Now it is real, and only its deletion takes it away.
    cache.retract(mongodb(), "demo", &seen[0].operation);
    assert_eq!(names(&cache, 4), ["ask"]);
    cache.tell(OPERATIONS, &Event::Delete(&ask), at(5));
    assert!(names(&cache, 5).is_empty());
}

#[test]
fn what_never_came_to_be_is_retracted_or_forgotten() {
    let cache = Cache::default();
    for event in [Event::Begin, Event::Complete] {
        cache.tell(OPERATIONS, &event, at(0));
    }
    cache.admit(mongodb(), "demo", &operation("one", "", &json!([])), at(0));
    cache.admit(mongodb(), "demo", &operation("two", "", &json!([])), at(0));
    let one = cache.operations(mongodb(), "demo", "db", at(0)).unwrap().remove(0).operation;
    cache.retract(mongodb(), "demo", &one);
    assert_eq!(names(&cache, 0), ["two"]);
    cache.forget(at(61));
    assert!(names(&cache, 61).is_empty());
}

#[test]
fn classes_and_lenient_namespaces() {
    let cache = Cache::default();
    let class = json!({"metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "allowVolumeExpansion": true});
    for event in [Event::Begin, Event::Apply(&class), Event::Complete] {
        cache.tell(Topic::Classes, &event, at(0));
    }
    assert_eq!(cache.classes().unwrap()["fast"], ClassFact { expands: true, default: true });
    for (name, label) in [("demo", "warn"), ("prod", "enforce")] {
        let namespace = json!({"metadata": {"name": name, "labels": {ENFORCEMENT: label}}});
        cache.tell(Topic::Namespaces, &Event::Apply(&namespace), at(0));
    }
    assert_eq!(["demo", "prod", "other"].map(|n| cache.is_lenient(n)), [Some(true), Some(false), None]);
}

/// A policy, and how many operations it counts for MongoDB in `demo` at a second.
fn counted(cache: &Cache, spec: &Value, second: i64) -> (u32, u32) {
    let policy = read_policy(&json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
    let running = cache.running(&policy, mongodb(), "demo", "itself", at(second));
    (running.namespace, running.cluster)
}

#[test]
fn operations_are_counted_among_the_databases_that_a_policy_covers() {
    let cache = Cache::default();
    let databases = Topic::Engine("mongodb", Role::Database);
    for (namespace, name, tier) in [("demo", "db", "gold"), ("demo", "other", "silver"), ("prod", "db", "gold")] {
        let object = json!({"metadata": {"namespace": namespace, "name": name, "labels": {"tier": tier}}});
        cache.tell(databases, &Event::Apply(&object), at(0));
    }
    let prod = json!({"metadata": {"name": "prod", "labels": {"env": "prod"}}});
    cache.tell(Topic::Namespaces, &Event::Apply(&prod), at(0));
    let ask = |namespace: &str, name: &str, database: &str, ops_type: &str, phase: &str| {
        let object = json!({"metadata": {"namespace": namespace, "name": name}, "status": {"phase": phase},
            "spec": {"type": ops_type, "databaseRef": {"name": database}}});
        cache.tell(OPERATIONS, &Event::Apply(&object), at(0));
    };
    ask("demo", "one", "db", "HorizontalScaling", "Progressing");
    ask("demo", "two", "other", "VerticalScaling", "");
    ask("demo", "itself", "other", "VerticalScaling", "");
    ask("demo", "restart", "db", "Restart", "Progressing");
    ask("demo", "ended", "db", "VolumeExpansion", "Successful");
    ask("prod", "three", "db", "VolumeExpansion", "Approved");
    assert_eq!(counted(&cache, &json!({}), 0), (2, 3));
    assert_eq!(counted(&cache, &json!({"selector": {"matchLabels": {"tier": "gold"}}}), 0), (1, 2));
    assert_eq!(counted(&cache, &json!({"namespaceSelector": {"matchLabels": {"env": "prod"}}}), 0), (0, 1));
    let by_name = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "demo"}}});
    assert_eq!(counted(&cache, &by_name, 0), (2, 2));
    assert_eq!(counted(&cache, &json!({"engines": ["mysql"]}), 0), (0, 0));
}

#[test]
fn a_place_is_kept_for_ten_seconds_or_until_a_watch_tells() {
    let cache = Cache::default();
    let admitted = json!({"metadata": {"name": "new", "namespace": "demo"},
        "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "db"}}});
    cache.admit(mongodb(), "demo", &admitted, at(0));
    assert_eq!(counted(&cache, &json!({}), 10), (1, 1));
    assert_eq!(counted(&cache, &json!({}), 11), (0, 0), "it never came");
    cache.admit(mongodb(), "demo", &admitted, at(20));
    assert_eq!(counted(&cache, &json!({}), 30), (1, 1), "it was tried once more");
    cache.tell(OPERATIONS, &Event::Apply(&admitted), at(11));
    assert_eq!(counted(&cache, &json!({}), 100), (1, 1));
    cache.tell(OPERATIONS, &Event::Delete(&admitted), at(101));
    assert_eq!(counted(&cache, &json!({}), 101), (0, 0));
}

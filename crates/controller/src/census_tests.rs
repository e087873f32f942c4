//! What is found of the databases that policies cover.

use dbscale_cluster::cache::{Event, Topic};
use dbscale_cluster::watch::Audience as _;
use dbscale_trim::shapes::Role;
use jiff::Timestamp;

use super::*;
use crate::queue::Due;
use crate::testing;

const DATABASES: Topic = Topic::Engine("mongodb", Role::Database);

/// A store that has read everything, and a look at it.
struct Tested {
    store: Store,
    found: Found,
}

impl Tested {
    fn new() -> Self {
        let tested = Self { store: Store::new(Arc::new(Due::default())), found: Found::default() };
        for topic in [Topic::Policies, Topic::Namespaces, DATABASES] {
            tested.list(topic, &[]);
        }
        tested
    }

    fn tell(&self, topic: Topic, event: &Event<'_>) {
        self.store.tell(topic, event, Timestamp::UNIX_EPOCH);
    }

    fn list(&self, topic: Topic, objects: &[Value]) {
        testing::list(&self.store, topic, objects);
    }

    /// Looks at what has changed; answers how many databases that were, and how they stand: `covers/outside: names`.
    fn look(&mut self) -> (usize, Vec<String>) {
        let (policies, Stale { all, databases }) = self.store.stale().unwrap();
        if all {
            self.found = Found::of(&policies);
        }
        let databases: Vec<Key> = databases.into_iter().collect();
        self.found.look(&self.store, &databases);
        let looked = if policies.is_empty() { 0 } else { databases.len() };
        let told = |standing: &Standing| {
            let names: Vec<&str> = standing.named.iter().map(|o| o.name.as_str()).collect();
            format!("{}/{}: {}", standing.covers, standing.outside, names.join(" "))
        };
        (looked, self.found.standings().iter().map(told).collect())
    }
}

fn database(namespace: &str, name: &str, replicas: i64) -> Value {
    json!({"apiVersion": "kubedb.com/v1", "metadata": {"name": name, "namespace": namespace, "labels": {"tier": "gold"}},
        "spec": {"replicaSet": {"name": "rs0"}, "replicas": replicas}})
}

fn policy(name: &str, spec: &Value) -> Value {
    json!({"metadata": {"name": name, "uid": format!("u-{name}"), "resourceVersion": "1", "generation": 1}, "spec": spec})
}

fn namespace(name: &str, env: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"env": env}}})
}

#[test]
fn databases_are_counted_by_what_covers_them_and_named_where_they_are_outside() {
    let mut tested = Tested::new();
    tested.list(DATABASES, &[database("demo", "a", 3), database("demo", "b", 9), database("prod", "c", 9)]);
    tested.list(Topic::Namespaces, &[namespace("prod", "prod")]);
    let prod = json!({"namespaceSelector": {"matchLabels": {"env": "prod"}}, "replicas": {"max": 9}});
    let silver = json!({"selector": {"matchLabels": {"tier": "silver"}}, "replicas": {"max": 1}});
    tested.list(
        Topic::Policies,
        &[policy("all", &json!({"replicas": {"max": 5}})), policy("prod", &prod), policy("silver", &silver)],
    );
    assert_eq!(tested.look(), (3, vec!["3/2: b c".to_owned(), "1/0: ".to_owned(), "0/0: ".to_owned()]));
    let named = &tested.found.standings()[0].named[0];
    assert_eq!((named.engine.as_str(), named.namespace.as_str()), ("mongodb", "demo"));
    assert_eq!((named.breaks[0].field.as_str(), named.breaks[0].has.as_str()), ("spec.replicas.max", "9"));
}

#[test]
fn only_what_has_changed_is_looked_at_again() {
    let mut tested = Tested::new();
    let all: Vec<Value> = (0..30).map(|n| database("demo", &format!("db-{n:02}"), 9)).collect();
    tested.list(DATABASES, &all);
    tested.tell(DATABASES, &Event::Apply(&database("prod", "other", 3)));
    assert_eq!(tested.look(), (0, vec![]), "there is no policy to look for");
    let spec = json!({"namespaceSelector": {"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["test"]}]},
        "replicas": {"max": 5}});
    tested.tell(Topic::Policies, &Event::Apply(&policy("p", &spec)));
    let (looked, told) = tested.look();
    assert_eq!((looked, told[0].split(':').next()), (31, Some("31/30")));
    assert_eq!(tested.found.standings()[0].named.len(), MOST_NAMED);
    assert_eq!(tested.look().0, 0);

    tested.tell(DATABASES, &Event::Apply(&database("demo", "db-00", 5)));
    tested.tell(DATABASES, &Event::Delete(&database("demo", "db-01", 9)));
    let (looked, told) = tested.look();
    assert_eq!((looked, told[0].split(':').next()), (2, Some("30/28")));
    tested.tell(Topic::Namespaces, &Event::Apply(&namespace("prod", "test")));
    let (looked, told) = tested.look();
    assert_eq!((looked, told[0].split(':').next()), (1, Some("29/28")));

    // Its status, or a list that brings what is known, is no change.
    let mut status = policy("p", &spec);
    status["status"] = json!({"covers": 29, "outside": 28});
    tested.tell(Topic::Policies, &Event::Apply(&status));
    tested.list(Topic::Policies, &[status]);
    assert_eq!((tested.look().0, tested.store.policies().unwrap()[0].status.covers), (0, Some(29)));
    tested.list(Topic::Policies, &[]);
    assert_eq!(tested.look().1, Vec::<String>::new());
}

#[test]
fn nothing_is_said_before_policies_and_engines_are_read() {
    let store = Store::new(Arc::new(Due::default()));
    let tell = |topic, event: &Event<'_>| store.tell(topic, event, Timestamp::UNIX_EPOCH);
    for topic in [Topic::Policies, Topic::Namespaces] {
        assert!(store.policies().is_none());
        tell(topic, &Event::Begin);
        tell(topic, &Event::Complete);
    }
    tell(DATABASES, &Event::Begin);
    assert_eq!(store.policies().unwrap().len(), 0);
    assert_eq!(store.unread().into_iter().collect::<Vec<_>>(), ["mongodb"]);
    tell(DATABASES, &Event::Complete);
    assert!(store.unread().is_empty());
    tell(DATABASES, &Event::Begin);
    assert!(store.unread().is_empty(), "what was read before counts until the new list is there");
    tell(DATABASES, &Event::Absent);
    assert!(store.unread().is_empty(), "what is not installed has no databases");
}

fn ask(name: &str, database: &str, ops_type: &str, phase: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "demo", "uid": format!("u-{name}"), "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"type": ops_type, "databaseRef": {"name": database}}, "status": {"phase": phase}})
}

#[test]
fn operations_are_counted_as_the_webhook_counts_them() {
    const OPERATIONS: Topic = Topic::Engine("mongodb", Role::Operation);
    let mut tested = Tested::new();
    let silver = |name: &str| {
        let mut object = database("demo", name, 3);
        object["metadata"]["labels"]["tier"] = json!("silver");
        object
    };
    tested.list(DATABASES, &[database("demo", "a", 3), silver("b")]);
    let limit = json!({"operations": {"perNamespace": 1}});
    let gold = json!({"selector": {"matchLabels": {"tier": "gold"}}, "operations": {"perCluster": 1}});
    tested.list(
        Topic::Policies,
        &[policy("all", &limit), policy("gold", &gold), policy("none", &json!({"directEdits": "deny"}))],
    );
    let all = [
        ask("one", "a", "HorizontalScaling", "Progressing"),
        ask("restart", "a", "Restart", "Progressing"),
        ask("ended", "a", "VerticalScaling", "Successful"),
        ask("two", "b", "VerticalScaling", ""),
        ask("three", "gone", "VolumeExpansion", "Pending"),
    ];
    tested.list(OPERATIONS, &all);
    let exceeded = |tested: &mut Tested| {
        let covers = tested.look().1.into_iter().map(|told| told.split('/').next().map(str::to_owned));
        let covers: Vec<Option<String>> = covers.collect();
        assert_eq!(covers[0].as_deref(), Some("2"), "a database that is not there is not counted");
        tested.found.standings().into_iter().map(|standing| standing.exceeded).collect::<Vec<_>>()
    };
    let told = "3 operations are active in namespace demo, 1 allowed (spec.operations.perNamespace): \
        mongodbopsrequest/one, mongodbopsrequest/three, mongodbopsrequest/two";
    assert_eq!(exceeded(&mut tested), [Some(vec![told.to_owned()]), Some(vec![]), None]);
    for name in ["one", "two"] {
        tested.tell(
            OPERATIONS,
            &Event::Apply(&ask(name, if name == "one" { "a" } else { "b" }, "VerticalScaling", "Failed")),
        );
    }
    assert_eq!(exceeded(&mut tested), [Some(vec![]), Some(vec![]), None]);
}

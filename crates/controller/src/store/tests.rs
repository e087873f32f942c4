//! What the store makes of what the watches tell.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::testing;

const DATABASES: Topic = Topic::Engine("mongodb", Role::Database);
const OPERATIONS: Topic = Topic::Engine("mongodb", Role::Operation);
const SETS: Topic = Topic::Workloads(SetKind::PetSet);

/// A store with the keys that it has called due.
struct Tested {
    store: Store,
    due: Arc<Due<Key>>,
}

impl Tested {
    /// One in which every topic has been read, and is empty.
    fn new() -> Self {
        let due = Arc::new(Due::default());
        let tested = Self { store: Store::new(Arc::clone(&due)), due };
        for topic in [DATABASES, OPERATIONS, SETS, Topic::Records, Topic::Claims] {
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

    fn due(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.due.taken().iter().map(ToString::to_string).collect();
        keys.sort();
        keys
    }

    fn view(&self) -> Option<View> {
        self.store.view(&key("db"))
    }
}

fn key(name: &str) -> Key {
    Key { engine: "mongodb", namespace: "demo".into(), name: name.into() }
}

fn database(version: u64, phase: &str) -> Value {
    json!({"apiVersion": "kubedb.com/v1",
        "metadata": {"name": "db", "namespace": "demo", "uid": "u", "resourceVersion": version.to_string()},
        "spec": {"replicaSet": {"name": "rs0"}}, "status": {"phase": phase}})
}

fn request(name: &str, version: u64, phase: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "demo", "uid": format!("u-{name}"), "resourceVersion": version.to_string(),
            "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"type": "Restart", "databaseRef": {"name": "db"}}, "status": {"phase": phase}})
}

fn record(version: u64, message: &str) -> Value {
    json!({"metadata": {"name": "mongodb-db", "namespace": "demo", "resourceVersion": version.to_string()},
        "spec": {"databaseRef": {"kind": "MongoDB", "name": "db"}}, "status": {"phase": "Running", "message": message}})
}

fn claim(name: &str, instance: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "demo", "labels": {"app.kubernetes.io/instance": instance}}})
}

#[test]
fn nothing_is_said_of_a_database_before_all_that_matters_is_read() {
    let due = Arc::new(Due::default());
    let tested = Tested { store: Store::new(Arc::clone(&due)), due };
    tested.list(DATABASES, &[database(1, "Ready")]);
    tested.list(Topic::Records, &[]);
    assert!(tested.view().is_none());
    tested.due();
    tested.list(OPERATIONS, &[]);
    assert_eq!(tested.due(), ["mongodb/demo/db"], "held back until now");
    let view = tested.view().unwrap();
    assert!(!view.volumes_known && view.recorded.is_none());
}

#[rstest]
#[case::only_the_version(database(2, "Ready"), &[])]
#[case::the_phase(database(2, "NotReady"), &["mongodb/demo/db"])]
fn a_database_is_due_when_it_changes(#[case] next: Value, #[case] wanted: &[&str]) {
    let tested = Tested::new();
    tested.tell(DATABASES, &Event::Apply(&database(1, "Ready")));
    assert_eq!(tested.due(), ["mongodb/demo/db"]);
    tested.tell(DATABASES, &Event::Apply(&next));
    assert_eq!(tested.due(), wanted);
}

#[test]
fn the_small_steps_of_a_run_are_no_change_and_its_phases_are() {
    let tested = Tested::new();
    tested.tell(DATABASES, &Event::Apply(&database(1, "Ready")));
    tested.tell(OPERATIONS, &Event::Apply(&request("r", 2, "Progressing")));
    tested.due();
    let mut step = request("r", 3, "Progressing");
    step["status"]["conditions"] =
        json!([{"type": "GetPod--x", "status": "False", "lastTransitionTime": "2026-01-01T00:01:00Z"}]);
    tested.tell(OPERATIONS, &Event::Apply(&step));
    assert!(tested.due().is_empty());
    assert_eq!(&*tested.view().unwrap().requests[0].resource_version, "3", "it is known all the same");
    tested.tell(OPERATIONS, &Event::Apply(&request("r", 4, "Successful")));
    assert_eq!(tested.due(), ["mongodb/demo/db"]);
    tested.tell(OPERATIONS, &Event::Delete(&request("r", 5, "Successful")));
    assert_eq!((tested.due().len(), tested.view().unwrap().requests.len()), (1, 0));
}

#[test]
fn what_a_new_list_does_not_have_is_gone() {
    let tested = Tested::new();
    tested.list(DATABASES, &[database(1, "Ready")]);
    tested.list(OPERATIONS, &[request("r1", 1, ""), request("r2", 2, "")]);
    tested.list(Topic::Claims, &[claim("c1", "db"), claim("c2", "db")]);
    tested.due();
    tested.list(OPERATIONS, &[request("r2", 2, "")]);
    tested.list(Topic::Claims, &[claim("c2", "db")]);
    let view = tested.view().unwrap();
    assert_eq!((view.requests.len(), &*view.requests[0].name, view.claims.len()), (1, "r2", 1));
    assert_eq!(tested.due(), ["mongodb/demo/db"]);
}

#[test]
fn a_written_record_counts_at_once_and_is_read_back_later() {
    let tested = Tested::new();
    tested.list(DATABASES, &[database(1, "Ready")]);
    tested.list(Topic::Records, &[record(5, "old")]);
    tested.store.wrote(&key("db"), &record(7, "new"));
    let recorded = || {
        let recorded = tested.view().unwrap().recorded.unwrap();
        (recorded.status.message.clone(), recorded.read_back)
    };
    assert_eq!(recorded(), ("new".to_owned(), false));
    tested.tell(Topic::Records, &Event::Apply(&record(6, "between")));
    assert_eq!(recorded(), ("new".to_owned(), false), "an echo of what was there before");
    tested.due();
    tested.tell(Topic::Records, &Event::Apply(&record(7, "new")));
    assert_eq!((recorded(), tested.due().len()), (("new".to_owned(), true), 1), "retention waits for this");
    tested.tell(Topic::Records, &Event::Delete(&record(8, "new")));
    assert!(tested.view().unwrap().recorded.is_none());
}

#[test]
fn a_record_of_another_name_is_nobodys() {
    let tested = Tested::new();
    tested.tell(DATABASES, &Event::Apply(&database(1, "Ready")));
    tested.tell(Topic::Records, &Event::Apply(&record(5, "ours")));
    let mut other = record(9, "somebody else's");
    other["metadata"]["name"] = json!("mine");
    tested.tell(Topic::Records, &Event::Apply(&other));
    tested.tell(Topic::Records, &Event::Delete(&other));
    assert_eq!(tested.view().unwrap().recorded.unwrap().status.message, "ours");
}

#[test]
fn claims_belong_by_their_instance_label_alone() {
    let tested = Tested::new();
    tested.list(DATABASES, &[database(1, "Ready")]);
    tested.due();
    tested.list(Topic::Claims, &[claim("datadir-db-0", "db"), claim("datadir-db-shard0-0", "db-shard0")]);
    assert_eq!(tested.due(), ["mongodb/demo/db"]);
    assert_eq!(tested.view().unwrap().claims.len(), 1);
}

#[test]
fn a_kind_that_is_no_longer_served_says_nothing_and_comes_back() {
    let tested = Tested::new();
    tested.list(DATABASES, &[database(1, "Ready")]);
    tested.list(OPERATIONS, &[request("r", 1, "Progressing")]);
    tested.tell(OPERATIONS, &Event::Absent);
    assert!(tested.view().is_none(), "a request that cannot be seen was not deleted");
    tested.due();
    tested.list(OPERATIONS, &[request("r", 1, "Progressing")]);
    assert_eq!((tested.due().len(), tested.view().unwrap().requests.len()), (1, 1));
}

#[test]
fn counts_are_by_engine() {
    let tested = Tested::new();
    tested.list(DATABASES, &[database(1, "Ready")]);
    tested.list(OPERATIONS, &[request("r1", 1, "Progressing"), request("r2", 1, "Failed")]);
    let (active, databases, requests) = tested.store.counts();
    assert_eq!((active["mongodb"], databases, requests), (1, 1, 2));
    tested.list(DATABASES, &[]);
    tested.list(OPERATIONS, &[]);
    assert_eq!(tested.store.counts().0["mongodb"], 0, "what is gone is not counted for ever");
}

fn policy(name: &str, spec: &Value) -> Value {
    json!({"metadata": {"name": name, "uid": format!("u-{name}"), "resourceVersion": "1"}, "spec": spec})
}

fn upkeep(tested: &Tested) -> (Option<u32>, bool) {
    let view = tested.view().unwrap();
    (view.upkeep.count, view.upkeep_known)
}

#[test]
fn what_policies_ask_of_the_controller_is_known_and_makes_databases_due() {
    let tested = Tested::new();
    tested.tell(DATABASES, &Event::Apply(&database(1, "Ready")));
    tested.due();
    assert_eq!(upkeep(&tested), (None, true), "policies are not installed");
    let due_after = |event: &Event<'_>, topic| {
        tested.tell(topic, event);
        tested.due().len()
    };
    let bounds = policy("bounds", &json!({"replicas": {"max": 5}}));
    assert_eq!(due_after(&Event::Apply(&bounds), Topic::Policies), 0, "the webhook holds it");
    let kept = policy("kept", &json!({"retention": {"count": 5}}));
    assert_eq!(due_after(&Event::Apply(&kept), Topic::Policies), 1);
    assert_eq!(due_after(&Event::Apply(&kept), Topic::Policies), 0);
    let prod = json!({"namespaceSelector": {"matchLabels": {"env": "prod"}}, "retention": {"count": 1}});
    assert_eq!(due_after(&Event::Apply(&policy("prod", &prod)), Topic::Policies), 1);
    assert_eq!(upkeep(&tested), (Some(5), true));
    let namespace = |env: &str, name: &str| json!({"metadata": {"name": name, "labels": {"env": env}}});
    assert_eq!(due_after(&Event::Apply(&namespace("prod", "other")), Topic::Namespaces), 0);
    assert_eq!(due_after(&Event::Apply(&namespace("prod", "demo")), Topic::Namespaces), 1);
    assert_eq!(upkeep(&tested), (Some(1), true));
    assert_eq!(due_after(&Event::Delete(&policy("prod", &prod)), Topic::Policies), 1);
    tested.list(Topic::Policies, &[bounds]);
    assert_eq!((tested.due().len(), upkeep(&tested)), (1, (None, true)));
}

#[test]
fn policies_are_waited_for_and_where_they_cannot_be_read_it_is_known() {
    let due = Arc::new(Due::default());
    let tested = Tested { store: Store::new(Arc::clone(&due)), due };
    for topic in [Topic::Policies, Topic::Namespaces] {
        tested.tell(topic, &Event::Begin);
    }
    for topic in [DATABASES, OPERATIONS, Topic::Records] {
        tested.list(topic, &[]);
    }
    tested.tell(DATABASES, &Event::Apply(&database(1, "Ready")));
    tested.tell(Topic::Policies, &Event::Complete);
    assert!(tested.view().is_none());
    tested.due();
    tested.tell(Topic::Namespaces, &Event::Broken("no right".to_owned()));
    assert_eq!((tested.due().len(), upkeep(&tested)), (1, (None, false)), "nothing is made or deleted then");
    tested.tell(Topic::Namespaces, &Event::Complete);
    assert_eq!((tested.due().len(), upkeep(&tested)), (1, (None, true)));
}

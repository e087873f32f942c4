//! What the controller makes of policies. With the controller alone: see `cargo xtask test`.

use super::*;

fn size(name: &str, replicas: i64) -> Value {
    let mut object = database(name);
    object["spec"]["replicas"] = json!(replicas);
    object
}

#[test]
fn a_status_tells_how_many_databases_it_covers_and_which_are_outside() {
    let world = World::new("spol-status");
    world.create(&size("small", 3));
    world.create(&size("large", 9));
    let policy = Policy::new(&world, "p", json!({"replicas": {"max": 5}, "storage": {"max": "1Ti"}}));
    let object = format!("scalingpolicy/{}", policy.0);
    let first = ".status.databasesOutside[0]";
    world.until(&object, ".status.covers", "2");
    world.until(&object, ".status.outside", "1");
    for (field, wanted) in [
        ("engine", "mongodb"),
        ("namespace", world.namespace.as_str()),
        ("name", "large"),
        ("breaks[*].field", "spec.replicas.max"),
        ("breaks[0].component", "replicaSet"),
        ("breaks[0].has", "9"),
        ("breaks[0].allowed", "5"),
    ] {
        assert_eq!(world.value(&object, &format!("{first}.{field}")), wanted, "{field}");
    }
    assert_eq!(world.value(&object, ".status.observedGeneration"), world.value(&object, ".metadata.generation"));
    assert_eq!(world.value(&object, ".status.conditions[?(@.type==\"Understood\")].status"), "True");
    let columns = world.must(&["get", "scalingpolicy", &policy.0]);
    assert!(columns.contains("COVERS   OUTSIDE"), "{columns}");
    let listed = world.dbscale(&["policy", "list"]).stdout;
    let row = listed.lines().find(|line| line.starts_with(&policy.0)).unwrap();
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells[1..], ["2", "1", "replicas 5 at most; storage 1Ti at most"], "{listed}");
    let machine = world.dbscale(&["policy", "list", "-o", "json"]).json();
    let told = machine.as_array().unwrap().iter().find(|p| p["name"] == *policy.0).unwrap();
    assert_eq!((&told["status"]["covers"], &told["status"]["outside"]), (&json!(2), &json!(1)));

    // A database that comes, a label of the namespace, and a change of the policy itself.
    world.create(&size("other", 7));
    world.until(&object, ".status.outside", "2");
    let spec = json!({"namespaceSelector": {"matchLabels": {"team": "shop"}}, "replicas": {"max": 8}});
    let patch = json!([{"op": "replace", "path": "/spec", "value": spec}]).to_string();
    world.must(&["patch", &object, "--type=json", "-p", &patch]);
    world.until(&object, ".status.covers", "0");
    world.until(&object, ".status.observedGeneration", "2");
    world.must(&["label", "namespace", &world.namespace, "team=shop"]);
    world.until(&object, ".status.covers", "3");
    world.until(&object, ".status.databasesOutside[*].name", "large");
    world.must(&["delete", "mongodb", "large", "-n", &world.namespace, "--wait=false"]);
    world.until(&object, ".status.covers", "2");
    world.until(&object, ".status.outside", "0");
}

#[test]
fn more_operations_than_it_allows_are_told_until_they_are_no_more() {
    // What no webhook judges, as where two have let in one each.
    let world = World::unjudged("spol-exceeded");
    let policy =
        Policy::new(&world, "p", json!({"operations": {"perNamespace": 1, "perCluster": 9}, "replicas": {"max": 5}}));
    let object = format!("scalingpolicy/{}", policy.0);
    let condition = |field: &str| format!(".status.conditions[?(@.type==\"OperationsExceeded\")].{field}");
    world.until(&object, &condition("status"), "False");
    for name in ["a", "b"] {
        world.create(&database(name)); // its operations never start
        world.until(&format!("mongodb/{name}"), ".status.phase", "Ready");
        let stanza = json!({"horizontalScaling": {"replicas": 5}});
        world.create(&request(&format!("ask-{name}"), "HorizontalScaling", name, &stanza));
    }
    world.until(&object, &condition("status"), "True");
    let told = format!(
        "2 operations are active in namespace {}, 1 allowed (spec.operations.perNamespace): \
         mongodbopsrequest/ask-a, mongodbopsrequest/ask-b",
        world.namespace
    );
    assert_eq!(world.value(&object, &condition("message")), told);
    let field = format!("involvedObject.kind=ScalingPolicy,involvedObject.name={}", policy.0);
    let events = ["get", "events", "-n", "default", "--field-selector", &field, "-o"];
    let seen = "jsonpath={.items[*].type} {.items[*].reason}: {.items[*].message}";
    world.until_output(&[&events[..], &[seen]].concat(), &format!("Warning OperationsExceeded: {told}"));
    world.must(&["delete", "mongodbopsrequest", "ask-a", "-n", &world.namespace]);
    world.until(&object, &condition("status"), "False");
    assert_eq!(world.value(&object, &condition("reason")), "WithinLimits");
}

/// A database with its record, whose operations end as the annotations say.
fn recorded(world: &World, annotations: &Value) {
    let mut object = databases::mongodb();
    object["metadata"]["annotations"] = annotations.clone();
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    world.until(RECORD, ".status.phase", "Running");
}

const RECORD: &str = "scalingrecord/mongodb-db";

#[test]
fn as_many_finished_requests_stay_as_the_strictest_policy_says() {
    let world = World::new("spol-retention");
    recorded(&world, &json!({"testbed.dbscale.dev/no-pods": "true"}));
    let five = Policy::new(&world, "five", json!({"retention": {"count": 5}}));
    for n in 0..5 {
        let (name, memory) = (format!("r{n}"), format!("{}Mi", 300 + n));
        let made = world.dbscale(&["vertical", "mg/db", "--memory", &memory, "--name", &name, "--wait"]);
        assert_eq!(made.code, 0, "{}", made.stderr);
    }
    world.until(RECORD, ".status.history[0].name", "r4");
    world.until(RECORD, ".status.phase", "Running");
    assert_eq!(world.count("mongodbopsrequests"), 5, "more than the three of the flag");
    let names = ["get", "mongodbopsrequests", "-n", &world.namespace, "-o", "jsonpath={.items[*].metadata.name}"];
    let two = Policy::new(&world, "two", json!({"retention": {"count": 2}}));
    world.until_output(&names, "r3 r4");
    let _age = Policy::new(&world, "age", json!({"retention": {"age": "1s"}}));
    world.until_output(&names, "");
    drop((five, two));
    assert_eq!(world.value(RECORD, ".status.history[*].name"), "r4 r3 r2 r1 r0");
}

#[test]
fn an_operation_is_overdue_when_a_policy_says_so() {
    let world = World::new("spol-timeout");
    recorded(&world, &json!({"testbed.dbscale.dev/slow": "1h"}));
    let _slow = Policy::new(&world, "slow", json!({"monitoringTimeout": "30m"}));
    let made = world.dbscale(&["vertical", "mg/db", "--memory", "512Mi", "--name", "ask"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    world.until(RECORD, ".status.reason", "Progressing");
    let _fast = Policy::new(&world, "fast", json!({"monitoringTimeout": "1s"}));
    world.until(RECORD, ".status.phase", "Failed");
    let said = world.value(RECORD, ".status.operations[0].overdue.message");
    assert!(said.starts_with("ask has not ended within 1 s"), "{said}");
}

#[test]
fn what_fails_goes_back_where_a_policy_says_so_and_never_where_one_forbids_it() {
    let world = World::new("spol-rollback");
    recorded(&world, &json!({}));
    let of = |name: &str, field: &str| format!(".status.history[?(@.name==\"{name}\")].{field}");
    let fail = |name: &str, rollback: &str| {
        let mut fails = request(name, "HorizontalScaling", "db", &json!({"horizontalScaling": {"replicas": 5}}));
        fails["metadata"]["annotations"] = json!({"testbed.dbscale.dev/fail": "no room", "testbed.dbscale.dev/fail-after": "1",
            "dbscale.dev/before": r#"{"component": "replicaSet", "replicas": 3}"#});
        if !rollback.is_empty() {
            fails["metadata"]["annotations"]["dbscale.dev/rollback"] = json!(rollback);
        }
        world.create(&fails);
        world.until(RECORD, &of(name, "outcome"), "Failed");
    };
    // What a status tells of is known to the rest of the controller, too.
    let made = |name: &str, rollback: &str| {
        let policy = Policy::new(&world, name, json!({"rollback": rollback}));
        world.until(&format!("scalingpolicy/{}", policy.0), ".status.covers", "1");
        policy
    };
    let _back = made("back", "OnFailure");
    fail("of-itself", "never");
    assert_eq!(world.value(RECORD, &of("of-itself", "rollback.state")), "", "it asks not to");
    fail("first", "");
    world.until(RECORD, &of("first", "rollback['state', 'message']"), "Requested");
    let name = world.value(RECORD, &of("first", "rollback.name"));
    world.until(RECORD, &of(&name, "outcome"), "Successful");
    let never = made("never", "Never");
    fail("second", "");
    assert_eq!(world.value(RECORD, &of("second", "rollback.state")), "");
    fail("third", "on-failure");
    world.until(RECORD, &of("third", "rollback.state"), "Declined");
    let said = format!("ScalingPolicy {} allows none (spec.rollback)", never.0);
    assert_eq!(world.value(RECORD, &of("third", "rollback.message")), said);
    assert_eq!(world.count("mongodbopsrequests"), 5, "one has gone back");
}

/// A field that the definition of a later version has. Dropping it takes it away.
struct Later;

impl Later {
    fn patch(op: &str) -> Answer {
        let at = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/later";
        let patch = json!([{"op": op, "path": at, "value": {"type": "string"}}]).to_string();
        let patched = ["patch", "crd/scalingpolicies.dbscale.dev", "--type=json", "-p", &patch];
        Answer::of(&World::command(&patched).output().unwrap())
    }

    fn new() -> Self {
        let patched = Self::patch("add");
        assert_eq!(patched.code, 0, "{}", patched.stderr);
        Self
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        Self::patch("remove");
    }
}

#[test]
fn a_policy_that_is_not_understood_says_so() {
    let world = World::new("spol-odd");
    let _later = Later::new();
    let policy = Policy(format!("{}-later", world.namespace));
    let object = policy.object(&json!({"replicas": {"max": 5}, "later": "x"}));
    let made = until(|| world.try_create(&object, &["--validate=strict"]), |answer| answer.code == 0);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let of = format!("scalingpolicy/{}", policy.0);
    let condition = |field: &str| format!(".status.conditions[?(@.type==\"Understood\")].{field}");
    world.until(&of, &condition("status"), "False");
    assert_eq!(world.value(&of, &condition("reason")), "Unreadable");
    assert!(world.value(&of, &condition("message")).contains("it is not held: unknown field `later`"));
    assert_eq!(world.value(&of, ".status.covers"), "");
}

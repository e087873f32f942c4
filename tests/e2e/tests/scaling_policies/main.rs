//! Scaling policies through the webhook, on the real API server: each field refuses and lets in, requests and direct edits.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

mod controller;

use std::time::{Duration, Instant};

use dbscale_cluster::Call;
use dbscale_cluster::connect::{Connect, connect};
use dbscale_e2e::webhook::Webhook;
use dbscale_e2e::{Answer, World, databases, playground};
use serde_json::{Value, json};

/// A policy of this test alone. Dropping it takes it away.
struct Policy(String);

impl Policy {
    /// One that covers the world's namespace, beside what else it says.
    fn new(world: &World, name: &str, mut spec: Value) -> Self {
        spec["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": world.namespace}});
        let policy = Self(format!("{}-{name}", world.namespace));
        world.create(&policy.object(&spec));
        policy
    }

    fn object(&self, spec: &Value) -> Value {
        json!({"apiVersion": "dbscale.dev/v1alpha1", "kind": "ScalingPolicy", "metadata": {"name": self.0}, "spec": spec})
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let _ = World::command(&["delete", "scalingpolicy", &self.0]).output();
    }
}

/// A MongoDB without pods: it is only judged.
fn database(name: &str) -> Value {
    let mut object = databases::mongodb();
    object["metadata"] = json!({"name": name, "labels": {"tier": "gold"},
        "annotations": {"testbed.dbscale.dev/no-pods": "true", "testbed.dbscale.dev/never-start": "true"}});
    object
}

fn request(name: &str, ops_type: &str, database: &str, stanza: &Value) -> Value {
    let mut spec = stanza.clone();
    spec["type"] = json!(ops_type);
    spec["databaseRef"] = json!({"name": database});
    json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": {"name": name}, "spec": spec})
}

fn members(n: i64) -> Value {
    request("ask", "HorizontalScaling", "db", &json!({"horizontalScaling": {"replicas": n}}))
}

fn volumes(size: &str) -> Value {
    request("ask", "VolumeExpansion", "db", &json!({"volumeExpansion": {"mode": "Offline", "replicaSet": size}}))
}

fn sized(cpu: &str, memory: &str) -> Value {
    let resources = databases::resources(cpu, memory);
    request("ask", "VerticalScaling", "db", &json!({"verticalScaling": {"replicaSet": {"resources": resources}}}))
}

/// Asks until the answer is as the condition wants it: a policy takes a moment to be known.
fn until(ask: impl Fn() -> Answer, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let began = Instant::now();
    loop {
        let answer = ask();
        if wanted(&answer) || began.elapsed() > Duration::from_secs(30) {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What is refused by a policy alone says so, and by which rule, policy and field.
fn assert_refused(answer: &Answer, rule: &str, policy: &Policy, field: &str) {
    let said = &answer.stderr;
    let names = said.contains(&format!("[{rule}] ")) && said.contains(&format!("ScalingPolicy {} ", policy.0));
    assert!(answer.code == 1 && names && said.contains(&format!("(spec.{field})")), "{rule}: {said}");
    assert!(said.contains("Forbidden"), "code 403, and kubectl tells the whole message: {said}");
}

#[test]
fn each_field_refuses_requests_and_lets_in_what_it_allows() {
    let world = World::unjudged("spol-fields");
    world.create(&database("db"));
    world.until("mongodb/db", ".status.phase", "Ready");
    let _webhook = Webhook::start(&world, &[]);
    // The policy, what it refuses by which rule and field, and what it lets in.
    let table = [
        (json!({"replicas": {"max": 5}}), "policy/replicas", "replicas.max", members(6), members(5)),
        (json!({"replicas": {"min": 3}}), "policy/replicas", "replicas.min", members(2), members(4)),
        (json!({"replicas": {"maxStep": 1}}), "policy/replicas", "replicas.maxStep", members(5), members(4)),
        (json!({"storage": {"max": "50Gi"}}), "policy/storage", "storage.max", volumes("51Gi"), volumes("50Gi")),
        (json!({"storage": {"maxStep": "5Gi"}}), "policy/storage", "storage.maxStep", volumes("26Gi"), volumes("25Gi")),
        (json!({"cpu": {"max": 2}}), "policy/cpu", "cpu.max", sized("2100m", "1Gi"), sized("2", "1Gi")),
        (json!({"cpu": {"min": "100m"}}), "policy/cpu", "cpu.min", sized("50m", "1Gi"), sized("100m", "1Gi")),
        (json!({"memory": {"max": "4Gi"}}), "policy/memory", "memory.max", sized("1", "5Gi"), sized("1", "4096Mi")),
        (json!({"memory": {"min": "256Mi"}}), "policy/memory", "memory.min", sized("1", "200Mi"), sized("1", "1Gi")),
        (
            json!({"sizes": {"allowed": ["db.t3.medium"]}}),
            "policy/size",
            "sizes.allowed",
            sized("2", "3Gi"),
            sized("2", "4Gi"),
        ),
        (
            json!({"sizes": {"allowed": ["odd"], "own": {"odd": {"cpu": 3, "memory": "3Gi"}}}}),
            "policy/size",
            "sizes.allowed",
            sized("2", "4Gi"),
            sized("3", "3Gi"),
        ),
        (
            json!({"operations": {"perNamespace": 0}}),
            "policy/operations",
            "operations.perNamespace",
            members(4),
            request("ask", "Restart", "db", &json!({})),
        ),
        (
            json!({"operations": {"perCluster": 0}}),
            "policy/operations",
            "operations.perCluster",
            members(4),
            request("ask", "Restart", "db", &json!({})),
        ),
    ];
    for (number, (spec, rule, field, wrong, right)) in table.into_iter().enumerate() {
        let policy = Policy::new(&world, &number.to_string(), spec);
        let ask = |object: &Value| world.try_create(object, &["--dry-run=server"]);
        assert_refused(&until(|| ask(&wrong), |a| a.code != 0), rule, &policy, field);
        let allowed = ask(&right);
        assert_eq!(allowed.code, 0, "{rule}: {}", allowed.stderr);
        drop(policy);
        let free = until(|| ask(&wrong), |a| a.code == 0);
        assert_eq!(free.code, 0, "a policy that is gone refuses nothing: {}", free.stderr);
    }
}

#[test]
fn direct_edits_are_held_to_it_and_kubedb_is_not() {
    // The webhook as it is shipped, with the rights that it has.
    let world = World::new("spol-edits");
    world.create(&database("db"));
    world.until("mongodb/db", ".status.phase", "Ready");
    let patch = |spec: &Value, more: &[&str]| {
        let text = json!({"spec": spec}).to_string();
        let all = ["patch", "mongodb/db", "--type=merge", "--dry-run=server", "-n", &world.namespace, "-p", &text];
        world.kubectl(&[&all[..], more].concat())
    };
    let size = |size: &str| json!({"storage": {"resources": {"requests": {"storage": size}}}});
    let policy = Policy::new(
        &world,
        "bounds",
        json!({"selector": {"matchLabels": {"tier": "gold"}}, "replicas": {"max": 5}, "storage": {"max": "50Gi"}}),
    );
    assert_refused(
        &until(|| patch(&json!({"replicas": 6}), &[]), |a| a.code != 0),
        "policy/replicas",
        &policy,
        "replicas.max",
    );
    assert_refused(&patch(&size("60Gi"), &[]), "policy/storage", &policy, "storage.max");
    for allowed in [json!({"replicas": 5}), size("50Gi")] {
        let answer = patch(&allowed, &[]);
        assert_eq!(answer.code, 0, "{allowed}: {}", answer.stderr);
    }
    let kubedb = ["--as", "system:serviceaccount:kubedb:kubedb-ops-manager", "--as-group=system:masters"];
    let written = patch(&json!({"replicas": 6}), &kubedb);
    assert_eq!((written.code, written.stderr.as_str()), (0, ""));
    let strict = Policy::new(&world, "strict", json!({"directEdits": "deny"}));
    assert_refused(
        &until(|| patch(&json!({"replicas": 4}), &[]), |a| a.code != 0),
        "policy/direct-edits",
        &strict,
        "directEdits",
    );
    world.must(&["label", "mongodb/db", "-n", &world.namespace, "tier=silver", "--overwrite"]);
    drop(strict);
    let free = until(|| patch(&json!({"replicas": 6}), &[]), |a| a.code == 0);
    assert_eq!(free.code, 0, "the selector is for another tier: {}", free.stderr);
}

#[test]
fn what_a_policy_cannot_mean_is_refused_by_its_definition() {
    let world = World::unjudged("spol-crd");
    let policy = Policy(world.namespace.clone());
    for (spec, why) in [
        (json!({"engines": ["mongodb"]}), "it asks nothing"),
        (json!({"engines": ["mongdb"], "replicas": {"max": 1}}), "Unsupported value: \"mongdb\""),
        (json!({"replicas": {}}), "should have at least 1 properties"),
        (json!({"replicas": {"min": 5, "max": 3}}), "min is more than max"),
        (json!({"replicas": {"max": 0}}), "should be greater than or equal to 1"),
        (json!({"storage": {"min": "1Ti", "max": "500Gi"}}), "min 1Ti is more than max 500Gi"),
        (json!({"cpu": {"min": 4, "max": "500m"}}), "min 4 is more than max 500m"),
        (json!({"memory": {"max": "4GB"}}), "write an amount such as"),
        (json!({"memory": {"max": "1e999999999"}}), "write an amount such as"),
        (json!({"memory": {"max": -5}}), "write an amount such as"),
        (json!({"memory": {"max": "0Gi"}}), "must be more than zero"),
        (json!({"sizes": {"own": {"a": {"cpu": 1}}}}), "memory: Required value"),
        (json!({"retention": {}}), "should have at least 1 properties"),
        (json!({"retention": {"count": -1}}), "should be greater than or equal to 0"),
        (json!({"retention": {"age": "30d"}}), "write a duration longer than nothing"),
        (json!({"monitoringTimeout": "0s"}), "write a duration longer than nothing"),
        (json!({"monitoringTimeout": ""}), "write a duration longer than nothing"),
        (json!({"rollback": "Always"}), "Unsupported value: \"Always\""),
        (json!({"directEdits": "refuse"}), "Unsupported value: \"refuse\""),
        (
            json!({"replicas": {"max": 3}, "selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
            "need values",
        ),
    ] {
        let answer = world.try_create(&policy.object(&spec), &["--dry-run=server"]);
        assert!(answer.code == 1 && answer.stderr.contains(why), "{spec}: {}", answer.stderr);
    }
    for right in [
        json!({"replicas": {"min": 3, "max": 3, "maxStep": 1}, "cpu": {"min": "500m", "max": 4}, "memory": {"max": "64Gi"}}),
        json!({"storage": {"min": "1.5Gi", "max": "1536Mi"}, "engines": ["redis"]}),
        json!({"retention": {"count": 0, "age": "720h"}, "monitoringTimeout": "1h30m5s", "rollback": "OnFailure"}),
    ] {
        let answer = world.try_create(&policy.object(&right), &["--dry-run=server"]);
        assert_eq!(answer.code, 0, "{right}: {}", answer.stderr);
    }
}

#[test]
fn the_plugin_tells_before_it_asks_and_knows_the_sizes_of_policies() {
    let world = World::unjudged("spol-plugin"); // no webhook is asked here
    world.create(&database("db"));
    world.until("mongodb/db", ".status.phase", "Ready");
    let bounds = Policy::new(&world, "bounds", json!({"replicas": {"max": 5}, "storage": {"max": "50Gi"}}));
    let sizes = json!({"allowed": ["team.odd"], "own": {"team.odd": {"cpu": "300m", "memory": "300Mi"}}});
    let sizes = Policy::new(&world, "sizes", json!({"selector": {"matchLabels": {"tier": "gold"}}, "sizes": sizes}));
    let silver =
        Policy::new(&world, "silver", json!({"selector": {"matchLabels": {"tier": "silver"}}, "cpu": {"max": 1}}));
    for (arguments, code, says) in [
        (
            vec!["horizontal", "mg/db", "--replicas", "7"],
            3,
            format!("7 members of replicaSet: ScalingPolicy {}", bounds.0),
        ),
        (
            vec!["storage", "mg/db", "--to", "60Gi"],
            3,
            format!("60Gi for a volume of replicaSet: ScalingPolicy {}", bounds.0),
        ),
        (
            vec!["vertical", "mg/db", "--size", "db.t3.medium"],
            3,
            format!("no size that ScalingPolicy {} allows", sizes.0),
        ),
        (vec!["vertical", "mg/db", "--size", "team.odd", "--dry-run=client"], 0, String::new()),
        (vec!["vertical", "mg/db", "--size", "team.od"], 2, "there is no size class \"team.od\"".to_owned()),
        (vec!["plan", "mg/db", "--replicas", "5", "--size", "team.odd"], 0, String::new()),
        (vec!["policy", "check", "mg/db", "--replicas", "7"], 3, "policy/replicas".to_owned()),
        (vec!["policy", "check", "mg/db", "--replicas", "5"], 0, String::new()),
        (vec!["policy", "check", "mg/nobody"], 0, String::new()),
        (vec!["policy", "check"], 2, "say which database".to_owned()),
        (vec!["policy", "list", "mg/db"], 2, "list takes no targets".to_owned()),
    ] {
        let answer = world.dbscale(&arguments);
        assert!(
            answer.code == code && answer.stderr.contains(&says),
            "{arguments:?}: {} {}",
            answer.code,
            answer.stderr
        );
    }
    assert_eq!(
        world.must(&["get", "mongodbopsrequests", "-n", &world.namespace, "-o", "name"]),
        "",
        "nothing was asked"
    );
    let checked = world.dbscale(&["policy", "check", "mg/db", "--replicas", "7", "-o", "json"]);
    let told: Value = serde_json::from_str(&checked.stdout).unwrap();
    let of = |policy: &Policy| told["policies"].as_array().unwrap().iter().find(|p| p["name"] == *policy.0).unwrap();
    assert_eq!(
        (&of(&sizes)["covers"], &of(&sizes)["asks"]),
        (&json!(true), &json!("sizes team.odd; team.odd = 300m CPU, 300Mi"))
    );
    assert_eq!((&of(&silver)["covers"], &of(&silver)["why"]), (&json!(false), &json!("it does not have tier=silver")));
    assert_eq!((&told["findings"][0]["rule"], &told["name"]), (&json!("policy/replicas"), &json!("db")));
    let listed = world.dbscale(&["policy", "list", "-o", "name"]);
    assert!(listed.stdout.contains(&format!("scalingpolicy.dbscale.dev/{}\n", silver.0)), "{}", listed.stdout);
}

/// Creates objects, all requests under way at once over connections that are there already: what is measured is who is let in,
/// not how many processes a machine starts.
fn at_once(world: &World, objects: &[Value]) -> Vec<Result<(), String>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = Connect { kubeconfig: Some(playground().join("kubeconfig")), ..Connect::default() };
        let cluster = connect(&options).await.unwrap();
        let path = format!("/apis/ops.kubedb.com/v1alpha1/namespaces/{}/mongodbopsrequests", world.namespace);
        let calls: Vec<Call> = objects.iter().map(|object| Call::post(path.as_str(), object)).collect();
        let answers = futures::future::join_all(calls.iter().map(|call| cluster.call(call))).await;
        answers.into_iter().map(|answer| answer.map(drop).map_err(|refused| refused.message)).collect()
    })
}

/// How many ask at once, and how many are let in.
const ASKED: usize = 50;
const PLACES: usize = 5;

#[test]
fn of_fifty_that_come_at_once_as_many_are_let_in_as_there_are_places() {
    let world = World::unjudged("spol-limit");
    let name = |n: usize| format!("db-{n}");
    for n in 0..ASKED {
        world.create(&database(&name(n)));
    }
    world.until(&format!("mongodb/{}", name(ASKED - 1)), ".status.phase", "Ready");
    let _webhook = Webhook::start(&world, &[]);
    let policy = Policy::new(&world, "limit", json!({"operations": {"perNamespace": PLACES}, "replicas": {"max": 5}}));
    let ask = |n: usize, replicas: i64| {
        request(
            &format!("ask-{n}"),
            "HorizontalScaling",
            &name(n),
            &json!({"horizontalScaling": {"replicas": replicas}}),
        )
    };
    let known = until(|| world.try_create(&ask(0, 6), &["--dry-run=server"]), |a| a.code != 0);
    assert_refused(&known, "policy/replicas", &policy, "replicas.max");
    let objects: Vec<Value> = (0..ASKED).map(|n| ask(n, 5)).collect();
    let refused: Vec<String> = at_once(&world, &objects).into_iter().filter_map(Result::err).collect();
    for said in &refused {
        assert!(said.contains("[policy/operations] 5 operations are active in namespace"), "{said}");
    }
    assert_eq!(refused.len(), ASKED - PLACES);
    let there = world.must(&["get", "mongodbopsrequests", "-n", &world.namespace, "-o", "name"]);
    assert_eq!(there.lines().count(), PLACES);
    // A place is free again when one is gone.
    let one = there.lines().next().unwrap();
    world.must(&["delete", one, "-n", &world.namespace]);
    let next =
        until(|| world.try_create(&ask(99, 5), &["--dry-run=server"]), |a| !a.stderr.contains("policy/operations"));
    assert!(next.stderr.contains("[database/missing]"), "{}", next.stderr);
}

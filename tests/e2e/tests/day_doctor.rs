//! `version` and `doctor`: what is there, what is amiss, and what to do next.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use dbscale_e2e::webhook::Webhook;
use dbscale_e2e::{Answer, World, databases, settled};
use serde_json::{Value, json};

/// The lines of an area, with its next step where there is one.
fn area(answer: &Answer, name: &str) -> String {
    let lines = settled(&answer.stdout);
    let mut told = String::new();
    let mut is_in = false;
    for line in lines.lines() {
        is_in = if line.starts_with("  ") { is_in } else { line.starts_with(name) };
        if is_in {
            told = told + line + "\n";
        }
    }
    told
}

#[test]
fn the_versions_of_all_parts_are_told() {
    let world = World::new("version");
    world.create(&json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "ops",
        "labels": {"app.kubernetes.io/name": "kubedb-ops-manager", "app.kubernetes.io/version": "v0.99.0"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "example.com/ops:v1"}]}}}}));
    let told = world.dbscale(&["version"]);
    let mut lines = told.stdout.lines();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(lines.next(), Some(format!("kubectl-dbscale     {version}").as_str()));
    assert_eq!(lines.next(), Some(format!("dbscale-webhook     {version}").as_str()));
    assert!(lines.next().unwrap().starts_with("dbscale-controller  "), "{}", told.stdout);
    assert_eq!(lines.next(), Some("KubeDB              v0.99.0"));
    assert_eq!((told.code, lines.next(), told.stderr.as_str()), (0, None, ""));
    let value = world.dbscale(&["version", "-o", "json"]).json();
    assert_eq!(value["client"], json!({"version": version}));
    assert_eq!((&value["webhook"], &value["kubedb"]), (&json!({"version": version}), &json!({"version": "v0.99.0"})));
    let hidden = world.dbscale(&["version", "--as", "nobody"]);
    assert_eq!(hidden.code, 0, "{}", hidden.stderr);
    assert!(hidden.stdout.contains("KubeDB              not known: "), "{}", hidden.stdout);
}

#[test]
fn where_all_is_well_every_check_says_so() {
    let world = World::new("doctor-well");
    world.create(&databases::mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    let told = world.dbscale(&["doctor", "mg/db"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{}", told.stdout);
    assert!(area(&told, "KubeDB").starts_with("KubeDB  ok  32 of 32 engines are switched on"), "{}", told.stdout);
    for wanted in [
        "Definitions  ok  those of 32 engines are as the catalog has them\n",
        "Webhook  ok  it is asked, and its certificate is trusted until TIME\n",
        "Storage  ok  every volume is of a class that can grow\n",
        &format!("Rights  ok  you may do in namespace {} all that the commands do\n", world.namespace),
        "Operations  ok  none is active, and the newest of no database has failed\n",
        "Drift  ok  the object, its pods and claims say the same\n",
    ] {
        assert_eq!(area(&told, wanted.split(' ').next().unwrap()), wanted);
    }
    let value = world.dbscale(&["doctor", "-o", "json"]).json();
    assert_eq!(value["broken"], 0);
    let missing = world.dbscale(&["doctor", "mg/other"]);
    assert_eq!(missing.code, 3, "{}", missing.stderr);
    let told = area(&missing, "Databases");
    assert!(told.starts_with("Databases  unknown  [database/missing] there is no MongoDB 'other'"), "{told}");
}

#[test]
fn an_operation_that_is_stuck_is_told_with_its_cause() {
    let world = World::new("doctor-stuck");
    world.create(&databases::mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    // More than a node has: the scheduler itself says so.
    let made = world.dbscale(&["vertical", "mg/db", "--memory", "100Gi", "--name", "huge"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    let unscheduled = ".status.conditions[?(@.type==\"PodScheduled\")].reason";
    world.until("pod/db-0", unscheduled, "Unschedulable");
    let told = world.dbscale(&["doctor", "--stuck-after", "0s"]);
    assert_eq!(told.code, 1, "{}", told.stderr);
    let (first, next) = area(&told, "Operations").split_once('\n').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let said =
        format!("Operations  broken  huge (VerticalScaling of mongodb/db in {}) has stood still for ", world.namespace);
    assert!(first.starts_with(&said) && first.contains(": pod db-0 does not fit on any node: 0/4 nodes"), "{first}");
    assert_eq!(next, format!("  Next: kubectl describe pod db-0 -n {}\n", world.namespace));
    let later = world.dbscale(&["doctor", "--stuck-after", "1h"]);
    assert_eq!(later.code, 0, "{}", later.stdout);
    assert_eq!(area(&later, "Operations"), "Operations  ok  1 is active, and none is stuck or has failed\n");
}

#[test]
fn what_has_not_begun_or_has_failed_is_told_with_the_next_command() {
    let world = World::new("doctor-waits");
    let mut waits = databases::mongodb();
    waits["metadata"]["annotations"] =
        json!({"testbed.dbscale.dev/phase": "NotReady", "testbed.dbscale.dev/no-pods": "true"});
    world.create(&waits);
    let mut fails = databases::redis_sentinel();
    fails["metadata"]["annotations"] = json!({"testbed.dbscale.dev/fail": "no room on any node"});
    world.create(&fails);
    world.until("mongodb/db", ".status.phase", "NotReady");
    world.until("redis/db", ".status.phase", "Ready");
    for (target, name) in [("mg/db", "waits"), ("rd/db", "fails")] {
        let made = world.dbscale(&["vertical", target, "--memory", "512Mi", "--name", name]);
        assert_eq!(made.code, 0, "{}", made.stderr);
    }
    world.until("redisopsrequest/fails", ".status.phase", "Failed");
    let told = world.dbscale(&["doctor", "--stuck-after", "0s"]);
    let ns = &world.namespace;
    let wanted = format!(
        "Operations  broken  waits (VerticalScaling of mongodb/db in {ns}) has not begun for TIME: KubeDB waits until the \
         database is Ready, and it is NotReady\n  Next: kubectl dbscale cancel waits -n {ns}, and ask again with --apply \
         Always\nOperations  warning  fails (VerticalScaling of redis/db in {ns}) has failed: no room on any node\n  Next: \
         kubectl dbscale retry redis/db -n {ns}, or kubectl dbscale rollback redis/db -n {ns}\n"
    );
    let without_time = |text: &str| {
        let (before, rest) = text.split_once("has not begun for ").unwrap();
        format!("{before}has not begun for TIME{}", &rest[rest.find(':').unwrap()..])
    };
    assert_eq!((told.code, without_time(&area(&told, "Operations"))), (1, wanted));
}

#[test]
fn a_webhook_that_does_not_answer_is_broken_and_one_that_is_not_asked_is_told() {
    let world = World::unjudged("doctor-webhook");
    let told = world.dbscale(&["doctor"]);
    let ns = world.namespace.clone();
    let wanted = format!(
        "Webhook  warning  nobody asks it about namespace {ns}, as the label dbscale.dev/enforcement says\n  Next: see the \
         label: kubectl get namespace {ns} --show-labels\n"
    );
    assert_eq!((told.code, area(&told, "Webhook")), (0, wanted));
    let mut webhook = Webhook::start(&world, &[]);
    let told = area(&world.dbscale(&["doctor"]), "Webhook");
    assert!(told.starts_with("Webhook  ok  it is asked, and its certificate is trusted"), "{told}");
    webhook.end();
    let told = world.dbscale(&["doctor"]);
    let said = area(&told, "Webhook");
    assert_eq!(told.code, 1, "{said}");
    assert!(said.starts_with("Webhook  broken  it cannot be asked, and no OpsRequest is let in: "), "{said}");
    assert!(said.contains("connection refused"), "{said}");
}

/// A policy that answers as KubeDB's validator does, before any webhook is asked. Dropping it takes it away.
struct Validator(String);

impl Validator {
    fn new(world: &World) -> Self {
        let name = world.namespace.clone();
        let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name}, "spec": {
                "matchConstraints": {"resourceRules": [{"apiGroups": ["ops.kubedb.com"], "apiVersions": ["*"],
                    "operations": ["CREATE"], "resources": ["*"]}],
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}},
                "validations": [{"expression": "object.spec.databaseRef.name == 'db'", "message": "no such database"}]}});
        let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}});
        for object in [policy, binding] {
            let file = world.write(object["kind"].as_str().unwrap(), &object.to_string());
            world.must(&["create", "-f", &file]);
        }
        Self(name)
    }
}

impl Drop for Validator {
    fn drop(&mut self) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            let _ = World::command(&["delete", kind, &self.0]).output();
        }
    }
}

#[test]
fn the_answer_of_another_is_not_taken_for_the_webhooks() {
    let world = World::new("doctor-other");
    let _validator = Validator::new(&world);
    let began = std::time::Instant::now();
    let told = loop {
        let told = area(&world.dbscale(&["doctor"]), "Webhook");
        // An API server takes a new policy up after a moment.
        if told.contains("no such database") || began.elapsed().as_secs() > 60 {
            break told;
        }
    };
    let said = "Webhook  unknown  whether it is asked is not known: another answer came first: ";
    assert!(told.starts_with(said) && told.contains("Next: ask in a namespace with a database"), "{told}");
    world.create(&databases::mongodb());
    let told = area(&world.dbscale(&["doctor"]), "Webhook");
    assert!(told.starts_with("Webhook  ok  it is asked"), "{told}");
}

#[test]
fn volumes_that_cannot_grow_and_rights_that_lack_are_told() {
    let world = World::new("doctor-lacks");
    let mut rigid = databases::mongodb();
    rigid["spec"]["storage"]["storageClassName"] = json!("rigid");
    world.create(&rigid);
    world.until("mongodb/db", ".status.phase", "Ready");
    let told = world.dbscale(&["doctor"]);
    assert_eq!(told.code, 0, "{}", told.stdout);
    let wanted = "Storage  warning  class rigid cannot grow: the volumes of mongodb/db stay as they are\n  Next: let it grow, \
        where its driver can: kubectl patch storageclass rigid -p '{\"allowVolumeExpansion\":true}'\n";
    assert_eq!(area(&told, "Storage"), wanted);
    let resources = "--resource=mongodbs.kubedb.com,mongodbopsrequests.ops.kubedb.com";
    world.must(&["create", "role", "view", "--verb=get,list", resources, "-n", &world.namespace]);
    world.must(&["create", "rolebinding", "view", "--role=view", "--user=ann", "-n", &world.namespace]);
    let ann = world.dbscale(&["doctor", "mg/db", "--as", "ann", "-o", "json"]);
    assert_eq!(ann.code, 0, "{}", ann.stderr);
    let value = ann.json();
    let find = |area: &str| value["checks"].as_array().unwrap().iter().find(|c| c["area"] == area).unwrap().clone();
    let rights = find("Rights");
    assert_eq!(rights["verdict"], "warning");
    let message = rights["message"].as_str().unwrap();
    assert!(message.contains("you may not create mongodbopsrequests: nothing can be scaled\n"), "{message}");
    assert!(!message.contains("you may not list mongodbs:"), "{message}");
    assert_eq!(find("Definitions")["verdict"], Value::from("unknown"));
}

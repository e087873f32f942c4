//! The webhook on the real API server: every client is held to the rules, in words that kubectl prints.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use dbscale_e2e::databases::{mongodb, resources};
use dbscale_e2e::webhook::Webhook;
use dbscale_e2e::{Answer, World};
use rstest::rstest;
use serde_json::{Value, json};

fn request(name: &str, ops_type: &str, spec: Value) -> Value {
    let mut spec = spec;
    spec["type"] = json!(ops_type);
    spec["databaseRef"] = json!({"name": "db"});
    json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": {"name": name}, "spec": spec})
}

fn horizontal(name: &str, replicas: i64) -> Value {
    request(name, "HorizontalScaling", json!({"horizontalScaling": {"replicas": replicas}}))
}

fn patch(world: &World, patch: &Value) -> Answer {
    world.kubectl(&["patch", "-n", &world.namespace, "mongodb/db", "--type=merge", "-p", &patch.to_string()])
}

/// A world with a database that runs, and the webhook.
fn world(name: &str) -> (World, Webhook) {
    let world = World::unjudged(name);
    let webhook = Webhook::start(&world, &[]);
    world.create(&mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    (world, webhook)
}

/// What kubectl prints of each code, and that all causes are told at once.
#[test]
fn kubectl_tells_the_three_codes_with_their_ids() {
    let (world, _webhook) = world("codes");
    let mut combined = horizontal("combined", 5);
    combined["spec"]["verticalScaling"] = json!({"replicaSet": {"resources": resources("250m", "300Mi")}});
    let mut signed = horizontal("signed", 5);
    signed["metadata"]["annotations"] = json!({"dbscale.dev/requested-by": "somebody-else"});
    let mut nobodys = horizontal("nobodys", 0);
    nobodys["spec"]["databaseRef"]["name"] = json!("nobody");
    for (object, code, ids) in [
        (&horizontal("none", 0), "is invalid", vec!["[replicas/minimum]"]), // 422
        (&nobodys, "is invalid", vec!["[replicas/minimum]", "[database/missing]"]),
        (&combined, "(BadRequest)", vec!["[stanza/ignored]"]), // 400
        (&signed, "(Forbidden)", vec!["[audit/requested-by]"]), // 403
    ] {
        let refused = world.try_create(object, &[]);
        assert_eq!(refused.code, 1, "{}{}", refused.stdout, refused.stderr);
        assert!(refused.stderr.contains(code), "{code}: {}", refused.stderr);
        for id in ids {
            assert!(refused.stderr.contains(id), "{id}: {}", refused.stderr);
        }
    }
    assert_eq!(world.count("mongodbopsrequests"), 0);
}

#[test]
fn the_plugin_falls_back_to_two_requests_and_kubedb_carries_both_out() {
    let (world, webhook) = world("both");
    let done = world.dbscale(&[
        "set",
        "mg/db",
        "--replicas",
        "4",
        "--cpu",
        "250m",
        "--memory",
        "300Mi",
        "--wait",
        "-o",
        "json",
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.json()["ops_requests"].as_array().map(Vec::len), Some(2));
    // What KubeDB wrote into the object at the end was neither refused nor warned of.
    world.until("mongodb/db", ".spec.replicas", "4");
    let (_, metrics) = webhook.probe("/metrics");
    assert!(!metrics.contains(r#"rule="database/direct-edit""#), "{metrics}");
    assert!(
        metrics.contains(r#"dbscale_webhook_findings_total{engine="mongodb",rule="stanza/ignored",severity="deny"} 1"#),
        "{metrics}"
    );
}

#[rstest]
#[case::shrink("shrink", json!({"storage": {"resources": {"requests": {"storage": "10Gi"}}}}), 1, "[storage/no-shrink]")]
#[case::grow("grow", json!({"storage": {"resources": {"requests": {"storage": "30Gi"}}}}), 0, "")]
#[case::huge("huge", json!({"storage": {"resources": {"requests": {"storage": "1e999999999"}}}}), 1, "[quantity/unreadable]")]
#[case::none("none", json!({"replicas": 0}), 1, "[replicas/minimum]")]
#[case::members("members", json!({"replicas": 5}), 0, "use: kubectl dbscale horizontal mongodb/db -n ")]
fn patches_of_a_database(#[case] name: &str, #[case] spec: Value, #[case] code: i32, #[case] says: &str) {
    let (world, _webhook) = world(name);
    let answer = patch(&world, &json!({"spec": spec}));
    assert_eq!(answer.code, code, "{}{}", answer.stdout, answer.stderr);
    assert!(answer.stderr.contains(says), "{says}: {}", answer.stderr);
}

#[test]
fn a_second_request_of_a_type_is_refused_and_one_of_another_type_is_told_that_it_waits() {
    let (world, _webhook) = world("active");
    world.must(&["annotate", "-n", &world.namespace, "mongodb/db", "testbed.dbscale.dev/slow=60s"]);
    world.create(&horizontal("first", 4));
    let refused = world.try_create(&horizontal("second", 5), &[]);
    assert!(refused.code == 1 && refused.stderr.contains("[operation/active]"), "{}", refused.stderr);
    let other = request(
        "other",
        "VerticalScaling",
        json!({"verticalScaling": {"replicaSet": {"resources": resources("250m", "300Mi")}}}),
    );
    let warned = world.try_create(&other, &[]);
    assert!(warned.code == 0 && warned.stderr.contains("[operation/active]"), "{}", warned.stderr);
    let frozen = world.kubectl(&[
        "patch",
        "-n",
        &world.namespace,
        "mongodbopsrequest/first",
        "--type=merge",
        "-p",
        r#"{"spec":{"horizontalScaling":{"replicas":7}}}"#,
    ]);
    assert!(frozen.code == 1 && frozen.stderr.contains("[request/immutable]"), "{}", frozen.stderr);
    world.must(&["label", "-n", &world.namespace, "mongodbopsrequest/first", "a=b"]);
}

/// Eight at once, before any watch can tell: one is let in.
#[test]
fn of_eight_requests_at_once_one_is_let_in() {
    let (world, _webhook) = world("eight");
    world.must(&["annotate", "-n", &world.namespace, "mongodb/db", "testbed.dbscale.dev/slow=60s"]);
    let let_in: usize = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|n| {
                let world = &world;
                scope.spawn(move || usize::from(world.try_create(&horizontal(&format!("try-{n}"), 5), &[]).code == 0))
            })
            .collect();
        tries.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!((let_in, world.count("mongodbopsrequests")), (1, 1));
}

#[test]
fn sigterm_ends_it_in_order() {
    let world = World::unjudged("sigterm");
    let mut webhook = Webhook::start(&world, &[]);
    assert_eq!(webhook.probe("/livez").0, 200);
    assert_eq!(webhook.end(), Some(0));
    // Nobody judges an OpsRequest now, so none is let in.
    let refused = world.try_create(&horizontal("ask", 5), &[]);
    assert!(refused.code == 1 && refused.stderr.contains("failed calling webhook"), "{}", refused.stderr);
}

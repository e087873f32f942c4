//! `1e999999999` and its like through every door. A Go program that compares such an amount is busy for half an hour, so the answer
//! is not all: what the API server and the webhook spent on it is measured, too.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::fs;

use dbscale_e2e::databases::mongodb;
use dbscale_e2e::webhook::Webhook;
use dbscale_e2e::{Answer, World};
use serde_json::{Value, json};

const ID: &str = "quantity/unreadable";

/// Amounts that the definitions' pattern lets through, but for the last.
const AMOUNTS: [&str; 4] = ["1e999999999", "1E99999999", "-1e999999999", "1e-999999999"];

/// What a call may cost in processor time, in seconds: a few times what it costs. One comparison alone is more than all
/// calls may cost together, for it uses a core until its caller has given up: 10 s of the webhook, half a minute of the API
/// server.
const API_SERVER_S: f64 = 0.1;
const WEBHOOK_S: f64 = 0.01;

/// The processor time of the API server so far, in seconds.
fn of_api_server(world: &World) -> f64 {
    let metrics = world.must(&["get", "--raw", "/metrics"]);
    let line = metrics.lines().find_map(|line| line.strip_prefix("process_cpu_seconds_total "));
    line.unwrap().parse().unwrap()
}

/// The processor time of a process so far, in hundredths of a second as Linux counts; nothing elsewhere.
fn of_process(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap_or_default().1.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    f64::from(ticks(11) + ticks(12)) / 100.0
}

fn request(ops_type: &str, spec: &Value) -> Value {
    let mut object = json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": {"name": "huge"},
        "spec": {"type": ops_type, "databaseRef": {"name": "db"}}});
    json_patch::merge(&mut object["spec"], spec);
    object
}

fn resources(name: &str, amount: &str) -> Value {
    json!({"requests": {name: amount}, "limits": {name: amount}})
}

/// An amount through every door: (which, the answer).
fn knock(world: &World, amount: &str) -> Vec<(String, Answer)> {
    let grow = request("VolumeExpansion", &json!({"volumeExpansion": {"mode": "Online", "replicaSet": amount}}));
    let size = |name: &str| {
        request("VerticalScaling", &json!({"verticalScaling": {"replicaSet": {"resources": resources(name, amount)}}}))
    };
    let mut answers: Vec<(String, Answer)> =
        [("volumeExpansion", grow.clone()), ("cpu", size("cpu")), ("memory", size("memory"))]
            .into_iter()
            .map(|(what, object)| (format!("kubectl create, {what}"), world.try_create(&object, &[])))
            .collect();
    let container = |name: &str| json!({"podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources(name, amount)}]}}});
    let volume = json!({"storage": {"resources": {"requests": {"storage": amount}}}});
    for (what, spec) in [("storage", volume), ("cpu", container("cpu")), ("memory", container("memory"))] {
        let patch = json!({"spec": spec}).to_string();
        let answer = world.kubectl(&["patch", "-n", &world.namespace, "mongodb/db", "--type=merge", "-p", &patch]);
        answers.push((format!("kubectl patch, {what}"), answer));
    }
    for command in [
        &["storage", "mongodb/db", "--to", amount][..],
        &["storage", "mongodb/db", "--to", amount, "--via", "ops-request"],
        &["vertical", "mongodb/db", "--cpu", amount],
        &["vertical", "mongodb/db", "--memory", amount],
        &["set", "mongodb/db", "--replicas", "5", "--storage", amount],
    ] {
        answers.push((command.join(" "), world.dbscale(command)));
    }
    let file = world.write("huge.json", &grow.to_string());
    answers.push(("lint".to_owned(), world.dbscale(&["lint", "-f", &file])));
    answers
}

#[test]
fn huge_amounts_are_refused_and_cost_nothing() {
    // Under the policies and the webhook, and under a webhook alone.
    let installed = World::new("huge");
    let alone = World::unjudged("huge-alone");
    let webhook = Webhook::start(&alone, &[]);
    for world in [&installed, &alone] {
        let mut object = mongodb();
        object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/no-pods": "true"});
        world.create(&object);
        world.until("mongodb/db", ".status.phase", "Ready");
    }
    let before = (of_api_server(&alone), of_process(webhook.pid()));
    let mut calls = 0;
    for amount in AMOUNTS {
        for world in [&installed, &alone] {
            for (door, answer) in knock(world, amount) {
                calls += 1;
                let told = format!("{}{}", answer.stdout, answer.stderr);
                assert!(answer.code != 0 && told.contains(ID), "{amount}, {door}, {}: {told}", answer.code);
            }
            assert_eq!(world.count("mongodbopsrequests"), 0);
        }
    }
    let spent = (of_api_server(&alone) - before.0, of_process(webhook.pid()) - before.1);
    println!("{calls} calls: the API server spent {:.1} s, the webhook {:.1} s", spent.0, spent.1);
    let may = (API_SERVER_S * f64::from(calls), WEBHOOK_S * f64::from(calls));
    assert!(spent.0 < may.0 && spent.1 < may.1, "{spent:?} s of processor time, more than {may:?} s for {calls} calls");
}

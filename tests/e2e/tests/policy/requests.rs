//! OpsRequests beside the webhook.

use dbscale_cluster::call::Call;
use dbscale_cluster::read::operations_path;
use dbscale_core::catalog::{Catalog, Engine, Node, Pointer};
use dbscale_core::change::Change;
use dbscale_core::facts::{Case, Facts};
use dbscale_core::policy;
use dbscale_core::rules::judge;
use dbscale_e2e::World;
use dbscale_e2e::policies::{Policies, Verdicts};
use serde_json::{Value, json};

use crate::{cluster, responsive, until_held};

/// The rules that the policies beside the webhook hold of OpsRequests.
const OF_REQUESTS: [&str; 2] = ["quantity/unreadable", "request/immutable"];

/// Requests of every engine: (what, the object).
fn requests(engine: &Engine) -> Vec<(String, Value)> {
    let frame = |ops_type: &str| {
        json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": engine.ops_kind(), "metadata": {"name": "ask"},
            "spec": {"type": ops_type, engine.reference.as_str(): {"name": "db"}}})
    };
    let mut cases = Vec::new();
    let mut add = |ops_type: &str, at: &Pointer, value: &Value| {
        if engine.types.iter().any(|t| t == ops_type) {
            let mut object = frame(ops_type);
            if object["spec"]["type"] == "VolumeExpansion" || at.dotted().contains("volumeExpansion") {
                object["spec"]["volumeExpansion"] = json!({"mode": "Online"});
            }
            at.of_item("one").set(&mut object, value.clone());
            cases.push((format!("{ops_type} {} := {value}", at.dotted()), object));
        }
    };
    for (at, node) in engine.form().leaves() {
        match node {
            Node::Amount(_) => {
                for size in [json!("50Gi"), json!(50_000_000_000_i64), json!("1e999999999"), json!("1e40"), json!("1")]
                {
                    add("VolumeExpansion", &at, &size);
                }
                add("HorizontalScaling", &at, &json!("1e999999999"));
                add("Restart", &at, &json!("1e999999999"));
            }
            Node::Resources(_) => {
                for amounts in [
                    json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": 1}}),
                    json!({"limits": {"cpu": "1", "memory": "1e999999999"}}),
                    json!({"requests": {"cpu": "1e-999999999"}, "limits": {"memory": "1e40"}}),
                    json!({"requests": {}}),
                    json!({}),
                ] {
                    add("VerticalScaling", &at, &amounts);
                }
            }
            _ => {}
        }
    }
    cases
}

#[tokio::test]
async fn requests_beside_the_webhook_are_judged_as_by_the_rules() {
    let world = World::new("policy-requests");
    let mut objects: Vec<Value> = Catalog::builtin().engines().flat_map(policy::beside_webhook).collect();
    objects.retain(|o| o["metadata"]["name"].as_str().unwrap().contains("-request"));
    let policies = Policies::install(&world, &objects);
    policies.hold_in(&world, "enforce");
    let cluster = cluster().await;
    until_held(&cluster, &world).await;
    let mut verdicts = Verdicts::new(&OF_REQUESTS);
    for engine in Catalog::builtin().engines() {
        let path = operations_path(engine, Some(&world.namespace));
        for (case, object) in requests(engine) {
            let change = Change::of_request(engine, &object, None);
            let rules = judge(&Case { change: &change, facts: &Facts::default() });
            let judged = cluster.call(&Call::post(&path, &object).query("dryRun", Some("All"))).await;
            if judged.as_ref().is_err_and(|e| !e.message.contains("ValidatingAdmissionPolicy '")) {
                continue; // what the definition itself refuses never comes to a policy
            }
            verdicts.compare(&format!("{} {case}", engine.name), &rules, &judged);
        }
        let object = json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": engine.ops_kind(), "metadata": {"name": "there"},
            "spec": {"type": "Restart", engine.reference.as_str(): {"name": "db"}, "apply": "IfReady"}});
        let Ok(old) = cluster.call(&Call::post(&path, &object)).await else { continue };
        for (at, value) in [
            ("/spec/apply", json!("Always")),
            ("/spec/timeout", json!("5m")),
            ("/metadata/labels", json!({"a": "b"})),
            ("/metadata/finalizers", json!(["dbscale.dev/test"])),
            ("/spec/apply", json!("IfReady")),
        ] {
            let mut new = old.clone();
            at.parse::<Pointer>().unwrap().set(&mut new, value.clone());
            let change = Change::of_request_update(engine, &old, &new);
            let rules = judge(&Case { change: &change, facts: &Facts::default() });
            let body = json!([{"op": "add", "path": at, "value": value}]).to_string().into_bytes();
            let call = Call::patch(format!("{path}/there"), "application/json-patch+json", body);
            let judged = cluster.call(&call.query("dryRun", Some("All"))).await;
            verdicts.compare(&format!("{} {at} := {value}", engine.name), &rules, &judged);
        }
    }
    responsive(&cluster).await;
    verdicts.agree(700, 250);
}

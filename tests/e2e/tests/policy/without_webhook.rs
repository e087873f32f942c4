//! OpsRequests where there is no webhook: by themselves, and against the live database.

use dbscale_cluster::call::Call;
use dbscale_cluster::read::{databases_path, operations_path};
use dbscale_core::catalog::{Catalog, Engine, Node, Pointer, STANZAS};
use dbscale_core::change::Change;
use dbscale_core::database::Database;
use dbscale_core::facts::{Case, Facts};
use dbscale_core::policy;
use dbscale_core::rules::judge;
use dbscale_e2e::policies::{Policies, Verdicts};
use dbscale_e2e::{World, databases};
use serde_json::{Value, json};

use crate::{cluster, create, responsive, until_held};

/// The rules that the policies hold of OpsRequests.
const SPEAKS: [&str; 12] = [
    "quantity/unreadable",
    "request/immutable",
    "stanza/missing",
    "stanza/ignored",
    "stanza/empty",
    "stanza/incomplete",
    "replicas/minimum",
    "resources/invalid",
    "resources/request-above-limit",
    "storage/minimum",
    "storage/no-shrink",
    "storage/not-greater",
];

/// Requests for the database `name`: (what, the object). Only the first database is asked for more than sizes.
fn requests(engine: &Engine, name: &str, first: bool) -> Vec<(String, Value)> {
    let frame = |ops_type: &str| {
        json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": engine.ops_kind(), "metadata": {"name": "ask"},
            "spec": {"type": ops_type, engine.reference.as_str(): {"name": name}}})
    };
    let mode = json!({"mode": "Online"});
    let mut cases: Vec<(String, Value)> = Vec::new();
    let mut add = |ops_type: &str, values: &[(&Pointer, Value)]| {
        let mut object = frame(ops_type);
        for (at, value) in values {
            if at.dotted().starts_with("spec.volumeExpansion.") {
                object["spec"]["volumeExpansion"]["mode"] = json!("Online");
            }
            at.of_item("one").set(&mut object, value.clone());
        }
        cases.push((format!("{ops_type} {values:?}"), object));
    };
    let spec = Pointer::default().field("spec");
    let stanzas = STANZAS.iter().filter(|s| first && engine.form().stanza(s).is_some());
    for stanza in stanzas {
        let empty = if stanza.mode_required { mode.clone() } else { json!({}) };
        add(stanza.ops_type, &[]);
        for other in STANZAS.iter().filter(|s| engine.form().stanza(s).is_some()) {
            add(other.ops_type, &[(&spec.field(stanza.field), empty.clone())]);
        }
    }
    for (at, node) in engine.form().leaves() {
        match node {
            Node::Amount(_) => {
                for size in ["50Gi", "10Gi", "10240Mi", "5Gi", "900M", "1e999999999"].iter().map(|s| json!(s)) {
                    add("VolumeExpansion", &[(&at, size)]);
                }
                add("VolumeExpansion", &[(&at, json!(10_737_418_240_i64))]);
            }
            Node::Count(_) if first => {
                for number in [0, -1, 5] {
                    add("HorizontalScaling", &[(&at, json!(number))]);
                }
                add("Restart", &[(&at, json!(0))]);
            }
            Node::Resources(_) if first => {
                for amounts in [
                    json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m"}}),
                    json!({"limits": {"cpu": "1", "memory": "4G"}, "requests": {"memory": "4Gi"}}),
                    json!({"limits": {"cpu": "0"}}),
                    json!({"requests": {"memory": "-4Gi"}}),
                    json!({"limits": {"example.com/gpu": "0"}}),
                    json!({"limits": {"memory": "1e999999999"}, "requests": {"memory": "1e999999999"}}),
                    json!({"requests": {}}),
                    json!({}),
                ] {
                    add("VerticalScaling", &[(&at, amounts)]);
                }
            }
            _ => {}
        }
    }
    cases
}

#[tokio::test]
async fn requests_without_the_webhook_are_judged_as_by_the_rules() {
    let world = World::new("policy-alone");
    let cluster = cluster().await;
    let mut there = Vec::new();
    for engine in Catalog::builtin().engines() {
        for (n, topology) in engine.topologies.iter().enumerate() {
            let mut object = databases::of_topology(engine, topology, &engine.versions[0], &world.namespace);
            object["metadata"] = json!({"name": format!("db-{n}")});
            let path = databases_path(engine, &engine.versions[0], Some(&world.namespace));
            there.push((engine, create(&cluster, &path, object).await));
        }
    }
    let mut objects: Vec<Value> = Catalog::builtin().engines().flat_map(policy::without_webhook).collect();
    objects.retain(|o| o["metadata"]["name"].as_str().unwrap().contains("-request"));
    let policies = Policies::install(&world, &objects);
    policies.hold_in(&world, "enforce");
    until_held(&cluster, &world).await;
    let mut verdicts = Verdicts::new(&SPEAKS);
    for (engine, database) in &there {
        let name = database["metadata"]["name"].as_str().unwrap();
        let path = operations_path(engine, Some(&world.namespace));
        for (case, object) in requests(engine, name, name == "db-0") {
            let call = Call::post(&path, &object).query("dryRun", Some("All"));
            let judged = cluster.call(&call).await;
            if judged.as_ref().is_err_and(|e| !e.message.contains("ValidatingAdmissionPolicy '")) {
                continue; // what the definition itself refuses never comes to a policy
            }
            let facts = Facts { database: Database::of(engine, database).into(), ..Facts::default() };
            let change = Change::of_request(engine, &object, facts.database.here());
            verdicts.compare(
                &format!("{} {name} {case}", engine.name),
                &judge(&Case { change: &change, facts: &facts }),
                &judged,
            );
        }
    }
    responsive(&cluster).await;
    verdicts.agree(1_000, 600);
    policies.until_checked(&world);
}

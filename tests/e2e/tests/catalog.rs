//! Every engine, topology, component and operation of the catalog: the API server takes the OpsRequest, strictly, and
//! gives it back as it was sent.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use dbscale_cluster::apply::{Created, Write};
use dbscale_cluster::connect::{Connect, connect};
use dbscale_cluster::read::operations_path;
use dbscale_core::catalog::{Catalog, Component, Engine};
use dbscale_core::database::Database;
use dbscale_core::facts::Facts;
use dbscale_core::plan::{Intent, Plan, Stamp, Step, StorageVia, plan};
use dbscale_e2e::{World, databases, playground};
use serde_json::Value;

fn intents(component: &Component) -> Vec<Intent> {
    let asks = |c: &Option<dbscale_core::catalog::Count>| c.as_ref().is_some_and(|c| c.ask.is_some());
    let mut intents = Vec::new();
    if asks(&component.replicas) {
        intents.push(Intent { replicas: Some(5), ..Intent::default() });
    }
    if asks(&component.shards) {
        intents.push(Intent { shards: Some(5), ..Intent::default() });
    }
    if component.resources.as_ref().is_some_and(|r| r.ask.is_some()) {
        let (cpu, memory) = ("2".parse().ok(), "4Gi".parse().ok());
        intents.push(Intent { cpu, memory, vertical_mode: Some("Restart".to_owned()), ..Intent::default() });
    }
    if component.storage.as_ref().is_some_and(|s| s.ask.is_some()) {
        intents.push(Intent { storage: "50Gi".parse().ok(), via: StorageVia::OpsRequest, ..Intent::default() });
    }
    intents
}

/// Whether everything that was sent came back; the server may add defaults.
fn holds(kept: &Value, sent: &Value) -> bool {
    match (kept, sent) {
        (Value::Object(kept), Value::Object(sent)) => {
            sent.iter().all(|(key, value)| kept.get(key).is_some_and(|k| holds(k, value)))
        }
        (Value::Array(kept), Value::Array(sent)) => {
            kept.len() == sent.len() && kept.iter().zip(sent).all(|(k, s)| holds(k, s))
        }
        _ => kept == sent,
    }
}

fn planned(engine: &'static Engine, object: &Value, intent: &Intent) -> Result<Plan, String> {
    let facts = Facts { database: Database::of(engine, object).into(), ..Facts::default() };
    let stamp = Stamp { unix_seconds: 1_763_937_600, request_id: "test".to_owned(), requested_by: None, name: None };
    plan(&facts, intent, &stamp).map_err(|e| format!("{e:?}"))
}

#[tokio::test]
async fn every_operation_of_the_catalog_is_taken_and_kept_whole() {
    let options = Connect { kubeconfig: Some(playground().join("kubeconfig")), ..Connect::default() };
    let cluster = connect(&options).await.unwrap();
    let write = Write { dry_run: true, field_manager: "test".to_owned() };
    // Of definitions, not of rules: the databases are not there.
    let world = World::unjudged("catalog");
    let (mut sent, mut wrong) = (0, Vec::new());
    for engine in Catalog::builtin().engines() {
        for topology in &engine.topologies {
            for version in &engine.versions {
                let object = databases::of_topology(engine, topology, version, &world.namespace);
                let database = Database::of(engine, &object);
                let place = format!("{} {} {version}", engine.name, topology.name);
                if database.topology.map(|t| &t.name) != Some(&topology.name) {
                    wrong.push(format!("{place}: read as {:?}", database.topology.map(|t| &t.name)));
                    continue;
                }
                for view in &database.components {
                    for mut intent in intents(view.component) {
                        intent.component = Some(view.name());
                        let place = format!("{place} {} {intent:?}", view.name());
                        let plan = match planned(engine, &object, &intent) {
                            Ok(plan) => plan,
                            Err(error) => {
                                wrong.push(format!("{place}: {error}"));
                                continue;
                            }
                        };
                        if plan.is_refused() {
                            wrong.push(format!("{place}: its own rules refuse it: {:?}", plan.findings));
                        }
                        let Some(Step::Request(step)) = plan.steps.first() else {
                            wrong.push(format!("{place}: no step"));
                            continue;
                        };
                        sent += 1;
                        let path = operations_path(engine, Some(&world.namespace));
                        match cluster.create(&path, &step.object, &write).await {
                            Ok(Created::Ours(kept)) => {
                                let ours = step.object["spec"].as_object().unwrap();
                                let lost = ours.iter().find(|(key, value)| !holds(&kept["spec"][key.as_str()], value));
                                wrong.extend(lost.map(|l| format!("{place}: sent {l:?}, kept {}", kept["spec"])));
                            }
                            Ok(Created::Taken) => wrong.push(format!("{place}: taken")),
                            Err(failure) => wrong.push(format!("{place}: {failure}")),
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {sent} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(sent > 250, "only {sent} operations were tried");
}

//! ScalingPolicies held by the API server itself: what the webhook's rules say of a corpus, and what the policies do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dbscale_cluster::call::{Call, Cluster};
use dbscale_cluster::read::{databases_path, operations_path};
use dbscale_core::catalog::{Catalog, Engine, Node, Pointer};
use dbscale_core::change::Change;
use dbscale_core::database::Database;
use dbscale_core::facts::{Case, Facts};
use dbscale_core::finding::Finding;
use dbscale_core::policy;
use dbscale_core::rules::judge;
use dbscale_core::scaling_policy::{Labels, PolicyFact, ScalingPolicy, labels_of};
use dbscale_e2e::policies::{Policies, Verdicts};
use dbscale_e2e::{World, databases};
use serde_json::{Value, json};

use crate::databases::with;
use crate::{cluster, create, places, responsive};

/// The rules that the policies hold.
const SPEAKS: [&str; 5] = ["policy/replicas", "policy/storage", "policy/cpu", "policy/memory", "policy/direct-edits"];

/// The labels `tier` of databases that are alike but for that: 10Gi, three members, 1 CPU, 1Gi.
const TIERS: [&str; 2] = ["gold", "silver"];

/// ScalingPolicies of this test alone. Dropping them takes them away.
struct Scaling {
    policies: Vec<Arc<ScalingPolicy>>,
    labels: Labels,
}

impl Scaling {
    /// Those with these specs; each is about the world's namespace, beside what else it says of namespaces.
    fn create(world: &World, specs: &[Value]) -> Self {
        let namespace = world.kubectl(&["get", "namespace", &world.namespace, "-o", "json"]).json();
        let of = |(n, spec): (usize, &Value)| {
            let mut spec = spec.clone();
            spec["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] = json!(world.namespace);
            let object = json!({"apiVersion": "dbscale.dev/v1alpha1", "kind": "ScalingPolicy",
                "metadata": {"name": format!("{}-{n}", world.namespace)}, "spec": spec});
            world.create(&object);
            Arc::new(ScalingPolicy::of(&object).unwrap())
        };
        Self { policies: specs.iter().enumerate().map(of).collect(), labels: labels_of(&namespace) }
    }

    /// What the rules know of them, as the webhook has it.
    fn facts(&self, engine: &Engine, database: &Database) -> Facts {
        let reaching = self.policies.iter().filter(|policy| policy.reaches(engine, &self.labels));
        let policies = reaching.map(|policy| PolicyFact { policy: Arc::clone(policy), running: None }).collect();
        Facts { database: database.clone().into(), policies, ..Facts::default() }
    }
}

impl Drop for Scaling {
    fn drop(&mut self) {
        for policy in &self.policies {
            let _ = World::command(&["delete", "scalingpolicy", &policy.name]).output();
        }
    }
}

/// A database of each engine's first `topologies`, two of the very first: their label `tier` differs.
async fn databases_in(cluster: &Cluster, world: &World, topologies: usize) -> Vec<(&'static Engine, Value)> {
    let mut there = Vec::new();
    for engine in Catalog::builtin().engines() {
        for (n, topology) in engine.topologies.iter().enumerate().take(topologies) {
            for tier in TIERS.iter().take(if n == 0 { 2 } else { 1 }) {
                let mut object = databases::of_topology(engine, topology, &engine.versions[0], &world.namespace);
                object["metadata"] = json!({"name": format!("db-{n}-{tier}"), "labels": {"tier": tier},
                    "annotations": {"testbed.dbscale.dev/no-pods": "true"}}); // they are only judged
                let path = databases_path(engine, &engine.versions[0], Some(&world.namespace));
                there.push((engine, create(cluster, &path, object).await));
            }
        }
    }
    there
}

/// Waits until what the ScalingPolicies refuse is refused.
async fn until_held(cluster: &Cluster, ask: impl Fn() -> Call) {
    let began = Instant::now();
    loop {
        match cluster.call(&ask()).await {
            Err(failure) if failure.message.contains("[policy/") => return,
            _ => assert!(began.elapsed() < Duration::from_secs(60), "the policies do not hold"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn request(engine: &Engine, database: &str, ops_type: &str, at: &Pointer, value: &Value) -> Value {
    let mut object = json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": engine.ops_kind(), "metadata": {"name": "ask"},
        "spec": {"type": ops_type, engine.reference.as_str(): {"name": database}}});
    if ops_type == "VolumeExpansion" {
        object["spec"]["volumeExpansion"]["mode"] = json!("Online");
    }
    at.of_item("one").set(&mut object, value.clone());
    object
}

/// Requests for a database: none comes nearer to a bound from outside of it, and none is for a smaller volume.
fn requests(engine: &Engine, database: &str) -> Vec<(String, Value)> {
    let mut cases = Vec::new();
    for (at, node) in engine.form().leaves() {
        let (ops_type, values) = match node {
            Node::Count(_) => ("HorizontalScaling", [1, 2, 4, 5, 6, 99].map(|n| json!(n)).to_vec()),
            Node::Amount(_) => {
                let texts = ["20Gi", "100Gi", "102400Mi", "101Gi", "1e11", "1.1e11", "1e999999999"];
                let mut values = texts.map(|size| json!(size)).to_vec();
                values.extend([json!(107_374_182_400_i64), json!(107_374_182_401_i64)]);
                ("VolumeExpansion", values)
            }
            Node::Resources(_) => {
                let both = |cpu: &str, memory: &str| databases::resources(cpu, memory);
                let values = vec![
                    both("2", "2Gi"),
                    both("4000m", "8192Mi"),
                    both("4001m", "2Gi"),
                    both("2", "8.1Gi"),
                    both("99m", "2Gi"),
                    both("2", "255Mi"),
                    json!({"requests": {"cpu": "50m"}, "limits": {"cpu": "2"}}),
                    json!({"requests": {"memory": "1Gi"}, "limits": {"memory": "9Gi"}}),
                    json!({"limits": {"cpu": 5}}),
                    json!({"limits": {"cpu": "1e999999999", "memory": "9Gi"}}),
                    json!({"limits": {"example.com/gpu": "99"}}),
                ];
                ("VerticalScaling", values)
            }
            _ => continue,
        };
        for value in values {
            cases.push((format!("{} := {value}", at.dotted()), request(engine, database, ops_type, &at, &value)));
        }
    }
    cases
}

#[tokio::test]
async fn requests_are_held_to_scaling_policies_as_by_the_rules() {
    let world = World::new("policy-spol-ask");
    let cluster = cluster().await;
    // What a request asks for is the same whatever the topology.
    let there = databases_in(&cluster, &world, 1).await;
    let objects: Vec<Value> = Catalog::builtin().engines().flat_map(policy::of_scaling).collect();
    let objects: Vec<Value> =
        objects.into_iter().filter(|o| o["metadata"]["name"].as_str().unwrap().contains("-request-")).collect();
    let policies = Policies::install(&world, &objects);
    policies.hold_in(&world, "enforce");
    world.must(&["label", "namespace", &world.namespace, "env=prod", "team=a"]);
    let is = |key: &str, operator: &str, values: &[&str]| match values {
        [] => json!({"key": key, "operator": operator}),
        _ => json!({"key": key, "operator": operator, "values": values}),
    };
    let expressions = |all: &[Value]| json!({"matchExpressions": all});
    let scaling = Scaling::create(
        &world,
        &[
            json!({"replicas": {"min": 2, "max": 5}, "namespaceSelector": expressions(&[is("env", "In", &["dev", "prod"]), is("gone", "DoesNotExist", &[])])}),
            json!({"storage": {"min": "1Gi", "max": "100Gi"}, "namespaceSelector": expressions(&[is("team", "NotIn", &["b"]), is("gone", "NotIn", &["b"]), is("env", "Exists", &[])])}),
            json!({"cpu": {"min": "100m", "max": 4}, "memory": {"min": "256Mi", "max": "8Gi"}}),
            json!({"replicas": {"max": 4}, "engines": ["mongodb", "kafka"]}),
            // Those that are not about any of it.
            json!({"replicas": {"max": 1}, "namespaceSelector": expressions(&[is("env", "NotIn", &["prod"])])}),
            json!({"replicas": {"max": 1}, "namespaceSelector": expressions(&[is("team", "DoesNotExist", &[])])}),
            json!({"replicas": {"max": 1}, "namespaceSelector": expressions(&[is("gone", "In", &["a"])])}),
            json!({"replicas": {"max": 1}, "namespaceSelector": {"matchLabels": {"team": "b"}}}),
            json!({"operations": {"perNamespace": 0}}),
        ],
    );
    let mongodb = Catalog::builtin().find("mongodb").unwrap();
    let at: Pointer = "/spec/horizontalScaling/replicas".parse().unwrap();
    let many = request(mongodb, "db-0-gold", "HorizontalScaling", &at, &json!(99));
    let path = operations_path(mongodb, Some(&world.namespace));
    until_held(&cluster, || Call::post(&path, &many).query("dryRun", Some("All"))).await;
    let mut verdicts = Verdicts::new(&SPEAKS);
    for (engine, database) in there.iter().filter(|(_, database)| database["metadata"]["labels"]["tier"] == "gold") {
        let name = database["metadata"]["name"].as_str().unwrap();
        let path = operations_path(engine, Some(&world.namespace));
        for (case, object) in requests(engine, name) {
            let judged = cluster.call(&Call::post(&path, &object).query("dryRun", Some("All"))).await;
            if judged.as_ref().is_err_and(|e| !e.message.contains("ValidatingAdmissionPolicy '")) {
                continue; // what the definition itself refuses never comes to a policy
            }
            let database = Database::of(engine, database);
            let change = Change::of_request(engine, &object, Some(&database));
            let facts = scaling.facts(engine, &database);
            verdicts.compare(
                &format!("{} {name} {case}", engine.name),
                &judge(&Case { change: &change, facts: &facts }),
                &judged,
            );
        }
    }
    responsive(&cluster).await;
    verdicts.agree(1_000, 400);
    policies.until_checked(&world);
}

/// Updates of a database: (what, the new object).
fn updates(engine: &Engine, old: &Value, first: bool) -> Vec<(String, Value)> {
    let (sizes, counts) = places(engine, old);
    let mut cases = Vec::new();
    for at in counts {
        for number in [1, 2, 3, 4, 5, 6, 99] {
            cases.push((format!("{} := {number}", at.dotted()), with(old, &at, &json!(number))));
        }
    }
    for at in sizes {
        for size in ["4Gi", "10240Mi", "20Gi", "60Gi", "61Gi", "101Gi", "1e11", "1e999999999"] {
            cases.push((format!("{} := {size}", at.dotted()), with(old, &at, &json!(size))));
        }
    }
    // Who takes the label away in the same update is held to the policy all the same.
    for (case, mut new) in if first { cases.clone() } else { Vec::new() } {
        new["metadata"]["labels"]["tier"] = json!("bronze");
        cases.push((format!("{case}, another tier"), new));
    }
    cases
}

async fn update(cluster: &Cluster, path: &str, new: &Value) -> Result<Value, dbscale_cluster::ApiFailure> {
    let steps = json!([{"op": "add", "path": "/spec", "value": new["spec"]},
        {"op": "add", "path": "/metadata/labels", "value": new["metadata"]["labels"]}]);
    let body = steps.to_string().into_bytes();
    cluster.call(&Call::patch(path, "application/json-patch+json", body).query("dryRun", Some("All"))).await
}

/// What the rules say. Of edits of resources, which these policies do not look at, there are none here.
fn expected(engine: &'static Engine, scaling: &Scaling, old: &Value, new: &Value) -> Vec<Finding> {
    let old = Database::of(engine, old);
    let change = Change::of_update(&old, Database::of(engine, new));
    judge(&Case { change: &change, facts: &scaling.facts(engine, &old) })
}

#[tokio::test]
async fn databases_are_held_to_scaling_policies_as_by_the_rules() {
    let cluster = cluster().await;
    let worlds = [World::new("policy-spol-edit"), World::new("policy-spol-deny")];
    let objects: Vec<Value> = Catalog::builtin().engines().flat_map(policy::of_scaling).collect();
    let objects: Vec<Value> =
        objects.into_iter().filter(|o| o["metadata"]["name"].as_str().unwrap().contains("-database-")).collect();
    let mut all = Vec::new();
    for (world, topologies) in worlds.iter().zip([usize::MAX, 1]) {
        all.push(databases_in(&cluster, world, topologies).await);
    }
    let policies = Policies::install(&worlds[0], &objects);
    for world in &worlds {
        policies.hold_in(world, "enforce");
    }
    let specs = [
        vec![
            json!({"replicas": {"min": 2, "max": 5, "maxStep": 2}, "selector": {"matchLabels": {"tier": "gold"}}}),
            json!({"storage": {"min": "5Gi", "max": "100Gi", "maxStep": "50Gi"}}),
            json!({"replicas": {"max": 4}, "selector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["bronze"]}]}}),
        ],
        vec![
            json!({"directEdits": "deny", "selector": {"matchLabels": {"tier": "gold"}}}),
            json!({"directEdits": "warn", "replicas": {"max": 98}}),
        ],
    ];
    let mut verdicts = Verdicts::new(&SPEAKS);
    let scalings: Vec<Scaling> =
        worlds.iter().zip(&specs).map(|(world, specs)| Scaling::create(world, specs)).collect();
    for ((world, scaling), there) in worlds.iter().zip(&scalings).zip(&all) {
        let path_of = |engine: &Engine, name: &str| {
            format!("{}/{name}", databases_path(engine, &engine.versions[0], Some(&world.namespace)))
        };
        let mongodb = Catalog::builtin().find("mongodb").unwrap();
        let body = json!({"spec": {"replicas": 99}}).to_string();
        let path = path_of(mongodb, "db-0-gold");
        until_held(&cluster, || {
            Call::patch(path.as_str(), "application/merge-patch+json", body.clone().into_bytes())
                .query("dryRun", Some("All"))
        })
        .await;
        for (engine, old) in there {
            let name = old["metadata"]["name"].as_str().unwrap();
            let path = path_of(engine, name);
            for (case, new) in updates(engine, old, name.starts_with("db-0")) {
                // All components of another topology are new to the rules.
                if engine.topology_of(&new).map(|t| &t.name) != engine.topology_of(old).map(|t| &t.name) {
                    continue;
                }
                let judged = update(&cluster, &path, &new).await;
                if judged.as_ref().is_err_and(|e| !e.message.contains("ValidatingAdmissionPolicy '")) {
                    continue; // what the definition itself refuses never comes to a policy
                }
                let rules = expected(engine, scaling, old, &new);
                verdicts.compare(&format!("{} {name} {case}", engine.name), &rules, &judged);
            }
        }
    }
    responsive(&cluster).await;
    verdicts.agree(2_000, 600);
    policies.until_checked(&worlds[0]);
}

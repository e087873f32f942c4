//! Quotas and limit ranges against the real admission: what dbscale says of a member that comes, or comes anew, and what the
//! API server says when that pod is created, for a try.

use std::time::Instant;

use dbscale_cluster::{Call, Cluster};
use dbscale_core::catalog::Catalog;
use dbscale_core::database::Database;
use dbscale_core::facts::Facts;
use dbscale_core::finding::Finding;
use dbscale_core::plan::{Intent, Stamp, Step, plan};
use dbscale_core::preflight::{Choice, Needs, judge};
use dbscale_e2e::World;
use serde_json::{Value, json};

use super::{PATIENCE, Random, cases, cluster, make, seed, unmake, until};

/// A replica set of one that stands nowhere but here.
fn database(namespace: &str, resources: &Value) -> Value {
    json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db", "namespace": namespace},
        "spec": {"version": "4.4.26", "replicaSet": {"name": "rs"}, "replicas": 1,
            "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources}]}}}})
}

fn side(random: &mut Random) -> Value {
    json!({"cpu": random.pick(&["250m", "500m", "1"]), "memory": random.pick(&["256Mi", "512Mi", "1Gi"])})
}

/// A member, sometimes with a container that says less. Its owner is there, or the garbage collector would take it away.
fn member(random: &mut Random, owner: &Value) -> Value {
    let amounts = side(random);
    let mut containers =
        vec![json!({"name": "mongodb", "image": "i", "resources": {"requests": amounts, "limits": amounts}})];
    if random.percent(40) {
        let mut resources = json!({});
        if random.percent(50) {
            resources["requests"] = side(random);
        }
        if random.percent(50) {
            resources["limits"] = json!({"cpu": "2", "memory": "2Gi"});
        }
        containers.push(json!({"name": "exporter", "image": "i", "resources": resources}));
    }
    let mut spec = json!({"containers": containers, "schedulerName": "nobody"});
    if random.percent(20) {
        spec["initContainers"] = json!([{"name": "init", "image": "i", "resources": {"requests": {"memory": "1500Mi"}, "limits": {"memory": "1500Mi"}}}]);
    }
    json!({"metadata": {"name": "db-0", "labels": {"app.kubernetes.io/instance": "db"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "db", "uid": owner["metadata"]["uid"], "controller": true}]},
        "spec": spec})
}

fn quota(random: &mut Random) -> Value {
    let mut hard = json!({});
    for _ in 0..=random.below(3) {
        let (name, amounts): (&str, &[&str]) = match random.below(8) {
            0 => ("pods", &["1", "2", "3"]),
            1 => ("count/pods", &["1", "2", "3"]),
            2 => ("requests.cpu", &["500m", "1", "2", "3"]),
            3 => ("cpu", &["1", "2"]),
            4 => ("limits.cpu", &["1", "2", "6"]),
            5 => ("limits.memory", &["1Gi", "3Gi", "6Gi"]),
            6 => ("memory", &["1Gi", "2Gi", "4Gi"]),
            _ => ("requests.memory", &["512Mi", "1Gi", "2Gi", "4Gi"]),
        };
        hard[name] = json!(random.pick(amounts));
    }
    let mut spec = json!({"hard": hard});
    if random.percent(25) {
        spec["scopes"] = json!([random.pick(&["NotTerminating", "Terminating", "NotBestEffort"])]);
    }
    json!({"metadata": {"name": "q"}, "spec": spec})
}

fn limit_range(random: &mut Random) -> Value {
    let kind = random.pick(&["Container", "Pod"]);
    let mut limit = json!({"type": kind});
    if random.percent(60) {
        limit["max"] = json!({"memory": random.pick(&["512Mi", "1Gi", "2Gi", "4Gi"])});
    }
    if random.percent(40) {
        limit["min"] = json!({random.pick(&["cpu", "memory"]): random.pick(&["100m", "300m"])});
    }
    if random.percent(25) {
        limit["maxLimitRequestRatio"] = json!({"cpu": random.pick(&["1", "2500m", "4"])});
    }
    if kind == "Container" && random.percent(40) {
        limit["default"] = json!({"cpu": "1", "memory": "512Mi"});
        limit["defaultRequest"] = json!({"cpu": "500m", "memory": "256Mi"});
    }
    json!({"metadata": {"name": "r"}, "spec": {"limits": [limit]}})
}

/// What the checks say, and the pod that comes.
async fn foretold(cluster: &Cluster, namespace: &str, object: &Value, intent: &Intent) -> Vec<Finding> {
    let needs = Needs { pods: true, bounds: true, ..Needs::default() };
    let (around, lacking) = cluster.around(Some(namespace), &[], needs).await;
    assert_eq!(lacking.sentence(), None);
    let engine = Catalog::builtin().find("mongodb").unwrap();
    let facts = Facts { database: Database::of(engine, object).into(), ..Facts::default() };
    let stamp = Stamp { unix_seconds: 1, request_id: String::new(), requested_by: None, name: None };
    let plan = plan(&facts, intent, &stamp).unwrap();
    let changes: Vec<_> = plan.steps.iter().map(Step::change).collect();
    judge(&facts, object, &changes, &around, &Choice::default())
}

fn refusals(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|f| f.refuses()).map(ToString::to_string).collect()
}

/// Waits until the API server has what was made in memory, and the quota's controller has counted. A quota that is not about pods
/// counts none.
async fn until_known(cluster: &Cluster, of: &str, kind: &str) {
    let list = Call::get(format!("{of}/{kind}")).query("resourceVersion", Some("0"));
    until(kind, async || {
        let list = cluster.call(&list).await.unwrap();
        let one = list["items"].get(0)?;
        let hard = one["spec"]["hard"].as_object().into_iter().flatten();
        hard.map(|(name, _)| name).all(|name| one["status"]["used"].get(name).is_some()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_member_is_let_in_by_quotas_and_limit_ranges_where_dbscale_says_so_and_only_there() {
    let cluster = cluster().await;
    let (mut let_in, mut wrong) = (0, Vec::new());
    for seed in seed()..seed() + cases() {
        let mut random = Random::of(seed);
        let world = World::unjudged("bounds");
        let of = format!("/api/v1/namespaces/{}", world.namespace);
        let (namespace, pods) = (world.namespace.as_str(), format!("{of}/pods"));
        let owner = make(&cluster, &format!("{of}/configmaps"), &json!({"metadata": {"name": "db"}})).await;
        let before = make(&cluster, &pods, &member(&mut random, &owner)).await;
        let restarts = random.percent(50);
        let mut comes = json!({"metadata": before["metadata"].clone(), "spec": before["spec"].clone()});
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "annotations"] {
            comes["metadata"].as_object_mut().unwrap().remove(field);
        }
        let object = database(namespace, &before["spec"]["containers"][0]["resources"]);
        let intent = if restarts {
            let present = before["spec"]["containers"][0]["resources"]["requests"].clone();
            let mut amounts = side(&mut random);
            while amounts == present {
                amounts = side(&mut random);
            }
            comes["spec"]["containers"][0]["resources"] = json!({"requests": amounts, "limits": amounts});
            let read = |name: &str| Some(amounts[name].as_str().unwrap().parse().unwrap());
            Intent { cpu: read("cpu"), memory: read("memory"), ..Intent::default() }
        } else {
            comes["metadata"]["name"] = json!("db-1");
            Intent { replicas: Some(2), ..Intent::default() }
        };
        let (quota, range) = (quota(&mut random), limit_range(&mut random));
        if random.percent(70) {
            make(&cluster, &format!("{of}/limitranges"), &range).await;
            until_known(&cluster, &of, "limitranges").await;
        }
        // Sometimes no quota, so that what the limit range says is not hidden behind it.
        let counted = random.percent(70);
        if counted {
            make(&cluster, &format!("{of}/resourcequotas"), &quota).await;
            until_known(&cluster, &of, "resourcequotas").await;
        }
        until_known(&cluster, &of, "pods").await;
        let said = refusals(&foretold(&cluster, namespace, &object, &intent).await);
        if restarts {
            unmake(&cluster, &format!("{pods}/db-0")).await;
        }
        // The admission sees quotas, and what was given back, some moments later.
        let began = Instant::now();
        let tried = loop {
            let tried = cluster.call(&Call::post(&pods, &comes).query("dryRun", Some("All"))).await;
            let early = |failure: &dbscale_cluster::ApiFailure| failure.message.contains("status unknown for quota");
            let agrees = tried.is_ok() == said.is_empty() && !tried.as_ref().err().is_some_and(early);
            if agrees || began.elapsed() > PATIENCE / 4 {
                break tried;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        };
        let_in += usize::from(tried.is_ok());
        if tried.is_ok() != said.is_empty() {
            let answer = tried.err().map_or_else(|| "it is let in".to_owned(), |failure| failure.message);
            wrong.push(format!(
                "seed {seed}: dbscale says {said:?}, the API server {answer}; counted {counted}, {quota} {range} {}",
                comes["spec"]["containers"]
            ));
        }
    }
    let all = usize::try_from(cases()).unwrap();
    println!("{all} cases from seed {}: {let_in} let in", seed());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(let_in * 5 > all && let_in * 5 < all * 4, "{let_in} of {all} let in: cases that all end alike show little");
}

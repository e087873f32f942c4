//! Every rule through every door, wrong and right, under what is installed by default: `table.yaml` says which, and who speaks.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

mod doors;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use dbscale_core::rules;
use dbscale_e2e::databases::{self, mongodb, storage};
use dbscale_e2e::{World, has_kubedbs_definitions};
use serde_json::{Value, json};

use crate::doors::{Case, DOORS, Doors};

/// How many rules are tried at the same time.
const AT_ONCE: usize = 4;

fn table() -> Vec<Value> {
    serde_saphyr::from_str(include_str!("table.yaml")).unwrap()
}

/// A database without pods: nothing runs behind what is only judged.
fn without_pods(mut object: Value) -> Value {
    object["metadata"]["annotations"]["testbed.dbscale.dev/no-pods"] = json!("true");
    object
}

/// The databases that the table speaks of, by name.
fn objects() -> BTreeMap<&'static str, Value> {
    let mut redis = databases::redis_sentinel();
    redis["spec"]["mode"] = json!("Standalone");
    redis["spec"]["replicas"] = json!(1);
    redis["spec"].as_object_mut().unwrap().remove("sentinelRef");
    let mut cluster = databases::redis_cluster();
    cluster["spec"]["cluster"]["replicas"] = json!(3);
    let of = |kind: &str| {
        let engine = dbscale_core::catalog::Catalog::builtin().of_kind(kind).unwrap();
        let mut object = databases::of_topology(engine, &engine.topologies[0], &engine.versions[0], "");
        object["spec"]["version"] = json!("1");
        object
    };
    let with = |at: &str, value: Value| {
        let mut object = mongodb();
        at.parse::<dbscale_core::catalog::Pointer>().unwrap().set(&mut object, value);
        object
    };
    let mut ephemeral = with("/spec/storageType", json!("Ephemeral"));
    ephemeral["spec"]["storage"].take();
    let mut rigid = mongodb();
    rigid["spec"]["storage"]["storageClassName"] = json!("rigid");
    let annotated = |key: &str, value: &str| {
        let mut object = mongodb();
        object["metadata"]["annotations"] = json!({key: value});
        object
    };
    let objects = [
        ("set", mongodb()),
        ("idle", annotated("testbed.dbscale.dev/never-start", "true")),
        ("busy", annotated("testbed.dbscale.dev/never-start", "true")),
        ("critical", annotated("testbed.dbscale.dev/phase", "Critical")),
        ("tracked", annotated("argocd.argoproj.io/tracking-id", "shop:kubedb.com/MongoDB:demo/tracked")),
        ("sharded", databases::mongodb_sharded()),
        ("ephemeral", ephemeral),
        ("rigid", rigid),
        ("tiny", with("/spec/storage", storage("500M"))),
        ("mysql", databases::mysql()),
        ("pg", databases::postgres()),
        ("kafka", databases::kafka()),
        ("redis", redis),
        ("cluster", cluster),
        ("sentinel", databases::redis_sentinel()),
        ("zk", of("ZooKeeper")),
        ("oracle", of("Oracle")),
    ];
    objects.into_iter().map(|(name, object)| (name, without_pods(object))).collect()
}

/// Databases, in the phase that their rows want; one with an operation that never begins, one with pods and a drift.
fn prepare(world: &World) {
    for (name, mut object) in objects() {
        object["metadata"]["name"] = json!(name);
        object["metadata"].as_object_mut().unwrap().remove("namespace");
        world.create(&object);
    }
    let mut drifted = mongodb();
    drifted["metadata"]["name"] = json!("drifted");
    world.create(&drifted);
    for (name, object) in objects() {
        let target = format!("{}/{name}", object["kind"].as_str().unwrap().to_lowercase());
        let phase = if name == "critical" { "Critical" } else { "Ready" };
        world.until(&target, ".status.phase", phase);
    }
    world.until("mongodb/drifted", ".status.phase", "Ready");
    let grown = world.dbscale(&["storage", "mongodb/drifted", "--to", "30Gi"]);
    assert_eq!(grown.code, 0, "{}", grown.stderr);
    world.create(
        &json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": {"name": "first"},
        "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "busy"}, "horizontalScaling": {"replicas": 5}}}),
    );
}

#[test]
fn each_rule_has_its_row_and_each_row_says_something_of_each_door() {
    let table = table();
    let named: Vec<&str> = table.iter().map(|row| row["rule"].as_str().unwrap()).collect();
    // The checks of the surroundings have one door, and tests of their own (preflight).
    let here = rules::all().map(|rule| rule.id.0).filter(|id| !id.starts_with("preflight/"));
    assert_eq!(named, here.collect::<Vec<_>>());
    for row in &table {
        for door in DOORS {
            let (tried, silent) = (row.get(door), row["silent"][door].as_str());
            assert!(tried.is_some() != silent.is_some_and(|why| !why.is_empty()), "{} {door}", row["rule"]);
        }
        let doors = DOORS.len() + usize::from(row.get("silent").is_some()) + 1;
        let silent = row["silent"].as_object().map_or(0, serde_json::Map::len);
        assert_eq!(row.as_object().unwrap().len() + silent, doors, "{}: a key that is no door", row["rule"]);
    }
}

#[test]
fn every_rule_is_told_through_every_door_and_what_is_right_is_let_in() {
    let world = World::new("rules");
    prepare(&world);
    let doors = Doors::new(&world, objects());
    let table = table();
    let mut cases: Vec<Case> = table.iter().flat_map(Case::of).collect();
    if !has_kubedbs_definitions() {
        println!("skipped: KUBEDB_DATA is not set, so what KubeDB's definitions refuse is not tried");
        cases.retain(|case| !case.is_the_schemas());
    }
    assert!(cases.len() > 130, "{} cases", cases.len());
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    wrong.lock().unwrap().extend(doors.wrong_with(case));
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

/// The one rule about an edit that needs more than a database.
#[test]
fn a_growth_beside_an_operation_is_refused() {
    let world = World::new("beside");
    let mut object = without_pods(mongodb());
    object["metadata"]["annotations"]["testbed.dbscale.dev/never-start"] = json!("true");
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    let patch = |size: &str| {
        let patch = json!({"spec": {"storage": {"resources": {"requests": {"storage": size}}}}}).to_string();
        world.kubectl(&["patch", "-n", &world.namespace, "mongodb/db", "--type=merge", "-p", &patch])
    };
    assert_eq!(patch("30Gi").code, 0);
    world.create(
        &json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": {"name": "first"},
        "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "db"}, "horizontalScaling": {"replicas": 5}}}),
    );
    let refused = patch("40Gi");
    assert!(refused.code == 1 && refused.stderr.contains("[operation/active]"), "{}", refused.stderr);
}

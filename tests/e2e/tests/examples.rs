//! Every manifest of KubeDB's own documents, in the folder that `KUBEDB_DATA` names, created under what is installed by default:
//! databases first, then the OpsRequests for each, one at a time, and deleted again.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use dbscale_cluster::connect::{Connect, connect};
use dbscale_cluster::read::{databases_path, operations_path};
use dbscale_cluster::{ApiFailure, Call, Cluster, Kind};
use dbscale_core::catalog::{Catalog, Engine};
use dbscale_e2e::{World, databases, playground};
use serde_json::{Value, json};

/// What KubeDB refuses itself: (folder, object, rules).
const EXCEPTIONS: [(&str, &str, &str); 1] = [
    // Replicas 1 of a Redis Cluster, of which KubeDB wants 2 or more; and more shards with fewer replicas in one request.
    (
        "examples__redis__scaling__horizontal-scaling",
        "redisops-horizontal",
        "replicas/engine-bounds, replicas/transition",
    ),
];

fn objects(folder: &Path) -> Vec<Value> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let read =
        |file: &PathBuf| -> Vec<Value> { serde_saphyr::from_multiple(&fs::read_to_string(file).unwrap()).unwrap() };
    let mut objects: Vec<Value> = files.iter().flat_map(read).filter(Value::is_object).collect();
    for object in &mut objects {
        object["metadata"].as_object_mut().unwrap().remove("namespace");
    }
    objects
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// Where the objects of one folder are created.
struct Place<'c> {
    cluster: &'c Cluster,
    world: World,
}

impl Place<'_> {
    /// Creates a database in which nothing happens; its path.
    async fn database(&self, engine: &Engine, object: &Value) -> Result<String, ApiFailure> {
        let mut object = object.clone();
        for fault in ["no-pods", "never-start"] {
            object["metadata"]["annotations"][format!("testbed.dbscale.dev/{fault}")] = json!("true");
        }
        let version = object["apiVersion"].as_str().unwrap().rsplit('/').next().unwrap();
        let path = databases_path(engine, version, Some(&self.world.namespace));
        self.cluster.call(&Call::post(&path, &object)).await?;
        Ok(format!("{path}/{}", name(&object)))
    }

    /// Creates an OpsRequest beside its database, and deletes both again.
    async fn ask(&self, engine: &Engine, database: &Value, ask: &Value) -> Result<(), ApiFailure> {
        let database = self.database(engine, database).await?;
        let path = operations_path(engine, Some(&self.world.namespace));
        let answer = self.cluster.call(&Call::post(&path, ask)).await;
        if answer.is_ok() {
            self.delete(&format!("{path}/{}", name(ask))).await;
        }
        self.delete(&database).await;
        answer.map(drop)
    }

    async fn delete(&self, path: &str) {
        self.cluster.call(&Call::delete(path, &json!({}))).await.unwrap();
        let began = Instant::now();
        while !self.cluster.call(&Call::get(path)).await.is_err_and(|e| e.kind == Kind::NotFound) {
            assert!(began.elapsed() < Duration::from_secs(60), "{path} does not go");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Small databases of every topology, for a request whose database its folder does not show.
fn candidates(engine: &'static Engine, name: &Value) -> Vec<Value> {
    let make = |topology| {
        let version = &engine.versions[0];
        let mut object = databases::of_topology(engine, topology, version, "");
        object["metadata"] = json!({"name": name});
        object["spec"]["version"] = json!("1");
        // Milvus does not go without; others drop it.
        object["spec"]["objectStorage"] = json!({"configSecret": {"name": "x"}});
        serde_json::from_str(&object.to_string().replace("10Gi", "1Gi")).unwrap()
    };
    engine.topologies.iter().map(make).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kubedb_shows_as_right_is_let_in() {
    let Some(data) = env::var_os("KUBEDB_DATA").filter(|v| !v.is_empty()).map(PathBuf::from) else {
        assert!(env::var_os("DBSCALE_REQUIRE_KUBEDB_DATA").is_none(), "KUBEDB_DATA is not set");
        println!("skipped: KUBEDB_DATA is not set, so KubeDB's examples are not created");
        return;
    };
    let options = Connect { kubeconfig: Some(playground().join("kubeconfig")), ..Connect::default() };
    let cluster = connect(&options).await.unwrap();
    let mut folders: Vec<PathBuf> = fs::read_dir(data.join("examples")).unwrap().map(|e| e.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    let catalog = Catalog::builtin();
    let (mut created, mut refused) = (0, BTreeSet::new());
    for path in &folders {
        let place = Place { cluster: &cluster, world: World::new("examples") };
        let title = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut told = |object: &Value, failure: &ApiFailure| {
            let rules = failure.rules().join(", ");
            let why = if rules.is_empty() { failure.to_string() } else { rules };
            refused.insert((title.clone(), name(object).to_owned(), why));
        };
        let objects = objects(path);
        let kind = |object: &Value| object["kind"].as_str().unwrap_or_default().to_owned();
        let is_database = |object: &&Value| object["apiVersion"].as_str().is_some_and(|v| v.starts_with("kubedb.com/"));
        let databases: Vec<(&Engine, &Value)> =
            objects.iter().filter(is_database).filter_map(|o| Some((catalog.of_kind(&kind(o))?, o))).collect();
        for (engine, database) in &databases {
            created += 1;
            match place.database(engine, database).await {
                Ok(path) => place.delete(&path).await,
                Err(failure) => told(database, &failure),
            }
        }
        for (engine, ask) in objects.iter().filter_map(|o| Some((catalog.of_ops_kind(&kind(o))?, o))) {
            created += 1;
            let named = &ask["spec"][&engine.reference]["name"];
            let shown = databases.iter().filter(|(of, d)| of.name == engine.name && d["metadata"]["name"] == *named);
            let mut meant: Vec<Value> = shown.map(|(_, database)| (*database).clone()).collect();
            if meant.is_empty() {
                meant = candidates(engine, named);
            }
            let mut last = None;
            for database in meant {
                last = place.ask(engine, &database, ask).await.err();
                if last.is_none() {
                    break;
                }
            }
            if let Some(failure) = last {
                told(ask, &failure);
            }
        }
    }
    let expected = EXCEPTIONS.map(|(folder, object, rules)| (folder.to_owned(), object.to_owned(), rules.to_owned()));
    assert_eq!(refused, BTreeSet::from(expected));
    assert!(created >= 120, "only {created} were created");
}

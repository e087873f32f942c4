//! `bench preflight`: what the checks of the surroundings add to one change, among many nodes and pods.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dbscale_core::catalog::Catalog;
use dbscale_core::database::Database;
use dbscale_core::facts::Facts;
use dbscale_core::plan::{Intent, Stamp, Step, plan};
use dbscale_core::preflight::object::{Node, Pod};
use dbscale_core::preflight::{Around, Choice, Reach, judge};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::bench::{self, Bench, ROUNDS, median};

/// Nodes.
const NODES: usize = 1_000;
/// Pods, ten a node.
const PODS: usize = 10_000;
/// Those of the database.
const MEMBERS: usize = 3;
/// Where the pods are, but for the database's own: a list of one namespace looks at each pod of it.
const NAMESPACES: usize = 100;
/// How much of the machine is idle once the control plane has done what so many new nodes and pods ask of it.
const IDLE: f64 = 0.85;
/// For so many seconds on end, out of so many at most.
const QUIET_S: usize = 5;
const SETTLES_WITHIN_S: usize = 300;
/// How many are made at a time.
const HANDS: usize = 32;

/// Measures and prints a table in Markdown.
pub fn run() -> Result<()> {
    bench::with_playground(|bench| tokio::runtime::Runtime::new()?.block_on(measure(bench)))
}

async fn measure(bench: &Bench) -> Result<()> {
    let file = Kubeconfig::read_from(bench.dir.join("kubeconfig"))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    bench.databases("one", 1)?;
    let fixed = |path: &'static str| move |_| path.to_owned();
    fill(&client, NODES, &fixed("/api/v1/nodes"), &node).await?;
    fill(&client, NAMESPACES, &fixed("/api/v1/namespaces"), &|index| json!({"metadata": {"name": namespace(index)}}))
        .await?;
    let home = |index| if index < MEMBERS { "default".to_owned() } else { namespace(index % NAMESPACES) };
    fill(&client, PODS, &|index| format!("/api/v1/namespaces/{}/pods", home(index)), &pod).await?;
    settled().await?;
    let plugin = bench.plugin.display().to_string();
    let command = [plugin.as_str(), "vertical", "mongodb/one-0", "--memory", "4Gi", "--dry-run=client"];
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        with.push(bench.measured(&command)?);
        without.push(bench.measured(&[&command[..], &["--preflight", "off"]].concat())?);
    }
    let (with, without) = (median(&with), median(&without));
    let (read, judged) = parts(&client).await?;
    println!("| {NODES} nodes, {PODS} pods | |\n|---|---|");
    println!("| one vertical scaling without the checks | {:.1} ms, {:.1} MiB |", without.ms, without.mib);
    println!("| with them | {:.1} ms, {:.1} MiB |", with.ms, with.mib);
    println!("| they add | {:.1} ms |", with.ms - without.ms);
    println!("| of that: to read the answers, once they are here | {read:.1} ms |");
    println!("| and to judge | {judged:.1} ms |");
    Ok(())
}

/// How long it takes to make values of the lists of nodes and pods, and to judge with them: medians, in milliseconds.
async fn parts(client: &Client) -> Result<(f64, f64)> {
    #[derive(Deserialize)]
    struct List<T> {
        items: Vec<T>,
    }
    let text =
        async |path: &str| client.request_text(http::Request::get(path).body(Vec::new())?).await.context("no list");
    let (nodes, pods) = (text("/api/v1/nodes").await?, text("/api/v1/pods").await?);
    let engine = Catalog::builtin().find("mongodb").context("no such engine")?;
    let object: Value = serde_json::from_str(&text("/apis/kubedb.com/v1/namespaces/default/mongodbs/one-0").await?)?;
    let facts = Facts { database: Database::of(engine, &object).into(), ..Facts::default() };
    let stamp = Stamp { unix_seconds: 1, request_id: String::new(), requested_by: None, name: None };
    let intent = Intent { memory: "4Gi".parse().ok(), ..Intent::default() };
    let plan = plan(&facts, &intent, &stamp).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let changes: Vec<_> = plan.steps.iter().map(Step::change).collect();
    let (mut reads, mut judges) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let nodes: List<Node> = serde_json::from_str(&nodes)?;
        let pods: List<Pod> = serde_json::from_str(&pods)?;
        reads.push(began.elapsed().as_secs_f64() * 1000.0);
        let around =
            Around { nodes: Some(nodes.items), pods: Some(pods.items), reach: Reach::Cluster, ..Around::default() };
        let began = Instant::now();
        let found = judge(&facts, &object, &changes, &around, &Choice::default());
        judges.push(began.elapsed().as_secs_f64() * 1000.0);
        anyhow::ensure!(found.is_empty(), "{found:?}");
    }
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Ok((middle(reads), middle(judges)))
}

fn namespace(index: usize) -> String {
    format!("team-{index}")
}

/// Waits until the machine has little to do.
async fn settled() -> Result<()> {
    let mut quiet = 0;
    for _ in 0..SETTLES_WITHIN_S {
        let before = jiffies()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = jiffies()?;
        let (idle, all) = (after.0 - before.0, after.1 - before.1);
        quiet = if idle >= IDLE * all { quiet + 1 } else { 0 };
        if quiet == QUIET_S {
            return Ok(());
        }
    }
    bail!("the machine has not come to rest within {SETTLES_WITHIN_S} s: end what else runs on it")
}

/// What all processors have had: idle, and in all.
fn jiffies() -> Result<(f64, f64)> {
    let text = std::fs::read_to_string("/proc/stat").context("this machine does not tell how busy it is")?;
    let first = text.lines().next().unwrap_or_default();
    let counts: Vec<f64> = first.split_whitespace().skip(1).filter_map(|count| count.parse().ok()).collect();
    Ok((counts.get(3).copied().context("/proc/stat has no idle time")?, counts.iter().sum()))
}

async fn fill(
    client: &Client,
    count: usize,
    path: &dyn Fn(usize) -> String,
    object: &dyn Fn(usize) -> Value,
) -> Result<()> {
    stream::iter((0..count).map(|index| (path(index), object(index))))
        .map(|(path, object)| async move {
            let body = object.to_string().into_bytes();
            let request = http::Request::post(path).header("content-type", "application/json").body(body)?;
            client
                .request_text(request)
                .await
                .with_context(|| format!("could not create {}", object["metadata"]["name"]))
        })
        .buffer_unordered(HANDS)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await
}

fn node(index: usize) -> Value {
    let name = format!("bench-{index}");
    let room = json!({"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"});
    // A kubelet names fifty images.
    let images: Vec<Value> = (0..50)
        .map(
            |n| json!({"names": [format!("registry.example/team/image-{n}@sha256:{n:064}")], "sizeBytes": 100_000_000}),
        )
        .collect();
    json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": (index % 3).to_string()}},
        "status": {"capacity": room, "allocatable": room, "images": images, "conditions": [{"type": "Ready", "status": "True"}]}})
}

/// A pod of two containers; the first are the database's.
fn pod(index: usize) -> Value {
    let (name, owner) =
        if index < MEMBERS { (format!("one-0-{index}"), "one-0") } else { (format!("pod-{index}"), "web") };
    let env: Vec<Value> =
        (0..20).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": "a value of some length"})).collect();
    let container = |name: &str| {
        let resources = json!({"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}});
        json!({"name": name, "image": "registry.example/team/image:1.0", "env": env, "resources": resources})
    };
    json!({"metadata": {"name": name, "labels": {"app.kubernetes.io/instance": owner, "app.kubernetes.io/name": "mongodbs.kubedb.com"},
            "ownerReferences": [{"apiVersion": "apps.k8s.appscode.com/v1", "kind": "PetSet", "name": owner, "uid": "u", "controller": true}]},
        "spec": {"nodeName": format!("bench-{}", index % NODES), "containers": [container("mongodb"), container("sidecar")]}})
}

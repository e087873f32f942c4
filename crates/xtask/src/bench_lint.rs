//! `bench lint`: how long the rules take over a folder of manifests, over one long file, and over one long List.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use dbscale_testbed::assets;

use crate::bench::{self, Cost};

/// Documents in all: half of them databases, half OpsRequests for them.
const DOCUMENTS: usize = 10_000;
/// Documents of a file, where there are many files.
const FILE: usize = 100;
/// How often each form is timed.
const ROUNDS: usize = 11;
/// What each form may take on a machine that does nothing else.
const GOAL: &str = "≤ 2000 ms";

/// Makes the manifests, times `lint` over them, and prints rows in Markdown.
pub fn run() -> Result<()> {
    let root = assets::workspace();
    let build = ["build", "--release", "--package", "kubectl-dbscale"];
    bench::run(Command::new(env!("CARGO")).current_dir(&root).args(build))?;
    let program = root.join("target/release/kubectl-dbscale");
    let dir = root.join("target/bench-lint");
    let documents: Vec<String> = (0..DOCUMENTS / 2).flat_map(|i| [database(i), ops_request(i)]).collect();
    let files: Vec<String> = documents.chunks(FILE).map(|file| file.join("---\n")).collect();
    let forms = [
        ("100 files", fill(&dir.join("many"), &files)?),
        ("one file", fill(&dir.join("one"), &[documents.join("---\n")])?),
        ("one List", fill(&dir.join("list"), &[list(&documents)])?),
    ];
    println!("| {DOCUMENTS} documents in | Time | Peak memory | Goal |\n|---|---|---|---|");
    for (what, folder) in forms {
        let cost = timed(&program, &folder)?;
        println!("| {what} | {:.0} ms | {:.0} MiB | {GOAL} |", cost.ms, cost.mib);
    }
    Ok(())
}

fn timed(program: &Path, folder: &str) -> Result<Cost> {
    let program = program.display().to_string();
    let command = [program.as_str(), "lint", "-f", folder, "--strict", "-o", "json"];
    let runs: Vec<Cost> = (0..ROUNDS).map(|_| bench::measured(&command, |_| {})).collect::<Result<_>>()?;
    Ok(bench::median(&runs))
}

/// Writes a folder of files, and answers its name.
fn fill(dir: &Path, files: &[String]) -> Result<String> {
    fs::create_dir_all(dir)?;
    for (index, text) in files.iter().enumerate() {
        fs::write(dir.join(format!("{index:03}.yaml")), text)?;
    }
    Ok(dir.display().to_string())
}

fn list(documents: &[String]) -> String {
    let item = |document: &String| {
        let indented: Vec<String> = document.lines().map(|line| format!("    {line}\n")).collect();
        format!("  -\n{}", indented.concat())
    };
    format!("apiVersion: v1\nkind: List\nitems:\n{}", documents.iter().map(item).collect::<String>())
}

/// A database as people write it, some 40 lines.
fn database(index: usize) -> String {
    format!(
        "apiVersion: kubedb.com/v1
kind: MongoDB
metadata:
  name: db-{index}
  namespace: team-{}
  labels:
    app: shop
    tier: gold
spec:
  version: \"4.4.26\"
  replicaSet:
    name: rs0
  replicas: 3
  storageType: Durable
  storage:
    accessModes:
      - ReadWriteOnce
    resources:
      requests:
        storage: 20Gi
  podTemplate:
    spec:
      containers:
        - name: mongodb
          resources:
            requests:
              cpu: 500m
              memory: 2Gi
            limits:
              cpu: 500m
              memory: 2Gi
        - name: replication-mode-detector
          resources:
            requests:
              cpu: 200m
              memory: 300Mi
  monitor:
    agent: prometheus.io/operator
    prometheus:
      serviceMonitor:
        interval: 10s
  deletionPolicy: Halt
",
        index % 20
    )
}

/// An OpsRequest for the database of the same number: a third of each type.
fn ops_request(index: usize) -> String {
    let (ops_type, stanza) = match index % 3 {
        0 => ("HorizontalScaling", "  horizontalScaling:\n    replicas: 5\n"),
        1 => ("VolumeExpansion", "  volumeExpansion:\n    mode: Online\n    replicaSet: 50Gi\n"),
        _ => (
            "VerticalScaling",
            "  verticalScaling:\n    replicaSet:\n      resources:\n        requests:\n          cpu: \"1\"\n          memory: 4Gi\n        \
             limits:\n          cpu: \"1\"\n          memory: 4Gi\n",
        ),
    };
    format!(
        "apiVersion: ops.kubedb.com/v1alpha1
kind: MongoDBOpsRequest
metadata:
  name: db-{index}-scale
  namespace: team-{}
spec:
  type: {ops_type}
  databaseRef:
    name: db-{index}
{stanza}  timeout: 10m
  apply: IfReady
",
        index % 20
    )
}

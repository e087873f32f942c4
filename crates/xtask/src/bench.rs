//! `bench`: what the plugin costs, side by side with plain kubectl in one run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use dbscale_testbed::assets;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use crate::playground;
use crate::process::this_program;

/// How often each command is timed; the two of a pair take turns.
pub const ROUNDS: usize = 21;
/// How many databases one command changes.
const MANY: usize = 1000;

pub struct Bench {
    pub dir: PathBuf,
    pub plugin: PathBuf,
    kubectl: PathBuf,
}

/// One run of a command: wall time in milliseconds, peak memory in MiB.
#[derive(Clone, Copy)]
pub struct Cost {
    pub ms: f64,
    pub mib: f64,
}

/// Measures the plugin and prints a table in Markdown.
pub fn plugin() -> Result<()> {
    with_playground(Bench::all)
}

/// Measures `status -A` beside `kubectl get` of the same databases, and prints a table in Markdown.
pub fn status() -> Result<()> {
    with_playground(Bench::status)
}

/// Does it with release builds of the plugin and of kubectl, on a control plane without the simulator.
pub fn with_playground(work: impl FnOnce(&Bench) -> Result<()>) -> Result<()> {
    let root = assets::workspace();
    run(Command::new(env!("CARGO")).current_dir(&root).args(["build", "--release", "--package", "kubectl-dbscale"]))?;
    let kubectl = root.join("target/controlplane/kubectl");
    run(Command::new("go")
        .current_dir(root.join("tests/controlplane"))
        .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(&kubectl)
        .arg("./cmd/kubectl"))?;
    let dir = root.join("target/bench");
    let playground = playground::hold(&dir, &["simulator".to_owned()])?;
    let bench = Bench { plugin: root.join("target/release/kubectl-dbscale"), kubectl, dir: dir.canonicalize()? };
    let done = work(&bench);
    playground.end()?;
    done
}

impl Bench {
    fn all(&self) -> Result<()> {
        let size = fs::metadata(&self.plugin)?.len();
        self.databases("one", ROUNDS * 2 + 2)?;
        println!("| What | Plugin | kubectl | Ratio |\n|---|---|---|---|");
        #[expect(clippy::cast_precision_loss, reason = "a file of some megabytes")]
        let megabytes = size as f64 / f64::from(1 << 20);
        println!("| release binary | {megabytes:.1} MiB | | |");
        self.creates()?;
        self.offline()?;
        self.many()
    }

    /// `kubectl-dbscale vertical` against `kubectl create -f` of the same object.
    fn creates(&self) -> Result<()> {
        let plugin = self.plugin.display().to_string();
        let kubectl = self.kubectl.display().to_string();
        let (mut ours, mut through, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let target = format!("mongodb/one-{round}");
            ours.push(self.measured(&[&plugin, "vertical", &target, "--memory", "4Gi"])?);
            let target = format!("mongodb/one-{}", round + ROUNDS);
            through.push(self.measured(&[&kubectl, "dbscale", "vertical", &target, "--memory", "4Gi"])?);
            let file = self.write(&format!("same-{round}"), &ops_request(&format!("same-{round}"), "one-0"))?;
            theirs.push(self.measured(&[&kubectl, "create", "-f", &file])?);
        }
        let (ours, through, theirs) = (median(&ours), median(&through), median(&theirs));
        row("one vertical scaling, time", ours.ms, theirs.ms, "ms");
        row("one vertical scaling, peak memory", ours.mib, theirs.mib, "MiB");
        row("the same through kubectl dbscale, time", through.ms, theirs.ms, "ms");
        Ok(())
    }

    fn offline(&self) -> Result<()> {
        let plugin = self.plugin.display().to_string();
        let runs = (0..ROUNDS).map(|_| self.measured(&[&plugin, "sizes"])).collect::<Result<Vec<_>>>()?;
        let cost = median(&runs);
        println!("| the process alone (`sizes`) | {:.1} ms, {:.1} MiB | | |", cost.ms, cost.mib);
        Ok(())
    }

    /// One command for many databases against as many creates, sixteen at a time.
    fn many(&self) -> Result<()> {
        self.databases("many", MANY)?;
        let plugin = self.plugin.display().to_string();
        let ours = self.measured(&[&plugin, "vertical", "mongodb", "-l", "bench=many", "--memory", "4Gi", "-y"])?;
        let mut names = String::new();
        for index in 0..MANY {
            names.push_str(&self.write(&format!("each-{index}"), &ops_request(&format!("each-{index}"), "one-0"))?);
            names.push('\n');
        }
        let list = self.dir.join("files");
        fs::write(&list, names)?;
        let script = format!("xargs -P16 -n1 {} create -f < {}", self.kubectl.display(), list.display());
        let theirs = self.measured(&["sh", "-c", &script])?;
        row(&format!("{MANY} vertical scalings, time"), ours.ms / 1000.0, theirs.ms / 1000.0, "s");
        row(&format!("{MANY} vertical scalings, peak memory of a process"), ours.mib, theirs.mib, "MiB");
        Ok(())
    }

    /// `kubectl-dbscale status -A` against `kubectl get mongodbs -A`, in turn.
    fn status(&self) -> Result<()> {
        self.databases("many", MANY)?;
        let (plugin, kubectl) = (self.plugin.display().to_string(), self.kubectl.display().to_string());
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            ours.push(self.measured(&[&plugin, "status", "-A"])?);
            theirs.push(self.measured(&[&kubectl, "get", "mongodbs", "-A"])?);
        }
        let (ours, theirs) = (median(&ours), median(&theirs));
        println!("| {MANY} databases | `status -A` | `kubectl get` | Ratio |\n|---|---|---|---|");
        row("time", ours.ms, theirs.ms, "ms");
        row("peak memory", ours.mib, theirs.mib, "MiB");
        Ok(())
    }

    pub fn databases(&self, group: &str, count: usize) -> Result<()> {
        let resources = json!({"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}});
        let item = |index: usize| {
            json!({
                "apiVersion": "kubedb.com/v1", "kind": "MongoDB",
                "metadata": {"name": format!("{group}-{index}"), "namespace": "default", "labels": {"bench": group}},
                "spec": {"version": "4.4.26", "replicaSet": {"name": "rs0"}, "replicas": 3,
                    "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources}]}}},
            })
        };
        let list = json!({"apiVersion": "v1", "kind": "List", "items": (0..count).map(item).collect::<Vec<_>>()});
        let file = self.write(group, &list)?;
        run(self.environment(
            Command::new(&self.kubectl).args(["create", "--validate=false", "-f", &file]).stdout(Stdio::null()),
        ))
    }

    fn write(&self, name: &str, object: &Value) -> Result<String> {
        let file = self.dir.join(format!("{name}.json"));
        fs::write(&file, object.to_string())?;
        Ok(file.display().to_string())
    }

    fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let path = format!("{}:{}", parent(&self.plugin).display(), std::env::var("PATH").unwrap_or_default());
        command.env("PATH", path).env("KUBECONFIG", self.dir.join("kubeconfig"))
    }

    /// Runs a command in a process of its own, whose only child it is, so that its peak memory can be told.
    pub fn measured(&self, command: &[&str]) -> Result<Cost> {
        measured(command, |measure| {
            self.environment(measure);
        })
    }
}

/// As [`Bench::measured`], in an environment of the caller's.
pub fn measured(command: &[&str], prepare: impl FnOnce(&mut Command)) -> Result<Cost> {
    let mut measure = this_program()?;
    measure.args(["measure", "--"]).args(command);
    prepare(&mut measure);
    let output = measure.output()?;
    ensure!(output.status.success(), "{}: {}", command.join(" "), String::from_utf8_lossy(&output.stderr));
    let value: Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| value[name].as_f64().with_context(|| format!("no {name}"));
    Ok(Cost { ms: number("ms")?, mib: number("mib")? })
}

/// Runs one command and prints its wall time and the peak memory of the largest process below it.
pub fn measure(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let began = Instant::now();
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    let ms = began.elapsed().as_secs_f64() * 1000.0;
    if !output.status.success() {
        bail!("ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    #[expect(clippy::cast_precision_loss, reason = "kilobytes of one process")]
    let mib = getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss() as f64 / 1024.0;
    println!("{}", json!({"ms": ms, "mib": mib}));
    Ok(())
}

fn ops_request(name: &str, database: &str) -> Value {
    let resources = json!({"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"cpu": "1", "memory": "4Gi"}});
    json!({
        "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": "VerticalScaling", "databaseRef": {"name": database},
            "verticalScaling": {"replicaSet": {"resources": resources}}},
    })
}

pub fn median(costs: &[Cost]) -> Cost {
    let middle = |of: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    Cost { ms: middle(|c| c.ms), mib: middle(|c| c.mib) }
}

fn row(what: &str, ours: f64, theirs: f64, unit: &str) {
    println!("| {what} | {ours:.1} {unit} | {theirs:.1} {unit} | {:.2} |", ours / theirs);
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("could not run {command:?}"))?;
    if status.success() { Ok(()) } else { bail!("{command:?} ended with {status}") }
}

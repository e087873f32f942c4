//! `bench controller`: how soon a record follows, and what that costs, with a thousand databases and with ten thousand.
//!
//! On a real API server, with the controller as it is built for a release and with exactly the rights that are shipped.
//! Nobody simulates KubeDB here: the phases of the operations that are measured are set by this program.

mod fill;
mod seen;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dbscale_core::record;
use dbscale_testbed::audit::{self, Asked};
use dbscale_testbed::controller::{free_address, spawn};
use dbscale_testbed::playground::Playground;
use dbscale_testbed::{assets, client, shipped};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::process::Child;

use self::fill::{EACH, fill, name};
use self::seen::{Records, Seen};
use crate::bench;

/// On how many databases an operation is measured, from its creation to its end.
const MEASURED: usize = 200;
/// Of how many operations something changes in one moment.
const AT_ONCE: usize = 4;
/// How many operations change while no controller runs.
const MEANWHILE: usize = 100;
/// For how long nothing happens.
const QUIET: Duration = Duration::from_secs(30);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

const ACCOUNT: &str = "dbscale-controller";
const OPERATIONS: &str = "/apis/ops.kubedb.com/v1alpha1/namespaces/default/mongodbopsrequests";
const WORKLOADS: &str = "/apis/apps.k8s.appscode.com/v1/namespaces/default/petsets";

/// What was measured with a number of databases.
struct Figures {
    databases: usize,
    /// From the start of the first controller to the last record.
    first_start: Duration,
    /// From the start of one that finds its records, to the last one that had to be brought up to date.
    restart: Duration,
    /// From a change of a phase to the record that tells it, all of them in order.
    follows: Vec<Duration>,
    /// Requests of an operation, from its creation to its end.
    requests: f64,
    /// Requests a minute while nothing happens: for the lease, and to find out what is installed. A watch begins anew every
    /// few minutes beside that.
    quiet: f64,
    /// Resident memory after all that, and the most it ever was.
    resident_mib: f64,
    peak_mib: f64,
    /// Processor time of the first start, and of the other.
    processor: [Duration; 2],
}

/// Measures with each number of databases and prints a table in Markdown.
pub fn run(sizes: &[usize]) -> Result<()> {
    let root = assets::workspace();
    let build = ["build", "--profile", "server", "--package", ACCOUNT];
    bench::run(Command::new(env!("CARGO")).current_dir(&root).args(build))?;
    let program = root.join("target/server").join(ACCOUNT);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut figures = Vec::new();
    for size in sizes {
        figures.push(runtime.block_on(measure(&program, *size))?);
        // All so far: the larger sizes take minutes, and what was measured is not lost where somebody ends them.
        print(&figures);
    }
    Ok(())
}

/// A control plane, a controller on it, and somebody who looks at the records.
struct Bench {
    /// First, for it must not outlive the control plane.
    seen: Seen,
    playground: Playground,
    program: PathBuf,
    kubeconfig: PathBuf,
    log: PathBuf,
    client: kube::Client,
}

async fn measure(program: &Path, databases: usize) -> Result<Figures> {
    ensure!(databases >= MEASURED + MEANWHILE, "at least {} databases are needed", MEASURED + MEANWHILE);
    let folder = assets::workspace().join("target/bench-controller");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let playground = Playground::start(&folder, false).await?;
    shipped::install(&playground.plane).await?;
    let kubeconfig = shipped::account(&playground.plane, ACCOUNT).await?;
    let client = client(&playground.plane.kubeconfig()).await?;
    let began = Instant::now();
    fill(&playground.plane, databases).await?;
    let bench = Bench {
        seen: Seen::watch(client.clone()),
        log: folder.join("logs/controller.log"),
        program: program.to_owned(),
        playground,
        kubeconfig,
        client,
    };
    eprintln!("{databases} databases with {EACH} OpsRequests each were made in {:.0?}", began.elapsed());
    bench.all(databases).await
}

impl Bench {
    async fn all(&self, databases: usize) -> Result<Figures> {
        let began = Instant::now();
        let mut controller = self.start()?;
        let all_true = |records: &Records| records.len() == databases && records.values().all(|o| o.len() == EACH);
        let first_start = self.seen.until("all records", PATIENCE, all_true).await? - began;
        let first_processor = processor_time(&controller)?;
        eprintln!("all records are there after {first_start:.1?}");

        stream::iter(0..MEASURED)
            .map(|index| async move { self.post(WORKLOADS, &fill::workload(index)).await })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        let before = self.asked()?.len();
        let mut follows: Vec<Duration> = stream::iter(0..MEASURED)
            .map(|index| self.operation(index))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?
            .concat();
        follows.sort_unstable();
        // The fourth of dbscale's own makes the oldest one go.
        let began = Instant::now();
        while self.asked()?.iter().filter(|a| a.verb == "delete").count() < MEASURED {
            ensure!(began.elapsed() < PATIENCE, "the oldest OpsRequests stay");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let asked = self.asked()?.split_off(before);
        let of_operations = asked.iter().filter(|a| is_of_operations(a)).count();

        let before = self.asked()?.len();
        tokio::time::sleep(QUIET).await;
        let quiet = self.asked()?.iter().skip(before).filter(|a| a.verb != "watch").count();
        let (resident_mib, peak_mib) = memory(&controller)?;

        end(&mut controller).await?;
        let meanwhile: Vec<String> =
            (0..MEANWHILE).map(|index| format!("{}-meanwhile", name(MEASURED + index))).collect();
        for (index, request) in meanwhile.iter().enumerate() {
            self.post(OPERATIONS, &fill::request(MEASURED + index, request, true)).await?;
        }
        let began = Instant::now();
        let mut controller = self.start()?;
        let told = |records: &Records| {
            let of = |request: &&String| records.values().any(|o| o.contains_key(*request));
            meanwhile.iter().filter(of).count() == MEANWHILE
        };
        let restart = self.seen.until("what came meanwhile", PATIENCE, told).await? - began;
        let processor = [first_processor, processor_time(&controller)?];
        end(&mut controller).await?;
        #[expect(clippy::cast_precision_loss, reason = "some thousands of requests")]
        Ok(Figures {
            databases,
            first_start,
            restart,
            follows,
            requests: of_operations as f64 / MEASURED as f64,
            quiet: quiet as f64 * 60.0 / QUIET.as_secs_f64(),
            resident_mib,
            peak_mib,
            processor,
        })
    }

    fn start(&self) -> Result<Child> {
        spawn(&self.program, &self.kubeconfig, free_address()?, &[], &self.log)
    }

    fn asked(&self) -> Result<Vec<Asked>> {
        audit::read(&self.playground.plane.audit_log())
    }

    /// One operation from its creation to its end; answers how long each of its three changes took to be told.
    async fn operation(&self, index: usize) -> Result<Vec<Duration>> {
        let request = format!("{}-measured", name(index));
        let status = format!("{OPERATIONS}/{request}/status");
        let mut follows = Vec::new();
        for (phase, told) in [("", "Pending"), ("Progressing", "Progressing"), ("Successful", "Successful Confirmed")] {
            let began = Instant::now();
            if phase.is_empty() {
                self.post(OPERATIONS, &fill::request(index, &request, true)).await?;
            } else {
                let patch = http::Request::patch(&status).header("content-type", "application/merge-patch+json");
                let body = json!({"status": {"phase": phase, "observedGeneration": 1}}).to_string().into_bytes();
                self.client.request::<Value>(patch.body(body)?).await?;
            }
            let record = record::name("mongodb", &name(index));
            let tells = |records: &Records| {
                records.get(&record).and_then(|o| o.get(&request)).is_some_and(|o| o.trim_end() == told)
            };
            follows.push(self.seen.until(&format!("{request} {told}"), PATIENCE, tells).await? - began);
        }
        Ok(follows)
    }

    async fn post(&self, path: &str, object: &Value) -> Result<()> {
        let request = http::Request::post(path).header("content-type", "application/json");
        self.client.request::<Value>(request.body(object.to_string().into_bytes())?).await?;
        Ok(())
    }
}

/// Whether a request is made for an operation, and not now and then: for the lease, and to find out what is installed.
fn is_of_operations(asked: &Asked) -> bool {
    asked.verb != "watch" && !asked.resource.is_empty() && asked.resource != "leases"
}

/// Ends a controller in order, so that the next one need not wait for its lease.
async fn end(controller: &mut Child) -> Result<()> {
    let pid = controller.id().context("the controller has ended")?;
    bench::run(Command::new("kill").args(["-TERM", &pid.to_string()]))?;
    let status = controller.wait().await?;
    ensure!(status.success(), "the controller ended with {status}");
    Ok(())
}

/// Resident memory in MiB: now, and the most it ever was.
fn memory(controller: &Child) -> Result<(f64, f64)> {
    let pid = controller.id().context("the controller has ended")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<f64> {
        let line = status.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}"))?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib / 1024.0)
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

/// The processor time that it has used so far.
fn processor_time(controller: &Child) -> Result<Duration> {
    let pid = controller.id().context("the controller has ended")?;
    let mut total = 0;
    // One number a thread, in nanoseconds, which are finer than the ticks of the process.
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        total += text.split_whitespace().next().context("no number")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

fn print(figures: &[Figures]) {
    let row = |what: &str, value: &dyn Fn(&Figures) -> String, goal: &str| {
        let values: Vec<String> = figures.iter().map(value).collect();
        println!("| {what} | {} | {goal} |", values.join(" | "));
    };
    let heads: Vec<String> =
        figures.iter().map(|f| format!("{} databases, {} OpsRequests", f.databases, f.databases * EACH)).collect();
    println!("| What | {} | Goal |\n|---|{}---|", heads.join(" | "), "---|".repeat(heads.len()));
    let at = |f: &Figures, percent: usize| f.follows[(f.follows.len() * percent / 100).min(f.follows.len() - 1)];
    row("phase change → record, median", &|f| format!("{:.0?}", at(f, 50)), "");
    row("phase change → record, 99th of 100", &|f| format!("{:.0?}", at(f, 99)), "≤ 500 ms at 1,000");
    row("API requests of an operation", &|f| format!("{:.1}", f.requests), "≤ 6");
    row("API requests a minute while nothing happens", &|f| format!("{:.0}", f.quiet), "");
    row("resident memory", &|f| format!("{:.0} MiB", f.resident_mib), "≤ 150 MiB at 10,000");
    row("resident memory, peak", &|f| format!("{:.0} MiB", f.peak_mib), "");
    row("first start → all records", &|f| format!("{:.1?}", f.first_start), "linear");
    row("processor time of that", &|f| format!("{:.1?}", f.processor[0]), "linear");
    row("restart → all records true", &|f| format!("{:.1?}", f.restart), "linear");
    row("processor time of that", &|f| format!("{:.1?}", f.processor[1]), "linear");
}

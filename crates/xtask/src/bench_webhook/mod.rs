//! `bench webhook`: what a review costs the webhook's processor, beside a server that answers everything alike and beside the
//! same few rules on controller-runtime; how soon it answers, and what it holds in memory.

mod api;
mod load;
#[path = "../../../../benches/reviews.rs"]
mod reviews;
mod server;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dbscale_testbed::assets;
use dbscale_testbed::certificates::Authority;
use serde_json::json;

use self::api::{Api, Filled};
use self::load::Client;
use self::server::{Server, free, plain};
use crate::bench;

/// How often each load is measured; in each round every server has its turn, the first one another every time.
const ROUNDS: usize = 9;
/// How often the webhook is started, to see how soon it answers.
const STARTS: usize = 11;
/// Databases that are known.
const DATABASES: usize = 10_000;
/// How long a server may take until it is ready, and the webhook until it knows that OpsRequests are gone.
const READY_WITHIN: Duration = Duration::from_secs(60);

const EMPTY: Filled = Filled { databases: 0, operations: 0 };

/// Something that is sent, again and again.
struct Load {
    what: &'static str,
    requests: Vec<Vec<u8>>,
    /// Connections at once.
    connections: usize,
    /// Whether each request comes on a connection of its own.
    fresh: bool,
    /// The most that a request may cost, of the null server's.
    of_null: f64,
    /// The least that it must cost controller-runtime, of the webhook's.
    of_ours: Option<f64>,
}

struct Bench {
    folder: PathBuf,
    webhook: PathBuf,
    null: PathBuf,
    go: PathBuf,
    authority: Authority,
    client: Client,
}

/// Builds the three servers, measures them, and prints tables in Markdown.
pub fn run() -> Result<()> {
    if cfg!(debug_assertions) {
        return optimized();
    }
    let bench = Bench::build()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let rows = bench.loads().await?;
        println!("| Processor time a request | Null | Webhook | Ratio | Goal | controller-runtime | Of ours | Goal |");
        println!("|---|---|---|---|---|---|---|---|\n{}", rows.join("\n"));
        let rows = bench.starts().await?;
        println!("\n| What | Measured | Goal |\n|---|---|---|\n{}", rows.join("\n"));
        Ok(())
    })
}

/// Does it in a program that is as fast as those it measures: the client and the stand-in of an API server are in it, and
/// what is waited for would be theirs.
fn optimized() -> Result<()> {
    let root = assets::workspace();
    let build = ["build", "--profile", "server", "--package", env!("CARGO_PKG_NAME")];
    bench::run(Command::new(env!("CARGO")).current_dir(&root).args(build))?;
    bench::run(Command::new(root.join("target/server").join(env!("CARGO_PKG_NAME"))).args(["bench", "webhook"]))
}

impl Bench {
    fn build() -> Result<Self> {
        let root = assets::workspace();
        // One by one: a feature that one of them asks for is not built into the other.
        for package in ["dbscale-webhook", "webhook-null"] {
            let build = ["build", "--profile", "server", "--package", package];
            bench::run(Command::new(env!("CARGO")).current_dir(&root).args(build))?;
        }
        let go = root.join("target/webhook-go");
        let build = ["build", "-trimpath", "-ldflags", "-s -w", "-o"];
        bench::run(Command::new("go").current_dir(root.join("benches/webhook-go")).args(build).arg(&go).arg("."))?;
        let folder = root.join("target/bench-webhook");
        fs::create_dir_all(&folder)?;
        let authority = Authority::new()?;
        authority.server(&["localhost", "127.0.0.1"])?.write(&folder, "tls")?;
        let client = Client::new(&authority.pem())?;
        let [webhook, null] = ["dbscale-webhook", "webhook-null"].map(|name| root.join("target/server").join(name));
        Ok(Self { folder, webhook, null, go, authority, client })
    }

    fn api(&self, filled: Filled) -> Result<Api> {
        Api::start(&self.folder, &self.authority.pem(), filled)
    }

    /// Starts the webhook; its probes are at the second address.
    fn webhook(&self, api: &Api) -> Result<(Server, SocketAddr)> {
        let (address, probes) = (free()?, free()?);
        let mut command = Command::new(&self.webhook);
        command.arg(format!("--listen={address}")).arg(format!("--probes={probes}"));
        command.arg("--tls-cert").arg(self.folder.join("tls.crt")).arg("--tls-key").arg(self.folder.join("tls.key"));
        let command = command.arg("--kubeconfig").arg(&api.kubeconfig);
        Ok((Server::start(command, address, &self.folder.join("webhook.log"))?, probes))
    }

    /// The null server and that on controller-runtime, once they answer.
    async fn others(&self) -> Result<[Server; 2]> {
        let (address, at) = (free()?, free()?);
        let mut null = Command::new(&self.null);
        null.arg(address.to_string()).arg(self.folder.join("tls.crt")).arg(self.folder.join("tls.key"));
        let mut go = Command::new(&self.go);
        go.arg(format!("--port={}", at.port())).arg("--certificates").arg(&self.folder);
        let [null, go] = [(null, address, "null.log"), (go, at, "go.log")]
            .map(|(mut command, address, log)| Server::start(&mut command, address, &self.folder.join(log)));
        let servers = [null?, go?];
        let request = load::request(&reviews::create(&name(0), 5));
        for server in &servers {
            until(|| async { self.client.ask(server.address, &request).await.is_ok() }).await?;
        }
        Ok(servers)
    }

    /// A row for each load.
    async fn loads(&self) -> Result<Vec<String>> {
        let api = self.api(Filled { databases: DATABASES, operations: 0 })?;
        let (webhook, probes) = self.webhook(&api)?;
        is_ready(probes).await?;
        let [null, go] = self.others().await?;
        let servers = [webhook, null, go];
        let loads = loads();
        let mut costs: Vec<Vec<[f64; 3]>> = vec![Vec::new(); loads.len()];
        for round in 0..ROUNDS {
            eprintln!("round {} of {ROUNDS}", round + 1);
            for (load, costs) in loads.iter().zip(&mut costs) {
                let mut of_round = [0.0; 3];
                for turn in 0..servers.len() {
                    let index = (round + turn) % servers.len();
                    of_round[index] = self.cost_us(&servers[index], load).await?;
                    if index == 0 {
                        // As the watch would tell when they are done: the next ones find their databases free.
                        api.end((0..DATABASES).map(name));
                        until(|| async { knows_no_operation(probes).await.unwrap_or(false) }).await?;
                    }
                }
                costs.push(of_round);
            }
        }
        Ok(loads.iter().zip(&costs).map(|(load, costs)| row(load, costs)).collect())
    }

    /// What one request of a load costs a server, in microseconds of its processor time.
    async fn cost_us(&self, server: &Server, load: &Load) -> Result<f64> {
        // The first tenth is not counted: what it needs of code and data is not at hand yet.
        let (warm, counted) = load.requests.split_at(load.requests.len() / 10);
        let before;
        if load.fresh {
            self.client.send_on_new(server.address, warm, load.connections).await?;
            before = server.cpu()?;
            self.client.send_on_new(server.address, counted, load.connections).await?;
        } else {
            let mut connections = self.client.connect(server.address, load.connections).await?;
            load::send(&mut connections, warm).await?;
            before = server.cpu()?;
            load::send(&mut connections, counted).await?;
        }
        let took = server.cpu()?.saturating_sub(before);
        Ok(took.as_secs_f64() * 1e6 / f64::from(u32::try_from(counted.len())?))
    }

    /// How soon the webhook answers, and what it holds in memory.
    async fn starts(&self) -> Result<Vec<String>> {
        let empty = self.api(EMPTY)?;
        let request = load::request(&reviews::create(&name(0), 5));
        let (mut took_ms, mut own_ms, mut resident_mib) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let began = Instant::now();
            let (mut server, probes) = self.webhook(&empty)?;
            let answer = loop {
                match self.client.ask(server.address, &request).await {
                    Ok(answer) => break answer,
                    Err(_) => server.check()?,
                }
                std::thread::sleep(Duration::from_micros(100));
            };
            took_ms.push(began.elapsed().as_secs_f64() * 1e3);
            own_ms.push(server.cpu()?.as_secs_f64() * 1e3);
            ensure!(answer.contains("[database/missing]"), "there are no databases, and the answer is: {answer}");
            is_ready(probes).await?;
            resident_mib.push(server.resident_mib()?);
        }
        let full = self.api(Filled { databases: DATABASES, operations: DATABASES })?;
        let (server, probes) = self.webhook(&full)?;
        is_ready(probes).await?;
        self.client.ask(server.address, &request).await?;
        let full_mib = server.resident_mib()?;
        #[expect(clippy::cast_precision_loss, reason = "a file of some megabytes")]
        let binary_mib = fs::metadata(&self.webhook)?.len() as f64 / f64::from(1 << 20);
        let kinds = "all kinds watched, no objects";
        Ok(vec![
            format!(
                "| from start to the first answer, empty caches | {:.1} ms, of which {:.1} ms of its processor | ≤ 15 ms |",
                median(took_ms),
                median(own_ms)
            ),
            format!("| resident after it, {kinds} | {:.1} MiB | ≤ 12 MiB |", median(resident_mib)),
            format!("| resident, 10,000 databases and 10,000 active OpsRequests | {full_mib:.1} MiB | ≤ 40 MiB |"),
            format!("| binary | {binary_mib:.2} MiB | ≤ 8 MiB |"),
        ])
    }
}

/// What is sent. Each OpsRequest is for another database; the update asks for more storage.
fn loads() -> Vec<Load> {
    // Made once for a name that stands for all: they are as long.
    let any = name(DATABASES);
    let of = |review: Vec<u8>, number: usize| {
        load::request(String::from_utf8_lossy(&review).replace(&any, &name(number % DATABASES)).as_bytes())
    };
    let (asked, size) = (reviews::create(&any, 5), "/spec/storage/resources/requests/storage");
    let updated = reviews::update("jane", &any, size, &json!("20Gi"));
    let create = |count: usize| (0..count).map(|n| of(asked.clone(), n * 97)).collect();
    let update = |count: usize| (0..count).map(|n| of(updated.clone(), n)).collect();
    let open = |what, requests, connections, of_null, of_ours| Load {
        what,
        requests,
        connections,
        fresh: false,
        of_null,
        of_ours: Some(of_ours),
    };
    vec![
        open("OpsRequest CREATE, 2.5 KB, 16 connections", create(8000), 16, 1.4, 6.0),
        open("OpsRequest CREATE, 2.5 KB, 64 connections", create(8000), 64, 1.4, 6.0),
        open("database UPDATE, 20 KB, 16 connections", update(3000), 16, 1.7, 18.0),
        open("database UPDATE, 20 KB, 64 connections", update(3000), 64, 1.7, 18.0),
        Load {
            what: "OpsRequest CREATE, 2.5 KB, each on a new connection",
            requests: create(1000),
            connections: 8,
            fresh: true,
            of_null: 1.05,
            of_ours: None,
        },
    ]
}

/// The name of a database: all are as long.
fn name(number: usize) -> String {
    format!("db-{number:05}")
}

/// The medians of all rounds. The ratios are those of each round: what else the machine did then, it did to both sides.
fn row(load: &Load, costs: &[[f64; 3]]) -> String {
    let of = |value: fn(&[f64; 3]) -> f64| median(costs.iter().map(value).collect());
    let goal = load.of_ours.map(|goal| format!("≥ {goal}")).unwrap_or_default();
    let (what, of_null) = (load.what, load.of_null);
    format!(
        "| {what} | {:.1} µs | {:.1} µs | {:.2} | ≤ {of_null} | {:.0} µs | {:.1} | {goal} |",
        of(|[_, null, _]| *null),
        of(|[ours, ..]| *ours),
        of(|[ours, null, _]| ours / null),
        of(|[.., go]| *go),
        of(|[ours, _, go]| go / ours)
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Waits for something.
async fn until<F: Future<Output = bool>>(holds: impl Fn() -> F) -> Result<()> {
    let began = Instant::now();
    while !holds().await {
        if began.elapsed() > READY_WITHIN {
            bail!(
                "a server is not ready, or does not know what it should, after {READY_WITHIN:?}; see target/bench-webhook/*.log"
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn is_ready(probes: SocketAddr) -> Result<()> {
    let ready = || async { plain(probes, "/readyz").await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 ")) };
    until(ready).await.context("the webhook")
}

async fn knows_no_operation(probes: SocketAddr) -> Result<bool> {
    let metrics = plain(probes, "/metrics").await?;
    Ok(metrics.lines().any(|line| line == "dbscale_webhook_cached_operations 0"))
}

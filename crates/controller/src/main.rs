//! `dbscale-controller`: watches every KubeDB operation to its end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use dbscale_cluster::connect::{Connect, connect};
use dbscale_cluster::lease::Terms;
use dbscale_controller::cluster::Place;
use dbscale_controller::metrics::Metrics;
use dbscale_controller::settings::{ClusterFlag, Grow, Settings, Whose, duration, namespace};
use dbscale_core::record;
use dbscale_core::retention::Policy;
use dbscale_serve::{Limits, Readiness, Signals, Stop, log, probes};
use jiff::SignedDuration;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Watches every KubeDB operation to its end: records, events, metrics, retention, storage growth, rollback.
#[derive(Parser)]
#[command(name = "dbscale-controller", version)]
struct Cli {
    /// A kubeconfig in place of KUBECONFIG, ~/.kube/config and the pod's own account
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// A context of it in place of the current one
    #[arg(long)]
    context: Option<String>,
    /// A cluster to look after in place of its own; may be given several times
    #[arg(long = "cluster", value_name = "NAME=KUBECONFIG[#CONTEXT]")]
    clusters: Vec<ClusterFlag>,
    /// The only namespace to look after, where its Lease is too; all of a cluster's unless given
    #[arg(long, value_parser = namespace)]
    namespace: Option<String>,
    /// How many databases of a cluster are worked on at a time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,
    /// How long an operation may be Progressing, or not begin
    #[arg(long, default_value = "10m", value_parser = duration)]
    monitoring_timeout: SignedDuration,
    /// How many operations a record's history holds
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    history: u16,
    /// How many finished OpsRequests of a database stay
    #[arg(long, default_value_t = 3)]
    retention_count: u16,
    /// Finished OpsRequests that ended longer ago than this go too
    #[arg(long, value_parser = duration)]
    retention_age: Option<SignedDuration>,
    /// Whose finished OpsRequests are counted and deleted
    #[arg(long, default_value = "managed")]
    retention_scope: Whose,
    /// Whose claims are grown to the size that the database object has
    #[arg(long, default_value = "managed")]
    grow_pvcs: Grow,
    /// How long one call to an API server may take with all its tries
    #[arg(long, default_value = "30s", value_parser = duration)]
    request_timeout: SignedDuration,
    /// After how many seconds of silence another replica takes over
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(3..=300))]
    lease_seconds: u32,
    /// Where /livez, /readyz and /metrics are served
    #[arg(long, default_value = "0.0.0.0:8080")]
    metrics_address: SocketAddr,
    /// error, warn, info or debug
    #[arg(long, default_value = "info")]
    log_level: log::Level,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::start(cli.log_level);
    let done = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the program could not start")
        .and_then(|runtime| runtime.block_on(run(&cli)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> anyhow::Result<()> {
    let signals = Signals::new().context("signals cannot be caught")?;
    let (stop, readiness, mut registry) = (Stop::default(), Readiness::default(), Registry::default());
    let metrics = Metrics::new(&mut registry);
    let listener = TcpListener::bind(cli.metrics_address)
        .await
        .with_context(|| format!("{} cannot be listened on; choose another --metrics-address", cli.metrics_address))?;
    tracing::info!(address = %listener.local_addr()?, "probes and metrics are served");
    let running = readiness.gate("running");
    running.open();
    let mut work = JoinSet::new();
    let places = places(cli, &metrics).await?;
    let alone = places.len() == 1;
    // One gate for all: a cluster that does not answer must not take the others' controller out of service.
    let reached = readiness.gate("api server");
    for place in places {
        let (stop, reached) = (stop.clone(), reached.clone());
        work.spawn(async move { place.look_after(&stop, &reached, alone).await });
    }
    let probes = tokio::spawn(dbscale_serve::serve(
        listener,
        None,
        probes::router(readiness, Arc::new(registry)),
        Limits { drain: Duration::from_secs(1), ..Limits::default() },
        stop.clone(),
    ));
    let ending = tokio::spawn(signals.stop_in_order(running, Duration::ZERO, stop.clone()));
    let mut outcome = Ok(());
    while let Some(ended) = work.join_next().await {
        if let Err(why) = ended.context("the work on a cluster broke off")? {
            outcome = Err(anyhow::anyhow!(why));
        }
    }
    stop.now.cancel();
    ending.abort();
    probes.await.context("the probes broke off")?;
    outcome
}

/// The clusters to look after.
async fn places(cli: &Cli, metrics: &Metrics) -> anyhow::Result<Vec<Place>> {
    let settings = Settings {
        record: record::Settings {
            timeout: cli.monitoring_timeout,
            history: usize::from(cli.history),
            ..record::Settings::default()
        },
        retention: Policy {
            keep: usize::from(cli.retention_count),
            age: cli.retention_age,
            scope: cli.retention_scope.into(),
        },
        grow: cli.grow_pvcs,
    };
    let own = ClusterFlag {
        name: "own".to_owned(),
        kubeconfig: cli.kubeconfig.clone().unwrap_or_default(),
        context: cli.context.clone(),
    };
    let flags = if cli.clusters.is_empty() { vec![own] } else { cli.clusters.clone() };
    let twice = flags.iter().enumerate().find(|(at, flag)| flags[..*at].iter().any(|other| other.name == flag.name));
    if let Some((_, flag)) = twice {
        anyhow::bail!(
            "two clusters are called '{}': logs and metrics could not tell them apart; rename one",
            flag.name
        );
    }
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "local".to_owned());
    let identity = format!("{host}_{:x}-{:x}", std::process::id(), jiff::Timestamp::now().as_nanosecond());
    let mut places = Vec::new();
    for flag in flags {
        let options = Connect {
            kubeconfig: Some(flag.kubeconfig).filter(|path| !path.as_os_str().is_empty()),
            context: flag.context,
            request_timeout: Some(cli.request_timeout.unsigned_abs()),
            user_agent: concat!("dbscale-controller/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Connect::default()
        };
        let cluster = connect(&options).await.with_context(|| format!("cluster {} cannot be used", flag.name))?;
        places.push(Place {
            // One cluster under two names has one lease, and whoever has it must not take the other's for its own.
            identity: format!("{identity}_{}", flag.name),
            name: flag.name,
            cluster,
            namespace: cli.namespace.clone(),
            settings,
            batch: usize::from(cli.batch_size),
            terms: Terms::of_seconds(cli.lease_seconds),
            metrics: metrics.clone(),
        });
    }
    Ok(places)
}

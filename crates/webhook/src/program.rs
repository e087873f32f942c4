//! The program: its parts put together, and what has to be so before it is ready.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use dbscale_cluster::Cluster;
use dbscale_cluster::cache::Cache;
use dbscale_cluster::connect::{Connect, connect};
use dbscale_cluster::watch::Watches;
use dbscale_serve::certificate::{Files, unix_now_s};
use dbscale_serve::{Certificate, Limits, Readiness, Signals, Stop, probes, serve};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::args::Args;
use crate::covered::Covered;
use crate::handler::{self, App};
use crate::judge::{Judge, Options};
use crate::metrics::{Metrics, Present};
use crate::self_managed::SelfManaged;
use crate::users::Users;

/// How often it is looked at whether there is a certificate that is valid.
const LOOK: Duration = Duration::from_secs(1);

/// How long one call to the API server may take with all its tries: a review has to be answered within five seconds.
const CALL: Duration = Duration::from_millis(1500);

/// Runs until a signal ends it.
///
/// # Errors
/// Where a part cannot be started: no cluster, no certificate, a port that is taken.
pub async fn run(args: Args) -> Result<()> {
    let signals = Signals::new().context("signals cannot be caught")?;
    let cluster = connect(&Connect {
        kubeconfig: args.kubeconfig.clone(),
        request_timeout: Some(CALL),
        user_agent: concat!("dbscale-webhook/", env!("CARGO_PKG_VERSION")).to_owned(),
        ..Connect::default()
    })
    .await?;
    let readiness = Readiness::default();
    let gates = ["socket", "certificate", "caches"].map(|name| readiness.gate(name));
    let [socket, valid, caches] = gates;
    let certificate = certificate(&args, &cluster, &readiness)?;
    let tls = Arc::new(certificate.server_config()?);

    let cache: Arc<Cache> = Arc::default();
    let watches = Watches::new(cluster.clone(), Arc::clone(&cache));
    let changed = Arc::clone(&watches.changed);
    let discovered = Arc::new(Notify::new());
    let tell = Arc::clone(&discovered);
    tokio::spawn(watches.run(move || tell.notify_one()));
    let known = Arc::clone(&cache);
    tokio::spawn(async move {
        discovered.notified().await;
        loop {
            let waiting = known.waiting();
            if waiting.is_empty() {
                break;
            }
            caches.close(waiting.join("; "));
            changed.notified().await;
        }
        // Once all is read it stays so: a watch that breaks is measured, and denials are confirmed by live reads.
        tracing::info!("caches are filled");
        caches.open();
    });

    let mut registry = Registry::default();
    let metrics = Metrics::new(&mut registry);
    registry.register_collector(Box::new(Present { cache: Arc::clone(&cache), certificate: Arc::clone(&certificate) }));
    let users = args.kubedb_users.iter().chain([&args.controller_user]).cloned();
    let options = Options {
        direct_edits: args.direct_edits.into(),
        lookup_failure: args.lookup_failure.into(),
        enforcement: args.enforcement.into(),
        operators: Users::new(users),
    };
    let app = App::new(Judge { cache, cluster, options }, metrics, handler::Limits::default());

    let bind =
        async |address| TcpListener::bind(address).await.with_context(|| format!("{address} cannot be listened on"));
    let (reviews, plain) = (bind(args.listen).await?, bind(args.probes).await?);
    tracing::info!(reviews = %reviews.local_addr()?, probes = %plain.local_addr()?, "listening");
    socket.open();
    let stop = Stop::default();
    // The probes answer to the end, so they have a stop of their own, which nobody pulls.
    let probes = probes::router(readiness, Arc::new(registry));
    tokio::spawn(serve(plain, None, probes, Limits { connections: 64, ..Limits::default() }, Stop::default()));
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tick.tick().await;
            match certificate.not_after_s() {
                0 => valid.close("there is none yet"),
                end if end > unix_now_s() => valid.open(),
                _ => valid.close("expired"),
            }
        }
    });
    tokio::spawn(signals.stop_in_order(socket, args.notice, stop.clone()));
    let limits = Limits { connections: args.max_connections, drain: args.drain, ..Limits::default() };
    let cut = serve(reviews, Some(tls), app.router(), limits, stop).await;
    tracing::info!(cut, "ended");
    Ok(())
}

/// The certificate that is served, looked after from now on.
fn certificate(args: &Args, cluster: &Cluster, readiness: &Readiness) -> Result<Arc<Certificate>> {
    let (Some(file), Some(key)) = (&args.tls_cert, &args.tls_key) else {
        let serving: Arc<Certificate> = Arc::default();
        let names = [args.secret.as_str(), args.configuration.as_str()];
        let (to, ready) = (Arc::clone(&serving), readiness.clone());
        tokio::spawn(SelfManaged::new(cluster.clone(), names, args.certificate_life, to, ready).run());
        return Ok(serving);
    };
    let mut files = Files::new(file.clone(), key.clone());
    let pair = files.read(unix_now_s()).context("the serving certificate")?;
    let serving = Certificate::new(pair.context("the serving certificate was not read")?);
    tokio::spawn(files.follow(Arc::clone(&serving), args.reread));
    tokio::spawn(Covered::new(cluster.clone(), &args.configuration, Arc::clone(&serving), readiness).run());
    Ok(serving)
}

//! The work on one cluster: wait for its lease, then watch and look until the lease is lost or the program ends.

use std::sync::Arc;

use dbscale_cluster::Cluster;
use dbscale_cluster::lease::{CONTROLLER, Lease, Terms};
use dbscale_cluster::watch::Watches;
use dbscale_serve::{Gate, Stop};

use crate::census::Census;
use crate::metrics::Metrics;
use crate::queue::{self, Due};
use crate::reconcile::Worker;
use crate::settings::Settings;
use crate::store::Store;

/// One cluster and how it is looked after.
#[derive(Clone)]
pub struct Place {
    /// Its name in logs and metrics.
    pub name: String,
    /// The cluster.
    pub cluster: Cluster,
    /// The only namespace that is looked after, which has the lease too; `None` = all.
    pub namespace: Option<String>,
    /// What a person chose.
    pub settings: Settings,
    /// How many of its databases are worked on in one moment.
    pub batch: usize,
    /// How long its lease lasts.
    pub terms: Terms,
    /// This process, unlike any other.
    pub identity: String,
    /// What is counted.
    pub metrics: Metrics,
}

impl Place {
    /// Looks after the cluster until `stop`. `reached` is opened as soon as its API server has answered.
    ///
    /// # Errors
    /// Why the lease was lost, where `alone`: the process then ends, and nothing it still does can meet its successor's
    /// work. One of several clusters waits for its lease anew instead: all of its work is dropped first.
    pub async fn look_after(&self, stop: &Stop, reached: &Gate, alone: bool) -> Result<(), String> {
        let place = (self.namespace.as_deref().unwrap_or(CONTROLLER.0), CONTROLLER.1);
        loop {
            let mut lease = Lease::new(&self.cluster, place, self.identity.clone(), self.terms);
            self.metrics.leads(&self.name, false);
            tokio::select! {
                () = lease.acquire(|| reached.open()) => {}
                () = stop.now.cancelled() => return Ok(()),
            }
            self.metrics.leads(&self.name, true);
            let lost = tokio::select! {
                () = self.work(stop) => None,
                why = lease.hold() => Some(why),
            };
            let Some(why) = lost else {
                lease.release().await;
                return Ok(());
            };
            let why = format!("the lease of cluster {} is lost: {why}", self.name);
            if alone {
                return Err(why);
            }
            tracing::error!(cluster = self.name, error = why, "work on this cluster begins anew");
        }
    }

    /// Watches and looks until `stop`. Dropping it drops all of its work.
    async fn work(&self, stop: &Stop) {
        let due = Arc::new(Due::default());
        let store = Arc::new(Store::new(Arc::clone(&due)));
        let worker = Worker {
            name: self.name.clone(),
            cluster: self.cluster.clone(),
            store: Arc::clone(&store),
            settings: self.settings,
            identity: self.identity.clone(),
            metrics: self.metrics.clone(),
            unsure: Arc::default(),
        };
        let watches = Watches::new(self.cluster.clone(), Arc::clone(&store)).within(self.namespace.clone());
        let census = Census {
            name: self.name.clone(),
            cluster: self.cluster.clone(),
            store: Arc::clone(&store),
            identity: self.identity.clone(),
            metrics: self.metrics.clone(),
        };
        let count = async {
            let mut tick = tokio::time::interval(std::time::Duration::from_secs(10));
            loop {
                tick.tick().await;
                self.metrics.counted(&self.name, &store);
            }
        };
        tokio::select! {
            () = queue::run(&due, self.batch, &stop.now, |key| worker.reconcile(key)) => {}
            () = watches.run(|| tracing::info!(cluster = self.name, "the kinds of this cluster are known")) => {}
            () = census.run() => {}
            () = count => {}
        }
    }
}

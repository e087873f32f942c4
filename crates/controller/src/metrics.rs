//! The metrics. Labels come from closed sets: engines, their types of operations, outcomes, and the clusters of the flags.

use std::time::SystemTime;

use dbscale_core::catalog::Engine;
use dbscale_core::record::{Notice, Told};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::store::Store;

type Labels = Vec<(&'static str, String)>;

/// What is counted.
#[derive(Debug, Clone)]
pub struct Metrics {
    operations: Family<Labels, Counter>,
    durations: Family<Labels, Histogram>,
    active: Family<Labels, Gauge>,
    known: Family<Labels, Gauge>,
    deleted: Family<Labels, Counter>,
    errors: Family<Labels, Counter>,
    last_reconcile: Family<Labels, Gauge>,
    leading: Family<Labels, Gauge>,
    exceeded: Family<Labels, Gauge>,
    outside: Family<Labels, Gauge>,
}

impl Metrics {
    /// Registers all of them.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            operations: Family::default(),
            // From a second to more than an hour.
            durations: Family::new_with_constructor(|| Histogram::new(exponential_buckets(1.0, 2.0, 13))),
            active: Family::default(),
            known: Family::default(),
            deleted: Family::default(),
            errors: Family::default(),
            last_reconcile: Family::default(),
            leading: Family::default(),
            exceeded: Family::default(),
            outside: Family::default(),
        };
        let registry = registry.sub_registry_with_prefix("dbscale");
        registry.register(
            "operations",
            "Operations that ended, by engine, type and outcome",
            metrics.operations.clone(),
        );
        registry.register(
            "operation_duration_seconds",
            "From the first Progressing to the end",
            metrics.durations.clone(),
        );
        registry.register("operations_active", "Operations that have not ended", metrics.active.clone());
        registry.register("objects_known", "Databases and OpsRequests that are watched", metrics.known.clone());
        registry.register("ops_requests_deleted", "Finished OpsRequests that were deleted", metrics.deleted.clone());
        registry.register("reconcile_errors", "Looks at a database that failed", metrics.errors.clone());
        registry.register(
            "last_reconcile_timestamp_seconds",
            "When a database was last looked at without an error",
            metrics.last_reconcile.clone(),
        );
        registry.register("leading", "1 where this process holds the cluster's lease", metrics.leading.clone());
        registry.register(
            "policies_exceeded",
            "Scaling policies of which more operations are active than they allow",
            metrics.exceeded.clone(),
        );
        registry.register(
            "databases_outside",
            "Databases that are outside of the bounds of a scaling policy",
            metrics.outside.clone(),
        );
        metrics
    }

    /// An operation that ended, or should have.
    pub fn told(&self, cluster: &str, engine: &Engine, told: &Told) {
        let outcome = match told.notice {
            Notice::Successful => "successful",
            Notice::Failed => "failed",
            Notice::NotRun => "not_run",
            Notice::Overdue => "overdue",
            Notice::EffectMissing => "effect_missing",
            Notice::EffectFound | Notice::Rollback => return,
        };
        // What is no type of the engine's is somebody's invention, and there may be many of them.
        let known = engine.types.contains(&told.ops_type);
        let kind = if known { told.ops_type.clone() } else { "other".to_owned() };
        let labels = vec![("cluster", cluster.to_owned()), ("engine", engine.name.clone()), ("type", kind)];
        if let Some(seconds) = told.duration_s {
            #[expect(clippy::cast_precision_loss, reason = "seconds of one operation")]
            self.durations.get_or_create(&labels).observe(seconds as f64);
        }
        self.operations.get_or_create(&[labels, vec![("outcome", outcome.to_owned())]].concat()).inc();
    }

    /// An OpsRequest that was deleted.
    pub fn deleted(&self, cluster: &str, engine: &Engine) {
        let labels = vec![("cluster", cluster.to_owned()), ("engine", engine.name.clone())];
        self.deleted.get_or_create(&labels).inc();
    }

    /// A look at a database, and whether it went well.
    pub fn reconciled(&self, cluster: &str, engine: &str, well: bool) {
        let cluster = ("cluster", cluster.to_owned());
        if well {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let seconds = i64::try_from(now.as_secs()).unwrap_or(0);
            self.last_reconcile.get_or_create(&vec![cluster]).set(seconds);
        } else {
            self.errors.get_or_create(&vec![cluster, ("engine", engine.to_owned())]).inc();
        }
    }

    /// Whether this process holds the cluster's lease.
    pub fn leads(&self, cluster: &str, leads: bool) {
        self.leading.get_or_create(&vec![("cluster", cluster.to_owned())]).set(i64::from(leads));
        if !leads {
            self.stands(cluster, 0, 0); // whoever leads counts
        }
    }

    /// How many policies have more operations than they allow, and how many databases are outside of bounds.
    pub fn stands(&self, cluster: &str, exceeded: usize, outside: usize) {
        let labels = vec![("cluster", cluster.to_owned())];
        for (gauge, count) in [(&self.exceeded, exceeded), (&self.outside, outside)] {
            gauge.get_or_create(&labels).set(i64::try_from(count).unwrap_or(0));
        }
    }

    /// What a store holds now.
    pub fn counted(&self, cluster: &str, store: &Store) {
        let (active, databases, requests) = store.counts();
        for (engine, count) in active {
            let labels = vec![("cluster", cluster.to_owned()), ("engine", engine.to_owned())];
            self.active.get_or_create(&labels).set(count);
        }
        for (kind, count) in [("database", databases), ("ops_request", requests)] {
            let labels = vec![("cluster", cluster.to_owned()), ("kind", kind.to_owned())];
            self.known.get_or_create(&labels).set(count);
        }
    }
}

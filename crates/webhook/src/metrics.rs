//! What is measured. Labels come from closed sets only: engines, operations, verdicts, rules; never a namespace or a name.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dbscale_cluster::cache::Cache;
use dbscale_core::finding::{Finding, Severity};
use dbscale_serve::Certificate;
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// What came of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reviewed {
    /// `mongodb`; `other` for kinds that are not KubeDB's.
    pub engine: &'static str,
    /// `create`, `update`, `other`.
    pub operation: &'static str,
    /// `passed` (nothing to judge), `allowed`, `warned`, `refused`, `malformed`.
    pub verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Found {
    engine: &'static str,
    rule: &'static str,
    severity: &'static str,
}

/// The metrics that are counted.
#[derive(Debug)]
pub struct Metrics {
    reviews: Family<Reviewed, Counter>,
    findings: Family<Found, Counter>,
    duration: Histogram,
    /// Reviews that are being judged.
    pub in_flight: Gauge,
}

/// The upper ends of the duration's buckets, in seconds: judging takes microseconds, a live read milliseconds.
const BUCKETS: [f64; 10] = [0.000_05, 0.000_1, 0.000_25, 0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 5.0];

impl Metrics {
    /// New metrics, registered.
    #[must_use]
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            reviews: Family::default(),
            findings: Family::default(),
            duration: Histogram::new(BUCKETS),
            in_flight: Gauge::default(),
        };
        let registry = registry.sub_registry_with_prefix("dbscale_webhook");
        registry.register("reviews", "Reviews, by what came of them", metrics.reviews.clone());
        registry.register("findings", "What rules found", metrics.findings.clone());
        registry.register_with_unit("duration", "From a review to its answer", Unit::Seconds, metrics.duration.clone());
        registry.register("in_flight", "Reviews that are being judged", metrics.in_flight.clone());
        metrics
    }

    /// Counts a review.
    pub fn count(&self, reviewed: Reviewed, findings: &[Finding], took: Duration) {
        for finding in findings {
            let severity = match finding.severity {
                Severity::Deny => "deny",
                Severity::Warn => "warn",
            };
            let found = Found { engine: reviewed.engine, rule: finding.rule.0, severity };
            self.findings.get_or_create(&found).inc();
        }
        self.reviews.get_or_create(&reviewed).inc();
        self.duration.observe(took.as_secs_f64());
    }
}

/// What is looked at when somebody asks for the metrics.
#[derive(Debug)]
pub struct Present {
    /// What is known of the cluster.
    pub cache: Arc<Cache>,
    /// The certificate in use.
    pub certificate: Arc<Certificate>,
}

impl Collector for Present {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (databases, operations) = self.cache.sizes();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let expiry = i64::try_from(self.certificate.not_after_s()).unwrap_or(i64::MAX);
        for (name, help, value) in [
            (
                "cache_age_seconds",
                "For how long the longest-broken watch has been so; 0: all are well",
                self.cache.age_s(Timestamp::now()),
            ),
            ("cached_databases", "Databases that are known", count(databases)),
            ("cached_operations", "OpsRequests that are known: active, or ended a short while ago", count(operations)),
            ("certificate_expiry_seconds", "When the certificate in use ends, in Unix seconds", expiry),
        ] {
            let gauge = ConstGauge::new(value);
            let name = format!("dbscale_webhook_{name}");
            gauge.encode(encoder.encode_descriptor(&name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

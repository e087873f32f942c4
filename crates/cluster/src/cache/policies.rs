//! Scaling policies, the labels of namespaces, and how many operations are active.

use std::sync::Arc;

use dbscale_core::catalog::{Catalog, Engine};
use dbscale_core::change::STANZAS;
use dbscale_core::scaling_policy::{Labels, Running, ScalingPolicy, Unreadable, labels_of};
use jiff::Timestamp;
use serde_json::Value;

use super::{Cache, Inner, Seen};

/// For how long an OpsRequest that was let in counts, in milliseconds, before a watch has told of it. Another webhook, or the
/// API server itself, may have refused it since.
pub const RESERVED_MS: i64 = 10_000;

/// The label that every namespace has, with its own name. Source: Kubernetes, "Well-Known Labels".
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A policy as it was read.
pub type ReadPolicy = Result<Arc<ScalingPolicy>, Unreadable>;

/// Reads a policy.
///
/// # Errors
/// [`Unreadable`], where it says something that this version does not understand.
pub fn read_policy(object: &Value) -> ReadPolicy {
    ScalingPolicy::of(object).map(Arc::new)
}

/// The labels of a namespace; of one that is not known, its name alone.
#[must_use]
pub fn labels_of_namespace(name: &str, object: Option<&Value>) -> Labels {
    let mut labels = object.map(labels_of).unwrap_or_default();
    labels.entry(NAME_LABEL.to_owned()).or_insert_with(|| name.to_owned());
    labels
}

impl Cache {
    /// All policies; none where their kind is not installed.
    #[must_use]
    pub fn policies(&self) -> Vec<ReadPolicy> {
        let mut policies: Vec<ReadPolicy> = self.lock().policies.items.values().cloned().collect();
        // One order, so that of two that are equally strict the same one is always named.
        let name = |p: &ReadPolicy| p.as_ref().map_or_else(|u| u.name.clone(), |p| p.name.clone());
        policies.sort_by_cached_key(name);
        policies
    }

    /// The labels of a namespace.
    #[must_use]
    pub fn namespace_labels(&self, name: &str) -> Labels {
        self.lock().labels_of_namespace(name)
    }

    /// How many OpsRequests that scale are active, or were let in a moment ago, among the databases that a policy covers;
    /// without the one called `but` in `namespace`.
    #[must_use]
    pub fn running(
        &self,
        policy: &ScalingPolicy,
        engine: &Engine,
        namespace: &str,
        but: &str,
        now: Timestamp,
    ) -> Running {
        let inner = self.lock();
        let mut running = Running::default();
        let everywhere = policy.spec.operations.is_none_or(|limits| limits.per_cluster.is_some());
        for (name, kinds) in &inner.engines {
            let Some(known) = Catalog::builtin().find(name) else { continue };
            for (key, all) in &kinds.operations.items {
                let Some((place, _)) = key.split_once('/') else { continue };
                if !everywhere && place != namespace {
                    continue;
                }
                let counted = |seen: &&Seen| {
                    let itself = *name == engine.name && place == namespace && seen.operation.name == but;
                    !itself && occupies(seen, now)
                };
                let active = u32::try_from(all.iter().filter(counted).count()).unwrap_or(u32::MAX);
                if active > 0 && inner.covers(policy, known, place, key) {
                    running.cluster = running.cluster.saturating_add(active);
                    if place == namespace {
                        running.namespace = running.namespace.saturating_add(active);
                    }
                }
            }
        }
        running
    }
}

impl Inner {
    fn labels_of_namespace(&self, name: &str) -> Labels {
        self.namespaces.items.get(name).cloned().unwrap_or_else(|| labels_of_namespace(name, None))
    }

    /// Whether a policy covers the database at a key. One that is not known has no labels; one that is too large to be kept may
    /// have any, and is counted.
    fn covers(&self, policy: &ScalingPolicy, engine: &Engine, namespace: &str, key: &str) -> bool {
        if !policy.reaches(engine, &self.labels_of_namespace(namespace)) {
            return false;
        }
        if policy.spec.selector.is_none() {
            return true;
        }
        match self.engines.get(engine.name.as_str()).and_then(|kinds| kinds.databases.items.get(key)) {
            Some(Some(database)) => policy.selects(&database.labels),
            Some(None) => true,
            None => policy.selects(&Labels::default()),
        }
    }
}

/// Whether an operation takes one of the places that a policy gives.
fn occupies(seen: &Seen, now: Timestamp) -> bool {
    let operation = &seen.operation;
    operation.is_active()
        && STANZAS.iter().any(|stanza| stanza.ops_type == operation.ops_type)
        && seen.admitted_ms.is_none_or(|at| now.as_millisecond() - at <= RESERVED_MS)
}

//! What an administrator allows of scaling: the custom resource `ScalingPolicy`, which databases it covers, and what it asks.
//!
//! Cluster-scoped. The webhook holds every client to it, the plugin tells before it asks. Of several policies that cover a
//! database the strictest counts, each bound for itself. What it says is told by the rules `policy/…`.

mod amounts;
mod bounds;
mod classes;
mod exceeded;
mod selector;
mod standing;
mod status;
mod upkeep;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

pub(crate) use amounts::amounts;
pub(crate) use bounds::Limits;
pub(crate) use classes::{is_of, span};
pub use exceeded::Active;
pub use selector::{Expression, Labels, Operator, Selector, labels_of};

pub use standing::{Breach, Outside, Standing};
pub use status::{Condition, MOST_NAMED, OPERATIONS_EXCEEDED, Status, UNDERSTOOD};
pub use upkeep::{Period, Retention, Upkeep, WayBack};

use crate::catalog::{Catalog, Engine};
use crate::database::Database;
use crate::facts::Case;
use crate::quantity::Quantity;

/// The version of [`KIND`], of the group [`crate::record::GROUP`].
pub const VERSION: &str = "v1alpha1";
/// The policy's kind.
pub const KIND: &str = "ScalingPolicy";
/// The policy's resource name.
pub const PLURAL: &str = "scalingpolicies";

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalingPolicy {
    /// `metadata.name`.
    pub name: String,
    /// What it covers and asks.
    pub spec: Spec,
}

/// A policy that says something which this version does not understand: it refuses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// `metadata.name`.
    pub name: String,
    /// Why.
    pub why: String,
}

/// `spec` of a policy. A field that is not known makes the whole policy unreadable: nobody may believe that it is held.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Spec {
    /// The namespaces whose databases it covers; absent = all.
    pub namespace_selector: Option<Selector>,
    /// The databases that it covers there, by their labels; absent = all.
    pub selector: Option<Selector>,
    /// The engines that it covers, by name; empty = all.
    pub engines: Vec<String>,
    /// How many members a component has.
    pub replicas: Option<Range<i64>>,
    /// How large a volume is.
    pub storage: Option<Range<Quantity>>,
    /// The CPU of the container that runs the database, request and limit alike.
    pub cpu: Option<Span>,
    /// Its memory, likewise.
    pub memory: Option<Span>,
    /// Size classes.
    pub sizes: Option<Classes>,
    /// How many operations are active at once.
    pub operations: Option<Operations>,
    /// How a direct edit of members, shards or resources is taken.
    pub direct_edits: Option<DirectEdits>,
    /// Which finished OpsRequests of a database stay.
    pub retention: Option<Retention>,
    /// How long an operation may be Progressing, or not begin, before it counts as overdue.
    pub monitoring_timeout: Option<Period>,
    /// Whether failed operations are followed by one that asks for the values from before.
    pub rollback: Option<WayBack>,
}

/// From, to, and by how much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Range<T> {
    /// The least.
    pub min: Option<T>,
    /// The most.
    pub max: Option<T>,
    /// The largest step from the present value.
    pub max_step: Option<T>,
}

/// From and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The least.
    pub min: Option<Quantity>,
    /// The most.
    pub max: Option<Quantity>,
}

impl Span {
    /// The same as a range without steps.
    pub(crate) fn range(self) -> Range<Quantity> {
        Range { min: self.min, max: self.max, max_step: None }
    }
}

/// Size classes that are allowed, and own ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Classes {
    /// The classes that a container may have; empty = any amounts.
    pub allowed: Vec<String>,
    /// Own classes, by name; one that is built in gets these amounts.
    pub own: BTreeMap<String, OwnClass>,
}

/// The amounts of an own size class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnClass {
    /// Cores.
    pub cpu: Quantity,
    /// Bytes.
    pub memory: Quantity,
}

/// The most OpsRequests that scale and have not ended, among the databases that the policy covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Operations {
    /// In one namespace.
    pub per_namespace: Option<u32>,
    /// In the cluster.
    pub per_cluster: Option<u32>,
}

/// How a direct edit of a database is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectEdits {
    /// As the webhook's own flag says; a warning by default.
    Warn,
    /// It is refused.
    Deny,
}

/// A policy whose namespaces and engines cover a change, with what is known of its operations.
#[derive(Debug, Clone)]
pub struct PolicyFact {
    /// The policy.
    pub policy: Arc<ScalingPolicy>,
    /// How many operations are active without the one that is judged; `None` where nobody has counted.
    pub running: Option<Running>,
}

/// How many OpsRequests that scale are active, among the databases that a policy covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Running {
    /// In the namespace of the change.
    pub namespace: u32,
    /// In the cluster.
    pub cluster: u32,
}

impl ScalingPolicy {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`Unreadable`], where it says something that this version does not understand.
    pub fn of(object: &Value) -> Result<Self, Unreadable> {
        let name = crate::json::text(object, &["metadata", "name"]).to_owned();
        match object.get("spec").map(Spec::deserialize) {
            Some(Ok(spec)) => Ok(Self { name, spec }),
            Some(Err(error)) => Err(Unreadable { name, why: error.to_string() }),
            None => Err(Unreadable { name, why: "it has no spec".to_owned() }),
        }
    }

    /// Whether it covers databases of an engine in a namespace with these labels; what the database's own labels say is
    /// [`ScalingPolicy::selects`].
    #[must_use]
    pub fn reaches(&self, engine: &Engine, namespace: &Labels) -> bool {
        self.names(engine) && self.spec.namespace_selector.as_ref().is_none_or(|s| s.matches(namespace))
    }

    /// Whether an engine is one of those that it names; any is, where it names none.
    #[must_use]
    pub fn names(&self, engine: &Engine) -> bool {
        let named = |name: &String| Catalog::builtin().find(name).is_some_and(|known| known.name == engine.name);
        self.spec.engines.is_empty() || self.spec.engines.iter().any(named)
    }

    /// Whether it covers a database with these labels, where it [`ScalingPolicy::reaches`] its namespace.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        self.spec.selector.as_ref().is_none_or(|s| s.matches(labels))
    }
}

/// The policies that cover the database of a case. An update that changes the labels is held to those from before and after.
pub(crate) fn covering<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a PolicyFact> + use<'a> {
    let (before, after) = (case.database().map(labels), case.afterwards().map(labels));
    case.facts.policies.iter().filter(move |fact| match (before, after) {
        (None, None) => fact.policy.selects(&Labels::default()),
        _ => [before, after].into_iter().flatten().any(|labels| fact.policy.selects(labels)),
    })
}

fn labels(database: &Database) -> &Labels {
    &database.labels
}

#[cfg(test)]
mod tests;

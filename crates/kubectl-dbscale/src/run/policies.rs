//! Scaling policies, as far as they may be read: what they refuse is told before anything is asked. How many operations are
//! active is not counted here, for that takes a list of every kind: the webhook counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dbscale_cluster::cache::{ReadPolicy, labels_of_namespace, read_policy};
use dbscale_cluster::{Cluster, Kind};
use dbscale_core::database::Database;
use dbscale_core::facts::Facts;
use dbscale_core::json;
use dbscale_core::plan::Intent;
use dbscale_core::scaling_policy::{Labels, PolicyFact, ScalingPolicy, Status};
use dbscale_core::size::Sizes;
use futures::future::join_all;
use serde::Deserialize as _;
use serde_json::Value;

use super::Subject;
use super::failure::usage;
use crate::outcome::Failure;

/// What could be read of the policies.
#[derive(Debug, Default)]
pub struct Policies {
    /// The policies, in the order of their names.
    pub all: Vec<ReadPolicy>,
    /// What the controller tells of them, by their names; of one that it has not told of nothing.
    pub statuses: BTreeMap<String, Status>,
    /// Why they are not looked at, where they could not be read.
    pub warning: Option<String>,
}

/// Reads all policies.
pub async fn read(cluster: &Cluster) -> Policies {
    match cluster.policies().await {
        Ok(objects) => Policies {
            all: objects.iter().map(read_policy).collect(),
            statuses: objects.iter().filter_map(status).collect(),
            warning: None,
        },
        Err(failure) => {
            let warning = format!("scaling policies could not be read, so they are not looked at: {}", failure.message);
            Policies { warning: Some(warning), ..Policies::default() }
        }
    }
}

/// The name of a policy and its status, where it has one.
fn status(object: &Value) -> Option<(String, Status)> {
    let status = Status::deserialize(object.get("status")?).ok()?;
    Some((json::text(object, &["metadata", "name"]).to_owned(), status))
}

/// Tells each subject which policies are there for its namespace and engine.
pub(super) async fn fill(cluster: &Cluster, policies: &Policies, subjects: &mut [Subject]) {
    let (labels, mut warnings) = labels(cluster, policies, subjects.iter().map(|s| s.namespace.as_str())).await;
    warnings.extend(policies.warning.clone());
    for subject in subjects {
        subject.warnings.extend(warnings.iter().cloned());
        let labels = labels.get(&subject.namespace).and_then(Option::as_ref);
        let reaches = |policy: &&Arc<ScalingPolicy>| match labels {
            Some(labels) => policy.reaches(subject.engine, labels),
            // Who chooses by labels that are not known is not looked at, as the warning says.
            None => policy.spec.namespace_selector.is_none() && policy.reaches(subject.engine, &Labels::default()),
        };
        let covering = policies.all.iter().flatten().filter(reaches);
        subject.facts.policies = covering.map(|policy| PolicyFact { policy: policy.clone(), running: None }).collect();
        subject.facts.unreadable_policies =
            policies.all.iter().filter_map(|policy| policy.as_ref().err().cloned()).collect();
    }
}

/// The labels of namespaces, read where a policy asks for them; none and a warning where they may not be.
pub async fn labels<'n>(
    cluster: &Cluster,
    policies: &Policies,
    namespaces: impl Iterator<Item = &'n str>,
) -> (BTreeMap<String, Option<Labels>>, Vec<String>) {
    let asked = policies.all.iter().flatten().any(|policy| policy.spec.namespace_selector.is_some());
    let namespaces: BTreeSet<&str> = namespaces.collect();
    let read = namespaces.into_iter().map(|name| async move {
        let object = if asked { cluster.namespace(name).await.map(Some) } else { Ok(None) };
        (name, object)
    });
    let mut warnings = Vec::new();
    let mut labels = BTreeMap::new();
    for (name, object) in join_all(read).await {
        let read = match object {
            Ok(object) => Some(labels_of_namespace(name, object.as_ref())),
            Err(failure) if failure.kind == Kind::NotFound => Some(labels_of_namespace(name, None)),
            Err(failure) => {
                warnings.push(format!(
                    "the labels of namespace {name} could not be read, so a policy that chooses by them is not looked at: {}",
                    failure.message
                ));
                None
            }
        };
        labels.insert(name.to_owned(), read);
    }
    (labels, warnings)
}

/// The wish with the amounts of its size class: of a class that a policy has for this database, else of those that are known
/// everywhere.
///
/// # Errors
/// That there is no such class.
pub(super) fn sized(facts: &Facts, database: &Database, intent: &Intent) -> Result<Intent, Failure> {
    let mut intent = intent.clone();
    let Some(name) = &intent.size else { return Ok(intent) };
    let mut covering = facts.policies.iter().map(|fact| &fact.policy).filter(|policy| policy.selects(&database.labels));
    let own = covering.find_map(|policy| policy.spec.sizes.as_ref()?.own.get(name));
    if let Some(class) = own {
        (intent.cpu, intent.memory) = (Some(class.cpu), Some(class.memory));
    }
    match unknown_size(&intent) {
        Some(failure) => Err(failure),
        None => Ok(intent),
    }
}

/// That a wish names a size class which nobody has told the amounts of.
#[must_use]
pub fn unknown_size(intent: &Intent) -> Option<Failure> {
    let name = intent.size.as_ref().filter(|_| intent.cpu.is_none())?;
    let unknown = Sizes::built_in().find(name).err()?;
    Some(usage(unknown.to_string()))
}

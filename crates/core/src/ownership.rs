//! Whose is it: the names and labels that tie workloads, pods and claims to a database and its components.
//!
//! The catalog holds patterns ([`Pods`]); here they become names, and names lead back to components. Nothing is guessed:
//! a name that fits no component, or two, is answered as such, and the caller leaves the object alone.
//!
//! A name alone proves nothing: a database `x-shard0` has pods that look like those of a shard of `x`. So a caller first
//! follows UIDs (the claims' pods' workloads whose controller is the database), and only then asks here which component it is.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use crate::catalog::{Component, DATABASE_GROUP, Engine, Pods, Pointer};
use crate::database::{ComponentView, Database};

/// The label with the kind of database, `mongodbs.kubedb.com`.
pub const NAME_LABEL: &str = "app.kubernetes.io/name";
/// The label with the database's name.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// The label that says that KubeDB made the object.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// A name with holes: `{/spec/shardTopology/shard/prefix}{db}-shard{i}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Database,
    Shard,
    Item,
    Place(Pointer),
}

/// Why a text is no [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{pattern}' is no name pattern: {reason}; the holes are {{db}}, {{i}}, {{item}} and {{/a/place/of/the/object}}"
)]
pub struct PatternError {
    pattern: String,
    reason: String,
}

/// What fills the holes of a pattern beside the database object.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holes<'a> {
    /// The shard's index from 0, for `{i}`.
    pub shard: Option<i64>,
    /// The list item's name, for `{item}`.
    pub item: Option<&'a str>,
}

/// A workload (PetSet, or StatefulSet for some engines) of a component.
#[derive(Debug, Clone)]
pub struct Workload {
    /// The component's key in [`Engine::components`].
    pub component: &'static str,
    /// How its pods and claims are named.
    pub pods: &'static Pods,
    /// The workload's name.
    pub name: String,
    /// The shard's index from 0, where there is a workload a shard.
    pub shard: Option<i64>,
    /// The list item, where there is a workload an item.
    pub item: Option<String>,
}

impl Pattern {
    /// The name, `None` where the pattern does not apply: a place of the object is missing or empty, or there is no shard or item.
    #[must_use]
    pub fn resolve(&self, object: &Value, holes: Holes<'_>) -> Option<String> {
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Part::Shard => name.push_str(&holes.shard?.to_string()),
                Part::Item => name.push_str(holes.item?),
                other => name.push_str(&other.fixed(object)?),
            }
        }
        Some(name)
    }

    /// The shard's index in `name` where the rest of the pattern fits it. `holes.shard` is not looked at.
    ///
    /// `Some(None)`: it fits and has no shard. An index is written as Go prints it, so `shard01` fits nothing.
    #[must_use]
    pub fn parse_name(&self, name: &str, object: &Value, holes: Holes<'_>) -> Option<Option<i64>> {
        let Some(at) = self.0.iter().position(|p| *p == Part::Shard) else {
            return (self.resolve(object, holes)? == name).then_some(None);
        };
        let half = |parts: &[Part]| Self(parts.to_vec()).resolve(object, holes);
        let digits = name.strip_prefix(&half(&self.0[..at])?)?.strip_suffix(&half(&self.0[at + 1..])?)?;
        let index: i64 = digits.parse().ok()?;
        (index >= 0 && index.to_string() == digits).then_some(Some(index))
    }

    /// The places of the database object that fill its holes.
    pub fn places(&self) -> impl Iterator<Item = &Pointer> {
        self.0.iter().filter_map(|part| match part {
            Part::Place(pointer) => Some(pointer),
            Part::Text(_) | Part::Database | Part::Shard | Part::Item => None,
        })
    }

    fn has_shard(&self) -> bool {
        self.0.contains(&Part::Shard)
    }
}

impl Part {
    /// The text of a part that only the object fills.
    fn fixed(&self, object: &Value) -> Option<String> {
        let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_owned);
        match self {
            Self::Text(literal) => Some(literal.clone()),
            Self::Database => object.pointer("/metadata/name").and_then(text),
            Self::Place(pointer) => pointer.get(object).and_then(text),
            Self::Shard | Self::Item => None,
        }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Self, Self::Err> {
        let fail = |reason: String| PatternError { pattern: pattern.to_owned(), reason };
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some((text, after)) = rest.split_once('{') {
            let (hole, after) = after.split_once('}').ok_or_else(|| fail("a brace is not closed".to_owned()))?;
            if !text.is_empty() {
                parts.push(Part::Text(text.to_owned()));
            }
            parts.push(match hole {
                "db" => Part::Database,
                "i" => Part::Shard,
                "item" => Part::Item,
                place if place.starts_with('/') => Part::Place(place.parse().map_err(|e| fail(format!("{e}")))?),
                other => return Err(fail(format!("'{{{other}}}' is no hole"))),
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

/// The workloads that a database has by its object, in the catalog's order.
///
/// A sidecar has none of its own, nor has a component whose names nobody has written down ([`Pods::sets`] empty).
/// A component without a number of shards of its own (the arbiters of a shard) follows the one of its topology that has one.
#[must_use]
pub fn workloads(database: &Database, object: &Value) -> Vec<Workload> {
    let shards = database.components.iter().filter_map(ComponentView::shards).max().unwrap_or(1);
    let mut all = Vec::new();
    for (view, pods) in with_pods(database) {
        for place in &view.places {
            let item = place.item.as_deref();
            let Some(pattern) = applying(&pods.sets, object, item) else { continue };
            let indices = if pattern.has_shard() { 0..place.shards.unwrap_or(shards) } else { 0..1 };
            all.extend(indices.filter_map(|i| {
                let shard = pattern.has_shard().then_some(i);
                let name = pattern.resolve(object, Holes { shard, item })?;
                Some(Workload { component: view.key, pods, name, shard, item: place.item.clone() })
            }));
        }
    }
    all
}

/// The components that a workload called `name` may belong to: one as a rule, none where it is not known, several where
/// the name does not tell them apart. Shards beyond the object's number count too, as there are while an operation runs.
#[must_use]
pub fn components_of(database: &Database, object: &Value, name: &str) -> Vec<Workload> {
    let mut found = Vec::new();
    for (view, pods) in with_pods(database) {
        for place in &view.places {
            let item = place.item.as_deref();
            let Some(pattern) = applying(&pods.sets, object, item) else { continue };
            if let Some(shard) = pattern.parse_name(name, object, Holes { shard: None, item }) {
                found.push(Workload {
                    component: view.key,
                    pods,
                    name: name.to_owned(),
                    shard,
                    item: place.item.clone(),
                });
            }
        }
    }
    found
}

fn with_pods(database: &Database) -> impl Iterator<Item = (&ComponentView, &'static Pods)> {
    database.components.iter().filter(|c| !c.is_sidecar()).filter_map(|c| Some((c, c.component.pods.as_ref()?)))
}

/// The first pattern that applies to the object.
fn applying(patterns: &[String], object: &Value, item: Option<&str>) -> Option<Pattern> {
    let patterns = patterns.iter().filter_map(|p| p.parse::<Pattern>().ok());
    let holes = Holes { shard: Some(0), item };
    patterns.into_iter().find(|p| p.resolve(object, holes).is_some())
}

/// The names of a component's claim templates that hold data, most likely first; an install has one of them.
#[must_use]
pub fn claim_templates(pods: &Pods, object: &Value, item: Option<&str>) -> Vec<String> {
    let patterns = pods.claims.iter().filter_map(|p| p.parse::<Pattern>().ok());
    patterns.filter_map(|p| p.resolve(object, Holes { shard: None, item })).collect()
}

/// The claim of a pod: `datadir-my-db-0`. Source: `getPersistentVolumeClaimName` of the PetSet and StatefulSet controllers.
#[must_use]
pub fn claim_name(template: &str, workload: &str, ordinal: i64) -> String {
    format!("{template}-{workload}-{ordinal}")
}

/// The pod's ordinal in the name of a claim of this template and workload; `None` where it is not one.
#[must_use]
pub fn claim_ordinal(claim: &str, template: &str, workload: &str) -> Option<i64> {
    ordinal_after(claim, &claim_name(template, workload, 0))
}

/// The ordinal in the name of a pod of this workload; `None` where it is not one.
#[must_use]
pub fn pod_ordinal(pod: &str, workload: &str) -> Option<i64> {
    ordinal_after(pod, &format!("{workload}-0"))
}

/// `name` without what stands before the last character of `zero`, as a number that is written as Go prints it.
fn ordinal_after(name: &str, zero: &str) -> Option<i64> {
    let digits = name.strip_prefix(zero.strip_suffix('0')?)?;
    let ordinal: i64 = digits.parse().ok()?;
    (ordinal >= 0 && ordinal.to_string() == digits).then_some(ordinal)
}

/// The labels of everything that KubeDB makes for a database; also the selector of its workloads and so on its claims.
///
/// `pods` tells the instance label where it is not the database's name (MaxScale's `<db>-mx`).
#[must_use]
pub fn base_labels(engine: &Engine, pods: Option<&Pods>, object: &Value) -> BTreeMap<String, String> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let pattern = pods.and_then(|p| p.instance.as_ref()?.parse::<Pattern>().ok());
    let instance = pattern.and_then(|p| p.resolve(object, Holes::default())).unwrap_or_else(|| name.to_owned());
    BTreeMap::from([
        (NAME_LABEL.to_owned(), format!("{}.{DATABASE_GROUP}", engine.plural)),
        (INSTANCE_LABEL.to_owned(), instance),
        (MANAGED_BY_LABEL.to_owned(), DATABASE_GROUP.to_owned()),
    ])
}

/// The labels of a component's pods beyond the base ones.
#[must_use]
pub fn extra_labels(pods: &Pods, object: &Value, holes: Holes<'_>) -> BTreeMap<String, String> {
    let filled = |value: &str| value.parse::<Pattern>().ok()?.resolve(object, holes);
    pods.labels.iter().filter_map(|(key, value)| Some((key.clone(), filled(value)?))).collect()
}

/// The headless service of a component's pods; `{db}-pods` unless the catalog says otherwise.
#[must_use]
pub fn service_name(pods: &Pods, object: &Value, holes: Holes<'_>) -> Option<String> {
    let pattern = pods.service.as_deref().unwrap_or("{db}-pods").parse::<Pattern>().ok()?;
    pattern.resolve(object, holes)
}

/// Every pattern of a component, for the check that all of them can be read.
pub fn patterns(component: &Component) -> impl Iterator<Item = &String> {
    component
        .pods
        .iter()
        .flat_map(|p| p.sets.iter().chain(&p.claims).chain(&p.instance).chain(p.labels.values()).chain(&p.service))
}

#[cfg(test)]
#[path = "ownership_tests.rs"]
mod tests;

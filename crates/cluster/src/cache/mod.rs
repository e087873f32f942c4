//! What is known of a cluster's databases, OpsRequests, storage classes and namespaces: trimmed views, fed by watches
//! ([`crate::watch`]).
//!
//! A database is kept as it is judged by: read once when a watch tells of it, and shared with each review that asks. Of
//! OpsRequests the active ones are kept, and the finished ones for ten minutes.

mod databases;
mod policies;
mod store;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dbscale_core::catalog::{Catalog, Engine, SetKind};
use dbscale_core::database::Database;
use dbscale_core::facts::{ClassFact, Known};
use dbscale_core::json;
use dbscale_core::policy::ENFORCEMENT;
use dbscale_core::scaling_policy::Labels;
use dbscale_core::status::Operation;
use jiff::Timestamp;
use serde_json::Value;

use self::databases::{as_known, kept};
pub use self::policies::{ReadPolicy, labels_of_namespace, read_policy};
use self::store::{State, Store, feed};
use dbscale_trim::shapes::Role;

/// For how many seconds a finished OpsRequest is remembered: KubeDB writes what it has done at the end, and a write may be late.
pub const REMEMBERED_S: i64 = 600;

/// A watch that is broken says so at least this often; one that has been silent for longer is well again, for nothing else
/// tells of a watch that was taken up where it had broken off.
const QUIET_S: i64 = 90;

/// An OpsRequest that is known.
#[derive(Debug, Clone)]
pub struct Seen {
    /// What rules look at.
    pub operation: Operation,
    /// Its spec, as JSON.
    spec: Box<[u8]>,
    /// When it ended, in Unix seconds.
    ended_s: Option<i64>,
    /// When it was let in, in Unix milliseconds, where no watch has told of it yet.
    pub admitted_ms: Option<i64>,
}

impl Seen {
    /// Reads an OpsRequest; one that has ended and does not say when has ended at `now`.
    #[must_use]
    pub fn of(object: &Value, engine: &Engine, now: Timestamp) -> Self {
        let operation = Operation::of(object, &engine.reference);
        let ended_s = operation.phase.is_finished().then(|| ended(object).unwrap_or(now).as_second());
        let spec = object.get("spec").and_then(|spec| serde_json::to_vec(spec).ok()).unwrap_or_default().into();
        Self { operation, spec, ended_s, admitted_ms: None }
    }

    /// Its spec.
    #[must_use]
    pub fn spec(&self) -> Value {
        serde_json::from_slice(&self.spec).unwrap_or_default()
    }

    /// Whether it is active, or has ended less than [`REMEMBERED_S`] ago.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> bool {
        self.ended_s.is_none_or(|ended| now.as_second() - ended < REMEMBERED_S)
    }
}

/// The latest change of its conditions.
fn ended(object: &Value) -> Option<Timestamp> {
    let conditions = json::at(object, &["status", "conditions"])?.as_array()?;
    conditions.iter().filter_map(|c| c.get("lastTransitionTime")?.as_str()?.parse().ok()).max()
}

#[derive(Debug, Default)]
struct Kinds {
    /// Nothing of one that is too large to be kept.
    databases: Store<Option<Arc<Database>>>,
    /// By their database; the objects' own names are in them.
    operations: Store<Vec<Seen>>,
}

#[derive(Debug, Default)]
struct Inner {
    engines: HashMap<&'static str, Kinds>,
    classes: Store<ClassFact>,
    /// The labels of namespaces: by them policies cover, and refusals are warnings.
    namespaces: Store<Labels>,
    policies: Store<ReadPolicy>,
    /// The first and the last error of each watch that is broken (Unix seconds).
    broken: HashMap<Topic, (i64, i64)>,
}

/// What is known of a cluster. Reads never wait for the network.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Inner>);

/// What a watch is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// An engine's databases or OpsRequests.
    Engine(&'static str, Role),
    /// Storage classes.
    Classes,
    /// Namespaces, for their labels.
    Namespaces,
    /// Scaling policies.
    Policies,
    /// Records of scaling.
    Records,
    /// The claims of databases.
    Claims,
    /// The workloads of databases.
    Workloads(SetKind),
}

impl Topic {
    /// The engine that it is about.
    #[must_use]
    pub fn engine(self) -> Option<&'static str> {
        match self {
            Self::Engine(engine, _) => Some(engine),
            _ => None,
        }
    }

    /// In words: `mongodb databases`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Engine(engine, Role::Database) => format!("{engine} databases"),
            Self::Engine(engine, Role::Operation) => format!("{engine} OpsRequests"),
            Self::Classes => "storage classes".to_owned(),
            Self::Namespaces => "namespaces".to_owned(),
            Self::Policies => "scaling policies".to_owned(),
            Self::Records => "records".to_owned(),
            Self::Claims => "claims".to_owned(),
            Self::Workloads(SetKind::PetSet) => "pet sets".to_owned(),
            Self::Workloads(SetKind::StatefulSet) => "stateful sets".to_owned(),
        }
    }
}

/// A change that a watch tells.
#[derive(Debug)]
pub enum Event<'v> {
    /// A new list begins.
    Begin,
    /// It is complete.
    Complete,
    /// An object is there, or has changed.
    Apply(&'v Value),
    /// An object is gone.
    Delete(&'v Value),
    /// The watch is broken; it will be tried again.
    Broken(String),
    /// The server does not have the kind any more.
    Absent,
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what a watch tells.
    pub fn tell(&self, topic: Topic, event: &Event<'_>, now: Timestamp) {
        let mut inner = self.lock();
        if matches!(event, Event::Broken(_)) {
            let (first, last) = inner.broken.get(&topic).copied().unwrap_or((0, i64::MIN));
            let first = if now.as_second().saturating_sub(last) > QUIET_S { now.as_second() } else { first };
            inner.broken.insert(topic, (first, now.as_second()));
        } else {
            inner.broken.remove(&topic);
        }
        match topic {
            Topic::Classes => feed(&mut inner.classes, event, |items, object, there| {
                match ClassFact::of(object).filter(|_| there) {
                    Some((name, fact)) => items.insert(name.into(), fact),
                    None => items.remove(key(object).1),
                };
            }),
            // Of no use to rules.
            Topic::Records | Topic::Claims | Topic::Workloads(_) => {}
            Topic::Namespaces => feed(&mut inner.namespaces, event, |items, object, there| {
                let (_, name) = key(object);
                if there {
                    items.insert(name.into(), labels_of_namespace(name, Some(object)));
                } else {
                    items.remove(name);
                }
            }),
            Topic::Policies => feed(&mut inner.policies, event, |items, object, there| {
                let (_, name) = key(object);
                if there {
                    items.insert(name.into(), read_policy(object));
                } else {
                    items.remove(name);
                }
            }),
            Topic::Engine(engine, Role::Database) => {
                let Some(known) = Catalog::builtin().find(engine) else { return };
                let store = &mut inner.engines.entry(engine).or_default().databases;
                // A list that is read again mostly tells what is known: it is not kept twice while it is read.
                let same = match event {
                    Event::Apply(object) => as_known(store, object),
                    _ => None,
                };
                feed(store, event, |items, object, there| {
                    let (namespace, name) = key(object);
                    let key = joined(namespace, name);
                    if there {
                        items.insert(key, same.or_else(|| kept(Database::of(known, object))));
                    } else {
                        items.remove(&key);
                    }
                });
            }
            Topic::Engine(engine, Role::Operation) => {
                let Some(known) = Catalog::builtin().find(engine) else { return };
                let store = &mut inner.engines.entry(engine).or_default().operations;
                if matches!(event, Event::Complete)
                    && let Some(filling) = &mut store.filling
                {
                    // What was let in while the list was read is not in it.
                    for (key, seen) in &store.items {
                        for seen in seen.iter().filter(|s| s.admitted_ms.is_some()) {
                            let there = filling.entry(key.clone()).or_default();
                            if there.iter().all(|t| t.operation.name != seen.operation.name) {
                                there.push(seen.clone());
                            }
                        }
                    }
                }
                feed(store, event, |items, object, there| {
                    let seen = Seen::of(object, known, now);
                    let key = joined(key(object).0, &seen.operation.database);
                    let others = items.entry(key.clone()).or_default();
                    others.retain(|o| o.operation.name != seen.operation.name);
                    if there && seen.counts(now) {
                        // Most databases have one: a list that grows by itself begins with room for four.
                        others.reserve_exact(1);
                        others.push(seen);
                    }
                    if others.is_empty() {
                        items.remove(&key);
                    }
                });
            }
        }
    }

    /// A database; unknown where its kind is not read, and where it is too large to be kept.
    #[must_use]
    pub fn database(&self, engine: &Engine, namespace: &str, name: &str) -> Known<Database> {
        let inner = self.lock();
        let Some(store) = inner.engines.get(engine.name.as_str()).map(|k| &k.databases) else { return Known::Unknown };
        match store.items.get(&*joined(namespace, name)) {
            Some(Some(database)) => Known::Here(Arc::clone(database)),
            None if store.state == State::Synced => Known::Missing,
            Some(None) | None => Known::Unknown,
        }
    }

    /// The OpsRequests of a database that are active or have ended a short while ago; `None` where they are not read.
    #[must_use]
    pub fn operations(&self, engine: &Engine, namespace: &str, name: &str, now: Timestamp) -> Option<Vec<Seen>> {
        let inner = self.lock();
        let store = &inner.engines.get(engine.name.as_str())?.operations;
        if store.state != State::Synced {
            return None;
        }
        let seen = store.items.get(&*joined(namespace, name));
        Some(seen.into_iter().flatten().filter(|s| s.counts(now)).cloned().collect())
    }

    /// The OpsRequests of a database that were let in and that no watch has told of yet.
    #[must_use]
    pub fn admitted(&self, engine: &Engine, namespace: &str, name: &str) -> Vec<Seen> {
        let inner = self.lock();
        let kinds = inner.engines.get(engine.name.as_str());
        let seen = kinds.and_then(|k| k.operations.items.get(&*joined(namespace, name)));
        seen.into_iter().flatten().filter(|s| s.admitted_ms.is_some()).cloned().collect()
    }

    /// All storage classes; `None` where they are not read.
    #[must_use]
    pub fn classes(&self) -> Option<BTreeMap<String, ClassFact>> {
        let inner = self.lock();
        let classes = inner.classes.items.iter().map(|(name, fact)| (name.to_string(), fact.clone()));
        (inner.classes.state == State::Synced).then(|| classes.collect())
    }

    /// Whether refusals are warnings in a namespace; `None` where it does not say.
    #[must_use]
    pub fn is_lenient(&self, namespace: &str) -> Option<bool> {
        match self.lock().namespaces.items.get(namespace)?.get(ENFORCEMENT)?.as_str() {
            "warn" => Some(true),
            "enforce" => Some(false),
            _ => None,
        }
    }

    /// Remembers an OpsRequest that is let in, until a watch tells of it.
    pub fn admit(&self, engine: &'static Engine, namespace: &str, object: &Value, now: Timestamp) {
        let seen = Seen { admitted_ms: Some(now.as_millisecond()), ..Seen::of(object, engine, now) };
        let mut inner = self.lock();
        let store = &mut inner.engines.entry(engine.name.as_str()).or_default().operations;
        let others = store.items.entry(joined(namespace, &seen.operation.database)).or_default();
        match others.iter_mut().find(|o| o.operation.name == seen.operation.name) {
            // Tried once more: its place is kept anew.
            Some(old) if old.admitted_ms.is_some() => *old = seen,
            Some(_) => {}
            None => {
                others.reserve_exact(1);
                others.push(seen);
            }
        }
    }

    /// Forgets an OpsRequest that was let in and never came to be.
    pub fn retract(&self, engine: &Engine, namespace: &str, operation: &Operation) {
        let mut inner = self.lock();
        let Some(kinds) = inner.engines.get_mut(engine.name.as_str()) else { return };
        if let Some(others) = kinds.operations.items.get_mut(&*joined(namespace, &operation.database)) {
            others.retain(|o| o.admitted_ms.is_none() || o.operation.name != operation.name);
        }
    }

    /// Forgets OpsRequests that ended too long ago, and those that were let in and never came to be.
    pub fn forget(&self, now: Timestamp) {
        let mut inner = self.lock();
        for kinds in inner.engines.values_mut() {
            kinds.operations.items.retain(|_, seen| {
                let stale = |s: &Seen| s.admitted_ms.is_some_and(|at| now.as_millisecond() - at > 60_000);
                seen.retain(|s| s.counts(now) && !stale(s));
                !seen.is_empty()
            });
        }
    }

    /// What is not read yet, in words; empty where all is.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        let inner = self.lock();
        let mut waiting = Vec::new();
        let mut look = |topic: Topic, state: &State| {
            if let State::Waiting(why) = state {
                waiting.push(format!("{}: {why}", topic.name()));
            }
        };
        look(Topic::Classes, &inner.classes.state);
        look(Topic::Namespaces, &inner.namespaces.state);
        look(Topic::Policies, &inner.policies.state);
        for (engine, kinds) in &inner.engines {
            look(Topic::Engine(engine, Role::Database), &kinds.databases.state);
            look(Topic::Engine(engine, Role::Operation), &kinds.operations.state);
        }
        waiting.sort();
        waiting
    }

    /// For how many seconds the longest-broken watch has been so; 0 where all are well.
    #[must_use]
    pub fn age_s(&self, now: Timestamp) -> i64 {
        let inner = self.lock();
        let now = now.as_second();
        let broken = inner.broken.values().filter(|(_, last)| now - last <= QUIET_S);
        broken.map(|(first, _)| now - first).max().unwrap_or(0)
    }

    /// How many databases and OpsRequests are known.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        let inner = self.lock();
        let operations = |k: &Kinds| k.operations.items.values().map(Vec::len).sum::<usize>();
        inner.engines.values().fold((0, 0), |(d, o), k| (d + k.databases.items.len(), o + operations(k)))
    }
}

/// Namespace and name of an object.
fn key(object: &Value) -> (&str, &str) {
    (json::text(object, &["metadata", "namespace"]), json::text(object, &["metadata", "name"]))
}

fn joined(namespace: &str, name: &str) -> Box<str> {
    // A slash is in no name.
    [namespace, "/", name].concat().into()
}

#[cfg(test)]
mod tests;

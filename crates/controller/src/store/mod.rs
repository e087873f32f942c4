//! What is known of a cluster: databases, OpsRequests, records, workloads and claims, as small as they can be kept. Fed by
//! watches; tells the queue which databases have changed.

mod fill;
mod policies;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use dbscale_cluster::cache::{Event, Topic};
use dbscale_cluster::watch::Audience;
use dbscale_core::catalog::{Catalog, Engine, Pointer, SetKind};
use dbscale_core::ownership::{self, Pattern};
use dbscale_core::plan::REQUEST_ID;
use dbscale_core::record::{Request, Status};
use dbscale_core::scaling_policy::Upkeep;
use dbscale_trim::Keep;
use dbscale_trim::shapes::{Role, any_database};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;

use self::fill::{concerns, recorded};
use self::policies::Covering;
pub use self::policies::{Facts, KnownPolicy, Stale};
use crate::queue::Due;

/// A database, whether it is there or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Its engine's name.
    pub engine: &'static str,
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

impl std::fmt::Display for Key {
    /// `mongodb/demo/my-db`, which the log calls `database_id`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.engine, self.namespace, self.name)
    }
}

/// A record as the server has it, or will have it when the watch tells.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its status.
    pub status: Arc<Status>,
    /// `metadata.resourceVersion`, as a number.
    pub version: u64,
    /// Whether the watch has told of this version: the server keeps it, and nobody has to believe a write.
    pub read_back: bool,
}

/// All that is known of a database.
#[derive(Debug, Clone)]
pub struct View {
    /// The trimmed object.
    pub object: Value,
    /// Its OpsRequests.
    pub requests: Vec<Arc<Request>>,
    /// Its record.
    pub recorded: Option<Recorded>,
    /// The workloads with its labels.
    pub sets: Vec<Arc<Value>>,
    /// The claims with its labels.
    pub claims: Vec<Arc<Value>>,
    /// Whether workloads and claims have been read.
    pub volumes_known: bool,
    /// What the policies ask that cover it.
    pub upkeep: Upkeep,
    /// Whether all policies that may cover it are known. Where they cannot be read, nothing is made or deleted that one of them
    /// may forbid.
    pub upkeep_known: bool,
}

/// One thing of a list, with the list's number: what a newer list no longer has is gone.
#[derive(Debug)]
struct Listed<T> {
    item: T,
    list: u32,
}

#[derive(Debug, Default)]
struct Entry {
    /// The trimmed object as text: the tree of it is five times as large.
    database: Option<Listed<Box<[u8]>>>,
    /// Values of the instance label beside the database's own name, as MaxScale's pods have one.
    further: Box<[Box<str>]>,
    requests: Vec<Listed<Arc<Request>>>,
    record: Option<Listed<Recorded>>,
}

/// Namespace and value of the instance label.
type Instance = (Box<str>, Box<str>);

/// Objects of a namespace and an instance, by their names.
type ByInstance = HashMap<Instance, HashMap<Box<str>, Listed<Arc<Value>>>>;

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    /// Workloads and claims.
    volumes: HashMap<Topic, ByInstance>,
    /// Whose pods and claims have an instance label.
    owners: HashMap<Instance, Vec<Key>>,
    /// How many lists of a topic were begun.
    lists: HashMap<Topic, u32>,
    /// What the server has, and is watched.
    watched: HashSet<Topic>,
    synced: HashSet<Topic>,
    /// Why a topic cannot be read.
    broken: HashMap<Topic, String>,
    /// Scaling policies, and the namespaces that they cover by.
    covering: Covering,
}

/// What is known of a cluster.
#[derive(Debug)]
pub struct Store {
    inner: Mutex<Inner>,
    due: Arc<Due<Key>>,
    /// Told when a policy's status may have to change.
    pub standing: Notify,
}

impl Inner {
    /// Whether the server has a topic that has not been read yet.
    fn is_awaited(&self, topic: Topic) -> bool {
        self.watched.contains(&topic) && !self.synced.contains(&topic)
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.database.is_none() && self.requests.is_empty() && self.record.is_none()
    }
}

impl Store {
    /// One that tells `due` of databases that changed.
    #[must_use]
    pub fn new(due: Arc<Due<Key>>) -> Self {
        Self { inner: Mutex::default(), due, standing: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a database; `None` where it is not there, or too little has been read to say anything.
    #[must_use]
    pub fn view(&self, key: &Key) -> Option<View> {
        let inner = self.lock();
        let read = |topic| inner.synced.contains(&topic);
        let needed =
            [Topic::Engine(key.engine, Role::Database), Topic::Engine(key.engine, Role::Operation), Topic::Records];
        let covering = [Topic::Policies, Topic::Namespaces];
        let waits = |topic: &Topic| inner.is_awaited(*topic) && !inner.broken.contains_key(topic);
        if !needed.into_iter().all(read) || covering.iter().any(waits) {
            return None;
        }
        let entry = inner.entries.get(key)?;
        let object: Value = serde_json::from_slice(&entry.database.as_ref()?.item).ok()?;
        let instances = || std::iter::once(&key.name).chain(&entry.further);
        let of = |topic| -> Vec<Arc<Value>> {
            let Some(all) = inner.volumes.get(&topic) else { return Vec::new() };
            let found = instances().filter_map(|i| all.get(&(key.namespace.clone(), i.clone())));
            found.flat_map(HashMap::values).map(|l| Arc::clone(&l.item)).collect()
        };
        let kind = workload_kind(key.engine);
        Some(View {
            requests: entry.requests.iter().map(|r| Arc::clone(&r.item)).collect(),
            recorded: entry.record.as_ref().map(|r| r.item.clone()),
            sets: of(Topic::Workloads(kind)),
            claims: of(Topic::Claims),
            volumes_known: read(Topic::Claims) && read(Topic::Workloads(kind)),
            upkeep: inner.covering.upkeep_of(key, &object),
            upkeep_known: !covering.iter().any(|topic| inner.is_awaited(*topic)),
            object,
        })
    }

    /// Takes in a record as the server answered a write of it, before the watch tells.
    pub fn wrote(&self, key: &Key, object: &Value) {
        let Some(recorded) = recorded(object) else { return };
        let mut inner = self.lock();
        let list = inner.lists.get(&Topic::Records).copied().unwrap_or(0);
        let Some(entry) = inner.entries.get_mut(key) else { return };
        if entry.record.as_ref().is_none_or(|r| r.item.version < recorded.version) {
            entry.record = Some(Listed { item: Recorded { read_back: false, ..recorded }, list });
        }
    }

    /// What cannot be read, in words; empty where all can.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let inner = self.lock();
        let mut all: Vec<String> = inner.broken.iter().map(|(topic, why)| format!("{}: {why}", topic.name())).collect();
        all.sort();
        all
    }

    /// How many operations of each engine are active, and how many databases and OpsRequests are known.
    #[must_use]
    pub fn counts(&self) -> (HashMap<&'static str, i64>, i64, i64) {
        let inner = self.lock();
        let (mut databases, mut requests) = (0, 0);
        // Also those of which nothing is left.
        let mut active: HashMap<&'static str, i64> =
            inner.lists.keys().filter_map(|t| Some((t.engine()?, 0))).collect();
        for (key, entry) in &inner.entries {
            let running = entry.requests.iter().filter(|r| r.item.phase.is_active()).count();
            *active.entry(key.engine).or_default() += i64::try_from(running).unwrap_or(0);
            databases += i64::from(entry.database.is_some());
            requests += i64::try_from(entry.requests.len()).unwrap_or(0);
        }
        (active, databases, requests)
    }
}

impl Audience for Store {
    // Policies first: nothing is done to a database before it is known what they ask.
    const OTHERS: &'static [Topic] = &[
        Topic::Policies,
        Topic::Namespaces,
        Topic::Records,
        Topic::Claims,
        Topic::Workloads(SetKind::PetSet),
        Topic::Workloads(SetKind::StatefulSet),
    ];

    fn databases() -> &'static Keep {
        static KEEP: LazyLock<Keep> = LazyLock::new(|| {
            let mut keep = any_database().clone();
            keep.all(&place("/metadata/annotations").field(REQUEST_ID));
            for component in Catalog::builtin().engines().flat_map(|e| e.components.values()) {
                let patterns = ownership::patterns(component).filter_map(|p| p.parse::<Pattern>().ok());
                for pattern in patterns.collect::<Vec<_>>() {
                    pattern.places().for_each(|p| keep.all(p));
                }
            }
            keep
        });
        &KEEP
    }

    fn operations() -> &'static Keep {
        static KEEP: LazyLock<Keep> = LazyLock::new(|| {
            let mut keep = Keep::nothing();
            let fields = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"];
            for field in fields.into_iter().chain(["labels", "annotations", "ownerReferences"]) {
                keep.all(&place("/metadata").field(field));
            }
            for at in ["/spec", "/status/phase", "/status/conditions"] {
                keep.all(&place(at));
            }
            keep
        });
        &KEEP
    }

    fn tell(&self, topic: Topic, event: &Event<'_>, _now: Timestamp) {
        let mut inner = self.lock();
        let mut changed = HashSet::new();
        match event {
            Event::Begin => {
                *inner.lists.entry(topic).or_default() += 1;
                inner.watched.insert(topic);
            }
            Event::Complete => {
                inner.broken.remove(&topic);
                inner.sweep(topic, &mut changed);
                if inner.synced.insert(topic) {
                    // What was held back because of this topic.
                    changed.extend(inner.entries.keys().filter(|k| concerns(topic, k)).cloned());
                }
            }
            Event::Apply(object) => inner.put(topic, object, &mut changed),
            Event::Delete(object) => inner.take(topic, object, &mut changed),
            Event::Broken(why) => {
                let is_new = inner.broken.insert(topic, why.clone()).is_none();
                if is_new && matches!(topic, Topic::Policies | Topic::Namespaces) && inner.is_awaited(topic) {
                    changed.extend(inner.entries.keys().cloned()); // it is not waited for any longer
                }
            }
            Event::Absent => {
                *inner.lists.entry(topic).or_default() += 1;
                inner.sweep(topic, &mut changed);
                inner.watched.remove(&topic);
                inner.synced.remove(&topic);
                inner.broken.remove(&topic);
            }
        }
        let stands_otherwise = inner.note_standing(topic, event, &changed);
        drop(inner);
        if stands_otherwise {
            self.standing.notify_one();
        }
        for key in changed {
            self.due.now(key);
        }
    }
}

/// The engine called so.
#[must_use]
pub fn engine_of(name: &str) -> Option<&'static Engine> {
    Catalog::builtin().find(name)
}

/// What runs the pods of an engine.
fn workload_kind(engine: &str) -> SetKind {
    let components = engine_of(engine).into_iter().flat_map(|e| e.components.values());
    components.filter_map(|c| c.pods.as_ref()).map(|p| p.kind).next().unwrap_or_default()
}

fn place(text: &str) -> Pointer {
    text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! Scaling policies and the labels of namespaces, and what of them has changed since somebody looked.

use std::collections::{HashMap, HashSet};

use dbscale_cluster::cache::{Event, ReadPolicy, Topic, labels_of_namespace, read_policy};
use dbscale_core::change::STANZAS;
use dbscale_core::record::Request;
use dbscale_core::scaling_policy::{Labels, ScalingPolicy, Status, Upkeep, labels_of};
use dbscale_trim::shapes::Role;
use serde_json::Value;

use super::fill::text;
use super::{Inner, Key, Listed, Store, engine_of};

/// A policy, and what its status says.
#[derive(Debug, Clone)]
pub struct KnownPolicy {
    /// Its name.
    pub name: Box<str>,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// What it asks.
    pub read: ReadPolicy,
    /// Its status; one that cannot be read is empty.
    pub status: Status,
    /// `metadata.resourceVersion`, as a number.
    version: u64,
}

impl KnownPolicy {
    fn of(object: &Value) -> Self {
        let status = object.get("status").cloned().and_then(|status| serde_json::from_value(status).ok());
        Self {
            name: text(object, "/metadata/name").into(),
            uid: text(object, "/metadata/uid").into(),
            generation: object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0),
            read: read_policy(object),
            status: status.unwrap_or_default(),
            version: text(object, "/metadata/resourceVersion").parse().unwrap_or(0),
        }
    }
}

/// What has changed since somebody looked how databases stand to policies.
#[derive(Debug, Default)]
pub struct Stale {
    /// Whether policies cover or ask something else, so that every database may stand otherwise.
    pub all: bool,
    /// The databases that have changed, or whose namespaces have.
    pub databases: HashSet<Key>,
}

/// What tells how a database stands to policies.
#[derive(Debug)]
pub struct Facts {
    /// The trimmed object; `None` where it is not there, and only OpsRequests are.
    pub object: Option<Value>,
    /// The labels of its namespace.
    pub namespace: Labels,
    /// Its OpsRequests that scale and have not ended: `mongodbopsrequest/ask`.
    pub active: Vec<String>,
}

/// Policies, the labels of namespaces, and what has changed.
#[derive(Debug, Default)]
pub(super) struct Covering {
    policies: HashMap<Box<str>, Listed<KnownPolicy>>,
    namespaces: HashMap<Box<str>, Listed<Labels>>,
    stale: Stale,
    /// Namespaces whose labels have changed.
    moved: HashSet<Box<str>>,
}

/// Of which databases policies ask something else of the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touched {
    Nothing,
    Namespace,
    Everything,
}

impl Touched {
    fn everything(is: bool) -> Self {
        if is { Self::Everything } else { Self::Nothing }
    }
}

/// Whether a policy asks anything of the controller.
fn asks(policy: &KnownPolicy) -> bool {
    policy.read.as_ref().is_ok_and(|policy| policy.spec.asks_upkeep())
}

impl Covering {
    pub(super) fn put(&mut self, topic: Topic, object: &Value, list: u32) -> Touched {
        let name = text(object, "/metadata/name");
        if topic == Topic::Namespaces {
            let labels = labels_of_namespace(name, Some(object));
            let before = self.namespaces.insert(name.into(), Listed { item: labels, list });
            if before.is_some_and(|before| before.item == self.namespaces[name].item) {
                return Touched::Nothing;
            }
            self.moved.insert(name.into());
            return self.of_namespaces();
        }
        let policy = KnownPolicy::of(object);
        match self.policies.get_mut(name) {
            // An echo of what was there before the last write.
            Some(known) if known.item.uid == policy.uid && known.item.version > policy.version => {
                known.list = list;
                Touched::Nothing
            }
            Some(known) => {
                let differs = known.item.read != policy.read;
                self.stale.all |= differs;
                let touched = Touched::everything(differs && (asks(&known.item) || asks(&policy)));
                *known = Listed { item: policy, list };
                touched
            }
            None => {
                self.stale.all = true;
                let touched = Touched::everything(asks(&policy));
                self.policies.insert(name.into(), Listed { item: policy, list });
                touched
            }
        }
    }

    pub(super) fn take(&mut self, topic: Topic, name: &str) -> Touched {
        if topic == Topic::Namespaces {
            if self.namespaces.remove(name).is_none() {
                return Touched::Nothing;
            }
            self.moved.insert(name.into());
            return self.of_namespaces();
        }
        let gone = self.policies.remove(name);
        self.stale.all |= gone.is_some();
        Touched::everything(gone.is_some_and(|policy| asks(&policy.item)))
    }

    pub(super) fn sweep(&mut self, topic: Topic, list: u32) -> Touched {
        match topic {
            Topic::Policies => {
                let gone: Vec<Listed<KnownPolicy>> =
                    self.policies.extract_if(|_, policy| policy.list != list).map(|(_, policy)| policy).collect();
                self.stale.all |= !gone.is_empty();
                Touched::everything(gone.iter().any(|policy| asks(&policy.item)))
            }
            Topic::Namespaces => {
                let gone = self.namespaces.extract_if(|_, labels| labels.list != list);
                let before = self.moved.len();
                self.moved.extend(gone.map(|(name, _)| name));
                Touched::everything(self.moved.len() != before && self.of_namespaces() != Touched::Nothing)
            }
            _ => Touched::Nothing,
        }
    }

    /// What a change of a namespace's labels touches: nothing, where no policy that asks something chooses by them.
    fn of_namespaces(&self) -> Touched {
        let mut asking = self.policies.values().filter(|policy| asks(&policy.item));
        let by_namespace = |policy: &Listed<KnownPolicy>| {
            policy.item.read.as_ref().is_ok_and(|policy| policy.spec.namespace_selector.is_some())
        };
        if asking.any(by_namespace) { Touched::Namespace } else { Touched::Nothing }
    }

    /// What the policies ask that cover a database.
    pub(super) fn upkeep_of(&self, key: &Key, object: &Value) -> Upkeep {
        let mut asking = self.policies.values().filter(|policy| asks(&policy.item)).peekable();
        let Some(engine) = engine_of(key.engine).filter(|_| asking.peek().is_some()) else { return Upkeep::default() };
        let (namespace, labels) = (self.labels_of(&key.namespace), labels_of(object));
        let covers = |policy: &&ScalingPolicy| policy.reaches(engine, &namespace) && policy.selects(&labels);
        let read = asking.filter_map(|policy| policy.item.read.as_deref().ok());
        let mut covering: Vec<&ScalingPolicy> = read.filter(covers).collect();
        // One order, so that of two that are equally strict the same one is always named.
        covering.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Upkeep::of(covering)
    }

    pub(super) fn labels_of(&self, namespace: &str) -> Labels {
        self.namespaces.get(namespace).map_or_else(|| labels_of_namespace(namespace, None), |known| known.item.clone())
    }
}

impl Inner {
    fn policies(&self) -> Option<Vec<KnownPolicy>> {
        let read = [Topic::Policies, Topic::Namespaces].iter().all(|topic| self.synced.contains(topic));
        let mut policies: Vec<KnownPolicy> = self.covering.policies.values().map(|p| p.item.clone()).collect();
        policies.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        read.then_some(policies)
    }

    /// Notes what of a change may make databases stand otherwise to policies; answers whether anything may.
    pub(super) fn note_standing(&mut self, topic: Topic, event: &Event<'_>, changed: &HashSet<Key>) -> bool {
        match topic {
            Topic::Engine(..) if self.covering.policies.is_empty() => return false, // the first policy has all looked at
            Topic::Engine(..) => self.covering.stale.databases.extend(changed.iter().cloned()),
            Topic::Policies | Topic::Namespaces => {}
            _ => return false,
        }
        // A kind that has been read as a whole may be the last that was waited for, also where nothing has changed.
        let whole = matches!(event, Event::Complete | Event::Absent);
        whole || !changed.is_empty() || matches!(topic, Topic::Policies | Topic::Namespaces)
    }
}

impl Store {
    /// All policies, in the order of their names; `None` while they, or the namespaces, have not been read.
    #[must_use]
    pub fn policies(&self) -> Option<Vec<KnownPolicy>> {
        self.lock().policies()
    }

    /// The engines that are not read as a whole, so that nobody can tell how many of their databases there are.
    #[must_use]
    pub fn unread(&self) -> HashSet<&'static str> {
        let inner = self.lock();
        let unread = |role: Role| {
            let begun = inner.watched.iter().filter(move |topic| matches!(topic, Topic::Engine(_, r) if *r == role));
            begun.filter(|topic| !inner.synced.contains(topic)).filter_map(|topic| topic.engine())
        };
        unread(Role::Database).chain(unread(Role::Operation)).collect()
    }

    /// All policies as [`Store::policies`] tells them, and what has changed since this was asked last, of one moment: a policy
    /// that is changed between the two would be taken for one that has been looked at.
    #[must_use]
    pub fn stale(&self) -> Option<(Vec<KnownPolicy>, Stale)> {
        let mut inner = self.lock();
        let policies = inner.policies()?;
        let mut stale = std::mem::take(&mut inner.covering.stale);
        let moved = std::mem::take(&mut inner.covering.moved);
        if stale.all {
            stale.databases = inner.entries.keys().cloned().collect();
        } else if !moved.is_empty() {
            stale.databases.extend(inner.entries.keys().filter(|key| moved.contains(&key.namespace)).cloned());
        }
        Some((policies, stale))
    }

    /// What tells how a database stands to policies; `None` where nothing is known of it.
    #[must_use]
    pub fn facts(&self, key: &Key) -> Option<Facts> {
        let inner = self.lock();
        let entry = inner.entries.get(key)?;
        let text = entry.database.as_ref().map(|database| database.item.clone());
        let namespace = inner.covering.labels_of(&key.namespace);
        let scales = |r: &Request| r.phase.is_active() && STANZAS.iter().any(|stanza| *stanza.ops_type == *r.ops_type);
        let active = entry.requests.iter().map(|r| &r.item).filter(|r| scales(r));
        let kind = engine_of(key.engine).map(|engine| engine.ops_kind().to_lowercase()).unwrap_or_default();
        let mut active: Vec<String> = active.map(|r| format!("{kind}/{}", r.name)).collect();
        drop(inner);
        active.sort_unstable();
        Some(Facts { object: text.and_then(|text| serde_json::from_slice(&text).ok()), namespace, active })
    }

    /// Takes in a policy as the server answered a write of its status, before the watch tells.
    pub fn wrote_policy(&self, object: &Value) {
        let policy = KnownPolicy::of(object);
        let mut inner = self.lock();
        let Some(known) = inner.covering.policies.get_mut(&policy.name) else { return };
        if known.item.uid == policy.uid && known.item.version < policy.version {
            known.item.status = policy.status;
            known.item.version = policy.version;
        }
    }
}

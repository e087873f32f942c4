//! What the watches tell, put where it belongs; answers whose databases it changes.

use std::collections::HashSet;
use std::sync::Arc;

use dbscale_cluster::cache::Topic;
use dbscale_core::catalog::Catalog;
use dbscale_core::database::Database;
use dbscale_core::effect;
use dbscale_core::ownership::INSTANCE_LABEL;
use dbscale_core::record::{self, Request, Status};
use dbscale_trim::shapes::Role;
use serde_json::{Value, json};

use super::policies::Touched;
use super::{Entry, Inner, Instance, Key, Listed, Recorded, engine_of};

impl Inner {
    pub(super) fn put(&mut self, topic: Topic, object: &Value, changed: &mut HashSet<Key>) {
        let list = self.lists.get(&topic).copied().unwrap_or(0);
        match topic {
            Topic::Engine(engine, Role::Database) => {
                let mut object = object.clone();
                // It changes with every write, also with one that changes nothing here.
                if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.remove("resourceVersion");
                }
                let (key, text) = (key_of(engine, &object), object.to_string().into_bytes().into_boxed_slice());
                let further = self.own(&key, &object);
                let entry = self.entries.entry(key.clone()).or_default();
                entry.further = further;
                if entry.database.as_ref().is_none_or(|d| d.item != text) {
                    changed.insert(key);
                }
                entry.database = Some(Listed { item: text, list });
            }
            Topic::Engine(engine, Role::Operation) => {
                let Some(request) = engine_of(engine).and_then(|e| Request::of(e, object)) else { return };
                let namespace = text(object, "/metadata/namespace").into();
                let key = Key { engine, namespace, name: request.database.clone() };
                let entry = self.entries.entry(key.clone()).or_default();
                let place = entry.requests.iter().position(|r| r.item.uid == request.uid);
                let before = place.map(|at| entry.requests.swap_remove(at));
                if before.is_none_or(|b| matters(&b.item, &request)) {
                    changed.insert(key);
                }
                entry.requests.push(Listed { item: Arc::new(request), list });
            }
            Topic::Records => {
                let Some((key, recorded)) = record_key(object).zip(recorded(object)) else { return };
                let entry = self.entries.entry(key.clone()).or_default();
                match &mut entry.record {
                    // An echo of what was there before the last write.
                    Some(known) if known.item.version > recorded.version => known.list = list,
                    Some(known) => {
                        if !known.item.read_back || known.item.status != recorded.status {
                            changed.insert(key);
                        }
                        *known = Listed { item: recorded, list };
                    }
                    None => {
                        changed.insert(key);
                        entry.record = Some(Listed { item: recorded, list });
                    }
                }
            }
            Topic::Claims | Topic::Workloads(_) => {
                let Some(instance) = instance_of(object) else { return };
                let name = text(object, "/metadata/name").into();
                let mut object = object.clone();
                if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.remove("resourceVersion");
                }
                let there = self.volumes.entry(topic).or_default().entry(instance.clone()).or_default();
                let before = there.insert(name, Listed { item: Arc::new(object.clone()), list });
                if before.is_none_or(|b| *b.item != object) {
                    changed.extend(self.owners.get(&instance).into_iter().flatten().cloned());
                }
            }
            Topic::Namespaces | Topic::Policies => {
                let touched = self.covering.put(topic, object, list);
                self.touch(touched, text(object, "/metadata/name"), changed);
            }
            Topic::Classes => {}
        }
    }

    pub(super) fn take(&mut self, topic: Topic, object: &Value, changed: &mut HashSet<Key>) {
        match topic {
            Topic::Engine(engine, Role::Database) => {
                let key = key_of(engine, object);
                self.disown(&key);
                self.edit(key, changed, |entry| entry.database = None);
            }
            Topic::Engine(engine, Role::Operation) => {
                let Some(request) = engine_of(engine).and_then(|e| Request::of(e, object)) else { return };
                let key = Key { engine, namespace: text(object, "/metadata/namespace").into(), name: request.database };
                self.edit(key, changed, |entry| entry.requests.retain(|r| r.item.uid != request.uid));
            }
            Topic::Records => {
                let Some(key) = record_key(object) else { return };
                self.edit(key, changed, |entry| entry.record = None);
            }
            Topic::Claims | Topic::Workloads(_) => {
                let Some(instance) = instance_of(object) else { return };
                let all = self.volumes.entry(topic).or_default();
                if let Some(there) = all.get_mut(&instance) {
                    there.remove(text(object, "/metadata/name"));
                    if there.is_empty() {
                        all.remove(&instance);
                    }
                }
                changed.extend(self.owners.get(&instance).into_iter().flatten().cloned());
            }
            Topic::Namespaces | Topic::Policies => {
                let name = text(object, "/metadata/name");
                let touched = self.covering.take(topic, name);
                self.touch(touched, name, changed);
            }
            Topic::Classes => {}
        }
    }

    /// The databases of which policies ask something else.
    fn touch(&self, touched: Touched, namespace: &str, changed: &mut HashSet<Key>) {
        let is = |key: &&Key| match touched {
            Touched::Nothing => false,
            Touched::Namespace => *key.namespace == *namespace,
            Touched::Everything => true,
        };
        changed.extend(self.entries.keys().filter(is).cloned());
    }

    fn edit(&mut self, key: Key, changed: &mut HashSet<Key>, edit: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        edit(entry);
        if entry.is_empty() {
            self.entries.remove(&key);
        }
        changed.insert(key);
    }

    /// Drops what the newest list of a topic no longer has.
    pub(super) fn sweep(&mut self, topic: Topic, changed: &mut HashSet<Key>) {
        let list = self.lists.get(&topic).copied().unwrap_or(0);
        let mut gone = Vec::new();
        for (key, entry) in self.entries.iter_mut().filter(|(k, _)| concerns(topic, k)) {
            let mut dropped = false;
            match topic {
                Topic::Engine(_, Role::Database) => {
                    dropped = entry.database.as_ref().is_some_and(|d| d.list != list);
                    if dropped {
                        entry.database = None;
                        gone.push(key.clone());
                    }
                }
                Topic::Engine(_, Role::Operation) => {
                    let before = entry.requests.len();
                    entry.requests.retain(|r| r.list == list);
                    entry.requests.shrink_to_fit();
                    dropped = entry.requests.len() != before;
                }
                Topic::Records => {
                    dropped = entry.record.as_ref().is_some_and(|r| r.list != list);
                    if dropped {
                        entry.record = None;
                    }
                }
                _ => {}
            }
            if dropped {
                changed.insert(key.clone());
            }
        }
        for key in &gone {
            self.disown(key);
        }
        self.entries.retain(|_, entry| !entry.is_empty());
        let touched = self.covering.sweep(topic, list);
        self.touch(touched, "", changed);
        let Some(volumes) = self.volumes.get_mut(&topic) else { return };
        for (instance, there) in volumes.iter_mut() {
            let before = there.len();
            there.retain(|_, l| l.list == list);
            if there.len() != before {
                changed.extend(self.owners.get(instance).into_iter().flatten().cloned());
            }
        }
        volumes.retain(|_, there| !there.is_empty());
    }

    /// Notes which instance labels are a database's; answers those beside its own name.
    fn own(&mut self, key: &Key, object: &Value) -> Box<[Box<str>]> {
        let Some(engine) = engine_of(key.engine) else { return Box::default() };
        let mut further = effect::instances(&Database::of(engine, object), object);
        further.retain(|i| **i != *key.name);
        let further: Box<[Box<str>]> = further.into_iter().map(Into::into).collect();
        for instance in std::iter::once(&key.name).chain(&further) {
            let keys = self.owners.entry((key.namespace.clone(), instance.clone())).or_default();
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        further
    }

    fn disown(&mut self, key: &Key) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        let further = std::mem::take(&mut entry.further);
        for instance in std::iter::once(&key.name).chain(&further) {
            let instance = (key.namespace.clone(), instance.clone());
            if let Some(keys) = self.owners.get_mut(&instance) {
                keys.retain(|k| k != key);
                if keys.is_empty() {
                    self.owners.remove(&instance);
                }
            }
        }
    }
}

/// Whether a topic holds something that a look at the database waits for.
pub(super) fn concerns(topic: Topic, key: &Key) -> bool {
    match topic {
        Topic::Engine(engine, _) => engine == key.engine,
        Topic::Records | Topic::Claims | Topic::Workloads(_) | Topic::Namespaces | Topic::Policies => true,
        Topic::Classes => false,
    }
}

/// Whether a request differs in more than what changes with every step of a run.
fn matters(before: &Request, now: &Request) -> bool {
    let mut still = before.clone();
    still.resource_version.clone_from(&now.resource_version);
    still.changed = now.changed;
    if now.phase.is_active() {
        still.failure.clone_from(&now.failure);
    }
    still != *now
}

pub(super) fn recorded(object: &Value) -> Option<Recorded> {
    let status = object.get("status").filter(|s| !s.is_null()).cloned().unwrap_or_else(|| json!({}));
    let status = serde_json::from_value(status).unwrap_or_else(|error| {
        let (namespace, name) = (text(object, "/metadata/namespace"), text(object, "/metadata/name"));
        tracing::warn!(namespace, name, %error, "a record cannot be read, and is written anew without its history");
        Status::default()
    });
    Some(Recorded {
        status: Arc::new(status),
        version: text(object, "/metadata/resourceVersion").parse().ok()?,
        read_back: true,
    })
}

/// Whose record it is; none of one by another name than the controller gives, which somebody else has made.
fn record_key(object: &Value) -> Option<Key> {
    let engine = Catalog::builtin().of_kind(text(object, "/spec/databaseRef/kind"))?;
    let name: Box<str> = text(object, "/spec/databaseRef/name").into();
    if text(object, "/metadata/name") != record::name(&engine.name, &name) {
        return None;
    }
    Some(Key { engine: &engine.name, namespace: text(object, "/metadata/namespace").into(), name })
}

fn instance_of(object: &Value) -> Option<Instance> {
    let label = object.get("metadata")?.get("labels")?.get(INSTANCE_LABEL)?.as_str()?;
    Some((text(object, "/metadata/namespace").into(), label.into()))
}

fn key_of(engine: &'static str, object: &Value) -> Key {
    Key { engine, namespace: text(object, "/metadata/namespace").into(), name: text(object, "/metadata/name").into() }
}

pub(super) fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

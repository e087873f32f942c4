//! What is kept of a database and of an OpsRequest: the catalog's places, and the metadata that rules look at.

use std::collections::HashMap;
use std::sync::LazyLock;

use dbscale_core::catalog::{Catalog, Count, DATABASE_GROUP, Engine, OPS_GROUP, Pointer, When};
use dbscale_core::database::tracking_marks;
use dbscale_core::plan::{REQUESTED_BY, REVERT_TO};

use super::Keep;

/// What an object of one of KubeDB's kinds is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A database.
    Database,
    /// An OpsRequest.
    Operation,
}

/// One of KubeDB's kinds.
#[derive(Debug)]
pub struct KnownKind {
    /// Its engine.
    pub engine: &'static Engine,
    /// What it is.
    pub role: Role,
    /// What is kept of its objects.
    pub keep: Keep,
}

/// The kind called `kind` of the group `group`; `None` where it is none of KubeDB's databases or OpsRequests.
#[must_use]
pub fn known_kind(group: &str, kind: &str) -> Option<&'static KnownKind> {
    static KINDS: LazyLock<HashMap<String, KnownKind>> = LazyLock::new(|| {
        let mut kinds = HashMap::new();
        for engine in Catalog::builtin().engines() {
            let database = KnownKind { engine, role: Role::Database, keep: database(engine) };
            kinds.insert(engine.kind.clone(), database);
            kinds.insert(engine.ops_kind(), KnownKind { engine, role: Role::Operation, keep: operation() });
        }
        kinds
    });
    let known = KINDS.get(kind)?;
    let its = match known.role {
        Role::Database => DATABASE_GROUP,
        Role::Operation => OPS_GROUP,
    };
    (group == its).then_some(known)
}

/// What is kept of a database of any engine: for objects that are read before anybody knows whose they are.
#[must_use]
pub fn any_database() -> &'static Keep {
    static ANY: LazyLock<Keep> = LazyLock::new(|| {
        let mut keep = Keep::nothing();
        for engine in Catalog::builtin().engines() {
            keep.merge(database(engine));
        }
        keep
    });
    &ANY
}

/// What is kept of an OpsRequest of any engine.
#[must_use]
pub fn any_operation() -> &'static Keep {
    static ANY: LazyLock<Keep> = LazyLock::new(operation);
    &ANY
}

fn operation() -> Keep {
    let mut keep = common();
    for at in ["/metadata/creationTimestamp", "/metadata/ownerReferences", "/spec"] {
        keep.all(&place(at));
    }
    // When it ended is the latest of these.
    keep.all(&place("/status/conditions[type=*]/lastTransitionTime"));
    keep
}

fn database(engine: &Engine) -> Keep {
    let mut keep = common();
    // By these, policies choose the databases that they cover.
    keep.all(&place("/metadata/labels"));
    for when in engine.topologies.iter().flat_map(|t| &t.when).chain(engine.marks.values().flatten()) {
        test(&mut keep, when);
    }
    for component in engine.components.values() {
        if let Some(exists) = &component.exists {
            keep.mark(exists);
        }
        for count in [&component.replicas, &component.shards].into_iter().flatten() {
            of_count(&mut keep, count);
        }
        if let Some(storage) = &component.storage {
            if storage.at.is_some() {
                keep.all(&storage.size);
                keep.all(&storage.class);
            }
            if let Some(kind) = &storage.kind {
                keep.all(kind);
            }
        }
        let at = component.resources.as_ref().and_then(|r| r.at.as_ref());
        for place in engine.versions.iter().filter_map(|version| at?.of(version)) {
            keep.all(place);
        }
    }
    keep
}

fn of_count(keep: &mut Keep, count: &Count) {
    for at in [&count.at, &count.older].into_iter().flatten() {
        keep.all(at);
    }
    if let Some(above) = &count.above {
        keep.all(&above.at);
    }
    let least = count.min_when.iter().flat_map(|m| &m.when);
    for when in least.chain(count.votes.iter().flat_map(|v| &v.when)) {
        test(keep, when);
    }
}

fn test(keep: &mut Keep, when: &When) {
    match when {
        When::Present { present } => keep.mark(present),
        When::Absent { absent } => keep.mark(absent),
        When::AtMost { at, .. } => keep.all(at),
        When::Is { at, or_absent, .. } => {
            keep.all(at);
            if let Some(absent) = or_absent {
                keep.mark(absent);
            }
        }
    }
}

/// What is kept of every object.
fn common() -> Keep {
    let mut keep = Keep::nothing();
    keep.all(&place("/apiVersion"));
    for field in ["name", "namespace", "uid", "resourceVersion", "deletionTimestamp"] {
        keep.all(&place("/metadata").field(field));
    }
    let annotations = [("annotations", REQUESTED_BY), ("annotations", REVERT_TO)];
    for (part, key) in annotations.into_iter().chain(tracking_marks()) {
        keep.all(&place("/metadata").field(part).field(key));
    }
    keep.all(&place("/status/phase"));
    keep
}

/// A place that this file names.
fn place(text: &str) -> Pointer {
    text.parse().unwrap_or_default()
}

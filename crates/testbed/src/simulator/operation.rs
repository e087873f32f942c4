//! What an OpsRequest asks for, and the next moves towards it. Pure: moves are values, somebody else carries them out.
//!
//! Nothing is remembered between two looks but what cannot be seen ([`Run`]): each look compares what there is with the goal.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use dbscale_core::catalog::{Engine, Pointer};
use dbscale_core::change::{Change, HORIZONTAL, STANZAS, Source, VERTICAL, VOLUME, What, Wish};
use dbscale_core::database::Database;
use serde_json::{Value, json};

use super::layout::{self, Set};
use super::world::Kind;
use super::{horizontal, json, vertical, volume};

/// What the simulator remembers of an operation that is at work.
#[derive(Debug, Clone)]
pub struct Run {
    /// The request's UID.
    pub uid: String,
    /// When it began.
    pub started: Instant,
    /// When it last made a move.
    pub moved: Instant,
    /// The moves it has made.
    pub moves: u32,
    /// Pods that the API server did not let be resized in place.
    pub no_resize: HashSet<String>,
}

/// What an operation leads to.
#[derive(Debug, Clone)]
pub struct Goal {
    /// `spec.type`.
    pub ops_type: String,
    /// The mode of a vertical scaling or volume expansion; empty where the request has none.
    pub mode: String,
    /// The parts that are touched.
    pub touches: Vec<Touch>,
    /// The database with the new values, as it is written at the end.
    pub database: Value,
}

/// One part of a database that an operation touches.
#[derive(Debug, Clone)]
pub struct Touch {
    /// The component whose pods these are.
    pub component: &'static str,
    /// The list item; `None` = all.
    pub item: Option<String>,
    /// The container; a sidecar's where one is meant.
    pub container: String,
    /// What is wanted.
    pub what: What,
}

/// What there is of a database.
#[derive(Debug, Clone, Default)]
pub struct Present {
    /// Its workloads.
    pub sets: Vec<Arc<Value>>,
    /// Their pods, also those that lost their workload.
    pub pods: Vec<Arc<Value>>,
    /// Their claims.
    pub claims: Vec<Arc<Value>>,
}

/// One change in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// Creates a workload.
    CreateSet(Kind, Value),
    /// Merges a patch into a workload.
    PatchSet(Kind, String, Value),
    /// Deletes a workload (name, UID), with or without its pods.
    DeleteSet(Kind, String, String, Leave),
    /// Deletes a pod (name, UID).
    DeletePod(String, String),
    /// Resizes a pod in place: its containers.
    ResizePod(String, Value),
    /// Asks for a larger volume.
    GrowClaim(String, String),
}

/// Whether a workload's pods go with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// They stay.
    Pods,
    /// They go too.
    Nothing,
}

/// The outcome of one look.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// These moves are next.
    Act(Vec<Move>),
    /// What was done has to take effect first.
    Wait,
    /// The goal is reached.
    Done,
}

impl Run {
    /// A run of the request with this UID, which begins now.
    pub fn new(uid: &str) -> Self {
        let now = Instant::now();
        Self { uid: uid.to_owned(), started: now, moved: now, moves: 0, no_resize: HashSet::new() }
    }
}

impl Goal {
    /// Reads a request. It acts only on the stanza that its type names.
    ///
    /// # Errors
    /// Why the operation fails at once, in words.
    pub fn of(engine: &'static Engine, request: &Value, object: &Value) -> Result<Self, String> {
        let ops_type = json::text(request, "/spec/type").to_owned();
        let database = Database::of(engine, object);
        let change = Change::of_request(engine, request, Some(&database));
        let stanza = STANZAS.into_iter().find(|s| s.ops_type == ops_type);
        let there = matches!(&change.source, Source::Request(r) if stanza.is_none_or(|s| r.stanzas.contains(&s)));
        if !there {
            return Err(format!("spec.{} is missing", stanza.map_or("type", |s| s.field)));
        }
        let mode = stanza.map(|s| json::text(request, &format!("/spec/{}/mode", s.field)).to_owned());
        let mut goal = Self {
            ops_type: ops_type.clone(),
            mode: mode.unwrap_or_default(),
            touches: Vec::new(),
            database: object.clone(),
        };
        for wish in change.wishes.iter().filter(|w| w.ops_type() == ops_type) {
            goal.take(&database, wish)?;
        }
        Ok(goal)
    }

    /// Adds a wish: the touched part, and the value in the database.
    fn take(&mut self, database: &Database, wish: &Wish) -> Result<(), String> {
        let component = wish.component_of(database.engine);
        let Some(view) = wish.view(database) else {
            return Err(format!("{} is no part of this database", wish.component_name(database.engine)));
        };
        if let What::Storage(size) = &wish.what
            && let Err(error) = &size.value
        {
            return Err(format!("{} is no size: {error}", size.text));
        }
        let version = &database.version;
        let (place, value) = match &wish.what {
            What::Replicas(n) => (component.replicas.as_ref().and_then(|c| c.at.clone()), json!(n)),
            What::Shards(n) => (component.shards.as_ref().and_then(|c| c.at.clone()), json!(n)),
            What::Resources(wanted) => {
                (component.resources.as_ref().and_then(|r| r.at.as_ref()?.of(version).cloned()), wanted.to_json())
            }
            What::Storage(size) => {
                let size_of = |at: &Pointer| at.field("resources").field("requests").field("storage");
                (component.storage.as_ref().and_then(|s| s.at.as_ref()).map(size_of), json!(size.text))
            }
        };
        if let Some(place) = place {
            for item in view.places.iter().map(|p| p.item.as_deref()) {
                let place = item.map_or_else(|| place.clone(), |item| place.of_item(item));
                let mut value = value.clone();
                // An arbiter's volume stands among the resources of its container, and no vertical scaling touches it.
                let volume = place.get(&self.database).and_then(|old| old.pointer("/requests/storage")).cloned();
                if let (What::Resources(_), Some(volume)) = (&wish.what, volume) {
                    value["requests"]["storage"] = volume;
                }
                place.set(&mut self.database, value);
            }
        }
        self.touches.push(Touch {
            component: layout::owner(database, view).map_or(wish.component, |o| o.key),
            item: wish.item.clone(),
            container: layout::container_name(database.engine, wish.component),
            what: wish.what.clone(),
        });
        Ok(())
    }

    /// The next moves. `before` and `after` are the workloads that the database has by its old and its new values.
    pub fn next(&self, before: &[Set], after: &[Set], present: &Present, no_resize: &HashSet<String>) -> Next {
        if self.ops_type == VERTICAL.ops_type {
            vertical::next(self, after, present, no_resize)
        } else if self.ops_type == HORIZONTAL.ops_type {
            horizontal::next(self, after, present)
        } else if self.ops_type == VOLUME.ops_type {
            volume::next(self, before, after, present)
        } else {
            Next::Done // upgrades, certificates, restarts: nothing of them can be seen here
        }
    }
}

impl Touch {
    /// Whether the workload is of this part.
    pub fn is(&self, set: &Set) -> bool {
        set.component == self.component && (self.item.is_none() || set.item == self.item)
    }
}

impl Present {
    /// The workload of this name.
    pub fn set(&self, name: &str) -> Option<&Arc<Value>> {
        self.sets.iter().find(|s| json::name(s) == name)
    }

    /// The pods of the workload of this name, by ordinal.
    pub fn pods_of<'a>(&'a self, set: &'a str) -> Vec<&'a Arc<Value>> {
        let ordinal = |pod: &Arc<Value>| dbscale_core::ownership::pod_ordinal(json::name(pod), set);
        let mut pods: Vec<_> = self.pods.iter().filter(|p| ordinal(p).is_some()).collect();
        pods.sort_by_key(|p| ordinal(p));
        pods
    }

    /// The claims of the workload of this name, of all the templates it has.
    pub fn claims_of<'a>(&'a self, set: &'a Value) -> impl Iterator<Item = &'a Arc<Value>> {
        let templates = json::list(set, "/spec/volumeClaimTemplates");
        let is_of = move |claim: &str| {
            let ordinal = |t| dbscale_core::ownership::claim_ordinal(claim, json::name(t), json::name(set));
            templates.iter().any(|t| ordinal(t).is_some_and(|o| o < replicas(set)))
        };
        self.claims.iter().filter(move |c| is_of(json::name(c)))
    }

    /// Whether the workload is there with all its pods ready and none too many.
    pub fn is_complete(&self, name: &str) -> bool {
        let Some(set) = self.set(name).filter(|s| !json::is_deleting(s)) else { return false };
        let pods = self.pods_of(name);
        let owned = |p: &&&Arc<Value>| json::controller(p) == Some(json::uid(set)) && !json::is_deleting(p);
        let ready = pods.iter().filter(owned).filter(|p| json::has_condition(p, "Ready")).count();
        ready == pods.len() && i64::try_from(ready).is_ok_and(|n| n == replicas(set))
    }
}

/// `spec.replicas` of a workload.
pub fn replicas(set: &Value) -> i64 {
    set.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

impl Move {
    /// The small step that KubeDB notes for it: type and object.
    pub fn step(&self) -> (&'static str, &str) {
        match self {
            Self::CreateSet(_, set) => ("CreatePetset", json::name(set)),
            Self::PatchSet(_, name, _) => ("UpdatePetset", name),
            Self::DeleteSet(_, name, _, Leave::Pods) => ("OrphanPetsetPods", name),
            Self::DeleteSet(_, name, _, Leave::Nothing) => ("DeletePetset", name),
            Self::DeletePod(name, _) => ("EvictPod", name),
            Self::ResizePod(name, _) => ("ResizePod", name),
            Self::GrowClaim(name, _) => ("PatchPvc", name),
        }
    }
}

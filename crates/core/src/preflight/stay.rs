//! Whether pods surely find room on the nodes where pods of their databases are now.
//!
//! To place pods, all nodes and pods of a cluster have to be known, which can be hundreds of megabytes. Most changes need far
//! less: where each of a database's nodes has room for all pods that the change makes or moves at once, each of them can come
//! back to where it is, wherever the scheduler has put the others meanwhile.

use std::collections::BTreeMap;

use serde_json::Value;

use super::amounts::Amounts;
use super::moves::{self, Move, Moved};
use super::object::{Metadata, Pod};
use super::place::Floor;
use super::{Around, limit_range, usage};
use crate::change::Change;
use crate::database::Database;

/// A database that a command changes.
#[derive(Debug, Clone)]
pub struct Changed<'a> {
    /// The database.
    pub database: &'a Database,
    /// Its object as it was read.
    pub object: &'a Value,
    /// Its changes, in the order in which they are made; `None` where all of its pods restart as they are.
    pub changes: Option<Vec<&'a Change>>,
}

/// Whether a look at the nodes where the pods are is enough for what a command changes: all of the pods surely find room there,
/// so that nobody has to look at the whole cluster.
#[must_use]
pub fn all_stay(databases: &[Changed<'_>], around: &Around) -> bool {
    let pods = around.pods.as_deref().unwrap_or_default();
    let moved = |Changed { database, object, changes }: &Changed<'_>| {
        let mut all = match changes {
            None => moves::restart(database, object, pods),
            Some(changes) => moves::moved(database, object, changes, pods),
        };
        limit_range::give_defaults(&mut all, around.limit_ranges.as_deref().unwrap_or_default(), &database.namespace);
        all
    };
    let moved: Vec<Moved> = databases.iter().flat_map(moved).collect();
    stay(&moved.iter().flat_map(|moved| &moved.moves).collect::<Vec<_>>(), around)
}

/// Whether the pods of these moves surely find room, judged by [`super::Reach::OwnNodes`]. `false` tells nothing: the whole
/// cluster may have room.
///
/// Pods that must be beside others, apart from others or spread, and those with host ports, are not judged: what is on other
/// nodes matters to them. Pods elsewhere that must be apart from these are taken to be so: the scheduler has seen to it when the
/// later of the two came.
#[must_use]
pub fn stay(moves: &[&Move], around: &Around) -> bool {
    let Some(mut floor) = Floor::near(around) else { return false };
    let mut most: BTreeMap<(&str, &str), Amounts> = BTreeMap::new();
    for pod in moves.iter().flat_map(|one| one.before().into_iter().chain(one.after())) {
        let Metadata { namespace, name, .. } = &pod.metadata;
        most.entry((namespace, name)).or_default().raise_to(&usage::requests(pod));
    }
    for pod in moves.iter().filter_map(|one| one.before()) {
        floor.remove(pod);
    }
    let mut all = Amounts::default();
    for amounts in most.values() {
        all.add(amounts);
    }
    let count = i64::try_from(most.len()).unwrap_or(i64::MAX);
    moves.iter().all(|one| {
        let Some(pod) = one.after() else { return true };
        let now = one.before().map(|before| before.spec.node_name.as_str()).filter(|node| !node.is_empty());
        is_free(pod) && floor.takes(pod, (&all, count), now)
    })
}

/// Whether it does not matter to a pod what is on nodes that are not its own.
fn is_free(pod: &Pod) -> bool {
    let affinity = &pod.spec.affinity;
    let mut spread = pod.spec.topology_spread_constraints.iter();
    affinity.pod_affinity.required.is_empty()
        && affinity.pod_anti_affinity.required.is_empty()
        && !spread.any(|constraint| constraint.when_unsatisfiable == "DoNotSchedule")
        && !pod.spec.containers.iter().flat_map(|c| &c.ports).any(|port| port.host_port > 0)
}

#[cfg(test)]
#[path = "stay_tests.rs"]
mod tests;

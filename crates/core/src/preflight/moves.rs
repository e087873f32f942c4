//! What a change does to pods, one after the other, as KubeDB and its workloads do it.

use std::collections::BTreeMap;

use super::amounts::Amounts;
use super::object::{Condition, Pod, PodStatus, Resources};
use crate::amount::{Amount, ResourceSet, Side};
use crate::change::{Change, What, Wish};
use crate::database::{ComponentView, Database};
use crate::effect;
use crate::ownership::{self, Holes, INSTANCE_LABEL, Workload};

/// One thing that happens to a pod.
#[derive(Debug, Clone)]
pub enum Move {
    /// A new member.
    Comes {
        /// The pod.
        after: Box<Pod>,
    },
    /// A member that is scaled away.
    Leaves {
        /// The pod.
        before: Box<Pod>,
    },
    /// A pod is evicted, and comes again.
    Restarts {
        /// As it is.
        before: Box<Pod>,
        /// As it will be.
        after: Box<Pod>,
    },
    /// A pod gets other resources where it is.
    Resizes {
        /// As it is.
        before: Box<Pod>,
        /// As it will be.
        after: Box<Pod>,
    },
}

/// What happens to the pods of one component.
#[derive(Debug, Clone)]
pub struct Moved {
    /// The component's name, as people write it.
    pub component: String,
    /// The place of the wish in the judged object.
    pub path: String,
    /// What happens, in order.
    pub moves: Vec<Move>,
    /// The members by workload, as they are before.
    pub members: BTreeMap<String, Vec<Pod>>,
    /// How many members each workload has afterwards.
    pub wanted: BTreeMap<String, usize>,
    /// What its members are called where they decide by majority.
    pub voters: Option<&'static str>,
}

impl Move {
    /// The pod as it will be.
    #[must_use]
    pub fn after(&self) -> Option<&Pod> {
        match self {
            Self::Comes { after } | Self::Restarts { after, .. } | Self::Resizes { after, .. } => Some(after),
            Self::Leaves { .. } => None,
        }
    }

    /// The pod as it is.
    #[must_use]
    pub fn before(&self) -> Option<&Pod> {
        match self {
            Self::Leaves { before } | Self::Restarts { before, .. } | Self::Resizes { before, .. } => Some(before),
            Self::Comes { .. } => None,
        }
    }
}

/// What changes do to the pods of a database, in their order. A component of which no pod is there does not appear: nobody
/// knows then what its pods look like.
#[must_use]
pub fn moved(database: &Database, object: &serde_json::Value, changes: &[&Change], pods: &[Pod]) -> Vec<Moved> {
    let mut world = World { database, object, members: members(database, object, pods) };
    let mut all = Vec::new();
    for change in changes {
        let mut counted: Vec<&ComponentView> = Vec::new();
        for wish in &change.wishes {
            let Some(view) = wish.view(database) else { continue };
            match &wish.what {
                What::Resources(wanted) => all.extend(world.resized(view, wish, wanted, mode(change) == "InPlace")),
                What::Storage(_) if mode(change) == "Offline" => {
                    all.extend(world.restarted(view, &wish.path, |pod| Some(pod.clone()), false));
                }
                What::Storage(_) => {}
                What::Replicas(_) | What::Shards(_) => {
                    // Members and shards of one component are one change.
                    if !counted.iter().any(|c| std::ptr::eq(*c, view)) {
                        counted.push(view);
                        all.extend(world.counted(view, wish, &change.wishes));
                    }
                }
            }
        }
    }
    all.retain(|moved| !moved.moves.is_empty());
    all
}

/// A restart of every pod of a database as it is.
#[must_use]
pub fn restart(database: &Database, object: &serde_json::Value, pods: &[Pod]) -> Vec<Moved> {
    let mut world = World { database, object, members: members(database, object, pods) };
    let hosts = database.components.iter().filter(|view| !view.is_sidecar());
    let mut all: Vec<Moved> =
        hosts.filter_map(|view| world.restarted(view, "", |pod| Some(pod.clone()), false)).collect();
    all.retain(|moved| !moved.moves.is_empty());
    all
}

fn mode(change: &Change) -> &str {
    change.request().map_or("", |request| request.mode.as_str())
}

/// The pods of the database that are not on their way out for good, with their workloads.
fn members(database: &Database, object: &serde_json::Value, pods: &[Pod]) -> Vec<(Workload, Pod)> {
    let instances = effect::instances(database, object);
    let mut known: BTreeMap<&str, Option<Workload>> = BTreeMap::new();
    let belongs = |pod: &&Pod| {
        pod.metadata.namespace == database.namespace
            && !pod.is_over()
            && pod.metadata.labels.get(INSTANCE_LABEL).is_some_and(|label| instances.contains(label))
    };
    let mut members = Vec::new();
    for pod in pods.iter().filter(belongs) {
        let Some(name) = pod.workload() else { continue };
        let workload = known.entry(name).or_insert_with(|| {
            let mut fits = ownership::components_of(database, object, name);
            fits.pop().filter(|_| fits.is_empty())
        });
        members.extend(workload.clone().map(|workload| (workload, pod.clone())));
    }
    members.sort_by_key(|(workload, pod)| (workload.shard, workload.name.clone(), ordinal(workload, pod)));
    members
}

fn ordinal(workload: &Workload, pod: &Pod) -> i64 {
    ownership::pod_ordinal(&pod.metadata.name, &workload.name).unwrap_or(i64::MAX)
}

struct World<'a> {
    database: &'a Database,
    object: &'a serde_json::Value,
    /// In the order of shards and ordinals.
    members: Vec<(Workload, Pod)>,
}

impl World<'_> {
    fn of(&self, view: &ComponentView) -> Vec<usize> {
        let is_its = |w: &Workload| w.component == view.key && (view.item.is_none() || w.item == view.item);
        (0..self.members.len()).filter(|i| is_its(&self.members[*i].0)).collect()
    }

    fn start(&self, view: &ComponentView, path: &str) -> Moved {
        let mut members: BTreeMap<String, Vec<Pod>> = BTreeMap::new();
        for index in self.of(view) {
            let (workload, pod) = &self.members[index];
            members.entry(workload.name.clone()).or_default().push(pod.clone());
        }
        let wanted = members.iter().map(|(name, pods)| (name.clone(), pods.len())).collect();
        let (component, path) = (view.name(), path.to_owned());
        Moved { component, path, moves: Vec::new(), members, wanted, voters: view.voters }
    }

    /// The pods with other resources for the component's container.
    fn resized(&mut self, view: &ComponentView, wish: &Wish, wanted: &ResourceSet, in_place: bool) -> Option<Moved> {
        let name = view.component.resources.as_ref().and_then(|r| r.container.clone());
        let resources = resources(wanted);
        let host = effect::host_of(self.database, view).clone();
        let renewed = |pod: &Pod| {
            let mut pod = pod.clone();
            let only = pod.spec.containers.len() == 1;
            let its = |c: &&mut super::object::Container| name.as_ref().map_or(only, |name| c.name == *name);
            let container = pod.spec.containers.iter_mut().find(its)?;
            container.resources = resources.clone();
            Some(pod)
        };
        self.restarted(&host, &wish.path, renewed, in_place)
    }

    /// Every pod of the component made anew by `with`: the last member first, shard by shard.
    fn restarted(
        &mut self,
        view: &ComponentView,
        path: &str,
        with: impl Fn(&Pod) -> Option<Pod>,
        in_place: bool,
    ) -> Option<Moved> {
        let mut moved = self.start(view, path);
        let mut its = self.of(view);
        its.sort_by_key(|i| {
            let (workload, pod) = &self.members[*i];
            (workload.shard, workload.name.clone(), std::cmp::Reverse(ordinal(workload, pod)))
        });
        for index in its {
            let before = self.members[index].1.clone();
            let mut after = with(&before)?;
            after.status = up();
            let (before, boxed) = (Box::new(before), Box::new(after.clone()));
            moved.moves.push(if in_place {
                Move::Resizes { before, after: boxed }
            } else {
                Move::Restarts { before, after: boxed }
            });
            self.members[index].1 = after;
        }
        Some(moved)
    }

    /// Members that come and go.
    fn counted(&mut self, view: &ComponentView, wish: &Wish, wishes: &[Wish]) -> Option<Moved> {
        let mut moved = self.start(view, &wish.path);
        let its = wishes.iter().filter(|w| w.component == view.key && w.item == view.item);
        let (mut replicas, mut shards) = (view.replicas(), view.shards());
        for wish in its {
            match wish.what {
                What::Replicas(n) => replicas = Some(n),
                What::Shards(n) => shards = Some(n),
                What::Resources(_) | What::Storage(_) => {}
            }
        }
        let wanted = replicas?;
        let pattern = self.of(view).last().map(|index| self.members[*index].clone())?;
        // Workloads that are there, and those of shards to come.
        let mut workloads: Vec<Workload> = Vec::new();
        for index in self.of(view) {
            if !workloads.iter().any(|w| w.name == self.members[index].0.name) {
                workloads.push(self.members[index].0.clone());
            }
        }
        let present: Vec<i64> = workloads.iter().filter_map(|w| w.shard).collect();
        for shard in 0..shards.unwrap_or(0) {
            if !present.contains(&shard) && pattern.0.shard.is_some() {
                let holes = Holes { shard: Some(shard), item: pattern.0.item.as_deref() };
                let patterns = pattern.0.pods.sets.iter().filter_map(|p| p.parse::<ownership::Pattern>().ok());
                let name = patterns.into_iter().find_map(|p| p.resolve(self.object, holes))?;
                workloads.push(Workload { name, shard: Some(shard), ..pattern.0.clone() });
            }
        }
        for workload in workloads {
            let stays = workload.shard.zip(shards).is_none_or(|(index, all)| index < all);
            let target = if stays { wanted } else { 0 };
            moved.wanted.insert(workload.name.clone(), usize::try_from(target).unwrap_or(0));
            let its: Vec<usize> =
                self.of(view).into_iter().filter(|i| self.members[*i].0.name == workload.name).collect();
            let leaving = |i: &&usize| ordinal(&workload, &self.members[**i].1) >= target;
            let mut gone: Vec<usize> = its.iter().filter(leaving).copied().collect();
            gone.sort_unstable_by(|a, b| b.cmp(a));
            for index in gone {
                let (_, before) = self.members.remove(index);
                moved.moves.push(Move::Leaves { before: Box::new(before) });
            }
            let has = |n: i64| self.members.iter().any(|(w, pod)| w.name == workload.name && ordinal(w, pod) == n);
            let missing: Vec<i64> = (0..target.min(MOST)).filter(|n| !has(*n)).collect();
            for n in missing {
                let after = self.member(&pattern, &workload, n);
                moved.moves.push(Move::Comes { after: Box::new(after.clone()) });
                self.members.push((workload.clone(), after));
            }
        }
        self.members.sort_by_key(|(workload, pod)| (workload.shard, workload.name.clone(), ordinal(workload, pod)));
        Some(moved)
    }

    /// A member like another one, of a workload and ordinal.
    fn member(&self, (origin, pod): &(Workload, Pod), workload: &Workload, n: i64) -> Pod {
        let mut member = pod.clone();
        let name = format!("{}-{n}", workload.name);
        member.spec.node_name.clear();
        // Its claims may be there: a member that was scaled away leaves them behind, and they keep it where they are.
        for claim in member.spec.volumes.iter_mut().filter_map(|volume| volume.persistent_volume_claim.as_mut()) {
            if let Some(template) = claim.claim_name.strip_suffix(&pod.metadata.name) {
                claim.claim_name = format!("{template}{name}");
            }
        }
        member.status = up();
        member.metadata.deletion_timestamp = None;
        let labels = &mut member.metadata.labels;
        let old = pod.metadata.name.as_str();
        let number = ownership::pod_ordinal(old, &origin.name).map(|n| n.to_string());
        for (key, value) in labels.iter_mut() {
            if value == old {
                value.clone_from(&name);
            } else if *value == origin.name {
                value.clone_from(&workload.name);
            } else if key.ends_with("/pod-index") && Some(&*value) == number.as_ref() {
                *value = n.to_string();
            }
        }
        let holes = Holes { shard: workload.shard, item: workload.item.as_deref() };
        labels.extend(ownership::extra_labels(workload.pods, self.object, holes));
        member.metadata.name = name;
        member
    }
}

/// What a pod says that is still to come: what it really has is not known, and what is done after it waits until it is up.
fn up() -> PodStatus {
    let ready = Condition { kind: "Ready".to_owned(), status: "True".to_owned(), reason: String::new() };
    PodStatus { conditions: vec![ready], ..PodStatus::default() }
}

/// No component has as many members of a workload; a wish for more is refused by other rules.
const MOST: i64 = 1000;

/// A container's resources as the API server takes them: a limit is a request too where there is none.
fn resources(wanted: &ResourceSet) -> Resources {
    let side = |side: Side| {
        let mut amounts = Amounts::default();
        for (name, amount) in wanted.amounts(side).filter_map(|(name, a)| Some((name, Amount::quantity(a)?))) {
            amounts.set(name, amount);
        }
        amounts
    };
    let (mut requests, limits) = (side(Side::Requests), side(Side::Limits));
    for (name, amount) in limits.iter() {
        if requests.find(name).is_none() {
            requests.set(name, amount);
        }
    }
    Resources { requests, limits }
}

#[cfg(test)]
#[path = "moves_tests.rs"]
mod tests;

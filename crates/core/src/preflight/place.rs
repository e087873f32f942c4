//! Where pods find room: the filters of Kubernetes' scheduler, over nodes and what runs on them.
//!
//! Source: the plugins NodeUnschedulable, TaintToleration, NodeAffinity, NodePorts, NodeResourcesFit, PodTopologySpread,
//! InterPodAffinity and VolumeBinding of kube-scheduler 1.36. Preemption, and what is only preferred, is left out: of
//! several nodes the one is taken that the scheduler likes best by its CPU and memory.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use super::amounts::{Amounts, CPU, MEMORY, PODS, minus};
use super::misfit::{Misfit, Why};
use super::object::{Claim, Node, NodeSelector, PersistentVolume, Pod, Port, Spread, Taint};
use super::{Around, Reach, selector, usage};
use crate::quantity::Quantity;

/// The nodes with what runs on them.
#[derive(Debug, Clone)]
pub struct Floor<'a> {
    nodes: Vec<Room<'a>>,
    pods: Vec<Placed<'a>>,
    claims: BTreeMap<(&'a str, &'a str), &'a Claim>,
    volumes: BTreeMap<&'a str, &'a PersistentVolume>,
}

/// A node and what is taken of it.
#[derive(Debug, Clone)]
struct Room<'a> {
    node: &'a Node,
    taken: Amounts,
    pods: i64,
}

#[derive(Debug, Clone)]
struct Placed<'a> {
    pod: Resident<'a>,
    node: usize,
}

/// A pod on a node: one that was read, or one that a move has made. Either is cheap to copy with its floor.
#[derive(Debug, Clone)]
pub(super) enum Resident<'a> {
    /// It was there.
    Read(&'a Pod),
    /// It has come.
    Made(Arc<Pod>),
}

impl From<Pod> for Resident<'_> {
    fn from(pod: Pod) -> Self {
        Self::Made(Arc::new(pod))
    }
}

impl Deref for Resident<'_> {
    type Target = Pod;

    fn deref(&self) -> &Pod {
        match self {
            Self::Read(pod) => pod,
            Self::Made(pod) => pod,
        }
    }
}

/// What a pod's neighbours allow: by node label and value.
#[derive(Debug, Default)]
struct Neighbours<'p> {
    /// Places where a pod is that it must not be beside, or that must not be beside it.
    forbidden: BTreeSet<(&'p str, &'p str)>,
    /// For each label, the places where a pod is that it must be beside.
    beside: Vec<(&'p str, BTreeSet<&'p str>)>,
    /// Whether it is the first of those that must be beside each other.
    first: bool,
    /// For each constraint, how many there are in each place.
    spread: Vec<(&'p Spread, BTreeMap<&'p str, i64>, bool)>,
}

impl<'a> Floor<'a> {
    /// Puts every pod that runs where it is. `None` where not all nodes and pods are known.
    #[must_use]
    pub fn of(around: &'a Around) -> Option<Self> {
        Self::reaching(around, Reach::Cluster)
    }

    /// The nodes of [`Reach::OwnNodes`], with what runs on them.
    pub(super) fn near(around: &'a Around) -> Option<Self> {
        Self::reaching(around, Reach::OwnNodes)
    }

    fn reaching(around: &'a Around, reach: Reach) -> Option<Self> {
        let (nodes, pods) = (around.nodes.as_ref()?, around.pods.as_ref().filter(|_| around.reach == reach)?);
        let index: BTreeMap<&str, usize> =
            nodes.iter().enumerate().map(|(i, n)| (n.metadata.name.as_str(), i)).collect();
        let room = |node| Room { node, taken: Amounts::default(), pods: 0 };
        let claims = around.claims.iter().flatten();
        let mut floor = Self {
            nodes: nodes.iter().map(room).collect(),
            pods: Vec::with_capacity(pods.len()),
            claims: claims.map(|c| ((c.metadata.namespace.as_str(), c.metadata.name.as_str()), c)).collect(),
            volumes: around.volumes.iter().flatten().map(|v| (v.metadata.name.as_str(), v)).collect(),
        };
        for pod in pods.iter().filter(|pod| !pod.is_over()) {
            if let Some(node) = index.get(pod.spec.node_name.as_str()) {
                floor.put(Resident::Read(pod), *node);
            }
        }
        Some(floor)
    }

    pub(super) fn put(&mut self, pod: Resident<'a>, node: usize) {
        let room = &mut self.nodes[node];
        room.taken.add(&usage::requests(&pod));
        room.pods += 1;
        self.pods.push(Placed { pod, node });
    }

    /// Takes a pod away; the name of the node that it was on.
    pub(super) fn remove(&mut self, pod: &Pod) -> Option<&'a str> {
        let same =
            |p: &Placed| p.pod.metadata.name == pod.metadata.name && p.pod.metadata.namespace == pod.metadata.namespace;
        let placed = self.pods.swap_remove(self.pods.iter().position(same)?);
        let room = &mut self.nodes[placed.node];
        room.taken.subtract(&usage::requests(&placed.pod));
        room.pods -= 1;
        Some(&room.node.metadata.name)
    }

    /// Finds a node for a pod and puts it there.
    #[cfg(test)]
    fn place(&mut self, pod: &Pod) -> Result<(), Misfit> {
        let node = self.candidates(pod)?[0];
        self.put(pod.clone().into(), node);
        Ok(())
    }

    /// The nodes that a pod may come to be on: the one that the scheduler likes best. Where it is the first of pods that must
    /// be beside each other, it decides where all of them are: then the best of each place, for nobody knows which it will be.
    pub(super) fn candidates(&self, pod: &Pod) -> Result<Vec<usize>, Misfit> {
        let asked = usage::requests(pod);
        let volumes = self.volumes_of(pod);
        let neighbours = self.neighbours(pod);
        let whys: Vec<Option<Why>> =
            (0..self.nodes.len()).map(|node| self.objection(pod, (&asked, 1), &volumes, &neighbours, node)).collect();
        let mut fits: Vec<usize> = (0..whys.len()).filter(|node| whys[*node].is_none()).collect();
        fits.sort_by(|a, b| self.score(*b, &asked).total_cmp(&self.score(*a, &asked)).then(a.cmp(b)));
        if fits.is_empty() {
            return Err(self.misfit(pod, &asked, whys));
        }
        match neighbours.beside.first().filter(|_| neighbours.first) {
            None => fits.truncate(1),
            Some((key, _)) => {
                let mut seen = BTreeSet::new();
                fits.retain(|node| seen.insert(self.nodes[*node].node.metadata.labels.get(*key)));
            }
        }
        Ok(fits)
    }

    /// Whether a node takes a pod, with as many others beside it as `asked` has amounts and pods for: this node, or any.
    pub(super) fn takes(&self, pod: &Pod, asked: (&Amounts, i64), node: Option<&str>) -> bool {
        let volumes = self.volumes_of(pod);
        let neighbours = self.neighbours(pod);
        let meant = |index: &usize| node.is_none_or(|name| self.nodes[*index].node.metadata.name == name);
        let takes = |index| self.objection(pod, asked, &volumes, &neighbours, index).is_none();
        (0..self.nodes.len()).filter(meant).any(takes)
    }

    /// Gives a pod that runs other resources on the node where it is; what that has too little of. The pod then stays as it was.
    pub(super) fn resize(&mut self, before: &Pod, after: &Pod) -> Result<(), Misfit> {
        let Some(name) = self.remove(before) else { return Ok(()) }; // it runs nowhere: it will be placed as it is then
        let Some(node) = self.nodes.iter().position(|room| room.node.metadata.name == name) else { return Ok(()) };
        let asked = usage::requests(after);
        let lack = self.lack((&asked, 0), node);
        let fits = lack.is_none();
        self.put(if fits { after } else { before }.clone().into(), node);
        lack.map_or(Ok(()), |why| Err(Misfit { asked, whys: vec![(why, name.to_owned())], nodes: 1, largest: None }))
    }

    fn volumes_of(&self, pod: &Pod) -> Vec<&'a NodeSelector> {
        let namespace = pod.metadata.namespace.as_str();
        let claims = pod.claims().filter_map(|name| self.claims.get(&(namespace, name)));
        let volumes = claims.filter_map(|claim| self.volumes.get(claim.spec.volume_name.as_str()));
        volumes.filter_map(|v| v.spec.node_affinity.as_ref()?.required.as_ref()).collect()
    }

    /// Why a node will not do; `None` where it does.
    fn objection(
        &self,
        pod: &Pod,
        asked: (&Amounts, i64),
        volumes: &[&NodeSelector],
        neighbours: &Neighbours<'_>,
        index: usize,
    ) -> Option<Why> {
        let node = self.nodes[index].node;
        unwanted(pod, node, volumes)
            .or_else(|| is_cordoned(pod, node).then_some(Why::Cordoned))
            .or_else(|| self.ports_taken(pod, index))
            .or_else(|| self.lack(asked, index))
            .or_else(|| neighbours.objection(node))
    }

    /// What a node has too little of for these amounts in so many more pods.
    fn lack(&self, (asked, more): (&Amounts, i64), index: usize) -> Option<Why> {
        let Room { node, taken, pods } = &self.nodes[index];
        let has = &node.status.allocatable;
        if more > 0 && Quantity::from_units(pods + more) > has.get(PODS) {
            return Some(Why::Full(has.get(PODS)));
        }
        asked.iter().filter(|(_, amount)| !amount.is_zero()).find_map(|(name, amount)| {
            let free = minus(has.get(name), taken.get(name));
            (amount > free).then(|| Why::Lacks { resource: name.to_owned(), free, of: has.get(name) })
        })
    }

    fn ports_taken(&self, pod: &Pod, index: usize) -> Option<Why> {
        let wanted: Vec<&Port> = host_ports(pod).collect();
        if wanted.is_empty() {
            return None;
        }
        let taken = self.pods.iter().filter(|p| p.node == index).flat_map(|p| host_ports(&p.pod));
        let all = |ip: &str| ip.is_empty() || ip == "0.0.0.0";
        let protocol = |p: &Port| if p.protocol.is_empty() { "TCP".to_owned() } else { p.protocol.clone() };
        let clash = |a: &Port, b: &Port| {
            a.host_port == b.host_port
                && protocol(a) == protocol(b)
                && (all(&a.host_ip) || all(&b.host_ip) || a.host_ip == b.host_ip)
        };
        taken.into_iter().find_map(|port| wanted.iter().find(|w| clash(w, port))).map(|port| Why::Port(port.host_port))
    }

    /// How much the scheduler likes a node by default: one with much CPU and memory left, and of both a like part.
    ///
    /// Source: the scores `LeastAllocated` and `NodeResourcesBalancedAllocation`, in hundredths.
    #[expect(clippy::cast_precision_loss, reason = "only a score")]
    fn score(&self, index: usize, asked: &Amounts) -> f64 {
        let Room { node, taken, .. } = &self.nodes[index];
        let parts = |with: bool| {
            [CPU, MEMORY].map(|name| {
                let has = node.status.allocatable.get(name).nanos();
                let asked = if with { asked.get(name).nanos() } else { 0 };
                if has <= 0 { 1.0 } else { ((taken.get(name).nanos() + asked) as f64 / has as f64).min(1.0) }
            })
        };
        let balance = |[cpu, memory]: [f64; 2]| 100.0 * (1.0 - f64::midpoint(cpu, -memory).abs());
        let [cpu, memory] = parts(true);
        let left = 100.0 * f64::midpoint(1.0 - cpu, 1.0 - memory);
        left + 75.0 + (balance([cpu, memory]) - balance(parts(false))) / 2.0
    }

    /// Looks at all pods once for what a pod's neighbours allow.
    fn neighbours<'p>(&'p self, pod: &'p Pod) -> Neighbours<'p> {
        let affinity = &pod.spec.affinity;
        let label = |node: usize, key: &str| self.nodes[node].node.metadata.labels.get(key).map(String::as_str);
        let mut found = Neighbours::default();
        for placed in &self.pods {
            let theirs = placed.pod.spec.affinity.pod_anti_affinity.required.iter();
            let theirs = theirs.filter(|term| selector::is_about(term, &placed.pod, pod, true));
            let ours = affinity.pod_anti_affinity.required.iter();
            let ours = ours.filter(|term| selector::is_about(term, pod, &placed.pod, true));
            for term in theirs.chain(ours) {
                let value = label(placed.node, &term.topology_key);
                found.forbidden.extend(value.map(|value| (term.topology_key.as_str(), value)));
            }
        }
        let terms = &affinity.pod_affinity.required;
        let meant = |other: &Pod| terms.iter().all(|term| selector::is_about(term, pod, other, false));
        let friends: Vec<&Placed> =
            if terms.is_empty() { Vec::new() } else { self.pods.iter().filter(|p| meant(&p.pod)).collect() };
        for term in terms {
            let places = friends.iter().filter_map(|p| label(p.node, &term.topology_key)).collect();
            found.beside.push((&term.topology_key, places));
        }
        found.first = found.beside.iter().all(|(_, places)| places.is_empty()) && meant(pod);
        found.spread = self.spread(pod);
        found
    }

    /// How many pods each constraint counts in each place.
    fn spread<'p>(&'p self, pod: &'p Pod) -> Vec<(&'p Spread, BTreeMap<&'p str, i64>, bool)> {
        let constraints = pod.spec.topology_spread_constraints.iter();
        let constraints: Vec<&Spread> = constraints.filter(|c| c.when_unsatisfiable == "DoNotSchedule").collect();
        let counted = |constraint: &Spread, other: &Pod| {
            let own =
                |key: &String| pod.metadata.labels.get(key).is_none_or(|v| other.metadata.labels.get(key) == Some(v));
            other.metadata.namespace == pod.metadata.namespace
                && !other.is_leaving()
                && constraint.label_selector.as_ref().is_some_and(|s| selector::selects(s, &other.metadata.labels))
                && constraint.match_label_keys.iter().all(own)
        };
        let in_scope = |constraint: &Spread, node: &Node| {
            constraints.iter().all(|c| node.metadata.labels.contains_key(&c.topology_key))
                && (constraint.node_affinity_policy == "Ignore" || selector::wants(pod, node))
                && (constraint.node_taints_policy != "Honor" || selector::repelling(pod, node).is_none())
        };
        let of = |constraint: &&'p Spread| {
            let constraint: &'p Spread = constraint;
            let mut places: BTreeMap<&str, i64> = BTreeMap::new();
            let mut keys: Vec<Option<&'p str>> = Vec::with_capacity(self.nodes.len());
            for room in &self.nodes {
                let scoped = in_scope(constraint, room.node);
                let place = room.node.metadata.labels.get(&constraint.topology_key).filter(|_| scoped);
                keys.push(place.map(String::as_str));
                places.extend(place.map(|place| (place.as_str(), 0)));
            }
            for placed in self.pods.iter().filter(|p| counted(constraint, &p.pod)) {
                if let Some(count) = keys[placed.node].and_then(|place| places.get_mut(place)) {
                    *count += 1;
                }
            }
            (constraint, places, counted(constraint, pod))
        };
        constraints.iter().map(of).collect()
    }

    fn misfit(&self, pod: &Pod, asked: &Amounts, whys: Vec<Option<Why>>) -> Misfit {
        let volumes = self.volumes_of(pod);
        let wanted: Vec<&Amounts> = self
            .nodes
            .iter()
            .map(|r| r.node)
            .filter(|n| unwanted(pod, n, &volumes).is_none())
            .map(|n| &n.status.allocatable)
            .collect();
        // Larger than every node that it wants: with none of them it may be the labels, and not the size.
        let beyond =
            |(name, amount): &(&str, Quantity)| !wanted.is_empty() && wanted.iter().all(|has| has.get(name) < *amount);
        let largest =
            asked.iter().filter(|(_, amount)| !amount.is_zero()).find(beyond).map(|(name, _)| {
                (name.to_owned(), wanted.iter().map(|has| has.get(name)).max().unwrap_or(Quantity::ZERO))
            });
        let named = whys.into_iter().zip(&self.nodes);
        let whys = named.filter_map(|(why, room)| Some((why?, room.node.metadata.name.clone()))).collect();
        Misfit { asked: asked.clone(), whys, nodes: self.nodes.len(), largest }
    }
}

impl Neighbours<'_> {
    fn objection(&self, node: &Node) -> Option<Why> {
        let value = |key: &str| node.metadata.labels.get(key).map(String::as_str);
        for (constraint, places, counts_itself) in &self.spread {
            let Some(here) = value(&constraint.topology_key) else {
                return Some(Why::Spread(constraint.topology_key.clone()));
            };
            let few = i64::try_from(places.len()).unwrap_or(i64::MAX) < constraint.min_domains.unwrap_or(1);
            let least = if few { 0 } else { places.values().copied().min().unwrap_or(i64::from(i32::MAX)) };
            let here = places.get(here).copied().unwrap_or(0);
            if here + i64::from(*counts_itself) - least > constraint.max_skew {
                return Some(Why::Spread(constraint.topology_key.clone()));
            }
        }
        if let Some((key, _)) = self.forbidden.iter().find(|(key, place)| value(key) == Some(place)) {
            return Some(Why::Apart((*key).to_owned()));
        }
        let lonely = |(key, places): &&(&str, BTreeSet<&str>)| match value(key) {
            None => true,
            Some(here) => !places.contains(here) && !self.first,
        };
        self.beside.iter().find(lonely).map(|(key, _)| Why::Beside((*key).to_owned()))
    }
}

/// Why the pod does not want the node, or the node the pod, whoever else is there.
fn unwanted(pod: &Pod, node: &Node, volumes: &[&NodeSelector]) -> Option<Why> {
    if !selector::wants(pod, node) {
        return Some(Why::NotSelected);
    }
    if let Some(taint) = selector::repelling(pod, node).filter(|taint| taint.key != CORDON) {
        let value = if taint.value.is_empty() { String::new() } else { format!("={}", taint.value) };
        return Some(Why::Taint(format!("{}{value}:{}", taint.key, taint.effect)));
    }
    let reachable = volumes.iter().all(|selector| selector::admits(selector, node));
    (!reachable).then_some(Why::Volume)
}

/// The taint of a node that is cordoned.
const CORDON: &str = "node.kubernetes.io/unschedulable";

fn is_cordoned(pod: &Pod, node: &Node) -> bool {
    let taint = Taint { key: CORDON.to_owned(), value: String::new(), effect: "NoSchedule".to_owned() };
    let has = node.spec.unschedulable || node.spec.taints.iter().any(|t| t.key == CORDON);
    has && !selector::tolerates(pod, &taint)
}

fn host_ports(pod: &Pod) -> impl Iterator<Item = &Port> {
    pod.spec.containers.iter().flat_map(|c| &c.ports).filter(|port| port.host_port > 0)
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;

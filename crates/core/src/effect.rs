//! An independent look at what an operation was to do: whether the object, the pods and the claims have it, and if not,
//! the one thing that most likely stands in the way.

use std::borrow::Borrow;

use serde_json::Value;

use crate::amount::{Amount, ResourceSet, Side};
use crate::change::{Change, What, Wish};
use crate::database::{ComponentView, Database};
use crate::facts::ClaimFact;
use crate::ownership::{self, INSTANCE_LABEL};
use crate::quantity::Quantity;
use crate::status::controller_of;

/// A pod of a database, as far as the look goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFact {
    /// Its name.
    pub name: String,
    /// The key of its component in [`crate::catalog::Engine::components`].
    pub component: &'static str,
    /// The list item, where there is a workload an item.
    pub item: Option<String>,
    /// Its containers' resources, by name.
    pub containers: Vec<(String, ResourceSet)>,
    /// Whether it is on its way out.
    pub deleting: bool,
    /// Whether it is ready.
    pub ready: bool,
    /// What keeps it from running, where it says so.
    pub problem: Option<String>,
}

/// What is there.
#[derive(Debug, Clone, Copy)]
pub struct There<'a> {
    /// The database.
    pub database: &'a Database,
    /// Whether the object must have the new values too: it gets them only at the end of a run.
    pub object_too: bool,
    /// Its pods; `None` where they are not known.
    pub pods: Option<&'a [PodFact]>,
    /// Its claims.
    pub claims: &'a [ClaimFact],
}

/// The values of the instance label that a database's pods have.
#[must_use]
pub fn instances(database: &Database, object: &Value) -> Vec<String> {
    let pods = database.components.iter().filter_map(|c| c.component.pods.as_ref());
    let labels = pods.filter_map(|p| ownership::base_labels(database.engine, Some(p), object).remove(INSTANCE_LABEL));
    let mut all: Vec<String> = labels.collect();
    all.sort();
    all.dedup();
    all
}

/// The label selector of everything that KubeDB makes for a database.
#[must_use]
pub fn selector(database: &Database, object: &Value) -> String {
    format!("{INSTANCE_LABEL} in ({})", instances(database, object).join(","))
}

/// The pods that belong to the database, with their components. One whose component cannot be told is left out.
#[must_use]
pub fn pods_of(database: &Database, object: &Value, pods: &[impl Borrow<Value>]) -> Vec<PodFact> {
    let instances = instances(database, object);
    let belongs = |pod: &&Value| {
        let label = pod.get("metadata").and_then(|m| m.get("labels")?.get(INSTANCE_LABEL)?.as_str());
        label.is_some_and(|label| instances.iter().any(|i| i == label))
    };
    pods.iter().map(Borrow::borrow).filter(belongs).filter_map(|pod| fact(database, object, pod)).collect()
}

fn fact(database: &Database, object: &Value, pod: &Value) -> Option<PodFact> {
    let owner = controller_of(pod)?;
    let workloads = ownership::components_of(database, object, owner.split_once('/')?.1);
    let [workload] = workloads.as_slice() else { return None };
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    Some(PodFact {
        name: pod.pointer("/metadata/name")?.as_str()?.to_owned(),
        component: workload.component,
        item: workload.item.clone(),
        containers: containers
            .filter_map(|c| Some((c.get("name")?.as_str()?.to_owned(), ResourceSet::of(c.get("resources")))))
            .collect(),
        deleting: pod.pointer("/metadata/deletionTimestamp").is_some(),
        ready: is_ready(pod),
        problem: pod_problem(pod),
    })
}

fn is_ready(pod: &Value) -> bool {
    let is = |c: &Value, field: &str, text: &str| c.get(field).and_then(Value::as_str) == Some(text);
    let mut conditions = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    conditions.any(|c| is(c, "type", "Ready") && is(c, "status", "True"))
}

/// Source: pod conditions `PodScheduled` and `PodResizePending`, and the waiting reasons of containers, of Kubernetes.
fn pod_problem(pod: &Value) -> Option<String> {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let conditions = || pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let unscheduled = conditions()
        .find(|c| text(c, "type") == "PodScheduled" && text(c, "status") == "False")
        .map(|c| format!("does not fit on any node: {}", text(c, "message")));
    let infeasible = || {
        let found = conditions().find(|c| text(c, "type") == "PodResizePending" && text(c, "reason") == "Infeasible");
        found.map(|c| format!("cannot be resized in place: {}", text(c, "message")))
    };
    let waiting = || {
        let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten();
        containers.filter_map(|c| c.pointer("/state/waiting")).find_map(|waiting| {
            let reason = text(waiting, "reason");
            let harmless = ["", "ContainerCreating", "PodInitializing"].contains(&reason.as_str());
            (!harmless).then(|| format!("does not start: {reason} {}", text(waiting, "message")).trim_end().to_owned())
        })
    };
    unscheduled.or_else(infeasible).or_else(waiting)
}

/// What a change was to do and is not there, one sentence each; empty = all of it is.
#[must_use]
pub fn missing(change: &Change, there: &There<'_>) -> Vec<String> {
    let acted_on = change.request().and_then(crate::change::Request::named_stanza).map(|s| s.ops_type);
    let wishes: Vec<&Wish> = change.wishes.iter().filter(|w| Some(w.ops_type()) == acted_on).collect();
    let mut missing = Vec::new();
    for wish in &wishes {
        let Some(view) = wish.view(there.database) else { continue };
        let name = view.name();
        match &wish.what {
            What::Replicas(n) if there.object_too && view.replicas() != Some(*n) => {
                missing.push(format!("the object says {} members of {name}, not {n}", or_none(view.replicas())));
            }
            What::Shards(n) if there.object_too && view.shards() != Some(*n) => {
                missing.push(format!("the object says {} shards of {name}, not {n}", or_none(view.shards())));
            }
            What::Replicas(_) | What::Shards(_) => missing.extend(members(view, &wishes, there)),
            What::Resources(wanted) => missing.extend(resources(view, wanted, there)),
            What::Storage(size) => missing.extend(size.quantity().and_then(|size| volumes(view, size, there))),
        }
    }
    missing.dedup();
    missing
}

/// Whether the component has as many pods as both counts together ask for.
fn members(view: &ComponentView, wishes: &[&Wish], there: &There<'_>) -> Option<String> {
    let (mut replicas, mut shards) = (view.replicas(), view.shards());
    for wish in wishes.iter().filter(|w| w.component == view.key && w.item == view.item) {
        match wish.what {
            What::Replicas(n) => replicas = Some(n),
            What::Shards(n) => shards = Some(n),
            What::Resources(_) | What::Storage(_) => {}
        }
    }
    count_differs(view, (replicas, shards), there.pods?)
}

/// Whether the component has another number of pods than its members and shards make; a sentence.
pub(crate) fn count_differs(
    view: &ComponentView,
    (replicas, shards): (Option<i64>, Option<i64>),
    pods: &[PodFact],
) -> Option<String> {
    if view.component.pods.as_ref()?.sets.is_empty() {
        return None; // nobody has written down how its workloads are called
    }
    let places = i64::try_from(view.places.len()).unwrap_or(1);
    let wanted = replicas? * shards.unwrap_or(1) * if view.item.is_some() { 1 } else { places };
    let has = i64::try_from(of_view(pods, view).count()).unwrap_or(i64::MAX);
    (has != wanted).then(|| format!("{} has {has} of {wanted} pods", view.name()))
}

/// Whether the object and every pod of the component have the amounts.
fn resources(view: &ComponentView, wanted: &ResourceSet, there: &There<'_>) -> Option<String> {
    let name = view.name();
    if there.object_too && view.resources().is_some_and(|has| !covers(has, wanted)) {
        return Some(format!("the object has other resources for {name}"));
    }
    let pods = there.pods?;
    let has = |pod: &&PodFact| has_resources(pod, view, wanted);
    let mut lacking = of_view(pods, host_of(there.database, view)).filter(|pod| has(pod) == Some(false));
    let first = lacking.next()?;
    Some(match lacking.count() {
        0 => format!("pod {} has other resources", first.name),
        more => format!("pod {} and {more} more of {name} have other resources", first.name),
    })
}

/// Whether the component's container in a pod has the amounts; `None` where the pod has no such container, or its name is
/// not known.
pub(crate) fn has_resources(pod: &PodFact, view: &ComponentView, wanted: &ResourceSet) -> Option<bool> {
    let container = view.component.resources.as_ref()?.container.as_deref()?;
    let (_, has) = pod.containers.iter().find(|(name, _)| name == container)?;
    Some(covers(has, wanted))
}

/// The component in whose pods this one runs: itself, unless it is a sidecar.
pub(crate) fn host_of<'d>(database: &'d Database, view: &'d ComponentView) -> &'d ComponentView {
    let host = view.component.sidecar_of.as_deref();
    host.and_then(|key| database.components.iter().find(|c| c.key == key)).unwrap_or(view)
}

fn covers(has: &ResourceSet, wanted: &ResourceSet) -> bool {
    Side::ALL.iter().all(|side| {
        wanted.amounts(*side).all(|(name, wanted)| {
            has.amount(*side, name).and_then(Amount::quantity) == wanted.quantity() || wanted.quantity().is_none()
        })
    })
}

/// Whether the object asks for the size, and every claim has it that a pod uses.
fn volumes(view: &ComponentView, size: Quantity, there: &There<'_>) -> Option<String> {
    let name = view.name();
    if there.object_too && view.storage().is_some_and(|has| has < size) {
        return Some(format!("the object says less than {size} for {name}"));
    }
    let used = there.claims.iter().filter(|c| c.component == name && !c.idle);
    let mut small = used.filter(|c| c.capacity.unwrap_or(c.requested) < size);
    let first = small.next()?;
    Some(match small.count() {
        0 => format!("claim {} is smaller than {size}", first.name),
        more => format!("claim {} and {more} more are smaller than {size}", first.name),
    })
}

pub(crate) fn of_view<'p>(pods: &'p [PodFact], view: &'p ComponentView) -> impl Iterator<Item = &'p PodFact> {
    pods.iter().filter(|p| !p.deleting && p.component == view.key && (view.item.is_none() || p.item == view.item))
}

fn or_none(number: Option<i64>) -> String {
    number.map_or_else(|| "no number of".to_owned(), |n| n.to_string())
}

/// The one thing that most likely stands in the way: what Kubernetes says of pods, claims and quotas comes first, then what
/// the request's own conditions say, for those tell of the same things at second hand.
#[must_use]
pub fn cause(
    pods: &[PodFact],
    claims: &[ClaimFact],
    quotas: &[impl Borrow<Value>],
    condition: Option<&str>,
) -> Option<String> {
    let pod = pods.iter().find_map(|p| Some(format!("pod {} {}", p.name, p.problem.as_ref()?)));
    let claim = || claims.iter().find_map(|c| Some(format!("claim {}: {}", c.name, c.failed.as_ref()?)));
    let quota = || quotas.iter().map(Borrow::borrow).find_map(used_up);
    let condition = || condition.filter(|text| !text.is_empty()).map(str::to_owned);
    pod.or_else(claim).or_else(quota).or_else(condition)
}

/// A quota of which something is used up.
fn used_up(quota: &Value) -> Option<String> {
    let name = quota.pointer("/metadata/name")?.as_str()?;
    let hard = quota.pointer("/status/hard")?.as_object()?;
    let amount = |value: &Value| crate::amount::Written::of(value).and_then(|w| w.quantity());
    hard.iter().find_map(|(resource, hard)| {
        let used = quota.pointer("/status/used")?.get(resource)?;
        let full = amount(used)? >= amount(hard)?;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        full.then(|| format!("quota {name} is used up: {resource} {} of {}", text(used), text(hard)))
    })
}

#[cfg(test)]
#[path = "effect_tests.rs"]
mod tests;

//! How far an operation has come: its step, out of its conditions, and how many pods or claims have what it asks for.
//!
//! For people only: nothing is decided by it, and `status.phase` alone says whether an operation has ended.

use std::borrow::Borrow;
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use crate::amount::ResourceSet;
use crate::change::{Change, What, Wish};
use crate::database::{ComponentView, Database};
use crate::effect::{self, PodFact};
use crate::facts::ClaimFact;
use crate::quantity::Quantity;

/// So many of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many have what is asked for.
    pub done: usize,
    /// How many there are to be.
    pub all: usize,
    /// What is counted: `pods`, `claims`.
    pub of: &'static str,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} {}", self.done, self.all, self.of)
    }
}

/// The step that an OpsRequest was at last: `RestartPods`, `EvictPod`; `None` before its first.
///
/// KubeDB adds conditions as it goes and keeps the operation's own first. Their times count whole seconds, and one that is
/// written again keeps its place: so the newest counts, and of those of one second the last.
#[must_use]
pub fn step(request: &Value) -> Option<&str> {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let own = request.pointer("/spec/type").and_then(Value::as_str).unwrap_or_default();
    let is_step = |kind: &str| !kind.is_empty() && ![own, "Successful", "Progressing"].contains(&kind);
    let conditions = request.pointer("/status/conditions")?.as_array()?.iter();
    let steps = conditions.filter(|c| is_step(c.get("type").and_then(Value::as_str).unwrap_or_default()));
    let kind = steps.max_by_key(|c| text(c, "lastTransitionTime"))?.get("type")?.as_str()?;
    Some(kind.split_once("--").map_or(kind, |(step, _)| step))
}

/// From when to when an OpsRequest ran, as its conditions tell: KubeDB writes the first when it begins, and the last when
/// the run has ended; `None` where it has none.
///
/// A record counts alike, from the first Progressing that it has seen.
#[must_use]
pub fn span(request: &Value) -> Option<(Timestamp, Timestamp)> {
    let conditions = request.pointer("/status/conditions")?.as_array()?.iter();
    let times = || conditions.clone().filter_map(|c| c.get("lastTransitionTime")?.as_str()?.parse().ok());
    Some((times().min()?, times().max()?))
}

/// How many pods or claims have what an OpsRequest of the type that it names asks for; `None` where nothing can be counted.
///
/// `database` and `object` are as they were before the run: KubeDB writes the new values only at its end. `pods` may hold
/// those of other databases, too.
#[must_use]
pub fn of(
    change: &Change,
    database: &Database,
    object: &Value,
    pods: &[impl Borrow<Value>],
    claims: &[ClaimFact],
) -> Option<Progress> {
    let pods = effect::pods_of(database, object, pods);
    let ops_type = change.request()?.named_stanza()?.ops_type;
    let wishes: Vec<&Wish> = change.wishes.iter().filter(|w| w.ops_type() == ops_type).collect();
    let mut total: Option<Progress> = None;
    let mut counted: Vec<(&str, Option<&String>)> = Vec::new();
    for wish in &wishes {
        let Some(view) = wish.view(database) else { continue };
        let here: Vec<&PodFact> = effect::of_view(&pods, effect::host_of(database, view)).collect();
        let progress = match &wish.what {
            // Members and shards of one component are one number of pods.
            What::Replicas(_) | What::Shards(_) if counted.contains(&(view.key, view.item.as_ref())) => continue,
            What::Replicas(_) | What::Shards(_) => {
                counted.push((view.key, view.item.as_ref()));
                members(view, &wishes, &here)
            }
            What::Resources(wanted) => resized(view, wanted, &here),
            What::Storage(size) => size.quantity().and_then(|size| grown(&view.name(), size, claims)),
        };
        let Some(progress) = progress else { continue };
        let sum = total.map_or((0, 0), |t| (t.done, t.all));
        total = Some(Progress { done: sum.0 + progress.done, all: sum.1 + progress.all, of: progress.of });
    }
    total
}

/// How many claims of a component have grown to a size; `None` where there are none.
#[must_use]
pub fn grown(component: &str, size: Quantity, claims: &[ClaimFact]) -> Option<Progress> {
    let mounted: Vec<&ClaimFact> = claims.iter().filter(|c| c.component == component && !c.idle).collect();
    let done = mounted.iter().filter(|c| c.capacity.is_some_and(|has| has >= size)).count();
    (!mounted.is_empty()).then_some(Progress { done, all: mounted.len(), of: "claims" })
}

/// Members that came, or that went where they become fewer.
fn members(view: &ComponentView, wishes: &[&Wish], pods: &[&PodFact]) -> Option<Progress> {
    let before = (view.replicas().unwrap_or(1), view.shards().unwrap_or(1));
    let mut after = before;
    for wish in wishes.iter().filter(|w| w.component == view.key && w.item == view.item) {
        match wish.what {
            What::Replicas(n) => after.0 = n,
            What::Shards(n) => after.1 = n,
            What::Resources(_) | What::Storage(_) => {}
        }
    }
    let product = |(replicas, shards): (i64, i64)| usize::try_from(replicas.checked_mul(shards)?).ok();
    let (before, after) = (product(before)?, product(after)?);
    if after < before {
        let gone = before.saturating_sub(pods.len());
        return Some(Progress { done: gone.min(before - after), all: before - after, of: "pods gone" });
    }
    let ready = pods.iter().filter(|p| p.ready).count();
    Some(Progress { done: ready.min(after), all: after, of: "pods" })
}

/// Pods that are ready with the wanted resources; `None` where there are none, or the container's name is not known.
fn resized(view: &ComponentView, wanted: &ResourceSet, pods: &[&PodFact]) -> Option<Progress> {
    view.component.resources.as_ref()?.container.as_ref()?;
    let has = |pod: &PodFact| effect::has_resources(pod, view, wanted) == Some(true);
    let done = pods.iter().filter(|p| p.ready && has(p)).count();
    (!pods.is_empty()).then_some(Progress { done, all: pods.len(), of: "pods" })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn object() -> Value {
        json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db", "namespace": "demo", "uid": "u"},
            "spec": {"replicaSet": {"name": "rs"}, "replicas": 3}})
    }

    fn pod(index: usize, memory: &str, ready: &str) -> Value {
        json!({"metadata": {"name": format!("db-{index}"), "labels": {"app.kubernetes.io/instance": "db"},
            "ownerReferences": [{"kind": "PetSet", "name": "db", "controller": true}]},
            "spec": {"containers": [{"name": "mongodb", "resources": {"requests": {"memory": memory, "cpu": "1"}, "limits": {"memory": memory}}}]},
            "status": {"conditions": [{"type": "Ready", "status": ready}]}})
    }

    fn counted(spec: &Value, pods: &[Value]) -> Option<String> {
        let engine = Catalog::builtin().find("mongodb").unwrap();
        let (object, mut request) = (object(), json!({"metadata": {"name": "ask"}, "spec": spec}));
        request["spec"]["databaseRef"] = json!({"name": "db"});
        let database = Database::of(engine, &object);
        let change = Change::of_request(engine, &request, Some(&database));
        of(&change, &database, &object, pods, &[]).map(|p| p.to_string())
    }

    #[rstest]
    #[case::grows(5, &["True", "True", "True", "False"], "3 of 5 pods")]
    #[case::grown(5, &["True"; 5], "5 of 5 pods")]
    #[case::shrinks(1, &["True"; 2], "1 of 2 pods gone")]
    #[case::shrunk(1, &["True"], "2 of 2 pods gone")]
    fn members_that_come_and_go(#[case] replicas: i64, #[case] ready: &[&str], #[case] told: &str) {
        let pods: Vec<Value> = ready.iter().enumerate().map(|(i, ready)| pod(i, "1Gi", ready)).collect();
        let spec = json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": replicas}});
        assert_eq!(counted(&spec, &pods).as_deref(), Some(told));
    }

    #[test]
    fn a_resized_pod_counts_once_it_is_ready_however_the_amount_is_spelled() {
        let spec = json!({"type": "VerticalScaling", "verticalScaling": {"replicaSet": {"resources":
            {"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi"}}}}});
        let mut other = pod(3, "2Gi", "True");
        other["metadata"]["ownerReferences"][0]["name"] = json!("other");
        let pods = [pod(0, "2048Mi", "True"), pod(1, "2Gi", "False"), pod(2, "1Gi", "True"), other];
        assert_eq!(counted(&spec, &pods).as_deref(), Some("1 of 3 pods"));
    }

    #[test]
    fn a_type_that_does_not_scale_is_not_counted() {
        assert_eq!(counted(&json!({"type": "Restart"}), &[pod(0, "1Gi", "True")]), None);
    }

    #[rstest]
    #[case::none(json!([]), None)]
    #[case::the_operation_itself(json!([{"type": "VerticalScaling"}, {"type": "Successful"}]), None)]
    #[case::newest(json!([{"type": "VerticalScaling", "lastTransitionTime": "2026-01-01T00:00:09Z"},
        {"type": "RestartPods", "lastTransitionTime": "2026-01-01T00:00:05Z"},
        {"type": "UpdatePetSets", "lastTransitionTime": "2026-01-01T00:00:01Z"}]), Some("RestartPods"))]
    #[case::last_of_a_second(json!([{"type": "GetPod--db-0", "lastTransitionTime": "2026-01-01T00:00:05Z"},
        {"type": "EvictPod--db-0", "lastTransitionTime": "2026-01-01T00:00:05Z"}]), Some("EvictPod"))]
    fn steps(#[case] conditions: Value, #[case] wanted: Option<&str>) {
        let request = json!({"spec": {"type": "VerticalScaling"}, "status": {"conditions": conditions}});
        assert_eq!(step(&request), wanted);
    }

    #[test]
    fn a_run_begins_with_its_first_condition_and_ends_with_its_last() {
        let at = |time: &str| json!({"type": "x", "lastTransitionTime": time});
        let request = json!({"status": {"conditions":
            [at("2026-01-01T00:00:05Z"), at("2026-01-01T00:00:01Z"), at("2026-01-01T00:00:09Z"), {"type": "y"}]}});
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(span(&request), Some((time("2026-01-01T00:00:01Z"), time("2026-01-01T00:00:09Z"))));
        assert_eq!(span(&json!({"status": {"conditions": [{"type": "y"}]}})), None);
    }
}

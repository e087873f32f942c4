//! The part of every node's kubelet: pods that the scheduler has placed run and become ready, resized ones get what they
//! ask for, deleted ones end. The decision is pure.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde_json::{Value, json};

use super::api::Hands;
use super::faults;
use super::json;
use super::world::Id;

/// How soon to look again at a pod that an annotation keeps unready.
const HELD: Duration = Duration::from_millis(500);

/// The conditions that a kubelet sets.
const CONDITIONS: [&str; 4] = ["PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"];

/// Looks at one pod.
///
/// # Errors
/// What the API server says; the look is repeated.
pub async fn reconcile(hands: &Hands, id: &Id) -> Result<Option<Duration>, kube::Error> {
    let Some(pod) = hands.get(id) else { return Ok(None) };
    if json::text(&pod, "/spec/nodeName").is_empty() {
        return Ok(None); // the scheduler's turn; where it is deleted, the API server ends it by itself
    }
    if json::is_deleting(&pod) {
        if json::list(&pod, "/metadata/finalizers").is_empty() {
            hands.delete(id, json::uid(&pod), false).await?;
        }
        return Ok(None);
    }
    let database = {
        let world = hands.world();
        let set = json::controller(&pod).and_then(|uid| world.owner(uid));
        set.and_then(|set| world.owner(json::controller(&set)?))
    };
    let asks = |key| [Some(&pod), database.as_ref()].into_iter().flatten().any(|o| faults::is_on(o, key, &id.name));
    let (held, infeasible) = (asks("not-ready"), asks("infeasible"));
    if let Some(status) = status(&pod, !held, infeasible) {
        hands.patch(id, Some("status"), &json!({"status": status})).await?;
    }
    Ok(held.then_some(HELD))
}

/// The status that the pod should have; `None` where it has it.
fn status(pod: &Value, ready: bool, infeasible: bool) -> Option<Value> {
    if matches!(json::text(pod, "/status/phase"), "Succeeded" | "Failed") {
        return None;
    }
    let statuses = json::list(pod, "/status/containerStatuses");
    let resized = json::list(pod, "/spec/containers").iter().any(|c| {
        let status = json::named(statuses, json::text(c, "/name"));
        status.is_some_and(|s| !same(&s["resources"], &c["resources"]))
    });
    let refused = resized && infeasible;
    let is_new = statuses.is_empty();
    let was_ready = json::has_condition(pod, "Ready");
    let was_refused = json::has_condition(pod, "PodResizePending");
    if !is_new && was_ready == ready && (!resized || refused) && was_refused == refused {
        return None;
    }
    let now = json::now();
    let started = json::text(pod, "/status/startTime");
    let started = if started.is_empty() { now.as_str() } else { started };
    let container = |c: &Value| {
        let before = json::named(statuses, json::text(c, "/name")).filter(|_| refused);
        let resources = before.map_or_else(|| c["resources"].clone(), |b| b["resources"].clone());
        json!({
            "name": c["name"],
            "image": c["image"],
            "imageID": format!("testbed@{}", json::text(c, "/image")),
            "containerID": format!("testbed://{}-{}", json::uid(pod), json::text(c, "/name")),
            "restartCount": 0,
            "started": true,
            "ready": ready,
            "state": {"running": {"startedAt": started}},
            "allocatedResources": resources.get("requests").cloned().unwrap_or_else(|| json!({})),
            "resources": resources,
        })
    };
    let mine =
        |c: &&Value| CONDITIONS.contains(&json::text(c, "/type")) || json::text(c, "/type").starts_with("PodResize");
    let mut conditions: Vec<Value> =
        json::list(pod, "/status/conditions").iter().filter(|c| !mine(c)).cloned().collect();
    for kind in CONDITIONS {
        let holds = ready || !kind.ends_with("Ready");
        let status = if holds { "True" } else { "False" };
        conditions.push(json!({"type": kind, "status": status, "lastTransitionTime": now}));
    }
    if refused {
        conditions.push(json!({"type": "PodResizePending", "status": "True", "reason": "Infeasible",
            "message": "an annotation asks for it", "lastTransitionTime": now}));
    }
    let address = address(json::uid(pod));
    Some(json!({
        "phase": "Running",
        "observedGeneration": json::generation(pod),
        "startTime": started,
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": conditions,
        "containerStatuses": json::list(pod, "/spec/containers").iter().map(container).collect::<Vec<_>>(),
    }))
}

fn same(a: &Value, b: &Value) -> bool {
    let set = |v: &Value| dbscale_core::amount::ResourceSet::of(Some(v));
    set(a).same_as(&set(b))
}

/// An address that nobody answers at, always the same for a pod.
fn address(uid: &str) -> String {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    let [a, b, ..] = hasher.finish().to_be_bytes();
    format!("10.244.{a}.{}", b.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "x-0", "uid": "u", "generation": 2},
            "spec": {"nodeName": "n", "containers": [{"name": "db", "image": "i", "resources": {"requests": {"cpu": "2"}}}]},
            "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]},
        })
    }

    fn after(mut pod: Value, status: Option<Value>) -> Value {
        if let Some(status) = status {
            pod["status"] = status;
        }
        pod
    }

    #[test]
    fn a_placed_pod_becomes_ready_once() {
        let running = after(pod(), status(&pod(), true, false));
        assert!(json::has_condition(&running, "Ready") && json::has_condition(&running, "PodScheduled"));
        assert_eq!(running["status"]["containerStatuses"][0]["resources"]["requests"]["cpu"], "2");
        assert_eq!(status(&running, true, false), None);
    }

    #[test]
    fn an_annotation_keeps_it_unready_and_lets_it_go() {
        let held = after(pod(), status(&pod(), false, false));
        assert!(!json::has_condition(&held, "Ready") && json::has_condition(&held, "Initialized"));
        assert_eq!(status(&held, false, false), None);
        assert!(json::has_condition(&after(held.clone(), status(&held, true, false)), "Ready"));
    }

    #[test]
    fn a_resize_is_carried_out_or_refused() {
        let mut resized = after(pod(), status(&pod(), true, false));
        resized["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("3");
        let settled = after(resized.clone(), status(&resized, true, false));
        assert_eq!(settled["status"]["containerStatuses"][0]["allocatedResources"]["cpu"], "3");
        let refused = after(resized.clone(), status(&resized, true, true));
        assert!(json::has_condition(&refused, "PodResizePending"));
        assert_eq!(refused["status"]["containerStatuses"][0]["resources"]["requests"]["cpu"], "2");
        assert_eq!(status(&refused, true, true), None);
    }
}

//! What a pod takes: as the scheduler counts it, as a quota does, and as a limit range does.
//!
//! Source: `PodRequests` and `PodLimits` of k8s.io/component-helpers v0.36, `podComputeUsageHelper` of Kubernetes' quota.

use super::amounts::{Amounts, CPU, MEMORY, PODS};
use super::object::{Container, Pod, Resources};
use crate::quantity::Quantity;

/// One of the two sides of `resources`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Requests,
    Limits,
}

/// What the scheduler sets aside for a pod on its node: the larger of what is asked for and what it really has.
#[must_use]
pub fn requests(pod: &Pod) -> Amounts {
    with_overhead(pod, sum(pod, Side::Requests, true), Side::Requests)
}

/// The requests of a pod as a limit range sees them: the spec alone, without the runtime's overhead.
#[must_use]
pub fn bare_requests(pod: &Pod) -> Amounts {
    sum(pod, Side::Requests, false)
}

/// The limits of a pod as a limit range sees them.
#[must_use]
pub fn bare_limits(pod: &Pod) -> Amounts {
    sum(pod, Side::Limits, false)
}

/// What a pod is charged for by a quota, by the names of a quota's `hard`. A pod that has ended counts as an object alone.
#[must_use]
pub fn charged(pod: &Pod) -> Amounts {
    let one = Quantity::from_units(1);
    let mut charged = Amounts::default();
    if !pod.is_over() {
        charged = named(&requests(pod), &with_overhead(pod, sum(pod, Side::Limits, true), Side::Limits));
        charged.set(PODS, one);
    }
    charged.set("count/pods", one);
    charged
}

/// Requests and limits by the names that a quota has for them.
pub(super) fn named(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut all = Amounts::default();
    for (name, amount) in requests.iter() {
        let is_extended = name.contains('/');
        let counts = is_basic(name) || name.starts_with("hugepages-") || is_extended;
        if counts {
            all.set(&format!("requests.{name}"), amount);
        }
        if counts && !is_extended {
            all.set(name, amount);
        }
    }
    for (name, amount) in limits.iter().filter(|(name, _)| is_basic(name)) {
        all.set(&format!("limits.{name}"), amount);
    }
    all
}

fn is_basic(name: &str) -> bool {
    [CPU, MEMORY, "ephemeral-storage"].contains(&name)
}

/// Whether nothing of the pod asks for CPU or memory.
pub(super) fn is_best_effort(pod: &Pod) -> bool {
    let bare = |r: &Resources| {
        [&r.requests, &r.limits].iter().all(|side| [CPU, MEMORY].iter().all(|name| side.get(name).is_zero()))
    };
    let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    bare(&pod.spec.resources) && containers.map(|c| &c.resources).all(bare)
}

fn sum(pod: &Pod, side: Side, with_status: bool) -> Amounts {
    let of = |container: &Container, stays: bool| {
        let mut amounts = pick(&container.resources, side).clone();
        if with_status && stays {
            really_has(pod, container, side, &mut amounts);
        }
        amounts
    };
    let mut sum = Amounts::default();
    pod.spec.containers.iter().for_each(|container| sum.add(&of(container, true)));
    // Init containers run one after the other, beside those before them that stay.
    let (mut beside, mut most) = (Amounts::default(), Amounts::default());
    for container in &pod.spec.init_containers {
        let stays = container.restart_policy == "Always";
        let amounts = of(container, stays);
        let mut now = beside.clone();
        now.add(&amounts);
        if stays {
            sum.add(&amounts);
            beside.add(&amounts);
        }
        most.raise_to(&now);
    }
    sum.raise_to(&most);
    for (name, amount) in pick(&pod.spec.resources, side).iter() {
        if [CPU, MEMORY].contains(&name) || name.starts_with("hugepages-") {
            sum.set(name, amount);
        }
    }
    sum
}

/// A container that is resized in place is counted with what it has until it has what it is to have.
fn really_has(pod: &Pod, container: &Container, side: Side, amounts: &mut Amounts) {
    let status = pod.status.container_statuses.iter().find(|s| s.name == container.name);
    let Some((status, has)) = status.and_then(|s| Some((s, s.resources.as_ref()?))) else { return };
    let pending = pod.status.conditions.iter().find(|c| c.kind == "PodResizePending");
    if pending.is_some_and(|c| c.reason == "Infeasible") {
        *amounts = Amounts::default();
    }
    amounts.raise_to(pick(has, side));
    if side == Side::Requests {
        amounts.raise_to(&status.allocated_resources);
    }
}

fn with_overhead(pod: &Pod, mut amounts: Amounts, side: Side) -> Amounts {
    for (name, more) in pod.spec.overhead.iter() {
        if side == Side::Requests || !amounts.get(name).is_zero() {
            amounts.add_one(name, more);
        }
    }
    amounts
}

fn pick(resources: &Resources, side: Side) -> &Amounts {
    match side {
        Side::Requests => &resources.requests,
        Side::Limits => &resources.limits,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn pod(spec: &Value, status: &Value) -> Pod {
        serde_json::from_value(json!({"spec": spec, "status": status})).unwrap()
    }

    fn asks(memory: &str) -> Value {
        json!({"name": "c", "resources": {"requests": {"memory": memory}}})
    }

    #[rstest]
    #[case::containers_add_up(json!({"containers": [asks("1Gi"), asks("2Gi")]}), json!({}), "3Gi")]
    #[case::a_large_init_container(json!({"containers": [asks("1Gi")], "initContainers": [asks("4Gi"), asks("2Gi")]}), json!({}), "4Gi")]
    #[case::one_that_stays(json!({"containers": [asks("1Gi")], "initContainers": [
        {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"memory": "1Gi"}}}, asks("3Gi")]}), json!({}), "4Gi")]
    #[case::overhead(json!({"containers": [asks("1Gi")], "overhead": {"memory": "128Mi"}}), json!({}), "1152Mi")]
    #[case::of_the_pod(json!({"containers": [asks("1Gi")], "resources": {"requests": {"memory": "5Gi"}}}), json!({}), "5Gi")]
    #[case::while_it_shrinks_in_place(json!({"containers": [asks("1Gi")]}),
        json!({"containerStatuses": [{"name": "c", "resources": {"requests": {"memory": "2Gi"}}}]}), "2Gi")]
    #[case::a_growth_that_cannot_be(json!({"containers": [asks("9Gi")]}),
        json!({"conditions": [{"type": "PodResizePending", "reason": "Infeasible"}],
            "containerStatuses": [{"name": "c", "resources": {"requests": {"memory": "2Gi"}}}]}), "2Gi")]
    fn what_the_scheduler_sets_aside(#[case] spec: Value, #[case] status: Value, #[case] memory: Quantity) {
        assert_eq!(requests(&pod(&spec, &status)).get(MEMORY), memory);
    }

    #[test]
    fn a_quota_has_two_names_for_requests_and_one_for_what_others_define() {
        let amounts = json!({"cpu": 1, "memory": "1Gi", "example.com/gpu": 2});
        let spec = json!({"containers": [{"resources": {"requests": amounts, "limits": amounts}}]});
        let charged = charged(&pod(&spec, &json!({})));
        let names: Vec<&str> = charged.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "count/pods",
                "cpu",
                "limits.cpu",
                "limits.memory",
                "memory",
                "pods",
                "requests.cpu",
                "requests.example.com/gpu",
                "requests.memory"
            ]
        );
    }

    #[test]
    fn a_pod_that_has_ended_is_charged_as_an_object() {
        let ended = pod(&json!({"containers": [asks("1Gi")]}), &json!({"phase": "Succeeded"}));
        assert_eq!(charged(&ended).iter().map(|(name, _)| name).collect::<Vec<_>>(), ["count/pods"]);
    }
}

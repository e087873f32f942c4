//! Vertical scaling: a new pod template first, then the pods one by one, restarted or resized in place. Pure.

use std::collections::HashSet;
use std::sync::Arc;

use dbscale_core::amount::{Amount, ResourceSet, Side};
use dbscale_core::change::What;
use serde_json::{Value, json};

use super::json;
use super::layout::Set;
use super::operation::{Goal, Move, Next, Present, Touch, replicas};

/// The next moves.
pub fn next(goal: &Goal, after: &[Set], present: &Present, no_resize: &HashSet<String>) -> Next {
    let touched: Vec<&Set> = after.iter().filter(|s| goal.touches.iter().any(|t| t.is(s))).collect();
    let templates: Vec<Move> = touched.iter().filter_map(|set| new_template(goal, set, present)).collect();
    if !templates.is_empty() {
        return Next::Act(templates);
    }
    let in_place = goal.mode == "InPlace";
    for set in &touched {
        let Some(live) = present.set(&set.name) else { continue };
        let pods = present.pods_of(&set.name);
        if let Some(pod) = pods.iter().find(|p| in_place && is_infeasible(p)) {
            return Next::Act(vec![Move::DeletePod(json::name(pod).to_owned(), json::uid(pod).to_owned())]);
        }
        let outdated = |pod: &&&Arc<Value>| !fits(goal, set, json::list(pod, "/spec/containers"));
        if let Some(pod) = pods.iter().find(outdated) {
            // A pod that is not as wanted may itself be the trouble; the others have to be well before the next one goes.
            let well = |p: &&Arc<Value>| settled(goal, set, p, in_place) && json::has_condition(p, "Ready");
            let others_well = pods.iter().filter(|p| !outdated(p)).all(well);
            if !others_well || i64::try_from(pods.len()).is_ok_and(|n| n < replicas(live)) {
                return Next::Wait;
            }
            return Next::Act(vec![replace(goal, set, pod, in_place && !no_resize.contains(json::name(pod)))]);
        }
        let all_settled = pods.iter().all(|p| settled(goal, set, p, in_place));
        if !all_settled || !present.is_complete(&set.name) {
            return Next::Wait;
        }
    }
    Next::Done
}

fn replace(goal: &Goal, set: &Set, pod: &Value, resize: bool) -> Move {
    let name = json::name(pod).to_owned();
    if !resize {
        return Move::DeletePod(name, json::uid(pod).to_owned());
    }
    let wanted =
        |(touch, resources): (&Touch, &ResourceSet)| json!({"name": touch.container, "resources": resources.to_json()});
    Move::ResizePod(name, wishes(goal, set).map(wanted).collect())
}

/// The resources that the goal wants in the pods of a workload.
fn wishes<'g>(goal: &'g Goal, set: &Set) -> impl Iterator<Item = (&'g Touch, &'g ResourceSet)> {
    let of_set = goal.touches.iter().filter(|t| t.is(set));
    of_set.filter_map(|touch| match &touch.what {
        What::Resources(wanted) => Some((touch, wanted)),
        _ => None,
    })
}

fn new_template(goal: &Goal, set: &Set, present: &Present) -> Option<Move> {
    let live = present.set(&set.name)?;
    let containers = json::list(live, "/spec/template/spec/containers");
    let mut wanted = containers.to_vec();
    for (touch, resources) in wishes(goal, set) {
        if let Some(container) = wanted.iter_mut().find(|c| c["name"] == touch.container.as_str()) {
            container["resources"] = resources.to_json();
        }
    }
    let same = wanted.iter().zip(containers).all(|(new, old)| same_resources(new, old));
    let patch = json!({"spec": {"template": {"spec": {"containers": wanted}}}});
    (!same).then(|| Move::PatchSet(set.kind, set.name.clone(), patch))
}

fn same_resources(a: &Value, b: &Value) -> bool {
    ResourceSet::of(a.get("resources")).same_as(&ResourceSet::of(b.get("resources")))
}

/// Whether the containers have what the goal wants; a container that is not there is not waited for.
fn fits(goal: &Goal, set: &Set, containers: &[Value]) -> bool {
    wishes(goal, set).all(|(touch, wanted)| {
        let container = json::named(containers, &touch.container);
        container.is_none_or(|c| covers(&ResourceSet::of(c.get("resources")), wanted))
    })
}

/// Whether the kubelet has carried out what the pod's spec says.
fn settled(goal: &Goal, set: &Set, pod: &Value, in_place: bool) -> bool {
    let pending = ["PodResizePending", "PodResizeInProgress"].iter().any(|c| json::has_condition(pod, c));
    !in_place || (!pending && fits(goal, set, json::list(pod, "/status/containerStatuses")))
}

fn is_infeasible(pod: &Value) -> bool {
    let conditions = json::list(pod, "/status/conditions").iter();
    conditions.into_iter().any(|c| c["type"] == "PodResizePending" && c["reason"] == "Infeasible")
}

/// Whether `present` has all of `wanted`. The API server takes a missing request from the limit.
fn covers(present: &ResourceSet, wanted: &ResourceSet) -> bool {
    Side::ALL.iter().all(|side| {
        wanted.amounts(*side).all(|(name, amount)| {
            let has = present.amount(*side, name).and_then(Amount::quantity);
            has.is_some() && has == amount.quantity()
        })
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::testing::*;
    use super::*;

    fn goal(mode: &str) -> Goal {
        goal_of(&json!({"type": "VerticalScaling", "verticalScaling": {"mode": mode,
            "replicaSet": {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}}}}))
    }

    fn resources(cpu: &str) -> Value {
        json!({"requests": {"cpu": cpu}, "limits": {"cpu": cpu}})
    }

    fn look(mode: &str, present: &Present) -> Next {
        let goal = goal(mode);
        goal.next(&sets_of(&database()), &sets_of(&goal.database), present, &HashSet::new())
    }

    #[test]
    fn the_template_goes_first() {
        let Next::Act(moves) = look("", &present("1", &["1", "1"])) else { panic!("it acts") };
        let [Move::PatchSet(_, name, patch)] = moves.as_slice() else { panic!("one patch: {moves:?}") };
        assert_eq!(name, "mg");
        assert_eq!(patch["spec"]["template"]["spec"]["containers"][0]["resources"], resources("2"));
    }

    #[test]
    fn pods_go_one_by_one_and_only_while_the_others_are_well() {
        let mut present = present("2", &["2", "1", "1"]);
        assert_eq!(look("", &present), Next::Act(vec![Move::DeletePod("mg-1".to_owned(), "mg-1".to_owned())]));
        unready(&mut present, 0);
        assert_eq!(look("", &present), Next::Wait);
    }

    #[test]
    fn a_pod_that_is_not_ready_itself_does_not_hold_up_its_own_restart() {
        let mut present = present("2", &["1", "2"]);
        unready(&mut present, 0);
        assert_eq!(look("", &present), Next::Act(vec![Move::DeletePod("mg-0".to_owned(), "mg-0".to_owned())]));
    }

    #[test]
    fn in_place_resizes_and_waits_until_the_kubelet_has_followed() {
        let mut present = present("2", &["2", "1"]);
        let wanted = json!([{"name": "mongodb", "resources": resources("2")}]);
        assert_eq!(look("InPlace", &present), Next::Act(vec![Move::ResizePod("mg-1".to_owned(), wanted)]));
        change(&mut present.pods[1], "/spec/containers/0/resources", resources("2"));
        assert_eq!(look("InPlace", &present), Next::Wait);
        change(&mut present.pods[1], "/status/containerStatuses/0/resources", resources("2"));
        assert_eq!(look("InPlace", &present), Next::Done);
    }

    #[test]
    fn a_pod_that_its_node_cannot_resize_is_restarted_before_the_next_one() {
        let mut present = present("2", &["2", "1"]);
        change(&mut present.pods[0], "/status/containerStatuses/0/resources", resources("1"));
        assert_eq!(look("InPlace", &present), Next::Wait);
        let pending = json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
        change(&mut present.pods[0], "/status/conditions", pending);
        assert_eq!(look("InPlace", &present), Next::Act(vec![Move::DeletePod("mg-0".to_owned(), "mg-0".to_owned())]));
    }

    #[rstest]
    #[case::all_new(&["2", "2"], Next::Done)]
    #[case::one_missing(&["2"], Next::Wait)]
    fn ends_when_all_pods_are_there(#[case] pods: &[&str], #[case] wanted: Next) {
        let mut present = present("2", pods);
        change(&mut present.sets[0], "/spec/replicas", json!(2));
        assert_eq!(look("", &present), wanted);
    }
}

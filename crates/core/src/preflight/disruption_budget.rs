//! `preflight/disruption-budget`: a pod that is to restart must be let go.

use super::moves::{Move, Moved};
use super::object::{Budget, Pod};
use super::{Check, Situation, Taken, selector};
use crate::finding::{Finding, RuleId, Severity};
use crate::rules::{EXIT_PRECHECK, Rule};

/// Warns of a budget that lets no pod of the database go now.
pub(super) const CHECK: Check = Check {
    rule: Rule {
        id: RuleId("preflight/disruption-budget"),
        severity: Severity::Warn,
        exit: EXIT_PRECHECK,
        reason: "KubeDB evicts pods, and the API server lets none go while its PodDisruptionBudget is used up: the operation waits, and ends after its timeout. A budget that asks for as many pods as there are never lets one go.",
        source: "Kubernetes documentation, \"Specifying a Disruption Budget for your Application\"",
        refused: "# three members\nspec:\n  minAvailable: 3",
        right: "# three members\nspec:\n  maxUnavailable: 1",
        fix: "Wait until all members are healthy, or let the budget allow one to be away: kubectl get pdb -n NAMESPACE.",
        check: |_| Vec::new(),
    },
    check,
};

fn check(situation: &Situation, _: &mut Taken) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let budgets = situation.around.budgets.iter().flatten();
    let budgets: Vec<&Budget> = budgets.filter(|budget| situation.is_near(&budget.metadata)).collect();
    for moved in situation.moved {
        let evicted: Vec<&Pod> = moved
            .moves
            .iter()
            .filter_map(|one| match one {
                Move::Restarts { before, .. } => Some(&**before),
                _ => None,
            })
            .filter(|pod| !pod.metadata.name.is_empty())
            .collect();
        for finding in budgets.iter().filter_map(|budget| of_budget(situation, moved, &evicted, budget)) {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        findings.extend(evicted.iter().find_map(|pod| of_several(situation, moved, pod, &budgets)));
    }
    findings
}

fn of_budget(situation: &Situation, moved: &Moved, evicted: &[&Pod], budget: &Budget) -> Option<Finding> {
    let status = &budget.status;
    // One that nobody has looked at yet says nothing.
    let stands = status.observed_generation > 0 && status.disruptions_allowed <= 0;
    let lets_sick_go = budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow";
    let held = |pod: &&&Pod| is_meant(budget, pod) && (pod.is_ready() || !lets_sick_go);
    evicted.iter().find(held).filter(|_| stands)?;
    let (name, namespace) = (&budget.metadata.name, &situation.database.namespace);
    let (healthy, desired, all) = (status.current_healthy, status.desired_healthy, status.expected_pods);
    let (message, remedy) = if desired >= all {
        let message =
            format!("budget {name} never lets a pod go: of {all} pods {desired} must be healthy, and {healthy} are");
        (message, format!("let it allow one to be away (maxUnavailable: 1): kubectl edit pdb {name} -n {namespace}"))
    } else {
        let message =
            format!("budget {name} lets no pod go now: of {all} pods {healthy} are healthy, and {desired} must be");
        (message, format!("wait until more are healthy: kubectl get pdb {name} -n {namespace} -w"))
    };
    Some(situation.say(&CHECK, &moved.path, message).remedy(remedy))
}

/// The API server evicts no pod that two budgets are about.
fn of_several(situation: &Situation, moved: &Moved, pod: &Pod, budgets: &[&Budget]) -> Option<Finding> {
    let its: Vec<&str> = budgets.iter().filter(|b| is_meant(b, pod)).map(|b| b.metadata.name.as_str()).collect();
    (its.len() > 1).then(|| {
        let message = format!(
            "pod {} is in {} budgets ({}), and the API server then evicts it for none",
            pod.metadata.name,
            its.len(),
            its.join(", ")
        );
        let remedy = format!("leave one of them: kubectl get pdb -n {}", situation.database.namespace);
        situation.say(&CHECK, &moved.path, message).remedy(remedy)
    })
}

fn is_meant(budget: &Budget, pod: &Pod) -> bool {
    budget.spec.selector.as_ref().is_some_and(|s| selector::selects(s, &pod.metadata.labels))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{Scene, ids};
    use super::CHECK;

    fn budget(selector: &Value, healthy: i64, desired: i64) -> Value {
        json!({"metadata": {"name": "my-db", "namespace": "demo"}, "spec": {"selector": selector}, "status": {"observedGeneration": 1,
            "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": 3, "disruptionsAllowed": healthy - desired}})
    }

    #[rstest]
    #[case::one_may_go(3, 2, None)]
    #[case::one_is_away(2, 2, Some("lets no pod go now: of 3 pods 2 are healthy, and 2 must be"))]
    #[case::never(3, 3, Some("never lets a pod go: of 3 pods 3 must be healthy, and 3 are"))]
    fn of_a_restart(#[case] healthy: i64, #[case] desired: i64, #[case] said: Option<&str>) {
        let mut scene = Scene::new();
        scene.budgets(&[budget(&json!({"matchLabels": {"app.kubernetes.io/instance": "my-db"}}), healthy, desired)]);
        let found = scene.memory("3Gi");
        assert_eq!(ids(&found).contains(&CHECK.rule.id.0), said.is_some(), "{found:?}");
        assert!(said.is_none_or(|said| found.iter().any(|f| f.message.contains(said))), "{found:?}");
        assert!(!found.iter().any(crate::finding::Finding::refuses));
    }

    #[rstest]
    #[case::all_pods(json!({}), true)]
    #[case::none_of_ours(json!({"matchLabels": {"app": "other"}}), false)]
    #[case::none(Value::Null, false)]
    fn whom_it_is_about(#[case] selector: Value, #[case] said: bool) {
        let mut scene = Scene::new();
        scene.budgets(&[budget(&selector, 2, 2)]);
        assert_eq!(ids(&scene.memory("3Gi")).contains(&CHECK.rule.id.0), said);
    }

    #[test]
    fn two_for_one_pod_let_it_go_for_none() {
        let mut scene = Scene::new();
        scene.budgets(&[budget(&json!({}), 3, 2), budget(&json!({}), 3, 2)]);
        assert!(scene.memory("3Gi").iter().any(|f| f.message.contains("is in 2 budgets")));
    }

    #[test]
    fn new_members_and_a_resize_in_place_evict_nobody() {
        let mut scene = Scene::new();
        scene.budgets(&[budget(&json!({}), 2, 2)]);
        assert!(!ids(&scene.replicas(5)).contains(&CHECK.rule.id.0));
        assert!(!ids(&scene.memory_in_place("3Gi")).contains(&CHECK.rule.id.0));
    }
}

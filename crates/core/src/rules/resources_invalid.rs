//! `resources/invalid`: CPU and memory are more than nothing.

use super::{EXIT_REFUSED, Rule};
use crate::amount::Side;
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses CPU or memory of zero or less, and resources that name no amount at all.
pub const RULE: Rule = Rule {
    id: RuleId("resources/invalid"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "A container without CPU or memory does not start, and an empty block asks for nothing; KubeDB checks neither sign nor size.",
    source: "Kubernetes' validation of containers; KubeDB's validators look at no resource quantity",
    refused: "resources:\n  limits:\n    memory: -4Gi",
    right: "resources:\n  limits:\n    memory: 4Gi",
    fix: "Ask for amounts above zero, or name a size class: kubectl dbscale sizes.",
    check,
};

/// The resources that a container cannot do without.
pub(crate) const NEEDED: [&str; 2] = ["cpu", "memory"];

fn check(case: &Case) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wish in &case.change.wishes {
        let What::Resources(set) = &wish.what else { continue };
        if set.is_empty() {
            let message = format!("no resources are given for {}", wish.component_name(case.change.engine));
            findings
                .push(Finding::deny(RULE.id, &wish.path, message).remedy("give requests and limits of cpu and memory"));
        }
        for side in Side::ALL {
            for (name, amount) in set.amounts(side) {
                let Some(quantity) = amount.quantity() else { continue };
                let nothing = quantity.is_zero() && NEEDED.contains(&name);
                if quantity.is_negative() || nothing {
                    let path = format!("{}.{}.{name}", wish.path, side.field());
                    let message = format!("{name} of {} is not more than nothing", amount.text());
                    findings.push(Finding::deny(RULE.id, path, message).remedy("ask for more than 0"));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{replica_set, request, rules_of};
    use super::RULE;

    #[rstest]
    #[case::fine(json!({"limits": {"cpu": "2", "memory": "4Gi"}}), 0)]
    #[case::negative(json!({"limits": {"cpu": "-2", "memory": "4Gi"}}), 1)]
    #[case::zero_twice(json!({"requests": {"cpu": "0"}, "limits": {"cpu": "0"}}), 2)]
    #[case::empty(json!({}), 1)]
    #[case::other_resources_may_be_zero(json!({"limits": {"example.com/gpu": "0"}}), 0)]
    fn a_request(#[case] resources: Value, #[case] times: usize) {
        let ask = request("VerticalScaling", json!({"verticalScaling": {"replicaSet": {"resources": resources}}}));
        let found = rules_of(&replica_set(), &ask);
        assert_eq!(found.iter().filter(|id| **id == RULE.id.0).count(), times, "{found:?}");
    }
}

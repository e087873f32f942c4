//! `resources/request-above-limit`: a request is at most its limit.

use super::{EXIT_REFUSED, Rule};
use crate::amount::Side;
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a request above the limit of the same resource.
pub const RULE: Rule = Rule {
    id: RuleId("resources/request-above-limit"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "The API server refuses such a pod. KubeDB finds out when the old pods are gone and the new ones cannot be made.",
    source: "Kubernetes' validation of containers: requests must be less than or equal to limits",
    refused: "resources:\n  requests: {memory: 8Gi}\n  limits: {memory: 4Gi}",
    right: "resources:\n  requests: {memory: 4Gi}\n  limits: {memory: 4Gi}",
    fix: "Raise the limit or lower the request; dbscale's own requests always have both alike.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wish in &case.change.wishes {
        let What::Resources(set) = &wish.what else { continue };
        for (name, request) in set.amounts(Side::Requests) {
            let Some(limit) = set.amount(Side::Limits, name) else { continue };
            let (Some(asked), Some(allowed)) = (request.quantity(), limit.quantity()) else { continue };
            if asked > allowed {
                let path = format!("{}.requests.{name}", wish.path);
                let message =
                    format!("the request of {} {name} is above the limit of {}", request.text(), limit.text());
                findings.push(Finding::deny(RULE.id, path, message).remedy("raise the limit or lower the request"));
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
    #[case::above(json!({"requests": {"memory": "8Gi"}, "limits": {"memory": "4Gi"}}), true)]
    #[case::alike_in_another_spelling(json!({"requests": {"cpu": "1000m"}, "limits": {"cpu": "1"}}), false)]
    #[case::no_limit(json!({"requests": {"cpu": "8"}}), false)]
    #[case::gibi_above_giga(json!({"requests": {"memory": "4Gi"}, "limits": {"memory": "4G"}}), true)]
    fn a_request(#[case] resources: Value, #[case] refused: bool) {
        let ask = request("VerticalScaling", json!({"verticalScaling": {"replicaSet": {"resources": resources}}}));
        assert_eq!(rules_of(&replica_set(), &ask).contains(&RULE.id.0), refused);
    }
}

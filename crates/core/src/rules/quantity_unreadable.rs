//! `quantity/unreadable`: an amount must be a Kubernetes quantity.

use super::{EXIT_USAGE, Rule};
use crate::amount::Side;
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::quantity::QuantityError;

/// Refuses a text that is no quantity, or one whose exponent or length is beyond all sense.
pub const RULE: Rule = Rule {
    id: RuleId("quantity/unreadable"),
    severity: Severity::Deny,
    exit: EXIT_USAGE,
    reason: "Nobody can tell what is meant. A huge exponent (1e999999999) even passes the CRD and keeps Go programs busy for half an hour when they compare it.",
    source: "k8s.io/apimachinery, resource.ParseQuantity; the bound on exponents is dbscale's own",
    refused: "storage: 100GB",
    right: "storage: 100G     # or 100Gi",
    fix: "Write a number and a unit: k, M, G, T (powers of 1000) or Ki, Mi, Gi, Ti (powers of 1024); m is a thousandth.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wish in &case.change.wishes {
        match &wish.what {
            What::Storage(size) => {
                findings.extend(size.value.as_ref().err().map(|error| unreadable(&wish.path, error)));
            }
            What::Resources(set) => {
                for side in Side::ALL {
                    for (name, amount) in set.amounts(side) {
                        if let Err(error) = amount.value() {
                            findings.push(unreadable(&format!("{}.{}.{name}", wish.path, side.field()), error));
                        }
                    }
                }
            }
            What::Replicas(_) | What::Shards(_) => {}
        }
    }
    findings
}

/// The finding for a text that is no quantity.
#[must_use]
pub fn unreadable(path: &str, error: &QuantityError) -> Finding {
    Finding::deny(RULE.id, path, error.to_string())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{replica_set, request, rules_of};
    use super::RULE;

    #[rstest]
    #[case::fine("50Gi", false)]
    #[case::bytes_of_a_person("100GB", true)]
    #[case::hangs_go("1e999999999", true)]
    #[case::empty("", true)]
    fn sizes(#[case] size: &str, #[case] refused: bool) {
        let ask = request("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": size}}));
        assert_eq!(rules_of(&replica_set(), &ask).contains(&RULE.id.0), refused);
    }

    #[test]
    fn resources_are_looked_at_one_by_one() {
        let resources = json!({"requests": {"cpu": "2x"}, "limits": {"cpu": "2", "memory": "4GiB"}});
        let ask = request("VerticalScaling", json!({"verticalScaling": {"replicaSet": {"resources": resources}}}));
        let found = rules_of(&replica_set(), &ask);
        assert_eq!(found.iter().filter(|id| **id == RULE.id.0).count(), 2);
    }
}

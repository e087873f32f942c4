//! `request/retries`: `spec.maxRetries` is not below zero.

use super::{EXIT_USAGE, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a negative number of retries.
pub const RULE: Rule = Rule {
    id: RuleId("request/retries"),
    severity: Severity::Deny,
    exit: EXIT_USAGE,
    reason: "What a negative number of retries means is written nowhere. The CRD takes any number of 32 bits.",
    source: "the OpsRequest CRDs (int32, default 1); KubeDB's validators do not look at it",
    refused: "maxRetries: -1",
    right: "maxRetries: 3",
    fix: "Write 0 or more, or leave it out for KubeDB's default of 1.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let retries = case.change.request().and_then(|r| r.max_retries).filter(|n| *n < 0);
    let finding = |n| {
        Finding::deny(RULE.id, "spec.maxRetries", format!("{n} retries are fewer than none")).remedy("write 0 or more")
    };
    retries.map(finding).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{replica_set, request, rules_of};
    use super::RULE;

    #[rstest]
    #[case::none(0, false)]
    #[case::some(3, false)]
    #[case::fewer_than_none(-1, true)]
    fn a_request(#[case] retries: i64, #[case] refused: bool) {
        let ask = request("HorizontalScaling", json!({"maxRetries": retries, "horizontalScaling": {"replicas": 5}}));
        assert_eq!(rules_of(&replica_set(), &ask).contains(&RULE.id.0), refused);
    }
}

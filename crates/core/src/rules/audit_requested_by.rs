//! `audit/requested-by`: nobody signs with another's name.

use super::{EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::plan::REQUESTED_BY;

/// Refuses an annotation `dbscale.dev/requested-by` that names somebody else than the caller.
pub const RULE: Rule = Rule {
    id: RuleId("audit/requested-by"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "The record of who scaled what is worth nothing if anybody can write any name into it.",
    source: "dbscale's own rule; the caller's name is the one that the API server authenticated",
    refused: "# asked for by bob\nannotations:\n  dbscale.dev/requested-by: ann",
    right: "# asked for by ann\nannotations:\n  dbscale.dev/requested-by: ann",
    fix: "Leave the annotation out, or write your own name as `kubectl auth whoami` tells it.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let (Some(said), Some(caller)) = (&case.change.requested_by, &case.facts.caller) else { return Vec::new() };
    if said == caller {
        return Vec::new();
    }
    let path = format!("metadata.annotations[{REQUESTED_BY}]");
    let message = format!("the annotation names {said:?}, but {caller:?} asks");
    vec![Finding::deny(RULE.id, path, message).remedy(format!("leave it out, or write {caller:?}"))]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{facts, findings, findings_of_request_update, replica_set, request};
    use super::RULE;
    use crate::facts::Facts;

    fn signed(name: Option<&str>) -> Value {
        let mut ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}}));
        ask["metadata"]["annotations"] = json!({"dbscale.dev/requested-by": name});
        ask
    }

    #[rstest]
    #[case::ones_own(Some("ann"), Some("ann"), false)]
    #[case::anothers(Some("ann"), Some("bob"), true)]
    #[case::nobodys(None, Some("bob"), false)]
    #[case::the_caller_is_not_known(Some("ann"), None, false)]
    fn a_request(#[case] said: Option<&str>, #[case] caller: Option<&str>, #[case] refused: bool) {
        let facts = Facts { caller: caller.map(str::to_owned), ..facts(&replica_set()) };
        assert_eq!(findings(&signed(said), &facts).iter().any(|f| f.rule == RULE.id), refused);
    }

    #[rstest]
    #[case::left_as_it_is(json!({"dbscale.dev/requested-by": "ann", "other": "1"}), false)]
    #[case::taken_away(json!({}), false)]
    #[case::changed_to_another(json!({"dbscale.dev/requested-by": "eve"}), true)]
    #[case::changed_to_ones_own(json!({"dbscale.dev/requested-by": "bob"}), false)]
    fn an_update_by_bob(#[case] annotations: Value, #[case] refused: bool) {
        let facts = Facts { caller: Some("bob".to_owned()), ..facts(&replica_set()) };
        let found = findings_of_request_update(&signed(Some("ann")), "/metadata/annotations", annotations, &facts);
        assert_eq!(found.iter().any(|f| f.rule == RULE.id), refused);
    }
}

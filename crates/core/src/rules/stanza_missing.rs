//! `stanza/missing`: the block that `spec.type` names must be there.

use super::{EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a scaling request without the stanza that its type names.
pub const RULE: Rule = Rule {
    id: RuleId("stanza/missing"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "KubeDB acts on the block that spec.type names. Without it there is nothing to do, and for some engines KubeDB's check panics.",
    source: "KubeDB's validators, \"block set\"; MongoDB's VerticalScaling, Elasticsearch's HorizontalScaling and Oracle's types are not checked there",
    refused: "type: HorizontalScaling\nverticalScaling: {…}",
    right: "type: VerticalScaling\nverticalScaling: {…}",
    fix: "Add the block that the type names, or name the type of the block that is there.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(request) = case.change.request() else { return Vec::new() };
    let Some(named) = request.named_stanza() else { return Vec::new() };
    if request.stanzas.contains(&named) || !case.change.engine.types.iter().any(|t| t == named.ops_type) {
        return Vec::new();
    }
    let message = format!("spec.type is {}, but there is no spec.{}", named.ops_type, named.field);
    let remedy = match request.stanzas.first() {
        Some(other) => {
            format!("add spec.{}, or make spec.type {} to act on spec.{}", named.field, other.ops_type, other.field)
        }
        None => format!("add spec.{}", named.field),
    };
    vec![Finding::deny(RULE.id, format!("spec.{}", named.field), message).remedy(remedy)]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{replica_set, request, rules_of};
    use super::RULE;

    #[rstest]
    #[case::there("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}}), false)]
    #[case::null("HorizontalScaling", json!({"horizontalScaling": null}), true)]
    #[case::another_one("HorizontalScaling", json!({"verticalScaling": {"replicaSet": {}}}), true)]
    #[case::a_type_that_does_not_scale("Restart", json!({}), false)]
    fn a_request(#[case] ops_type: &str, #[case] spec: Value, #[case] refused: bool) {
        assert_eq!(rules_of(&replica_set(), &request(ops_type, spec)).contains(&RULE.id.0), refused);
    }
}

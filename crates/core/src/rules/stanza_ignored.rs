//! `stanza/ignored`: a block that `spec.type` does not name is dropped silently.

use super::{EXIT_REFUSED, Rule};
use crate::change::{Stanza, VOLUME};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a request with a scaling stanza that its type does not name.
pub const RULE: Rule = Rule {
    id: RuleId("stanza/ignored"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "KubeDB acts on the block that spec.type names and drops the other without a word: half of the wish would be lost, and success reported.",
    source: "KubeDB's validators never look at the blocks of other types; its documents say \"one request, one type\"",
    refused: "type: HorizontalScaling\nhorizontalScaling: {…}\nverticalScaling: {…}     # would be dropped",
    right: "two requests: one of type HorizontalScaling, one of type VerticalScaling",
    fix: "Make a request for each block; `kubectl dbscale set` does so.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(request) = case.change.request() else { return Vec::new() };
    let Some(named) = request.named_stanza() else { return Vec::new() };
    let combines = |other: &Stanza| case.change.engine.combined && *named != VOLUME && *other != VOLUME;
    request
        .stanzas
        .iter()
        .filter(|s| **s != named && !combines(s))
        .map(|ignored| {
            let message =
                format!("spec.type is {}: KubeDB would drop spec.{} without a word", request.ops_type, ignored.field);
            let remedy = format!("make a request of its own, of type {}, for it", ignored.ops_type);
            Finding::deny(RULE.id, format!("spec.{}", ignored.field), message).remedy(remedy)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{replica_set, request, rules_of};
    use super::RULE;

    #[rstest]
    #[case::one("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}}), 0)]
    #[case::two("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}, "verticalScaling": {}}), 1)]
    #[case::three("VolumeExpansion", json!({"horizontalScaling": {}, "verticalScaling": {}, "volumeExpansion": {}}), 2)]
    #[case::a_type_that_does_not_scale_has_its_own_fields("Restart", json!({"verticalScaling": {}}), 0)]
    fn a_request(#[case] ops_type: &str, #[case] spec: Value, #[case] times: usize) {
        let found = rules_of(&replica_set(), &request(ops_type, spec));
        assert_eq!(found.iter().filter(|id| **id == RULE.id.0).count(), times);
    }
}

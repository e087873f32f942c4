//! `component/duplicate`: each item of a list is named once.

use super::{EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a list with two items of one name.
pub const RULE: Rule = Rule {
    id: RuleId("component/duplicate"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "Two items of one name ask for two sizes of one thing; which of them wins is left to chance.",
    source: "KubeDB's check of a Postgres: the names of its read replicas are unique. Its check of an OpsRequest does not look",
    refused: "readReplicas:\n- {name: report, replicas: 2}\n- {name: report, replicas: 3}",
    right: "readReplicas:\n- {name: report, replicas: 3}",
    fix: "Keep one item of each name.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(request) = case.change.request() else { return Vec::new() };
    let finding = |path: &String| {
        Finding::deny(RULE.id, path, format!("{path} is there more than once")).remedy("keep one item of each name")
    };
    request.duplicates.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::verdict;
    use super::RULE;

    #[rstest]
    #[case::once_each(json!([{"name": "a", "replicas": 1}, {"name": "b", "replicas": 1}]), 0)]
    #[case::twice(json!([{"name": "a", "replicas": 1}, {"name": "a", "replicas": 2}]), 1)]
    #[case::three_times(json!([{"name": "a"}, {"name": "a"}, {"name": "b", "replicas": 1}, {"name": "a"}]), 2)]
    fn read_replicas(#[case] items: Value, #[case] times: usize) {
        for kind in ["Postgres", "DocumentDB"] {
            let spec = json!({"type": "HorizontalScaling", "horizontalScaling": {"readReplicas": items}});
            let found = verdict(&json!({"kind": kind, "spec": {"replicas": 3}}), &spec);
            assert_eq!(found.iter().filter(|f| f.rule == RULE.id).count(), times, "{kind}: {found:?}");
        }
    }
}

//! `request/immutable`: the spec of an OpsRequest never changes.

use super::{EXIT_REFUSED, Rule};
use crate::change::Source;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses an update that changes the spec of an OpsRequest, in every phase. Metadata and status may change.
pub const RULE: Rule = Rule {
    id: RuleId("request/immutable"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "A changed OpsRequest says what never happened: it was judged when it was made, and KubeDB may have begun it.",
    source: "KubeDB's validators: a patch between the old and the new object that touches spec fails",
    refused: "kubectl patch mgops my-db-scale-1 --type merge -p '{\"spec\": {\"horizontalScaling\": {\"replicas\": 7}}}'",
    right: "kubectl label mgops my-db-scale-1 team=shop     # metadata may change",
    fix: "Make a new OpsRequest. Delete the old one first if it has not begun.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Source::RequestUpdate(update) = &case.change.source else { return Vec::new() };
    let kind = case.change.engine.ops_kind();
    let remedy = if update.phase.is_finished() {
        "make a new request"
    } else {
        "make a new request, and delete this one if it has not begun"
    };
    update
        .changed
        .iter()
        .map(|path| {
            let message = format!("the spec of a {kind} never changes, also while it is {}", update.phase);
            Finding::deny(RULE.id, path, message).remedy(remedy)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{facts, findings_of_request_update, replica_set, request};
    use super::RULE;
    use crate::facts::{Facts, Known};

    #[rstest]
    #[case::a_value("/spec/horizontalScaling/replicas", json!(7), &["spec.horizontalScaling.replicas"])]
    #[case::another_database("/spec/databaseRef/name", json!("other"), &["spec.databaseRef.name"])]
    #[case::no_stanza_any_more("/spec/horizontalScaling", Value::Null, &["spec.horizontalScaling"])]
    #[case::a_label("/metadata/labels", json!({"a": "b"}), &[])]
    #[case::the_finalizers("/metadata/finalizers", json!([]), &[])]
    #[case::the_status("/status", json!({"phase": "Successful"}), &[])]
    fn an_update(#[case] pointer: &str, #[case] value: Value, #[case] paths: &[&str]) {
        for phase in ["", "Pending", "Progressing", "Successful", "Failed", "Skipped", "Denied"] {
            let mut old = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}}));
            old["metadata"]["labels"] = json!({});
            old["metadata"]["finalizers"] = json!(["kubedb.com"]);
            old["status"] = json!({"phase": phase});
            for facts in [facts(&replica_set()), Facts { database: Known::Missing, ..Facts::default() }] {
                let found = findings_of_request_update(&old, pointer, value.clone(), &facts);
                let told: Vec<&str> = found.iter().map(|f| f.path.as_str()).collect();
                assert_eq!(told, paths, "{phase}: {found:?}");
                assert!(found.iter().all(|f| f.rule == RULE.id && f.refuses()));
            }
        }
    }
}

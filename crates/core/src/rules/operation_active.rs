//! `operation/active`: one operation of a type at a time for a database.

use super::{EXIT_ACTIVE, Rule};
use crate::change::{Source, What};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a second active request of one type, and a direct storage patch beside any active request; warns where a
/// request of another type has to wait.
pub const RULE: Rule = Rule {
    id: RuleId("operation/active"),
    severity: Severity::Deny,
    exit: EXIT_ACTIVE,
    reason: "KubeDB skips a request that has not begun when a newer one of its type arrives, without a word to whoever made it. A direct patch beside a running operation is overwritten at its end.",
    source: "KubeDB's documents of the OpsRequest phases (Skipped), and its controller, which queues by polling",
    refused: "# my-db-scale-1 (HorizontalScaling) is Progressing\ntype: HorizontalScaling",
    right: "# my-db-scale-1 (HorizontalScaling) is Successful\ntype: HorizontalScaling",
    fix: "Wait for the active one (kubectl get NAME -w), or delete it if it has not begun.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let target = || case.database().map_or_else(|| case.change.database.clone(), crate::database::Database::target);
    match &case.change.source {
        Source::Request(request)
            if request.controller.is_none() && request.phase.is_active() && request.named_stanza().is_some() =>
        {
            case.facts
                .operations
                .iter()
                .filter(|o| o.is_active() && o.name != request.name)
                .map(|other| {
                    let what = format!("{} ({}) of {} is {}", other.name, other.ops_type, target(), other.phase);
                    if other.ops_type == request.ops_type {
                        let message = format!("{what}: KubeDB would skip one of two requests of a type");
                        let remedy = follow(case, &other.name);
                        Finding::deny(RULE.id, "spec.type", message).remedy(remedy)
                    } else {
                        Finding::warn(RULE.id, "spec.type", format!("{what}: this one waits until it has ended"))
                    }
                })
                .collect()
        }
        Source::Update(_) if case.change.wishes.iter().any(|w| matches!(w.what, What::Storage(_))) => case
            .facts
            .operations
            .iter()
            .filter(|o| o.is_active())
            .map(|other| {
                let message = format!(
                    "{} ({}) of {} is {}: storage is not patched beside an active operation",
                    other.name,
                    other.ops_type,
                    target(),
                    other.phase
                );
                let remedy = follow(case, &other.name);
                Finding::deny(RULE.id, "spec", message).remedy(remedy)
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// How to see the end of an operation.
fn follow(case: &Case, name: &str) -> String {
    let namespace = match case.change.namespace.as_str() {
        "" => String::new(),
        namespace => format!(" -n {namespace}"),
    };
    format!("wait for it: kubectl get {} {name}{namespace} -w", case.change.engine.ops_plural())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{facts, findings, operation, replica_set, request};
    use super::RULE;
    use crate::finding::Severity;
    use crate::status::Operation;

    #[rstest]
    #[case::same_type_running("HorizontalScaling", "Progressing", None, Some(Severity::Deny))]
    #[case::same_type_pending("HorizontalScaling", "", None, Some(Severity::Deny))]
    #[case::another_type("VerticalScaling", "Progressing", None, Some(Severity::Warn))]
    #[case::finished("HorizontalScaling", "Successful", None, None)]
    #[case::made_by_a_controller("HorizontalScaling", "Progressing", Some("MongoDBAutoscaler"), None)]
    fn beside_another(
        #[case] ops_type: &str,
        #[case] phase: &str,
        #[case] owner: Option<&str>,
        #[case] said: Option<Severity>,
    ) {
        let mut facts = facts(&replica_set());
        facts.operations.push(operation("other", ops_type, phase));
        let mut ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}}));
        if let Some(kind) = owner {
            ask["metadata"]["ownerReferences"] = json!([{"kind": kind, "name": "x", "controller": true}]);
        }
        let found = findings(&ask, &facts).iter().find(|f| f.rule == RULE.id).map(|f| f.severity);
        assert_eq!(found, said);
    }

    #[test]
    fn one_that_is_being_deleted_is_done() {
        let mut facts = facts(&replica_set());
        facts.operations.push(Operation { deleting: true, ..operation("other", "HorizontalScaling", "Progressing") });
        let ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}}));
        assert!(findings(&ask, &facts).iter().all(|f| f.rule != RULE.id));
    }

    #[test]
    fn it_does_not_stand_in_its_own_way() {
        let mut facts = facts(&replica_set());
        facts.operations.push(operation("ask", "HorizontalScaling", "Progressing"));
        let ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}}));
        assert!(findings(&ask, &facts).iter().all(|f| f.rule != RULE.id));
    }
}

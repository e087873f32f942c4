//! `change/none`: a request that asks for what is there already.

use super::{EXIT_REFUSED, Rule};
use crate::change::{What, Wish};
use crate::database::Database;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::status::Phase;

/// Warns of a pending horizontal or vertical request all of whose values are the present ones.
pub const RULE: Rule = Rule {
    id: RuleId("change/none"),
    severity: Severity::Warn,
    exit: EXIT_REFUSED,
    reason: "A vertical request for the present size still restarts every pod; a horizontal one runs for nothing.",
    source: "KubeDB compares no vertical request with the present, and of the horizontal ones only Neo4j's",
    refused: "# 3 members now\nhorizontalScaling:\n  replicas: 3",
    right: "# 3 members now\nhorizontalScaling:\n  replicas: 5",
    fix: "Leave the request out; `kubectl dbscale` does so by itself.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let (Some(database), Some(request)) = (case.database(), case.change.request()) else { return Vec::new() };
    let Some(stanza) = request.named_stanza() else { return Vec::new() };
    if request.phase != Phase::Pending {
        return Vec::new();
    }
    let mut wishes = case.change.wishes.iter().filter(|w| w.ops_type() == stanza.ops_type).peekable();
    if wishes.peek().is_none() || !wishes.all(|w| is_there(database, w)) {
        return Vec::new();
    }
    let message = format!("all that {} asks for is there already", stanza.field);
    vec![Finding::warn(RULE.id, format!("spec.{}", stanza.field), message)]
}

/// Whether a horizontal or vertical wish is the present value. A volume's is told by `storage/not-greater`.
fn is_there(database: &Database, wish: &Wish) -> bool {
    let Some(view) = wish.view(database) else { return false };
    match &wish.what {
        What::Replicas(n) => view.places.iter().all(|p| p.replicas == Some(*n)),
        What::Shards(n) => view.places.iter().all(|p| p.shards == Some(*n)),
        What::Resources(set) => view.resources().is_some_and(|present| present.same_as(set)),
        What::Storage(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{replica_set, request, rules_of};
    use super::RULE;

    #[rstest]
    #[case::same_members("HorizontalScaling", json!({"horizontalScaling": {"replicas": 3}}), true)]
    #[case::more_members("HorizontalScaling", json!({"horizontalScaling": {"replicas": 4}}), false)]
    #[case::same_size("VerticalScaling", json!({"verticalScaling": {"replicaSet": {"resources": {"requests": {"cpu": "2000m", "memory": "2048Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}}}}}), true)]
    #[case::only_limits("VerticalScaling", json!({"verticalScaling": {"replicaSet": {"resources": {"limits": {"cpu": "2", "memory": "2Gi"}}}}}), false)]
    fn a_request(#[case] ops_type: &str, #[case] spec: Value, #[case] warned: bool) {
        assert_eq!(rules_of(&replica_set(), &request(ops_type, spec)).contains(&RULE.id.0), warned);
    }
}

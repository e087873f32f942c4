//! `request/type`: the engine's OpsRequest has the type that is asked for.

use super::{EXIT_REFUSED, Rule};
use crate::change::STANZAS;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a type that the engine's CRD does not have. That it cannot scale in a way is told by `engine/unsupported`.
pub const RULE: Rule = Rule {
    id: RuleId("request/type"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "Each engine's OpsRequest has types of its own; a type that is not among them is refused by the API server, and nothing happens.",
    source: "the enum of spec.type in the engine's OpsRequest CRD; KubeDB's validators hold the same list",
    refused: "kind: MySQLOpsRequest\nspec:\n  type: Reprovision      # only MongoDB has it",
    right: "kind: MongoDBOpsRequest\nspec:\n  type: Reprovision",
    fix: "Use one of the types that the message lists, written exactly so.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    if case.facts.schema_checked {
        return Vec::new(); // the API server has refused what the CRD does not know; the rest is of a newer KubeDB
    }
    let Some(request) = case.change.request() else { return Vec::new() };
    let engine = case.change.engine;
    let wanted = request.ops_type.as_str();
    let scales = STANZAS.iter().any(|s| s.ops_type == wanted);
    // An empty type is a missing one: request/schema says it.
    if wanted.is_empty() || scales || engine.types.iter().any(|t| t == wanted) {
        return Vec::new();
    }
    let message = format!("{} has no type {wanted}", engine.ops_kind());
    let nearest = engine.types.iter().find(|t| t.eq_ignore_ascii_case(wanted));
    let remedy = match nearest {
        Some(nearest) => format!("write {nearest}"),
        None => format!("its types are: {}", engine.types.join(", ")),
    };
    vec![Finding::deny(RULE.id, "spec.type", message).remedy(remedy)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::verdict;
    use super::RULE;
    use crate::catalog::Catalog;
    use crate::change::STANZAS;

    #[test]
    fn every_engine_has_its_own_types_and_no_other() {
        for engine in Catalog::builtin().engines() {
            let refused = |ops_type: &str| {
                let found = verdict(&json!({"kind": engine.kind}), &json!({"type": ops_type}));
                found.iter().any(|f| f.rule == RULE.id)
            };
            assert!(engine.types.iter().all(|t| !refused(t)), "{}", engine.name);
            assert!(["", "Reshard", "restart", "horizontalscaling"].map(refused) == [false, true, true, true]);
            // What it cannot scale is told by engine/unsupported.
            assert!(STANZAS.iter().all(|s| !refused(s.ops_type)), "{}", engine.name);
        }
    }

    #[test]
    fn a_type_that_does_not_scale_passes_every_other_rule() {
        for engine in Catalog::builtin().engines() {
            let others = engine.types.iter().filter(|t| STANZAS.iter().all(|s| s.ops_type != **t));
            for ops_type in others {
                let spec = json!({"type": ops_type, "verticalScaling": {"x": 1}, "horizontalScaling": {"replicas": 0}});
                assert_eq!(verdict(&json!({"kind": engine.kind}), &spec), [], "{} {ops_type}", engine.name);
            }
        }
    }
}

//! `database/not-ready`: under `apply: IfReady` KubeDB waits until the database is Ready.

use super::{EXIT_REFUSED, Rule};
use crate::change::STANZAS;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Warns of a scaling request that waits for a database which is not Ready.
pub const RULE: Rule = Rule {
    id: RuleId("database/not-ready"),
    severity: Severity::Warn,
    exit: EXIT_REFUSED,
    reason: "Under apply: IfReady, the default, KubeDB begins only when the database is Ready. One with a full disk or too little memory never becomes so by itself: the request that would help it waits for ever.",
    source: "KubeDB's documents of the OpsRequest's field apply",
    refused: "# the database is NotReady\ntype: VolumeExpansion\napply: IfReady",
    right: "# the database is NotReady\ntype: VolumeExpansion\napply: Always",
    fix: "Mend the database first; or, where the scaling is what mends it, add --apply Always.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let (Some(request), Some(database)) = (case.change.request(), case.database()) else { return Vec::new() };
    let scales = STANZAS.iter().any(|s| s.ops_type == request.ops_type);
    // Without a phase nobody has looked at the database yet: it may be Ready in a moment.
    if !scales || request.always || database.is_ready() || database.phase.is_empty() || request.phase.is_finished() {
        return Vec::new();
    }
    let message = format!("{} is {}: the request waits until it is Ready", database.target(), database.phase);
    let remedy = "to do it now, because it is what mends the database, say apply: Always (--apply Always)";
    vec![Finding::warn(RULE.id, "spec.apply", message).remedy(remedy)]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{replica_set, request, rules_of};
    use super::RULE;

    #[rstest]
    #[case::ready("Ready", None, false)]
    #[case::not_ready("NotReady", None, true)]
    #[case::critical_under_if_ready("Critical", Some("IfReady"), true)]
    #[case::always("NotReady", Some("Always"), false)]
    #[case::nobody_has_looked("", None, false)]
    fn a_request(#[case] phase: &str, #[case] apply: Option<&str>, #[case] warned: bool) {
        let mut database = replica_set();
        database["status"]["phase"] = json!(phase);
        let mut ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}}));
        if let Some(apply) = apply {
            ask["spec"]["apply"] = json!(apply);
        }
        assert_eq!(rules_of(&database, &ask).contains(&RULE.id.0), warned);
    }
}

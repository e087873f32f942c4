//! `storage/not-greater`: a VolumeExpansion asks for more than there is.

use super::{EXIT_REFUSED, Rule};
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::status::Phase;

/// Refuses a VolumeExpansion request that asks for the present size.
pub const RULE: Rule = Rule {
    id: RuleId("storage/not-greater"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "A VolumeExpansion to the present size does nothing; KubeDB refuses it for most engines and runs it for nothing for the others.",
    source: "KubeDB's ValidateStorageExpansion: strictly greater while the request is pending",
    refused: "# 50Gi now\nvolumeExpansion:\n  mode: Online\n  replicaSet: 50Gi",
    right: "# 50Gi now\nvolumeExpansion:\n  mode: Online\n  replicaSet: 100Gi",
    fix: "Ask for more than the present size, or leave the request out.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(request) = case.change.request() else { return Vec::new() };
    let Some(database) = case.database() else { return Vec::new() };
    if request.phase != Phase::Pending {
        return Vec::new(); // once it has run, the object has the new size
    }
    case.change
        .wishes
        .iter()
        .filter_map(|wish| {
            let What::Storage(size) = &wish.what else { return None };
            let present = wish.view(database)?.storage()?;
            if size.quantity()? != present {
                return None;
            }
            let message = format!("{} is the present size of {}", size.text, wish.component_name(case.change.engine));
            Some(Finding::deny(RULE.id, &wish.path, message).remedy(format!("ask for more than {present}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{replica_set, request, rules_of};
    use super::RULE;

    #[rstest]
    #[case::same("20Gi", "", true)]
    #[case::same_other_spelling("20480Mi", "Pending", true)]
    #[case::same_once_it_has_run("20Gi", "Successful", false)]
    #[case::more("21Gi", "", false)]
    fn a_request(#[case] size: &str, #[case] phase: &str, #[case] refused: bool) {
        let mut ask = request("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": size}}));
        ask["status"] = json!({"phase": phase});
        assert_eq!(rules_of(&replica_set(), &ask).contains(&RULE.id.0), refused);
    }
}

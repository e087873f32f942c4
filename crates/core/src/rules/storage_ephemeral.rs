//! `storage/ephemeral`: there is no volume to grow.

use super::{EXIT_REFUSED, Rule};
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a storage wish for a component that has no volumes.
pub const RULE: Rule = Rule {
    id: RuleId("storage/ephemeral"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "A component with ephemeral storage, or with none, has no claims: an expansion would begin and find nothing to grow.",
    source: "spec.storageType in KubeDB's CRDs; of its validators only Druid's and Milvus's look at it",
    refused: "# the database has storageType: Ephemeral\nvolumeExpansion:\n  mode: Online\n  replicaSet: 50Gi",
    right: "# the database has storageType: Durable\nvolumeExpansion:\n  mode: Online\n  replicaSet: 50Gi",
    fix: "Storage can only grow where the database has volumes. To get them, restore a backup into a database with storageType: Durable.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(database) = case.database() else { return Vec::new() };
    case.change
        .wishes
        .iter()
        .filter(|wish| matches!(wish.what, What::Storage(_)))
        .filter_map(|wish| {
            let view = wish.view(database)?;
            let component = view.name();
            let message = if view.places.iter().any(|p| p.ephemeral) {
                format!("{component} of {} has storageType Ephemeral: there is no volume to grow", database.target())
            } else if case.change.request().is_some()
                && view.component.storage.as_ref().is_some_and(|s| s.at.is_some())
                && view.places.iter().all(|p| p.storage.is_none())
            {
                format!("{} asks for no storage for {component}: there is no volume to grow", database.target())
            } else {
                return None;
            };
            let remedy = "restore a backup into a database with storageType Durable";
            Some(Finding::deny(RULE.id, &wish.path, message).remedy(remedy))
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
    #[case::durable(json!("Durable"), true, false)]
    #[case::not_said(Value::Null, true, false)]
    #[case::ephemeral(json!("Ephemeral"), true, true)]
    #[case::no_storage_block(json!("Durable"), false, true)]
    fn a_request(#[case] kind: Value, #[case] block: bool, #[case] refused: bool) {
        let mut database = replica_set();
        database["spec"]["storageType"] = kind;
        if !block {
            database["spec"]["storage"] = Value::Null;
        }
        let ask = request("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": "50Gi"}}));
        assert_eq!(rules_of(&database, &ask).contains(&RULE.id.0), refused);
    }
}

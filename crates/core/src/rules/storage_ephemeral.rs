//! `storage/ephemeral`: there is no volume to grow.

use super::{EXIT_REFUSED, Rule};
use crate::change::What;
use crate::database::{ComponentView, Database};
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
    // What the object itself says of a size that no volume has is nobody's loss.
    let (Some(database), Some(_)) = (case.database(), case.change.request()) else { return Vec::new() };
    case.change
        .wishes
        .iter()
        .filter(|wish| matches!(wish.what, What::Storage(_)))
        .filter_map(|wish| {
            let view = wish.view(database)?;
            let asks = view.component.storage.as_ref().is_some_and(|s| s.at.is_some());
            let lacks = asks && view.places.iter().all(|p| p.storage.is_none());
            let none = lacks || view.places.iter().any(|p| p.ephemeral);
            none.then(|| no_volume(database, view, &wish.path))
        })
        .collect()
}

/// The finding for a component that has no volume to grow.
#[must_use]
pub fn no_volume(database: &Database, view: &ComponentView, path: &str) -> Finding {
    let (component, target) = (view.name(), database.target());
    let message = if view.places.iter().any(|p| p.ephemeral) {
        format!("{component} of {target} has storageType Ephemeral: there is no volume to grow")
    } else {
        format!("{target} asks for no storage for {component}: there is no volume to grow")
    };
    Finding::deny(RULE.id, path, message).remedy("restore a backup into a database with storageType Durable")
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

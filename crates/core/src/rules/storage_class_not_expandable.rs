//! `storage-class/not-expandable`: the storage class must let volumes grow.

use super::{EXIT_PRECHECK, Rule};
use crate::change::What;
use crate::database::ComponentView;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::quantity::Quantity;

/// Refuses to grow volumes of a class without `allowVolumeExpansion`.
pub const RULE: Rule = Rule {
    id: RuleId("storage-class/not-expandable"),
    severity: Severity::Deny,
    exit: EXIT_PRECHECK,
    reason: "Without allowVolumeExpansion the API server refuses a larger claim: the operation would begin and could never finish.",
    source: "Kubernetes documentation, \"Storage Classes\": allowVolumeExpansion; KubeDB does not look it up",
    refused: "allowVolumeExpansion: false   # or left out, in the class of the database's claims",
    right: "allowVolumeExpansion: true",
    fix: "Set allowVolumeExpansion: true on the class if its driver can, else restore a backup into a database of another class.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    case.change
        .wishes
        .iter()
        .filter(|wish| matches!(wish.what, What::Storage(_)))
        .filter_map(|wish| {
            let view = case.sized(wish)?;
            let What::Storage(size) = &wish.what else { return None };
            if !grows(case, view, size.quantity()?) {
                return None;
            }
            let class = rigid_class(case, view)?;
            let message = format!("the volumes of {} are of class \"{class}\", which does not let them grow (allowVolumeExpansion is not true)", view.name());
            let remedy = "set allowVolumeExpansion: true on the class if its driver can, or restore a backup into another class";
            Some(Finding::deny(RULE.id, &wish.path, message).remedy(remedy))
        })
        .collect()
}

/// Whether a volume has to grow for the size: a claim asks for less, or, where no claim is known, the object does.
fn grows(case: &Case, view: &ComponentView, size: Quantity) -> bool {
    let mut claims = case.claims_of(&view.name()).peekable();
    match claims.peek() {
        Some(_) => claims.any(|c| c.requested < size),
        None => view.storage().is_none_or(|present| present < size),
    }
}

/// The first class, of the claims where they are known, else of the object, else the default one, that is known not to expand.
fn rigid_class(case: &Case, view: &ComponentView) -> Option<String> {
    let mut names: Vec<String> = case.claims_of(&view.name()).filter_map(|c| c.class.clone()).collect();
    if names.is_empty() {
        names.extend(view.places.iter().filter_map(|p| p.class.clone()));
    }
    // Of several default classes nobody can tell here which one the volumes have: the claims' own word is missing.
    let defaults = || case.facts.classes.iter().filter(|(_, c)| c.default).map(|(name, _)| name.clone());
    if names.is_empty() && view.component.storage.as_ref().is_some_and(|s| !s.classless) && defaults().count() == 1 {
        names.extend(defaults());
    }
    names.into_iter().find(|name| case.facts.classes.get(name).is_some_and(|c| !c.expands))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{facts, findings, replica_set, request};
    use super::RULE;
    use crate::facts::ClassFact;

    #[rstest]
    #[case::expands(Some("standard"), false)]
    #[case::rigid(Some("rigid"), true)]
    #[case::default_is_rigid(None, true)]
    #[case::not_known(Some("other"), false)]
    fn of_the_object(#[case] class: Option<&str>, #[case] refused: bool) {
        let mut database = replica_set();
        database["spec"]["storage"]["storageClassName"] = json!(class);
        let mut facts = facts(&database);
        facts.classes.insert("standard".into(), ClassFact { expands: true, default: false });
        facts.classes.insert("rigid".into(), ClassFact { expands: false, default: true });
        let ask = request("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": "50Gi"}}));
        assert_eq!(findings(&ask, &facts).iter().any(|f| f.rule == RULE.id), refused);
    }
}

//! `storage-class/missing`: the storage class that a database names must be there.

use super::{EXIT_REFUSED, Rule};
use crate::change::What;
use crate::database::{Database, Place};
use crate::facts::{Case, Facts};
use crate::finding::{Finding, RuleId, Severity};

/// Refuses volumes of a storage class that does not exist. A class that is not named, the default one, is never missed.
pub const RULE: Rule = Rule {
    id: RuleId("storage-class/missing"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "Claims of a class that is not there stay Pending for ever, and so does the database.",
    source: "KubeDB's check of a created database (ValidateStorage): storageClassName must name a StorageClass; it does not look again later",
    refused: "storage:\n  storageClassName: standrad      # no such class in this cluster",
    right: "storage:\n  storageClassName: standard",
    fix: "Look at the name: `kubectl get storageclass`. On files, give the class's manifest too, or leave out --strict.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(database) = case.database() else { return Vec::new() };
    let wishes = case.change.wishes.iter().filter(|wish| matches!(wish.what, What::Storage(_)));
    let absent = |class: &&String| is_absent(case.facts, class);
    wishes
        .filter_map(|wish| {
            let view = wish.view(database)?;
            let class = view.places.iter().filter_map(|p| p.class.as_ref()).find(absent)?;
            Some(finding(&wish.path, class))
        })
        .collect()
}

/// The findings for a database that is created, a finding a place that names a class that is not there.
#[must_use]
pub fn missing_classes(new: &Database, facts: &Facts) -> Vec<Finding> {
    let places = new.components.iter().flat_map(|c| &c.places);
    let absent = |place: &Place| {
        let class = place.class.as_ref().filter(|class| is_absent(facts, class))?;
        let claim = place.storage_path.strip_suffix("resources.requests.storage").unwrap_or_default();
        Some(finding(&format!("{claim}storageClassName"), class))
    };
    places.filter_map(absent).collect()
}

fn is_absent(facts: &Facts, class: &str) -> bool {
    facts.all_classes && !class.is_empty() && !facts.classes.contains_key(class)
}

fn finding(path: &str, class: &str) -> Finding {
    Finding::deny(RULE.id, path, format!("there is no StorageClass \"{class}\""))
        .remedy("see what is there: kubectl get storageclass")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{database, facts, findings, replica_set, request};
    use super::{RULE, missing_classes};
    use crate::facts::ClassFact;

    #[rstest]
    #[case::there(Some("standard"), true, false)]
    #[case::not_there(Some("standrad"), true, true)]
    #[case::not_known(Some("standrad"), false, false)]
    #[case::the_default_one(None, true, false)]
    fn classes(#[case] class: Option<&str>, #[case] all_classes: bool, #[case] refused: bool) {
        let mut object = replica_set();
        object["spec"]["storage"]["storageClassName"] = json!(class);
        let mut facts = facts(&object);
        facts.classes.insert("standard".into(), ClassFact { expands: true, default: true });
        facts.all_classes = all_classes;
        let ask = request("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": "50Gi"}}));
        let of = |found: Vec<crate::finding::Finding>| {
            found.into_iter().filter(|f| f.rule == RULE.id).map(|f| f.path).collect::<Vec<_>>()
        };
        let wanted = |path: &str| if refused { vec![path.to_owned()] } else { Vec::new() };
        assert_eq!(of(findings(&ask, &facts)), wanted("spec.volumeExpansion.replicaSet"));
        assert_eq!(of(missing_classes(&database(&object), &facts)), wanted("spec.storage.storageClassName"));
    }
}

//! `storage/no-shrink`: a volume only grows.

use super::{EXIT_REFUSED, Rule};
use crate::change::{Source, What, Wish};
use crate::database::ComponentView;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::quantity::Quantity;

/// Refuses a smaller volume: Kubernetes can grow a PersistentVolumeClaim, never shrink it.
///
/// One way down is open: where an expansion failed, the object may go back to what every claim really has. That warns.
pub const RULE: Rule = Rule {
    id: RuleId("storage/no-shrink"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "Kubernetes can grow a volume, never shrink it. A database object that asks for less than its volumes have is out of step for good.",
    source: "Kubernetes documentation, \"Expanding Persistent Volumes Claims\"; KubeDB's check of a database update does not compare sizes",
    refused: "# 50Gi now\nvolumeExpansion:\n  mode: Online\n  replicaSet: 20Gi",
    right: "# 50Gi now\nvolumeExpansion:\n  mode: Online\n  replicaSet: 100Gi",
    fix: "Ask for more than the present size. To have less, restore a backup into a smaller database. After a failed expansion, `kubectl dbscale storage` may go back to what the volumes really have.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(database) = case.database() else { return Vec::new() };
    let judge = |wish: &Wish| {
        let What::Storage(size) = &wish.what else { return None };
        let view = wish.view(database)?;
        let (wanted, present) = (size.quantity()?, view.storage()?);
        if wanted >= present {
            return None;
        }
        if let Some(largest) = going_back(case, view, wanted, present) {
            let message = format!(
                "{wanted} is less than the {present} that was asked for, and no volume of {} is larger than {largest}: the object goes back to what is there, the claims are left alone",
                view.name()
            );
            return Some(Finding::warn(RULE.id, &wish.path, message));
        }
        let message = format!("{wanted} is less than the present {present}: volumes only grow");
        let remedy = format!("ask for more than {present}, or restore a backup into a smaller database");
        Some(Finding::deny(RULE.id, &wish.path, message).remedy(remedy))
    };
    let lost = match &case.change.source {
        Source::Update(update) => update.lost.as_slice(),
        _ => &[],
    };
    let lost = lost.iter().map(|lost| {
        let message = format!("the size {} is taken away: volumes stay as they are", lost.size.text);
        Finding::deny(RULE.id, &lost.path, message).remedy(format!("leave {} there", lost.size.text))
    });
    case.change.wishes.iter().filter_map(judge).chain(lost).collect()
}

/// The largest volume, where the wish is a way back from an expansion that failed: every claim's capacity is known, at
/// least one is below what the object asks for, and none is above the wish. Only an update of the object may do so.
fn going_back(case: &Case, view: &ComponentView, wanted: Quantity, present: Quantity) -> Option<Quantity> {
    if case.change.request().is_some() {
        return None;
    }
    let capacities: Option<Vec<Quantity>> = case.claims_of(&view.name()).map(|c| c.capacity).collect();
    let capacities = capacities?;
    let (largest, smallest) = (*capacities.iter().max()?, *capacities.iter().min()?);
    (largest <= wanted && smallest < present).then_some(largest)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{claim, findings_of_update, replica_set, request, rules_of};
    use super::RULE;
    use crate::finding::Severity;

    #[rstest]
    #[case::grows("50Gi", false)]
    #[case::same_value_other_spelling("20480Mi", false)]
    #[case::decimal_giga_is_less("20G", true)]
    #[case::shrinks("10Gi", true)]
    fn requests(#[case] size: &str, #[case] refused: bool) {
        let ask = request("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": size}}));
        assert_eq!(rules_of(&replica_set(), &ask).contains(&RULE.id.0), refused);
    }

    #[test]
    fn a_size_is_not_taken_away() {
        let findings = findings_of_update(&replica_set(), "/spec/storage", json!({}), Vec::new());
        assert_eq!(findings.iter().map(|f| f.rule).collect::<Vec<_>>(), [RULE.id]);
        assert_eq!(findings[0].path, "spec.storage.resources.requests.storage");
    }

    #[rstest]
    #[case::no_claim_is_known("10Gi", &[], Some(Severity::Deny))]
    #[case::back_to_what_is_there("10Gi", &["10Gi", "10Gi"], Some(Severity::Warn))]
    #[case::one_volume_has_grown("10Gi", &["10Gi", "20Gi"], Some(Severity::Deny))]
    #[case::nothing_failed("10Gi", &["20Gi", "20Gi"], Some(Severity::Deny))]
    #[case::below_what_is_there("5Gi", &["10Gi", "10Gi"], Some(Severity::Deny))]
    #[case::grows("30Gi", &["20Gi", "20Gi"], None)]
    fn updates(#[case] size: &str, #[case] capacities: &[&str], #[case] said: Option<Severity>) {
        let claims = capacities.iter().map(|c| claim("replicaSet", c)).collect();
        let findings =
            findings_of_update(&replica_set(), "/spec/storage/resources/requests/storage", json!(size), claims);
        let found = findings.iter().find(|f| f.rule == RULE.id).map(|f| f.severity);
        assert_eq!(found, said);
    }
}

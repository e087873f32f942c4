//! `storage/implausible`: a size that was probably a slip, and cannot be taken back.

use super::{EXIT_REFUSED, Rule};
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::quantity::Quantity;

/// Warns of a volume larger than any that a cloud rents, and of a leap to a hundred times the present size.
pub const RULE: Rule = Rule {
    id: RuleId("storage/implausible"),
    severity: Severity::Warn,
    exit: EXIT_REFUSED,
    reason: "50Ti for 50Gi is one slip of a finger, and a volume never shrinks again.",
    source: "the largest volumes of AWS (io2), Azure (Ultra Disk) and Google Cloud (Hyperdisk) have 64Ti; the leap is dbscale's own",
    refused: "# 50Gi now\nvolumeExpansion:\n  mode: Online\n  replicaSet: 50Ti",
    right: "# 50Gi now\nvolumeExpansion:\n  mode: Online\n  replicaSet: 100Gi",
    fix: "Look at the unit again. A leap that is meant goes on: this only warns.",
    check,
};

/// The largest volume that the large clouds rent.
const LARGEST: Quantity = Quantity::from_bytes(64 << 40);
/// A leap to this many times the present size, or more, is worth a word.
const LEAP: i64 = 100;

fn check(case: &Case) -> Vec<Finding> {
    let judge = |wish: &crate::change::Wish| {
        let What::Storage(size) = &wish.what else { return None };
        let wanted = size.quantity()?;
        let present = case.present_size(wish).filter(|p| *p > Quantity::ZERO);
        let message = if wanted > LARGEST {
            format!("{wanted} is more than the largest volume that a cloud rents ({LARGEST})")
        } else if let Some(present) = present.filter(|p| p.checked_mul_int(LEAP).is_none_or(|leap| wanted >= leap)) {
            format!("{present} → {wanted} is a leap to more than {LEAP} times the present, and cannot be undone")
        } else {
            return None;
        };
        Some(Finding::warn(RULE.id, &wish.path, message).remedy("look at the unit again, and go on if it is meant"))
    };
    case.change.wishes.iter().filter_map(judge).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{replica_set, request, rules_of};
    use super::RULE;

    #[rstest]
    #[case::twice("40Gi", false)]
    #[case::just_no_leap("1999Gi", false)]
    #[case::a_leap("2000Gi", true)]
    #[case::tera_for_giga("40Ti", true)]
    #[case::no_cloud_has_it("65Ti", true)]
    #[case::as_large_as_they_get("9Ei", true)]
    fn from_20gi(#[case] size: &str, #[case] warned: bool) {
        let ask = request("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": size}}));
        assert_eq!(rules_of(&replica_set(), &ask).contains(&RULE.id.0), warned);
    }
}

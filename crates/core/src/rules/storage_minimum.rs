//! `storage/minimum`: a volume has at least 1 GB, that is 10^9 bytes.

use super::{EXIT_REFUSED, Rule};
use crate::change::{Source, What};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::quantity::Quantity;

/// Refuses a volume below 10^9 bytes; of a database that is created it only warns.
pub const RULE: Rule = Rule {
    id: RuleId("storage/minimum"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "A volume below 1 GB is nearly always a slip of the unit (a bare 100 is 100 bytes), and too small for any database to start on.",
    source: "dbscale's own floor; KubeDB only asks for more than zero",
    refused: "volumeExpansion:\n  mode: Online\n  replicaSet: 500M",
    right: "volumeExpansion:\n  mode: Online\n  replicaSet: 50Gi",
    fix: "Ask for 1G or more, with a unit: G is 10^9 bytes, Gi is 2^30 bytes.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    case.change
        .wishes
        .iter()
        .filter_map(|wish| {
            let What::Storage(size) = &wish.what else { return None };
            if size.quantity()? >= Quantity::GIGABYTE {
                return None;
            }
            let bare = size.text.bytes().all(|b| b.is_ascii_digit());
            let unit = if bare { " bytes (no unit was given)" } else { "" };
            let message = format!("{}{unit} is below the least size of a volume, 1G (10^9 bytes)", size.text);
            let remedy = if bare {
                format!("write {}G or {}Gi if that was meant", size.text, size.text)
            } else {
                "ask for 1G or more".to_owned()
            };
            // KubeDB's own first examples have volumes of 600Mi, and a database that is created has nothing to lose yet.
            let finding = match case.change.source {
                Source::Create => Finding::warn(RULE.id, &wish.path, message),
                _ => Finding::deny(RULE.id, &wish.path, message),
            };
            Some(finding.remedy(remedy))
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
    #[case::mega("500M", true)]
    #[case::bare("100", true)]
    #[case::one_less("999999999", true)]
    #[case::exact("1G", false)]
    #[case::exact_in_bytes("1000000000", false)]
    #[case::just_below_in_mebi("953Mi", true)]
    #[case::just_above_in_mebi("954Mi", false)]
    #[case::negative("-5Gi", true)]
    fn volumes(#[case] size: &str, #[case] refused: bool) {
        let ask = request("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": size}}));
        assert_eq!(rules_of(&replica_set(), &ask).contains(&RULE.id.0), refused, "{size}");
    }
}

//! `replicas/scale-in`: fewer members or shards than now is allowed, with a word about what goes.

use super::{EXIT_REFUSED, Rule};
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Warns of a smaller number than the present.
pub const RULE: Rule = Rule {
    id: RuleId("replicas/scale-in"),
    severity: Severity::Warn,
    exit: EXIT_REFUSED,
    reason: "Members that go take their copy of the data with them; the claims stay behind and cost money until somebody deletes them.",
    source: "KubeDB removes the pods of the highest ordinals and keeps their claims (PetSet's retention policy is Retain)",
    refused: "# 5 members now\nhorizontalScaling:\n  replicas: 3",
    right: "# 3 members now\nhorizontalScaling:\n  replicas: 5",
    fix: "Make sure that the members which stay hold all data and can bear the load. Delete the left-over claims when you are sure.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    case.change
        .wishes
        .iter()
        .filter_map(|wish| {
            let (wanted, one, many) = match &wish.what {
                What::Replicas(n) => (*n, "member", "members"),
                What::Shards(n) => (*n, "shard", "shards"),
                _ => return None,
            };
            let present = case.present_number(wish)?;
            let gone = present.checked_sub(wanted)?;
            if wanted < 1 || gone < 1 {
                return None;
            }
            let what = if gone == 1 { format!("1 {one} goes") } else { format!("{gone} {many} go") };
            let component = wish.component_name(case.change.engine);
            let message = format!("{component} {present} → {wanted}: {what}, and the claims stay behind");
            let remedy = "make sure that those which stay hold all data and bear the load";
            Some(Finding::warn(RULE.id, &wish.path, message).remedy(remedy))
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
    #[case::fewer(2, true)]
    #[case::same(3, false)]
    #[case::more(5, false)]
    #[case::none_is_told_by_another_rule(0, false)]
    fn from_three(#[case] n: i64, #[case] warned: bool) {
        let ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": n}}));
        assert_eq!(rules_of(&replica_set(), &ask).contains(&RULE.id.0), warned);
    }
}

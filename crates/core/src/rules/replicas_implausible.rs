//! `replicas/implausible`: a number that was probably a slip.

use super::{EXIT_REFUSED, Rule};
use crate::change::What;
use crate::database::MOST_ITEMS;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses more members than any cluster runs pods; warns of a leap to ten times the present number.
pub const RULE: Rule = Rule {
    id: RuleId("replicas/implausible"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "33 for 3 is one slip of a finger: the members are made, with their volumes, until the cluster is full.",
    source: "Kubernetes documentation, \"Considerations for large clusters\": at most 150,000 pods; the warning is dbscale's own",
    refused: "horizontalScaling:\n  replicas: 300000",
    right: "horizontalScaling:\n  replicas: 3",
    fix: "Look at the number again. A leap that is meant goes on: the smaller finding only warns.",
    check,
};

/// The most pods of a cluster that Kubernetes is tested with.
const MOST_PODS: i64 = 150_000;
/// A leap to this many times the present number, or more, is worth a word.
const LEAP: i64 = 10;

fn check(case: &Case) -> Vec<Finding> {
    let judge = |wish: &crate::change::Wish| {
        let present = case.present_number(wish);
        let (n, unit) = match &wish.what {
            What::Replicas(n) => (*n, "members"),
            What::Shards(n) => (*n, "shards"),
            What::Resources(_) | What::Storage(_) => return None,
        };
        if n > MOST_PODS {
            let message = format!("{n} {unit} are more pods than any cluster runs ({MOST_PODS})");
            return Some(Finding::deny(RULE.id, &wish.path, message).remedy("look at the number again"));
        }
        let leap = present.filter(|p| *p >= 1 && n >= p.saturating_mul(LEAP))?;
        let message = format!("{leap} → {n} {unit} is a leap to {} times the present", n / leap);
        Some(Finding::warn(RULE.id, &wish.path, message).remedy("look at the number again, and go on if it is meant"))
    };
    let overlong = case.change.overlong.then(|| {
        let message = format!("a list of the spec has more than {MOST_ITEMS} items: no database has so many parts");
        Finding::deny(RULE.id, "spec", message).remedy("make several databases of it")
    });
    overlong.into_iter().chain(case.change.wishes.iter().filter_map(judge)).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{findings, request, verdict};
    use super::RULE;
    use crate::facts::Facts;
    use crate::finding::Severity;

    #[rstest]
    #[case::plain(5, None)]
    #[case::just_no_leap(29, None)]
    #[case::a_leap(30, Some(Severity::Warn))]
    #[case::the_largest_cluster(150_000, Some(Severity::Warn))]
    #[case::no_cluster(150_001, Some(Severity::Deny))]
    fn from_three_nodes(#[case] n: i64, #[case] said: Option<Severity>) {
        let spec = json!({"type": "HorizontalScaling", "horizontalScaling": {"node": n}});
        let found = verdict(&json!({"kind": "Solr", "spec": {"replicas": 3}}), &spec);
        assert_eq!(found.iter().find(|f| f.rule == RULE.id).map(|f| f.severity), said);
    }

    #[test]
    fn without_the_database_only_the_impossible_is_told() {
        let told = |n: i64| {
            let ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": n}}));
            findings(&ask, &Facts::default()).iter().any(|f| f.rule == RULE.id)
        };
        assert_eq!([30, 200_000].map(told), [false, true]);
    }
}

//! `replicas/engine-bounds`: the numbers of members and shards that the engine, or KubeDB's check of it, takes.

use super::{EXIT_REFUSED, Rule};
use crate::change::{Source, What};
use crate::database::Bounds;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a number outside the catalog's bounds for the engine, topology and component.
pub const RULE: Rule = Rule {
    id: RuleId("replicas/engine-bounds"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "Many engines need a least number to keep a quorum, and some have a most. KubeDB refuses some of these late, and lets others begin and fail.",
    source: "KubeDB's validators of OpsRequests and databases, and the engines' own limits; each bound's source stands in its engine's file",
    refused: "kind: ZooKeeperOpsRequest\n…\nhorizontalScaling:\n  replicas: 2",
    right: "kind: ZooKeeperOpsRequest\n…\nhorizontalScaling:\n  replicas: 3",
    fix: "Ask for a number within the bounds that the message names; `kubectl dbscale engines ENGINE` lists them.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    if matches!(case.change.source, Source::Create) {
        return Vec::new(); // the bounds are those of an operation; KubeDB has its own for a new database
    }
    case.change
        .wishes
        .iter()
        .filter_map(|wish| {
            let view = case.database().and_then(|d| wish.view(d));
            let component = wish.component_of(case.change.engine);
            let (n, unit, count, bounds) = match &wish.what {
                What::Replicas(n) => (*n, "members", &component.replicas, view.map(|v| v.replicas_bounds.clone())),
                What::Shards(n) => (*n, "shards", &component.shards, view.map(|v| v.shards_bounds.clone())),
                _ => return None,
            };
            let bounds = bounds.unwrap_or_else(|| count.as_ref().map(Bounds::of_any).unwrap_or_default());
            if n < 1 {
                return None; // replicas/minimum says it
            }
            let (limit, remedy) = match (bounds.min, bounds.max) {
                (Some(min), _) if n < min => ("least", format!("ask for {min} or more")),
                (_, Some(max)) if n > max => ("most", format!("ask for {max} or fewer")),
                _ => return None,
            };
            let number = if limit == "least" { bounds.min } else { bounds.max }.unwrap_or_default();
            let name = wish.component_name(case.change.engine);
            let because = if bounds.because.is_empty() { String::new() } else { format!(" ({})", bounds.because) };
            let message = format!(
                "{n} {unit} of {name}: the {limit} that {} takes is {number}{because}",
                case.change.engine.kind
            );
            Some(Finding::deny(RULE.id, &wish.path, message).remedy(remedy))
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
    #[case::fifty(50, None, false)]
    #[case::fifty_one(51, None, true)]
    #[case::two_on_disk(2, Some("wiredTiger"), false)]
    #[case::two_in_memory(2, Some("inMemory"), true)]
    #[case::three_in_memory(3, Some("inMemory"), false)]
    fn a_replica_set(#[case] n: i64, #[case] storage_engine: Option<&str>, #[case] refused: bool) {
        let mut database = replica_set();
        database["spec"]["storageEngine"] = json!(storage_engine);
        let ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": n}}));
        assert_eq!(rules_of(&database, &ask).contains(&RULE.id.0), refused);
    }
}

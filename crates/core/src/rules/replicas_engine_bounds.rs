//! `replicas/engine-bounds`: the numbers of members and shards that the engine, or KubeDB's check of it, takes.

use super::{EXIT_REFUSED, Rule};
use crate::catalog::Count;
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
            let view = case.afterwards().and_then(|d| wish.view(d));
            let component = wish.component_of(case.change.engine);
            let (n, unit, count, bounds) = match &wish.what {
                What::Replicas(n) => (*n, "members", &component.replicas, view.map(|v| v.replicas_bounds.clone())),
                What::Shards(n) => (*n, "shards", &component.shards, view.map(|v| v.shards_bounds.clone())),
                _ => return None,
            };
            let bounds = bounds.unwrap_or_else(|| loosest(case, count.as_ref()));
            // What is less than one, replicas/minimum says.
            if n < 1 || case.change.is_direct() && count.as_ref().is_some_and(|c| c.only_requests) {
                return None;
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

/// The bounds that hold whichever of the components with this field is meant, where the database is not known.
fn loosest(case: &Case, count: Option<&'static Count>) -> Bounds {
    let Some(count) = count else { return Bounds::default() };
    let components = case.change.engine.components.values();
    let counts = components.flat_map(|c| [&c.replicas, &c.shards]).flatten();
    let mut all = counts.filter(|c| c.ask == count.ask && c.with == count.with).map(Bounds::of_any);
    let first = all.next().unwrap_or_default();
    all.fold(first, |loose, bounds| Bounds {
        min: loose.min.zip(bounds.min).map(|(a, b)| a.min(b)),
        max: loose.max.zip(bounds.max).map(|(a, b)| a.max(b)),
        because: loose.because,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::judge;
    use super::super::testing::{database, facts, findings, findings_of_update, replica_set, request, rules_of};
    use super::RULE;
    use crate::change::Change;
    use crate::facts::{Case, Facts};

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

    #[test]
    fn without_its_database_a_request_is_held_to_the_loosest_bounds() {
        let ask = json!({"kind": "RedisOpsRequest", "metadata": {"name": "ask"}, "spec": {
            "type": "HorizontalScaling", "databaseRef": {"name": "db"}, "horizontalScaling": {"replicas": 1}}});
        // One is right behind Sentinel, and too few in a cluster.
        assert!(!findings(&ask, &Facts::default()).iter().any(|f| f.rule == RULE.id));
    }

    #[rstest]
    #[case::a_proxy(json!({"kind": "ProxySQL", "spec": {"replicas": 1}}), 2, false)]
    #[case::semi_sync(json!({"kind": "MySQL", "spec": {"replicas": 3, "topology": {"mode": "SemiSync"}}}), 2, false)]
    #[case::a_group(json!({"kind": "MySQL", "spec": {"replicas": 3, "topology": {"mode": "GroupReplication"}}}), 2, true)]
    #[case::a_condition_that_the_update_lifts(json!({"kind": "ZooKeeper", "spec": {"replicas": 3}}), 2, true)]
    fn a_direct_edit_is_held_to_the_bounds_of_the_database(
        #[case] object: Value,
        #[case] n: i64,
        #[case] refused: bool,
    ) {
        let found = findings_of_update(&object, "/spec/replicas", json!(n), Vec::new());
        assert_eq!(found.iter().any(|f| f.rule == RULE.id), refused, "{found:?}");
    }

    #[test]
    fn the_conditions_of_an_update_are_those_of_the_new_object() {
        let object = |replicas: i64, confirm: i64| {
            json!({"apiVersion": "kubedb.com/v1", "kind": "Postgres", "metadata": {"name": "my-db"},
            "spec": {"replicas": replicas, "replication": {"numSyncReplicas": confirm}, "numSyncReplicas": confirm}})
        };
        let change = Change::of_update(&database(&object(4, 2)), database(&object(2, 1)));
        let facts = facts(&object(4, 2));
        let found = judge(&Case { change: &change, facts: &facts });
        assert!(!found.iter().any(|f| f.rule == RULE.id), "{found:?}");
    }
}

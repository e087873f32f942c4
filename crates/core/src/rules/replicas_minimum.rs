//! `replicas/minimum`: a component keeps at least one member, and at least one shard.

use super::{EXIT_REFUSED, Rule};
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses fewer than one member or shard.
pub const RULE: Rule = Rule {
    id: RuleId("replicas/minimum"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "Zero members is no database. KubeDB's own check lets negative numbers and, for some engines, zero through.",
    source: "KubeDB's validators test `== 0`, or nothing at all for Elasticsearch, Hazelcast, Solr and Memcached; its CRDs have no minimum",
    refused: "horizontalScaling:\n  replicas: 0",
    right: "horizontalScaling:\n  replicas: 1",
    fix: "Ask for one or more. To stop a database without losing its volumes, set spec.halted on the database.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let too_few = |what: &What| match what {
        What::Replicas(n) if *n < 1 => Some((*n, "members")),
        What::Shards(n) if *n < 1 => Some((*n, "shards")),
        _ => None,
    };
    case.change
        .wishes
        .iter()
        .filter_map(|wish| {
            let (n, unit) = too_few(&wish.what)?;
            let component = wish.component_name(case.change.engine);
            let message = format!("{n} {unit} of {component} is too few: at least 1 must stay");
            let remedy = "ask for 1 or more; to stop the database, set spec.halted on it";
            Some(Finding::deny(RULE.id, &wish.path, message).remedy(remedy))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{replica_set, request, rules_of, sharded};
    use super::RULE;

    #[rstest]
    #[case::zero(0, true)]
    #[case::negative(-1, true)]
    #[case::one(1, false)]
    #[case::many(7, false)]
    fn members(#[case] n: i64, #[case] refused: bool) {
        let ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": n}}));
        assert_eq!(rules_of(&replica_set(), &ask).contains(&RULE.id.0), refused);
    }

    #[test]
    fn shards() {
        let ask = request("HorizontalScaling", json!({"horizontalScaling": {"shard": {"shards": 0, "replicas": 3}}}));
        assert!(rules_of(&sharded(), &ask).contains(&RULE.id.0));
    }
}

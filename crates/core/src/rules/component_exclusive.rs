//! `component/exclusive`: some fields of a stanza exclude each other.

use super::{EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a request that uses two fields which stand for different topologies, or for one operation each.
pub const RULE: Rule = Rule {
    id: RuleId("component/exclusive"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "A database has combined roles or dedicated ones, is a replica set or sharded: a request for both fits none. Other fields KubeDB does one at a time.",
    source: "KubeDB's validators (Kafka, MongoDB, MariaDB, Milvus, Postgres, DocumentDB, SingleStore, Solr); the groups stand in the engine's file",
    refused: "kind: PostgresOpsRequest\n…\nhorizontalScaling:\n  replicas: 3\n  readReplicas:\n  - {name: report, replicas: 2}",
    right: "kind: PostgresOpsRequest\n…\nhorizontalScaling:\n  replicas: 3",
    fix: "Keep the fields of one group; make a second request for the others where the database has both.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(request) = case.change.request() else { return Vec::new() };
    let told = request.excluding.iter().filter_map(|groups| {
        let (first, rest) = groups.split_first()?;
        let message = format!("{} is not asked for together with {first}", rest.join(" or "));
        let path = rest.first()?.split(',').next().unwrap_or_default();
        Some(Finding::deny(RULE.id, path, message).remedy("keep the fields of one, or make a request for each"))
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{findings, verdict};
    use super::RULE;
    use crate::catalog::{Catalog, Engine, Exclusive, Pointer};
    use crate::facts::Facts;

    fn refused(engine: &Engine, fields: &[&Pointer]) -> bool {
        let mut spec = json!({});
        for field in fields {
            field.set(&mut spec, json!({"x": 1}));
        }
        let ask: Value = json!({"kind": engine.ops_kind(), "spec": spec});
        findings(&ask, &Facts::default()).iter().any(|f| f.rule == RULE.id)
    }

    #[test]
    fn an_empty_list_is_not_there() {
        let ask = |items: Value| {
            let spec =
                json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": 3, "readReplicas": items}});
            verdict(&json!({"kind": "Postgres", "spec": {"replicas": 2}}), &spec).iter().any(|f| f.rule == RULE.id)
        };
        assert_eq!([json!([]), json!([{"name": "a", "replicas": 1}])].map(ask), [false, true]);
    }

    #[test]
    fn two_groups_exclude_each_other_and_one_may_have_many_fields() {
        let mut tried = 0;
        for engine in Catalog::builtin().engines() {
            for Exclusive(groups) in &engine.exclusive {
                for (i, group) in groups.iter().enumerate() {
                    assert!(!refused(engine, &group.iter().collect::<Vec<_>>()), "{}", engine.name);
                    for other in groups.iter().skip(i + 1) {
                        assert!(
                            refused(engine, &[&group[0], &other[0]]),
                            "{}: {}, {}",
                            engine.name,
                            group[0],
                            other[0]
                        );
                        tried += 1;
                    }
                }
            }
        }
        assert!(tried >= 15, "{tried}");
    }
}

//! `resources/in-place`: a heap that was sized at the start does not follow the container's memory.

use super::{EXIT_REFUSED, Rule};
use crate::change::VERTICAL;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// The flag of engines whose processes size their heap from the container's memory when they start.
pub(super) const FLAG: &str = "heap-follows-memory";

/// Warns of an in-place resize of such an engine.
pub const RULE: Rule = Rule {
    id: RuleId("resources/in-place"),
    severity: Severity::Warn,
    exit: EXIT_REFUSED,
    reason: "These engines take the size of their heap or page cache from the container's memory when they start. Without a restart the container grows, and the database does not use it.",
    source: "KubeDB's validators warn of the same for Cassandra, Druid, Elasticsearch, Kafka, Neo4j, Solr and ZooKeeper",
    refused: "kind: KafkaOpsRequest\n…\nverticalScaling:\n  mode: InPlace\n  node: {…}",
    right: "kind: KafkaOpsRequest\n…\nverticalScaling:\n  mode: Restart\n  node: {…}",
    fix: "Leave the mode out (Restart is KubeDB's default), or restart the database afterwards.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(request) = case.change.request() else { return Vec::new() };
    let engine = case.change.engine;
    if request.mode != "InPlace" || request.ops_type != VERTICAL.ops_type || !engine.flags.iter().any(|f| f == FLAG) {
        return Vec::new();
    }
    let message =
        format!("{} sizes its heap when it starts: resized in place, it does not use the new memory", engine.kind);
    let remedy = "use mode Restart, or restart the database afterwards";
    vec![Finding::warn(RULE.id, "spec.verticalScaling.mode", message).remedy(remedy)]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::verdict;
    use super::{FLAG, RULE};
    use crate::catalog::Catalog;

    #[test]
    fn engines_with_a_heap_are_warned_of_in_place_and_no_other() {
        let mut warned = Vec::new();
        for engine in Catalog::builtin().engines() {
            let says = |mode: &str| {
                let spec = json!({"type": "VerticalScaling", "verticalScaling": {"mode": mode}});
                verdict(&json!({"kind": engine.kind}), &spec).iter().any(|f| f.rule == RULE.id && !f.refuses())
            };
            assert!(!says("Restart") && !says(""), "{}", engine.name);
            assert_eq!(says("InPlace"), engine.flags.iter().any(|f| f == FLAG), "{}", engine.name);
            warned.extend(says("InPlace").then_some(engine.name.as_str()));
        }
        assert_eq!(warned, ["cassandra", "druid", "elasticsearch", "kafka", "neo4j", "solr", "zookeeper"]);
    }
}

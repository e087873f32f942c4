//! `component/unknown`: a name or field that the engine does not have.

use super::{EXIT_USAGE, Rule};
use crate::database::Database;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a component, or a field of a scaling stanza, that the engine does not have.
pub const RULE: Rule = Rule {
    id: RuleId("component/unknown"),
    severity: Severity::Deny,
    exit: EXIT_USAGE,
    reason: "A field that the CRD does not know is dropped by the API server: the wish would be lost without a word.",
    source: "the engines' CRDs; each field stands in the engine's file of the catalog",
    refused: "kubectl dbscale vertical postgres/crm --component standby --size db.t3.medium",
    right: "kubectl dbscale vertical postgres/crm --component postgres --size db.t3.medium",
    fix: "Use one of the names that the message lists; `kubectl dbscale engines ENGINE` shows them all.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    if case.facts.schema_checked {
        return Vec::new(); // the API server has refused what the CRD does not know; the rest is of a newer KubeDB
    }
    let Some(request) = case.change.request() else { return Vec::new() };
    let kind = case.change.engine.ops_kind();
    request
        .unknown
        .iter()
        .map(|path| {
            let message = format!("{path} is no field of {kind}: the API server would drop it without a word");
            let remedy = format!("see the fields that exist: kubectl dbscale engines {}", case.change.engine.name);
            Finding::deny(RULE.id, path, message).remedy(remedy)
        })
        .collect()
}

/// The finding for a component name that the database does not have; it lists those that it has, the nearest first.
#[must_use]
pub fn unknown_component(database: &Database, name: &str) -> Finding {
    let engine = database.engine;
    let said = engine.misnomers.iter().find(|(wrong, _)| wrong.eq_ignore_ascii_case(name)).map(|(_, answer)| answer);
    let elsewhere = engine.components.values().any(|c| c.name.eq_ignore_ascii_case(name));
    let topology = database.topology.map_or("unknown topology", |t| t.title.as_str());
    let message = if elsewhere {
        format!(
            "{} has no component '{name}': {} components of that name exist, but not in this one ({topology})",
            database.target(),
            engine.kind
        )
    } else {
        format!("{} has no component '{name}' ({topology})", database.target())
    };
    let mut names: Vec<String> = database.components.iter().map(crate::database::ComponentView::name).collect();
    names.sort_by(|a, b| strsim::jaro_winkler(b, name).total_cmp(&strsim::jaro_winkler(a, name)));
    let list = format!("it has: {}", names.join(", "));
    let remedy = said.map_or_else(|| list.clone(), |answer| format!("{answer}; {list}"));
    Finding::deny(RULE.id, "", message).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{database, replica_set, request, rules_of};
    use super::{RULE, unknown_component};

    #[rstest]
    #[case::known(json!({"horizontalScaling": {"replicas": 5}}), 0)]
    #[case::of_another_engine(json!({"horizontalScaling": {"member": 5}}), 1)]
    #[case::wrong_depth(json!({"horizontalScaling": {"replicaSet": {"replicas": 5}}}), 1)]
    #[case::a_pair(json!({"horizontalScaling": {"shard": {"shards": 3, "replicas": 3}}}), 0)]
    fn fields(#[case] spec: Value, #[case] times: usize) {
        let found = rules_of(&replica_set(), &request("HorizontalScaling", spec));
        assert_eq!(found.iter().filter(|id| **id == RULE.id.0).count(), times, "{found:?}");
    }

    #[test]
    fn a_component_of_another_topology_is_told_so() {
        let finding = unknown_component(&database(&replica_set()), "configServer");
        assert_eq!(finding.rule, RULE.id);
        assert!(finding.message.contains("not in this one (replica set)"), "{}", finding.message);
        assert!(finding.remedy.contains("replicaSet"), "{}", finding.remedy);
    }
}

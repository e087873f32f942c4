//! `component/not-in-topology`: the database has no such component.

use super::replicas_transition::of_standalone;
use super::{EXIT_REFUSED, Rule};
use crate::catalog::{Engine, Pointer};
use crate::change::{What, Wish};
use crate::database::ComponentView;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a wish for a component that the database, as it is, does not have.
pub const RULE: Rule = Rule {
    id: RuleId("component/not-in-topology"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "A field for another topology passes KubeDB's check silently for several engines, and nothing happens.",
    source: "KubeDB's validators: Elasticsearch, Solr and MongoDB ignore blocks that the database lacks",
    refused: "# a replica set\nverticalScaling:\n  shard: {…}",
    right: "# a replica set\nverticalScaling:\n  replicaSet: {…}",
    fix: "Name a component that the database has; the message lists them.",
    check,
};

/// How many components a remedy lists.
const MOST: usize = 12;

fn check(case: &Case) -> Vec<Finding> {
    let Some(database) = case.database() else { return Vec::new() };
    if case.change.request().is_none() {
        return Vec::new(); // an update of the database itself may add a component
    }
    let absent = case.change.wishes.iter().filter(|wish| {
        wish.view(database).is_none() && !adds_item(wish, case.change.engine) && !of_standalone(wish, database)
    });
    absent
        .map(|wish| {
            let topology = database.topology.map_or("unknown topology", |t| t.title.as_str());
            let component = wish.component_name(case.change.engine);
            let message = format!("{} has no component {component} ({topology})", database.target());
            // KubeDB fills in an arbiter, an exporter or the names of racks where the file does not say them.
            let name = &wish.component_of(database.engine).name;
            let may_come = database.topology.is_some_and(|t| database.engine.components_of(t).any(|c| c.name == *name));
            let finding = if case.facts.on_file && may_come {
                let message = format!("the file of {} does not say that it has {component}", database.target());
                Finding::warn(RULE.id, &wish.path, message)
            } else {
                Finding::deny(RULE.id, &wish.path, message)
            };
            let names = database.components.iter().take(MOST).map(ComponentView::name).collect::<Vec<_>>().join(", ");
            let more = if database.components.len() > MOST { " …" } else { "" };
            finding.remedy(if names.is_empty() { String::new() } else { format!("it has: {names}{more}") })
        })
        .collect()
}

/// Whether a horizontal wish adds an item to a list of the database (a read replica with a new name).
fn adds_item(wish: &Wish, engine: &'static Engine) -> bool {
    let at = wish.component_of(engine).replicas.as_ref().and_then(|c| c.at.as_ref());
    matches!(wish.what, What::Replicas(_)) && wish.item.is_some() && at.is_some_and(Pointer::is_list)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{facts, findings, replica_set, request, rules_of};
    use super::RULE;
    use crate::facts::Facts;
    use crate::finding::Severity;

    #[rstest]
    #[case::has("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": "50Gi"}}), false)]
    #[case::of_another_topology("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "standalone": "50Gi"}}), true)]
    #[case::not_configured("VerticalScaling", json!({"verticalScaling": {"hidden": {"resources": {"limits": {"cpu": "1"}}}}}), true)]
    fn a_replica_set(#[case] ops_type: &str, #[case] spec: Value, #[case] refused: bool) {
        assert_eq!(rules_of(&replica_set(), &request(ops_type, spec)).contains(&RULE.id.0), refused);
    }

    #[test]
    fn on_a_file_what_kubedb_fills_in_is_only_a_warning() {
        let facts = Facts { on_file: true, ..facts(&replica_set()) };
        let said = |component: &str| {
            let ask = json!({"verticalScaling": {component: {"resources": {"limits": {"cpu": "1"}}}}});
            let found = findings(&request("VerticalScaling", ask), &facts);
            found.iter().find(|f| f.rule == RULE.id).map(|f| f.severity)
        };
        assert_eq!(said("exporter"), Some(Severity::Warn));
        assert_eq!(said("shard"), Some(Severity::Deny));
    }
}

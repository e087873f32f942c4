//! `engine/unsupported`: KubeDB has no way to do this to this engine, topology or component.

use super::{EXIT_REFUSED, Rule};
use crate::change::STANZAS;
use crate::database::{ComponentView, Database};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses what the engine's OpsRequest has no type or field for.
pub const RULE: Rule = Rule {
    id: RuleId("engine/unsupported"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "Not every engine can do everything: Oracle and HanaDB have no horizontal scaling, PgBouncer has no volumes, Memcached's volume block is empty.",
    source: "the enum of spec.type and the blocks of the engine's OpsRequest CRD",
    refused: "kubectl dbscale horizontal oracle/erp --replicas 3",
    right: "kubectl dbscale vertical oracle/erp --size db.r6i.large",
    fix: "`kubectl dbscale engines ENGINE` lists what the engine can do.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let engine = case.change.engine;
    let Some(request) = case.change.request() else { return Vec::new() };
    let scaling = STANZAS.iter().any(|s| s.ops_type == request.ops_type);
    if !scaling || engine.types.contains(&request.ops_type) {
        return Vec::new();
    }
    let message =
        format!("{} has no {}: KubeDB cannot do that to {}", engine.ops_kind(), request.ops_type, engine.kind);
    vec![Finding::deny(RULE.id, "spec.type", message).remedy(what_it_can(case.change.engine))]
}

/// The finding for a component that no OpsRequest can change in this way. `what` is `replicas`, `shards`, `cpu and memory` or `storage`.
#[must_use]
pub fn no_such_field(database: &Database, view: &ComponentView, what: &str) -> Finding {
    let topology = database.topology.map_or_else(String::new, |t| format!(" ({})", t.title));
    let message = format!(
        "the {what} of {} of {}{topology} cannot be changed: KubeDB has no field for it",
        view.name(),
        database.target()
    );
    let note = view.component.note.clone().or_else(|| database.topology.and_then(|t| t.note.clone()));
    let remedy = note.map_or_else(|| what_it_can(database.engine), |note| note.trim_end_matches('.').to_owned());
    Finding::deny(RULE.id, "", message).remedy(remedy)
}

/// The finding for a database whose topology the catalog does not know.
#[must_use]
pub fn unknown_topology(database: &Database) -> Finding {
    let known: Vec<&str> = database.engine.topologies.iter().map(|t| t.title.as_str()).collect();
    let message = format!("the topology of {} cannot be told from its spec", database.target());
    Finding::deny(RULE.id, "spec", message).remedy(format!("dbscale knows: {}", known.join(", ")))
}

fn what_it_can(engine: &crate::catalog::Engine) -> String {
    let can: Vec<&str> =
        STANZAS.iter().map(|s| s.ops_type).filter(|t| engine.types.iter().any(|known| known == t)).collect();
    if can.is_empty() {
        format!("KubeDB cannot scale {}", engine.kind)
    } else {
        format!("it can do: {}", can.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::RULE;
    use crate::catalog::Catalog;
    use crate::change::Change;
    use crate::facts::{Case, Facts};
    use crate::rules::judge;

    #[rstest]
    #[case::oracle_horizontal("oracle", "HorizontalScaling", true)]
    #[case::oracle_vertical("oracle", "VerticalScaling", false)]
    #[case::pgbouncer_volume("pgbouncer", "VolumeExpansion", true)]
    #[case::hanadb_horizontal("hanadb", "HorizontalScaling", true)]
    #[case::restart_is_no_scaling("oracle", "Restart", false)]
    fn types(#[case] engine: &str, #[case] ops_type: &str, #[case] refused: bool) {
        let engine = Catalog::builtin().find(engine).unwrap();
        let change = Change::of_request(engine, &json!({"spec": {"type": ops_type}}), None);
        let found = judge(&Case { change: &change, facts: &Facts::default() });
        assert_eq!(found.iter().any(|f| f.rule == RULE.id), refused, "{found:?}");
    }
}

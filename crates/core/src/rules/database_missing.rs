//! `database/missing`: the database that is to be scaled must be there.

use super::{EXIT_REFUSED, Rule};
use crate::catalog::Engine;
use crate::change::Source;
use crate::facts::{Case, Known};
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a change of a database that does not exist.
pub const RULE: Rule = Rule {
    id: RuleId("database/missing"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "A request for a database that is not there waits for ever, or fails. KubeDB's check lets it through for MongoDB and Elasticsearch.",
    source: "KubeDB's validators; for MongoDB and Elasticsearch the test is the wrong way round",
    refused: "databaseRef:\n  name: my-bd      # no such database in this namespace",
    right: "databaseRef:\n  name: my-db",
    fix: "Look at the name and the namespace: the request must be in the namespace of its database.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let change = case.change;
    let needed = match &change.source {
        // Without a name there is nothing to look for: database/ref-empty says it.
        Source::Request(_) => !change.database.is_empty(),
        Source::Update(_) => true,
        // A database that is created is not there yet, and a request outlives its database.
        Source::Create | Source::RequestUpdate(_) => false,
    };
    if !needed || !matches!(case.facts.database, Known::Missing) {
        return Vec::new();
    }
    let mut finding = missing_database(change.engine, &change.namespace, &change.database);
    if change.request().is_some() {
        finding.path = format!("spec.{}.name", change.engine.reference);
    }
    vec![finding]
}

/// The finding for a database that was looked for and is not there.
#[must_use]
pub fn missing_database(engine: &Engine, namespace: &str, name: &str) -> Finding {
    let namespace = if namespace.is_empty() { String::new() } else { format!(" in namespace {namespace}") };
    let message = format!("there is no {} '{name}'{namespace}", engine.kind);
    let remedy = format!("see what is there: kubectl get {} -A", engine.plural);
    Finding::deny(RULE.id, "", message).remedy(remedy)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{facts, findings, replica_set, request};
    use super::RULE;
    use crate::facts::{Facts, Known};

    #[test]
    fn missing_is_refused_beside_what_else_is_wrong_and_unknown_is_not() {
        let ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": 0}}));
        let ids = |facts: &Facts| findings(&ask, facts).iter().map(|f| f.rule.0).collect::<Vec<_>>();
        let missing = Facts { database: Known::Missing, ..Facts::default() };
        assert_eq!(ids(&missing), [RULE.id.0, "replicas/minimum"]);
        assert_eq!(ids(&Facts::default()), ["replicas/minimum"]);
        assert_eq!(ids(&facts(&replica_set())), ["replicas/minimum"]);
    }
}

//! `database/ref-empty`: a request names its database.

use super::{EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a reference without a name.
pub const RULE: Rule = Rule {
    id: RuleId("database/ref-empty"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "KubeDB looks for a database without a name, and for MongoDB and Elasticsearch goes on although there is none. The CRD fills a missing name with an empty text.",
    source: "the OpsRequest CRDs: databaseRef.name (proxyRef.name for ProxySQL) has the default \"\" and is not required",
    refused: "databaseRef: {}",
    right: "databaseRef:\n  name: my-db",
    fix: "Write the name of a database in the request's own namespace.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(request) = case.change.request() else { return Vec::new() };
    if !case.change.database.is_empty() {
        return Vec::new();
    }
    let path = format!("spec.{}", case.change.engine.reference);
    // Where the reference itself is missing or has another type, request/schema says so.
    let told = |at: &str| at.is_empty() || at == "spec" || at.starts_with(&path);
    if request.faults.iter().any(|fault| told(&fault.path)) {
        return Vec::new();
    }
    let message = format!("{path} names no database");
    let remedy = "write the name of a database in the namespace of the request";
    vec![Finding::deny(RULE.id, format!("{path}.name"), message).remedy(remedy)]
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::findings;
    use super::RULE;
    use crate::catalog::Catalog;
    use crate::facts::{Facts, Known};

    #[rstest]
    #[case::named(json!({"name": "my-db"}), false)]
    #[case::no_name(json!({}), true)]
    #[case::an_empty_one(json!({"name": ""}), true)]
    #[case::null(json!({"name": null}), true)]
    #[case::told_by_the_schema(json!({"name": 7}), false)]
    #[case::told_by_the_schema_too(Value::Null, false)]
    fn references(#[case] reference: Value, #[case] refused: bool) {
        for engine in Catalog::builtin().engines() {
            let ask =
                json!({"kind": engine.ops_kind(), "spec": {"type": "Restart", engine.reference.as_str(): reference}});
            for database in [Known::Unknown, Known::Missing] {
                let found = findings(&ask, &Facts { database, ..Facts::default() });
                let told: Vec<_> = found.iter().filter(|f| f.rule == RULE.id).map(|f| f.path.as_str()).collect();
                let path = format!("spec.{}.name", engine.reference);
                assert_eq!(told, if refused { vec![path.as_str()] } else { Vec::new() }, "{}", engine.name);
                assert!(!refused || found.iter().all(|f| f.rule.0 != "database/missing"), "told once");
            }
        }
    }
}

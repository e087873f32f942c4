//! `database/direct-edit`: members and resources are changed by an OpsRequest, not by hand.

use std::fmt::Write as _;

use super::{EXIT_REFUSED, Rule};
use crate::change::{What, Wish};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Warns of a direct edit of members, shards, CPU or memory, and names the command that does the same.
pub const RULE: Rule = Rule {
    id: RuleId("database/direct-edit"),
    severity: Severity::Warn,
    exit: EXIT_REFUSED,
    reason: "KubeDB's operator changes a running database member by member only for an OpsRequest; a direct edit has no order, no phase to wait for and no record. With `--direct-edits deny` the webhook refuses it.",
    source: "KubeDB's documents of horizontal and vertical scaling: both are done by an OpsRequest",
    refused: "kubectl patch mongodb my-db --type merge -p '{\"spec\":{\"replicas\":5}}'",
    right: "kubectl dbscale horizontal mongodb/my-db --replicas 5",
    fix: "Use the command that the message names.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(database) = case.database().filter(|_| case.change.is_direct()) else { return Vec::new() };
    let finding = |wish: &Wish| {
        let what = match &wish.what {
            What::Replicas(_) => "members",
            What::Shards(_) => "shards",
            What::Resources(_) => "resources",
            What::Storage(_) => return None,
        };
        let message =
            format!("the {what} of {} are edited directly: KubeDB scales by an OpsRequest", database.target());
        Some(Finding::warn(RULE.id, &wish.path, message).remedy(format!("use: {}", command(case, wish))))
    };
    case.change.wishes.iter().filter_map(finding).collect()
}

/// The command that does the same.
fn command(case: &Case, wish: &Wish) -> String {
    let (engine, change) = (case.change.engine, case.change);
    let (verb, values) = match &wish.what {
        What::Replicas(n) => ("horizontal", format!(" --replicas {n}")),
        What::Shards(n) => ("horizontal", format!(" --shards {n}")),
        What::Storage(size) => ("storage", format!(" --to {}", size.text)),
        What::Resources(set) => {
            let flag = |name: &str| set.size(name).map(|amount| format!(" --{name} {amount}")).unwrap_or_default();
            ("vertical", format!("{}{}", flag("cpu"), flag("memory")))
        }
    };
    let mut text = format!("kubectl dbscale {verb} {}/{}", engine.name, change.database);
    if !change.namespace.is_empty() {
        let _ = write!(text, " -n {}", change.namespace);
    }
    let main = case.database().and_then(|d| d.topology?.main.as_deref());
    if main != Some(wish.component) {
        let _ = write!(text, " --component {}", wish.component_name(engine));
    }
    text + &values
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::catalog::Catalog;
    use crate::change::Change;
    use crate::database::Database;
    use crate::facts::Facts;

    #[rstest]
    #[case::members("/spec/replicas", json!(5), Some("kubectl dbscale horizontal mongodb/db -n demo --replicas 5"))]
    #[case::memory("/spec/podTemplate/spec/containers/0/resources/limits/memory", json!("4Gi"), Some("kubectl dbscale vertical mongodb/db -n demo --memory 4Gi"))]
    #[case::hidden("/spec/hidden/replicas", json!(2), Some("kubectl dbscale horizontal mongodb/db -n demo --component hidden --replicas 2"))]
    #[case::storage("/spec/storage/resources/requests/storage", json!("20Gi"), None)]
    #[case::something_else("/spec/version", json!("9"), None)]
    fn edits(#[case] at: &str, #[case] value: Value, #[case] command: Option<&str>) {
        let engine = Catalog::builtin().find("mongodb").unwrap();
        let old = json!({"apiVersion": "kubedb.com/v1", "metadata": {"name": "db", "namespace": "demo"}, "spec": {
            "version": "8", "replicaSet": {"name": "rs0"}, "replicas": 3, "hidden": {"replicas": 1},
            "storage": {"resources": {"requests": {"storage": "10Gi"}}},
            "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": {"limits": {"memory": "2Gi"}}}]}},
        }});
        let mut new = old.clone();
        *new.pointer_mut(at).unwrap() = value;
        let old = Database::of(engine, &old);
        let change = Change::of_update(&old, Database::of(engine, &new));
        let facts = Facts { database: old.into(), ..Facts::default() };
        let found = check(&Case { change: &change, facts: &facts });
        let commands: Vec<&str> = found.iter().filter_map(|f| f.remedy.strip_prefix("use: ")).collect();
        assert_eq!(commands, command.into_iter().collect::<Vec<_>>());
    }
}

//! `stanza/empty`: the block that `spec.type` names must ask for something.

use super::{EXIT_REFUSED, Rule};
use crate::change::Stanza;
use crate::database::asks;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a scaling request whose stanza holds no value that scales, and names the fields that exist.
pub const RULE: Rule = Rule {
    id: RuleId("stanza/empty"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "The API server drops fields that the CRD does not know, so a wish in a wrong shape arrives as an empty block. KubeDB then does nothing, and reports success.",
    source: "Kubernetes prunes unknown fields of custom resources; KubeDB admits empty blocks for ten engines",
    refused: "type: HorizontalScaling\nhorizontalScaling:\n  replicaSet:\n    replicas: 5    # no such field: dropped",
    right: "type: HorizontalScaling\nhorizontalScaling:\n  replicas: 5",
    fix: "Use one of the fields that the message names; `kubectl dbscale engines ENGINE` lists them all.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let change = case.change;
    let Some(request) = change.request() else { return Vec::new() };
    let Some(named) = request.named_stanza().filter(|s| request.stanzas.contains(s)) else { return Vec::new() };
    // That the engine has no such stanza at all is told by engine/unsupported.
    if request.filled.contains(&named) || change.engine.form().stanza(named).is_none() {
        return Vec::new();
    }
    let fields = fields(case, named);
    let message = format!("spec.{} asks for nothing that {} knows", named.field, change.engine.ops_kind());
    let remedy = if fields.is_empty() {
        format!("{} cannot do it: {} has no field there", change.engine.kind, change.engine.ops_kind())
    } else {
        format!("the fields that exist here: {}", fields.join(", "))
    };
    vec![Finding::deny(RULE.id, format!("spec.{}", named.field), message).remedy(remedy)]
}

/// The fields of a stanza: those of the database's components, or all of the engine where the database is not known.
fn fields(case: &Case, stanza: &Stanza) -> Vec<String> {
    let components = &case.change.engine.components;
    let here = |key: &str| case.database().is_none_or(|d| d.components.iter().any(|c| c.key == key));
    let mut fields: Vec<String> = components
        .iter()
        .filter(|(key, _)| here(key))
        .flat_map(|(_, component)| asks(component))
        .map(crate::catalog::Pointer::dotted)
        .filter_map(|path| path.strip_prefix(stanza.field)?.strip_prefix('.').map(str::to_owned))
        .collect();
    fields.sort();
    fields.dedup();
    fields
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{facts, findings, replica_set, request};
    use super::RULE;

    #[rstest]
    #[case::asks("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}}), None)]
    #[case::empty("HorizontalScaling", json!({"horizontalScaling": {}}), Some("replicas"))]
    #[case::null_value("HorizontalScaling", json!({"horizontalScaling": {"replicas": null}}), Some("replicas"))]
    #[case::wrong_shape("HorizontalScaling", json!({"horizontalScaling": {"replicaSet": {"replicas": 5}}}), Some("replicas"))]
    #[case::only_a_mode("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online"}}), Some("replicaSet"))]
    fn names_the_fields(#[case] ops_type: &str, #[case] spec: Value, #[case] field: Option<&str>) {
        let found = findings(&request(ops_type, spec), &facts(&replica_set()));
        let remedy = found.iter().find(|f| f.rule == RULE.id).map(|f| f.remedy.clone());
        assert_eq!(remedy.is_some(), field.is_some(), "{found:?}");
        if let (Some(remedy), Some(field)) = (remedy, field) {
            assert!(remedy.contains(field), "{remedy}");
        }
    }
}

//! `request/schema`: a request has the fields, types and words that its CRD wants.

use super::{EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses an object that is no OpsRequest of its kind: a required field is missing, a type or a word is another.
pub const RULE: Rule = Rule {
    id: RuleId("request/schema"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "The API server refuses what does not fit the CRD, but only once it is asked: a file in Git finds out when it is applied.",
    source: "the engines' OpsRequest CRDs: required, type, enum, format int32, minimum and maximum",
    refused: "volumeExpansion:\n  replicaSet: 50Gi        # and no mode",
    right: "volumeExpansion:\n  mode: Online\n  replicaSet: 50Gi",
    fix: "Write what the message names; `kubectl explain KIND.spec` shows all fields and their types.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    if case.facts.schema_checked {
        return Vec::new(); // the API server has refused what the CRD does not know; the rest is of a newer KubeDB
    }
    let Some(request) = case.change.request() else { return Vec::new() };
    request.faults.iter().map(|fault| Finding::deny(RULE.id, &fault.path, &fault.message)).collect()
}

/// The finding for a text that holds no object at all; `why` is the reader's own word.
#[must_use]
pub fn undecodable(why: &str) -> Finding {
    Finding::deny(RULE.id, "", format!("this is no Kubernetes object: {why}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{facts, findings, replica_set, request};
    use super::RULE;

    #[rstest]
    #[case::fine("/spec/apply", json!("Always"), &[])]
    #[case::another_word("/spec/apply", json!("Later"), &["spec.apply"])]
    #[case::a_number_for_a_text("/spec/timeout", json!(5), &["spec.timeout"])]
    #[case::too_large_for_32_bits("/spec/maxRetries", json!(1_i64 << 31), &["spec.maxRetries"])]
    #[case::no_type("/spec/type", Value::Null, &["spec.type"])]
    #[case::a_list_for_a_type("/spec/type", json!([]), &["spec.type"])]
    #[case::no_reference("/spec/databaseRef", Value::Null, &["spec.databaseRef"])]
    #[case::a_text_for_a_reference("/spec/databaseRef", json!("my-db"), &["spec.databaseRef"])]
    #[case::a_number_for_a_name("/spec/databaseRef/name", json!(7), &["spec.databaseRef.name"])]
    #[case::a_text_for_a_stanza("/spec/horizontalScaling", json!("5"), &["spec.horizontalScaling"])]
    #[case::a_text_for_a_number("/spec/horizontalScaling/replicas", json!("5"), &["spec.horizontalScaling.replicas"])]
    #[case::a_fraction("/spec/horizontalScaling/replicas", json!(2.5), &["spec.horizontalScaling.replicas"])]
    #[case::beyond_32_bits("/spec/horizontalScaling/replicas", json!(i64::MAX), &["spec.horizontalScaling.replicas"])]
    #[case::no_spec("/spec", Value::Null, &["spec"])]
    #[case::a_list_for_a_spec("/spec", json!([1]), &["spec"])]
    #[case::no_object("", json!([{"kind": "MongoDBOpsRequest"}]), &[""])]
    #[case::a_text("", json!("kind"), &[""])]
    fn horizontal(#[case] pointer: &str, #[case] value: Value, #[case] paths: &[&str]) {
        let mut ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}}));
        for (field, default) in [("apply", json!("IfReady")), ("timeout", json!("5m")), ("maxRetries", json!(1))] {
            ask["spec"][field] = default;
        }
        *ask.pointer_mut(pointer).unwrap() = value;
        assert_eq!(paths_of(&ask), paths);
    }

    #[rstest]
    #[case::no_mode("VolumeExpansion", json!({"volumeExpansion": {"replicaSet": "50Gi"}}), &["spec.volumeExpansion.mode"])]
    #[case::another_mode("VolumeExpansion", json!({"volumeExpansion": {"mode": "online", "replicaSet": "50Gi"}}), &["spec.volumeExpansion.mode"])]
    #[case::a_fraction("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": 1.5e10}}), &["spec.volumeExpansion.replicaSet"])]
    #[case::a_number_of_bytes("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": 50_000_000_000_u64}}), &[])]
    #[case::vertical_mode("VerticalScaling", json!({"verticalScaling": {"mode": "Hot", "replicaSet": {"resources": {"limits": {"cpu": "1"}}}}}), &["spec.verticalScaling.mode"])]
    #[case::limits_of_a_text("VerticalScaling", json!({"verticalScaling": {"replicaSet": {"resources": {"limits": "1"}}}}), &["spec.verticalScaling.replicaSet.resources.limits"])]
    #[case::an_amount_of_true("VerticalScaling", json!({"verticalScaling": {"replicaSet": {"resources": {"limits": {"cpu": true}}}}}), &["spec.verticalScaling.replicaSet.resources.limits.cpu"])]
    #[case::half_a_topology("VerticalScaling", json!({"verticalScaling": {"replicaSet": {"topology": {"key": "zone"}, "resources": {"limits": {"cpu": "1"}}}}}), &["spec.verticalScaling.replicaSet.topology"])]
    fn other_types(#[case] ops_type: &str, #[case] spec: Value, #[case] paths: &[&str]) {
        assert_eq!(paths_of(&request(ops_type, spec)), paths);
    }

    fn paths_of(ask: &Value) -> Vec<String> {
        let found = findings(ask, &facts(&replica_set()));
        found.into_iter().filter(|f| f.rule == RULE.id).map(|f| f.path).collect()
    }
}

//! `stanza/incomplete`: a block without a number that KubeDB then takes for zero.

use super::{EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a block that lacks one of its numbers, where KubeDB reads a missing number as 0.
pub const RULE: Rule = Rule {
    id: RuleId("stanza/incomplete"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "KubeDB's fields of MongoDB's shards are plain numbers: one that is left out is 0 there, and 0 is refused.",
    source: "KubeDB's validator of a MongoDBOpsRequest, and the Go types of shard, configServer and mongos",
    refused: "horizontalScaling:\n  shard:\n    shards: 3            # and no replicas",
    right: "horizontalScaling:\n  shard:\n    shards: 3\n    replicas: 3",
    fix: "Send the number that the message names along, the present one where it shall stay.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(request) = case.change.request() else { return Vec::new() };
    let finding = |path: &String| {
        let message = format!("{path} is missing: KubeDB takes it for 0");
        Finding::deny(RULE.id, path, message).remedy("send it along; the present number if it shall stay")
    };
    request.incomplete.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{request, rules_of, sharded};
    use super::RULE;

    #[rstest]
    #[case::whole(json!({"shard": {"shards": 3, "replicas": 3}}), 0)]
    #[case::no_replicas(json!({"shard": {"shards": 3}}), 1)]
    #[case::no_shards(json!({"shard": {"replicas": 3}}), 1)]
    #[case::null_is_not_there(json!({"shard": {"replicas": 3, "shards": null}}), 1)]
    #[case::empty_beside_a_whole_one(json!({"mongos": {"replicas": 3}, "configServer": {}}), 1)]
    #[case::not_mentioned(json!({"mongos": {"replicas": 3}}), 0)]
    fn a_sharded_cluster(#[case] stanza: Value, #[case] times: usize) {
        let found = rules_of(&sharded(), &request("HorizontalScaling", json!({"horizontalScaling": stanza})));
        assert_eq!(found.iter().filter(|id| **id == RULE.id.0).count(), times, "{found:?}");
    }
}

//! `policy/replicas`: the members that a ScalingPolicy allows.

use super::{EXIT_REFUSED, Rule};
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::scaling_policy::{Limits, covering};

/// Refuses a number of members outside of the bounds of the policies that cover the database, and too large a step. Shards
/// are not counted.
pub const RULE: Rule = Rule {
    id: RuleId("policy/replicas"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "An administrator has set bounds for the members of a component (of one shard, where there are shards) in a ScalingPolicy that covers this database. Of several policies the strictest bound counts. A number that is outside already may come nearer.",
    source: "the policy that the message names: kubectl get scalingpolicy NAME -o yaml",
    refused: "# ScalingPolicy gold: replicas: {max: 5}\nhorizontalScaling:\n  replicas: 7",
    right: "horizontalScaling:\n  replicas: 5",
    fix: "Ask for a number within the bounds, in several steps where one is too large, or have the policy changed.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    // With many items each wish is looked up in as many: not where nobody asks.
    if case.facts.policies.is_empty() {
        return Vec::new();
    }
    let policies = covering(case).map(|fact| &*fact.policy);
    let limits = Limits::of(RULE.id, "replicas", policies, |spec| spec.replicas);
    let judge = |wish: &crate::change::Wish| {
        let What::Replicas(n) = wish.what else { return Vec::new() };
        let asked = (case.present_number(wish), n);
        limits.broken(&wish.path, asked, asked, &format!("members of {}", wish.component_name(case.change.engine)))
    };
    case.change.wishes.iter().flat_map(judge).collect()
}

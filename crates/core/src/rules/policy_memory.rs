//! `policy/memory`: the memory that a ScalingPolicy allows.

use super::{EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::scaling_policy::amounts;

/// Refuses memory of the container that runs the database outside of the bounds of the policies that cover it.
pub const RULE: Rule = Rule {
    id: RuleId("policy/memory"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "An administrator has set bounds for the memory of the container that runs the database, request and limit alike, in a ScalingPolicy that covers it; containers beside it are not judged. Of several policies the strictest bound counts. An amount that is outside already may come nearer.",
    source: "the policy that the message names: kubectl get scalingpolicy NAME -o yaml",
    refused: "# ScalingPolicy gold: memory: {max: 16Gi}\nresources:\n  limits:\n    memory: 64Gi",
    right: "resources:\n  limits:\n    memory: 16Gi",
    fix: "Ask for an amount within the bounds, or have the policy changed.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    amounts(case, RULE.id, "memory", |spec| spec.memory)
}

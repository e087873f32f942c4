//! `policy/cpu`: the CPU that a ScalingPolicy allows.

use super::{EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::scaling_policy::amounts;

/// Refuses CPU of the container that runs the database outside of the bounds of the policies that cover it.
pub const RULE: Rule = Rule {
    id: RuleId("policy/cpu"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "An administrator has set bounds for the CPU of the container that runs the database, request and limit alike, in a ScalingPolicy that covers it; containers beside it are not judged. Of several policies the strictest bound counts. An amount that is outside already may come nearer.",
    source: "the policy that the message names: kubectl get scalingpolicy NAME -o yaml",
    refused: "# ScalingPolicy gold: cpu: {max: 4}\nresources:\n  limits:\n    cpu: 16",
    right: "resources:\n  limits:\n    cpu: 4",
    fix: "Ask for an amount within the bounds, or have the policy changed.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    amounts(case, RULE.id, "cpu", |spec| spec.cpu)
}

//! `policy/unreadable`: a ScalingPolicy says something that this version of dbscale does not understand.

use super::{EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Warns of a policy that is not held, whatever else it says.
pub const RULE: Rule = Rule {
    id: RuleId("policy/unreadable"),
    severity: Severity::Warn,
    exit: EXIT_REFUSED,
    reason: "A ScalingPolicy has a field or value that this version of dbscale does not know, as after an update of its definition alone. It refuses nothing, for a part of a policy may not be what was meant; and nobody should believe that it is held.",
    source: "crates/core/src/scaling_policy: a field that is not known is an error",
    refused: "kind: ScalingPolicy\nspec:\n  replicas: {most: 5}",
    right: "kind: ScalingPolicy\nspec:\n  replicas: {max: 5}",
    fix: "Use one version of dbscale's definitions, webhook and plugin, or correct the policy.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    if case.change.wishes.is_empty() {
        return Vec::new();
    }
    let told = |policy: &crate::scaling_policy::Unreadable| {
        let message = format!("ScalingPolicy {} is not held: {}", policy.name, policy.why);
        Finding::warn(RULE.id, "", message).remedy("tell whoever administrates dbscale")
    };
    case.facts.unreadable_policies.iter().map(told).collect()
}

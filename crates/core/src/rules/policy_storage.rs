//! `policy/storage`: the size of volumes that a ScalingPolicy allows.

use super::{EXIT_REFUSED, Rule};
use crate::change::{What, Wish};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::scaling_policy::{Limits, covering};

/// Refuses volumes outside of the bounds of the policies that cover the database, and too large a step upwards.
pub const RULE: Rule = Rule {
    id: RuleId("policy/storage"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "An administrator has set bounds for the size of one volume in a ScalingPolicy that covers this database. Volumes never shrink, so a size that was a slip stays. Of several policies the strictest bound counts.",
    source: "the policy that the message names: kubectl get scalingpolicy NAME -o yaml",
    refused: "# ScalingPolicy gold: storage: {max: 500Gi}\nvolumeExpansion:\n  mode: Online\n  replicaSet: 5000Gi",
    right: "volumeExpansion:\n  mode: Online\n  replicaSet: 500Gi",
    fix: "Ask for a size within the bounds, in several steps where one is too large, or have the policy changed.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    // With many items each wish is looked up in as many: not where nobody asks.
    if case.facts.policies.is_empty() {
        return Vec::new();
    }
    let policies = covering(case).map(|fact| &*fact.policy);
    let limits = Limits::of(RULE.id, "storage", policies, |spec| spec.storage);
    let judge = |wish: &Wish| {
        let What::Storage(size) = &wish.what else { return Vec::new() };
        // What cannot be read is told by quantity/unreadable.
        let Some(size) = size.quantity() else { return Vec::new() };
        let asked = (case.present_size(wish), size);
        limits.broken(&wish.path, asked, asked, &format!("for a volume of {}", wish.component_name(case.change.engine)))
    };
    case.change.wishes.iter().flat_map(judge).collect()
}

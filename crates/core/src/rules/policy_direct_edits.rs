//! `policy/direct-edits`: a ScalingPolicy refuses edits of members and resources by hand.

use super::{DIRECT_EDIT, EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::scaling_policy::{DirectEdits, covering};

/// Refuses what `database/direct-edit` warns of, where a policy says so.
pub const RULE: Rule = Rule {
    id: RuleId("policy/direct-edits"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "An administrator has said in a ScalingPolicy that covers this database that its members, shards and resources are changed by OpsRequests alone. KubeDB changes a running database member by member only for one.",
    source: "the policy that the message names: kubectl get scalingpolicy NAME -o yaml; and `database/direct-edit`",
    refused: "kubectl patch mongodb my-db --type merge -p '{\"spec\":{\"replicas\":5}}'",
    right: "kubectl dbscale horizontal mongodb/my-db --replicas 5",
    fix: "Use the command that the message names.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let denies = |policy: &crate::scaling_policy::ScalingPolicy| policy.spec.direct_edits == Some(DirectEdits::Deny);
    let Some(fact) = covering(case).find(|fact| denies(&fact.policy)) else { return Vec::new() };
    let edits = (DIRECT_EDIT.check)(case).into_iter();
    let name = &fact.policy.name;
    let told = |edit: Finding| Finding {
        rule: RULE.id,
        severity: Severity::Deny,
        message: format!("{}, and ScalingPolicy {name} refuses direct edits (spec.directEdits)", edit.message),
        ..edit
    };
    edits.map(told).collect()
}

//! `policy/operations`: how many operations a ScalingPolicy lets run at once.

use super::{EXIT_REFUSED, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::scaling_policy::covering;

/// Refuses a request where as many that scale are active as a policy allows, among the databases that it covers.
pub const RULE: Rule = Rule {
    id: RuleId("policy/operations"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "An administrator has set in a ScalingPolicy how many of the databases that it covers may be scaled at once: each operation restarts pods and moves data, and many at once take a cluster's room and its network. Counted are the OpsRequests that scale and have not ended, those that wait among them.",
    source: "the policy that the message names: kubectl get scalingpolicy NAME -o yaml",
    refused: "# ScalingPolicy gold: operations: {perNamespace: 2}; two are Progressing in the namespace\ntype: HorizontalScaling",
    right: "# one of them is Successful\ntype: HorizontalScaling",
    fix: "Wait until one has ended (kubectl dbscale status shows them), or have the policy changed.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let asks = case.change.request().is_some_and(|r| r.phase.is_active() && r.named_stanza().is_some());
    if !asks {
        return Vec::new();
    }
    let namespace = &case.change.namespace;
    let mut findings = Vec::new();
    for fact in covering(case) {
        let (Some(limits), Some(running)) = (fact.policy.spec.operations, fact.running) else { continue };
        let here = format!("namespace {namespace}");
        for (limit, running, place, field, flag) in [
            (limits.per_namespace, running.namespace, here.as_str(), "perNamespace", format!(" -n {namespace}")),
            (limits.per_cluster, running.cluster, "the cluster", "perCluster", " -A".to_owned()),
        ] {
            let Some(limit) = limit.filter(|limit| running >= *limit) else { continue };
            let message = format!(
                "{running} operations are active in {place}: ScalingPolicy {} allows {limit} at once (spec.operations.{field})",
                fact.policy.name
            );
            let remedy = format!("wait until one has ended: kubectl dbscale status{flag}");
            findings.push(Finding::deny(RULE.id, "spec.type", message).remedy(remedy));
        }
    }
    findings
}

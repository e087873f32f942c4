//! `resources/unknown-name`: a container's resources are called cpu, memory and so on.

use super::{EXIT_REFUSED, Rule};
use crate::amount::Side;
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a resource that no container can have: a misspelt name, or `storage`, which belongs to volumes.
pub const RULE: Rule = Rule {
    id: RuleId("resources/unknown-name"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "A pod with a resource that no container can have is refused by the API server, when the old pod is gone already. The CRD takes any name.",
    source: "Kubernetes' validation of containers: cpu, memory, ephemeral-storage, hugepages-*, or a name with a domain (nvidia.com/gpu)",
    refused: "resources:\n  limits:\n    memroy: 4Gi",
    right: "resources:\n  limits:\n    memory: 4Gi",
    fix: "Correct the name. Volumes grow by `kubectl dbscale storage`, not by a container's resources.",
    check,
};

/// The names without a domain that a container's resources may have, beside `hugepages-<size>`.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

fn check(case: &Case) -> Vec<Finding> {
    let mut findings = Vec::new();
    for wish in &case.change.wishes {
        let What::Resources(set) = &wish.what else { continue };
        for side in Side::ALL {
            for (name, _) in set.amounts(side) {
                if known(name) {
                    continue;
                }
                let path = format!("{}.{}.{name}", wish.path, side.field());
                let message = format!("{name} is no resource of a container");
                findings.push(Finding::deny(RULE.id, path, message).remedy(remedy(name)));
            }
        }
    }
    findings
}

fn known(name: &str) -> bool {
    STANDARD.contains(&name) || name.starts_with("hugepages-") || name.contains('/')
}

/// How alike two names are from where on one is taken for a slip of the other (Jaro-Winkler).
const ALIKE: f64 = 0.85;

fn remedy(name: &str) -> String {
    if name == "storage" {
        return "volumes are sized by volumeExpansion: kubectl dbscale storage".to_owned();
    }
    let alike = |standard: &&str| strsim::jaro_winkler(standard, &name.to_ascii_lowercase()) >= ALIKE;
    match STANDARD.iter().find(|s| alike(s)) {
        Some(meant) => format!("write {meant} if that was meant"),
        None => format!("its resources are {}, hugepages-* and names with a domain", STANDARD.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{facts, findings, replica_set, request};
    use super::RULE;

    #[rstest]
    #[case::fine(json!({"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"}), &[])]
    #[case::devices(json!({"nvidia.com/gpu": 1, "hugepages-2Mi": "4Mi"}), &[])]
    #[case::misspelt(json!({"memroy": "4Gi"}), &["write memory if that was meant"])]
    #[case::in_capitals(json!({"CPU": "4"}), &["write cpu if that was meant"])]
    #[case::of_volumes(json!({"storage": "4Gi"}), &["volumes are sized by volumeExpansion: kubectl dbscale storage"])]
    #[case::nothing_like_it(json!({"disk": "4Gi"}), &["its resources are cpu, memory, ephemeral-storage, hugepages-* and names with a domain"])]
    fn a_request(#[case] limits: Value, #[case] remedies: &[&str]) {
        let spec = json!({"verticalScaling": {"replicaSet": {"resources": {"limits": limits}}}});
        let found = findings(&request("VerticalScaling", spec), &facts(&replica_set()));
        let told: Vec<&str> = found.iter().filter(|f| f.rule == RULE.id).map(|f| f.remedy.as_str()).collect();
        assert_eq!(told, remedies);
    }
}

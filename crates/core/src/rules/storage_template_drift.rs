//! `storage/template-drift`: new members would start with smaller volumes than the present ones have.

use super::{EXIT_REFUSED, Rule};
use crate::change::What;
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Warns of a horizontal step over a claim template that is smaller than what the object asks for.
pub const RULE: Rule = Rule {
    id: RuleId("storage/template-drift"),
    severity: Severity::Warn,
    exit: EXIT_REFUSED,
    reason: "A workload's claim template cannot be changed: after storage was grown by a direct patch, new members start with the old size until their claims are grown too.",
    source: "Kubernetes: volumeClaimTemplates are immutable, and PetSets behave alike",
    refused: "# the object asks for 50Gi, the PetSet's template has 20Gi\nhorizontalScaling:\n  replicas: 5",
    right: "# the object and the template have 50Gi\nhorizontalScaling:\n  replicas: 5",
    fix: "Let the dbscale controller grow the new claims, or run `kubectl dbscale storage` again with the present size once the new members are there.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(database) = case.database() else { return Vec::new() };
    case.change
        .wishes
        .iter()
        .filter_map(|wish| {
            let view = wish.view(database)?;
            let grows = match &wish.what {
                What::Replicas(n) => *n > view.replicas()?,
                What::Shards(n) => *n > view.shards()?,
                _ => return None,
            };
            let template = *case.facts.templates.get(&view.name())?;
            let asked = view.storage()?;
            if !grows || template >= asked {
                return None;
            }
            let message = format!(
                "new members of {} start with volumes of {template}, the present ones have {asked}",
                view.name()
            );
            let namespace = match database.namespace.as_str() {
                "" => String::new(),
                namespace => format!(" -n {namespace}"),
            };
            let component = if database.components.iter().filter(|c| !c.is_sidecar()).count() > 1 {
                format!(" --component {}", view.name())
            } else {
                String::new()
            };
            let remedy = format!(
                "a live controller grows them; without one, when they are there: kubectl dbscale storage {}{namespace}{component} --to {asked}",
                database.target()
            );
            Some(Finding::warn(RULE.id, &wish.path, message).remedy(remedy))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{facts, findings, replica_set, request};
    use super::RULE;

    #[rstest]
    #[case::smaller_template(5, Some("10Gi"), true)]
    #[case::same_template(5, Some("20Gi"), false)]
    #[case::template_not_known(5, None, false)]
    #[case::nobody_new(2, Some("10Gi"), false)]
    fn out_of_three(#[case] n: i64, #[case] template: Option<&str>, #[case] warned: bool) {
        let mut facts = facts(&replica_set());
        facts.templates.extend(template.map(|t| ("replicaSet".to_owned(), t.parse().unwrap())));
        let ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": n}}));
        assert_eq!(findings(&ask, &facts).iter().any(|f| f.rule == RULE.id), warned);
    }
}

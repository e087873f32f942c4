//! `preflight/expansion`: volumes that still grow are not asked for another size.

use super::{Check, Situation, Taken};
use crate::change::What;
use crate::facts::ClaimFact;
use crate::finding::{Finding, RuleId, Severity};
use crate::rules::{EXIT_PRECHECK, Rule};

/// Refuses to grow volumes of which one has not yet got the size that it was asked for last.
pub(super) const CHECK: Check = Check {
    rule: Rule {
        id: RuleId("preflight/expansion"),
        severity: Severity::Deny,
        exit: EXIT_PRECHECK,
        reason: "Many a driver takes one change of a volume at a time, and some only one in hours: a second wish waits behind the first, and an operation that waits for it runs out of time.",
        source: "Kubernetes documentation, \"Expanding Persistent Volumes Claims\"; Amazon EBS lets a volume be changed once in six hours",
        refused: "# the claim asks for 50Gi, and has 20Gi so far\nvolumeExpansion:\n  replicaSet: 100Gi",
        right: "# the claim asks for 50Gi, and has them\nvolumeExpansion:\n  replicaSet: 100Gi",
        fix: "Wait until the volumes have grown: kubectl dbscale wait TARGET, or kubectl get pvc -n NAMESPACE.",
        check: |_| Vec::new(),
    },
    check,
};

fn check(situation: &Situation, _: &mut Taken) -> Vec<Finding> {
    let mut findings = Vec::new();
    for change in situation.changes {
        for wish in &change.wishes {
            let What::Storage(size) = &wish.what else { continue };
            let (Some(size), component) = (size.quantity(), wish.component_name(change.engine)) else { continue };
            let its = situation.facts.claims.iter().filter(|c| c.component == component && c.requested < size);
            let mut growing = its.filter(|c| grows(c));
            let Some(first) = growing.next() else { continue };
            let has = first.capacity.map_or_else(|| "nothing".to_owned(), |has| has.to_string());
            let more = match growing.count() {
                0 => String::new(),
                more => format!("; {more} more of {component} still grow"),
            };
            let message = format!(
                "claim {} still grows: it was asked for {}, and has {has} so far{more}",
                first.name, first.requested
            );
            let remedy = format!(
                "wait until it has grown: kubectl get pvc {} -n {} -w",
                first.name, situation.database.namespace
            );
            findings.push(situation.say(&CHECK, &wish.path, message).remedy(remedy));
        }
    }
    findings
}

/// Whether a claim has less than it asks for, and will have it. One that nobody mounts does not grow, and one that has
/// failed will not.
fn grows(claim: &ClaimFact) -> bool {
    !claim.idle && claim.failed.is_none() && claim.capacity.is_some_and(|has| has < claim.requested)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::testing::{Scene, ids};
    use super::CHECK;
    use crate::facts::ClaimFact;
    use crate::rules::testing::claim;

    #[rstest]
    #[case::it_has_what_it_asked_for("20Gi", false, None, "50Gi", false)]
    #[case::it_still_grows("10Gi", false, None, "50Gi", true)]
    #[case::nobody_mounts_it("10Gi", true, None, "50Gi", false)]
    #[case::it_has_failed("10Gi", false, Some("no space"), "50Gi", false)]
    #[case::the_size_that_it_grows_to("10Gi", false, None, "20Gi", false)]
    fn another_size(
        #[case] has: &str,
        #[case] idle: bool,
        #[case] failed: Option<&str>,
        #[case] size: &str,
        #[case] refused: bool,
    ) {
        let mut scene = Scene::new();
        scene.facts.claims = vec![ClaimFact { idle, failed: failed.map(str::to_owned), ..claim("replicaSet", has) }];
        let found = scene.storage(size);
        assert_eq!(ids(&found).contains(&CHECK.rule.id.0), refused, "{found:?}");
        assert_eq!(found.iter().any(crate::finding::Finding::refuses), refused);
    }
}

//! `storage/no-shrink`: a volume only grows.

use super::{EXIT_REFUSED, Rule};
use crate::change::{Source, What, Wish};
use crate::database::ComponentView;
use crate::facts::{Case, ClaimFact};
use crate::finding::{Finding, RuleId, Severity};
use crate::quantity::Quantity;

/// Refuses a smaller volume: Kubernetes can grow a PersistentVolumeClaim, never shrink it.
///
/// One way down is open: where an expansion failed, the object may go back to what the claims really have. That warns.
pub const RULE: Rule = Rule {
    id: RuleId("storage/no-shrink"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "Kubernetes can grow a volume, never shrink it. A database object that asks for less than its volumes have is out of step for good.",
    source: "Kubernetes documentation, \"Expanding Persistent Volumes Claims\"; KubeDB's check of a database update does not compare sizes",
    refused: "# 50Gi now\nvolumeExpansion:\n  mode: Online\n  replicaSet: 20Gi",
    right: "# 50Gi now\nvolumeExpansion:\n  mode: Online\n  replicaSet: 100Gi",
    fix: "Ask for more than the present size. To have less, restore a backup into a smaller database. After a failed expansion, `kubectl dbscale storage` may go back to what the volumes really have.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let judge = |wish: &Wish| {
        let What::Storage(size) = &wish.what else { return None };
        let view = case.sized(wish)?;
        if view.places.iter().any(|p| p.ephemeral) {
            return None; // there is no volume
        }
        let wanted = size.quantity()?;
        // KubeDB sets every claim to the size that a request names, so it must not be below what one of them asks for.
        let claims = case.claims_of(&view.name()).filter(|_| case.change.request().is_some());
        let largest = claims.max_by(|a, b| a.requested.cmp(&b.requested));
        let present = case.present_size(wish).into_iter().chain(largest.map(|c| c.requested)).max()?;
        if wanted >= present {
            return None;
        }
        let remedy = match Back::of(case, view, wanted) {
            Back::Open(reason) => {
                let message = format!(
                    "{wanted} is less than the {present} that was asked for, and what the volumes of {} have, since their expansion failed ({reason}): the object goes back, the claims are left alone",
                    view.name()
                );
                return Some(Finding::warn(RULE.id, &wish.path, message));
            }
            Back::To(largest) => format!("the expansion failed: go back to {largest}, what the volumes have"),
            Back::Growing(claim) => format!("{claim} is still growing: wait for it, and ask for more than {present}"),
            Back::Shut => format!("ask for more than {present}, or restore a backup into a smaller database"),
        };
        let of_claim = largest.filter(|c| Some(c.requested) != case.present_size(wish) && c.requested == present);
        let whose = of_claim.map(|c| format!(" that claim {} asks for", c.name)).unwrap_or_default();
        let message = format!("{wanted} is less than the present {present}{whose}: volumes only grow");
        Some(Finding::deny(RULE.id, &wish.path, message).remedy(remedy))
    };
    let lost = match &case.change.source {
        Source::Update(update) => update.lost.as_slice(),
        _ => &[],
    };
    let lost = lost.iter().map(|lost| {
        let message = format!("the size {} is taken away: volumes stay as they are", lost.size.text);
        Finding::deny(RULE.id, &lost.path, message).remedy(format!("leave {} there", lost.size.text))
    });
    case.change.wishes.iter().filter_map(judge).chain(lost).collect()
}

/// Whether a smaller size is a way back from an expansion that failed. Only an update of the object may go it.
enum Back {
    /// It is, for this reason.
    Open(String),
    /// It leads to this size, not to the one that is asked for.
    To(Quantity),
    /// This claim asks for more than it has, and nothing says that it will not get it.
    Growing(String),
    /// Nothing has failed, or the claims are not known.
    Shut,
}

impl Back {
    fn of(case: &Case, view: &ComponentView, wanted: Quantity) -> Self {
        let claims: Vec<&ClaimFact> = case.claims_of(&view.name()).collect();
        let capacities: Option<Vec<Quantity>> = claims.iter().map(|c| c.capacity).collect();
        let largest = capacities.and_then(|all| all.into_iter().max());
        let lacks = |claim: &&&ClaimFact| claim.capacity.is_some_and(|has| has < claim.requested);
        let (Some(largest), true) = (largest, case.change.is_direct()) else { return Self::Shut };
        let growing = claims.iter().filter(lacks).find(|c| c.failed.is_none() && !is_rigid(case, c));
        let failed = claims.iter().filter(lacks).find_map(|c| {
            let rigid = || is_rigid(case, c).then(|| format!("{}: its class does not expand", c.name));
            c.failed.as_ref().map(|why| format!("{}: {why}", c.name)).or_else(rigid)
        });
        // Of a class that does not expand, the claims could not even be asked to.
        let never = claims.iter().find(|c| is_rigid(case, c)).map(|c| format!("{}: its class does not expand", c.name));
        match (growing, failed.or(never)) {
            (Some(claim), _) => Self::Growing(claim.name.clone()),
            (None, Some(reason)) if wanted == largest => Self::Open(reason),
            (None, Some(_)) => Self::To(largest),
            (None, None) => Self::Shut,
        }
    }
}

/// Whether the claim's class is known not to let it grow.
fn is_rigid(case: &Case, claim: &ClaimFact) -> bool {
    claim.class.as_ref().and_then(|name| case.facts.classes.get(name)).is_some_and(|class| !class.expands)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::judge;
    use super::super::testing::{
        claim, database, facts, findings, findings_of_update, findings_of_update_with, replica_set, request, rules_of,
    };
    use super::RULE;
    use crate::change::Change;
    use crate::facts::{Case, ClaimFact, ClassFact, Facts};
    use crate::finding::Severity;

    #[rstest]
    #[case::grows("50Gi", false)]
    #[case::same_value_other_spelling("20480Mi", false)]
    #[case::decimal_giga_is_less("20G", true)]
    #[case::shrinks("10Gi", true)]
    fn requests(#[case] size: &str, #[case] refused: bool) {
        let ask = request("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": size}}));
        assert_eq!(rules_of(&replica_set(), &ask).contains(&RULE.id.0), refused);
    }

    #[test]
    fn a_size_is_not_taken_away() {
        let findings = findings_of_update(&replica_set(), "/spec/storage", json!({}), Vec::new());
        assert_eq!(findings.iter().map(|f| f.rule).collect::<Vec<_>>(), [RULE.id]);
        assert_eq!(findings[0].path, "spec.storage.resources.requests.storage");
    }

    fn claims(capacities: &[&str], failed: Option<&str>, class: &str) -> Vec<ClaimFact> {
        let of = |capacity: &&str| ClaimFact {
            failed: failed.map(str::to_owned),
            class: Some(class.to_owned()),
            ..claim("replicaSet", capacity)
        };
        capacities.iter().map(of).collect()
    }

    const FAILED: Option<&str> = Some("ControllerResizeError: no space left");

    #[rstest]
    #[case::no_claim_is_known("10Gi", &[], FAILED, "any", Some(Severity::Deny))]
    #[case::back_to_what_is_there("10Gi", &["10Gi", "10Gi"], FAILED, "any", Some(Severity::Warn))]
    #[case::one_volume_has_grown("10Gi", &["10Gi", "20Gi"], FAILED, "any", Some(Severity::Deny))]
    #[case::still_growing("10Gi", &["10Gi", "10Gi"], None, "any", Some(Severity::Deny))]
    #[case::to_a_size_that_no_volume_has("15Gi", &["10Gi", "10Gi"], FAILED, "any", Some(Severity::Deny))]
    #[case::nothing_failed("10Gi", &["20Gi", "20Gi"], None, "any", Some(Severity::Deny))]
    #[case::below_what_is_there("5Gi", &["10Gi", "10Gi"], FAILED, "any", Some(Severity::Deny))]
    #[case::a_class_that_never_could("10Gi", &["10Gi", "10Gi"], None, "rigid", Some(Severity::Warn))]
    #[case::grows("30Gi", &["20Gi", "20Gi"], None, "any", None)]
    fn updates(
        #[case] size: &str,
        #[case] capacities: &[&str],
        #[case] failed: Option<&str>,
        #[case] class: &str,
        #[case] said: Option<Severity>,
    ) {
        let facts = Facts {
            claims: claims(capacities, failed, class),
            classes: [("rigid".to_owned(), ClassFact { expands: false, default: false })].into(),
            ..facts(&replica_set())
        };
        let findings =
            findings_of_update_with(&replica_set(), "/spec/storage/resources/requests/storage", json!(size), &facts);
        let found = findings.iter().find(|f| f.rule == RULE.id).map(|f| f.severity);
        assert_eq!(found, said);
        if said == Some(Severity::Warn) {
            assert_eq!(findings.iter().filter(|f| f.refuses()).count(), 0, "{findings:?}");
        }
    }

    #[test]
    fn another_topology_hides_no_shrink() {
        let of = |kind: &str, spec: serde_json::Value| json!({"apiVersion": "kubedb.com/v1", "kind": kind, "metadata": {"name": "my-db", "namespace": "demo"}, "spec": spec});
        let storage = |size: &str| json!({"resources": {"requests": {"storage": size}}});
        let found = |old: &serde_json::Value, new: &serde_json::Value| -> Vec<&str> {
            let change = Change::of_update(&database(old), database(new));
            let facts = facts(old);
            let all = judge(&Case { change: &change, facts: &facts });
            all.iter().filter(|f| f.refuses()).map(|f| f.rule.0).collect()
        };
        let one = of("MariaDB", json!({"replicas": 1, "storage": storage("50Gi")}));
        let three = |size: &str| of("MariaDB", json!({"replicas": 3, "storage": storage(size)}));
        assert_eq!(found(&one, &three("10Gi")), [RULE.id.0]);
        let small = of("MariaDB", json!({"replicas": 1, "storage": storage("600Mi")}));
        assert!(found(&small, &three("600Mi")).is_empty(), "what does not change is not judged again");
        let standalone = of("MongoDB", json!({"storage": storage("500Gi")}));
        let set = of("MongoDB", json!({"replicaSet": {"name": "rs0"}, "replicas": 3, "storage": storage("5Gi")}));
        assert_eq!(found(&standalone, &set), [RULE.id.0]);
    }

    #[test]
    fn a_request_is_not_below_what_a_claim_was_grown_to_by_hand() {
        let mut facts = facts(&replica_set());
        facts.claims.push(ClaimFact { requested: "100Gi".parse().unwrap(), ..claim("replicaSet", "100Gi") });
        let ask =
            |size: &str| request("VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": size}}));
        let said = |size: &str| findings(&ask(size), &facts).into_iter().find(|f| f.rule == RULE.id);
        let message = said("50Gi").unwrap().message;
        assert_eq!(
            message,
            "50Gi is less than the present 100Gi that claim datadir-my-db-100Gi asks for: volumes only grow"
        );
        assert!(said("200Gi").is_none());
    }

    #[test]
    fn a_rack_is_compared_with_itself() {
        let rack = |name: &str, size: &str| json!({"name": name, "replicas": 2, "storage": {"resources": {"requests": {"storage": size}}}});
        let object = json!({"apiVersion": "kubedb.com/v1alpha2", "kind": "Cassandra", "metadata": {"name": "my-db", "namespace": "demo"},
            "spec": {"topology": {"rack": [rack("r0", "50Gi"), rack("r1", "20Gi")]}}});
        let at = |size| {
            let pointer = "/spec/topology/rack/1/storage/resources/requests/storage";
            let found = findings_of_update(&object, pointer, json!(size), Vec::new());
            found.iter().any(|f| f.rule == RULE.id)
        };
        assert!(!at("30Gi"));
        assert!(at("10Gi"));
    }
}

//! Storage classes, and what the caller may do.

use std::collections::BTreeMap;

use dbscale_cluster::Cluster;
use dbscale_core::catalog::{DATABASE_GROUP, Engine, OPS_GROUP, SetKind};
use dbscale_core::facts::ClassFact;
use dbscale_core::record;
use futures::future::join_all;

use super::{Check, Verdict};
use crate::status::survey::Survey;

/// What dbscale asks for: the verb, the group, the resource, and what does not work without it.
type Right = (&'static str, String, String, &'static str);

/// All checks, in the order in which they are told.
pub(super) async fn checks(
    cluster: &Cluster,
    engines: &[&'static Engine],
    survey: &Survey,
    namespace: Option<&str>,
) -> Vec<Check> {
    let (mut checks, rights) = futures::join!(storage(cluster, survey), rights(cluster, engines, survey, namespace));
    checks.push(rights);
    checks
}

/// The classes of the databases' volumes that cannot grow.
async fn storage(cluster: &Cluster, survey: &Survey) -> Vec<Check> {
    let classes = match cluster.storage_classes().await {
        Ok(classes) => classes.iter().filter_map(ClassFact::of).collect::<BTreeMap<_, _>>(),
        Err(failure) => return vec![Check::new("Storage", Verdict::Unknown, failure.message)],
    };
    let mut rigid: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for seen in &survey.seen {
        for class in seen.claims.iter().filter_map(|claim| claim.class.as_deref()) {
            if classes.get(class).is_some_and(|class| !class.expands) {
                let databases = rigid.entry(class).or_default();
                let target = seen.database.target();
                if databases.last() != Some(&target) {
                    databases.push(target);
                }
            }
        }
    }
    grown(&rigid, survey)
}

/// The checks of storage, by class that cannot grow.
fn grown(rigid: &BTreeMap<&str, Vec<String>>, survey: &Survey) -> Vec<Check> {
    let area = "Storage";
    let mut checks: Vec<Check> = rigid
        .iter()
        .map(|(class, databases)| {
            let more = databases.len().checked_sub(1).filter(|more| *more > 0).map(|more| format!(" and {more} more"));
            let message = format!(
                "class {class} cannot grow: the volumes of {}{} stay as they are",
                databases[0],
                more.unwrap_or_default()
            );
            let next = format!(
                "let it grow, where its driver can: kubectl patch storageclass {class} -p '{{\"allowVolumeExpansion\":true}}'"
            );
            Check::new(area, Verdict::Warning, message).next(next)
        })
        .collect();
    if survey.claims_unread || (survey.seen.is_empty() && !survey.failures.is_empty()) {
        checks.push(Check::new(
            area,
            Verdict::Unknown,
            "not all volumes could be read, so their classes are not known",
        ));
    } else if checks.is_empty() {
        checks.push(Check::new(area, Verdict::Ok, "every volume is of a class that can grow"));
    }
    checks
}

/// What the caller may not do in the namespace.
async fn rights(cluster: &Cluster, engines: &[&'static Engine], survey: &Survey, namespace: Option<&str>) -> Check {
    let area = "Rights";
    let place = namespace.unwrap_or(&cluster.default_namespace);
    // One engine stands for all: that of a database that is there.
    let Some(engine) = survey.seen.first().map(|seen| seen.database.engine).or(engines.first().copied()) else {
        return Check::new(area, Verdict::Unknown, "without KubeDB there is nothing to ask for");
    };
    let sets = match survey.seen.first().map(|seen| seen.database.set_kind()) {
        Some(SetKind::StatefulSet) => ("apps", "statefulsets"),
        Some(SetKind::PetSet) | None => ("apps.k8s.appscode.com", "petsets"),
    };
    let (group, ops) = (DATABASE_GROUP.to_owned(), OPS_GROUP.to_owned());
    let core = String::new;
    let wanted: Vec<Right> = vec![
        ("list", group.clone(), engine.plural.clone(), "no command finds a database"),
        ("list", ops.clone(), engine.ops_plural(), "no command sees what is under way"),
        ("create", ops.clone(), engine.ops_plural(), "nothing can be scaled"),
        ("delete", ops, engine.ops_plural(), "cancel and cleanup do not work"),
        ("patch", group, engine.plural.clone(), "storage grows with --via ops-request only"),
        ("list", core(), "persistentvolumeclaims".to_owned(), "storage is not grown, and real sizes are not told"),
        ("patch", core(), "persistentvolumeclaims".to_owned(), "storage grows with a live controller only"),
        ("list", core(), "pods".to_owned(), "progress is not counted"),
        ("list", sets.0.to_owned(), sets.1.to_owned(), "claims are not found"),
        ("get", record::GROUP.to_owned(), record::PLURAL.to_owned(), "history is told by what is still there"),
    ];
    let asked =
        join_all(wanted.iter().map(|(verb, group, resource, _)| cluster.may(verb, group, resource, place))).await;
    let mut lacking = Vec::new();
    for ((verb, _, resource, without), may) in wanted.iter().zip(asked) {
        match may {
            Ok(true) => {}
            Ok(false) => lacking.push(format!("you may not {verb} {resource}: {without}")),
            Err(failure) => return Check::new(area, Verdict::Unknown, failure.message),
        }
    }
    if lacking.is_empty() {
        return Check::new(area, Verdict::Ok, format!("you may do in namespace {place} all that the commands do"));
    }
    let message = format!("in namespace {place} {}", lacking.join("\n"));
    Check::new(area, Verdict::Warning, message).next("ask for these rights; see yours: kubectl auth can-i --list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rigid_class_is_told_and_unread_claims_are_not_called_well() {
        let rigid = BTreeMap::from([("a", vec!["mg/x".to_owned()]), ("b", vec!["mg/y".to_owned()])]);
        let verdicts = |rigid: &BTreeMap<_, _>, claims_unread| {
            let survey = Survey { claims_unread, ..Survey::default() };
            grown(rigid, &survey).into_iter().map(|check| check.verdict).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&rigid, false), [Verdict::Warning, Verdict::Warning]);
        assert_eq!(verdicts(&BTreeMap::new(), true), [Verdict::Unknown]);
        assert_eq!(verdicts(&BTreeMap::new(), false), [Verdict::Ok]);
    }
}

//! The checks of the surroundings: what is read for them, and what they say of a plan.

use std::sync::Arc;

use dbscale_cluster::Cluster;
use dbscale_core::change::Change;
use dbscale_core::finding::Finding;
use dbscale_core::plan::{Plan, Stamp, Step, plan};
use dbscale_core::preflight::{self, Around, Mode, NODE_FIT, Needs};

use super::{Job, Subject, policies};

/// Reads what is around all of the subjects, once for all of them, and no more than their changes need. What could not be
/// read is among their warnings.
pub async fn read(cluster: &Cluster, job: &Job, subjects: &mut [Subject]) {
    if job.preflight.mode == Mode::Off {
        return;
    }
    let needs = subjects.iter().filter_map(|subject| needs_of(subject, job)).reduce(Needs::and).unwrap_or_default();
    if needs == Needs::default() {
        return;
    }
    let mut namespaces: Vec<&str> = subjects.iter().map(|subject| subject.namespace.as_str()).collect();
    namespaces.dedup();
    let one = namespaces.first().copied().filter(|one| namespaces.iter().all(|other| other == one));
    let (mut around, lacking) = cluster.around(one, needs).await;
    // Looked up only where it changes what is said.
    if subjects
        .iter()
        .any(|subject| draft(subject, job).is_some_and(|plan| has_misfit(&said(subject, job, &plan, &around))))
    {
        around.autoscaler = cluster.autoscaler().await;
    }
    let around = Arc::new(around);
    for subject in subjects {
        subject.around = Some(Arc::clone(&around));
        subject.warnings.extend(lacking.clone());
    }
}

/// What is around one database, for a look at it as it is; and what could not be read.
pub async fn of_one(cluster: &Cluster, subject: &Subject) -> (Vec<Finding>, Option<String>) {
    let (mut around, lacking) = cluster.around(Some(&subject.namespace), Needs::restart()).await;
    let standing = |around: &Around| preflight::standing(&subject.facts, &subject.object, around);
    let mut findings = standing(&around);
    if has_misfit(&findings) {
        around.autoscaler = cluster.autoscaler().await;
        findings = standing(&around);
    }
    (findings, lacking)
}

/// The plan with what the checks say of it, and all that is said weighed as the person chose.
pub(super) fn checked(subject: &Subject, job: &Job, mut plan: Plan) -> Plan {
    let mut findings = job.preflight.weighed(std::mem::take(&mut plan.findings));
    findings.extend(subject.around.as_ref().map(|around| said(subject, job, &plan, around)).unwrap_or_default());
    Plan { findings, ..plan }
}

fn said(subject: &Subject, job: &Job, plan: &Plan, around: &Around) -> Vec<Finding> {
    let changes: Vec<&Change> = plan.steps.iter().map(Step::change).collect();
    preflight::judge(&subject.facts, &subject.object, &changes, around, &job.preflight)
}

fn has_misfit(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.rule == NODE_FIT)
}

fn needs_of(subject: &Subject, job: &Job) -> Option<Needs> {
    let plan = draft(subject, job)?;
    let changes: Vec<&Change> = plan.steps.iter().map(Step::change).collect();
    Some(Needs::of(subject.database()?, &changes))
}

/// The plan before anybody knows who asks: what it does is the same.
fn draft(subject: &Subject, job: &Job) -> Option<Plan> {
    let stamp = Stamp { unix_seconds: 0, request_id: String::new(), requested_by: None, name: None };
    let intent = policies::sized(&subject.facts, subject.database()?, &job.intent).ok()?;
    plan(&subject.facts, &intent, &stamp).ok()
}

//! The checks of the surroundings: what is read for them, and what they say of plans.

use dbscale_cluster::Cluster;
use dbscale_cluster::around::Lacking;
use dbscale_core::change::Change;
use dbscale_core::effect;
use dbscale_core::finding::Finding;
use dbscale_core::plan::{Plan, Stamp, Step, plan};
use dbscale_core::preflight::stay::{Changed, all_stay};
use dbscale_core::preflight::{self, Around, Choice, Mode, NODE_FIT, Needs, Reach, Taken};

use super::{Job, Subject, policies};

/// Looks at what is around all of the subjects, once for all of them and no more than their changes need, and notes what the
/// checks say of each: one after the other, so that they are judged by what they need together. What could not be read is
/// among their warnings.
pub async fn read(cluster: &Cluster, job: &Job, subjects: &mut [Subject]) {
    if job.preflight.mode == Mode::Off {
        return;
    }
    let drafts: Vec<Option<Plan>> = subjects.iter().map(|subject| draft(subject, job)).collect();
    let drafts: Vec<Option<&Plan>> = drafts.iter().map(Option::as_ref).collect();
    check(cluster, &job.preflight, subjects, &drafts).await;
}

/// The plan for one subject that is made already, with what the checks say of it.
pub async fn checked_now(cluster: &Cluster, job: &Job, subject: &mut Subject, plan: Plan) -> Plan {
    if job.preflight.mode != Mode::Off {
        check(cluster, &job.preflight, std::slice::from_mut(subject), &[Some(&plan)]).await;
    }
    checked(subject, job, plan)
}

async fn check(cluster: &Cluster, choice: &Choice, subjects: &mut [Subject], drafts: &[Option<&Plan>]) {
    let needs = subjects.iter().zip(drafts).filter_map(|(subject, plan)| needs_of(subject, (*plan)?));
    let needs = needs.reduce(Needs::and).unwrap_or_default();
    if needs == Needs::default() {
        return;
    }
    let mut namespaces: Vec<&str> = subjects.iter().map(|subject| subject.namespace.as_str()).collect();
    namespaces.dedup();
    let one = namespaces.first().copied().filter(|one| namespaces.iter().all(|other| other == one));
    let changed: Vec<Changed> =
        subjects.iter().zip(drafts).filter_map(|(subject, plan)| changed(subject, (*plan)?)).collect();
    let (mut around, mut lacking) = look(cluster, one, &changed, needs).await;
    let mut found = said(subjects, drafts, choice, &around);
    // Looked up only where it changes what is said.
    if found.iter().any(|findings| has_misfit(findings)) {
        around.autoscaler = cluster.autoscaler(&mut lacking).await;
        found = said(subjects, drafts, choice, &around);
    }
    let lacking = lacking.sentence();
    for (subject, found) in subjects.iter_mut().zip(found) {
        subject.found = found;
        subject.warnings.extend(lacking.clone());
    }
}

/// What is around one database, for a look at it as it is; and what could not be read.
pub async fn of_one(cluster: &Cluster, subject: &Subject) -> (Vec<Finding>, Option<String>) {
    let restarts: Vec<Changed> = subject
        .database()
        .map(|database| Changed { database, object: &subject.object, changes: None })
        .into_iter()
        .collect();
    let (mut around, mut lacking) = look(cluster, Some(&subject.namespace), &restarts, Needs::restart()).await;
    let standing = |around: &Around| preflight::standing(&subject.facts, &subject.object, around);
    let mut findings = standing(&around);
    if has_misfit(&findings) {
        around.autoscaler = cluster.autoscaler(&mut lacking).await;
        findings = standing(&around);
    }
    (findings, lacking.sentence())
}

/// Reads what is around databases that change: all of the cluster only where their own nodes are not surely enough.
async fn look(cluster: &Cluster, namespace: Option<&str>, changed: &[Changed<'_>], needs: Needs) -> (Around, Lacking) {
    let mut instances: Vec<String> =
        changed.iter().flat_map(|one| effect::instances(one.database, one.object)).collect();
    instances.sort();
    instances.dedup();
    let (mut around, mut lacking) = cluster.around(namespace, &instances, needs).await;
    if around.reach == Reach::OwnNodes && !all_stay(changed, &around) {
        cluster.widen(&mut around, &mut lacking).await;
    }
    (around, lacking)
}

/// The plan with what the checks say of it, and all that is said weighed as the person chose.
pub(super) fn checked(subject: &Subject, job: &Job, mut plan: Plan) -> Plan {
    let mut findings = job.preflight.weighed(std::mem::take(&mut plan.findings));
    findings.extend(subject.found.iter().cloned());
    Plan { findings, ..plan }
}

/// What the checks say of each plan. One that is refused takes nothing from those after it.
fn said(subjects: &[Subject], drafts: &[Option<&Plan>], choice: &Choice, around: &Around) -> Vec<Vec<Finding>> {
    let mut taken = Taken::default();
    let mut of = |(subject, plan): (&Subject, Option<&Plan>)| {
        let Some(plan) = plan else { return Vec::new() };
        let refused = choice.weighed(plan.findings.clone()).iter().any(Finding::refuses);
        taken.judge(&subject.facts, &subject.object, &changes(plan), around, choice, refused)
    };
    subjects.iter().zip(drafts.iter().copied()).map(&mut of).collect()
}

fn changed<'a>(subject: &'a Subject, plan: &'a Plan) -> Option<Changed<'a>> {
    Some(Changed { database: subject.database()?, object: &subject.object, changes: Some(changes(plan)) })
}

fn changes(plan: &Plan) -> Vec<&Change> {
    plan.steps.iter().map(Step::change).collect()
}

fn has_misfit(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.rule == NODE_FIT)
}

fn needs_of(subject: &Subject, plan: &Plan) -> Option<Needs> {
    Some(Needs::of(subject.database()?, &changes(plan)))
}

/// The plan before anybody knows who asks: what it does is the same.
fn draft(subject: &Subject, job: &Job) -> Option<Plan> {
    let stamp = Stamp { unix_seconds: 0, request_id: String::new(), requested_by: None, name: None };
    let intent = policies::sized(&subject.facts, subject.database()?, &job.intent).ok()?;
    plan(&subject.facts, &intent, &stamp).ok()
}

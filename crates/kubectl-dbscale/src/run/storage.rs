//! Grows storage without KubeDB: a guarded patch of the database object, then of its claims.

use dbscale_cluster::lease;
use dbscale_cluster::read::databases_path;
use dbscale_cluster::{Call, Cluster, Kind};
use dbscale_core::amount::Written;
use dbscale_core::database::Database;
use dbscale_core::facts::{Case, Facts};
use dbscale_core::managed;
use dbscale_core::plan::{PatchStep, Stamp};
use dbscale_core::quantity::Quantity;
use dbscale_core::record::STORAGE_PATCH;
use dbscale_core::rules::{self, EXIT_PRECHECK};
use serde_json::Value;

use super::{Job, Subject, execute, failure, present};
use crate::cli::DryRun;
use crate::outcome::{Failure, Operation, Outcome};

/// How long what was read may be believed before a patch that no active operation may stand beside.
const FRESH: std::time::Duration = std::time::Duration::from_secs(5);

/// Patches the database and grows its claims. What was done is among the outcome's operations, also where a claim then fails.
pub(super) async fn patch(
    cluster: &Cluster,
    job: &Job,
    subject: &Subject,
    step: &PatchStep,
    stamp: &Stamp,
    component: &str,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let size = step.size.to_string();
    let mut operation = Operation {
        ops_type: STORAGE_PATCH.to_owned(),
        component: component.to_owned(),
        storage: Some(size.clone()),
        claims: Some(step.claims.clone()),
        follow: step.claims.iter().filter(|claim| !step.idle.contains(claim)).cloned().collect(),
        engine: subject.engine.name.clone(),
        namespace: subject.namespace.clone(),
        name: subject.name.clone(),
        resource: format!("{}.kubedb.com/{}", subject.engine.kind.to_lowercase(), subject.name),
        dry_run: execute::dry_run(job),
        ..Operation::default()
    };
    if job.dry_run == DryRun::Client {
        operation.message = format!("{} would ask for {size} (nothing was sent)", outcome.target());
        outcome.operations.push(operation);
        return Ok(());
    }
    let live = !step.reverts && controller_is_live(cluster, &subject.namespace, outcome).await;
    if !step.reverts && !live {
        rights(cluster, subject, step).await?;
    }
    still_idle(cluster, job, subject, step).await?;
    let version = subject.database().map(|d| d.version.clone()).unwrap_or_default();
    let path = format!("{}/{}", databases_path(subject.engine, &version, Some(&subject.namespace)), subject.name);
    if let Err(refused) = cluster.patch_guarded(&path, &step.patch, &stamp.request_id, &job.write()).await {
        if refused.kind == Kind::Conflict {
            return Err(changed(cluster, subject, step, &path).await);
        }
        return Err(failure::of_api(&refused, subject.engine));
    }
    operation.message = match job.dry_run {
        DryRun::Server => format!("{} would ask for {size} (the server tried it)", outcome.target()),
        _ if step.reverts => format!("{} asks for {size} again; its claims were left alone", outcome.target()),
        _ if live => format!("{} asks for {size}; the dbscale controller grows its claims", outcome.target()),
        _ => format!("{} asks for {size}; {} claims grow", outcome.target(), step.claims.len()),
    };
    let left = if live { &[] } else { step.claims.as_slice() };
    let grown = grow(cluster, job, subject, left, step.size).await;
    let (done, failed) = match grown {
        Ok(()) => (left.len(), None),
        Err((done, failure)) => (done, Some(failure)),
    };
    operation.claims = Some(left[..done].to_vec());
    if let Some(mut failure) = failed {
        operation.message = format!("{} asks for {size}; {done} of {} claims grow", outcome.target(), left.len());
        outcome.operations.push(operation);
        failure.message = format!("{}\nnot grown: {}", failure.message, left[done..].join(", "));
        let component = if component.is_empty() { String::new() } else { format!(" --component {component}") };
        failure.remedy = format!(
            "ask again once that is mended: kubectl dbscale storage {} -n {}{component} --to {size}",
            outcome.target(),
            subject.namespace
        );
        return Err(failure);
    }
    outcome.operations.push(operation);
    Ok(())
}

/// Grows claims one after the other; where one fails, how many were grown before it.
async fn grow(
    cluster: &Cluster,
    job: &Job,
    subject: &Subject,
    claims: &[String],
    size: Quantity,
) -> Result<(), (usize, Failure)> {
    for (done, claim) in claims.iter().enumerate() {
        if let Err(refused) = cluster.grow_claim(&subject.namespace, claim, size, &job.write()).await {
            let mut failure = failure::of_api(&refused, subject.engine);
            failure.message = format!("claim {claim} could not be grown: {}", failure.message);
            return Err((done, failure));
        }
    }
    Ok(())
}

/// Grows the claims of members that came after the patch of the same command: a workload's claim template keeps the old size.
pub(super) async fn grow_late(
    cluster: &Cluster,
    job: &Job,
    subject: &mut Subject,
    component: &str,
    size: Quantity,
) -> Result<Vec<String>, Failure> {
    present::surroundings(cluster, true, 1, std::slice::from_mut(subject)).await;
    let smaller = subject.facts.claims.iter().filter(|c| c.component == component && c.requested < size);
    let claims: Vec<String> = smaller.map(|c| c.name.clone()).collect();
    match grow(cluster, job, subject, &claims, size).await {
        Ok(()) => Ok(claims),
        Err((_, failure)) => Err(failure),
    }
}

/// Refuses, before anything is written, where the claims could not be grown afterwards and nobody else would.
async fn rights(cluster: &Cluster, subject: &Subject, step: &PatchStep) -> Result<(), Failure> {
    let namespace = &subject.namespace;
    let refuse = |why: String| Failure {
        exit_code: EXIT_PRECHECK,
        message: format!("{why}, and no dbscale controller is live to grow them for you; nothing was changed"),
        remedy: "ask for that right, install the controller, or let KubeDB do it: --via ops-request".to_owned(),
        ..Failure::default()
    };
    if !subject.claims_known {
        return Err(refuse(format!(
            "the claims in namespace {namespace} cannot be found: you may not list persistentvolumeclaims, or not the workloads that they belong to"
        )));
    }
    if step.claims.is_empty() {
        return Ok(());
    }
    for verb in ["get", "patch"] {
        let may = cluster.may(verb, "", "persistentvolumeclaims", namespace).await;
        let lacks = match may {
            Ok(true) => continue,
            Ok(false) => format!("you may not {verb} persistentvolumeclaims in namespace {namespace}"),
            Err(failure) => format!(
                "whether you may {verb} persistentvolumeclaims in namespace {namespace} could not be found out ({failure})"
            ),
        };
        return Err(refuse(format!("{lacks} ({})", step.claims.join(", "))));
    }
    Ok(())
}

/// Looks at the operations again where the first look is a while ago: no patch is made beside an active one.
async fn still_idle(cluster: &Cluster, job: &Job, subject: &Subject, step: &PatchStep) -> Result<(), Failure> {
    if subject.read_at.elapsed() < FRESH {
        return Ok(());
    }
    let operations = present::operations_of(cluster, subject).await?;
    let facts = Facts { operations, ..subject.facts.clone() };
    let findings = job.preflight.weighed(rules::judge(&Case { change: &step.change, facts: &facts }));
    if findings.iter().any(dbscale_core::finding::Finding::refuses) {
        return Err(failure::of_findings(findings));
    }
    Ok(())
}

/// Somebody changed the object in between: who, and to what.
async fn changed(cluster: &Cluster, subject: &Subject, step: &PatchStep, path: &str) -> Failure {
    // Read whole, with the record of who wrote what. Where that fails too, the answer says less.
    let now = cluster.call(&Call::get(path)).await.unwrap_or_default();
    let database = Database::of(subject.engine, &now);
    let wish = step.change.wishes.first();
    let place = |d: &Database| wish.and_then(|w| w.view(d)?.places.first().cloned());
    let present = place(&database);
    let size = present.as_ref().and_then(|p| p.storage.as_ref());
    let same = size.is_some() && size == subject.database().and_then(place).and_then(|p| p.storage).as_ref();
    let what = match size {
        Some(size) if !same => format!("it asks for {} now", size.text),
        Some(_) => "its size is the same".to_owned(),
        None => "it asks for another size".to_owned(),
    };
    let at = present.map(|p| p.storage_pointer).filter(|_| !same).unwrap_or_else(|| "/metadata/annotations".into());
    let writer = managed::last_writer(&now, &at);
    let who = writer.map_or_else(|| "somebody else".to_owned(), |w| format!("{} ({})", w.manager, w.time));
    Failure {
        exit_code: failure::EXIT_ERROR,
        message: format!(
            "{}/{} was changed by {who} since it was read: {what}; nothing was changed here",
            subject.engine.name, subject.name
        ),
        remedy: "look at it, and ask again".to_owned(),
        ..Failure::default()
    }
}

/// Whether a controller of the cluster or the namespace renewed its Lease within the Lease's duration. One that may not be
/// read is told, and counts as none.
async fn controller_is_live(cluster: &Cluster, namespace: &str, outcome: &mut Outcome) -> bool {
    let lease = match lease::of_controller(cluster, namespace).await {
        Ok(lease) => lease,
        Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::NotInstalled) => return false,
        Err(failure) => {
            outcome.warnings.push(format!(
                "lease {}/{} could not be read, so no controller is taken to be live: {failure}",
                lease::CONTROLLER.0,
                lease::CONTROLLER.1
            ));
            return false;
        }
    };
    lease::is_live(&lease, jiff::Timestamp::now())
}

/// Whether a claim has grown to a size.
pub(super) fn has_grown(claim: &Value, size: &Written) -> bool {
    let capacity = claim.pointer("/status/capacity/storage").and_then(Written::of).and_then(|w| w.quantity());
    capacity >= size.quantity()
}

//! Grows storage without KubeDB: a guarded patch of the database object, then of its claims.

use dbscale_cluster::read::databases_path;
use dbscale_cluster::{Cluster, Kind};
use dbscale_core::amount::Written;
use dbscale_core::plan::{PatchStep, Stamp};
use dbscale_core::rules::EXIT_PRECHECK;
use serde_json::Value;

use super::{Job, Subject, execute, failure};
use crate::cli::DryRun;
use crate::outcome::{Failure, Operation, Outcome};

/// Where the controller keeps its Lease.
const LEASE: (&str, &str) = ("dbscale-system", "dbscale-controller");

pub(super) async fn patch(
    cluster: &Cluster,
    job: &Job,
    subject: &Subject,
    step: &PatchStep,
    stamp: &Stamp,
    component: &str,
    outcome: &mut Outcome,
) -> Result<Operation, Failure> {
    let size = step.size.to_string();
    let mut operation = Operation {
        ops_type: "StoragePatch".to_owned(),
        component: component.to_owned(),
        storage: Some(size.clone()),
        claims: Some(step.claims.clone()),
        engine: subject.engine.name.clone(),
        namespace: subject.namespace.clone(),
        name: subject.name.clone(),
        resource: format!("{}.kubedb.com/{}", subject.engine.kind.to_lowercase(), subject.name),
        dry_run: execute::dry_run(job),
        ..Operation::default()
    };
    if job.dry_run == DryRun::Client {
        operation.message = format!("{} would ask for {size} (nothing was sent)", outcome.target());
        return Ok(operation);
    }
    let live = if step.claims.is_empty() { Ok(false) } else { controller_is_live(cluster).await };
    let live = live.unwrap_or_else(|unreadable| {
        tracing::debug!(%unreadable, "the controller's lease");
        false
    });
    if !step.claims.is_empty() && !live {
        let may = cluster.may("patch", "", "persistentvolumeclaims", &subject.namespace).await;
        if let Ok(false) = may {
            return Err(Failure {
                exit_code: EXIT_PRECHECK,
                message: format!(
                    "you may not patch persistentvolumeclaims in namespace {}, and no dbscale controller is live to grow {} for you; nothing was changed",
                    subject.namespace,
                    step.claims.join(", ")
                ),
                remedy: "ask for that right, install the controller, or let KubeDB do it: --via ops-request".to_owned(),
                ..Failure::default()
            });
        }
    }
    let version = subject.database().map(|d| d.version.clone()).unwrap_or_default();
    let path = format!("{}/{}", databases_path(subject.engine, &version, Some(&subject.namespace)), subject.name);
    if let Err(refused) = cluster.patch_guarded(&path, &step.patch, &stamp.request_id, &job.write()).await {
        if refused.kind == Kind::Conflict {
            return Err(changed(cluster, subject, step).await);
        }
        return Err(failure::of_api(&refused, subject.engine));
    }
    operation.message = match job.dry_run {
        DryRun::Server => format!("{} would ask for {size} (the server tried it)", outcome.target()),
        _ if step.reverts => format!("{} asks for {size} again; its claims were left alone", outcome.target()),
        _ if live => format!("{} asks for {size}; the dbscale controller grows its claims", outcome.target()),
        _ => format!("{} asks for {size}; {} claims grow", outcome.target(), step.claims.len()),
    };
    if live {
        operation.claims = Some(Vec::new());
        return Ok(operation);
    }
    let mut grown = Vec::new();
    for (index, claim) in step.claims.iter().enumerate() {
        if let Err(refused) = cluster.grow_claim(&subject.namespace, claim, &size, &job.write()).await {
            let left = step.claims[index..].join(", ");
            let done = if grown.is_empty() { "no claim".to_owned() } else { grown.join(", ") };
            let mut failure = failure::of_api(&refused, subject.engine);
            failure.message = format!(
                "claim {claim} could not be grown: {}\ndone: {} asks for {size}, grown: {done}; not grown: {left}",
                failure.message,
                outcome.target()
            );
            failure.remedy =
                format!("ask again once that is mended: kubectl dbscale storage {} --to {size}", outcome.target());
            return Err(failure);
        }
        grown.push(claim.clone());
    }
    Ok(operation)
}

/// Somebody changed the size in between: who, and to what.
async fn changed(cluster: &Cluster, subject: &Subject, step: &PatchStep) -> Failure {
    let now = cluster.database(subject.engine, &subject.namespace, &subject.name).await.ok();
    let present = now
        .as_ref()
        .map(|object| dbscale_core::database::Database::of(subject.engine, object))
        .and_then(|d| {
            let wish = step.change.wishes.first()?;
            let view = wish.view(&d)?;
            view.storage().map(|q| q.to_string())
        })
        .unwrap_or_else(|| "another size".to_owned());
    Failure {
        exit_code: failure::EXIT_ERROR,
        message: format!(
            "{}/{} was changed by somebody else since it was read: it asks for {present} now; nothing was changed",
            subject.engine.name, subject.name
        ),
        remedy: "look at it, and ask again".to_owned(),
        ..Failure::default()
    }
}

/// Whether the controller renewed its Lease within the Lease's duration.
async fn controller_is_live(cluster: &Cluster) -> Result<bool, String> {
    let lease = match cluster.lease(LEASE.0, LEASE.1).await {
        Ok(lease) => lease,
        Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::NotInstalled) => return Ok(false),
        Err(failure) => return Err(failure.to_string()),
    };
    let renewed =
        lease.pointer("/spec/renewTime").and_then(Value::as_str).and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let seconds = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64).unwrap_or(0);
    Ok(renewed.is_some_and(|t| jiff::Timestamp::now().as_second() - t.as_second() <= seconds))
}

/// Whether every claim has grown to a size; (done, all).
pub(super) fn grown(claims: &[Value], names: &[String], size: &Written) -> (usize, usize) {
    let has = |name: &&String| {
        claims.iter().any(|claim| {
            claim.pointer("/metadata/name").and_then(Value::as_str) == Some(name)
                && claim.pointer("/status/capacity/storage").and_then(Written::of).and_then(|w| w.quantity())
                    >= size.quantity()
        })
    };
    (names.iter().filter(has).count(), names.len())
}

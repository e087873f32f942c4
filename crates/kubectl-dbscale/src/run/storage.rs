//! Grows storage without KubeDB: a guarded patch of the database object, then of its claims.

use dbscale_cluster::read::databases_path;
use dbscale_cluster::{Call, Cluster, Kind};
use dbscale_core::amount::Written;
use dbscale_core::database::Database;
use dbscale_core::managed;
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
        outcome.warnings.push(format!(
            "lease {}/{} could not be read, so no controller is taken to be live: {unreadable}",
            LEASE.0, LEASE.1
        ));
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
async fn changed(cluster: &Cluster, subject: &Subject, step: &PatchStep, path: &str) -> Failure {
    // Read whole, with the record of who wrote what. Where that fails too, the answer says less.
    let now = cluster.call(&Call::get(path)).await.unwrap_or_default();
    let database = Database::of(subject.engine, &now);
    let view = step.change.wishes.first().and_then(|wish| wish.view(&database));
    let place = view.and_then(|v| v.places.first());
    let present = place.and_then(|p| p.storage.as_ref()).map_or("another size", |size| size.text.as_str());
    let writer = place.and_then(|p| managed::last_writer(&now, &p.storage_pointer));
    let who = writer.map_or_else(|| "somebody else".to_owned(), |w| format!("{} ({})", w.manager, w.time));
    Failure {
        exit_code: failure::EXIT_ERROR,
        message: format!(
            "{}/{} was changed by {who} since it was read: it asks for {present} now; nothing was changed here",
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

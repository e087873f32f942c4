//! `cancel`: deletes OpsRequests that have not begun.

use anstream::eprintln;
use clap::Args;
use dbscale_cluster::{Call, Cluster, Kind};
use dbscale_core::record::Request;
use dbscale_core::rules::{EXIT_ACTIVE, EXIT_REFUSED};
use dbscale_core::status::Phase;

use super::change;
use crate::cli::{DryRun, Global};
use crate::outcome::Failure;
use crate::output;
use crate::run::failure::{self, EXIT_ERROR, usage};
use crate::run::find::{self, Found};
use crate::run::remove;
use crate::target::{self, Named};

/// How often one is looked at again that changes while it is deleted.
const LOOKS: u32 = 5;

/// `cancel`
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Databases (mongodb/my-db), or OpsRequests (my-db-scale-1763937600)
    #[arg(required = true, value_name = "TARGET|OPSREQUEST")]
    pub targets: Vec<String>,
}

/// Cancels what was named; answers the exit code.
///
/// # Errors
/// Where nothing can be looked at, or nobody confirms it.
pub async fn run(args: &CancelArgs, global: &Global) -> Result<u8, Failure> {
    let named = target::parse_named(&args.targets, global.selected()).map_err(usage)?;
    let single = matches!(named.as_slice(), [Named::Request { .. }]);
    let cluster = change::cluster(global).await?;
    let asked = find::requests(&cluster, &named, global.namespace_in(&cluster), global.selector.as_deref()).await?;
    find::tell_idle(&asked);
    let mut failures = Vec::new();
    let mut open: Vec<Found> = Vec::new();
    for asked in asked {
        let (free, held): (Vec<_>, Vec<_>) = asked.requests.into_iter().partition(|found| obstacle(found).is_none());
        // Of a database's operations those are meant that can be cancelled; only where there is none, it is told why.
        if free.is_empty() || asked.database.is_none() {
            failures.extend(held.iter().filter_map(obstacle));
        } else {
            for found in &held {
                eprintln!("{} is {} and goes on", found.operation.name, found.phase());
            }
        }
        open.extend(free);
    }
    let mut seen = std::collections::HashSet::new();
    open.retain(|found| seen.insert(found.path()));
    if open.len() > 1 && global.dry_run == DryRun::None {
        let list: Vec<String> =
            open.iter().map(|found| format!("{}/{}", found.namespace, found.operation.name)).collect();
        change::confirmed(&list, "operations", ["Cancel", "cancelled"], global)?;
    }
    let mut cancelled = Vec::new();
    for found in open {
        match cancel(&cluster, found, global).await {
            Ok(found) => cancelled.push(found),
            Err(failure) => failures.push(failure),
        }
    }
    remove::tell(&cancelled, "cancelled", single, global);
    Ok(output::all_failed(&failures))
}

/// Deletes one that has not begun. It may begin at the same moment: then the server refuses, and it is looked at again.
async fn cancel(cluster: &Cluster, mut found: Found, global: &Global) -> Result<Found, Failure> {
    let mut looks = 0;
    loop {
        looks += 1;
        match remove::remove(cluster, &found, global).await {
            Ok(_) => return Ok(found),
            Err(failure) if failure.kind == Kind::Conflict && looks < LOOKS => {}
            Err(failure) => return Err(failure::of_api(&failure, found.engine)),
        }
        let now = cluster.call(&Call::get(found.path())).await;
        found = match now {
            Ok(object) => Found::of(found.engine, object),
            Err(failure) if failure.kind == Kind::NotFound => return Ok(found),
            Err(failure) => return Err(failure::of_api(&failure, found.engine)),
        };
        if let Some(obstacle) = obstacle(&found) {
            return Err(obstacle);
        }
    }
}

/// Why an OpsRequest cannot be cancelled; `None` where it can.
fn obstacle(found: &Found) -> Option<Failure> {
    let name = &found.operation.name;
    let told = |exit_code: u8, message: String, remedy: String| {
        Some(Failure { exit_code, message, remedy, ..Failure::default() })
    };
    let phase = found.phase();
    if phase == Phase::Progressing {
        let message = format!("{name} has begun, and KubeDB stops no operation in the middle");
        let remedy = format!("wait for its end (kubectl dbscale wait {name} -n {})", found.namespace);
        return told(EXIT_ACTIVE, message, format!("{remedy}, and ask for the values of before then"));
    }
    if phase.is_finished() {
        let message = format!("{name} has ended {phase}: there is nothing left to cancel");
        return told(EXIT_ERROR, message, "take finished ones away with kubectl dbscale cleanup".to_owned());
    }
    let keeper = Request::of(found.engine, &found.object).and_then(|request| request.claimed_by);
    keeper.and_then(|keeper| {
        let message = format!("{name} is looked after by {keeper}, which would make it again");
        told(EXIT_REFUSED, message, "take it away there".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use dbscale_core::catalog::Catalog;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::not_seen_yet("", json!({}), None)]
    #[case::waits("Pending", json!({}), None)]
    #[case::asks_for_approval("WaitingForApproval", json!({}), None)]
    #[case::approved("Approved", json!({}), None)]
    #[case::at_work("Progressing", json!({}), Some(5))]
    #[case::ended("Failed", json!({}), Some(1))]
    #[case::autoscaler("", json!({"ownerReferences": [{"kind": "MongoDBAutoscaler", "name": "a", "controller": true}]}), Some(3))]
    #[case::argo_cd("", json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}}), Some(3))]
    fn what_can_be_cancelled(#[case] phase: &str, #[case] metadata: serde_json::Value, #[case] code: Option<u8>) {
        let mut object = json!({"metadata": metadata, "spec": {"type": "VerticalScaling"}, "status": {"phase": phase}});
        object["metadata"]["name"] = json!("ask");
        object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        let found = Found::of(Catalog::builtin().find("mongodb").unwrap(), object);
        assert_eq!(obstacle(&found).map(|failure| failure.exit_code), code);
    }
}

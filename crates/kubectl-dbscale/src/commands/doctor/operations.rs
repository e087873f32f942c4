//! Operations that are stuck, each with the one thing that most likely stands in its way, and databases out of step.

use std::time::Duration;

use dbscale_cluster::Cluster;
use dbscale_core::drift::{Drift, drift};
use dbscale_core::queue::{Active, Verdict as Turn, line_up};
use dbscale_core::status::{self, Phase};
use futures::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Check, Verdict};
use crate::run::dossier::{self, Dossier};
use crate::run::find::Found;
use crate::status::survey::{Seen, Survey};
use crate::target::Target;
use crate::times::elapsed;

const AREA: &str = "Operations";
/// How many databases are read whole at a time.
const PARALLEL: usize = 4;

/// What is stuck or has failed last of every database; one check that says so where nothing has.
pub(super) async fn checks(cluster: &Cluster, survey: &Survey, stuck_after: Duration) -> Vec<Check> {
    let limit = SignedDuration::try_from(stuck_after).unwrap_or(SignedDuration::MAX);
    let mut checks = Vec::new();
    let mut active = 0;
    for seen in &survey.seen {
        let of_database: Vec<Active<'_>> = seen
            .requests
            .iter()
            .map(|found| Active { operation: &found.operation, spec: found.object.get("spec").unwrap_or(&Value::Null) })
            .collect();
        for (operation, turn) in line_up(&of_database) {
            active += 1;
            let found = seen.requests.iter().find(|found| found.operation.name == operation.operation.name);
            let Some(found) = found.filter(|_| matches!(turn, Turn::Runs | Turn::Next | Turn::NeedsApproval)) else {
                continue;
            };
            // One that has queued behind another waits for KubeDB only since that one's end.
            let others = seen.requests.iter().filter(|other| other.phase().is_finished()).map(since);
            let since = others.fold(since(found), Timestamp::max);
            let waited = Timestamp::now().duration_since(since);
            let overdue = overdue(seen, found);
            if overdue.is_none() && waited < limit {
                continue;
            }
            let dossier = dossier_of(cluster, seen).await;
            checks.push(stuck(seen, found, waited, dossier.as_ref(), overdue));
        }
        checks.extend(failed(seen));
    }
    if checks.is_empty() {
        let message = match active {
            0 => "none is active, and the newest of no database has failed".to_owned(),
            1 => "1 is active, and none is stuck or has failed".to_owned(),
            n => format!("{n} are active, and none is stuck or has failed"),
        };
        checks.push(Check::new(AREA, Verdict::Ok, message));
    }
    checks
}

async fn dossier_of(cluster: &Cluster, seen: &Seen) -> Option<Dossier> {
    let target = Target { engine: seen.database.engine, name: Some(seen.database.name.clone()) };
    dossier::read(cluster, &target, &seen.database.namespace).await.ok()
}

/// Since when it is so: the newest of its conditions tells of its last step, else its creation.
fn since(found: &Found) -> Timestamp {
    let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let conditions = found.object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let newest = conditions.filter_map(|c| time(c.get("lastTransitionTime")?)).max();
    newest.or_else(|| time(found.object.pointer("/metadata/creationTimestamp")?)).unwrap_or_default()
}

/// What the record says of it, where it counts as overdue there.
fn overdue(seen: &Seen, found: &Found) -> Option<String> {
    let record = seen.record.as_ref()?;
    let tracked = record.operations.iter().find(|tracked| tracked.uid == found.text("/metadata/uid"))?;
    tracked.overdue.as_ref().map(|overdue| overdue.message.clone())
}

fn stuck(
    seen: &Seen,
    found: &Found,
    waited: SignedDuration,
    dossier: Option<&Dossier>,
    overdue: Option<String>,
) -> Check {
    let (name, namespace, phase) = (&found.operation.name, &found.namespace, found.phase());
    let target = seen.database.target();
    let what = format!("{name} ({} of {target} in {namespace})", found.operation.ops_type);
    let time = elapsed(waited.as_secs());
    if phase == Phase::WaitingForApproval {
        let message = format!("{what} has waited for a person's approval for {time}");
        return Check::new(AREA, Verdict::Warning, message)
            .next(format!("kubectl describe {} {name} -n {namespace}", found.engine.ops_plural()));
    }
    let own = status::failure_of(&found.object);
    let cause = dossier.and_then(Dossier::obstacle).or_else(|| Some(own).filter(|own| !own.is_empty()));
    if phase != Phase::Progressing {
        let waits =
            !seen.database.is_ready() && found.object.pointer("/spec/apply").and_then(Value::as_str) != Some("Always");
        let why = match (&cause, waits) {
            (Some(cause), true) => {
                format!("KubeDB waits until the database is Ready, it is {}: {cause}", seen.database.phase)
            }
            (None, true) => format!("KubeDB waits until the database is Ready, and it is {}", seen.database.phase),
            (_, false) => "KubeDB does not begin it".to_owned(),
        };
        let next = if waits {
            format!("kubectl dbscale cancel {name} -n {namespace}, and ask again with --apply Always")
        } else {
            "see whether KubeDB's operator runs: kubectl get pods -A -l app.kubernetes.io/name=kubedb-ops-manager"
                .to_owned()
        };
        return Check::new(AREA, Verdict::Broken, format!("{what} has not begun for {time}: {why}")).next(next);
    }
    let message = match (&cause, overdue) {
        (Some(cause), _) => format!("{what} has stood still for {time}: {cause}"),
        (None, Some(overdue)) => format!("{what}: {overdue}"),
        (None, None) => format!("{what} has stood still for {time}, and nothing is seen in its way"),
    };
    Check::new(AREA, Verdict::Broken, message).next(look_at(cause.as_deref(), found))
}

/// The command that shows what stands in the way: its words begin with what it is.
fn look_at(cause: Option<&str>, found: &Found) -> String {
    let namespace = &found.namespace;
    let mut words = cause.unwrap_or_default().split(' ');
    let (kind, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().trim_end_matches(':'));
    match kind {
        "pod" => format!("kubectl describe pod {name} -n {namespace}"),
        "claim" => format!("kubectl describe pvc {name} -n {namespace}"),
        "quota" => format!("kubectl describe quota {name} -n {namespace}"),
        _ => format!("kubectl describe {} {} -n {namespace}", found.engine.ops_plural(), found.operation.name),
    }
}

/// The newest OpsRequest, where it has failed.
fn failed(seen: &Seen) -> Option<Check> {
    let newest = seen.requests.iter().max_by_key(|r| r.operation.age())?;
    let operation = &newest.operation;
    if operation.phase != Phase::Failed {
        return None;
    }
    let because = if operation.reason.is_empty() { String::new() } else { format!(": {}", operation.reason) };
    let (target, namespace) = (seen.database.target(), &seen.database.namespace);
    let message = format!("{} ({} of {target} in {namespace}) has failed{because}", operation.name, operation.ops_type);
    let again =
        format!("kubectl dbscale retry {target} -n {namespace}, or kubectl dbscale rollback {target} -n {namespace}");
    Some(Check::new(AREA, Verdict::Warning, message).next(again))
}

/// Where the databases that are meant are out of step with their pods and claims.
pub(super) async fn drifts(cluster: &Cluster, survey: &Survey) -> Vec<Check> {
    let area = "Drift";
    let compare = async |seen: &Seen| {
        let dossier = dossier_of(cluster, seen).await?;
        let found = drift(&seen.database, &dossier.subject.facts, dossier.pods.as_deref());
        let target = seen.database.target();
        let check = |drift: &Drift| {
            let message = format!("{target} {}: {}", drift.component, drift.message);
            let next = format!("kubectl dbscale describe {target} -n {}", seen.database.namespace);
            Check::new(area, Verdict::Warning, message).next(next)
        };
        Some(found.iter().map(check).collect::<Vec<_>>())
    };
    // While one is at work, a difference is the work itself.
    let idle = survey.seen.iter().filter(|seen| seen.requests.iter().all(|found| found.phase() != Phase::Progressing));
    let compared: Vec<_> = stream::iter(idle).map(compare).buffered(PARALLEL).collect().await;
    let unread = compared.iter().filter(|found| found.is_none()).count();
    let mut checks: Vec<Check> = compared.into_iter().flatten().flatten().collect();
    if unread > 0 {
        let message =
            format!("{unread} of {} databases could not be compared with their pods and claims", survey.seen.len());
        checks.push(Check::new(area, Verdict::Unknown, message));
    }
    if checks.is_empty() {
        let message = format!("the objects of {} databases, their pods and claims say the same", survey.seen.len());
        checks.push(Check::new(area, Verdict::Ok, message.replace("objects of 1 databases, their", "object, its")));
    }
    checks
}

//! Follows operations to their end.

use std::time::{Duration, Instant};

use dbscale_cluster::read::operations_path;
use dbscale_cluster::{Call, Cluster};
use dbscale_core::amount::Written;
use dbscale_core::status::{self, Phase};
use serde_json::Value;

use super::{Job, Subject, failure, storage};
use crate::outcome::{Failure, Outcome};

/// How often the phase is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Follows every operation of an outcome, and notes each one's phase and the first failure.
pub(super) async fn follow(cluster: &Cluster, job: &Job, subject: &Subject, patience: Duration, outcome: &mut Outcome) {
    let deadline = Instant::now() + patience;
    for index in 0..outcome.operations.len() {
        let operation = outcome.operations[index].clone();
        let ended = if let Some(name) = &operation.ops_request_name {
            request(cluster, job, subject, name, deadline, Phase::is_finished).await
        } else {
            let size = Written::new(operation.storage.as_deref().unwrap_or_default());
            claims(cluster, job, subject, &operation.follow, &size, deadline).await
        };
        match ended {
            Ok((phase, reason)) => {
                outcome.operations[index].phase = Some(phase.word().to_owned());
                eprintln!("{}: {phase}", operation.ops_request_name.as_deref().unwrap_or("volumes"));
                if phase != Phase::Successful && outcome.failure.is_none() {
                    let name = operation.ops_request_name.unwrap_or_default();
                    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                    let message = format!("{name} ended {phase}{because}");
                    let exit_code = failure::EXIT_FAILED;
                    outcome.failure = Some(Failure { exit_code, message, ..Failure::default() });
                }
            }
            Err(failure) => {
                outcome.failure.get_or_insert(failure);
            }
        }
    }
}

/// Waits until the newest operation has begun or ended.
pub(super) async fn begun(cluster: &Cluster, job: &Job, subject: &Subject, outcome: &Outcome) -> Result<(), Failure> {
    let name = outcome.operations.last().and_then(|o| o.ops_request_name.as_ref());
    let Some(name) = name else { return Ok(()) };
    let moving = |phase: Phase| phase == Phase::Progressing || phase.is_finished();
    request(cluster, job, subject, name, Instant::now() + job.patience, moving).await.map(|_| ())
}

async fn request(
    cluster: &Cluster,
    job: &Job,
    subject: &Subject,
    name: &str,
    deadline: Instant,
    enough: impl Fn(Phase) -> bool,
) -> Result<(Phase, String), Failure> {
    let path = format!("{}/{name}", operations_path(subject.engine, Some(&subject.namespace)));
    loop {
        let object = cluster.call(&Call::get(&path)).await.map_err(|f| failure::of_api(&f, subject.engine))?;
        let phase = Phase::of(object.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default());
        if enough(phase) {
            return Ok((phase, status::failure_of(&object)));
        }
        pause(job, deadline, || format!("{name} is still {phase}")).await?;
    }
}

/// Waits until every claim has a size; only those that lack it are asked for again.
pub(super) async fn claims(
    cluster: &Cluster,
    job: &Job,
    subject: &Subject,
    names: &[String],
    size: &Written,
    deadline: Instant,
) -> Result<(Phase, String), Failure> {
    let mut left: Vec<&String> = names.iter().collect();
    loop {
        // A failure may be of an earlier try, so it ends nothing; it explains where the time runs out.
        let (mut lacking, mut trouble) = (Vec::new(), String::new());
        for name in left {
            let path = format!("/api/v1/namespaces/{}/persistentvolumeclaims/{name}", subject.namespace);
            let claim = cluster.call(&Call::get(path)).await.map_err(|f| failure::of_api(&f, subject.engine))?;
            if !storage::has_grown(&claim, size) {
                lacking.push(name);
                if let (true, Some(why)) = (trouble.is_empty(), dbscale_core::claims::failure(&claim)) {
                    trouble = format!(" ({name}: {why})");
                }
            }
        }
        if lacking.is_empty() {
            return Ok((Phase::Successful, String::new()));
        }
        let (done, all) = (names.len() - lacking.len(), names.len());
        pause(job, deadline, || format!("{done} of {all} volumes have grown to {}{trouble}", size.text)).await?;
        left = lacking;
    }
}

/// Waits for the next look, unless the time is over or a person wants to stop; `state` is what there is until then.
async fn pause(job: &Job, deadline: Instant, state: impl Fn() -> String) -> Result<(), Failure> {
    if Instant::now() >= deadline {
        return Err(Failure {
            exit_code: failure::EXIT_TIMEOUT,
            message: format!("{} when the time to wait was over", state()),
            remedy: "it goes on; wait longer with --wait-timeout".to_owned(),
            ..Failure::default()
        });
    }
    let mut stop = job.stop.clone();
    tokio::select! {
        () = tokio::time::sleep(LOOK) => Ok(()),
        () = stop.asked() => Err(failure::interrupted(&format!("{}; it goes on in the cluster", state()))),
    }
}

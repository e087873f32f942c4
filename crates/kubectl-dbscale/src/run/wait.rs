//! Follows operations to their end.

use std::time::{Duration, Instant};

use dbscale_cluster::read::operations_path;
use dbscale_cluster::{Call, Cluster};
use dbscale_core::amount::Written;
use dbscale_core::status::{self, Phase};
use serde_json::Value;

use super::{Subject, execute, failure, storage};
use crate::outcome::{Failure, Outcome};

/// How often the phase is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Follows every operation of an outcome, and notes each one's phase and the first failure.
pub(super) async fn follow(cluster: &Cluster, subject: &Subject, patience: Duration, outcome: &mut Outcome) {
    let deadline = Instant::now() + patience;
    for index in 0..outcome.operations.len() {
        let operation = outcome.operations[index].clone();
        let ended = match &operation.ops_request_name {
            Some(name) => request(cluster, subject, name, deadline, Phase::is_finished).await,
            None => {
                claims(cluster, subject, &operation.claims.unwrap_or_default(), operation.storage.as_deref(), deadline)
                    .await
            }
        };
        match ended {
            Ok((phase, reason)) => {
                outcome.operations[index].phase = Some(phase.word().to_owned());
                eprintln!("{}: {phase}", operation.ops_request_name.as_deref().unwrap_or("volumes"));
                let exit_code = execute::exit_of(phase);
                if exit_code != 0 && outcome.failure.is_none() {
                    let name = operation.ops_request_name.unwrap_or_default();
                    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                    let message = format!("{name} ended {phase}{because}");
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
pub(super) async fn begun(
    cluster: &Cluster,
    subject: &Subject,
    outcome: &Outcome,
    patience: Duration,
) -> Result<(), Failure> {
    let name = outcome.operations.last().and_then(|o| o.ops_request_name.as_ref());
    let Some(name) = name else { return Ok(()) };
    let moving = |phase: Phase| phase == Phase::Progressing || phase.is_finished();
    request(cluster, subject, name, Instant::now() + patience, moving).await.map(|_| ())
}

async fn request(
    cluster: &Cluster,
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
        if Instant::now() >= deadline {
            return Err(late(&format!("{name} is still {phase}")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn claims(
    cluster: &Cluster,
    subject: &Subject,
    names: &[String],
    size: Option<&str>,
    deadline: Instant,
) -> Result<(Phase, String), Failure> {
    let size = Written::new(size.unwrap_or_default());
    loop {
        let claims = cluster.claims(&subject.namespace).await.map_err(|f| failure::of_api(&f, subject.engine))?;
        let (done, all) = storage::grown(&claims, names, &size);
        if done == all {
            return Ok((Phase::Successful, String::new()));
        }
        if Instant::now() >= deadline {
            return Err(late(&format!("{done} of {all} volumes have grown to {}", size.text)));
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn late(what: &str) -> Failure {
    Failure {
        exit_code: failure::EXIT_TIMEOUT,
        message: format!("{what} when the time to wait was over"),
        remedy: "it goes on; wait longer with --wait-timeout".to_owned(),
        ..Failure::default()
    }
}

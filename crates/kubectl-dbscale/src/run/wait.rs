//! Follows operations to their end.

use std::time::{Duration, Instant};

use dbscale_cluster::read::operations_path;
use dbscale_cluster::{ApiFailure, Call, Cluster, Kind};
use dbscale_core::amount::Written;
use dbscale_core::catalog::Engine;
use dbscale_core::progress::{self, Progress};
use dbscale_core::record::STORAGE_PATCH;
use dbscale_core::status::{self, Operation, Phase};
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::goal::Goal;
use super::meter::Meter;
use super::{Job, Stop, Subject, failure, records, storage};
use crate::board::{Board, Standing};
use crate::outcome::{Failure, Outcome};

/// How often the phase is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How many calls are under way at a time, however many operations are followed.
const AT_ONCE: usize = 8;

/// How operations are followed.
pub struct Follow<'a> {
    cluster: &'a Cluster,
    stop: &'a Stop,
    board: &'a Board,
    deadline: Instant,
    flag: &'static str,
    calls: Semaphore,
}

impl Job {
    /// How the operations of this job are followed from now on.
    pub(super) fn follow<'a>(&'a self, cluster: &'a Cluster) -> Follow<'a> {
        Follow::new(cluster, &self.stop, &self.board, self.patience, "--wait-timeout")
    }
}

/// Follows every operation of an outcome, and notes each one's phase and the first failure.
pub(super) async fn follow(cluster: &Cluster, job: &Job, subject: &Subject, outcome: &mut Outcome) {
    let follow = job.follow(cluster);
    let target = outcome.target();
    let ends = outcome.operations.iter().map(|operation| async {
        let size = Written::new(operation.storage.as_deref().unwrap_or_default());
        if let Some(name) = &operation.ops_request_name {
            return follow.request(subject.engine, &subject.namespace, name, Goal::Done).await;
        }
        follow.claims(subject.engine, &subject.namespace, &target, &operation.follow, &size).await?;
        Ok(Phase::Successful)
    });
    let ends = join_all(ends).await;
    for (operation, end) in outcome.operations.iter_mut().zip(ends) {
        match end {
            Ok(phase) => operation.phase = Some(phase.word().to_owned()),
            Err(end) => {
                operation.phase = end.phase.map(|phase| phase.word().to_owned());
                outcome.failure.get_or_insert(end.failure);
            }
        }
    }
}

/// Waits until the newest operation has begun or ended.
pub(super) async fn begun(cluster: &Cluster, job: &Job, subject: &Subject, outcome: &Outcome) -> Result<(), Failure> {
    let name = outcome.operations.last().and_then(|o| o.ops_request_name.as_ref());
    let Some(name) = name else { return Ok(()) };
    let goal = Goal::Phase(Phase::Progressing);
    match job.follow(cluster).request(subject.engine, &subject.namespace, name, goal).await {
        // One that has ended holds up nobody, however it ended.
        Err(End { phase: Some(_), .. }) | Ok(_) => Ok(()),
        Err(end) => Err(end.failure),
    }
}

/// An end that is not the wanted one.
#[derive(Debug)]
pub struct End {
    /// The phase in which the operation has ended; `None` where it goes on, or nobody knows.
    pub phase: Option<Phase>,
    /// What to tell.
    pub failure: Failure,
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self { phase: None, failure }
    }
}

impl<'a> Follow<'a> {
    /// Follows for so long from now on, and tells on the board; `flag` is what sets that time, for the remedy.
    #[must_use]
    pub fn new(cluster: &'a Cluster, stop: &'a Stop, board: &'a Board, patience: Duration, flag: &'static str) -> Self {
        let deadline = Instant::now() + patience;
        Self { cluster, stop, board, deadline, flag, calls: Semaphore::new(AT_ONCE) }
    }

    /// Follows an OpsRequest until it has reached the goal, and answers its phase then.
    ///
    /// # Errors
    /// [`End`], where it ended otherwise or is gone, the time is over, a person asked to stop, or the server cannot be asked.
    pub async fn request(
        &self,
        engine: &'static Engine,
        namespace: &str,
        name: &str,
        goal: Goal,
    ) -> Result<Phase, End> {
        let path = format!("{}/{name}", operations_path(engine, Some(namespace)));
        let mut line = self.board.line();
        let mut meter = Meter::new(engine, namespace);
        let mut usual = None;
        let mut last = "not seen yet".to_owned();
        loop {
            let answer = self.ask(&Call::get(&path), || format!("{name} is {last}")).await?;
            let object = answer.map_err(|failure| match failure.kind {
                Kind::NotFound => gone(name),
                _ => failure::of_api(&failure, engine),
            })?;
            let mut standing = standing(name, &object);
            let phase = standing.phase;
            if phase == Phase::Progressing {
                // For people alone: it holds up neither the end of the time nor a wish to stop.
                let extras = async {
                    let _turn = self.calls.acquire().await;
                    standing.progress = meter.read(self.cluster, &object).await;
                    standing.usual = match usual {
                        Some(known) => known,
                        None => *usual.insert(self.usual(engine, namespace, &object).await),
                    };
                };
                self.unless_over(extras).await;
            }
            last = format!("still {phase}");
            line.tell(&standing);
            if goal.is_settled(phase) {
                return if goal.is_reached(phase) { Ok(phase) } else { Err(ended(name, phase, &object)) };
            }
            self.pause(|| format!("{name} is still {phase}")).await?;
        }
    }

    /// How long operations of its type took before, out of its database's record; for people, so that no record and one that
    /// may not be read are the same here.
    async fn usual(&self, engine: &Engine, namespace: &str, request: &Value) -> Option<i64> {
        let operation = Operation::of(request, &engine.reference);
        let record = records::one(self.cluster, engine, namespace, &operation.database).await;
        record.here()?.usual_seconds(&operation.ops_type)
    }

    /// Waits until every claim has a size; only those that lack it are asked for again.
    ///
    /// # Errors
    /// Where one is gone, the time is over, a person asked to stop, or the server cannot be asked.
    pub async fn claims(
        &self,
        engine: &Engine,
        namespace: &str,
        target: &str,
        names: &[String],
        size: &Written,
    ) -> Result<(), Failure> {
        let mut line = self.board.line();
        let mut standing = Standing {
            name: target.to_owned(),
            ops_type: STORAGE_PATCH.to_owned(),
            phase: Phase::Progressing,
            since: Some(Timestamp::now()),
            ..Standing::default()
        };
        let mut left: Vec<&String> = names.iter().collect();
        let mut last = format!("no volume of {target} has been seen with {}", size.text);
        loop {
            // A failure may be of an earlier try, so it ends nothing; it explains where the time runs out.
            let (mut lacking, mut trouble) = (Vec::new(), String::new());
            for name in left {
                let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}");
                let claim = self.ask(&Call::get(path), || last.clone()).await?;
                let claim = claim.map_err(|f| failure::of_api(&f, engine))?;
                if !storage::has_grown(&claim, size) {
                    lacking.push(name);
                    if let (true, Some(why)) = (trouble.is_empty(), dbscale_core::claims::failure(&claim)) {
                        trouble = format!(" ({name}: {why})");
                    }
                }
            }
            let (done, all) = (names.len() - lacking.len(), names.len());
            standing.progress = Some(Progress { done, all, of: "claims" });
            if lacking.is_empty() {
                standing.phase = Phase::Successful;
                line.tell(&standing);
                return Ok(());
            }
            line.tell(&standing);
            last = format!("{done} of {all} volumes have grown to {}{trouble}", size.text);
            self.pause(|| last.clone()).await?;
            left = lacking;
        }
    }

    /// Asks the server, and goes on asking while it does not answer: what is followed goes on without it. `state` is what there is
    /// until then.
    ///
    /// # Errors
    /// Where the time is over, or a person wants to stop.
    async fn ask(&self, call: &Call, state: impl Fn() -> String) -> Result<Result<Value, ApiFailure>, Failure> {
        loop {
            let in_turn = async {
                let _turn = self.calls.acquire().await;
                self.cluster.call(call).await
            };
            let Some(answer) = self.unless_over(in_turn).await else {
                self.pause(&state).await?;
                continue;
            };
            match answer {
                Err(failure) if failure.is_open() => {
                    self.pause(|| format!("{}, and the API server does not answer ({failure})", state())).await?;
                }
                answer => return Ok(answer),
            }
        }
    }

    /// What comes of some work; `None` where the time is over, or a person wants to stop, before.
    async fn unless_over<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stop = self.stop.clone();
        tokio::select! {
            done = work => Some(done),
            () = tokio::time::sleep_until(self.deadline.into()) => None,
            () = stop.asked() => None,
        }
    }

    /// Waits for the next look, unless the time is over or a person wants to stop; `state` is what there is until then.
    ///
    /// # Errors
    /// Where there is no next look.
    pub async fn pause(&self, state: impl Fn() -> String) -> Result<(), Failure> {
        if Instant::now() >= self.deadline {
            return Err(Failure {
                exit_code: failure::EXIT_TIMEOUT,
                message: format!("{} when the time to wait was over", state()),
                remedy: format!("it goes on; wait longer with {}", self.flag),
                ..Failure::default()
            });
        }
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(LOOK) => Ok(()),
            () = stop.asked() => Err(failure::interrupted(&format!("{}; it goes on in the cluster", state()))),
        }
    }
}

fn standing(name: &str, object: &Value) -> Standing {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let phase = Phase::of(text("/status/phase"));
    let run = progress::span(object).filter(|_| phase == Phase::Progressing || phase.is_finished());
    Standing {
        name: name.to_owned(),
        ops_type: text("/spec/type").to_owned(),
        phase,
        step: progress::step(object).map(str::to_owned),
        progress: None,
        since: run.map(|(began, _)| began).or_else(|| text("/metadata/creationTimestamp").parse().ok()),
        until: run.map(|(_, ended)| ended).filter(|_| phase.is_finished()),
        usual: None,
    }
}

fn ended(name: &str, phase: Phase, object: &Value) -> End {
    let reason = if phase == Phase::Successful { String::new() } else { status::failure_of(object) };
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let message = format!("{name} ended {phase}{because}");
    End { phase: Some(phase), failure: Failure { exit_code: failure::EXIT_FAILED, message, ..Failure::default() } }
}

fn gone(name: &str) -> Failure {
    let message = format!("{name} is gone: somebody has deleted it, and nobody can tell how it ended");
    Failure { exit_code: failure::EXIT_FAILED, message, ..Failure::default() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::waits("Pending", "2026-01-01T00:00:00Z", None)]
    #[case::runs("Progressing", "2026-01-01T00:05:00Z", None)]
    #[case::has_ended("Successful", "2026-01-01T00:05:00Z", Some("2026-01-01T00:07:00Z"))]
    fn the_time_is_that_of_the_run_once_it_has_begun(
        #[case] phase: &str,
        #[case] since: &str,
        #[case] until: Option<&str>,
    ) {
        let at = |time: &str| json!({"type": "x", "lastTransitionTime": time});
        let request = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"type": "Restart"},
            "status": {"phase": phase, "conditions": [at("2026-01-01T00:05:00Z"), at("2026-01-01T00:07:00Z")]}});
        let told = standing("ask", &request);
        assert_eq!(told.since, since.parse().ok());
        assert_eq!(told.until, until.map(|time| time.parse().unwrap()));
    }
}

//! Runs a change: what is there, the plan, the writes, and the end of the operations.

pub mod around;
pub mod dossier;
pub(crate) mod execute;
pub mod failure;
pub mod find;
pub mod goal;
pub mod growth;
mod meter;
pub mod policies;
mod present;
pub mod records;
pub mod remove;
mod stop;
mod storage;
pub mod wait;

use std::time::{Duration, Instant};

use dbscale_cluster::Cluster;
use dbscale_cluster::apply::Write;
use dbscale_core::catalog::Engine;
use dbscale_core::change::{HORIZONTAL, What};
use dbscale_core::database::Database;
use dbscale_core::facts::{Facts, Known};
use dbscale_core::finding::Finding;
use dbscale_core::plan::{Intent, Plan, Stamp, Step, plan};
use dbscale_core::preflight::Choice;
use futures::stream::{self, StreamExt as _};

use crate::board::Board;
use crate::cli::DryRun;
use crate::cli::args::Combined;
use crate::outcome::{Failure, Outcome};
use crate::target::Target;

pub use stop::Stop;

/// A change, for every target alike.
#[derive(Debug, Clone)]
pub struct Job {
    /// What is wanted.
    pub intent: Intent,
    /// How the surroundings are checked.
    pub preflight: Choice,
    /// Whether anything is written.
    pub dry_run: DryRun,
    /// How a combined wish is asked for.
    pub combined: Combined,
    /// Whether the second request waits for the first to begin.
    pub ordered: bool,
    /// Whether the operations are followed to their end.
    pub wait: bool,
    /// How long to follow them, or to wait for the first of two to begin.
    pub patience: Duration,
    /// Whether a person has asked to stop.
    pub stop: Stop,
    /// Where operations are told while they are followed.
    pub board: Board,
    /// How many databases at a time.
    pub parallel: usize,
    /// After how many failures no more are begun.
    pub max_failures: Option<usize>,
    /// The OpsRequest's name.
    pub name: Option<String>,
    /// Who the written fields belong to.
    pub field_manager: String,
    /// Who is impersonated.
    pub impersonate: Option<String>,
}

/// A database that is to be changed, with what is known of it.
pub struct Subject {
    /// The engine.
    pub engine: &'static Engine,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The object as it was read; null where it is missing.
    pub object: serde_json::Value,
    /// What is known.
    pub facts: Facts,
    /// Whether the claims in `facts` are all there are; not where they, or their workloads, could not be read.
    pub claims_known: bool,
    /// What the checks of its surroundings say of its change.
    pub found: Vec<Finding>,
    /// When it was read.
    pub read_at: Instant,
    /// Warnings from looking.
    pub warnings: Vec<String>,
}

impl Job {
    pub(crate) fn write(&self) -> Write {
        Write { dry_run: self.dry_run == DryRun::Server, field_manager: self.field_manager.clone() }
    }
}

impl Subject {
    /// The database, where it was found.
    #[must_use]
    pub fn database(&self) -> Option<&Database> {
        self.facts.database.here()
    }

    fn outcome(&self) -> Outcome {
        Outcome {
            engine: self.engine.name.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            topology: self.database().map(failure::topology_words).unwrap_or_default(),
            differences: Vec::new(),
            warnings: self.warnings.clone(),
            operations: Vec::new(),
            skipped: false,
            failure: None,
        }
    }
}

/// Looks at every target: one list an engine where several are meant.
///
/// # Errors
/// The first thing that stands in the way of looking at all.
pub async fn look(
    cluster: &Cluster,
    job: &Job,
    targets: &[Target],
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Vec<Subject>, Failure> {
    present::subjects(cluster, job, targets, namespace, selector).await
}

/// Who asks, as the API server knows them; empty where it would not tell.
pub async fn who(cluster: &Cluster, job: &Job) -> Option<String> {
    match &job.impersonate {
        Some(user) => Some(user.clone()),
        None => cluster.who_am_i().await.ok().filter(|user| !user.is_empty()),
    }
}

/// Makes the plan for one subject.
///
/// # Errors
/// What stands in the way, as the command will report it.
pub fn plan_for(subject: &Subject, job: &Job, stamp: &Stamp) -> Result<Plan, Failure> {
    match &subject.facts.database {
        Known::Here(database) => {
            let intent = policies::sized(&subject.facts, database, &job.intent)?;
            let plan = plan(&subject.facts, &intent, stamp).map_err(|error| failure::of_plan(&error))?;
            Ok(around::checked(subject, job, plan))
        }
        Known::Missing | Known::Unknown => Err(failure::of_missing(subject)),
    }
}

/// Makes the plan for a subject, the so many-th of a command, with the stamp of its objects.
pub type Make<'m> = dyn Fn(&Subject, usize) -> Result<(Plan, Stamp), Failure> + 'm;

/// How far a target has come when it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// All was asked of the API server; the operations are followed from here on.
    Asked,
    /// Nothing more happens.
    Ended,
}

/// Runs the change for every subject, several at a time, and tells each outcome as it comes.
pub async fn run(
    cluster: &Cluster,
    job: &Job,
    subjects: Vec<Subject>,
    make: &Make<'_>,
    tell: &dyn Fn(Stage, &Outcome),
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut failures = 0;
    let begun = std::cell::Cell::new(true);
    let begun_ref = &begun;
    let mut running = stream::iter(subjects.into_iter().enumerate())
        .map(|(index, subject)| async move {
            if !begun_ref.get() || job.stop.is_asked() {
                let mut outcome = subject.outcome();
                let interrupted = job.stop.is_asked().then(|| failure::interrupted("not begun"));
                outcome.failure = Some(interrupted.unwrap_or_else(failure::not_begun));
                return outcome;
            }
            let outcome = one(cluster, job, subject, make, index, tell).await;
            execute::log_failure(job, &outcome);
            outcome
        })
        .buffer_unordered(job.parallel.max(1));
    while let Some(outcome) = running.next().await {
        failures += usize::from(outcome.failure.is_some());
        if job.max_failures.is_some_and(|most| failures >= most) {
            begun.set(false);
        }
        tell(Stage::Ended, &outcome);
        outcomes.push(outcome);
    }
    outcomes
}

/// A stamp for one database of a command.
#[must_use]
pub fn stamp(job: &Job, user: Option<String>, index: usize) -> Stamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Stamp {
        unix_seconds: i64::try_from(now.as_secs()).unwrap_or(0),
        request_id: format!("{:x}-{:x}-{index:x}", now.as_nanos(), std::process::id()),
        requested_by: user,
        name: job.name.clone(),
    }
}

async fn one(
    cluster: &Cluster,
    job: &Job,
    mut subject: Subject,
    make: &Make<'_>,
    index: usize,
    tell: &dyn Fn(Stage, &Outcome),
) -> Outcome {
    // Warnings of the API server are of this target alone.
    let cluster = &cluster.separate();
    let mut outcome = subject.outcome();
    let (plan, stamp) = match make(&subject, index) {
        Ok(planned) => planned,
        Err(failure) => {
            outcome.failure = Some(failure);
            return outcome;
        }
    };
    outcome.differences.clone_from(&plan.differences);
    outcome.warnings.extend(plan.findings.iter().filter(|f| !f.refuses()).map(ToString::to_string));
    if plan.is_refused() {
        outcome.failure = Some(failure::of_findings(plan.findings));
        return outcome;
    }
    if plan.steps.is_empty() {
        outcome.skipped = true;
        return outcome;
    }
    execute::plan(cluster, job, &subject, &plan, &stamp, &mut outcome).await;
    let news = news(&outcome.warnings, cluster.take_warnings());
    outcome.warnings.extend(news);
    if let (true, None, DryRun::None) = (job.wait, &outcome.failure, job.dry_run) {
        tell(Stage::Asked, &outcome);
        wait::follow(cluster, job, &subject, &mut outcome).await;
        late_growth(cluster, job, &mut subject, &plan, &mut outcome).await;
    }
    outcome
}

/// The server's warnings that are not told already: the webhook says what a finding of the plan says, and adds where.
fn news(told: &[String], server: Vec<String>) -> Vec<String> {
    let known = |warning: &String| told.iter().any(|t| warning.strip_prefix(t).is_some_and(is_place));
    server.into_iter().filter(|warning| !known(warning)).collect()
}

/// Whether this is nothing, or ` (spec.type)`.
fn is_place(text: &str) -> bool {
    text.is_empty() || text.starts_with(" (") && text.ends_with(')')
}

/// Grows the volumes of members that a later step of the same command has brought, where that was followed to its end.
async fn late_growth(cluster: &Cluster, job: &Job, subject: &mut Subject, plan: &Plan, outcome: &mut Outcome) {
    let size = plan.steps.iter().find_map(|s| match s {
        Step::Patch(patch) if !patch.reverts => Some(patch.size),
        Step::Patch(_) | Step::Request(_) => None,
    });
    let members = plan.steps.iter().any(|s| matches!(s, Step::Request(r) if r.ops_type == HORIZONTAL.ops_type));
    let (Some(size), true, None) = (size, members, &outcome.failure) else { return };
    let target = outcome.target();
    let grown = async {
        let claims = storage::grow_late(cluster, job, subject, &plan.component, size).await?;
        if !claims.is_empty() {
            let follow = job.follow(cluster);
            follow.claims(subject.engine, &subject.namespace, &target, &claims, &size.into()).await?;
        }
        Ok(claims)
    };
    match grown.await {
        Ok(claims) if claims.is_empty() => {}
        Ok(claims) => {
            job.board.aside(|| eprintln!("volumes of the new members: {} claims have grown to {size}", claims.len()));
            let patch = outcome.operations.iter_mut().find(|o| o.ops_request_name.is_none());
            patch.and_then(|o| o.claims.as_mut()).into_iter().for_each(|all| all.extend(claims.iter().cloned()));
        }
        Err(failure) => outcome.failure = Some(failure),
    }
}

/// The values of a plan that is made already, as the answer tells them.
#[must_use]
pub fn intent_of(plan: &Plan) -> Intent {
    let mut intent = Intent::default();
    for step in &plan.steps {
        let change = match step {
            Step::Request(step) => &step.change,
            Step::Patch(step) => &step.change,
        };
        for wish in &change.wishes {
            match &wish.what {
                What::Replicas(n) => intent.replicas = Some(*n),
                What::Shards(n) => intent.shards = Some(*n),
                What::Storage(size) => intent.storage = size.quantity(),
                What::Resources(set) => (intent.cpu, intent.memory) = (set.size("cpu"), set.size("memory")),
            }
        }
    }
    intent
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::with_its_place("[change/none] all is there (spec.replicas)", false)]
    #[case::word_for_word("[change/none] all is there", false)]
    #[case::more_than_that("[change/none] all is therefore done", true)]
    #[case::another("[operation/active] a is Pending (spec.type)", true)]
    fn a_warning_is_told_once(#[case] warning: &str, #[case] is_new: bool) {
        let told = ["[change/none] all is there".to_owned()];
        assert_eq!(news(&told, vec![warning.to_owned()]).len(), usize::from(is_new));
    }
}

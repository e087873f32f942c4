//! Sends a plan: every step in its order, and the truth about how far it came.

use dbscale_cluster::apply::Created;
use dbscale_cluster::read::operations_path;
use dbscale_cluster::{ApiFailure, Cluster, Kind};
use dbscale_core::change::{HORIZONTAL, VERTICAL};
use dbscale_core::plan::{Plan, RequestStep, SIZE, Stamp, Step, request_name};
use dbscale_core::record::STORAGE_PATCH;
use serde_json::{Value, json};

use super::{Job, Subject, failure, storage};
use crate::cli::DryRun;
use crate::cli::args::Combined;
use crate::outcome::{Failure, Operation, Outcome};

/// How often a taken name is tried with the next second.
const NAMES: i64 = 30;

pub(super) async fn plan(
    cluster: &Cluster,
    job: &Job,
    subject: &Subject,
    plan: &Plan,
    stamp: &Stamp,
    outcome: &mut Outcome,
) {
    let Some(database) = subject.database() else { return };
    let single = plan.single(database).filter(|_| job.combined != Combined::Separate);
    let one = match &single {
        Some(single) => ask_single(cluster, job, subject, single).await,
        None => Ok(false),
    };
    let steps = match one {
        Ok(one) => steps(plan, single.filter(|_| one)),
        Err(failure) => {
            outcome.failure = Some(failure);
            return;
        }
    };
    for (index, step) in steps.iter().enumerate() {
        if job.stop.is_asked() {
            stopped(outcome, failure::interrupted("nothing more was begun"), &steps[index..]);
            return;
        }
        let waits = job.ordered && index > 0 && job.dry_run == DryRun::None;
        if waits && let Err(failure) = super::wait::begun(cluster, job, subject, outcome).await {
            stopped(outcome, failure, &steps[index..]);
            return;
        }
        let before = outcome.operations.len();
        let done = match step {
            Step::Request(step) => request(cluster, job, subject, step, stamp, index).await.map(|mut operation| {
                operation.component.clone_from(&plan.component);
                outcome.operations.push(operation);
            }),
            Step::Patch(step) => storage::patch(cluster, job, subject, step, stamp, &plan.component, outcome).await,
        };
        outcome.operations[before..].iter().for_each(log_created);
        if let Err(failure) = done {
            // A patch whose claims could not all be grown is among what was done.
            stopped(outcome, failure, &steps[index + outcome.operations.len() - before..]);
            return;
        }
    }
}

/// The steps of a plan; `single` takes the place of its horizontal and vertical ones.
fn steps(plan: &Plan, single: Option<RequestStep>) -> Vec<Step> {
    let scales = |step: &&Step| matches!(step, Step::Request(r) if r.ops_type == HORIZONTAL.ops_type || r.ops_type == VERTICAL.ops_type);
    let Some(single) = single else { return plan.steps.clone() };
    let others = plan.steps.iter().filter(|step| !scales(step)).cloned();
    others.chain([Step::Request(Box::new(single))]).collect()
}

/// The plan with the steps as they are made where no server is asked.
pub(crate) fn unasked(plan: &Plan, subject: &Subject, combined: Combined) -> Plan {
    let one = combined == Combined::Single || combined == Combined::Auto && subject.engine.combined;
    let steps = steps(plan, subject.database().and_then(|d| plan.single(d)).filter(|_| one));
    Plan { steps, ..plan.clone() }
}

/// Notes a failure, and what was done and not done where something was.
fn stopped(outcome: &mut Outcome, mut failure: Failure, left: &[Step]) {
    if !outcome.operations.is_empty() {
        let name = |o: &Operation| o.ops_request_name.clone().unwrap_or_else(|| o.ops_type.clone());
        let done: Vec<String> = outcome.operations.iter().map(name).collect();
        let not: Vec<&str> = left
            .iter()
            .map(|s| match s {
                Step::Request(r) => r.ops_type,
                Step::Patch(_) => STORAGE_PATCH,
            })
            .collect();
        let not = if not.is_empty() { String::new() } else { format!("; not done: {}", not.join(", ")) };
        failure.message = format!("{}\ndone: {}{not}", failure.message, done.join(", "));
    }
    outcome.failure = Some(failure);
}

/// Whether one request will do for both wishes.
///
/// The server is asked first, with a dry run: 400 means two; 403 and 422 are refusals of the wish itself. Wherever the
/// catalog does not say that the engine can, two are made whatever the server answers.
async fn ask_single(cluster: &Cluster, job: &Job, subject: &Subject, single: &RequestStep) -> Result<bool, Failure> {
    if job.combined == Combined::Single {
        return Ok(true);
    }
    if job.dry_run == DryRun::Client {
        return Ok(subject.engine.combined); // as `unasked` has it
    }
    let path = operations_path(subject.engine, Some(&subject.namespace));
    let write = dbscale_cluster::apply::Write { dry_run: true, ..job.write() };
    match cluster.create(&path, &single.object, &write).await {
        Ok(_) => Ok(subject.engine.combined),
        Err(refused) if refused.code == 400 || only_ignored(&refused) => Ok(false),
        Err(refused) => Err(failure::of_api(&refused, subject.engine)),
    }
}

/// A policy knows no 400; where its only complaint is the ignored stanza, it means the same.
fn only_ignored(refused: &ApiFailure) -> bool {
    refused.kind == Kind::Refused && refused.code == 422 && refused.rules() == ["stanza/ignored"]
}

async fn request(
    cluster: &Cluster,
    job: &Job,
    subject: &Subject,
    step: &RequestStep,
    stamp: &Stamp,
    index: usize,
) -> Result<Operation, Failure> {
    let mut object = step.object.clone();
    if job.dry_run == DryRun::Client {
        return Ok(operation(job, subject, step, &object));
    }
    let path = operations_path(subject.engine, Some(&subject.namespace));
    let offset = i64::try_from(index).unwrap_or(0);
    for attempt in 1..=NAMES {
        match cluster.create(&path, &object, &job.write()).await {
            Ok(Created::Ours(made)) => return Ok(operation(job, subject, step, &made)),
            Ok(Created::Taken) if job.name.is_some() => {
                let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                let message = format!("an OpsRequest called {name} exists already in namespace {}", subject.namespace);
                let remedy = "choose another --name, or leave it out".to_owned();
                return Err(Failure { exit_code: failure::EXIT_ERROR, message, remedy, ..Failure::default() });
            }
            Ok(Created::Taken) => {
                let name = request_name(&subject.name, stamp.unix_seconds + offset + attempt);
                object["metadata"]["name"] = json!(name);
            }
            Err(refused) => return Err(failure::of_api(&refused, subject.engine)),
        }
    }
    let message = format!("the names of the next {NAMES} seconds are all taken");
    Err(Failure { exit_code: failure::EXIT_ERROR, message, remedy: "give a --name".to_owned(), ..Failure::default() })
}

fn operation(job: &Job, subject: &Subject, step: &RequestStep, object: &Value) -> Operation {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let scales = |ops_type: &str| step.ops_type == ops_type;
    let both = object["spec"][VERTICAL.field].is_object() && object["spec"][HORIZONTAL.field].is_object();
    let (horizontal, vertical) = (scales(HORIZONTAL.ops_type) || both, scales(VERTICAL.ops_type) || both);
    let amount = |q: Option<dbscale_core::quantity::Quantity>, on: bool| q.filter(|_| on).map(|q| q.to_string());
    Operation {
        resource: format!("{}.ops.kubedb.com/{name}", subject.engine.ops_kind().to_lowercase()),
        ops_request_name: Some(name),
        ops_request_uid: object["metadata"]["uid"].as_str().filter(|_| job.dry_run == DryRun::None).map(str::to_owned),
        ops_type: step.ops_type.to_owned(),
        message: match job.dry_run {
            DryRun::None => "OpsRequest created, reconciler will monitor progress",
            DryRun::Client => "OpsRequest would be created (nothing was sent)",
            DryRun::Server => "OpsRequest would be created (the server tried it)",
        }
        .to_owned(),
        size: object["metadata"]["annotations"][SIZE].as_str().map(str::to_owned),
        replicas: job.intent.replicas.filter(|_| horizontal),
        shards: job.intent.shards.filter(|_| horizontal),
        cpu: amount(job.intent.cpu, vertical),
        memory: amount(job.intent.memory, vertical),
        storage: amount(job.intent.storage, !horizontal && !vertical),
        engine: subject.engine.name.clone(),
        namespace: subject.namespace.clone(),
        name: subject.name.clone(),
        dry_run: dry_run(job),
        ..Operation::default()
    }
}

pub(super) fn dry_run(job: &Job) -> Option<String> {
    match job.dry_run {
        DryRun::None => None,
        DryRun::Client => Some("client".to_owned()),
        DryRun::Server => Some("server".to_owned()),
    }
}

fn log_created(operation: &Operation) {
    if operation.dry_run.is_some() {
        return;
    }
    if operation.ops_request_name.is_none() {
        tracing::info!(
            engine = operation.engine,
            name = operation.name,
            namespace = operation.namespace,
            storage = operation.storage,
            claims = operation.claims.as_ref().map(Vec::len),
            "scaling_storage_patched"
        );
    } else {
        tracing::info!(
            engine = operation.engine,
            name = operation.name,
            namespace = operation.namespace,
            ops_request_name = operation.ops_request_name,
            ops_type = operation.ops_type,
            replicas = operation.replicas,
            size = operation.size,
            "scaling_ops_request_created"
        );
    }
}

/// The log's word on a target that failed.
pub(super) fn log_failure(job: &Job, outcome: &Outcome) {
    let Some(failure) = &outcome.failure else { return };
    let chain = failure.chain.join(": ");
    let verbose = tracing::enabled!(tracing::Level::DEBUG);
    tracing::error!(
        name = outcome.name,
        engine = outcome.engine,
        replicas = job.intent.replicas,
        size = job.intent.size,
        error = failure.message,
        backtrace = if verbose { format!("{chain}\n{}", std::backtrace::Backtrace::force_capture()) } else { chain },
        "scaling_operation_failed"
    );
}

//! `retry`: the same request again, under a new name.

use anstream::eprintln;
use clap::Args;
use dbscale_cluster::Cluster;
use dbscale_core::plan::{BEFORE, Intent, RETRY_OF, SIZE, changed_since, resend};
use dbscale_core::rules::EXIT_ACTIVE;
use dbscale_core::status::Phase;
use serde_json::json;

use super::change;
use crate::cli::Global;
use crate::cli::args::SendArgs;
use crate::outcome::Failure;
use crate::run::dossier::{self, Dossier};
use crate::run::failure::{self, EXIT_ERROR, usage};
use crate::run::find::{self, Found};
use crate::run::{self, intent_of};
use crate::target::{self, Named, Target};

/// `retry`
#[derive(Debug, Args)]
pub struct RetryArgs {
    /// A database (mongodb/my-db) whose newest operation did not succeed, or an OpsRequest
    #[arg(required = true, num_args = 1..=2, value_name = "TARGET|OPSREQUEST")]
    pub targets: Vec<String>,
    #[command(flatten)]
    pub send: SendArgs,
}

/// Sends a request again; answers the exit code.
///
/// # Errors
/// Where there is none to send, or the cluster cannot be asked.
pub async fn run(args: &RetryArgs, global: &Global) -> Result<u8, Failure> {
    let named = target::parse_named(&args.targets, None).map_err(usage)?;
    let [named] = named.as_slice() else { return Err(usage("name one database, or one OpsRequest")) };
    let cluster = change::cluster(global).await?;
    let namespace = global.namespace.as_deref().unwrap_or(&cluster.default_namespace);
    let mut job = change::plain_job(Intent::default(), &args.send.follow, global);
    job.name.clone_from(&args.send.name);
    let (dossier, user) = futures::join!(dossier_of(&cluster, named, namespace), run::who(&cluster, &job));
    job.preflight = args.send.checks.choice();
    let mut dossier = dossier?;
    let first = chosen(&dossier, named)?.clone();
    let mut spec = first.object["spec"].clone();
    if let Some(apply) = &args.send.apply {
        spec["apply"] = json!(apply);
    }
    let stamp = run::stamp(&job, user, 0);
    let annotation = |key: &str| first.object["metadata"]["annotations"][key].as_str();
    let marks: Vec<(&str, &str)> = [(RETRY_OF, Some(first.operation.name.as_str())), (SIZE, annotation(SIZE))]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
    let plan = resend(&dossier.subject.facts, &spec, &marks, &stamp, dossier.pods.as_deref());
    let plan = plan.ok_or_else(|| {
        let ops_type = &first.operation.ops_type;
        told(format!("{} has no OpsRequest of type '{ops_type}' that could be sent", dossier.subject.engine.kind), "")
    })?;
    let plan = run::around::checked_now(&cluster, &job, &mut dossier.subject, plan).await;
    if plan.is_refused() {
        return Err(failure::of_findings(plan.findings));
    }
    eprintln!("{}", ended(&first));
    let before = annotation(BEFORE).and_then(|text| serde_json::from_str(text).ok());
    let changed = before.map(|before| changed_since(dossier.database(), &before));
    for line in different(&dossier, changed.as_deref()) {
        eprintln!("{line}");
    }
    job.intent = intent_of(&plan);
    let make = |_: &run::Subject, _: usize| Ok((plan.clone(), stamp.clone()));
    Ok(change::send(&cluster, job, vec![dossier.subject], &make, true, global).await)
}

async fn dossier_of(cluster: &Cluster, named: &Named, namespace: &str) -> Result<Dossier, Failure> {
    let target = match named {
        Named::Database(target) => target.clone(),
        Named::Request { .. } => {
            let asked = find::requests(cluster, std::slice::from_ref(named), Some(namespace), None).await?;
            let found = asked.into_iter().flat_map(|asked| asked.requests).next();
            let found = found.ok_or_else(|| told("it is gone".to_owned(), ""))?;
            Target { engine: found.engine, name: Some(found.operation.database) }
        }
    };
    dossier::read(cluster, &target, namespace).await
}

/// The request to send again: the one that is named, else the newest, where it did not succeed.
fn chosen<'d>(dossier: &'d Dossier, named: &Named) -> Result<&'d Found, Failure> {
    let target = dossier.database().target();
    let namespace = &dossier.subject.namespace;
    let found = match named {
        Named::Request { name, .. } => {
            dossier.request(name).ok_or_else(|| told(format!("{name} is gone"), "ask anew with kubectl dbscale set"))?
        }
        Named::Database(_) => {
            let newest = dossier.seen.requests.iter().max_by_key(|found| found.operation.age());
            newest.ok_or_else(|| {
                told(
                    format!("{target} has no OpsRequest that could be sent again"),
                    "ask anew with kubectl dbscale set",
                )
            })?
        }
    };
    let (name, phase) = (&found.operation.name, found.phase());
    if phase.is_active() {
        let remedy = format!("wait for it: kubectl dbscale wait {name} -n {namespace}");
        return Err(Failure {
            exit_code: EXIT_ACTIVE,
            ..told(format!("{name} is {phase}: it has not ended"), &remedy)
        });
    }
    if phase == Phase::Successful && matches!(named, Named::Database(_)) {
        let message = format!("{name}, the newest of {target}, ended Successful: there is nothing to try again");
        return Err(told(message, "name an OpsRequest to send that one again"));
    }
    Ok(found)
}

fn told(message: String, remedy: &str) -> Failure {
    Failure { exit_code: EXIT_ERROR, message, remedy: remedy.to_owned(), ..Failure::default() }
}

/// `ask ended Failed: no room on any node`
fn ended(found: &Found) -> String {
    let operation = &found.operation;
    let because = if operation.reason.is_empty() || found.phase() == Phase::Successful {
        String::new()
    } else {
        format!(": {}", operation.reason)
    };
    format!("{} ({}) ended {}{because}", operation.name, operation.ops_type, found.phase())
}

/// What is different now; `changed` is `None` where nobody noted what was there then.
fn different(dossier: &Dossier, changed: Option<&[String]>) -> Vec<String> {
    let mut lines = vec![match changed {
        None => "What was there then was not noted.".to_owned(),
        Some([]) => "Since then no value of it has changed.".to_owned(),
        Some(changed) => format!("Different now: {}", changed.join(", ")),
    }];
    if !dossier.database().is_ready() {
        lines.push(format!("The database is {}.", dossier.database().phase));
    }
    lines.extend(dossier.obstacle().map(|obstacle| format!("In its way now: {obstacle}")));
    lines
}

//! `rollback`: a new request, forward, to the values from before an operation.

use anstream::eprintln;
use clap::Args;
use dbscale_core::change::{HORIZONTAL, VERTICAL, VOLUME};
use dbscale_core::database::Database;
use dbscale_core::plan::{Plan, resend};
use dbscale_core::record::{Past, Request, STORAGE_PATCH};
use dbscale_core::rollback::{self, ROLLBACK_OF};
use dbscale_core::rules::{EXIT_ACTIVE, EXIT_REFUSED};
use dbscale_core::status::Phase;
use serde_json::{Value, json};

use super::again::Again;
use super::change;
use super::plan::screen;
use crate::cli::args::SendArgs;
use crate::cli::{Global, Output};
use crate::outcome::Failure;
use crate::output::{self, data};
use crate::run::dossier::{self, Dossier};
use crate::run::failure::{self, EXIT_ERROR, usage};
use crate::run::{self, intent_of};
use crate::target;

/// `rollback`
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// A database: mongodb/my-db, mg/my-db, "mongodb my-db"
    #[arg(required = true, num_args = 1..=2, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Go back to before this OpsRequest, not to before the newest that changed a size or a number
    #[arg(long, value_name = "OPSREQUEST")]
    pub to: Option<String>,
    /// Show what would be asked for, and send nothing
    #[arg(long)]
    pub plan: bool,
    #[command(flatten)]
    pub send: SendArgs,
}

/// Goes back; answers the exit code.
///
/// # Errors
/// Where there is no way back, or the cluster cannot be asked.
pub async fn run(args: &RollbackArgs, global: &Global) -> Result<u8, Failure> {
    let target = target::one(&args.targets).map_err(usage)?;
    let cluster = change::cluster(global).await?;
    let namespace = global.namespace.as_deref().unwrap_or(&cluster.default_namespace);
    let mut job = change::plain_job(dbscale_core::plan::Intent::default(), &args.send.follow, global);
    job.name.clone_from(&args.send.name);
    let (dossier, user) = futures::join!(dossier::read(&cluster, &target, namespace), run::who(&cluster, &job));
    job.preflight = args.send.checks.choice();
    let mut dossier = dossier?;
    idle(&dossier)?;
    let past = chosen(&dossier, args.to.as_deref())?;
    let database = dossier.database();
    let mut spec = spec(&dossier, &past)?;
    let wait_for_none = (!database.is_ready()).then(|| "Always".to_owned());
    if let Some(apply) = args.send.apply.clone().or(wait_for_none) {
        spec["apply"] = json!(apply);
    }
    let stamp = run::stamp(&job, user, 0);
    let pods = dossier.pods.as_deref();
    let marks = [(ROLLBACK_OF, past.name.as_str())];
    let plan = resend(&dossier.subject.facts, &spec, &marks, &stamp, pods);
    let plan = plan.ok_or_else(|| no_way(&past, "its engine has no such OpsRequest any more"))?;
    let mut plan = run::around::checked_now(&cluster, &job, &mut dossier.subject, plan).await;
    // It compares with the object, and a run that failed has left that as it was.
    plan.findings.retain(|finding| finding.rule.0 != "change/none");
    if plan.is_refused() {
        return Err(failure::of_findings(plan.findings));
    }
    if !args.plan {
        told(&dossier, &past, &plan);
    }
    if args.plan {
        dossier.subject.warnings.iter().for_each(|warning| output::warning(warning));
        return Ok(shown(&dossier, &past, &plan, args, global));
    }
    job.intent = intent_of(&plan);
    let make = |_: &run::Subject, _: usize| Ok((plan.clone(), stamp.clone()));
    Ok(change::send(&cluster, job, vec![dossier.subject], &make, true, global).await)
}

/// Refuses beside an operation that is active: nobody knows what it leaves behind.
///
/// # Errors
/// Where one is.
fn idle(dossier: &Dossier) -> Result<(), Failure> {
    let Some(active) = dossier.seen.requests.iter().find(|found| found.operation.is_active()) else { return Ok(()) };
    let (name, phase) = (&active.operation.name, active.phase());
    let verb = if phase == Phase::Progressing { "wait" } else { "cancel" };
    Err(Failure {
        exit_code: EXIT_ACTIVE,
        message: format!("{name} ({}) is {phase}: what it leaves behind is not known yet", active.operation.ops_type),
        remedy: format!("go back when it has ended: kubectl dbscale {verb} {name} -n {}", active.namespace),
        ..Failure::default()
    })
}

/// The operation to go back from: the one that is named, else the newest that changed a size or a number.
fn chosen(dossier: &Dossier, named: Option<&str>) -> Result<Past, Failure> {
    let history = dossier.history();
    let told = |message: String, remedy: &str| Failure {
        exit_code: EXIT_ERROR,
        message,
        remedy: format!(
            "{remedy}: kubectl dbscale history {} -n {}",
            dossier.database().target(),
            dossier.subject.namespace
        ),
        ..Failure::default()
    };
    let target = dossier.database().target();
    let ran = |past: &&Past| [Phase::Successful.word(), Phase::Failed.word()].contains(&past.outcome.as_str());
    let Some(name) = named else {
        let scales = |past: &&Past| {
            [VERTICAL.ops_type, HORIZONTAL.ops_type, VOLUME.ops_type, STORAGE_PATCH].contains(&past.ops_type.as_str())
        };
        let newest = history.iter().filter(ran).find(scales).cloned();
        let newest =
            newest.ok_or_else(|| told(format!("{target} has no operation to go back from"), "see what is known"))?;
        let noted =
            dossier.request(&newest.name).and_then(|found| Request::of(found.engine, &found.object)?.rollback_of);
        // The way back from a way back would bring again what somebody wanted to be rid of.
        if let Some(from) = gone_back_from(&newest, noted.as_deref(), &history) {
            return Err(told(
                format!("the newest, {}, is itself the way back from {from}", newest.name),
                "say with --to from which to go back",
            ));
        }
        return Ok(newest);
    };
    let past = history.into_iter().find(|past| past.name == name);
    let past =
        past.ok_or_else(|| told(format!("{target} has no operation called {name} that has ended"), "see them"))?;
    if ran(&&past) { Ok(past) } else { Err(no_way(&past, "it changed nothing")) }
}

/// What an operation went back from, where it was itself a rollback: as its OpsRequest notes it, else as the record does.
fn gone_back_from<'p>(past: &Past, noted: Option<&'p str>, history: &'p [Past]) -> Option<&'p str> {
    let recorded = || history.iter().find(|p| p.rollback.as_ref().is_some_and(|back| back.name == past.name));
    noted.or_else(|| Some(recorded()?.name.as_str()))
}

/// What is asked for: the values that its OpsRequest noted, else those that the record holds.
fn spec(dossier: &Dossier, past: &Past) -> Result<Value, Failure> {
    if [VOLUME.ops_type, STORAGE_PATCH].contains(&past.ops_type.as_str()) {
        return Err(Failure {
            exit_code: EXIT_REFUSED,
            remedy: "go back from an earlier one with --to, or restore a backup into a smaller database".to_owned(),
            ..no_way(past, "volumes only grow")
        });
    }
    if ![VERTICAL.ops_type, HORIZONTAL.ops_type].contains(&past.ops_type.as_str()) {
        return Err(no_way(past, "only sizes and numbers can be asked for again"));
    }
    let noted = dossier.request(&past.name).and_then(|found| Request::of(found.engine, &found.object)?.before);
    let noted = noted.and_then(|text| serde_json::from_str(&text).ok());
    let before: Value = match noted {
        Some(before) => before,
        None => rollback::noted(dossier.database(), past).map_err(|why| unknown(dossier, past, &why))?,
    };
    rollback::back(dossier.database(), &past.ops_type, &before).map_err(|why| no_way(past, &why))
}

/// Nobody knows what was before.
fn unknown(dossier: &Dossier, past: &Past, why: &str) -> Failure {
    let lack = dossier.record.lack().map(|lack| format!(", and {lack}")).unwrap_or_default();
    no_way(past, &format!("{why}{lack}"))
}

fn no_way(past: &Past, why: &str) -> Failure {
    Failure {
        exit_code: EXIT_ERROR,
        message: format!("there is no way back from {} ({}, {}): {why}", past.name, past.ops_type, past.outcome),
        remedy: "ask for the values that you want with kubectl dbscale set".to_owned(),
        ..Failure::default()
    }
}

/// Tells where it goes back to, before anything is sent.
fn told(dossier: &Dossier, past: &Past, plan: &Plan) {
    eprintln!("Back to what was before {} ({}, {})", past.name, past.ops_type, past.outcome);
    if let Some(note) = note(dossier.database(), plan) {
        eprintln!("{note}");
    }
}

fn note(database: &Database, plan: &Plan) -> Option<String> {
    let there = plan.differences.is_empty();
    there.then(|| format!("The pods of {} have these values; KubeDB is asked all the same.", database.target()))
}

/// Prints the plan; the exit code.
fn shown(dossier: &Dossier, past: &Past, plan: &Plan, args: &RollbackArgs, global: &Global) -> u8 {
    let database = dossier.database();
    match global.output {
        Some(form @ (Output::Json | Output::Yaml)) => {
            let mut value = screen::machine(&dossier.subject, plan);
            value["rollback_of"] = json!(past.name);
            output::machine(form, &value);
        }
        Some(Output::Name) => plan.steps.iter().for_each(|s| data!("{}", screen::resource(&dossier.subject, s))),
        form => {
            screen::screen(database, &dossier.subject, plan, None);
            if form == Some(Output::Wide) {
                screen::objects(plan);
            }
            data!("\nBack to what was before {} ({}, {}).", past.name, past.ops_type, past.outcome);
            if let Some(note) = note(database, plan) {
                data!("{note}");
            }
            output::page_out(&format!("Nothing has been changed. Do it: {}\n", again(database, args, global)));
        }
    }
    0
}

/// The command that does it, with every flag that makes a difference.
fn again(database: &Database, args: &RollbackArgs, global: &Global) -> String {
    let mut again = Again::new(&format!("rollback {} -n {}", database.target(), database.namespace), global);
    again.add("to", args.to.as_deref());
    again.add("apply", args.send.apply.as_deref());
    again.add("name", args.send.name.as_deref());
    again.checks(&args.send.checks);
    again.text()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use dbscale_core::catalog::Catalog;
    use dbscale_core::record::Rollback;
    use rstest::rstest;

    use super::*;
    use crate::cli::{Cli, Command};

    #[rstest]
    #[case::noted("back", Some("bigger"), Some("bigger"))]
    #[case::recorded("back", None, Some("failed"))]
    #[case::none("bigger", None, None)]
    fn a_way_back_is_known_as_one(#[case] name: &str, #[case] noted: Option<&str>, #[case] from: Option<&str>) {
        let past = |name: &str| Past { name: name.to_owned(), ..Past::default() };
        let back = Rollback { name: "back".to_owned(), ..Rollback::default() };
        let history = [past("back"), Past { rollback: Some(back), ..past("failed") }, past("bigger")];
        assert_eq!(gone_back_from(&past(name), noted, &history), from);
    }

    #[test]
    fn what_is_to_be_typed_does_the_same() {
        let object =
            json!({"kind": "MongoDB", "metadata": {"name": "db", "namespace": "demo"}, "spec": {"replicas": 3}});
        let database = Database::of(Catalog::builtin().find("mongodb").unwrap(), &object);
        let flags = "--context prod --kubeconfig /a/b --as ann --to bigger --apply Always --name back --preflight enforce --force quota";
        let line = format!("kubectl-dbscale rollback mg/db --plan {flags}");
        let cli = Cli::try_parse_from(line.split_whitespace()).unwrap();
        let Command::Rollback(args) = cli.command else { panic!("{line} is no rollback") };
        let wanted = format!("kubectl dbscale rollback mongodb/db -n demo {flags}");
        assert_eq!(again(&database, &args, &cli.global), wanted);
    }
}

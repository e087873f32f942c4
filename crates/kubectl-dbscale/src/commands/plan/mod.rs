//! `plan`: what `set` would do, and nothing is changed.

pub mod file;
pub mod screen;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ValueEnum as _;
use dbscale_core::database::Database;
use dbscale_core::plan::{Plan, Stamp};
use serde_json::json;

use super::change::{self, Wanted};
use crate::cli::args::PlanArgs;
use crate::cli::{Global, Output};
use crate::outcome::Failure;
use crate::output::{self, data};
use crate::run::{self, Subject, failure};
use file::PlanFile;

/// The exit code where there are steps, with `--exit-code`.
const STEPS: u8 = 1;
/// The exit code of an error, with `--exit-code`.
const ERROR: u8 = 2;

/// Plans for every target and prints it; answers the exit code.
pub async fn run(wanted: Wanted, args: &PlanArgs, global: &Global) -> u8 {
    let code = |code: u8| if args.exit_code { ERROR } else { code };
    let looked = async {
        let cluster = change::cluster(global).await?;
        change::look(&cluster, &wanted, global).await
    };
    let (subjects, user) = match looked.await {
        Ok(looked) => looked,
        Err(failure) => {
            output::failed("", &failure);
            return code(failure.exit_code);
        }
    };
    let single = subjects.len() == 1 && wanted.targets.iter().all(|t| t.name.is_some());
    let (mut worst, mut steps, mut values) = (0, 0, Vec::new());
    let mut file = PlanFile::new(&wanted.job);
    for (index, subject) in subjects.iter().enumerate() {
        let stamp = run::stamp(&wanted.job, user.clone(), index);
        subject.warnings.iter().for_each(|w| output::warning(w));
        match planned(subject, &wanted, &stamp) {
            Ok(plan) => {
                steps += plan.steps.len();
                file.add(subject, &plan, &stamp);
                match (global.output, subject.database()) {
                    (Some(Output::Json | Output::Yaml), _) => values.push(screen::machine(subject, &plan)),
                    (Some(Output::Name), _) => {
                        plan.steps.iter().for_each(|s| data!("{}", screen::resource(subject, s)));
                    }
                    (form, Some(database)) => {
                        if index > 0 {
                            data!("");
                        }
                        screen::screen(database, subject, &plan, args.set.size.size.as_deref());
                        if form == Some(Output::Wide) {
                            screen::objects(&plan);
                        }
                        data!("\nNothing has been changed.{}", again(database, &plan, args, global));
                    }
                    _ => {}
                }
            }
            Err(failure) => {
                output::failed(&format!("{}/{}", subject.engine.name, subject.name), &failure);
                worst = worst.max(failure.exit_code);
                values.push(json!({
                    "engine": subject.engine.name, "namespace": subject.namespace, "name": subject.name,
                    "error": output::error_of(&failure),
                }));
            }
        }
    }
    if let Some(form @ (Output::Json | Output::Yaml)) = global.output {
        match values.as_slice() {
            [_] if single && worst > 0 => {} // the error stands on stderr
            [only] if single => output::machine(form, only),
            several => output::machine(form, &json!({"results": several})),
        }
    }
    if let (Some(out), 0) = (&args.out, worst)
        && let Err(failure) = file.write(out)
    {
        output::failed("", &failure);
        return code(failure.exit_code);
    }
    match (worst, args.exit_code) {
        (0, true) if steps > 0 => STEPS,
        (0, _) => 0,
        (worst, _) => code(worst),
    }
}

fn planned(subject: &Subject, wanted: &Wanted, stamp: &Stamp) -> Result<Plan, Failure> {
    let plan = run::plan_for(subject, &wanted.job, stamp)?;
    if plan.is_refused() {
        return Err(failure::of_findings(plan.findings));
    }
    let steps = run::execute::unasked(&plan, subject, wanted.job.combined);
    Ok(Plan { steps, ..plan })
}

/// The command that does it, with every flag that makes a difference.
fn again(database: &Database, plan: &Plan, args: &PlanArgs, global: &Global) -> String {
    if plan.steps.is_empty() {
        return String::new();
    }
    let set = &args.set;
    let path = |path: Option<&PathBuf>| path.map(|p| p.display().to_string());
    let connection = [
        ("context", global.context.clone()),
        ("kubeconfig", path(global.kubeconfig.as_ref())),
        ("as", global.impersonate.clone()),
    ];
    let add = |text: &mut String, flag: &str, value: &str| {
        let _ = write!(text, " --{flag} {}", quoted(value));
    };
    if let Some(out) = path(args.out.as_ref()) {
        let mut text = format!(" Do it: kubectl dbscale apply {}", quoted(&out));
        for (flag, value) in connection.iter().filter_map(|(flag, value)| Some((flag, value.as_ref()?))) {
            add(&mut text, flag, value);
        }
        return text;
    }
    let mut text = format!(" Do it: kubectl dbscale set {} -n {}", database.target(), database.namespace);
    let flags = [
        ("component", set.change.component.clone()),
        ("shards", set.count.shards.map(|n| n.to_string())),
        ("replicas", set.count.replicas.map(|n| n.to_string())),
        ("size", set.size.size.clone()),
        ("sizes", path(set.size.sizes.as_ref())),
        ("cpu", set.size.cpu.clone()),
        ("memory", set.size.memory.clone()),
        ("storage", set.storage.clone()),
        ("apply", set.change.apply.clone()),
        ("timeout", set.change.timeout.clone()),
        ("max-retries", set.change.max_retries.map(|n| n.to_string())),
        ("name", set.change.name.clone()),
        ("combined", set.combined.to_possible_value().map(|v| v.get_name().to_owned()).filter(|v| v != "auto")),
    ];
    for (flag, value) in connection.into_iter().chain(flags).filter_map(|(flag, value)| Some((flag, value?))) {
        add(&mut text, flag, &value);
    }
    if set.ordered {
        text.push_str(" --ordered");
    }
    text
}

/// A value as a shell takes it for one word.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests;

//! `plan`: what `set` would do, and nothing is changed.

pub mod file;
pub mod screen;

use std::path::{Path, PathBuf};

use clap::ValueEnum as _;
use dbscale_core::database::Database;
use dbscale_core::plan::{Plan, Stamp};
use serde_json::json;

use super::again::{Again, quoted};
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
    let (_, subjects, user) = match change::ready(&wanted, global).await {
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
                        if args.out.is_none() {
                            output::page_out(&format!(
                                "\nNothing has been changed.{}\n",
                                again(database, &plan, args, global)
                            ));
                        }
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
    if let Some(out) = &args.out {
        // A part of what was asked for is no plan to be carried out.
        let written = if worst == 0 { file.write(out) } else { Ok(()) };
        if matches!(global.output, None | Some(Output::Wide)) {
            output::page_out(&format!("\n{}\n", applied(out, worst == 0 && written.is_ok(), steps, global)));
        }
        if let Err(failure) = written {
            output::failed("", &failure);
            return code(failure.exit_code);
        }
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
    Ok(run::execute::unasked(&plan, subject, wanted.job.combined))
}

/// The command that does it.
fn again(database: &Database, plan: &Plan, args: &PlanArgs, global: &Global) -> String {
    if plan.steps.is_empty() {
        return String::new();
    }
    let set = &args.set;
    let path = |path: Option<&PathBuf>| path.map(|p| p.display().to_string());
    let mut again = Again::new(&format!("set {} -n {}", database.target(), database.namespace), global);
    for (flag, value) in [
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
    ] {
        again.add(flag, value.as_deref());
    }
    again.checks(&set.change.checks);
    format!(" Do it: {}{}", again.text(), if set.ordered { " --ordered" } else { "" })
}

/// What is said where there was to be a file; `written` tells whether it is there.
fn applied(out: &Path, written: bool, steps: usize, global: &Global) -> String {
    let file = quoted(&out.display().to_string());
    match (written, steps) {
        (false, _) => format!("Nothing has been changed, and {file} has not been written."),
        (true, 0) => "Nothing has been changed.".to_owned(),
        (true, _) => {
            let again = Again::new(&format!("apply {file}"), global).text();
            format!("Nothing has been changed. Do it: {again}")
        }
    }
}

#[cfg(test)]
mod tests;

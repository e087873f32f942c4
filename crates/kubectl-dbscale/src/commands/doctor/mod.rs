//! `doctor`: whether all is as it should be. Each check says what it found and, where something is amiss, what to do next.

mod installation;
mod operations;
mod surroundings;
mod webhook;

use std::time::Duration;

use anstyle::Style;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::change;
use crate::cli::{Global, Output};
use crate::outcome::Failure;
use crate::output::{self, GREEN, RED, YELLOW};
use crate::run::failure::{EXIT_ERROR, usage};
use crate::status::survey::{self, Survey};
use crate::target;
use crate::values;

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Databases, or engines; all databases of the namespace unless given
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// After how long an operation that has not ended, or not begun, counts as stuck
    #[arg(long, value_parser = values::duration, default_value = "10m", value_name = "DURATION")]
    pub stuck_after: Duration,
}

/// What a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Broken,
    /// It could not be found out.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: `Webhook`.
    pub area: &'static str,
    /// What was found.
    pub verdict: Verdict,
    /// The same for people; a sentence without its full stop.
    pub message: String,
    /// What to do next; may be empty.
    pub next: String,
}

impl Check {
    fn new(area: &'static str, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { area, verdict, message: message.into(), next: String::new() }
    }

    /// The same with what to do next.
    #[must_use]
    fn next(self, next: impl Into<String>) -> Self {
        Self { next: next.into(), ..self }
    }
}

/// Looks at everything; answers the exit code.
///
/// # Errors
/// Where the cluster cannot be asked at all.
pub async fn run(args: &DoctorArgs, global: &Global) -> Result<u8, Failure> {
    // An engine alone means all of the namespace: nothing is changed that would have to be named exactly.
    let engines_alone = args.targets.iter().all(|word| target::engine_of(word).is_ok());
    let selected = global.selected().or(engines_alone.then_some("-A"));
    let targets = target::parse(&args.targets, selected).map_err(usage)?;
    let cluster = change::cluster(global).await?;
    let namespace = global.namespace_in(&cluster);
    let engines = cluster.engines().await.map_err(|failure| crate::run::failure::of_any_api(&failure))?;
    // Without KubeDB there is nothing that could be in order.
    let survey = match engines.as_slice() {
        [] => Survey::default(),
        _ => survey::survey(&cluster, &targets, namespace, global.selector.as_deref()).await,
    };
    let mut checks = installation::checks(&cluster, &engines, &survey, namespace).await;
    if !engines.is_empty() {
        checks.extend(unread(&survey));
        checks.extend(surroundings::checks(&cluster, &engines, &survey, namespace).await);
        if !survey.seen.is_empty() || survey.failures.is_empty() {
            checks.extend(operations::checks(&cluster, &survey, args.stuck_after).await);
            if !targets.is_empty() {
                checks.extend(operations::drifts(&cluster, &survey).await);
            }
        }
    }
    let code = survey.failures.iter().map(|failure| failure.exit_code).max().unwrap_or_default();
    tell(&checks, global);
    let is_broken = checks.iter().any(|check| check.verdict == Verdict::Broken);
    Ok(if is_broken { code.max(EXIT_ERROR) } else { code })
}

/// What could not be read, so that no check speaks for it.
fn unread(survey: &Survey) -> Vec<Check> {
    let area = "Databases";
    let failures = survey
        .failures
        .iter()
        .map(|failure| Check::new(area, Verdict::Unknown, failure.message.clone()).next(failure.remedy.clone()));
    let warnings = survey.warnings.iter().map(|warning| Check::new(area, Verdict::Unknown, warning.clone()));
    failures.chain(warnings).collect()
}

fn tell(checks: &[Check], global: &Global) {
    if let Some(form @ (Output::Json | Output::Yaml)) = global.output {
        let broken = checks.iter().filter(|check| check.verdict == Verdict::Broken).count();
        output::machine(form, &json!({"broken": broken, "checks": checks}));
        return;
    }
    for check in checks {
        let (word, style) = match check.verdict {
            Verdict::Ok => ("ok", GREEN),
            Verdict::Warning => ("warning", YELLOW),
            Verdict::Broken => ("broken", RED),
            Verdict::Unknown => ("unknown", Style::new()),
        };
        let message = check.message.replace('\n', "\n                        ");
        output::page_out(&format!("{:<11}  {style}{word:<7}{style:#}  {message}\n", check.area));
        if !check.next.is_empty() {
            output::page_out(&format!("                      Next: {}\n", check.next));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_is_told() {
        let missing = Failure { exit_code: 3, message: "mg/typo is missing".to_owned(), ..Failure::default() };
        let survey =
            Survey { failures: vec![missing], warnings: vec!["left out: Redis".to_owned()], ..Survey::default() };
        let told: Vec<_> = unread(&survey).into_iter().map(|check| (check.verdict, check.message)).collect();
        let wanted = ["mg/typo is missing", "left out: Redis"].map(|text| (Verdict::Unknown, text.to_owned()));
        assert_eq!(told, wanted);
    }
}

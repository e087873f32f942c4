//! `doctor`: whether all is as it should be. Each check says what it found and, where something is amiss, what to do next.

mod installation;
mod operations;
mod surroundings;

use std::time::Duration;

use anstyle::Style;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::change;
use crate::cli::{Global, Output};
use crate::outcome::Failure;
use crate::output::{self, GREEN, RED, YELLOW, data};
use crate::run::failure::{EXIT_ERROR, usage};
use crate::status::survey;
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
/// Where the cluster cannot be asked at all, or a database that is named is missing.
pub async fn run(args: &DoctorArgs, global: &Global) -> Result<u8, Failure> {
    // An engine alone means all of the namespace: nothing is changed that would have to be named exactly.
    let engines_alone = args.targets.iter().all(|word| target::engine_of(word).is_ok());
    let selected = global.selected().or(engines_alone.then_some("-A"));
    let targets = target::parse(&args.targets, selected).map_err(usage)?;
    let cluster = change::cluster(global).await?;
    let namespace = global.namespace_in(&cluster);
    let engines = cluster.engines().await.map_err(|failure| crate::run::failure::of_any_api(&failure))?;
    let mut checks = installation::checks(&cluster, &engines, namespace).await;
    // Without KubeDB there is nothing that could be in order.
    if !engines.is_empty() {
        let survey = survey::survey(&cluster, &targets, namespace, global.selector.as_deref()).await?;
        checks.extend(surroundings::checks(&cluster, &engines, &survey, namespace).await);
        checks.extend(operations::checks(&cluster, &survey, namespace, args.stuck_after).await);
        if !targets.is_empty() {
            checks.extend(operations::drifts(&cluster, &survey).await);
        }
    }
    tell(&checks, global);
    let is_broken = checks.iter().any(|check| check.verdict == Verdict::Broken);
    Ok(if is_broken { EXIT_ERROR } else { 0 })
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
        data!(
            "{:<11}  {style}{word:<7}{style:#}  {}",
            check.area,
            check.message.replace('\n', "\n                        ")
        );
        if !check.next.is_empty() {
            data!("                      Next: {}", check.next);
        }
    }
}

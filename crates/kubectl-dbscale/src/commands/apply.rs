//! `apply`: carries out a plan that `plan --out` has written, as long as all is as it was then.

use std::path::PathBuf;

use clap::Args;
use dbscale_core::plan::{Intent, Plan, Stamp};
use dbscale_core::preflight::{Choice, Mode};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::change;
use super::plan::file::{Part, PlanFile};
use crate::cli::args::{CheckArgs, FollowArgs};
use crate::cli::{DryRun, Global};
use crate::outcome::Failure;
use crate::run::failure::{self, EXIT_ERROR, usage};
use crate::run::{self, Job, Subject};
use crate::target::{self, Target};

/// How many databases are looked at at a time.
const PARALLEL: usize = 16;

/// `apply`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// What `plan --out` has written; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    pub checks: CheckArgs,
    #[command(flatten)]
    pub follow: FollowArgs,
}

/// Carries out the plan; answers the exit code.
///
/// # Errors
/// Where the file is no plan, the cluster cannot be read, or something is no longer as the plan saw it.
pub async fn run(args: &ApplyArgs, global: &Global) -> Result<u8, Failure> {
    let file = PlanFile::read(&args.file)?;
    let mut job = change::plain_job(Intent::default(), &args.follow, global);
    job.preflight = args.checks.choice();
    job.parallel = PARALLEL;
    file.fill(&mut job)?;
    let cluster = change::cluster(global).await?;
    // What is around them is read once for all, below.
    let unchecked = Job { preflight: Choice { mode: Mode::Off, ..Choice::default() }, ..job.clone() };
    let look = |part: &Part| {
        let (engine, namespace) = (target::engine_of(&part.engine), part.namespace.clone());
        let name = Some(part.name.clone());
        let (cluster, job) = (&cluster, &unchecked);
        async move {
            let target = Target { engine: engine.map_err(usage)?, name };
            run::look(cluster, job, &[target], Some(&namespace), None).await
        }
    };
    let looks = stream::iter(file.databases.iter().map(look)).buffered(PARALLEL).try_collect::<Vec<_>>();
    let (looked, user) = futures::join!(looks, run::who(&cluster, &job));
    let mut subjects: Vec<Subject> = looked?.into_iter().flatten().collect();
    run::around::read(&cluster, &job, &mut subjects).await;
    let mut plans: Vec<(Plan, Stamp)> = Vec::new();
    let mut stale: Vec<String> = Vec::new();
    for (part, subject) in file.databases.iter().zip(&subjects) {
        let changed = part.changed(subject);
        if changed.is_empty() {
            let stamp = part.stamp(&job, user.clone());
            let plan = run::plan_for(subject, &job, &stamp)?;
            if part.is_made_by(subject, &plan, &job) {
                plans.push((plan, stamp));
                continue;
            }
        }
        let target = format!("{}/{} in {}", part.engine, part.name, part.namespace);
        let told = if changed.is_empty() { vec!["other steps lead there now".to_owned()] } else { changed };
        stale.extend(told.into_iter().map(|what| format!("{target}: {what}")));
    }
    if !stale.is_empty() {
        return Err(Failure {
            exit_code: EXIT_ERROR,
            message: format!("the present is not what the plan saw; nothing was changed\n{}", stale.join("\n")),
            remedy: "make a new plan, and read it".to_owned(),
            ..Failure::default()
        });
    }
    if let Some((plan, _)) = plans.iter().find(|(plan, _)| plan.is_refused()) {
        return Err(failure::of_findings(plan.findings.clone()));
    }
    if subjects.len() > 1 && global.dry_run == DryRun::None {
        change::confirm(&subjects, global)?;
    }
    let single = subjects.len() == 1;
    let make = |_: &Subject, index: usize| Ok(plans[index].clone());
    Ok(change::send(&cluster, job, subjects, &make, single, global).await)
}

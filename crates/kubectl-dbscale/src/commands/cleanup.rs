//! `cleanup`: deletes finished OpsRequests that need not stay, as the controller does by itself.

use std::time::Duration;

use anstream::eprintln;
use clap::Args;
use dbscale_core::record::{self, Request, Status};
use dbscale_core::retention::{self, Policy};
use jiff::{SignedDuration, Timestamp};

use super::change;
use crate::cli::{DryRun, Global};
use crate::outcome::Failure;
use crate::run::failure::{self, usage};
use crate::run::find::Found;
use crate::run::{records, remove};
use crate::status::survey::{self, Seen};
use crate::{output, target, values};

/// `cleanup`
#[derive(Debug, Args)]
pub struct CleanupArgs {
    /// Databases, or engines with -l or -A; with -A alone those of all engines
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// How many finished OpsRequests of a database stay, the newest
    #[arg(long, value_name = "N", default_value_t = Policy::default().keep)]
    pub keep: usize,
    /// Take away those too that ended longer ago (12h, 168h)
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub older_than: Option<Duration>,
}

/// Takes away what need not stay; answers the exit code.
///
/// # Errors
/// Where nothing can be looked at, or nobody confirms it.
pub async fn run(args: &CleanupArgs, global: &Global) -> Result<u8, Failure> {
    if args.targets.is_empty() && global.selected().is_none() {
        return Err(usage("say of which databases: ENGINE/NAME, or -A or -l for all that match"));
    }
    let targets = target::parse(&args.targets, global.selected()).map_err(usage)?;
    let cluster = change::cluster(global).await?;
    let namespace = global.namespace_in(&cluster);
    let survey = survey::databases(&cluster, &targets, namespace, global.selector.as_deref()).await?;
    survey.warnings.iter().for_each(|warning| output::warning(warning));
    let records = records::all(&cluster, namespace).await.map_err(|failure| failure::of_any_api(&failure))?;
    let age = args.older_than.map(|age| SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX));
    let policy = Policy { keep: args.keep, age, ..Policy::default() };
    let (mut old, mut unrecorded) = (Vec::new(), 0);
    for seen in survey.seen {
        let key = (seen.database.namespace.clone(), record::name(&seen.database.engine.name, &seen.database.name));
        let recorded = records.get(&key);
        let of_database = superfluous(seen, recorded, &policy);
        unrecorded += if recorded.is_none() { of_database.len() } else { 0 };
        old.extend(of_database);
    }
    if unrecorded > 0 {
        eprintln!("No record holds the history of {unrecorded} of them: what they did is told nowhere else.");
    }
    let asks = !args.targets.iter().any(|word| word.contains('/')) || args.targets.len() > 1;
    if asks && old.len() > 1 && global.dry_run == DryRun::None {
        let names: Vec<String> =
            old.iter().map(|found| format!("{}/{}", found.namespace, found.operation.name)).collect();
        change::confirmed(&names, "OpsRequests", ["Delete", "deleted"], global)?;
    }
    let mut failures = survey.failures;
    let mut deleted = Vec::new();
    for found in old {
        match remove::remove(&cluster, &found, global).await {
            Ok(_) => deleted.push(found),
            Err(failure) => failures.push(failure::of_api(&failure, found.engine)),
        }
    }
    if deleted.is_empty() && failures.is_empty() {
        eprintln!("There is nothing to take away.");
    }
    remove::tell(&deleted, "deleted", false, global);
    Ok(output::all_failed(&failures))
}

/// What need not stay of a database. Where a record is kept, only what it holds.
fn superfluous(seen: Seen, recorded: Option<&Status>, policy: &Policy) -> Vec<Found> {
    let read = |found: Found| Some((Request::of(found.engine, &found.object)?, found));
    let mut requests: Vec<(Request, Found)> = seen.requests.into_iter().filter_map(read).collect();
    let all: Vec<&Request> = requests.iter().map(|(request, _)| request).collect();
    let old = match recorded {
        Some(recorded) => retention::deletable(&all, recorded, policy, Timestamp::now()),
        None => retention::superfluous(&all, policy, Timestamp::now()),
    };
    let uids: Vec<Box<str>> = old.iter().map(|request| request.uid.clone()).collect();
    requests.retain(|(request, _)| uids.contains(&request.uid));
    requests.into_iter().map(|(_, found)| found).collect()
}

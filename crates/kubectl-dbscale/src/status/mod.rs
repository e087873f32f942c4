//! `status`: how databases stand, and what is under way.

pub mod survey;
pub mod text;
pub mod view;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use anstream::eprintln;
use clap::Args;
use dbscale_cluster::Cluster;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::{Global, Output};
use crate::commands::change;
use crate::commands::reference::read_sizes;
use crate::outcome::Failure;
use crate::output::{self, data};
use crate::run::failure::usage;
use crate::target::{self, Target};
use survey::Survey;
use text::Columns;
use view::Status;

/// How often `-w` looks. No watch: what is told of a database comes from it, its OpsRequests, workloads and claims, of 32 kinds.
const LOOK: Duration = Duration::from_secs(2);

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Databases, or engines; all databases of the namespace unless given
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Go on, and tell again what changes; looks every two seconds
    #[arg(short, long)]
    pub watch: bool,
    /// A file with more size classes
    #[arg(long, value_name = "FILE")]
    pub sizes: Option<PathBuf>,
}

/// Tells how databases stand; answers the exit code.
///
/// # Errors
/// Where the cluster cannot be read at all.
pub async fn run(args: &StatusArgs, global: &Global) -> Result<u8, Failure> {
    // An engine alone means all of the namespace: nothing is changed that would have to be named exactly.
    let engines_alone = args.targets.iter().all(|word| target::engine_of(word).is_ok());
    let selected = global.selected().or(engines_alone.then_some("-A"));
    let targets = target::parse(&args.targets, selected).map_err(usage)?;
    let sizes = read_sizes(args.sizes.as_ref())?;
    let cluster = change::cluster(global).await?;
    let mut seen = HashMap::new();
    let mut is_first = true;
    loop {
        let namespace = global.namespace_in(&cluster);
        let survey = survey::survey(&cluster, &targets, namespace, global.selector.as_deref()).await?;
        let all: Vec<Status> = survey.seen.iter().map(|seen| Status::of(seen, &sizes)).collect();
        let code = if is_first { told_problems(&survey, &all, &cluster, global) } else { 0 };
        let changed = |status: &Status| seen.get(&key(status)) != Some(status);
        let changed: Vec<bool> = all.iter().map(changed).collect();
        print(&all, &changed, args, global, is_first, &targets);
        if !args.watch || output::reader_is_gone() {
            return Ok(code);
        }
        seen = all.into_iter().map(|status| (key(&status), status)).collect();
        is_first = false;
        tokio::time::sleep(LOOK).await;
    }
}

fn key(status: &Status) -> (String, String, String) {
    (status.namespace.clone(), status.engine.clone(), status.name.clone())
}

/// Tells on stderr what could not be read; the exit code for it.
fn told_problems(survey: &Survey, all: &[Status], cluster: &Cluster, global: &Global) -> u8 {
    survey.warnings.iter().for_each(|warning| output::warning(warning));
    let code = output::all_failed(&survey.failures);
    if all.is_empty() {
        let place = global.namespace_in(cluster).map_or_else(String::new, |n| format!(" in namespace {n}"));
        let chosen = global.selector.as_ref().map_or_else(String::new, |s| format!(" with {s}"));
        eprintln!("There is no database{place}{chosen}.");
    }
    code
}

fn print(all: &[Status], changed: &[bool], args: &StatusArgs, global: &Global, first: bool, targets: &[Target]) {
    let news = || all.iter().zip(changed).filter(|(_, changed)| **changed).map(|(status, _)| status);
    match global.output {
        Some(form @ (Output::Json | Output::Yaml)) => {
            let value = |status: &Status| serde_json::to_value(status).unwrap_or_default();
            let single = targets.len() == 1 && targets[0].name.is_some();
            if args.watch {
                for status in news() {
                    if form == Output::Yaml {
                        data!("---");
                    }
                    output::machine(form, &value(status));
                }
            } else if let ([only], true) = (all, single) {
                output::machine(form, &value(only));
            } else {
                output::machine(form, &json!({"results": all.iter().map(value).collect::<Vec<Value>>()}));
            }
        }
        Some(Output::Name) => {
            news().for_each(|status| data!("{}.kubedb.com/{}", status.engine, status.name));
        }
        _ => {
            let wide = global.output == Some(Output::Wide);
            let columns = Columns { namespaces: global.all_namespaces, wide, now: Timestamp::now() };
            let (header, blocks) = text::blocks(all, columns);
            if first && !all.is_empty() {
                data!("{header}");
            }
            let blocks = blocks.iter().zip(changed).filter(|(_, changed)| **changed);
            output::text_out(&blocks.map(|(block, _)| block.as_str()).collect::<String>());
        }
    }
}

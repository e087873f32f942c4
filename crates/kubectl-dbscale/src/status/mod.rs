//! `status`: how databases stand, and what is under way.

pub mod survey;
pub mod text;
pub mod view;
mod watch;

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
use crate::target;
use survey::Survey;
use text::Columns;
use view::Status;
use watch::Told;

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
    let namespace = global.namespace_in(&cluster);
    let look = async || {
        let survey = survey::survey(&cluster, &targets, namespace, global.selector.as_deref()).await;
        let all: Vec<Status> = survey.seen.iter().map(|seen| Status::of(seen, &sizes)).collect();
        (survey, all)
    };
    let (survey, all) = look().await;
    let survey = survey.or_failure()?;
    let code = told_problems(&survey, &all, &cluster, global);
    let shown = Shown { global, single: targets.len() == 1 && targets[0].name.is_some(), watch: args.watch };
    shown.print(&all, &vec![true; all.len()], !all.is_empty());
    if !args.watch {
        return Ok(code);
    }
    let mut told = Told::new(&survey, all);
    while !output::reader_is_gone() {
        tokio::time::sleep(LOOK).await;
        let (survey, all) = look().await;
        let was_empty = told.is_empty();
        let news = told.compare(&survey, all);
        for word in &news.words {
            output::say(word);
        }
        for warning in &news.warnings {
            output::warning(warning);
        }
        let _ = output::all_failed(&news.failures);
        shown.print(&news.all, &news.changed, was_empty && !news.all.is_empty());
        for gone in &news.gone {
            shown.print_gone(gone);
        }
    }
    Ok(code)
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

/// How databases are printed.
struct Shown<'a> {
    global: &'a Global,
    /// Whether one database was named.
    single: bool,
    watch: bool,
}

impl Shown<'_> {
    /// Prints what has changed.
    fn print(&self, all: &[Status], changed: &[bool], with_header: bool) {
        let news = || all.iter().zip(changed).filter(|(_, changed)| **changed).map(|(status, _)| status);
        match self.global.output {
            Some(form @ (Output::Json | Output::Yaml)) => {
                let value = |status: &Status| serde_json::to_value(status).unwrap_or_default();
                if self.watch {
                    news().for_each(|status| print_next(form, &value(status)));
                } else if let ([only], true) = (all, self.single) {
                    output::machine(form, &value(only));
                } else {
                    output::machine(form, &json!({"results": all.iter().map(value).collect::<Vec<Value>>()}));
                }
            }
            Some(Output::Name) => {
                news().for_each(|status| data!("{}.kubedb.com/{}", status.engine, status.name));
            }
            _ => {
                let wide = self.global.output == Some(Output::Wide);
                let columns = Columns { namespaces: self.global.all_namespaces, wide, now: Timestamp::now() };
                let (header, blocks) = text::blocks(all, columns);
                if with_header {
                    data!("{header}");
                }
                let blocks = blocks.iter().zip(changed).filter(|(_, changed)| **changed);
                output::page_out(&blocks.map(|(block, _)| block.as_str()).collect::<String>());
            }
        }
    }

    /// Prints that a database is there no longer.
    fn print_gone(&self, status: &Status) {
        let place = if self.global.all_namespaces { format!(" in {}", status.namespace) } else { String::new() };
        let or = self.global.selector.as_ref().map(|labels| format!(", or no longer has {labels}"));
        let text = format!("{}{place} is gone{}", status.target(), or.unwrap_or_default());
        match self.global.output {
            Some(form @ (Output::Json | Output::Yaml)) => {
                let (engine, namespace, name) = (&status.engine, &status.namespace, &status.name);
                print_next(form, &json!({"engine": engine, "namespace": namespace, "name": name, "gone": true}));
            }
            // A name on stdout is one that is there.
            Some(Output::Name) => eprintln!("{text}"),
            _ => data!("{text}"),
        }
    }
}

/// Prints one value of a row of them.
fn print_next(form: Output, value: &Value) {
    if form == Output::Yaml {
        data!("---");
    }
    output::machine(form, value);
}

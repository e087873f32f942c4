//! The command line.

pub mod args;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use dbscale_cluster::Cluster;

use crate::cli::args::{HorizontalArgs, PlanArgs, SetArgs, StorageArgs, VerticalArgs};
use crate::commands::apply::ApplyArgs;
use crate::commands::cancel::CancelArgs;
use crate::commands::cleanup::CleanupArgs;
use crate::commands::completion::CompletionArgs;
use crate::commands::describe::DescribeArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::history::HistoryArgs;
use crate::commands::lint::LintArgs;
use crate::commands::policy::PolicyArgs;
use crate::commands::retry::RetryArgs;
use crate::commands::rollback::RollbackArgs;
use crate::commands::version::VersionArgs;
use crate::commands::wait::WaitArgs;
use crate::help;
use crate::status::StatusArgs;
use crate::values;
use crate::webhook::WebhookArgs;

/// The program's name as most people type it.
const PROGRAM: &str = "kubectl dbscale";

/// Scale KubeDB databases safely: size, members, shards and storage.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl dbscale",
    bin_name = "kubectl dbscale",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(
    after_help = "Examples:\n  kubectl dbscale vertical mongodb/my-db --size db.t3.medium\n  kubectl dbscale storage postgres/crm --to 50Gi"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Where and how.
    #[command(flatten)]
    pub global: Global,
}

impl Cli {
    /// Reads the process's own command line. Wrong use ends the process, as clap has it, with 2.
    #[must_use]
    pub fn of_process() -> Self {
        let program = program(std::env::args_os().next().as_deref());
        let mut command = named(Self::command(), &program);
        let read = command.try_get_matches_from_mut(std::env::args_os());
        read.and_then(|matches| Self::from_arg_matches(&matches))
            .unwrap_or_else(|error| error.format(&mut command).exit())
    }
}

/// What a person types to get here: `kubectl dbscale` where kubectl found us by our name, else the file's own name.
fn program(argv0: Option<&OsStr>) -> String {
    let stem = argv0.and_then(|path| Path::new(path).file_stem()).map(OsStr::to_string_lossy);
    match stem.as_deref() {
        None | Some("" | "kubectl-dbscale") => PROGRAM.to_owned(),
        Some(other) => other.to_owned(),
    }
}

/// The command line with that name in its usage and examples.
fn named(command: clap::Command, program: &str) -> clap::Command {
    let examples = |command: clap::Command| match command.get_after_help().map(ToString::to_string) {
        Some(text) => command.after_help(text.replace(PROGRAM, program)),
        None => command,
    };
    help::grouped(examples(command).bin_name(program)).mut_subcommands(examples)
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection and output")]
pub struct Global {
    /// The namespace; the context's unless given
    #[arg(short, long, global = true, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The kubeconfig's context to use
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The kubeconfig to use
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Every namespace
    #[arg(short = 'A', long, global = true)]
    pub all_namespaces: bool,
    /// Databases with these labels
    #[arg(short = 'l', long, global = true)]
    pub selector: Option<String>,
    /// The form of the answer
    #[arg(short, long, global = true, value_enum, value_name = "json|yaml|name|wide", hide_possible_values = true)]
    pub output: Option<Output>,
    /// Send nothing (client), or let the server only try (server)
    #[arg(long, global = true, value_enum, default_value = "none", value_name = "none|client|server", hide_possible_values = true, num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// Act as this user
    #[arg(long = "as", global = true, value_name = "USER")]
    pub impersonate: Option<String>,
    /// How long one call may take with all its tries (30s, 2m)
    #[arg(long, global = true, value_parser = values::duration, value_name = "DURATION")]
    pub request_timeout: Option<Duration>,
    /// Who the written fields belong to
    #[arg(long, global = true, default_value = "kubectl-dbscale", value_name = "NAME")]
    pub field_manager: String,
    /// Do not ask before several databases are changed
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// The form of the log on stderr
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        value_name = "text|json",
        hide_possible_values = true
    )]
    pub log_format: LogFormat,
}

impl Global {
    /// The flag that chooses databases without naming them, where there is one.
    #[must_use]
    pub fn selected(&self) -> Option<&'static str> {
        let by_selector = self.selector.as_ref().map(|_| "-l");
        if self.all_namespaces { Some("-A") } else { by_selector }
    }

    /// The namespace to look in; `None` for all.
    #[must_use]
    pub fn namespace_in<'a>(&'a self, cluster: &'a Cluster) -> Option<&'a str> {
        let one = self.namespace.as_deref().unwrap_or(&cluster.default_namespace);
        (!self.all_namespaces).then_some(one)
    }
}

/// The forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `kind.group/name`, a line each.
    Name,
    /// Text with more columns.
    Wide,
    /// Text for people; a form of `lint`, and what every other command does without a form.
    #[value(skip)]
    Text,
    /// One JSON object a line; a form of `history`.
    #[value(skip)]
    Ndjson,
    /// GitHub's workflow commands; a form of `lint`.
    #[value(skip)]
    Github,
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Write.
    None,
    /// Send nothing that writes.
    Client,
    /// Let the server try, and write nothing.
    Server,
}

/// The forms of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people; only with -v.
    Text,
    /// One JSON object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Change CPU and memory
    #[command(
        after_help = "Examples:\n  kubectl dbscale vertical mongodb/my-db --size db.t3.medium\n  kubectl dbscale vertical postgres/crm --memory 8Gi --mode InPlace"
    )]
    Vertical(VerticalArgs),
    /// Change the number of members or shards
    #[command(
        after_help = "Examples:\n  kubectl dbscale horizontal mongodb/my-db --replicas 5\n  kubectl dbscale horizontal redis/cache --shards 6"
    )]
    Horizontal(HorizontalArgs),
    /// Change several things of a database at once
    #[command(
        after_help = "Examples:\n  kubectl dbscale set mongodb/my-db --replicas 5 --size db.t3.large\n  kubectl dbscale set postgres/crm --storage 100Gi --memory 16Gi --ordered"
    )]
    Set(SetArgs),
    /// Grow volumes
    #[command(
        after_help = "Examples:\n  kubectl dbscale storage mongodb/my-db --to 50Gi\n  kubectl dbscale storage elasticsearch/logs --component data --to 200Gi --via ops-request"
    )]
    Storage(StorageArgs),
    /// Show what `set` would do, and change nothing
    #[command(
        after_help = "Examples:\n  kubectl dbscale plan mongodb/my-db --replicas 5 --size db.t3.large\n  kubectl dbscale plan postgres/crm --storage 100Gi --out crm.json"
    )]
    Plan(PlanArgs),
    /// Carry out a plan that `plan --out` has written
    #[command(
        after_help = "Examples:\n  kubectl dbscale plan mongodb/my-db --replicas 5 --out bigger.json\n  kubectl dbscale apply bigger.json --wait"
    )]
    Apply(ApplyArgs),
    /// How databases stand, and what is under way
    #[command(after_help = "Examples:\n  kubectl dbscale status\n  kubectl dbscale status -A -l tier=gold -w")]
    Status(StatusArgs),
    /// Everything about one database on one page
    #[command(
        after_help = "Examples:\n  kubectl dbscale describe mongodb/my-db\n  kubectl dbscale describe postgres/crm -n shop -o json"
    )]
    Describe(DescribeArgs),
    /// What was done to a database, and how it ended
    #[command(
        after_help = "Examples:\n  kubectl dbscale history mongodb/my-db --since 168h\n  kubectl dbscale history postgres/crm -o ndjson"
    )]
    History(HistoryArgs),
    /// Follow operations to their end
    #[command(
        after_help = "Examples:\n  kubectl dbscale wait my-db-scale-1763937600\n  kubectl dbscale wait mongodb/my-db --for phase=Progressing --timeout 2m"
    )]
    Wait(WaitArgs),
    /// Go back to the values from before an operation
    #[command(
        after_help = "Examples:\n  kubectl dbscale rollback mongodb/my-db --plan\n  kubectl dbscale rollback mongodb/my-db --to my-db-scale-1763937600 --wait"
    )]
    Rollback(RollbackArgs),
    /// Send an OpsRequest again, under a new name
    #[command(
        after_help = "Examples:\n  kubectl dbscale retry mongodb/my-db\n  kubectl dbscale retry my-db-scale-1763937600 --apply Always --wait"
    )]
    Retry(RetryArgs),
    /// Take back operations that have not begun
    #[command(
        after_help = "Examples:\n  kubectl dbscale cancel my-db-scale-1763937600\n  kubectl dbscale cancel mongodb/my-db --dry-run=client"
    )]
    Cancel(CancelArgs),
    /// Take away finished OpsRequests that dbscale made
    #[command(
        after_help = "Examples:\n  kubectl dbscale cleanup mongodb/my-db --keep 1\n  kubectl dbscale cleanup -A --older-than 168h --dry-run"
    )]
    Cleanup(CleanupArgs),
    /// Judge manifests in files, without a cluster
    #[command(
        after_help = "Examples:\n  kubectl dbscale lint -f manifests/ -R\n  git show HEAD:db.yaml | kubectl dbscale lint -f db.yaml --old -"
    )]
    Lint(LintArgs),
    /// Check the installation, your rights, and what is stuck
    #[command(
        after_help = "Examples:\n  kubectl dbscale doctor\n  kubectl dbscale doctor mongodb/my-db -n shop -o json"
    )]
    Doctor(DoctorArgs),
    /// Which scaling policies cover a database, and what they would refuse
    #[command(
        after_help = "Examples:\n  kubectl dbscale policy list\n  kubectl dbscale policy check mongodb/my-db --replicas 9"
    )]
    Policy(PolicyArgs),
    /// How the admission webhook stands; in an emergency, take it out of the way
    #[command(
        after_help = "Examples:\n  kubectl dbscale webhook status\n  kubectl dbscale webhook disable --fail-open"
    )]
    Webhook(WebhookArgs),
    /// What each engine can do
    #[command(after_help = "Examples:\n  kubectl dbscale engines\n  kubectl dbscale engines mongodb")]
    Engines {
        /// One engine
        engine: Option<String>,
    },
    /// The size classes
    #[command(
        after_help = "Examples:\n  kubectl dbscale sizes\n  kubectl dbscale sizes --sizes our-sizes.yaml -o json"
    )]
    Sizes {
        /// A file with more size classes
        #[arg(long, value_name = "FILE")]
        sizes: Option<PathBuf>,
    },
    /// Why a rule exists, and how to satisfy it
    #[command(after_help = "Examples:\n  kubectl dbscale explain\n  kubectl dbscale explain storage/no-shrink")]
    Explain {
        /// One rule
        rule: Option<String>,
    },
    /// Complete names and flags in a shell
    #[command(
        after_help = "Examples:\n  kubectl dbscale completion install\n  source <(kubectl dbscale completion bash)"
    )]
    Completion(CompletionArgs),
    /// The versions of this program and of what it works with
    #[command(after_help = "Examples:\n  kubectl dbscale version\n  kubectl dbscale version --client -o json")]
    Version(VersionArgs),
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;

//! The flags of the commands that change databases.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dbscale_core::preflight::{Choice, Mode};
use serde::{Deserialize, Serialize};

use crate::values;

/// What every change has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "How it is done")]
pub struct ChangeArgs {
    /// Databases: mongodb/my-db, mg/my-db, "mongodb my-db"; an engine alone with -l or -A
    #[arg(required = true, value_name = "TARGET", help_heading = "Arguments")]
    pub targets: Vec<String>,
    /// The component to change, where a database has several
    #[arg(long)]
    pub component: Option<String>,
    /// Start when the database is Ready, or whatever its state
    #[arg(long, value_name = "IfReady|Always", value_parser = ["IfReady", "Always"], hide_possible_values = true)]
    pub apply: Option<String>,
    /// How long KubeDB may take for a step (5m)
    #[arg(long, value_parser = values::duration_text, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// How often KubeDB tries a failed step again
    #[arg(long, value_name = "N")]
    pub max_retries: Option<i64>,
    /// The OpsRequest's name, in place of a made one
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub checks: CheckArgs,
    #[command(flatten)]
    pub follow: FollowArgs,
    /// How many databases to change at a time
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = values::at_least_one)]
    pub parallel: usize,
    /// Begin no more databases after so many failures
    #[arg(long, value_name = "N", value_parser = values::at_least_one)]
    pub max_failures: Option<usize>,
}

/// How the surroundings are checked.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Check quotas, nodes …: auto, enforce, warn, off
    #[arg(long, value_enum, default_value = "auto", value_name = "MODE", hide_possible_values = true)]
    pub preflight: Preflight,
    /// Only warn of this check, such as quota; may be repeated
    #[arg(long, value_name = "CHECK", value_parser = values::check)]
    pub force: Vec<String>,
}

impl CheckArgs {
    /// What they say.
    #[must_use]
    pub fn choice(&self) -> Choice {
        let mode = match self.preflight {
            Preflight::Auto => Mode::Auto,
            Preflight::Enforce => Mode::Enforce,
            Preflight::Warn => Mode::Warn,
            Preflight::Off => Mode::Off,
        };
        Choice { mode, forced: self.force.clone() }
    }
}

/// How the surroundings are checked: [`Mode`], as the command line has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Preflight {
    /// What cannot pass refuses.
    #[default]
    Auto,
    /// All of them refuse.
    Enforce,
    /// All of them warn.
    Warn,
    /// None is made.
    Off,
}

/// Whether operations are followed.
#[derive(Debug, Clone, Args)]
pub struct FollowArgs {
    /// Follow the operations to their end
    #[arg(long)]
    pub wait: bool,
    /// How long to follow
    #[arg(long, value_parser = values::duration, default_value = "10m", value_name = "DURATION")]
    pub wait_timeout: Duration,
}

/// What the commands have that send requests which are made already.
#[derive(Debug, Clone, Args)]
pub struct SendArgs {
    /// Start when the database is Ready, or whatever its state
    #[arg(long, value_name = "IfReady|Always", value_parser = ["IfReady", "Always"], hide_possible_values = true)]
    pub apply: Option<String>,
    /// The OpsRequest's name, in place of a made one
    #[arg(long)]
    pub name: Option<String>,
    #[command(flatten)]
    pub checks: CheckArgs,
    #[command(flatten)]
    pub follow: FollowArgs,
}

/// CPU and memory.
#[derive(Debug, Clone, Default, Args)]
pub struct SizeArgs {
    /// A size class, such as db.t3.medium
    #[arg(long, value_name = "CLASS", conflicts_with_all = ["cpu", "memory"])]
    pub size: Option<String>,
    /// CPU, request and limit alike
    #[arg(long, value_name = "QUANTITY", allow_hyphen_values = true)]
    pub cpu: Option<String>,
    /// Memory, request and limit alike
    #[arg(long, value_name = "QUANTITY", allow_hyphen_values = true)]
    pub memory: Option<String>,
    /// A file with more size classes
    #[arg(long, value_name = "FILE")]
    pub sizes: Option<PathBuf>,
}

/// Members and shards.
#[derive(Debug, Clone, Default, Args)]
pub struct CountArgs {
    /// Members (per shard, where there are shards)
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::count)]
    pub replicas: Option<i64>,
    /// Shards
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = values::count)]
    pub shards: Option<i64>,
}

/// `vertical`
#[derive(Debug, Args)]
pub struct VerticalArgs {
    #[command(flatten)]
    pub size: SizeArgs,
    /// Restart the pods, or resize them in place
    #[arg(long, value_name = "Restart|InPlace", value_parser = ["Restart", "InPlace"], hide_possible_values = true)]
    pub mode: Option<String>,
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// `horizontal`
#[derive(Debug, Args)]
pub struct HorizontalArgs {
    #[command(flatten)]
    pub count: CountArgs,
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// `storage`
#[derive(Debug, Args)]
pub struct StorageArgs {
    /// The size of each volume
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub to: String,
    /// Patch the database and its claims, or ask KubeDB's VolumeExpansion
    #[arg(long, value_enum, default_value = "patch", value_name = "patch|ops-request", hide_possible_values = true)]
    pub via: Via,
    /// How KubeDB's VolumeExpansion grows volumes
    #[arg(long, value_name = "Online|Offline", value_parser = ["Online", "Offline"], hide_possible_values = true)]
    pub mode: Option<String>,
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// `set` and `plan`
#[derive(Debug, Args)]
pub struct SetArgs {
    #[command(flatten)]
    pub count: CountArgs,
    #[command(flatten)]
    pub size: SizeArgs,
    /// The size of each volume
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub storage: Option<String>,
    /// One request for members and size, or two
    #[arg(long, value_enum, default_value = "auto", value_name = "auto|single|separate", hide_possible_values = true)]
    pub combined: Combined,
    /// Make the second request when the first has begun
    #[arg(long)]
    pub ordered: bool,
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// `plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub set: SetArgs,
    /// Exit with 0 where nothing is to do, with 1 where there are steps
    #[arg(long)]
    pub exit_code: bool,
    /// Write the plan, with all that it rests on, for `apply`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// How storage grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Via {
    /// A patch of the database and its claims.
    Patch,
    /// KubeDB's VolumeExpansion.
    OpsRequest,
}

/// How a combined wish is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combined {
    /// Ask the server whether one request will do; two where it will not.
    #[default]
    Auto,
    /// One request, and a refusal is reported.
    Single,
    /// Two requests.
    Separate,
}

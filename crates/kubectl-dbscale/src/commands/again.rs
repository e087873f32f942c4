//! The command that is to be typed next, with every flag that makes a difference.

use std::fmt::Write as _;

use clap::ValueEnum as _;
use clap::builder::PossibleValue;

use crate::cli::Global;
use crate::cli::args::{CheckArgs, Preflight};

/// A command line that is put together.
#[derive(Debug)]
pub struct Again(String);

impl Again {
    /// A command with its target, for the same cluster and as the same user.
    #[must_use]
    pub fn new(command: &str, global: &Global) -> Self {
        let mut again = Self(format!("kubectl dbscale {command}"));
        again.add("context", global.context.as_deref());
        again.add("kubeconfig", global.kubeconfig.as_ref().map(|path| path.display().to_string()).as_deref());
        again.add("as", global.impersonate.as_deref());
        again
    }

    /// Adds a flag, where it has a value.
    pub fn add(&mut self, flag: &str, value: Option<&str>) {
        if let Some(value) = value {
            let _ = write!(self.0, " --{flag} {}", quoted(value));
        }
    }

    /// Adds how the surroundings are checked, where that is not left to the default.
    pub fn checks(&mut self, checks: &CheckArgs) {
        let mode = checks.preflight.to_possible_value().filter(|_| checks.preflight != Preflight::Auto);
        self.add("preflight", mode.as_ref().map(PossibleValue::get_name));
        checks.force.iter().for_each(|check| self.add("force", Some(check)));
    }

    /// The line.
    #[must_use]
    pub fn text(self) -> String {
        self.0
    }
}

/// A value as a shell takes it for one word.
#[must_use]
pub fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "'\\''"))
    }
}

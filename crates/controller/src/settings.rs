//! What a person may choose.

use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use dbscale_core::record;
use dbscale_core::retention::{Policy, Scope};
use dbscale_core::scaling_policy::{Period, Upkeep};
use jiff::SignedDuration;

/// All choices, for every cluster alike.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// What the record looks at.
    pub record: record::Settings,
    /// What of finished OpsRequests stays.
    pub retention: Policy,
    /// Whose claims are grown.
    pub grow: Grow,
}

impl Settings {
    /// The choices for a database of which policies ask this.
    #[must_use]
    pub fn with(self, upkeep: &Upkeep) -> Self {
        Self { record: upkeep.record(self.record), retention: upkeep.retention(self.retention), ..self }
    }
}

/// Whose claims are grown to the size that the database object has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Grow {
    /// Those of databases that dbscale has patched.
    #[default]
    Managed,
    /// Those of all databases.
    All,
    /// Nobody's.
    Off,
}

/// `--retention-scope`, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Whose {
    /// Those that dbscale made.
    Managed,
    /// Everybody's.
    All,
    /// Nobody's.
    Off,
}

impl From<Whose> for Scope {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Managed => Self::Managed,
            Whose::All => Self::All,
            Whose::Off => Self::Off,
        }
    }
}

/// A cluster that is looked after: `NAME=KUBECONFIG[#CONTEXT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFlag {
    /// Its name in logs and metrics.
    pub name: String,
    /// Its kubeconfig.
    pub kubeconfig: PathBuf,
    /// The context in it; `None` = the current one.
    pub context: Option<String>,
}

/// A text that names no cluster.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' names no cluster: write it like east=/etc/dbscale/east.yaml, or east=/etc/dbscale/all.yaml#east")]
pub struct ClusterFlagError(String);

impl FromStr for ClusterFlag {
    type Err = ClusterFlagError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ClusterFlagError(text.to_owned());
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (path, context) = rest.split_once('#').map_or((rest, None), |(path, context)| (path, Some(context)));
        if name.is_empty() || path.is_empty() || context == Some("") {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), kubeconfig: path.into(), context: context.map(str::to_owned) })
    }
}

/// Reads a duration that is longer than nothing: `10m`, `1h30m`, `90s`.
///
/// # Errors
/// What is wrong with it, and how it is written.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    text.parse::<Period>().map(|period| period.0).map_err(|error| error.to_string())
}

/// Reads the name of a namespace.
///
/// # Errors
/// That it is none.
pub fn namespace(text: &str) -> Result<String, String> {
    let part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_name =
        (1..=63).contains(&text.len()) && text.bytes().all(part) && !text.starts_with('-') && !text.ends_with('-');
    // What stands for a variable that is not set would be asked for with every request, and never be there.
    if is_name { Ok(text.to_owned()) } else { Err(format!("'{text}' is no name of a namespace")) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("east=/etc/east.yaml", Some(("east", "/etc/east.yaml", None)))]
    #[case::context("east=/etc/all.yaml#e1", Some(("east", "/etc/all.yaml", Some("e1"))))]
    #[case::no_name("=/etc/all.yaml", None)]
    #[case::no_path("east", None)]
    #[case::empty_context("east=/etc/all.yaml#", None)]
    fn clusters(#[case] text: &str, #[case] wanted: Option<(&str, &str, Option<&str>)>) {
        let read = text.parse::<ClusterFlag>().ok();
        let read = read.as_ref().map(|c| (c.name.as_str(), c.kubeconfig.to_str().unwrap(), c.context.as_deref()));
        assert_eq!(read, wanted);
    }

    #[rstest]
    #[case::plain("team-a", true)]
    #[case::empty("", false)]
    #[case::variable("$(POD_NAMESPACE)", false)]
    #[case::path("a/b", false)]
    #[case::dash("team-", false)]
    fn namespaces(#[case] text: &str, #[case] good: bool) {
        assert_eq!(namespace(text).is_ok(), good);
    }

    #[rstest]
    #[case::minutes("10m", Some(600))]
    #[case::mixed("1h30m", Some(5400))]
    #[case::nothing("0s", None)]
    #[case::negative("-10m", None)]
    #[case::no_unit("10", None)]
    fn durations(#[case] text: &str, #[case] seconds: Option<i64>) {
        assert_eq!(duration(text).ok().map(|d| d.as_secs()), seconds);
    }
}

//! The log: one JSON object a line, on stderr.

use std::str::FromStr;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(LevelFilter);

/// A word that is no level.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no level; the levels are error, warn, info, debug")]
pub struct LevelError(String);

impl FromStr for Level {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| LevelError(text.to_owned()))
    }
}

/// Starts the log. Targets that begin with `dbscale` are told from `level` on; of other crates only what is wrong, for
/// their chatter would bury the events.
pub fn start(level: Level) {
    let filter = Targets::new().with_default(LevelFilter::WARN).with_target("dbscale", level.0);
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    // A second start, as in tests, keeps the first.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).try_init();
}

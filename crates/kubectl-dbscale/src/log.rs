//! The log on stderr: events with fixed names, silent unless asked for.

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{Global, LogFormat};

/// Starts the log as the flags say: JSON lines of the events with `--log-format json`, everything with -v, else nothing.
pub fn start(global: &Global) {
    let level = match (global.log_format, global.verbose) {
        (_, true) => LevelFilter::DEBUG,
        (LogFormat::Json, false) => LevelFilter::INFO,
        (LogFormat::Text, false) => return,
    };
    // Of other crates only what is wrong: their chatter would bury the events.
    let ours = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("kubectl_dbscale", level)
        .with_target("dbscale", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry();
    match global.log_format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_filter(ours)).init(),
        LogFormat::Text => registry.with(lines.with_filter(ours)).init(),
    }
}

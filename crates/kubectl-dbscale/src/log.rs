//! The log on stderr: events with fixed names, silent unless asked for.

use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Global, LogFormat};

/// Starts the log as the flags say: JSON lines of the events with `--log-format json`, everything with -v, else nothing.
pub fn start(global: &Global) {
    let level = match (global.log_format, global.verbose) {
        (_, true) => LevelFilter::DEBUG,
        (LogFormat::Json, false) => LevelFilter::INFO,
        (LogFormat::Text, false) => return,
    };
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level);
    match global.log_format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text => log.init(),
    }
}

//! `history`: what was done to a database, out of its record; without one, out of the OpsRequests that are still there.

use std::fmt::Write as _;
use std::time::Duration;

use anstream::eprintln;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dbscale_core::record::{CONFIRMED, Past, RollbackState, words};
use dbscale_core::status::Phase;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::change;
use crate::cli::{Global, Output};
use crate::outcome::Failure;
use crate::output::{self, GREEN, RED, data};
use crate::run::dossier::{self, Dossier};
use crate::run::failure::usage;
use crate::times::{age, elapsed};
use crate::{target, values};

/// `history`
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// A database: mongodb/my-db, mg/my-db, "mongodb my-db"
    #[arg(required = true, num_args = 1..=2, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Only what has ended since then (12h, 168h)
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub since: Option<Duration>,
    // The same name and type as the flag of all commands, whose place it takes here.
    /// The form of the answer
    #[arg(short, long, value_name = "json|yaml|ndjson|wide", hide_possible_values = true, value_parser = form())]
    pub output: Option<Output>,
}

fn form() -> impl TypedValueParser<Value = Output> {
    PossibleValuesParser::new(["json", "yaml", "ndjson", "wide"]).map(|form| match form.as_str() {
        "json" => Output::Json,
        "yaml" => Output::Yaml,
        "ndjson" => Output::Ndjson,
        _ => Output::Wide,
    })
}

/// Tells the history; answers the exit code.
///
/// # Errors
/// Where the database is missing or cannot be read.
pub async fn run(args: &HistoryArgs, global: &Global) -> Result<u8, Failure> {
    let target = target::one(&args.targets).map_err(usage)?;
    let cluster = change::cluster(global).await?;
    let namespace = global.namespace.as_deref().unwrap_or(&cluster.default_namespace);
    let dossier = dossier::read(&cluster, &target, namespace).await?;
    let now = Timestamp::now();
    let mut history = dossier.history();
    if let Some(since) = args.since {
        let since = SignedDuration::try_from(since).unwrap_or(SignedDuration::MAX);
        history.retain(|past| now.duration_since(past.ended_at) <= since);
    }
    let name = dossier.database().target();
    if let Some(lack) = dossier.record.lack() {
        output::say(&format!("{name}: {lack}; this is what the OpsRequests tell that are still there."));
    }
    match args.output {
        Some(form @ (Output::Json | Output::Yaml)) => output::machine(form, &json_of(&dossier, &history)),
        Some(Output::Ndjson) => {
            for past in &history {
                data!("{}", serde_json::to_string(past).unwrap_or_default());
            }
        }
        _ if history.is_empty() => {
            let since = args.since.map_or("yet", |_| "within that time");
            eprintln!("No operation of {name} has ended {since}.");
        }
        form => output::page_out(&text(&history, now, form == Some(Output::Wide))),
    }
    let dropped = dropped(&dossier);
    if dropped > 0 {
        eprintln!("{dropped} older ones no longer stand in the record; the controller's log has them.");
    }
    Ok(0)
}

fn dropped(dossier: &Dossier) -> u64 {
    dossier.record.here().map(|record| record.history_dropped).unwrap_or_default()
}

fn json_of(dossier: &Dossier, history: &[Past]) -> Value {
    json!({
        "engine": dossier.subject.engine.name, "namespace": dossier.subject.namespace, "name": dossier.subject.name,
        "source": if dossier.record.here().is_some() { "record" } else { "ops_requests" },
        "dropped": dropped(dossier),
        "history": history,
    })
}

/// A row each, the newest first, and beneath it why it did not go well.
#[must_use]
pub fn text(history: &[Past], now: Timestamp, wide: bool) -> String {
    let row = |past: &Past| {
        let took = past.duration_seconds.map_or_else(|| "-".to_owned(), elapsed);
        let mut row = vec![ago(past, now), past.name.clone(), change(past), past.outcome.clone(), took];
        if wide {
            row.extend([past.ops_type.clone(), past.requested_by.clone().unwrap_or_else(|| "-".to_owned())]);
        }
        row
    };
    let rows: Vec<Vec<String>> = history.iter().map(row).collect();
    let more: &[&str] = if wide { &["TYPE", "BY"] } else { &[] };
    let header: Vec<&str> = ["AGE", "OPERATION", "CHANGE", "OUTCOME", "TOOK"].iter().chain(more).copied().collect();
    let table = output::table(&header, &rows);
    let mut lines = table.lines();
    let mut text = format!("{}\n", lines.next().unwrap_or_default());
    for (past, line) in history.iter().zip(lines) {
        text.push_str(&painted(line, past));
        text.push('\n');
        for line in beneath(past, history) {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn ago(past: &Past, now: Timestamp) -> String {
    age(&past.ended_at.to_string(), now)
}

/// `replicas 3 → 5`; of what changes no value, its type.
fn change(past: &Past) -> String {
    if past.changes.is_empty() { past.ops_type.clone() } else { words(&past.changes) }
}

/// Whose way back it is, why it did not go well, and what came after it.
fn beneath(past: &Past, history: &[Past]) -> Vec<String> {
    let mut lines = Vec::new();
    let is_from = |from: &&Past| from.rollback.as_ref().is_some_and(|back| back.name == past.name);
    lines.extend(history.iter().find(is_from).map(|from| format!("it goes back from {}", from.name)));
    if past.outcome != Phase::Successful.word() && !past.message.is_empty() {
        lines.push(past.message.clone());
    }
    lines.extend(past.effect.clone().filter(|effect| effect != CONFIRMED));
    if let Some(rollback) = &past.rollback {
        lines.push(match rollback.state {
            RollbackState::Planned | RollbackState::Requested => format!("{} goes back from it", rollback.name),
            RollbackState::Declined => format!("nothing goes back from it: {}", rollback.message),
        });
    }
    lines
}

/// The line with its outcome in the colour of the verdict.
fn painted(line: &str, past: &Past) -> String {
    let style = match past.outcome.as_str() {
        "Successful" => GREEN,
        "Failed" | "Denied" => RED,
        _ => return line.to_owned(),
    };
    // The last one: an OpsRequest may be called so.
    let Some(at) = line.rfind(&format!("  {}  ", past.outcome)) else { return line.to_owned() };
    let (before, rest) = line.split_at(at + 2);
    let (word, after) = rest.split_at(past.outcome.len());
    format!("{before}{style}{word}{style:#}{after}")
}

//! Answers: data on stdout, everything else on stderr.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::eprintln;
use anstyle::{AnsiColor, Style};
use dbscale_core::plan::{Candidate, Choice, Difference};
use dbscale_core::quantity::Quantity;
use dbscale_core::rules;
use dbscale_core::size::{SizeClass, Sizes};
use serde_json::{Value, json};

use crate::cli::Output;
use crate::fold::{self, fold};
use crate::outcome::{Failure, Operation, Outcome};
use crate::run::failure::EXIT_TIMEOUT;

/// Refused, and what a change takes away.
pub const RED: Style = AnsiColor::Red.on_default();
/// Warned.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Done, and what a change brings.
pub const GREEN: Style = AnsiColor::Green.on_default();

/// Whether a write to stdout has found that nobody reads it.
static GONE: AtomicBool = AtomicBool::new(false);

/// Writes a line to stdout, as `println!` does, but see [`text_out`].
macro_rules! data {
    ($($text:tt)*) => { $crate::output::line_out(&format!($($text)*)) };
}
pub(crate) use data;

/// Writes a line to stdout; see [`text_out`].
pub fn line_out(text: &str) {
    text_out(&format!("{text}\n"));
}

/// Writes to stdout. A reader that has gone away (`| head`) is no reason to stop in the middle of a change.
pub fn text_out(text: &str) {
    write_out(|out| out.write_all(text.as_bytes()));
}

/// Writes what people read to stdout: on a terminal in its width.
pub fn page_out(text: &str) {
    text_out(&fold(text, fold::width_of_stdout()));
}

/// Tells people something on stderr: a line, or several, on a terminal in its width.
pub fn say(text: &str) {
    eprintln!("{}", fold(text, fold::width_of_stderr()));
}

/// Writes to stdout piece by piece; see [`text_out`].
pub fn write_out(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let mut out = io::BufWriter::new(anstream::stdout());
    let written = write(&mut out).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => GONE.store(true, Ordering::Relaxed),
        Err(error) => eprintln!("error: the answer cannot be written to stdout: {error}"),
        Ok(()) => {}
    }
}

/// Whether nobody reads stdout any more: what only goes on telling may end then.
#[must_use]
pub fn reader_is_gone() -> bool {
    GONE.load(Ordering::Relaxed)
}

/// Prints a value in a machine's form.
pub fn machine(output: Output, value: &Value) {
    match output {
        Output::Yaml => {
            let text = serde_saphyr::to_string(value).unwrap_or_else(|_| value.to_string());
            data!("{}", text.trim_end());
        }
        Output::Json | Output::Name | Output::Wide | Output::Text | Output::Ndjson | Output::Github => {
            data!("{}", serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()));
        }
    }
}

/// Prints rows in columns, two spaces apart, without trailing blanks.
#[must_use]
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|r| r[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        format!("{}\n", text.trim_end())
    };
    let mut text = line(header.to_vec());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// Tells what was asked for the only target, in text: before its operations are followed.
pub fn asked(outcome: &Outcome) {
    if outcome.failure.is_none() || !outcome.operations.is_empty() {
        summary(outcome);
    }
    warnings(outcome);
    for operation in &outcome.operations {
        data!("{}", line(operation));
    }
    if outcome.skipped {
        data!("{} already at the desired state", outcome.target());
    }
}

/// Tells how it ended for the only target, in text: how to follow what goes on, and what failed.
pub fn ended(outcome: &Outcome) {
    let follow = outcome.operations.iter().filter(|o| o.dry_run.is_none() && o.phase.is_none());
    for name in follow.filter_map(|o| o.ops_request_name.as_ref()) {
        say(&format!("Follow it: kubectl dbscale wait {name} -n {}", outcome.namespace));
    }
    if let Some(failure) = &outcome.failure {
        failed(&outcome.target(), failure);
    }
}

/// Tells the warnings of an outcome.
pub fn warnings(outcome: &Outcome) {
    for warning in &outcome.warnings {
        self::warning(warning);
    }
}

/// Tells a warning.
pub fn warning(text: &str) {
    say(&format!("{YELLOW}warning{YELLOW:#}: {text}"));
}

/// A failure in the machine's form.
#[must_use]
pub fn error_of(failure: &Failure) -> Value {
    json!({"rule": failure.rule, "message": failure.message, "exit_code": failure.exit_code})
}

/// How many failures of several are told in full; `-o json` holds them all.
const DETAILS: usize = 20;

/// What became of a target, in a word.
fn verdict(outcome: &Outcome) -> (&'static str, Style) {
    match (&outcome.failure, outcome.operations.as_slice()) {
        (Some(failure), _) => match failure.exit_code {
            rules::EXIT_USAGE..=rules::EXIT_ACTIVE => ("refused", RED),
            EXIT_TIMEOUT => ("timed out", RED),
            _ => ("failed", RED),
        },
        (None, _) if outcome.skipped => ("unchanged", Style::new()),
        (None, [only]) if only.ops_request_name.is_none() => ("patched", GREEN),
        (None, _) => ("created", GREEN),
    }
}

/// Tells an outcome among several, in text: one line.
pub fn row(outcome: &Outcome) {
    let name = format!("{}/{}", outcome.namespace, outcome.name);
    let (word, style) = verdict(outcome);
    let what = if let Some(failure) = &outcome.failure {
        failure.rule.clone().unwrap_or_else(|| first_line(&failure.message))
    } else {
        let names = outcome.operations.iter().map(|o| o.ops_request_name.as_deref().unwrap_or("storage"));
        let dry = outcome.operations.first().and_then(|o| o.dry_run.as_ref());
        let dry = dry.map(|d| format!(" ({d} dry run)")).unwrap_or_default();
        format!("{}{dry}", names.collect::<Vec<_>>().join(", "))
    };
    data!("{}", format!("{name:<30}  {style}{word:<9}{style:#}  {what}").trim_end());
}

/// The last lines of several: how many of which verdict, then what went wrong.
pub fn total(outcomes: &[Outcome]) {
    let mut counts: Vec<String> = Vec::new();
    for word in ["created", "patched", "unchanged", "refused", "failed", "timed out"] {
        let count = outcomes.iter().filter(|o| verdict(o).0 == word).count();
        if count > 0 {
            counts.push(format!("{count} {word}"));
        }
    }
    eprintln!("{}", counts.join(", "));
    for outcome in outcomes {
        outcome
            .warnings
            .iter()
            .for_each(|text| warning(&format!("{} in {}: {text}", outcome.target(), outcome.namespace)));
    }
    let failed_ones = || outcomes.iter().filter_map(|o| Some((o, o.failure.as_ref()?)));
    for (outcome, failure) in failed_ones().take(DETAILS) {
        failed(&format!("{} in {}", outcome.target(), outcome.namespace), failure);
    }
    if let Some(more) = failed_ones().count().checked_sub(DETAILS).filter(|more| *more > 0) {
        eprintln!("and {more} more; -o json tells them all");
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn line(operation: &Operation) -> String {
    let dry = operation.dry_run.as_ref().map(|d| format!(" ({d} dry run)")).unwrap_or_default();
    match operation.ops_request_name {
        Some(_) => format!("{} created{dry}", operation.resource),
        None => format!("{} patched{dry}: {}", operation.resource, operation.message),
    }
}

/// `mongodb/my-db (replica set, 3 members)   replicas 3 → 5`
fn summary(outcome: &Outcome) {
    if outcome.differences.is_empty() {
        return;
    }
    let size = outcome.operations.iter().find_map(|o| o.size.as_deref());
    let size = size.map(|size| match present_class(&outcome.differences, size) {
        Some(class) => format!("{class} → {size}"),
        None => size.to_owned(),
    });
    let changes: Vec<String> = size.into_iter().chain(outcome.differences.iter().map(change)).collect();
    let topology = if outcome.topology.is_empty() { String::new() } else { format!(" ({})", outcome.topology) };
    eprintln!("{}{topology}   {}", outcome.target(), changes.join("   "));
}

/// The size class that a database has now, told from what changes on the way to the class `wanted`.
#[must_use]
pub fn present_class(differences: &[Difference], wanted: &str) -> Option<String> {
    let sizes = Sizes::built_in();
    let class = sizes.find(wanted).ok()?;
    // What does not change is there already.
    let present = |field: &str, same: Quantity| {
        let difference = differences.iter().find(|d| d.field == field);
        difference.map_or(Some(same), |d| d.before.as_deref()?.parse().ok())
    };
    let (cpu, memory) = (present("cpu", class.cpu)?, present("memory", class.memory)?);
    // Several classes may have the same amounts; the one of the wanted family reads best.
    let family = wanted.rsplit_once('.').map_or(wanted, |(family, _)| family);
    let alike = |c: &&SizeClass| c.cpu == cpu && c.memory == memory && c.name.starts_with(&format!("{family}."));
    sizes.iter().find(alike).or_else(|| sizes.matching(cpu, memory)).map(|c| c.name.clone())
}

/// `memory 2Gi → 4Gi`
#[must_use]
pub fn change(difference: &Difference) -> String {
    format!("{} {} → {}", difference.field, difference.before.as_deref().unwrap_or("none"), difference.after)
}

/// Prints a failure in the form of the plugin's refusals.
pub fn failed(target: &str, failure: &Failure) {
    if let Some(choice) = &failure.choice {
        eprint_choice(choice);
        return;
    }
    if failure.findings.is_empty() {
        let target = if target.is_empty() { String::new() } else { format!("{target}: ") };
        say(&format!("{RED}error{RED:#}: {target}{}", failure.message.replace('\n', "\n  ")));
        if !failure.remedy.is_empty() {
            say(&format!("  {}.", capital(&failure.remedy)));
        }
        return;
    }
    let count = failure.findings.len();
    let rules = if count == 1 { "1 rule".to_owned() } else { format!("{count} rules") };
    let target = if target.is_empty() { String::new() } else { format!("{target}: ") };
    say(&format!("{RED}error{RED:#}: {target}refused by {rules}"));
    for finding in &failure.findings {
        say(&format!("  {}   {}", finding.rule, finding.path));
        say(&format!("    {}.", capital(&finding.message)));
        if !finding.remedy.is_empty() {
            say(&format!("    {}.", capital(&finding.remedy)));
        }
    }
    if let Some(finding) = failure.findings.first() {
        say(&format!("More: kubectl dbscale explain {}", finding.rule));
    }
}

/// A sentence without its full stop, its first letter a capital; not where it begins with a name or a place (`my-db-0 is …`).
fn capital(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let word = text.split(' ').next().unwrap_or_default().trim_end_matches([':', ',']);
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if word.chars().all(char::is_alphabetic) => first.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// Tells every failure; the exit code that all of them have together.
#[must_use]
pub fn all_failed<'f>(failures: impl IntoIterator<Item = &'f Failure>) -> u8 {
    let mut code = 0;
    for failure in failures {
        failed("", failure);
        code = code.max(failure.exit_code);
    }
    code
}

fn eprint_choice(choice: &Choice) {
    eprintln!("{RED}error{RED:#}: {} has several components; say which with --component:", choice.target);
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let sharded = choice.candidates.iter().any(|c| c.shards.is_some());
    let row = |c: &Candidate| {
        let shards = sharded.then(|| number(c.shards));
        let rest = [number(c.replicas), text(&c.cpu), text(&c.memory), text(&c.storage)];
        std::iter::once(c.component.clone()).chain(shards).chain(rest).collect()
    };
    let rows: Vec<Vec<String>> = choice.candidates.iter().map(row).collect();
    let mut header = vec!["COMPONENT", "SHARDS", "REPLICAS", "CPU", "MEMORY", "STORAGE"];
    header.retain(|title| sharded || *title != "SHARDS");
    for line in table(&header, &rows).lines() {
        eprintln!("  {line}");
    }
}

/// The machine's form of one outcome: one operation as itself, several in `ops_requests`, none as skipped.
#[must_use]
pub fn json_of(outcome: &Outcome) -> Value {
    let about = json!({"engine": outcome.engine, "namespace": outcome.namespace, "name": outcome.name});
    let mut value = match outcome.operations.as_slice() {
        [] => about,
        [only] => serde_json::to_value(only).unwrap_or_default(),
        several => {
            let mut value = about;
            value["ops_requests"] = serde_json::to_value(several).unwrap_or_default();
            value["message"] = json!("OpsRequests created, reconciler will monitor progress");
            if let Some(dry_run) = &several[0].dry_run {
                value["message"] = json!("OpsRequests would be created (nothing was written)");
                value["dry_run"] = json!(dry_run);
            }
            value
        }
    };
    if outcome.skipped {
        value["skipped"] = json!(true);
        value["message"] = json!("already at the desired state");
    }
    if !outcome.warnings.is_empty() {
        value["warnings"] = json!(outcome.warnings);
    }
    if let Some(failure) = &outcome.failure {
        value["error"] = error_of(failure);
    }
    value
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;

//! Answers: data on stdout, everything else on stderr.

use std::fmt::Write as _;

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use dbscale_core::plan::{Candidate, Choice, Difference};
use serde_json::{Value, json};

use crate::cli::Output;
use crate::outcome::{Failure, Operation, Outcome};

const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const GREEN: Style = AnsiColor::Green.on_default();

/// Prints a value in a machine's form.
pub fn machine(output: Output, value: &Value) {
    match output {
        Output::Yaml => {
            let text = serde_saphyr::to_string(value).unwrap_or_else(|_| value.to_string());
            println!("{}", text.trim_end());
        }
        Output::Json | Output::Name | Output::Wide => {
            println!("{}", serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()));
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

/// Tells the outcome of the only target, in text.
pub fn single(outcome: &Outcome) {
    if outcome.failure.is_none() || !outcome.operations.is_empty() {
        summary(outcome);
    }
    warnings(outcome);
    for operation in &outcome.operations {
        println!("{}", line(operation));
    }
    if outcome.skipped {
        println!("{} already at the desired state", outcome.target());
    }
    let follow = outcome.operations.iter().filter(|o| o.dry_run.is_none() && o.phase.is_none());
    for name in follow.filter_map(|o| o.ops_request_name.as_ref()) {
        let kind = outcome.operations[0].resource.split('.').next().unwrap_or_default();
        eprintln!("Follow it: kubectl get {kind} {name} -n {} -w", outcome.namespace);
    }
    if let Some(failure) = &outcome.failure {
        failed(&outcome.target(), failure);
    }
}

/// Tells the warnings of an outcome.
pub fn warnings(outcome: &Outcome) {
    for warning in &outcome.warnings {
        eprintln!("{YELLOW}warning{YELLOW:#}: {warning}");
    }
}

/// Tells an outcome among several, in text: one line.
pub fn row(outcome: &Outcome) {
    let name = format!("{}/{}", outcome.namespace, outcome.name);
    match &outcome.failure {
        Some(failure) => {
            let why = failure.rule.clone().unwrap_or_else(|| first_line(&failure.message));
            println!("{name}  {RED}refused{RED:#}  {why}");
            eprintln!("{}: {}", outcome.target(), first_line(&failure.message));
        }
        None if outcome.skipped => println!("{name}  unchanged"),
        None => {
            let names: Vec<&str> =
                outcome.operations.iter().map(|o| o.ops_request_name.as_deref().unwrap_or("storage patched")).collect();
            println!("{name}  {GREEN}created{GREEN:#}  {}", names.join(", "));
        }
    }
}

/// The last line of several.
pub fn total(outcomes: &[Outcome]) {
    let count = |test: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|o| test(o)).count();
    let refused = count(&|o| o.failure.is_some());
    let skipped = count(&|o| o.skipped);
    let unchanged = if skipped == 0 { String::new() } else { format!(", {skipped} unchanged") };
    eprintln!("{} created, {refused} refused{unchanged}", outcomes.len() - refused - skipped);
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
    let changes: Vec<String> = outcome.differences.iter().map(change).collect();
    eprintln!("{} ({})   {}", outcome.target(), outcome.topology, changes.join("   "));
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
        eprintln!("{RED}error{RED:#}: {target}{}", failure.message);
        if !failure.remedy.is_empty() {
            eprintln!("  {}.", capital(&failure.remedy));
        }
        return;
    }
    let count = failure.findings.len();
    let rules = if count == 1 { "1 rule".to_owned() } else { format!("{count} rules") };
    eprintln!("{RED}error{RED:#}: {target}: refused by {rules}");
    for finding in &failure.findings {
        eprintln!("  {}   {}", finding.rule, finding.path);
        eprintln!("    {}.", capital(&finding.message));
        if !finding.remedy.is_empty() {
            eprintln!("    {}.", capital(&finding.remedy));
        }
    }
    if let Some(finding) = failure.findings.first() {
        eprintln!("More: kubectl dbscale explain {}", finding.rule);
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn eprint_choice(choice: &Choice) {
    eprintln!("{RED}error{RED:#}: {} has several components; say which with --component:", choice.target);
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let number = |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let row = |c: &Candidate| {
        vec![c.component.clone(), number(c.shards), number(c.replicas), text(&c.cpu), text(&c.memory), text(&c.storage)]
    };
    let rows: Vec<Vec<String>> = choice.candidates.iter().map(row).collect();
    for line in table(&["COMPONENT", "SHARDS", "REPLICAS", "CPU", "MEMORY", "STORAGE"], &rows).lines() {
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
                value["dry_run"] = json!(dry_run);
            }
            value
        }
    };
    if outcome.skipped {
        value["skipped"] = json!(true);
        value["message"] = json!("already at the desired state");
    }
    if let Some(failure) = &outcome.failure {
        value["error"] = json!({"rule": failure.rule, "message": failure.message, "exit_code": failure.exit_code});
    }
    value
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn outcome(names: &[&str]) -> Outcome {
        let operation = |name: &&str| Operation {
            ops_request_name: Some((*name).to_owned()),
            ops_type: "VerticalScaling".to_owned(),
            engine: "mongodb".to_owned(),
            ..Operation::default()
        };
        Outcome {
            engine: "mongodb".to_owned(),
            namespace: "demo".to_owned(),
            name: "my-db".to_owned(),
            topology: String::new(),
            differences: Vec::new(),
            warnings: Vec::new(),
            operations: names.iter().map(operation).collect(),
            skipped: names.is_empty(),
            failure: None,
        }
    }

    #[rstest]
    #[case::one(&["a"], "/ops_request_name", json!("a"))]
    #[case::several_have_no_name_on_top(&["a", "b"], "/ops_requests/1/ops_request_name", json!("b"))]
    #[case::none(&[], "/skipped", json!(true))]
    fn shapes(#[case] names: &[&str], #[case] pointer: &str, #[case] wanted: Value) {
        let value = json_of(&outcome(names));
        assert_eq!(value.pointer(pointer), Some(&wanted));
        assert_eq!(value.get("ops_request_name").is_some(), names.len() == 1);
    }

    #[test]
    fn a_table_has_no_trailing_blanks() {
        let text = table(&["A", "LONGER"], &[vec!["value".to_owned(), String::new()]]);
        assert_eq!(text, "A      LONGER\nvalue\n");
    }
}

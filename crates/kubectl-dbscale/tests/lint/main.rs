//! `lint` from the outside: what pairs with what, hostile files, KubeDB's own examples, and random texts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod examples;
mod hostile;
mod order;
mod pairing;
mod program;
mod random;
mod target;

use kubectl_dbscale::lint::{Report, lint_texts};

/// Judges one text.
fn lint(text: &str) -> Report {
    lint_texts(&[("x.yaml", text.as_bytes())], None, false).unwrap()
}

/// `name: rule rule`, a line an object with findings.
fn told(report: &Report) -> Vec<String> {
    let with_findings = report.rows.iter().filter(|r| !r.findings.is_empty());
    with_findings
        .map(|row| {
            let rules: Vec<&str> = row.findings.iter().map(|f| f.finding.rule.0).collect();
            format!("{}: {}", row.name.name, rules.join(" "))
        })
        .collect()
}

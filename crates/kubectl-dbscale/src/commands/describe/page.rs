//! The page for people.

use std::fmt::Write as _;

use dbscale_core::finding::Finding;
use jiff::Timestamp;

use super::Description;
use crate::commands::history;
use crate::output::{self, RED, YELLOW};
use crate::status::text::{self, Columns};
use crate::status::view::Part;
use crate::times::age;

/// How many operations of the history are told.
const HISTORY: usize = 3;

/// The whole page.
pub(super) fn page(described: &Description) -> String {
    let now = Timestamp::now();
    let status = &described.status;
    let mut page = format!("{} in {}\n", status.target(), status.namespace);
    for (what, value) in head(described, now) {
        let _ = writeln!(page, "  {what:<9} {value}");
    }
    section(&mut page, "Components", components(described).lines().map(str::to_owned).collect());
    let columns = Columns { namespaces: false, wide: true, now };
    section(&mut page, "Operations", text::operations(status, columns));
    let newest = &described.history[..described.history.len().min(HISTORY)];
    let mut told: Vec<String> = Vec::new();
    if !newest.is_empty() {
        told.extend(history::text(newest, now, false).lines().map(str::to_owned));
    }
    if described.history.len() > newest.len() {
        let more = described.history.len() - newest.len();
        told.push(format!("{more} more: kubectl dbscale history {} -n {}", status.target(), status.namespace));
    }
    section(&mut page, "History", told);
    section(&mut page, "Drift", described.drift.iter().map(|d| format!("{}: {}", d.component, d.message)).collect());
    section(&mut page, "Findings", findings(&described.findings));
    section(&mut page, "A restart now", findings(&described.restart));
    section(&mut page, "Events", events(described, now));
    page
}

/// A title, and lines below it.
fn section(page: &mut String, title: &str, lines: Vec<String>) {
    let lines = if lines.is_empty() { vec!["none".to_owned()] } else { lines };
    let _ = writeln!(page, "\n{title}");
    for line in lines {
        let _ = writeln!(page, "  {line}");
    }
}

fn head(described: &Description, now: Timestamp) -> Vec<(&'static str, String)> {
    let (status, dossier) = (&described.status, &described.dossier);
    let version = dossier.subject.object["spec"]["version"].as_str().unwrap_or_default();
    let mut head = vec![
        ("Engine", format!("{} {version}", dossier.subject.engine.kind).trim_end().to_owned()),
        ("Topology", status.topology.clone().unwrap_or_else(|| "unknown".to_owned())),
        ("Status", if status.phase.is_empty() { "none yet".to_owned() } else { status.phase.clone() }),
        ("Age", age(&status.created, now)),
    ];
    if let Some(tracker) = &dossier.database().tracker {
        head.push(("Git", format!("{tracker} keeps it in step")));
    }
    head.push((
        "Record",
        match (dossier.record.here(), dossier.record.lack()) {
            (Some(record), _) if record.message.is_empty() => record.phase.word().to_owned(),
            (Some(record), _) => format!("{}: {}", record.phase.word(), record.message),
            (None, lack) => lack.unwrap_or_default(),
        },
    ));
    head
}

fn components(described: &Description) -> String {
    let database = described.dossier.database();
    let row = |part: &Part| {
        let view = database.components.iter().find(|view| view.name() == part.component);
        let class = view.and_then(|view| view.places.first()?.class.clone());
        let claimed = described.dossier.seen.claims.iter().find(|claim| claim.component == part.component);
        let class = class.or_else(|| claimed?.class.clone()).filter(|_| part.storage.is_some());
        let volumes = part.volumes.map(|v| format!("{} of {}", v.done, v.all));
        let cells = [text::size(part), text::replicas(part), text::storage(part), volumes, class];
        let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
        std::iter::once(part.component.clone()).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = described.status.components.iter().map(row).collect();
    output::table(&["NAME", "SIZE", "REPLICAS", "STORAGE", "VOLUMES", "CLASS"], &rows)
}

fn findings(findings: &[Finding]) -> Vec<String> {
    let told = findings.iter().map(|finding| {
        let style = if finding.refuses() { RED } else { YELLOW };
        let remedy = if finding.remedy.is_empty() { String::new() } else { format!("; {}", finding.remedy) };
        format!("{style}{}{style:#}  {}{remedy}", finding.rule, finding.message)
    });
    told.collect()
}

fn events(described: &Description, now: Timestamp) -> Vec<String> {
    let rows: Vec<Vec<String>> = described
        .events
        .iter()
        .map(|e| vec![age(&e.time, now), e.kind.clone(), e.reason.clone(), e.message.clone()])
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    output::table(&["AGE", "TYPE", "REASON", "MESSAGE"], &rows).lines().map(str::to_owned).collect()
}

//! What `status` prints for people: a row a database, a row for each of several components, and its operations beneath.

use anstyle::Style;
use jiff::Timestamp;

use super::view::{Part, Status};
use crate::output::{self, GREEN, RED, YELLOW};
use crate::times::age;

/// What is shown.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    /// A column with the namespace.
    pub namespaces: bool,
    /// More columns.
    pub wide: bool,
    /// Now, for ages.
    pub now: Timestamp,
}

/// The header's line, then the lines of each database. They are in columns together.
#[must_use]
pub fn blocks(all: &[Status], columns: Columns) -> (String, Vec<String>) {
    let rows: Vec<Vec<Vec<String>>> = all.iter().map(|status| rows(status, columns)).collect();
    let flat: Vec<Vec<String>> = rows.iter().flatten().cloned().collect();
    let table = output::table(&header(columns), &flat);
    let mut lines = table.lines();
    let header = lines.next().unwrap_or_default().to_owned();
    let block = |(status, rows): (&Status, &Vec<Vec<String>>)| {
        let table: Vec<&str> = lines.by_ref().take(rows.len()).collect();
        let table = table.into_iter().map(|line| painted(line, status) + "\n");
        table.chain(beneath(status, columns).into_iter().map(|line| format!("  {line}\n"))).collect()
    };
    (header, all.iter().zip(&rows).map(block).collect())
}

fn header(columns: Columns) -> Vec<&'static str> {
    let namespace = columns.namespaces.then_some("NAMESPACE");
    let wide: &[&str] = if columns.wide { &["TOPOLOGY", "CPU", "MEMORY"] } else { &[] };
    let usual = ["DATABASE", "SIZE", "REPLICAS", "STORAGE", "STATUS", "AGE"];
    namespace.into_iter().chain(usual).chain(wide.iter().copied()).collect()
}

fn rows(status: &Status, columns: Columns) -> Vec<Vec<String>> {
    let row = |namespace: &str, name: String, part: Option<&Part>, of_database: [String; 3]| {
        let [phase, age, topology] = of_database;
        let namespace = columns.namespaces.then(|| namespace.to_owned());
        let cells = [name, cell(part, size), cell(part, replicas), cell(part, storage), phase, age];
        let of = |field: fn(&Part) -> &Option<String>| cell(part, |part| field(part).clone());
        let wide = [topology, of(|p| &p.cpu), of(|p| &p.memory)].into_iter().filter(|_| columns.wide);
        namespace.into_iter().chain(cells).chain(wide).collect()
    };
    let topology = status.topology.clone().unwrap_or_else(|| "-".to_owned());
    let of_database = [or_dash(&status.phase), age(&status.created, columns.now), topology];
    match status.components.as_slice() {
        [only] => vec![row(&status.namespace, status.target(), Some(only), of_database)],
        several => {
            let first = row(&status.namespace, status.target(), None, of_database);
            let none = || [String::new(), String::new(), String::new()];
            let rest = several.iter().map(|part| row("", format!("  {}", part.component), Some(part), none()));
            std::iter::once(first).chain(rest).collect()
        }
    }
}

/// A cell of a component; empty in the row of a database that has several.
fn cell(part: Option<&Part>, of: impl Fn(&Part) -> Option<String>) -> String {
    part.map_or_else(String::new, |part| of(part).unwrap_or_else(|| "-".to_owned()))
}

/// The size class, else CPU / memory; and what is wanted.
#[must_use]
pub fn size(part: &Part) -> Option<String> {
    let text = |class: Option<&String>, cpu: Option<&String>, memory: Option<&String>| {
        class.cloned().or_else(|| Some(format!("{} / {}", cpu?, memory?))).or_else(|| cpu.or(memory).cloned())
    };
    let wanted = |field: &str| part.wanted.get(field);
    let now = text(part.size.as_ref(), part.cpu.as_ref(), part.memory.as_ref());
    let then = text(wanted("size"), wanted("cpu"), wanted("memory"));
    arrow(now, then)
}

/// `3`, `3 → 5`; `2×3` for two shards of three.
#[must_use]
pub fn replicas(part: &Part) -> Option<String> {
    let number = |n: Option<i64>| n.map(|n| n.to_string());
    let text = |shards: Option<String>, replicas: Option<String>| match (shards, replicas) {
        (Some(shards), Some(replicas)) => Some(format!("{shards}×{replicas}")),
        (shards, replicas) => shards.or(replicas),
    };
    let wanted = |field: &str, now: Option<i64>| part.wanted.get(field).cloned().or_else(|| number(now));
    let now = text(number(part.shards), number(part.replicas));
    let then = text(wanted("shards", part.shards), wanted("replicas", part.replicas));
    arrow(now, then)
}

/// What volumes have, and what is asked for where that differs.
#[must_use]
pub fn storage(part: &Part) -> Option<String> {
    let now = part.storage_real.clone().or_else(|| part.storage.clone());
    arrow(now, part.wanted.get("storage").cloned().or_else(|| part.storage.clone()))
}

fn arrow(now: Option<String>, then: Option<String>) -> Option<String> {
    match (now, then) {
        (Some(now), Some(then)) if now != then => Some(format!("{now} → {then}")),
        (now, then) => now.or(then),
    }
}

/// The operations in the form in which `wait` tells them, and what else goes on.
fn beneath(status: &Status, columns: Columns) -> Vec<String> {
    let mut lines = operations(status, columns);
    for part in &status.components {
        if let Some(volumes) = part.volumes.filter(|v| v.done < v.all) {
            let of = if status.components.len() > 1 { format!("{}: ", part.component) } else { String::new() };
            let size = part.storage.as_deref().unwrap_or_default();
            lines.push(format!("{of}{} of {} volumes have grown to {size}", volumes.done, volumes.all));
        }
    }
    if let Some(failed) = &status.last_failure {
        let line = format!("{}  {}  {RED}Failed{RED:#}", failed.ops_request_name, failed.ops_type);
        lines.push(format!("{line}  {}", failed.message).trim_end().to_owned());
    }
    if let Some(remark) = &status.record {
        lines.push(format!("{RED}{}{RED:#}  {}", remark.reason, remark.message));
    }
    lines
}

/// The active operations, a line each.
#[must_use]
pub fn operations(status: &Status, columns: Columns) -> Vec<String> {
    let mut lines = Vec::new();
    for op in &status.operations {
        let told = match op.verdict {
            "running" => op.step.clone().unwrap_or_default(),
            _ if columns.wide => op.message.clone(),
            word => word.replace('_', " "), // which one it is about stands in the lines beside it
        };
        let cells = [&op.ops_request_name, &op.ops_type, op.phase, &told, &age(&op.created, columns.now)];
        lines.push(cells.into_iter().filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("  "));
    }
    lines
}

/// The line with its status in the colour of the verdict; columns were counted before.
fn painted(line: &str, status: &Status) -> String {
    let style = match status.phase.as_str() {
        "Ready" => GREEN,
        "Critical" | "NotReady" | "Unknown" => RED,
        "" => Style::new(),
        _ => YELLOW,
    };
    let word = format!("  {}  ", status.phase);
    match line.rfind(&word).filter(|_| !status.phase.is_empty()) {
        Some(at) => {
            let (before, rest) = line.split_at(at + 2);
            let (phase, after) = rest.split_at(status.phase.len());
            format!("{before}{style}{phase}{style:#}{after}")
        }
        None => line.to_owned(),
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one_number(None, Some(3), &[], Some("3"))]
    #[case::more_members(None, Some(3), &[("replicas", "5")], Some("3 → 5"))]
    #[case::shards(Some(2), Some(3), &[], Some("2×3"))]
    #[case::more_shards(Some(2), Some(3), &[("shards", "4")], Some("2×3 → 4×3"))]
    #[case::none(None, None, &[], None)]
    fn numbers(
        #[case] shards: Option<i64>,
        #[case] members: Option<i64>,
        #[case] wanted: &[(&'static str, &str)],
        #[case] told: Option<&str>,
    ) {
        let wanted = wanted.iter().map(|(field, value)| (*field, (*value).to_owned())).collect();
        let part = Part { shards, replicas: members, wanted, ..Part::default() };
        assert_eq!(replicas(&part).as_deref(), told);
    }

    #[rstest]
    #[case::class(Some("db.t3.medium"), &[], "db.t3.medium")]
    #[case::amounts(None, &[], "2 / 4Gi")]
    #[case::to_a_class(None, &[("size", "db.t3.large")], "2 / 4Gi → db.t3.large")]
    fn sizes(#[case] class: Option<&str>, #[case] wanted: &[(&'static str, &str)], #[case] told: &str) {
        let wanted = wanted.iter().map(|(field, value)| (*field, (*value).to_owned())).collect();
        let (cpu, memory) = (Some("2".to_owned()), Some("4Gi".to_owned()));
        let part = Part { size: class.map(str::to_owned), cpu, memory, wanted, ..Part::default() };
        assert_eq!(size(&part).as_deref(), Some(told));
    }
}

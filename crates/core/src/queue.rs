//! What becomes of the OpsRequests of one database that are active at the same time.
//!
//! Source: KubeDB's documents of the OpsRequest phases (one runs at a time, and one that has not begun is Skipped when a
//! newer one of its type arrives). Between types KubeDB promises no order; the order of arrival is told.

use std::fmt;

use serde_json::Value;

use crate::status::{Operation, Phase};

/// An active OpsRequest with what it asks for.
#[derive(Debug, Clone, Copy)]
pub struct Active<'o> {
    /// What is looked at of it.
    pub operation: &'o Operation,
    /// Its `spec`.
    pub spec: &'o Value,
}

/// What becomes of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'o> {
    /// It is at work.
    Runs,
    /// It is the next to begin.
    Next,
    /// It waits for a person's approval.
    NeedsApproval,
    /// It begins when this one has ended.
    Queues(&'o str),
    /// It never begins: this newer one is of its type.
    Skipped(&'o str),
    /// It asks for the same as this one, which is at work.
    Duplicate(&'o str),
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runs => f.write_str("at work"),
            Self::Next => f.write_str("is next"),
            Self::NeedsApproval => f.write_str("waits for approval"),
            Self::Queues(behind) => write!(f, "will queue behind {behind}"),
            Self::Skipped(newer) => write!(f, "will be skipped: {newer} is newer"),
            Self::Duplicate(older) => write!(f, "duplicate of {older}"),
        }
    }
}

impl Verdict<'_> {
    /// A word for programs: `will_be_skipped`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Runs => "running",
            Self::Next => "next",
            Self::NeedsApproval => "needs_approval",
            Self::Queues(_) => "will_queue",
            Self::Skipped(_) => "will_be_skipped",
            Self::Duplicate(_) => "duplicate",
        }
    }
}

/// The active ones of a database with their verdicts, the one at work first, then in the order of arrival.
#[must_use]
pub fn line_up<'o>(requests: &[Active<'o>]) -> Vec<(Active<'o>, Verdict<'o>)> {
    let mut line: Vec<Active<'o>> = requests.iter().filter(|r| r.operation.is_active()).copied().collect();
    let runs = |r: &Active| r.operation.phase == Phase::Progressing;
    line.sort_by(|a, b| (!runs(a), a.operation.age()).cmp(&(!runs(b), b.operation.age())));
    let mut before: Option<&'o str> = None;
    let mut told = Vec::new();
    for (index, request) in line.iter().enumerate() {
        let operation = request.operation;
        let same_type = |other: &&Active<'o>| other.operation.ops_type == operation.ops_type;
        // One that has not begun is no original: the newer one of its type takes its place.
        let at_work = line[..index].iter().filter(|other| runs(other)).filter(same_type);
        let older = at_work.into_iter().find(|other| wants(other.spec) == wants(request.spec));
        let newer = line[index + 1..].iter().rfind(same_type);
        let verdict = match (older, newer, before) {
            _ if runs(request) => Verdict::Runs,
            (_, Some(newer), _) => Verdict::Skipped(&newer.operation.name),
            (Some(older), _, _) => Verdict::Duplicate(&older.operation.name),
            _ if operation.phase == Phase::WaitingForApproval => Verdict::NeedsApproval,
            (_, _, Some(behind)) => Verdict::Queues(behind),
            _ => Verdict::Next,
        };
        if !matches!(verdict, Verdict::Skipped(_) | Verdict::NeedsApproval) {
            before = Some(&operation.name);
        }
        told.push((*request, verdict));
    }
    told
}

/// What a spec asks for, without how: two requests for the same are duplicates whatever their time limits.
fn wants(spec: &Value) -> Vec<(&String, &Value)> {
    let how = ["apply", "timeout", "maxRetries"];
    spec.as_object().into_iter().flatten().filter(|(key, _)| !how.contains(&key.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::alone(&[("a", "V", "", 1)], &["a is next"])]
    #[case::behind_one_at_work(
        &[("b", "H", "", 2), ("a", "V", "Progressing", 1)],
        &["a at work", "b will queue behind a"])]
    #[case::newer_of_the_type(
        &[("r", "X", "Progressing", 1), ("a", "V", "Pending", 1), ("b", "V", "", 2)],
        &["r at work", "a will be skipped: b is newer", "b will queue behind r"])]
    #[case::another_wish_of_the_type(
        &[("r", "X", "Progressing", 1), ("a", "V", "", 1), ("b", "V", "", 3)],
        &["r at work", "a will be skipped: b is newer", "b will queue behind r"])]
    #[case::the_same_as_the_one_at_work(
        &[("a", "V", "Progressing", 1), ("b", "V", "", 2)],
        &["a at work", "b duplicate of a"])]
    #[case::a_person_is_asked(
        &[("a", "V", "WaitingForApproval", 1), ("b", "H", "", 2)],
        &["a waits for approval", "b is next"])]
    #[case::a_long_line(
        &[("a", "V", "", 1), ("b", "H", "", 2), ("c", "X", "", 3)],
        &["a is next", "b will queue behind a", "c will queue behind b"])]
    #[case::ended(&[("a", "V", "Failed", 1)], &[])]
    // One that is being deleted will not run, and nothing waits for it.
    #[case::being_deleted(
        &[("gone", "V", "Pending", 1), ("b", "H", "", 2)],
        &["b is next"])]
    fn verdicts(#[case] requests: &[(&str, &str, &str, u8)], #[case] wanted: &[&str]) {
        let operation = |(name, ops_type, phase, second): &(&str, &str, &str, u8)| {
            let status = json!({"phase": phase});
            let at = format!("2026-01-01T00:00:0{second}Z");
            let deleted = (*name == "gone").then(|| at.clone());
            let metadata = json!({"name": name, "creationTimestamp": at, "deletionTimestamp": deleted});
            // Those of the third second want something else.
            let spec = json!({"type": ops_type, "wish": *second == 3, "timeout": name});
            json!({"metadata": metadata, "spec": spec, "status": status})
        };
        let objects: Vec<Value> = requests.iter().map(operation).collect();
        let operations: Vec<Operation> = objects.iter().map(|o| Operation::of(o, "databaseRef")).collect();
        let active = objects.iter().zip(&operations).map(|(o, operation)| Active { operation, spec: &o["spec"] });
        let line: Vec<Active<'_>> = active.collect();
        let told: Vec<String> =
            line_up(&line).iter().map(|(r, verdict)| format!("{} {verdict}", r.operation.name)).collect();
        assert_eq!(told, wanted);
    }
}

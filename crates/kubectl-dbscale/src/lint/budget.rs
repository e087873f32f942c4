//! What a run may take in all: bytes read, values built, and memory for what is kept until the end.
//!
//! The bounds of a file and of a document make each of them harmless; these make any number of them so.

use std::cell::Cell;

use dbscale_core::database::{ComponentView, Place};
use serde_json::Value;

use super::context::Present;
use super::{Judged, Placed, Row};

const MIB: usize = 1024 * 1024;
/// The most bytes of all files: eight of the largest.
const MAX_BYTES: usize = 256 * MIB;
/// The most values of all documents, keys and those that aliases stand for included: two hundred lists of 1,000 databases.
const MAX_VALUES: usize = 20_000_000;
/// The most memory for what is kept, in bytes, as estimated below: some 30,000 databases and OpsRequests as people write them.
const MAX_MEMORY: usize = 512 * MIB;

/// What is left of it.
#[derive(Debug)]
pub struct Budget {
    bytes: Cell<usize>,
    values: Cell<usize>,
    memory: Cell<usize>,
    spent: Cell<Option<Spent>>,
}

/// What there was not enough of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Spent {
    /// Bytes of files.
    #[error("a run reads at most {} MiB of files", MAX_BYTES / MIB)]
    Bytes,
    /// Values of documents.
    #[error("a run reads at most {MAX_VALUES} values, those that aliases stand for included")]
    Values,
    /// Memory for what is kept.
    #[error("a run keeps at most {} MiB of what it judges and judges by", MAX_MEMORY / MIB)]
    Memory,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(MAX_BYTES, MAX_VALUES, MAX_MEMORY)
    }
}

impl Budget {
    fn new(bytes: usize, values: usize, memory: usize) -> Self {
        let [bytes, values, memory] = [bytes, values, memory].map(Cell::new);
        Self { bytes, values, memory, spent: Cell::new(None) }
    }

    /// Takes the bytes of a file.
    pub fn bytes(&self, count: usize) {
        self.take(&self.bytes, count, Spent::Bytes);
    }

    /// Takes the values of a document.
    pub fn values(&self, count: usize) {
        self.take(&self.values, count, Spent::Values);
    }

    /// Takes the memory of something that is kept, in bytes.
    pub fn memory(&self, bytes: usize) {
        self.take(&self.memory, bytes, Spent::Memory);
    }

    /// What there was not enough of; nothing more is to be read then.
    #[must_use]
    pub fn spent(&self) -> Option<Spent> {
        self.spent.get()
    }

    fn take(&self, from: &Cell<usize>, count: usize, what: Spent) {
        match from.get().checked_sub(count) {
            Some(left) => from.set(left),
            None => self.spent.set(self.spent.get().or(Some(what))),
        }
    }
}

/// What an allocation takes beside its bytes.
const ALLOCATION: usize = 16;
/// What a node of a map takes: serde_json keeps objects in B-trees of eleven fields a node, however few there are.
const NODE: usize = 11 * (size_of::<String>() + size_of::<Value>()) + ALLOCATION;
/// How many fields a node has at least when there are several.
const FIELDS: usize = 6;

/// The memory of a value, in bytes.
pub(super) fn of_value(value: &Value) -> usize {
    size_of::<Value>() + beside(value)
}

/// The memory of a row and its findings.
pub(super) fn of_row(row: &Row) -> usize {
    let name = &row.name;
    let texts = [&name.kind, &name.namespace, &name.name].map(|text| of_text(text)).iter().sum::<usize>();
    size_of::<Row>() + texts + row.findings.iter().map(of_finding).sum::<usize>()
}

/// The memory of what is judged, without its row, object and document.
pub(super) fn of_judged(judged: &Judged) -> usize {
    // Its name is a key of what others are judged by, too.
    size_of::<Judged>() + of_text(&judged.at) + 4 * ALLOCATION + size_of::<(&str, String, Vec<Value>)>()
}

/// The memory of a database: its object and the view of it.
pub(super) fn of_database(present: &Present) -> usize {
    // A place that is a list's item has the texts of its paths.
    let place = |place: &Place| {
        size_of::<Place>() + place.item.iter().map(|i| of_text(i)).sum::<usize>() + 2 * place.storage_path.len()
    };
    let component = |view: &ComponentView| size_of::<ComponentView>() + view.places.iter().map(place).sum::<usize>();
    let view: usize = present.database.components.iter().map(component).sum();
    size_of::<Present>() + view + of_value(&present.object)
}

/// The memory of a text.
pub(super) fn of_text(text: &str) -> usize {
    if text.is_empty() { 0 } else { text.len() + ALLOCATION }
}

fn of_finding(placed: &Placed) -> usize {
    let finding = &placed.finding;
    let texts = [&finding.path, &finding.message, &finding.remedy].map(|text| of_text(text));
    size_of::<Placed>() + texts.iter().sum::<usize>()
}

/// The memory that a value takes beside its own place.
fn beside(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => of_text(text),
        Value::Array(items) => {
            ALLOCATION + items.capacity() * size_of::<Value>() + items.iter().map(beside).sum::<usize>()
        }
        Value::Object(fields) if fields.is_empty() => 0,
        Value::Object(fields) => {
            let inside = fields.iter().map(|(key, value)| of_text(key) + beside(value));
            (fields.len() / FIELDS + 1) * NODE + inside.sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::files::Source;
    use super::super::{Linter, Report};
    use super::*;

    const PLENTY: usize = 1 << 30;

    fn lint(budget: &Budget, texts: &[&str], strict: bool) -> Report {
        let mut linter = Linter::new(budget, strict);
        let source = |text: &&str| Source { name: "x.yaml".to_owned(), bytes: text.as_bytes().to_vec() };
        let _ = texts.iter().try_for_each(|text| linter.add(&source(text)));
        linter.finish()
    }

    const SMALL: &str = "apiVersion: kubedb.com/v1\nkind: MySQL\nmetadata: {name: a}\nspec: {replicas: 0}\n";

    #[rstest]
    #[case::bytes(Budget::new(100, PLENTY, PLENTY), "x.yaml:1: a run reads at most 256 MiB of files; ")]
    #[case::values(
        Budget::new(PLENTY, 12, PLENTY),
        "x.yaml:1: a run reads at most 20000000 values, those that aliases stand for included; "
    )]
    #[case::memory(
        Budget::new(PLENTY, PLENTY, 4_000),
        "x.yaml:1: a run keeps at most 512 MiB of what it judges and judges by; "
    )]
    fn what_was_read_so_far_is_judged_and_the_end_is_told(#[case] budget: Budget, #[case] says: &str) {
        let report = lint(&budget, &[SMALL, SMALL, SMALL, SMALL], false);
        let refused = report.rows.iter().filter(|r| r.refused()).count();
        assert!((1..4).contains(&refused), "{refused}");
        assert_eq!(report.rows.len(), refused);
        let [error] = report.unreadable.as_slice() else { panic!("{:?}", report.unreadable) };
        let wanted = format!("{says}from here on nothing is judged: lint fewer files at once");
        assert_eq!(error.to_string(), wanted);
    }

    #[test]
    fn whoever_uses_up_all_of_it_at_the_end_was_read_whole() {
        let report = lint(&Budget::new(PLENTY, 1, PLENTY), &[SMALL], false);
        assert_eq!((report.rows.len(), report.unreadable.as_slice()), (1, [].as_slice()));
    }

    #[test]
    fn a_run_that_ends_early_has_nothing_to_refuse_and_is_an_error() {
        let fine = SMALL.replace("replicas: 0", "replicas: 1");
        assert_eq!(lint(&Budget::new(fine.len(), PLENTY, PLENTY), &[&fine, &fine], false).exit_code(), 1);
    }

    #[test]
    fn what_may_stand_in_what_was_not_read_is_not_missing() {
        let ask = "apiVersion: ops.kubedb.com/v1alpha1\nkind: MySQLOpsRequest\nmetadata: {name: ask}\nspec:\n  type: Restart\n  databaseRef: {name: a}\n";
        assert!(lint(&Budget::default(), &[ask], true).rows[0].refused());
        let report = lint(&Budget::new(ask.len(), PLENTY, PLENTY), &[ask, SMALL], true);
        assert_eq!((report.rows.len(), report.rows[0].refused(), report.exit_code()), (1, false, 1));
    }

    #[test]
    fn aliases_of_one_document_after_the_other_are_counted_together() {
        let level = |i: usize| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "));
        let many: String = (1..5).map(level).collect();
        let text = format!("kind: A\na0: &a0 [x, x, x, x, x, x, x, x, x]\n{many}");
        let budget = Budget::new(PLENTY, 200_000, PLENTY);
        let report = lint(&budget, &[&text, &text, &text, &text], false);
        assert_eq!((report.rows.len(), budget.spent()), (3, Some(Spent::Values)));
    }

    #[rstest]
    #[case::number("1", 32)]
    #[case::text(r#""four""#, 32 + 20)]
    #[case::one_field(r#"{"a": 1}"#, 32 + NODE + 17)]
    #[case::nothing_in_it("{}", 32)]
    fn memory_of_values(#[case] json: &str, #[case] bytes: usize) {
        assert_eq!(of_value(&serde_json::from_str(json).unwrap()), bytes);
    }
}

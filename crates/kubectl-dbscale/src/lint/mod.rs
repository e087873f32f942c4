//! `lint`: what the rules say of files, without a cluster.
//!
//! Files are read one by one ([`files`]), cut into documents ([`split`]), read within bounds ([`value`]) and taken apart
//! into objects ([`read`]), as far as the run's [`budget`] goes. What others are judged by is gathered on the way ([`context`]); when all is read, OpsRequests
//! and databases are judged ([`judge`]), and findings get their line ([`locate`]).

pub mod budget;
pub mod context;
pub mod files;
pub mod judge;
pub mod locate;
pub mod read;
pub mod report;
mod shape;
pub mod split;
mod subject;
pub mod value;

use std::cmp::Reverse;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use dbscale_core::catalog::Engine;
use dbscale_core::finding::Finding;
use dbscale_core::rules;
use serde_json::Value;

use self::budget::Budget;
use self::context::Present;
use self::files::{Source, Unreadable};
use self::judge::{Judge, Verdict};
use self::locate::Lines;
use self::read::{Broken, Document, Found, Name, Object};
use self::subject::Role;

/// What is asked of `lint`.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// Files and folders; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// Whether the folders below a folder count.
    pub recursive: bool,
    /// What was there before.
    pub old: Option<PathBuf>,
    /// Whether what is not among the files is not there.
    pub strict: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// A row a Kubernetes object, in the files' order.
    pub rows: Vec<Row>,
    /// Documents that cannot be read, and are none of KubeDB's.
    pub passed_over: Vec<PassedOver>,
    /// Files that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// How many OpsRequests were judged without their database.
    pub alone: usize,
}

/// A document that cannot be read, and is none of KubeDB's: a template, or what somebody else has to mend.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: passed over, for it cannot be read: {reason}")]
pub struct PassedOver {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line in the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// What came of an object.
#[derive(Debug)]
pub struct Row {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// What it is called.
    pub name: Name,
    /// What was found, in the rules' order.
    pub findings: Vec<Placed>,
}

/// A finding and its line.
#[derive(Debug, PartialEq, Eq)]
pub struct Placed {
    /// The finding.
    pub finding: Finding,
    /// The line in the file, from 1.
    pub line: usize,
}

impl Row {
    /// Whether the object is refused.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.findings.iter().any(|f| f.finding.refuses())
    }
}

/// Reads and judges files.
///
/// # Errors
/// Where the system has no room for a further thread; a file that cannot be read is part of the report.
pub fn lint(ask: &Ask) -> io::Result<Report> {
    value::with_room(|| {
        let budget = Budget::default();
        let mut linter = Linter::new(&budget, ask.strict);
        let mut add = |one: Result<Source, Unreadable>| match one {
            Ok(source) => linter.add(&source),
            Err(error) => linter.cannot(error),
        };
        let walked = ask.files.iter().try_for_each(|path| files::each(path, ask.recursive, &mut add));
        if let (ControlFlow::Continue(()), Some(old)) = (walked, &ask.old) {
            let _ = match files::one(old) {
                Ok(source) => linter.add_old(&source),
                Err(error) => linter.cannot(error),
            };
        }
        linter.finish()
    })
}

/// Judges texts that are in memory already, by their names. `old` is what was there before.
///
/// # Errors
/// As [`lint`].
pub fn lint_texts(texts: &[(&str, &[u8])], old: Option<&[u8]>, strict: bool) -> io::Result<Report> {
    let source = |name: &str, bytes: &[u8]| Source { name: name.to_owned(), bytes: bytes.to_vec() };
    value::with_room(|| {
        let budget = Budget::default();
        let mut linter = Linter::new(&budget, strict);
        let walked = texts.iter().try_for_each(|(name, bytes)| linter.add(&source(name, bytes)));
        if let (ControlFlow::Continue(()), Some(bytes)) = (walked, old) {
            let _ = linter.add_old(&source("old", bytes));
        }
        linter.finish()
    })
}

/// Gathers objects, then judges them.
#[derive(Debug)]
struct Linter<'b> {
    budget: &'b Budget,
    report: Report,
    /// What has to be judged; the rest of an object is forgotten as soon as its name is known.
    judged: Vec<Judged>,
    judge: Judge,
}

/// What has to be judged.
#[derive(Debug)]
struct Judged {
    /// The number of its row.
    row: usize,
    document: Arc<Document>,
    /// The path to the object in the document.
    at: String,
    /// What the reader found already.
    findings: Vec<Finding>,
    subject: Subject,
}

#[derive(Debug)]
enum Subject {
    Request(&'static Engine, Arc<Value>),
    Database(Arc<Present>),
    Other,
}

impl<'b> Linter<'b> {
    fn new(budget: &'b Budget, strict: bool) -> Self {
        let judge = Judge { strict, ..Judge::default() };
        Self { budget, report: Report::default(), judged: Vec::new(), judge }
    }

    /// Takes a file; breaks off where the budget is spent before its end.
    fn add(&mut self, source: &Source) -> ControlFlow<()> {
        let read = read::objects(&source.name, &source.bytes, self.budget, &mut |found| match found {
            Found::Object(object) => self.add_object(object),
            Found::Broken(broken) if broken.ours => {
                let finding = rules::undecodable(&broken.message).remedy(broken.remedy);
                let findings = vec![Placed { finding, line: broken.line }];
                self.add_row(Row { file: broken.file, name: broken.name, findings });
            }
            Found::Broken(broken) => self.pass_over(broken),
        });
        self.go_on(read)
    }

    fn add_row(&mut self, row: Row) {
        self.budget.memory(budget::of_row(&row));
        self.report.rows.push(row);
    }

    fn add_object(&mut self, object: Object) {
        let Object { document, at, value } = object;
        let row = self.report.rows.len();
        self.add_row(Row { file: Arc::clone(&document.file), name: Name::of(&value), findings: Vec::new() });
        let (role, findings) = subject::role(&value);
        let files = &mut self.judge.files;
        let (subject, memory) = match role {
            Role::Request(engine) => {
                let value = Arc::new(trimmed(value));
                files.add_request(engine, &value);
                let memory = budget::of_value(&value);
                (Subject::Request(engine, value), memory)
            }
            Role::Database(engine) => {
                let present = Present::of(engine, trimmed(value));
                files.add_database(&present);
                let memory = budget::of_database(&present);
                (Subject::Database(present), memory)
            }
            Role::Class => {
                files.add_class(&value);
                (Subject::Other, 0)
            }
            Role::Claim => {
                let value = trimmed(value);
                let memory = budget::of_value(&value);
                files.add_claim(value);
                (Subject::Other, memory)
            }
            Role::Other => (Subject::Other, 0),
        };
        self.budget.memory(memory);
        if matches!(subject, Subject::Other) && findings.is_empty() {
            return;
        }
        // Objects of one document follow one another and share its text.
        if self.judged.last().is_none_or(|last| !Arc::ptr_eq(&last.document, &document)) {
            self.budget.memory(size_of::<Document>() + budget::of_text(&document.text));
        }
        let judged = Judged { row, document, at, findings, subject };
        self.budget.memory(budget::of_judged(&judged));
        self.judged.push(judged);
    }

    /// Takes what was there before; what of it cannot be read is told, for a missing one would let a shrink pass.
    fn add_old(&mut self, source: &Source) -> ControlFlow<()> {
        let read = read::objects(&source.name, &source.bytes, self.budget, &mut |found| match found {
            Found::Object(Object { document, value, .. }) => {
                let (role, findings) = subject::role(&value);
                let memory = match role {
                    Role::Database(engine) => {
                        let present = Present::of(engine, trimmed(value));
                        self.judge.old.add_database(&present);
                        budget::of_database(&present)
                    }
                    Role::Request(engine) => {
                        let value = Arc::new(trimmed(value));
                        self.judge.old.add_request(engine, &value);
                        budget::of_value(&value)
                    }
                    Role::Class | Role::Claim | Role::Other => {
                        for finding in findings.into_iter().filter(Finding::refuses) {
                            let name = format!("{}:{}", document.file, document.line);
                            self.report.unreadable.push(Unreadable { name, reason: finding.message });
                        }
                        0
                    }
                };
                self.budget.memory(memory);
            }
            Found::Broken(broken) if broken.ours => {
                let name = format!("{}:{}", broken.file, broken.line);
                let reason = format!("it cannot be read: {}", broken.message);
                self.report.unreadable.push(Unreadable { name, reason });
            }
            Found::Broken(broken) => self.pass_over(broken),
        });
        self.go_on(read)
    }

    fn pass_over(&mut self, broken: Broken) {
        let passed_over = PassedOver { file: broken.file, line: broken.line, reason: broken.message };
        self.budget.memory(size_of::<PassedOver>() + budget::of_text(&passed_over.reason));
        self.report.passed_over.push(passed_over);
    }

    /// Takes what could not be read.
    fn cannot(&mut self, error: Unreadable) -> ControlFlow<()> {
        self.report.unreadable.push(error);
        ControlFlow::Continue(())
    }

    fn go_on(&mut self, read: Result<(), Unreadable>) -> ControlFlow<()> {
        let Err(error) = read else { return ControlFlow::Continue(()) };
        self.report.unreadable.push(error);
        // What is missing so far may stand in what was not read.
        self.judge.strict = false;
        ControlFlow::Break(())
    }

    fn finish(self) -> Report {
        let Self { mut report, judged, judge, .. } = self;
        // Objects of one document follow one another, so its lines are read once.
        let mut lines: Option<(Arc<Document>, Lines)> = None;
        for Judged { row, document, at, mut findings, subject } in judged {
            let verdict = match &subject {
                Subject::Request(engine, object) => judge.request(engine, object),
                Subject::Database(present) => judge.database(present),
                Subject::Other => Verdict::default(),
            };
            report.alone += usize::from(verdict.alone);
            findings.extend(verdict.findings);
            let findings = shortened(findings);
            if !findings.is_empty() && lines.as_ref().is_none_or(|(of, _)| !Arc::ptr_eq(of, &document)) {
                lines = Some((Arc::clone(&document), Lines::of(&document.text)));
            }
            report.rows[row].findings.extend(findings.into_iter().map(|finding| {
                let path = join(&at, &finding.path);
                let line = lines.as_ref().map_or(1, |(_, lines)| lines.line(&path));
                Placed { finding, line: document.line + line - 1 }
            }));
        }
        report
    }
}

/// The most findings that are told of an object: each looks for its line in the whole document.
const MAX_FINDINGS: usize = 100;

/// The gravest findings, and how many more there are.
fn shortened(mut findings: Vec<Finding>) -> Vec<Finding> {
    let more = findings.len().saturating_sub(MAX_FINDINGS);
    if more > 0 {
        findings.sort_by_key(|finding| Reverse(finding.severity));
        findings.truncate(MAX_FINDINGS);
        let told =
            findings.last().map(|last| Finding::warn(last.rule, "", format!("{more} more findings are not told")));
        findings.extend(told);
    }
    findings
}

/// What rules may look at of an OpsRequest, a database or a claim. Who wrote which field may be half of an object that a cluster
/// returned, and a field beside `spec` may be anything.
fn trimmed(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|field, _| ["apiVersion", "kind", "metadata", "spec", "status"].contains(&field.as_str()));
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    object
}

/// The path in the document of a path in an object.
fn join(at: &str, path: &str) -> String {
    if at.is_empty() || path.is_empty() { format!("{at}{path}") } else { format!("{at}.{path}") }
}

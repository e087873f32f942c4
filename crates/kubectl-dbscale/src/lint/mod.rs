//! `lint`: what the rules say of files, without a cluster.
//!
//! Files are read one by one ([`files`]), cut into documents ([`split`]), read within bounds ([`value`]) and taken apart
//! into objects ([`read`]). What others are judged by is gathered on the way ([`context`]); when all is read, OpsRequests
//! and databases are judged ([`judge`]), and findings get their line ([`locate`]).

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

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dbscale_core::catalog::Engine;
use dbscale_core::finding::Finding;
use dbscale_core::rules;
use serde::Serialize;
use serde_json::Value;

use self::context::Present;
use self::files::Unreadable;
use self::judge::{Judge, Verdict};
use self::locate::Lines;
use self::read::{Document, Found, Name, Object};
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
    /// Files that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// How many OpsRequests were judged without their database.
    pub alone: usize,
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
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// The finding.
    #[serde(flatten)]
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
        let mut linter = Linter::new(ask.strict);
        let mut unreadable = Vec::new();
        for path in &ask.files {
            files::each(path, ask.recursive, &mut |one| match one {
                Ok(source) => linter.add(&source.name, &source.bytes),
                Err(error) => unreadable.push(error),
            });
        }
        if let Some(old) = &ask.old {
            unreadable.extend(add_old(&mut linter, old));
        }
        Report { unreadable, ..linter.finish() }
    })
}

/// Judges texts that are in memory already, by their names. `old` is what was there before.
///
/// # Errors
/// As [`lint`].
pub fn lint_texts(texts: &[(&str, &[u8])], old: Option<&[u8]>, strict: bool) -> io::Result<Report> {
    value::with_room(|| {
        let mut linter = Linter::new(strict);
        for (name, bytes) in texts {
            linter.add(name, bytes);
        }
        let unreadable = old.map(|bytes| linter.add_old("old", bytes)).unwrap_or_default();
        Report { unreadable, ..linter.finish() }
    })
}

fn add_old(linter: &mut Linter, path: &Path) -> Vec<Unreadable> {
    match files::one(path) {
        Ok(source) => linter.add_old(&source.name, &source.bytes),
        Err(error) => vec![error],
    }
}

/// Gathers objects, then judges them.
#[derive(Debug, Default)]
struct Linter {
    entries: Vec<Entry>,
    judge: Judge,
}

/// A row to come.
#[derive(Debug)]
struct Entry {
    row: Row,
    /// What has to be judged; the rest of an object is forgotten as soon as its name is known.
    judged: Option<Judged>,
}

#[derive(Debug)]
struct Judged {
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

impl Linter {
    fn new(strict: bool) -> Self {
        Self { judge: Judge { strict, ..Judge::default() }, ..Self::default() }
    }

    fn add(&mut self, file: &str, bytes: &[u8]) {
        read::objects(file, bytes, &mut |found| match found {
            Found::Object(object) => self.add_object(object),
            Found::Broken(broken) => {
                let finding = rules::undecodable(&broken.message).remedy(broken.remedy);
                let findings = vec![Placed { finding, line: broken.line }];
                self.entries.push(Entry { row: Row { file: broken.file, name: broken.name, findings }, judged: None });
            }
        });
    }

    fn add_object(&mut self, object: Object) {
        let Object { document, at, value } = object;
        let row = Row { file: Arc::clone(&document.file), name: Name::of(&value), findings: Vec::new() };
        let (role, findings) = subject::role(&value);
        let files = &mut self.judge.files;
        let subject = match role {
            Role::Request(engine) => {
                let value = Arc::new(value);
                files.add_request(engine, &value);
                Subject::Request(engine, value)
            }
            Role::Database(engine) => {
                let present = Present::of(engine, Arc::new(value));
                files.add_database(&present);
                Subject::Database(present)
            }
            Role::Class => {
                files.add_class(&value);
                Subject::Other
            }
            Role::Claim => {
                files.add_claim(value);
                Subject::Other
            }
            Role::Other => Subject::Other,
        };
        let nothing = matches!(subject, Subject::Other) && findings.is_empty();
        let judged = (!nothing).then_some(Judged { document, at, findings, subject });
        self.entries.push(Entry { row, judged });
    }

    /// Takes what was there before; what of it cannot be read is told, for a missing one would let a shrink pass.
    fn add_old(&mut self, file: &str, bytes: &[u8]) -> Vec<Unreadable> {
        let mut unreadable = Vec::new();
        read::objects(file, bytes, &mut |found| match found {
            Found::Object(object) => match subject::role(&object.value).0 {
                Role::Database(engine) => self.judge.old.add_database(&Present::of(engine, Arc::new(object.value))),
                Role::Request(engine) => self.judge.old.add_request(engine, &Arc::new(object.value)),
                Role::Class | Role::Claim | Role::Other => {}
            },
            Found::Broken(broken) => {
                let name = format!("{}:{}", broken.file, broken.line);
                unreadable.push(Unreadable { name, reason: format!("it cannot be read: {}", broken.message) });
            }
        });
        unreadable
    }

    fn finish(self) -> Report {
        let mut report = Report::default();
        // Objects of one document follow one another, so its lines are read once.
        let mut lines: Option<(Arc<Document>, Lines)> = None;
        for Entry { mut row, judged } in self.entries {
            if let Some(Judged { document, at, mut findings, subject }) = judged {
                let verdict = match &subject {
                    Subject::Request(engine, object) => self.judge.request(engine, object),
                    Subject::Database(present) => self.judge.database(present),
                    Subject::Other => Verdict::default(),
                };
                report.alone += usize::from(verdict.alone);
                findings.extend(verdict.findings);
                if !findings.is_empty() && lines.as_ref().is_none_or(|(of, _)| !Arc::ptr_eq(of, &document)) {
                    lines = Some((Arc::clone(&document), Lines::of(&document.text)));
                }
                row.findings.extend(findings.into_iter().map(|finding| {
                    let path = join(&at, &finding.path);
                    let line = lines.as_ref().map_or(1, |(_, lines)| lines.line(&path));
                    Placed { finding, line: document.line + line - 1 }
                }));
            }
            report.rows.push(row);
        }
        report
    }
}

/// The path in the document of a path in an object.
fn join(at: &str, path: &str) -> String {
    if at.is_empty() || path.is_empty() { format!("{at}{path}") } else { format!("{at}.{path}") }
}

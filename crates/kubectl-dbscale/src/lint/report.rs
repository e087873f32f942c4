//! A report as people, programs and GitHub read it.

use std::fmt::Write as _;
use std::io;

use anstyle::{AnsiColor, Style};
use dbscale_core::finding::Severity;
use serde::{Serialize, Serializer};

use super::read::Name;
use super::{PassedOver, Placed, Report, Row};

const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// The exit code of a refusal, whatever the rule: of a file, none of them is a matter of the moment.
pub const EXIT_REFUSED: u8 = 3;
/// The exit code of a file that cannot be read.
pub const EXIT_UNREADABLE: u8 = 1;

impl Report {
    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.rows.iter().any(Row::refused) {
            EXIT_REFUSED
        } else if self.unreadable.is_empty() {
            0
        } else {
            EXIT_UNREADABLE
        }
    }

    /// Writes the list for programs, a row an object.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn json(&self, mut to: impl io::Write) -> io::Result<()> {
        // Piece by piece: a `Value` would take more memory than all that was read.
        serde_json::to_writer_pretty(&mut to, &RowsAsJson(&self.rows))?;
        writeln!(to)
    }

    /// What was found, for people; with the terminal's colours in it. Objects without findings are not told.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for row in self.rows.iter().filter(|r| !r.findings.is_empty()) {
            let (word, style) = if row.refused() { ("refused", RED) } else { ("warned", YELLOW) };
            let _ = writeln!(text, "{style}{word:<7}{style:#}  {}", title(row));
            for placed in &row.findings {
                let finding = &placed.finding;
                let grave = if finding.refuses() { String::new() } else { format!("{YELLOW}warning{YELLOW:#} ") };
                let path = printable(&finding.path);
                let place = format!("{}:{}", printable(&row.file), placed.line);
                let head = format!("  {place}  {grave}{}  {path}", finding.rule);
                let _ = writeln!(text, "{}", head.trim_end());
                for sentence in [&finding.message, &finding.remedy].into_iter().filter(|s| !s.is_empty()) {
                    let _ = writeln!(text, "    {}.", capital(&printable(sentence)));
                }
            }
        }
        text
    }

    /// How many of what, in a line; where there is more to say, a line each.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |n: usize, what: &str| (n > 0).then(|| format!("{n} {what}"));
        let refused = self.rows.iter().filter(|r| r.refused()).count();
        let warned = self.rows.iter().filter(|r| !r.refused() && !r.findings.is_empty()).count();
        let allowed = self.rows.len() - refused - warned;
        let parts = [
            count(refused, "refused"),
            count(warned, "allowed with warnings"),
            count(allowed, "allowed"),
            count(self.passed_over.len(), "passed over"),
            count(self.unreadable.len(), "not read"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let mut text = if parts.is_empty() { "no Kubernetes object found".to_owned() } else { parts.join(", ") };
        let without = match self.alone {
            0 => None,
            1 => Some("1 OpsRequest was judged without its database".to_owned()),
            n => Some(format!("{n} OpsRequests were judged without their databases")),
        };
        if let Some(without) = without {
            let _ = write!(text, "\n{without}: lint the databases' manifests, too, or add --strict to refuse");
        }
        let findings = || self.rows.iter().flat_map(|r| &r.findings);
        if let Some(placed) = findings().find(|f| f.finding.refuses()).or_else(|| findings().next()) {
            let _ = write!(text, "\nMore: kubectl dbscale explain {}", placed.finding.rule);
        }
        text
    }

    /// Commands of GitHub's workflows, which show findings beside the lines of a pull request.
    ///
    /// Source: GitHub's documentation, "Workflow commands for GitHub Actions", and the escapes of `@actions/core`.
    #[must_use]
    pub fn github(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            for placed in &row.findings {
                let finding = &placed.finding;
                let command = if finding.severity == Severity::Deny { "error" } else { "warning" };
                let remedy = if finding.remedy.is_empty() { String::new() } else { format!("; {}", finding.remedy) };
                let _ = writeln!(
                    text,
                    "::{command} file={},line={},title={}::{}",
                    property(&row.file),
                    placed.line,
                    property(finding.rule.0),
                    data(&format!("{}: {}{remedy}", title(row), finding.message)),
                );
            }
        }
        for PassedOver { file, line, reason } in &self.passed_over {
            let said = data(&format!("passed over, for it cannot be read: {reason}"));
            let _ = writeln!(text, "::warning file={},line={line}::{said}", property(file));
        }
        for unreadable in &self.unreadable {
            let _ = writeln!(text, "::error file={}::{}", property(&unreadable.name), data(&unreadable.reason));
        }
        text
    }
}

struct RowsAsJson<'r>(&'r [Row]);

impl Serialize for RowsAsJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(RowAsJson::of))
    }
}

/// A row as programs read it, its fields in the order of their names.
#[derive(Serialize)]
struct RowAsJson<'r> {
    file: &'r str,
    findings: Vec<FindingAsJson<'r>>,
    kind: &'r str,
    name: &'r str,
    namespace: &'r str,
    verdict: &'static str,
}

#[derive(Serialize)]
struct FindingAsJson<'r> {
    line: usize,
    message: &'r str,
    path: &'r str,
    remedy: &'r str,
    rule: &'r str,
    severity: Severity,
}

impl<'r> RowAsJson<'r> {
    fn of(row: &'r Row) -> Self {
        let finding = |Placed { finding, line }: &'r Placed| FindingAsJson {
            line: *line,
            message: &finding.message,
            path: &finding.path,
            remedy: &finding.remedy,
            rule: finding.rule.0,
            severity: finding.severity,
        };
        let Name { kind, namespace, name } = &row.name;
        let verdict = if row.refused() { "refused" } else { "allowed" };
        Self { file: &row.file, findings: row.findings.iter().map(finding).collect(), kind, name, namespace, verdict }
    }
}

/// `MongoDB demo/my-db`; what is not known is left out.
fn title(row: &Row) -> String {
    let name = &row.name;
    let kind = if name.kind.is_empty() { "document" } else { &name.kind };
    let namespace = if name.namespace.is_empty() { String::new() } else { format!("{}/", name.namespace) };
    printable(format!("{kind} {namespace}{}", name.name).trim_end())
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The text without what could steer a terminal: files are other people's.
#[must_use]
pub fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

fn capital(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

//! What a fuzzer does with its bytes: they become files, are judged, and whatever comes of it has to hold together.
//!
//! The tests beside this file and the fuzz target in `fuzz/` share it.

use kubectl_dbscale::lint::lint_texts;

/// Judges bytes. The first one says how: strict or not, JSON or YAML by the file's name, and whether the second half of the
/// bytes is what was there before.
///
/// # Panics
/// Where a verdict does not hold together.
pub fn judge(bytes: &[u8]) {
    let Some((&how, bytes)) = bytes.split_first() else { return };
    let name = if how & 2 == 0 { "a.yaml" } else { "a.json" };
    let (new, old) = if how & 4 == 0 { (bytes, None) } else { halves(bytes) };
    let report = lint_texts(&[(name, new)], old, how & 1 == 1).unwrap_or_default();
    let lines = new.iter().filter(|b| **b == b'\n' || **b == b'\r').count() + 1;
    for row in &report.rows {
        for placed in &row.findings {
            assert!(!placed.finding.message.is_empty(), "{placed:?}");
            assert!((1..=lines + 1).contains(&placed.line), "{placed:?} of {lines} lines");
        }
    }
    let refused = report.rows.iter().any(kubectl_dbscale::lint::Row::refused);
    assert_eq!(report.exit_code() == 3, refused);
    let mut json = Vec::new();
    assert!(report.json(&mut json).is_ok());
    let verdicts = json.split(|b| *b == b'\n').filter(|line| line.starts_with(b"    \"verdict\": ")).count();
    assert_eq!(verdicts, report.rows.len());
    let findings: usize = report.rows.iter().map(|r| r.findings.len()).sum();
    assert_eq!(report.github().lines().count(), findings + report.passed_over.len() + report.unreadable.len());
    let _ = (report.text(), report.summary());
}

fn halves(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (new, old) = bytes.split_at(bytes.len() / 2);
    (new, Some(old))
}

//! A verdict depends on what is asked, not on the order in which it is written.

use std::fs;
use std::path::Path;

use kubectl_dbscale::lint::{Report, lint_texts};
use serde_json::Value;

/// `value` as JSON, which is YAML too; the fields of all objects in the order of their names, or the other way round.
fn written(value: &Value, reversed: bool) -> String {
    let join = |mut parts: Vec<String>, reversed: bool| {
        if reversed {
            parts.reverse();
        }
        parts.join(", ")
    };
    match value {
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(key, value)| format!("{}: {}", Value::from(&**key), written(value, reversed)));
            format!("{{{}}}", join(fields.collect(), reversed))
        }
        Value::Array(items) => {
            format!("[{}]", join(items.iter().map(|item| written(item, reversed)).collect(), false))
        }
        other => other.to_string(),
    }
}

/// What was found, without the lines, in an order of its own.
fn gist(report: &Report) -> Vec<String> {
    assert!(report.unreadable.is_empty() && report.passed_over.is_empty(), "{report:?}");
    let of_row = |row: &kubectl_dbscale::lint::Row| {
        let findings: Vec<String> = row.findings.iter().map(|placed| placed.finding.to_string()).collect();
        format!("{:?}: {findings:?}", row.name)
    };
    let mut all: Vec<String> = report.rows.iter().map(of_row).collect();
    all.sort();
    all
}

#[test]
fn the_order_of_fields_and_documents_does_not_decide() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd/lint.in");
    let files = [
        "manifests/database.yaml",
        "manifests/wrong.yml",
        "manifests/grow.yaml",
        "manifests/below/list.json",
        "small.yaml",
    ];
    let mut documents: Vec<Value> = Vec::new();
    for file in files {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        documents.extend(serde_saphyr::from_multiple::<Value>(&text).unwrap());
    }
    let mut verdicts = Vec::new();
    for reversed in [false, true] {
        let text = |value: &Value| written(value, reversed);
        let mut texts: Vec<String> = documents.iter().map(text).collect();
        if reversed {
            texts.reverse();
        }
        // After a marker, what begins with a brace is read as YAML.
        let yaml = format!("---\n{}", texts.join("\n---\n"));
        let json = texts.join("\n");
        for (name, text) in [("a.yaml", yaml), ("a.json", json)] {
            verdicts.push(gist(&lint_texts(&[(name, text.as_bytes())], None, true).unwrap()));
        }
    }
    assert!(verdicts[0].iter().filter(|row| !row.ends_with("[]")).count() >= 4, "{verdicts:#?}");
    for other in &verdicts[1..] {
        assert_eq!(other, &verdicts[0]);
    }
}

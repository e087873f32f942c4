//! The pages of docs/ that speak of rules: `rules.md` is made from them, the examples of `kubedb-admits.md` are judged.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::{documents, facts, verdict};
use dbscale_core::catalog::Catalog;
use dbscale_core::change::Change;
use dbscale_core::database::Database;
use dbscale_core::facts::{Case, ClassFact, Facts, Known};
use dbscale_core::finding::Finding;
use dbscale_core::rules;
use dbscale_core::status::Operation;
use serde_json::Value;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_reference_is_what_the_rules_say() {
    assert!(page("rules.md") == rules::markdown(), "docs/rules.md is not what the rules say: run `cargo xtask docs`");
}

/// An example: the rules in its heading, whether they only warn, and the documents below, the judged one last.
struct Example {
    rules: BTreeSet<String>,
    warns: bool,
    documents: Vec<Value>,
}

/// The sections `### <words>: <rules>` with their YAML block; `(warns)` behind the rules says that they refuse nothing.
fn examples(page: &str) -> Vec<Example> {
    let sections = page.split("\n### ").skip(1);
    let example = |section: &str| {
        let heading = section.lines().next()?;
        let rules = heading.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let yaml = section.split_once("```yaml\n")?.1.split_once("\n```")?.0;
        Some(Example { rules, warns: heading.ends_with("(warns)"), documents: documents(yaml) })
    };
    sections.map(|s| example(s).unwrap_or_else(|| panic!("no rule or no YAML block:\n{s}"))).collect()
}

/// What is said of the last document, with the others as the present.
fn judged(documents: &[Value]) -> Vec<Finding> {
    let (last, others) = documents.split_last().unwrap();
    let kind = |object: &Value| object["kind"].as_str().unwrap().to_owned();
    let catalog = Catalog::builtin();
    let mut present = Facts::default();
    for other in others {
        if let Some(engine) = catalog.of_kind(&kind(other)) {
            present = Facts { database: facts(engine, other).database, ..present };
        } else if let Some(engine) = catalog.of_ops_kind(&kind(other)) {
            present.operations.push(Operation::of(other, &engine.reference));
        } else {
            let name = other["metadata"]["name"].as_str().unwrap().to_owned();
            let expands = other["allowVolumeExpansion"] == true;
            present.classes.insert(name, ClassFact { expands, default: false });
        }
    }
    if let Some(engine) = catalog.of_ops_kind(&kind(last)) {
        if others.is_empty() {
            present.database = Known::Missing;
        }
        return verdict(engine, last, &present);
    }
    let engine = catalog.of_kind(&kind(last)).unwrap();
    let change = Change::of_update(present.database.here().unwrap(), Database::of(engine, last));
    rules::judge(&Case { change: &change, facts: &present })
}

#[test]
fn each_example_that_kubedb_admits_is_told_by_the_rule_that_it_names() {
    let examples = examples(&page("kubedb-admits.md"));
    assert!(examples.len() >= 25, "only {} examples were found", examples.len());
    for example in &examples {
        let found = judged(&example.documents);
        let told =
            |refuses: bool| found.iter().filter(|f| f.refuses() == refuses).map(|f| f.rule.0.to_owned()).collect();
        let (refused, warned): (BTreeSet<String>, BTreeSet<String>) = (told(true), told(false));
        if example.warns {
            assert!(refused.is_empty() && example.rules.is_subset(&warned), "{:?}: {found:#?}", example.rules);
        } else {
            assert_eq!(refused, example.rules, "{found:#?}");
        }
    }
}

#[test]
fn the_rules_that_a_page_names_exist() {
    for name in ["kubedb-admits.md", "differences.md"] {
        for word in page(name)
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|w| w.contains('/') && w.is_ascii() && !w.contains([' ', '.', ':', '{']))
        {
            assert!(rules::find(word).is_some(), "{name}: there is no rule {word}");
        }
    }
}

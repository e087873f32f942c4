//! Files made to hurt: each gets a clear answer, and the memory it takes is bounded by what is read.

use std::fs;
use std::time::{Duration, Instant};

use kubectl_dbscale::lint::{self, Ask, Report};
use rstest::rstest;

use super::lint;

/// What may take long in a debug build on a busy machine, and is still no hang.
const SOON: Duration = Duration::from_secs(30);

fn only_message(report: &Report) -> &str {
    let findings: Vec<_> = report.rows.iter().flat_map(|r| &r.findings).collect();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].finding.rule.0, "request/schema");
    &findings[0].finding.message
}

#[rstest]
#[case::yaml_lists(format!("kind: MongoDB\nspec:\n  {}", "- ".repeat(10_000)), "it is nested more than 100 levels deep")]
#[case::flow_maps(format!("kind: MongoDB\nspec: {}", "{a: ".repeat(10_000)), "it is nested more than 100 levels deep")]
#[case::json(format!("{{\"kind\": \"MongoDB\", \"spec\": {}1{}}}", "[".repeat(10_000), "]".repeat(10_000)), "it is nested more than 100 levels deep")]
fn ten_thousand_levels(#[case] text: String, #[case] says: &str) {
    let began = Instant::now();
    let report = lint(&text);
    assert!(only_message(&report).contains(says), "{}", only_message(&report));
    assert_eq!(report.exit_code(), 3);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn an_alias_bomb() {
    let level = |i: usize| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "));
    let text: String = (1..10).map(level).collect();
    let report = lint(&format!("kind: MongoDB\na0: &a0 [x, x, x, x, x, x, x, x, x]\n{text}"));
    assert!(only_message(&report).ends_with("its anchors and aliases stand for more than 100000 values"));
    assert_eq!(report.rows[0].name.kind, "MongoDB");
}

#[test]
fn a_file_of_a_hundred_megabytes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("big.yaml");
    let file = fs::File::create(&path).unwrap();
    file.set_len(100 * 1024 * 1024).unwrap(); // zeroes that take no room
    let report = lint::lint(&Ask { files: vec![path], ..Ask::default() }).unwrap();
    assert_eq!(report.unreadable[0].reason, "it has more than the 32 MiB that are read; split it");
    assert_eq!((report.rows.len(), report.exit_code()), (0, 1));
}

#[test]
fn one_text_of_many_megabytes() {
    let report = lint(&format!("kind: MongoDB\nspec: {{a: \"{}\"}}\n", "x".repeat(20 << 20)));
    assert_eq!(report.rows.len(), 1);
}

#[test]
fn many_databases_of_one_name_are_judged_once() {
    let database = "apiVersion: kubedb.com/v1\nkind: MySQL\nmetadata: {name: db}\nspec: {replicas: 1}\n---\n";
    let ask = "apiVersion: ops.kubedb.com/v1alpha1\nkind: MySQLOpsRequest\nmetadata: {name: a}\nspec: {type: HorizontalScaling, databaseRef: {name: db}, horizontalScaling: {member: 0}}\n---\n";
    let began = Instant::now();
    let report = lint(&(database.repeat(2_000) + &ask.repeat(2_000)));
    assert_eq!(report.rows.iter().filter(|r| r.refused()).count(), 2_000);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[rstest]
#[case::numbers_that_are_too_large("kind: MongoDB\nspec: {replicas: 99999999999999999999999999}\n", 1)]
#[case::nothing("", 0)]
#[case::blank("\n\n---\n---\n...\n", 0)]
#[case::a_nul("kind: MongoDB\nspec: \u{0}\n", 1)]
#[case::only_an_anchor("kind: &a MongoDB\nspec: *a\n", 1)]
#[case::a_loop("kind: MongoDB\nspec: &a [*a]\n", 1)]
#[case::a_number_as_kind("apiVersion: kubedb.com/v1\nkind: 1\n", 1)]
#[case::windows("apiVersion: kubedb.com/v1\r\nkind: MySQL\r\nmetadata:\r\n  name: a\r\n", 1)]
fn odd_texts(#[case] text: &str, #[case] rows: usize) {
    assert_eq!(lint(text).rows.len(), rows);
}

#[test]
fn what_a_file_says_cannot_steer_a_terminal() {
    let report = lint("apiVersion: kubedb.com/v1\nkind: \"My\\e[31mSQL\"\nmetadata: {name: a}\n");
    assert!(!report.text().contains("\u{1b}[31mSQL"), "{:?}", report.text());
    assert!(report.text().contains("My\\u{1b}[31mSQL"), "{:?}", report.text());
}

#[test]
fn what_a_file_says_cannot_end_a_github_command() {
    let report = lint("apiVersion: kubedb.com/v1\nkind: \"X\\n::error::%\"\nmetadata: {name: a}\n");
    assert_eq!(report.github().lines().count(), 1);
    assert!(report.github().starts_with("::warning file=x.yaml,line=2,title=request/schema::"));
}

/// Each item is looked up among all others: a hundred thousand would take minutes.
#[test]
fn a_list_of_a_hundred_thousand_items() {
    let items = (0..100_000).map(|i| format!("{{name: a{i}, replicas: x}}, ")).collect::<Vec<_>>().concat();
    let text = format!(
        "apiVersion: kubedb.com/v1\nkind: Postgres\nmetadata: {{name: p}}\nspec: {{readReplicas: [{items}]}}\n"
    );
    let began = Instant::now();
    let report = lint(&text);
    assert!(only_message(&report).starts_with("a list of 100000 items is longer than"), "{}", only_message(&report));
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

/// The hundred gravest are told, so that what is refused stays refused.
#[test]
fn an_object_with_thousands_of_findings() {
    let fields = (0..5_000).map(|i| format!("a{i}: 1, ")).collect::<Vec<_>>().concat();
    let report = lint(&format!(
        "apiVersion: ops.kubedb.com/v1alpha1\nkind: MySQLOpsRequest\nmetadata: {{name: a}}\nspec:\n  type: HorizontalScaling\n  \
         databaseRef: {{name: db}}\n  horizontalScaling: {{{fields} member: 0}}\n"
    ));
    let findings = &report.rows[0].findings;
    assert_eq!((findings.len(), report.rows[0].refused()), (101, true));
    assert!(findings[100].finding.message.ends_with(" more findings are not told"), "{:?}", findings[100]);
}

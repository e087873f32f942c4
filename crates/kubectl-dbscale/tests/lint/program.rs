//! The program itself: standard input, exit codes, and what stands on which stream.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use rstest::rstest;
use serde_json::Value;

const SMALL: &str = "apiVersion: kubedb.com/v1\nkind: MySQL\nmetadata: {name: shop}\nspec:\n  replicas: 1\n  storage: {resources: {requests: {storage: 10Gi}}}\n";

fn run(arguments: &[&str], stdin: &str) -> Output {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cmd/lint.in");
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-dbscale"))
        .arg("lint")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[rstest]
#[case::allowed(&["-f", "manifests/grow.yaml"], 0, 1)]
#[case::only_warned(&["-f", "small.yaml"], 0, 1)]
#[case::refused(&["-f", "manifests/wrong.yml"], 3, 2)]
#[case::refused_by_a_rule_with_a_code_of_its_own(&["-f", "broken.yaml"], 3, 1)]
#[case::nothing_to_judge(&["-f", "values.yaml"], 0, 0)]
#[case::a_template_of_others(&["-f", "template.yaml"], 0, 0)]
#[case::not_read(&["-f", "gone.yaml", "small.yaml"], 1, 1)]
#[case::not_read_and_refused(&["-f", "gone.yaml", "broken.yaml"], 3, 1)]
#[case::a_folder_without_manifests(&["-f", "../../lint"], 1, 0)]
#[case::what_was_before_is_not_read(&["-f", "small.yaml", "--old", "gone.yaml"], 1, 1)]
fn exit_codes_and_always_one_list(#[case] arguments: &[&str], #[case] code: i32, #[case] rows: usize) {
    let output = run(&[arguments, &["-o", "json"]].concat(), "");
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list.as_array().map(Vec::len), Some(rows));
}

#[rstest]
#[case::no_file(&[])]
#[case::another_form(&["-f", "small.yaml", "-o", "yaml"])]
#[case::standard_input_twice(&["-f", "-", "--old", "-"])]
#[case::a_flag_that_does_not_exist(&["-f", "small.yaml", "--stric"])]
fn wrong_use_is_2_and_prints_no_data(#[case] arguments: &[&str]) {
    let output = run(arguments, "");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[test]
fn standard_input() {
    let output = run(&["-f", "-", "-o", "json"], SMALL);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &list[0]["file"]), (Some(0), &Value::from("-")));
    let output = run(&["-f", "small.yaml", "--old", "-"], SMALL);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("600Mi is less than the present 10Gi"));
}

#[test]
fn text_has_no_colour_off_a_terminal_and_the_summary_is_on_stderr() {
    let output = run(&["-f", "broken.yaml"], "");
    assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b));
    assert!(output.stderr.starts_with(b"1 refused\n"));
}

#[test]
fn many_templates_are_told_shortly() {
    let output = run(&["-f", "-"], &"kind: Deployment\nspec: {{ x }}\n---\n".repeat(12));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), told.lines().count()), (Some(0), 12), "{told}");
    assert!(told.ends_with("warning: 2 more documents were passed over\n12 passed over\n"), "{told}");
}

//! The alerts of `manifests/components/monitoring`: each fires where it should, is silent where it should not, and has its
//! part in the runbook.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

fn workspace() -> PathBuf {
    dbscale_testbed::assets::workspace()
}

/// `spec` of the PrometheusRule, which is what Prometheus reads as a file of rules.
fn groups() -> Value {
    let text = std::fs::read_to_string(workspace().join("manifests/components/monitoring/alerts.yaml")).unwrap();
    serde_saphyr::from_str::<Value>(&text).unwrap()["spec"].take()
}

fn rules(groups: &mut Value) -> Vec<&mut Value> {
    let groups = groups["groups"].as_array_mut().unwrap();
    groups.iter_mut().flat_map(|group| group["rules"].as_array_mut().unwrap()).collect()
}

/// Promtool compares annotations word by word; the words are for people.
#[test]
fn alerts_fire_where_they_should() {
    if Command::new("promtool").arg("--version").output().is_err() {
        println!("SKIPPED: there is no promtool (it comes with Prometheus)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let rules_file = folder.path().join("rules.yaml");
    let promtool = |arguments: &[&str]| {
        let output = Command::new("promtool").current_dir(folder.path()).args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        assert!(output.status.success(), "{}", said.concat());
    };
    let mut groups = groups();
    std::fs::write(&rules_file, groups.to_string()).unwrap();
    promtool(&["check", "rules", "--lint-fatal", "rules.yaml"]);
    for rule in rules(&mut groups) {
        rule.as_object_mut().unwrap().remove("annotations");
    }
    std::fs::write(&rules_file, groups.to_string()).unwrap();
    std::fs::copy(workspace().join("tests/alerts/alerts.test.yaml"), folder.path().join("alerts.test.yaml")).unwrap();
    promtool(&["test", "rules", "alerts.test.yaml"]);
}

#[test]
fn every_alert_is_tested_and_has_its_part_in_the_runbook() {
    let read = |path: &str| std::fs::read_to_string(workspace().join(path)).unwrap();
    let runbook = read("docs/runbook.md");
    let tests: Value = serde_saphyr::from_str(&read("tests/alerts/alerts.test.yaml")).unwrap();
    let tests = tests["tests"].as_array().unwrap().iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap());
    let (fires, silent): (Vec<&Value>, Vec<&Value>) = tests.partition(|test| test.get("exp_alerts").is_some());
    let mut groups = groups();
    let rules = rules(&mut groups);
    assert!(rules.len() > 10, "{}", rules.len());
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        assert!(runbook.contains(&format!("\n### {name}\n")), "docs/runbook.md has no part for {name}");
        let anchor = format!("docs/runbook.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook"], *anchor, "{name}");
        for (word, tests) in [("fires", &fires), ("stays silent", &silent)] {
            assert!(tests.iter().any(|test| test["alertname"] == name), "nothing tests that {name} {word}");
        }
    }
}

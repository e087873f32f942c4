//! The manifests against the program: the kinds that the role names are those of the catalog, and the arguments of the
//! Deployment are ones that the program has.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use std::path::Path;
use std::process::Command;

use dbscale_core::catalog::Catalog;
use serde_json::Value;

fn documents(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/base/controller").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\n---\n").map(|part| serde_saphyr::from_str(part).unwrap()).collect()
}

fn resources(group: &str) -> Vec<String> {
    let documents = documents("rbac.yaml");
    let role = documents.iter().find(|d| d["kind"] == "ClusterRole").unwrap();
    let rules = role["rules"].as_array().unwrap();
    let found = rules.iter().find(|r| r["apiGroups"][0] == group).unwrap();
    found["resources"].as_array().unwrap().iter().map(|r| r.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_role_names_every_kind_of_the_catalog_and_no_other() {
    let engines = || Catalog::builtin().engines();
    assert_eq!(resources("kubedb.com"), engines().map(|e| e.plural.clone()).collect::<Vec<_>>());
    assert_eq!(
        resources("ops.kubedb.com"),
        engines().map(dbscale_core::catalog::Engine::ops_plural).collect::<Vec<_>>()
    );
}

#[test]
fn the_deployment_starts_the_program_as_it_can_be_started() {
    let deployment = documents("deployment.yaml").remove(0);
    let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap().clone();
    let arguments = arguments.iter().map(|a| a.as_str().unwrap());
    // With --help all arguments are read and nothing is started.
    let output = Command::new(env!("CARGO_BIN_EXE_dbscale-controller")).args(arguments).arg("--help").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

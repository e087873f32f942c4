//! `manifests/base` on the real API server, and the webhook that the playground runs with it: whom it is asked for.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use dbscale_e2e::World;
use dbscale_e2e::databases::mongodb;
use dbscale_e2e::webhook::wrong;
use rstest::rstest;
use serde_json::{Value, json};

/// Nothing in any of them is unknown to the API server, not even to be dropped.
#[test]
fn every_object_is_applied_server_side_and_strict() {
    let world = World::new("manifests");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/base");
    let text = world.must(&["kustomize", &base.display().to_string()]);
    let mut documents: Vec<String> = text.split("\n---\n").map(str::to_owned).collect();
    for document in &mut documents {
        if document.contains("kind: ValidatingWebhookConfiguration") {
            // The one that is there calls a URL, and cannot call the Service too.
            *document = document.replace("\n  name: dbscale\n", "\n  name: dbscale-as-it-is-shipped\n");
        }
    }
    let file = world.write("all.yaml", &documents.join("\n---\n"));
    let applied = world.must(&[
        "apply",
        "--server-side",
        "--validate=strict",
        "--force-conflicts",
        "--dry-run=server",
        "-o",
        "name",
        "-f",
        &file,
    ]);
    assert_eq!(applied.lines().count(), documents.len(), "{applied}");
    for name in ["deployment.apps/dbscale-webhook", "validatingwebhookconfiguration", "poddisruptionbudget.policy/"] {
        assert!(applied.contains(name), "{name}: {applied}");
    }
}

/// Of others' kinds, which the API server does not know here.
const OTHERS: &str = "Certificate,Issuer,PrometheusRule,ServiceMonitor";

/// `KUBECONFORM` names the program. The schemas are those that the API server itself tells.
#[test]
fn kubeconform_finds_nothing_in_any_overlay() {
    let Ok(kubeconform) = std::env::var("KUBECONFORM") else {
        println!("SKIPPED: there is no kubeconform; name one with KUBECONFORM");
        return;
    };
    let world = World::new("kubeconform");
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
    let overlays = std::fs::read_dir(manifests.join("overlays")).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = overlays.chain([manifests.join("overlays/namespaced/admin")]).collect();
    assert!(folders.len() >= 7, "{folders:?}");
    let mut groups = std::collections::BTreeSet::new();
    let mut files = Vec::new();
    for folder in &folders {
        let text = world.must(&["kustomize", &folder.display().to_string()]);
        groups.extend(text.lines().filter_map(|line| line.strip_prefix("apiVersion: ")).map(str::to_owned));
        files.push(world.write(&format!("{}.yaml", files.len()), &text));
    }
    let schemas = PathBuf::from(world.write("schemas", "")).with_extension("d");
    std::fs::create_dir_all(&schemas).unwrap();
    for group in groups {
        let path = if group == "v1" { "/openapi/v3/api/v1".to_owned() } else { format!("/openapi/v3/apis/{group}") };
        let answer = world.kubectl(&["get", "--raw", &path]);
        if answer.code == 0 {
            write_schemas(&schemas, &group, answer.json());
        }
    }
    let location = format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", schemas.display());
    let check = |files: &[String]| {
        let options = ["-strict", "-summary", "-output", "json", "-skip", OTHERS, "-schema-location", &location];
        Command::new(&kubeconform).args(options).args(files).output().unwrap()
    };
    let output = check(&files);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("{said}");
    let wrong = world.must(&["kustomize", &folders[0].display().to_string()]).replace("  labels:", "  labelz:");
    assert!(!check(&[world.write("wrong.yaml", &wrong)]).status.success(), "a misspelt field is found");
}

/// A file for each kind of a group, as kubeconform names them, in which no field is allowed that has no schema.
fn write_schemas(folder: &Path, group: &str, mut answer: Value) {
    let mut all = answer["components"].take();
    close(&mut all);
    for (name, schema) in all["schemas"].as_object().unwrap() {
        for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let text = |field: &str| kind[field].as_str().unwrap();
            let of = if text("group").is_empty() {
                text("version").to_owned()
            } else {
                format!("{}/{}", text("group"), text("version"))
            };
            if of != group {
                continue;
            }
            let first = text("group").split('.').next().unwrap();
            let parts = [text("kind"), first, text("version")];
            let file =
                parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("-").to_lowercase();
            let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": all});
            std::fs::write(folder.join(format!("{file}.json")), schema.to_string()).unwrap();
        }
    }
}

/// Lets objects with named fields have no others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let named = fields.get("properties").is_some_and(Value::is_object);
            if named
                && !fields.contains_key("additionalProperties")
                && !fields.contains_key("x-kubernetes-preserve-unknown-fields")
            {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

#[rstest]
#[case::as_it_is(None, 1, true)]
#[case::warn(Some("warn"), 0, true)]
#[case::off(Some("off"), 0, false)]
fn a_namespace_says_how_it_is_held_to_the_rules(#[case] label: Option<&str>, #[case] code: i32, #[case] told: bool) {
    let world = World::new("enforcement");
    if let Some(label) = label {
        world.must(&["label", "namespace", &world.namespace, &format!("dbscale.dev/enforcement={label}")]);
    }
    let ask = || world.try_create(&wrong(), &["--dry-run=server"]);
    // The label takes a moment to be known.
    let answer = (0..100).map(|_| ask()).find(|answer| answer.code == code).unwrap_or_else(ask);
    assert_eq!(answer.code, code, "{}", answer.stderr);
    assert_eq!(answer.stderr.contains("[database/missing]"), told, "{}", answer.stderr);
}

#[rstest]
#[case::shrink(r#"{"spec":{"storage":{"resources":{"requests":{"storage":"10Gi"}}}}}"#, true)]
#[case::no_way_back(
    r#"{"metadata":{"annotations":{"dbscale.dev/revert-to":"10Gi"}},"spec":{"storage":{"resources":{"requests":{"storage":"10Gi"}}}}}"#,
    true
)]
#[case::label(r#"{"metadata":{"labels":{"a":"b"}}}"#, false)]
fn a_shrink_is_refused_by_whatever_entry(#[case] patch: &str, #[case] refused: bool) {
    let world = World::new("entries");
    world.create(&mongodb());
    let answer = world.kubectl(&["patch", "-n", &world.namespace, "mongodb/db", "--type=merge", "-p", patch]);
    assert_eq!(answer.code, i32::from(refused), "{}", answer.stderr);
    assert_eq!(answer.stderr.contains("[storage/no-shrink]"), refused, "{}", answer.stderr);
}

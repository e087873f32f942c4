//! `manifests/base` on the real API server, and the webhook that the playground runs with it: whom it is asked for.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::path::Path;

use dbscale_e2e::World;
use dbscale_e2e::databases::mongodb;
use dbscale_e2e::webhook::wrong;
use rstest::rstest;

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

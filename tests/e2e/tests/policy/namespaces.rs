//! Who is held to the policies, and where; and the files as they are.

use std::time::{Duration, Instant};

use dbscale_core::catalog::Catalog;
use dbscale_core::policy;
use dbscale_e2e::policies::Policies;
use dbscale_e2e::{World, databases};

#[test]
fn a_namespace_may_be_warned_or_left_alone_and_kubedb_is_never_held_up() {
    let [held, warned, off] = ["enforce", "warn", "off"].map(|mode| World::new(&format!("policy-{mode}")));
    let engine = Catalog::builtin().find("mongodb").unwrap();
    for world in [&held, &warned, &off] {
        world.create(&databases::mongodb());
    }
    let policies = Policies::install(&held, &policy::beside_webhook(engine));
    policies.hold_in(&held, "enforce");
    policies.hold_in(&warned, "warn");
    policies.hold_in(&off, "off");
    let shrink = r#"{"spec":{"storage":{"resources":{"requests":{"storage":"10Gi"}}}}}"#;
    let patch = |world: &World, more: &[&str]| {
        let dry = ["--dry-run=server", "--type=merge", "-p", shrink];
        let what = ["patch", "-n", world.namespace.as_str(), "mongodb/db"];
        world.kubectl(&[&what[..], &dry[..], more].concat())
    };
    let began = Instant::now();
    while patch(&held, &[]).code == 0 || !patch(&warned, &[]).stderr.contains("Warning") {
        assert!(began.elapsed() < Duration::from_secs(60), "the policies do not hold");
        std::thread::sleep(Duration::from_millis(100));
    }
    let id = "[storage/no-shrink] 10Gi is less than the present 20Gi";
    let refused = patch(&held, &[]);
    assert!(refused.code == 1 && refused.stderr.contains(id), "{}", refused.stderr);
    let told = patch(&warned, &[]);
    assert!(told.code == 0 && told.stderr.contains(id), "{}", told.stderr);
    let silent = patch(&off, &[]);
    assert_eq!((silent.code, silent.stderr.as_str()), (0, ""));
    for (user, code) in [
        ("system:serviceaccount:kubedb:kubedb-ops-manager", 0),
        ("system:serviceaccount:dbscale-system:dbscale-controller", 0),
        ("system:serviceaccount:other:kubedb-ops-manager", 1),
    ] {
        let answer = patch(&held, &["--as", user, "--as-group=system:masters"]);
        assert_eq!(answer.code, code, "{user}: {}", answer.stderr);
    }
}

/// The files as they are, strictly.
#[test]
fn the_manifests_apply_as_they_are() {
    let world = World::new("policy-files");
    for (folder, least) in
        [("base/policies", 32 * 6), ("overlays/webhook-less", 32 * 6), ("overlays/scaling-policies", 32 * 6)]
    {
        let folder = format!("{}/../../manifests/{folder}", env!("CARGO_MANIFEST_DIR"));
        let answer = world.kubectl(&["apply", "--server-side", "--dry-run=server", "--validate=strict", "-k", &folder]);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        assert!(answer.stdout.lines().count() >= least, "{}", answer.stdout);
    }
}

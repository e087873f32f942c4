//! What the README says of the cluster's side, word by word, on the playground.
#![allow(
    missing_docs,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests explain themselves, and a panic is how one fails"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use dbscale_e2e::webhook::wrong;
use dbscale_e2e::{World, databases};
use serde_json::json;

#[test]
fn after_the_line_of_the_readme_a_shrink_is_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let line = readme.lines().find_map(|line| line.strip_prefix("    kubectl apply ")).unwrap();
    let overlay = root.join(line.split(' ').next_back().unwrap()).display().to_string();
    let world = World::new("install");
    world.create(&databases::mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    assert_eq!(line, "--server-side -k manifests/overlays/default");
    world.must(&["apply", "--server-side", "-k", &overlay]);
    // For a moment the Service is asked, behind which nobody is here.
    let began = Instant::now();
    loop {
        let refused = world.try_create(&wrong(), &[]);
        if refused.stderr.contains("[database/missing]") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{}", refused.stderr);
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut shrink = json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest"});
    shrink["metadata"] = json!({"name": "smaller"});
    shrink["spec"] = json!({"type": "VolumeExpansion", "databaseRef": {"name": "db"},
        "volumeExpansion": {"mode": "Online", "replicaSet": "10Gi"}});
    let refused = world.try_create(&shrink, &[]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("[storage/no-shrink] 10Gi is less than the present 20Gi"), "{}", refused.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 0);
}

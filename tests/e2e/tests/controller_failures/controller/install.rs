//! What the README says of the cluster's side, word by word, on a control plane of its own: until the webhook's process takes
//! the Service's place again, whatever asks it is refused.

use std::time::{Duration, Instant};

use dbscale_e2e::playground;
use dbscale_e2e::webhook::wrong;
use dbscale_testbed::webhook::Webhook;
use serde_json::{Value, json};

use super::upgrade::repository;
use super::{Plane, database, patience};

/// What the API server says to an object, once it asks the webhook.
async fn refused(plane: &Plane, object: &Value) -> String {
    let file = plane.folder.path().join("asked.json");
    std::fs::write(&file, object.to_string()).unwrap();
    let file = file.display().to_string();
    let began = Instant::now();
    loop {
        let output = plane.command("kubectl", &["create", "-f", &file]).output().await.unwrap();
        assert!(!output.status.success(), "{object} is let in");
        let said = String::from_utf8(output.stderr).unwrap();
        if !said.contains("failed calling webhook") {
            return said;
        }
        assert!(began.elapsed() < patience(), "{said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_line_of_the_readme_a_shrink_is_refused() {
    let plane = Plane::start().await;
    let control_plane = &plane.playground.plane;
    let log = plane.folder.path().join("webhook.log");
    let _webhook = Webhook::start(control_plane, &playground().join("bin/dbscale-webhook"), &log).await.unwrap();
    plane.create(vec![database(0)]).await;
    plane.until_at("mongodb/db-0", "/status/phase", "Ready").await;
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let line = readme.lines().find_map(|line| line.strip_prefix("    kubectl apply ")).unwrap();
    let words: Vec<&str> = ["apply"].into_iter().chain(line.split(' ')).collect();
    let applied = plane.command("kubectl", &words).current_dir(repository()).output().await.unwrap();
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let said = refused(&plane, &wrong()).await;
    assert!(said.contains("[database/missing]"), "{said}");
    let shrink = json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": {"name": "smaller"},
        "spec": {"type": "VolumeExpansion", "databaseRef": {"name": "db-0"},
            "volumeExpansion": {"mode": "Online", "replicaSet": "1Gi"}}});
    let said = refused(&plane, &shrink).await;
    assert!(said.contains("[storage/no-shrink] 1Gi is less than the present "), "{said}");
    assert!(plane.list("mongodbopsrequests").await.is_empty());
}

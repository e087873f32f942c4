//! What a cluster has before anybody comes: nodes and storage classes.

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};

use crate::simulator::PROVISIONER;

/// How many nodes there are; together 256 CPUs and 256 GiB: room for what many tests run at a time.
const NODES: usize = 4;

/// Makes the nodes, a default storage class whose volumes grow (`standard`) and one whose volumes do not (`rigid`).
///
/// # Errors
/// What the API server says.
pub async fn install(client: &Client) -> Result<()> {
    for index in 0..NODES {
        post(client, "/api/v1/nodes", &node(index)).await?;
    }
    for (name, expands, default) in [("standard", true, true), ("rigid", false, false)] {
        post(client, "/apis/storage.k8s.io/v1/storageclasses", &class(name, expands, default)).await?;
    }
    Ok(())
}

fn node(index: usize) -> Value {
    let name = format!("node-{index}");
    let room = json!({"cpu": "64", "memory": "64Gi", "pods": "2000", "ephemeral-storage": "100Gi"});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "status": {
            "capacity": room, "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Testbed", "message": "simulated"}],
        },
    })
}

fn class(name: &str, expands: bool, default: bool) -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": default.to_string()}},
        "provisioner": PROVISIONER, "allowVolumeExpansion": expands, "volumeBindingMode": "Immediate",
    })
}

async fn post(client: &Client, path: &str, object: &Value) -> Result<()> {
    let request =
        http::Request::post(path).header("content-type", "application/json").body(object.to_string().into_bytes())?;
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    client.request_text(request).await.with_context(|| format!("could not create {name}"))?;
    Ok(())
}

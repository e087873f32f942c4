//! What a cluster has before anybody comes: nodes and storage classes.

use anyhow::{Context, Result};
use kube::Client;
use serde_json::{Value, json};

use crate::simulator::PROVISIONER;

/// How many nodes there are; together 64 CPUs and 256 GiB.
const NODES: usize = 4;

/// The variable that names the CPUs of a node. Tests that run side by side on one control plane need more than 16.
pub const NODE_CPUS: &str = "DBSCALE_NODE_CPUS";

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
    let cpu = std::env::var(NODE_CPUS).unwrap_or_else(|_| "16".to_owned());
    let room = json!({"cpu": cpu, "memory": "64Gi", "pods": "2000", "ephemeral-storage": "100Gi"});
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

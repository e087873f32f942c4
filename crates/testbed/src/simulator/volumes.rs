//! The part of the storage: volumes for new claims, larger ones for claims that ask for more. The real controller-manager
//! binds claims to volumes.

use std::time::Duration;

use dbscale_core::amount::Written;
use serde_json::{Value, json};

use super::api::Hands;
use super::faults;
use super::json;
use super::world::{Id, Kind};

/// The provisioner of the storage classes that the simulator serves.
pub const PROVISIONER: &str = "testbed.dbscale.dev/sim";

/// The condition of a claim whose volume has grown, and whose file system has not. Source: Kubernetes' expand controller.
pub(super) const PENDING: &str = "FileSystemResizePending";

/// How soon to look again where something is missing or held.
const AGAIN: Duration = Duration::from_millis(500);

/// Looks at one claim.
///
/// # Errors
/// What the API server says; the look is repeated.
pub async fn reconcile_claim(hands: &Hands, id: &Id) -> Result<Option<Duration>, kube::Error> {
    let (claim, doomed) = {
        let world = hands.world();
        (world.get(id), world.is_doomed(id))
    };
    let Some(claim) = claim.filter(|c| !json::is_deleting(c)) else { return Ok(None) };
    if doomed {
        hands.delete(id, json::uid(&claim), false).await?;
        return Ok(None);
    }
    let class = json::text(&claim, "/spec/storageClassName");
    let Some(class) = hands.get(&Id::at(Kind::Class, "", class)) else { return Ok(Some(AGAIN)) };
    if class["provisioner"] != PROVISIONER {
        return Ok(None);
    }
    if json::text(&claim, "/spec/volumeName").is_empty() {
        if may_provision(&claim, &class) {
            hands.create(Kind::Volume, &new_volume(&claim, &class)).await?;
        }
        return Ok(None);
    }
    if !is_too_small(&claim) || json::text(&claim, "/status/phase") != "Bound" {
        return Ok(None);
    }
    if class["allowVolumeExpansion"] != true || is_held(hands, id, &claim) {
        return Ok(Some(AGAIN));
    }
    let size = claim.pointer("/spec/resources/requests/storage").cloned().unwrap_or_default();
    let volume = Id::at(Kind::Volume, "", json::text(&claim, "/spec/volumeName"));
    if !is_mounted(hands, id) {
        // The volume is larger already; its file system follows when a pod mounts it.
        if !json::has_condition(&claim, PENDING) {
            hands.patch(&volume, None, &json!({"spec": {"capacity": {"storage": size}}})).await?;
            let condition = json!({"type": PENDING, "status": "True", "lastTransitionTime": json::now(),
                "message": "Waiting for user to (re-)start a pod to finish file system resize of volume on node."});
            hands.patch(id, Some("status"), &json!({"status": {"conditions": [condition]}})).await?;
        }
        return Ok(Some(AGAIN));
    }
    hands.patch(&volume, None, &json!({"spec": {"capacity": {"storage": size}}})).await?;
    let status = json!({"capacity": {"storage": size}, "conditions": [], "allocatedResources": null, "allocatedResourceStatuses": null});
    hands.patch(id, Some("status"), &json!({"status": status})).await?;
    Ok(None)
}

/// Looks at one volume: one whose claim is gone goes too.
///
/// # Errors
/// What the API server says; the look is repeated.
pub async fn reconcile_volume(hands: &Hands, id: &Id) -> Result<Option<Duration>, kube::Error> {
    let Some(volume) = hands.get(id).filter(|v| !json::is_deleting(v)) else { return Ok(None) };
    let mine = json::annotation(&volume, "pv.kubernetes.io/provisioned-by") == Some(PROVISIONER);
    let delete = json::text(&volume, "/spec/persistentVolumeReclaimPolicy") == "Delete";
    if mine && delete && json::text(&volume, "/status/phase") == "Released" {
        hands.delete(id, json::uid(&volume), false).await?;
    }
    Ok(None)
}

fn may_provision(claim: &Value, class: &Value) -> bool {
    let placed = || json::annotation(claim, "volume.kubernetes.io/selected-node").is_some();
    class["volumeBindingMode"] != "WaitForFirstConsumer" || placed()
}

fn is_too_small(claim: &Value) -> bool {
    let amount = |pointer| Written::of(claim.pointer(pointer)?)?.quantity();
    let (wanted, has) = (amount("/spec/resources/requests/storage"), amount("/status/capacity/storage"));
    wanted.zip(has).is_some_and(|(wanted, has)| wanted > has)
}

/// Whether a pod that runs has the claim.
fn is_mounted(hands: &Hands, claim: &Id) -> bool {
    let world = hands.world();
    let names = |pod: &Value| {
        let mut volumes = json::list(pod, "/spec/volumes").iter();
        volumes.any(|v| json::text(v, "/persistentVolumeClaim/claimName") == claim.name)
    };
    let beside = world.all(Kind::Pod).filter(|pod| pod.namespace == claim.namespace);
    let mut pods = beside.filter_map(|pod| world.get(&pod));
    pods.any(|pod| names(&pod) && !json::text(&pod, "/spec/nodeName").is_empty() && !json::is_deleting(&pod))
}

/// Whether an annotation of the claim, or of the database that its labels name, keeps the volume as it is.
fn is_held(hands: &Hands, id: &Id, claim: &Value) -> bool {
    let label = |key: &str| claim.pointer("/metadata/labels").and_then(|l| l.get(key)?.as_str()).unwrap_or_default();
    let plural = label("app.kubernetes.io/name").split('.').next().unwrap_or_default();
    let engine = dbscale_core::catalog::Catalog::builtin().engines().find(|e| e.plural == plural);
    let database =
        engine.and_then(|e| hands.get(&id.beside(Kind::Database(&e.name), label("app.kubernetes.io/instance"))));
    let held = |object: &Value| faults::is_on(object, "no-resize", &id.name);
    held(claim) || database.is_some_and(|d| held(&d))
}

/// A volume for a claim. The real controller binds the two, since the volume names the claim.
fn new_volume(claim: &Value, class: &Value) -> Value {
    let name = format!("pvc-{}", json::uid(claim));
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "accessModes": claim["spec"]["accessModes"],
            "volumeMode": claim["spec"]["volumeMode"],
            "storageClassName": json::name(class),
            "persistentVolumeReclaimPolicy": class["reclaimPolicy"],
            // No kubelet mounts it.
            "hostPath": {"path": format!("/testbed/{name}")},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim["metadata"]["namespace"],
                "name": json::name(claim),
                "uid": json::uid(claim),
            },
        },
    })
}

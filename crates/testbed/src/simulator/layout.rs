//! The workloads that KubeDB's provisioner makes for a database, out of the catalog and the object. Pure.

use std::collections::BTreeMap;

use dbscale_core::catalog::{Engine, Pods, SetKind};
use dbscale_core::database::{ComponentView, Database, Place};
use dbscale_core::ownership::{self, Holes, Workload};
use serde_json::{Value, json};

use super::json;
use super::world::Kind;

/// A workload as the provisioner makes it.
#[derive(Debug, Clone)]
pub struct Set {
    /// Its kind: [`Kind::PetSet`], or [`Kind::StatefulSet`] for the engines that use those.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The component's key in [`Engine::components`].
    pub component: &'static str,
    /// The list item, where there is a workload an item.
    pub item: Option<String>,
    /// Its pods.
    pub replicas: i64,
    /// The whole object.
    pub object: Value,
}

/// The workloads of a database, in the catalog's order.
pub fn sets(engine: &'static Engine, object: &Value) -> Vec<Set> {
    let database = Database::of(engine, object);
    let known = ownership::workloads(&database, object);
    let mut sets: Vec<Set> = known.iter().filter_map(|w| set(&database, object, w)).collect();
    // Where nobody has written the names down, the simulator has names of its own: a test needs pods all the same.
    for view in database.components.iter().filter(|v| !v.is_sidecar()) {
        if let Some(pods) = view.component.pods.as_ref().filter(|p| p.sets.is_empty()) {
            let invented = view.places.iter().map(|place| invented(&database, view, pods, place));
            sets.extend(invented.filter_map(|w| set(&database, object, &w)));
        }
    }
    sets
}

fn invented(database: &Database, view: &ComponentView, pods: &'static Pods, place: &Place) -> Workload {
    let main = database.topology.and_then(|t| t.main.as_deref()) == Some(view.key);
    let component = if main { String::new() } else { format!("-{}", view.component.name.to_lowercase()) };
    let item = place.item.as_ref().map(|i| format!("-{i}")).unwrap_or_default();
    let name = format!("{}{component}{item}", database.name);
    Workload { component: view.key, pods, name, shard: None, item: place.item.clone() }
}

fn set(database: &Database, object: &Value, workload: &Workload) -> Option<Set> {
    let view = database
        .components
        .iter()
        .find(|v| v.key == workload.component && v.places.iter().any(|p| p.item == workload.item))?;
    let place = view.places.iter().find(|p| p.item == workload.item)?;
    let replicas = place.replicas.unwrap_or(1);
    let (kind, version) = match workload.pods.kind {
        SetKind::PetSet => (Kind::PetSet, "apps.k8s.appscode.com/v1"),
        SetKind::StatefulSet => (Kind::StatefulSet, "apps/v1"),
    };
    let holes = Holes { shard: workload.shard, item: workload.item.as_deref() };
    let base = ownership::base_labels(database.engine, Some(workload.pods), object);
    let mut labels = copied_labels(object);
    labels.insert("app.kubernetes.io/component".to_owned(), "database".to_owned());
    labels.extend(base.clone());
    let mut pod_labels = labels.clone();
    pod_labels.extend(ownership::extra_labels(workload.pods, object, holes));
    let claim = claim_template(object, view, place, workload);
    let mounts = json!([{"name": claim.as_ref().map_or("data", |c| json::name(c)), "mountPath": "/data"}]);
    let ephemeral = if claim.is_none() { json!([{"name": "data", "emptyDir": {}}]) } else { json!([]) };
    let manifest = json!({
        "apiVersion": version,
        "kind": if kind == Kind::PetSet { "PetSet" } else { "StatefulSet" },
        "metadata": {
            "name": workload.name,
            "namespace": database.namespace,
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": object["apiVersion"],
                "kind": database.engine.kind,
                "name": database.name,
                "uid": database.uid,
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": base},
            "serviceName": ownership::service_name(workload.pods, object, holes).unwrap_or_default(),
            "podManagementPolicy": "Parallel",
            // The ops-manager evicts the pods itself; the workload's controller must not.
            "updateStrategy": {"type": "OnDelete"},
            "template": {
                "metadata": {"labels": pod_labels},
                "spec": {
                    "containers": containers(database, view, workload, &mounts),
                    "volumes": ephemeral,
                    "automountServiceAccountToken": false,
                    // No process runs in these pods, so nothing is waited for when they end.
                    "terminationGracePeriodSeconds": 0,
                },
            },
            "volumeClaimTemplates": claim.into_iter().collect::<Vec<_>>(),
        },
    });
    Some(Set {
        kind,
        name: workload.name.clone(),
        component: workload.component,
        item: workload.item.clone(),
        replicas,
        object: manifest,
    })
}

/// The name of a component's container.
pub fn container_name(engine: &Engine, key: &str) -> String {
    let component = &engine.components[key];
    let named = component.resources.as_ref().and_then(|r| r.container.clone());
    named.unwrap_or_else(|| component.name.to_lowercase())
}

/// The component in whose pods this one runs: itself, or for a sidecar the one of the topology that it names.
pub fn owner<'d>(database: &'d Database, view: &'d ComponentView) -> Option<&'d ComponentView> {
    let Some(of) = &view.component.sidecar_of else { return Some(view) };
    // Several topologies may each have their own component of this name.
    database.components.iter().find(|v| !v.is_sidecar() && (v.key == of || v.component.name == *of))
}

/// The component's own container, then those of its sidecars.
fn containers(database: &Database, view: &ComponentView, workload: &Workload, mounts: &Value) -> Vec<Value> {
    let is_here = |s: &&ComponentView| owner(database, s).is_some_and(|o| o.key == view.key);
    let sidecars = database.components.iter().filter(|s| s.is_sidecar()).filter(is_here);
    let of_item = |v: &&ComponentView| v.item.is_none() || v.item == workload.item;
    let all = std::iter::once(view).chain(sidecars.filter(of_item));
    let mut found: Vec<Value> = Vec::new();
    for component in all {
        let name = container_name(database.engine, component.key);
        // Two components may tell of one container (two versions of a name): it is still one container.
        if json::named(&found, &name).is_some() {
            continue;
        }
        let place = component.places.iter().find(|p| p.item == workload.item).or(component.places.first());
        let resources = place.map(|p| p.resources.to_json()).filter(Value::is_object);
        found.push(json!({
            "name": name,
            "image": format!("testbed.invalid/{}", database.engine.name),
            "resources": resources.unwrap_or_else(|| json!({})),
        }));
    }
    found[0]["volumeMounts"] = mounts.clone();
    found
}

/// The claim template, out of the claim's spec in the object; `None` without durable storage.
fn claim_template(object: &Value, view: &ComponentView, place: &Place, workload: &Workload) -> Option<Value> {
    if place.ephemeral || place.storage.is_none() {
        return None;
    }
    let at = view.component.storage.as_ref()?.at.as_ref()?;
    let item = workload.item.as_deref();
    let mut spec = item.map_or_else(|| at.clone(), |item| at.of_item(item)).get(object)?.clone();
    if json::list(&spec, "/accessModes").is_empty() {
        spec["accessModes"] = json!(["ReadWriteOnce"]);
    }
    let name = ownership::claim_templates(workload.pods, object, item).into_iter().next();
    let name = name.unwrap_or_else(|| "data".to_owned());
    Some(json!({"metadata": {"name": name}, "spec": spec}))
}

/// The database's own labels, but for those that KubeDB sets itself.
fn copied_labels(object: &Value) -> BTreeMap<String, String> {
    let own = ["name", "instance", "managed-by", "version"].map(|key| format!("app.kubernetes.io/{key}"));
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let kept = labels.filter(|(key, _)| !own.contains(key) && !key.contains("kubedb.com/"));
    kept.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use dbscale_core::catalog::Catalog;

    use super::*;

    #[test]
    fn a_replica_set_is_one_petset_named_and_labelled_as_kubedb_does() {
        let engine = Catalog::builtin().find("mongodb").unwrap();
        let object = json!({
            "apiVersion": "kubedb.com/v1", "kind": "MongoDB",
            "metadata": {"name": "mg", "namespace": "demo", "uid": "u", "labels": {
                "team": "a", "app.kubernetes.io/instance": "other", "kubedb.com/x": "y"}},
            "spec": {
                "replicas": 3, "replicaSet": {"name": "rs0"}, "storageType": "Durable",
                "storage": {"resources": {"requests": {"storage": "20Gi"}}, "storageClassName": "fast"},
                "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": {"requests": {"cpu": "1"}}}]}},
            },
        });
        let found = sets(engine, &object);
        let set = found.iter().find(|s| s.component == "replicaSet").expect("the replica set's workload");
        assert_eq!((set.kind, set.name.as_str(), set.replicas), (Kind::PetSet, "mg", 3));
        let labels = &set.object["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/instance"], "mg");
        assert_eq!(labels["app.kubernetes.io/name"], "mongodbs.kubedb.com");
        assert_eq!((&labels["team"], &labels["kubedb.com/x"]), (&json!("a"), &Value::Null));
        let owner = &set.object["metadata"]["ownerReferences"][0];
        assert_eq!((&owner["uid"], &owner["controller"]), (&json!("u"), &json!(true)));
        let claim = &set.object["spec"]["volumeClaimTemplates"][0];
        assert_eq!(claim["metadata"]["name"], "datadir");
        assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "20Gi");
        assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteOnce"]));
        let container = &set.object["spec"]["template"]["spec"]["containers"][0];
        assert_eq!((&container["name"], &container["resources"]["requests"]["cpu"]), (&json!("mongodb"), &json!("1")));
        assert_eq!(container["volumeMounts"][0]["name"], "datadir");
    }

    #[test]
    fn ephemeral_storage_has_no_claim() {
        let engine = Catalog::builtin().find("mongodb").unwrap();
        let object = json!({
            "apiVersion": "kubedb.com/v1", "metadata": {"name": "mg", "namespace": "demo", "uid": "u"},
            "spec": {"storageType": "Ephemeral", "storage": {"resources": {"requests": {"storage": "1Gi"}}}},
        });
        let spec = &sets(engine, &object)[0].object["spec"];
        assert_eq!(spec["volumeClaimTemplates"], json!([]));
        assert_eq!(spec["template"]["spec"]["volumes"], json!([{"name": "data", "emptyDir": {}}]));
    }
}

//! The workloads that KubeDB's provisioner makes for a database, out of the catalog and the object. Pure.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use dbscale_core::catalog::{Engine, Pods, SetKind};
use dbscale_core::database::{ComponentView, Database, Place};
use dbscale_core::ownership::{self, Holes, Workload};
use serde_json::{Value, json};

use super::json;
use super::world::Kind;

/// What the catalog says of pods that nobody has described: nothing.
static NO_PODS: LazyLock<Pods> =
    LazyLock::new(|| serde_json::from_value(json!({})).expect("every field of a component's pods has a default"));

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
    // Where nobody has written the names down, or the object lacks what they are made of, the simulator has names of its
    // own: a test needs pods all the same.
    let nameless = |v: &&ComponentView| !v.is_sidecar() && !known.iter().any(|w| w.component == v.key);
    for view in database.components.iter().filter(nameless) {
        let invented = view.places.iter().flat_map(|place| invented(&database, view, place));
        sets.extend(invented.filter_map(|w| set(&database, object, &w)));
    }
    sets
}

/// A workload for each shard of a place, or one where there are no shards.
fn invented(database: &Database, view: &ComponentView, place: &Place) -> Vec<Workload> {
    let pods = view.component.pods.as_ref().unwrap_or(&NO_PODS);
    let main = database.topology.and_then(|t| t.main.as_deref()) == Some(view.key);
    let component = if main { String::new() } else { format!("-{}", view.component.name.to_lowercase()) };
    let item = place.item.as_ref().map(|i| format!("-{i}")).unwrap_or_default();
    let name = format!("{}{component}{item}", database.name);
    let workload = |name, shard| Workload { component: view.key, pods, name, shard, item: place.item.clone() };
    match place.shards {
        None => vec![workload(name, None)],
        Some(shards) => (0..shards).map(|i| workload(format!("{name}-shard{i}"), Some(i))).collect(),
    }
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
        let resources = place.map(|p| without_storage(p.resources.to_json())).filter(Value::is_object);
        found.push(json!({
            "name": name,
            "image": format!("testbed.invalid/{}", database.engine.name),
            "resources": resources.unwrap_or_else(|| json!({})),
        }));
    }
    found[0]["volumeMounts"] = mounts.clone();
    found
}

/// A container's resources without the size of a volume that some components keep among them.
fn without_storage(mut resources: Value) -> Value {
    for side in ["requests", "limits"] {
        if let Some(amounts) = resources.get_mut(side).and_then(Value::as_object_mut) {
            amounts.remove("storage");
        }
    }
    resources
}

/// The claim template, out of the claim's spec in the object; `None` without durable storage.
fn claim_template(object: &Value, view: &ComponentView, place: &Place, workload: &Workload) -> Option<Value> {
    if place.ephemeral || place.storage.is_none() {
        return None;
    }
    let at = view.component.storage.as_ref()?.at.as_ref()?;
    let item = workload.item.as_deref();
    let given = item.map_or_else(|| at.clone(), |item| at.of_item(item)).get(object)?;
    // Some components keep the claim's size among the container's resources (an arbiter): only what a claim has goes in.
    let size = given.pointer("/resources/requests/storage")?;
    let mut spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}});
    for field in ["accessModes", "storageClassName", "volumeMode", "selector", "dataSource"] {
        if let Some(value) = given.get(field).filter(|v| !v.is_null()) {
            spec[field] = value.clone();
        }
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
    fn the_volume_of_an_arbiter_is_no_resource_of_its_container() {
        let engine = Catalog::builtin().find("postgres").unwrap();
        let object = json!({
            "apiVersion": "kubedb.com/v1", "metadata": {"name": "pg", "namespace": "demo", "uid": "u"},
            "spec": {"replicas": 2, "arbiter": {"resources": {"requests": {"storage": "2Gi", "cpu": "1"}}}},
        });
        let found = sets(engine, &object);
        let arbiter = &found.iter().find(|s| s.name == "pg-arbiter").expect("the arbiter's workload").object["spec"];
        assert_eq!(arbiter["template"]["spec"]["containers"][0]["resources"], json!({"requests": {"cpu": "1"}}));
        assert_eq!(arbiter["volumeClaimTemplates"][0]["spec"]["resources"], json!({"requests": {"storage": "2Gi"}}));
    }

    #[test]
    fn names_that_nobody_has_written_down_are_made_up() {
        let engine = Catalog::builtin().find("aerospike").unwrap();
        let object =
            json!({"apiVersion": "kubedb.com/v1alpha2", "metadata": {"name": "as", "namespace": "demo", "uid": "u"}});
        assert_eq!(sets(engine, &object).iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["as"]);
        let engine = Catalog::builtin().find("documentdb").unwrap();
        let object = json!({"apiVersion": "kubedb.com/v1alpha2", "metadata": {"name": "doc", "namespace": "demo", "uid": "u"},
            "spec": {"arbiter": {}}});
        assert_eq!(sets(engine, &object).iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["doc", "doc-arbiter"]);
        let engine = Catalog::builtin().find("clickhouse").unwrap();
        let object = json!({"apiVersion": "kubedb.com/v1alpha2", "metadata": {"name": "ch", "namespace": "demo", "uid": "u"},
            "spec": {"clusterTopology": {"cluster": {"shards": 2}}}});
        let names: Vec<_> =
            sets(engine, &object).into_iter().filter(|s| s.component == "nodeCluster").map(|s| s.name).collect();
        assert_eq!(names, ["ch-shard0", "ch-shard1"]);
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

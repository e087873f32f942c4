//! A replica set of three on three nodes, for the tests of the checks.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Around, Choice, Reach, judge};
use crate::facts::Facts;
use crate::finding::Finding;
use crate::plan::{Intent, Stamp, Step, StorageVia, plan};
use crate::rules::testing::{facts, replica_set};

/// A database with what is around it.
pub struct Scene {
    pub object: Value,
    pub facts: Facts,
    pub around: Around,
    pub choice: Choice,
}

/// Reads an object of the tests.
pub fn read<T: DeserializeOwned>(object: Value) -> T {
    serde_json::from_value(object).unwrap()
}

/// The ids of findings.
pub fn ids(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|f| f.rule.0).collect()
}

/// A node with 8 CPUs, 8Gi and room for ten pods.
pub fn node(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": "a"}}, "spec": {},
        "status": {"allocatable": {"cpu": "8", "memory": "8Gi", "pods": "10"}}})
}

/// A pod of the replica set: 2 CPUs and 2Gi, ready, on node `n<ordinal>`.
pub fn pod(ordinal: usize) -> Value {
    let resources = json!({"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}});
    json!({
        "metadata": {"name": format!("my-db-{ordinal}"), "namespace": "demo",
            "labels": {"app.kubernetes.io/instance": "my-db", "apps.kubernetes.io/pod-index": ordinal.to_string()},
            "ownerReferences": [{"kind": "PetSet", "name": "my-db", "controller": true}]},
        "spec": {"nodeName": format!("n{ordinal}"), "containers": [{"name": "mongodb", "resources": resources}],
            "volumes": [{"persistentVolumeClaim": {"claimName": format!("datadir-my-db-{ordinal}")}}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// A pod of somebody else that takes memory of a node.
pub fn other(name: &str, node: &str, memory: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "other"}, "status": {"phase": "Running"},
        "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": {"memory": memory}}}]}})
}

impl Scene {
    pub fn new() -> Self {
        Self::of_members(&[true, true, true])
    }

    /// With so many members, of which these are ready, each on a node of its own.
    pub fn of_members(ready: &[bool]) -> Self {
        let mut object = replica_set();
        object["spec"]["replicas"] = json!(ready.len());
        let mut scene = Self { facts: facts(&object), object, around: Around::default(), choice: Choice::default() };
        scene.nodes(&(0..ready.len()).map(|i| node(&format!("n{i}"))).collect::<Vec<_>>());
        let member = |(i, ready): (usize, &bool)| {
            let mut pod = pod(i);
            pod["status"]["conditions"][0]["status"] = json!(if *ready { "True" } else { "False" });
            pod
        };
        scene.pods(&ready.iter().enumerate().map(member).collect::<Vec<_>>());
        scene
    }

    pub fn nodes(&mut self, nodes: &[Value]) {
        self.around.nodes = Some(nodes.iter().cloned().map(read).collect());
    }

    pub fn pods(&mut self, pods: &[Value]) {
        self.around.pods = Some(pods.iter().cloned().map(read).collect());
        self.around.reach = Reach::Cluster;
    }

    pub fn more_pods(&mut self, pods: &[Value]) {
        self.around.pods.as_mut().unwrap().extend(pods.iter().cloned().map(read));
    }

    pub fn quota(&mut self, hard: &Value, used: &Value) {
        let quota = json!({"metadata": {"name": "team-a", "namespace": "demo"}, "spec": {"hard": hard}, "status": {"hard": hard, "used": used}});
        self.around.quotas.get_or_insert_default().push(read(quota));
    }

    pub fn limits(&mut self, limits: &Value) {
        let range = json!({"metadata": {"name": "bounds", "namespace": "demo"}, "spec": {"limits": [limits]}});
        self.around.limit_ranges.get_or_insert_default().push(read(range));
    }

    pub fn budgets(&mut self, budgets: &[Value]) {
        self.around.budgets = Some(budgets.iter().cloned().map(read).collect());
    }

    /// What the checks say of a wish.
    pub fn wish(&self, intent: &Intent) -> Vec<Finding> {
        let stamp = Stamp { unix_seconds: 1, request_id: String::new(), requested_by: None, name: None };
        let plan = plan(&self.facts, intent, &stamp).unwrap();
        let changes: Vec<_> = plan.steps.iter().map(Step::change).collect();
        judge(&self.facts, &self.object, &changes, &self.around, &self.choice)
    }

    pub fn memory(&self, memory: &str) -> Vec<Finding> {
        self.wish(&Intent { memory: Some(memory.parse().unwrap()), ..Intent::default() })
    }

    pub fn memory_in_place(&self, memory: &str) -> Vec<Finding> {
        let vertical_mode = Some("InPlace".to_owned());
        self.wish(&Intent { memory: Some(memory.parse().unwrap()), vertical_mode, ..Intent::default() })
    }

    pub fn replicas(&self, replicas: i64) -> Vec<Finding> {
        self.wish(&Intent { replicas: Some(replicas), ..Intent::default() })
    }

    pub fn storage(&self, size: &str) -> Vec<Finding> {
        self.wish(&Intent { storage: Some(size.parse().unwrap()), ..Intent::default() })
    }

    pub fn offline(&self, size: &str) -> Vec<Finding> {
        let (via, volume_mode) = (StorageVia::OpsRequest, Some("Offline".to_owned()));
        self.wish(&Intent { storage: Some(size.parse().unwrap()), via, volume_mode, ..Intent::default() })
    }
}

//! Pods.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Condition, LabelSelector, Metadata, NodeSelector, Resources, nullable};
use crate::preflight::amounts::Amounts;

/// A pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Who it is.
    pub metadata: Metadata,
    /// What is asked for.
    pub spec: PodSpec,
    /// What is.
    pub status: PodStatus,
}

/// `spec` of a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// Where it runs; empty while it waits.
    pub node_name: String,
    /// Its containers.
    #[serde(deserialize_with = "nullable")]
    pub containers: Vec<Container>,
    /// Those that run before, or beside them with `restartPolicy: Always`.
    pub init_containers: Vec<Container>,
    /// What its runtime takes beside the containers.
    pub overhead: Amounts,
    /// Resources of the pod as a whole.
    pub resources: Resources,
    /// Labels that its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Which nodes and neighbours it wants.
    pub affinity: Affinity,
    /// Which taints it bears.
    pub tolerations: Vec<Toleration>,
    /// How it is spread.
    pub topology_spread_constraints: Vec<Spread>,
    /// Its volumes.
    pub volumes: Vec<Volume>,
    /// Its priority class.
    pub priority_class_name: String,
    /// When it is ended, in seconds.
    pub active_deadline_seconds: Option<i64>,
    /// Whether it uses its node's network.
    pub host_network: bool,
}

/// `status` of a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// `Running`, `Succeeded` …
    pub phase: String,
    /// What it says of itself.
    pub conditions: Vec<Condition>,
    /// What its containers really have.
    pub container_statuses: Vec<ContainerStatus>,
}

/// A container.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its resources.
    pub resources: Resources,
    /// `Always` for an init container that stays.
    pub restart_policy: String,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// What a container really has.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// Its resources; `None` from a kubelet that does not say.
    pub resources: Option<Resources>,
    /// What its node has set aside.
    pub allocated_resources: Amounts,
}

/// A port of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Port {
    /// On the node; 0 for none.
    pub host_port: i64,
    /// The node's address; empty for all of them.
    #[serde(rename = "hostIP")]
    pub host_ip: String,
    /// `TCP` where nothing is said.
    pub protocol: String,
}

/// A volume of a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Volume {
    /// The claim, where it is one.
    pub persistent_volume_claim: Option<ClaimName>,
}

/// The name of a claim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClaimName {
    /// The name.
    pub claim_name: String,
}

/// A toleration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Toleration {
    /// The taint's key; empty for every one.
    pub key: String,
    /// `Equal` (where nothing is said), `Exists`, `Lt` or `Gt`.
    pub operator: String,
    /// The taint's value.
    pub value: String,
    /// The taint's effect; empty for every one.
    pub effect: String,
}

/// `affinity` of a pod.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Affinity {
    /// Of nodes.
    pub node_affinity: Option<NodeAffinity>,
    /// Beside which pods it must be.
    pub pod_affinity: PodAffinity,
    /// Beside which pods it must not be.
    pub pod_anti_affinity: PodAffinity,
}

/// `nodeAffinity`; what is only preferred is not read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NodeAffinity {
    /// What is required.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Option<NodeSelector>,
}

/// `podAffinity` and `podAntiAffinity`; what is only preferred matters to quotas alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PodAffinity {
    /// What is required.
    #[serde(rename = "requiredDuringSchedulingIgnoredDuringExecution")]
    pub required: Vec<PodTerm>,
    /// What is preferred.
    #[serde(rename = "preferredDuringSchedulingIgnoredDuringExecution")]
    pub preferred: Vec<WeightedTerm>,
}

/// A preferred term.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WeightedTerm {
    /// The term.
    pub pod_affinity_term: PodTerm,
}

/// Pods, and how near they count.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodTerm {
    /// The pods; `None` is none of them. The API server has added what `matchLabelKeys` asks for.
    pub label_selector: Option<LabelSelector>,
    /// In which namespaces.
    pub namespaces: Vec<String>,
    /// And in those with these labels.
    pub namespace_selector: Option<LabelSelector>,
    /// The node label of which one value is one place.
    pub topology_key: String,
}

/// A constraint of `topologySpreadConstraints`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spread {
    /// By how much one place may have more than the emptiest.
    pub max_skew: i64,
    /// The node label of which one value is one place.
    pub topology_key: String,
    /// `DoNotSchedule` or `ScheduleAnyway`.
    pub when_unsatisfiable: String,
    /// The pods that are counted.
    pub label_selector: Option<LabelSelector>,
    /// Labels of which the pod's own value is asked for too.
    pub match_label_keys: Vec<String>,
    /// With fewer places than this, the emptiest counts as having none.
    pub min_domains: Option<i64>,
    /// `Ignore` to count nodes that the pod does not select.
    pub node_affinity_policy: String,
    /// `Honor` not to count nodes whose taints it does not bear.
    pub node_taints_policy: String,
}

impl Pod {
    /// The name of what manages it: its workload.
    #[must_use]
    pub fn workload(&self) -> Option<&str> {
        self.metadata.owner_references.iter().find(|o| o.controller).map(|o| o.name.as_str())
    }

    /// Whether it has ended, or is on its way out.
    #[must_use]
    pub fn is_over(&self) -> bool {
        ["Succeeded", "Failed"].contains(&self.status.phase.as_str())
    }

    /// Whether it is on its way out.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Whether it says that it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status.conditions.iter().any(|c| c.kind == "Ready" && c.status == "True")
    }

    /// The names of its claims.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.spec.volumes.iter().filter_map(|v| Some(v.persistent_volume_claim.as_ref()?.claim_name.as_str()))
    }
}

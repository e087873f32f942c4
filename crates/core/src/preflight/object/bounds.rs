//! What bounds pods and volumes: quotas, limit ranges, budgets, claims and what they are bound to.

use serde::Deserialize;

use super::{LabelSelector, Metadata, NodeSelector, Resources, nullable};
use crate::preflight::amounts::Amounts;

/// A quota.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Quota {
    /// Who it is.
    pub metadata: Metadata,
    /// What is asked for.
    pub spec: QuotaSpec,
    /// What is.
    pub status: QuotaStatus,
}

impl Quota {
    /// Whether nobody has counted yet what is used of it.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.spec.hard.iter().any(|(name, _)| self.status.used.find(name).is_none())
    }
}

/// `spec` of a quota.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct QuotaSpec {
    /// The most.
    pub hard: Amounts,
    /// What it is about: all of these must hold.
    pub scopes: Vec<String>,
    /// And these.
    pub scope_selector: Scopes,
}

/// `scopeSelector` of a quota.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Scopes {
    /// The scopes.
    pub match_expressions: Vec<Scope>,
}

/// A scope.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Scope {
    /// `BestEffort`, `PriorityClass` …
    pub scope_name: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// The values.
    pub values: Vec<String>,
}

/// `status` of a quota.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct QuotaStatus {
    /// The most, as the controller has seen it.
    pub hard: Amounts,
    /// What is used of it.
    pub used: Amounts,
}

/// A limit range.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LimitRange {
    /// Who it is.
    pub metadata: Metadata,
    /// What it asks for.
    pub spec: LimitRangeSpec,
}

/// `spec` of a limit range.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct LimitRangeSpec {
    /// The limits.
    #[serde(deserialize_with = "nullable")]
    pub limits: Vec<Limit>,
}

/// A limit of a limit range.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Limit {
    /// `Container`, `Pod` or `PersistentVolumeClaim`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The least.
    pub min: Amounts,
    /// The most.
    pub max: Amounts,
    /// The limit of a container that has none.
    pub default: Amounts,
    /// The request of a container that has none.
    pub default_request: Amounts,
    /// How many times its request a limit may be.
    pub max_limit_request_ratio: Amounts,
}

/// A budget of disruptions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Budget {
    /// Who it is.
    pub metadata: Metadata,
    /// What is asked for.
    pub spec: BudgetSpec,
    /// What is.
    pub status: BudgetStatus,
}

/// `spec` of a budget.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BudgetSpec {
    /// The pods.
    pub selector: Option<LabelSelector>,
    /// `AlwaysAllow` lets pods go that are not ready, whatever the budget.
    pub unhealthy_pod_eviction_policy: String,
}

/// `status` of a budget.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BudgetStatus {
    /// The generation that it tells of; 0 where nobody has looked yet.
    pub observed_generation: i64,
    /// How many pods may go now.
    pub disruptions_allowed: i64,
    /// How many are healthy.
    pub current_healthy: i64,
    /// How many have to be.
    pub desired_healthy: i64,
    /// How many there are to be.
    pub expected_pods: i64,
}

/// A claim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Claim {
    /// Who it is.
    pub metadata: Metadata,
    /// What is asked for.
    pub spec: ClaimSpec,
    /// What is.
    pub status: ClaimStatus,
}

impl Claim {
    /// The classes of attributes that it names: the one that it asks for, the one that it has, and the one that it is on its
    /// way to. A quota of any of them counts it.
    pub fn attributes(&self) -> impl Iterator<Item = &String> {
        let Self { spec, status, .. } = self;
        let all = [
            &spec.volume_attributes_class_name,
            &status.current_volume_attributes_class_name,
            &status.modify_volume_status.target_volume_attributes_class_name,
        ];
        all.into_iter().filter(|class| !class.is_empty())
    }
}

/// `spec` of a claim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClaimSpec {
    /// Its storage class.
    pub storage_class_name: String,
    /// The volume that it is bound to; empty for none.
    pub volume_name: String,
    /// What it asks for.
    pub resources: Resources,
    /// The class of its volume's attributes.
    pub volume_attributes_class_name: String,
}

/// `status` of a claim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClaimStatus {
    /// What was set aside for it; more than it asks for after a growth that was taken back.
    pub allocated_resources: Amounts,
    /// The class of attributes that its volume has.
    pub current_volume_attributes_class_name: String,
    /// A change of that class.
    pub modify_volume_status: Modification,
}

/// `modifyVolumeStatus` of a claim.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Modification {
    /// The class that its volume is on its way to.
    pub target_volume_attributes_class_name: String,
}

/// A volume of the cluster.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PersistentVolume {
    /// Who it is.
    pub metadata: Metadata,
    /// What it is.
    pub spec: PersistentVolumeSpec,
}

/// `spec` of a volume of the cluster.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PersistentVolumeSpec {
    /// From where it can be reached; `None` for everywhere.
    pub node_affinity: Option<VolumeAffinity>,
}

/// `nodeAffinity` of a volume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VolumeAffinity {
    /// What is required.
    pub required: Option<NodeSelector>,
}

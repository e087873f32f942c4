//! What came of a command, a target at a time: the values that every output format prints.

use dbscale_core::finding::Finding;
use dbscale_core::plan::{Choice, Difference};
use serde::Serialize;

/// The result for one target.
#[derive(Debug)]
pub struct Outcome {
    /// The engine's name: `mongodb`.
    pub engine: String,
    /// The namespace.
    pub namespace: String,
    /// The database's name.
    pub name: String,
    /// The topology in words, with the number of members: `replica set, 3 members`; empty where it is not known.
    pub topology: String,
    /// What changes.
    pub differences: Vec<Difference>,
    /// Warnings: of the rules, and what the API server sent in `Warning` headers.
    pub warnings: Vec<String>,
    /// What was done, in order. It may be more than nothing though `failure` is set.
    pub operations: Vec<Operation>,
    /// Whether all was there already and nothing was sent.
    pub skipped: bool,
    /// Why it did not come to its end.
    pub failure: Option<Failure>,
}

/// One operation that was asked of the API server, in the form of `-o json`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Operation {
    /// The OpsRequest's name; null for a direct patch.
    pub ops_request_name: Option<String>,
    /// The OpsRequest's UID; null for a direct patch and for a client-side dry run.
    pub ops_request_uid: Option<String>,
    /// `VerticalScaling`, `HorizontalScaling`, `VolumeExpansion`, or `StoragePatch`.
    pub ops_type: String,
    /// A sentence for people.
    pub message: String,
    /// The component.
    pub component: String,
    /// The size class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// Shards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<i64>,
    /// CPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// The size of a volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// The claims that a direct patch grew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims: Option<Vec<String>>,
    /// The engine.
    pub engine: String,
    /// The namespace.
    pub namespace: String,
    /// The database.
    pub name: String,
    /// `client` or `server`, on a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<String>,
    /// The phase at the end, with `--wait`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The claims of a direct patch that `--wait` follows, whoever grows them.
    #[serde(skip)]
    pub follow: Vec<String>,
    /// The resource for `-o name`: `mongodbopsrequest.ops.kubedb.com/my-db-scale-1`, `mongodb.kubedb.com/my-db`.
    #[serde(skip)]
    pub resource: String,
}

/// Why a target did not come to its end.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// The process's exit code.
    pub exit_code: u8,
    /// The first rule, where rules refused.
    pub rule: Option<String>,
    /// What went wrong, in words; several lines where an API server's answer has several causes.
    pub message: String,
    /// What to do next; may be empty.
    pub remedy: String,
    /// The findings of the rules, those that refuse first.
    pub findings: Vec<Finding>,
    /// The components to choose from.
    pub choice: Option<Choice>,
    /// The chain of causes, outermost first, for the log.
    pub chain: Vec<String>,
}

impl Outcome {
    /// The exit code of this target.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.failure.as_ref().map_or(0, |f| f.exit_code)
    }

    /// The target as people write it: `mongodb/my-db`.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}/{}", self.engine, self.name)
    }
}

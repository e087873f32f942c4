//! What dbscale remembers of a database's scaling: the custom resource `ScalingRecord`, and how it follows from what is seen.
//!
//! One record a database, in its namespace and owned by it. `kubectl get scalingrecords` is the answer to "what is going on"
//! and to "what was done before", also after the OpsRequests themselves are gone.

mod bounds;
mod deltas;
mod effects;
mod judge;
mod observe;
mod request;
#[cfg(test)]
mod tests;
mod volumes;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use judge::words;
pub use observe::{Look, Notice, Observation, Present, Settings, Told, observe};
pub use request::Request;

use crate::database::Database;
use crate::plan::hash;
use crate::status::Phase;

/// The API group of what dbscale itself keeps.
pub const GROUP: &str = "dbscale.dev";
/// The version of [`KIND`].
pub const VERSION: &str = "v1alpha1";
/// The record's kind.
pub const KIND: &str = "ScalingRecord";
/// The record's resource name.
pub const PLURAL: &str = "scalingrecords";

/// The longest name of an object.
const MAX_NAME: usize = 253;

/// What a database is doing, in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// Nothing is under way, and the last operation that ran did so well.
    #[default]
    Running,
    /// Its members or shards change.
    Scaling,
    /// Its size, its volumes or something else changes.
    Updating,
    /// The last operation failed, did not take effect, or does not come to its end.
    Failed,
}

impl State {
    /// The word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Scaling => "Scaling",
            Self::Updating => "Updating",
            Self::Failed => "Failed",
        }
    }
}

/// `status` of a record. What is empty or zero is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// What the database is doing.
    pub phase: State,
    /// Why, in one word for programs: `Progressing`, `OpsRequestFailed`, `MonitoringTimeout`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The newest operation and how it stands: `VerticalScaling Successful`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last: String,
    /// The operations that have not ended, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Tracked>,
    /// The operations that have ended, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Past>,
    /// How many older ones the history no longer holds; the controller's log has them.
    #[serde(skip_serializing_if = "is_zero")]
    pub history_dropped: u64,
    /// Volumes that are growing after a direct change of the database object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Growth>,
    /// When anything above changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
}

/// An operation that has not ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tracked {
    /// The OpsRequest's name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// `spec.type`.
    #[serde(rename = "type")]
    pub ops_type: String,
    /// `status.phase`.
    pub phase: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was first seen Progressing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Since when only KubeDB keeps it from beginning: not while it waits for approval or behind another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_from: Option<Timestamp>,
    /// Why it counts as overdue; absent while it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue: Option<Overdue>,
    /// Who asked, where dbscale made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// What it changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Delta>,
}

/// Why an operation counts as failed although it has not ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Overdue {
    /// `MonitoringTimeout`, `NeverStarted`, `Stuck` or `DoneButNotReported`.
    pub reason: String,
    /// The same for people.
    pub message: String,
}

/// An operation that has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Past {
    /// The OpsRequest's name; of a direct storage change, the id of that change.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// `spec.type`; [`STORAGE_PATCH`] for a direct storage change.
    #[serde(rename = "type")]
    pub ops_type: String,
    /// `Successful`, `Failed`, `Skipped`, `Denied`; [`DELETED`] where it was deleted before its end;
    /// [`SUPERSEDED`] where another took its place.
    pub outcome: String,
    /// The reason of the condition that tells why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The message of that condition.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Who asked, where dbscale made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was first seen Progressing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Seconds from its first Progressing to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
    /// What it changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Delta>,
    /// What an independent look at the object and the pods found: `Confirmed`, `Missing: …`, or `Superseded: …` where something
    /// newer has overridden what was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// What came of the wish to go back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
}

/// One value that an operation changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Delta {
    /// The component.
    pub component: String,
    /// `replicas`, `shards`, `cpu`, `memory` or `storage`.
    pub field: String,
    /// The value before, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The wanted value.
    pub after: String,
}

/// Volumes that follow a direct change of the database object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Growth {
    /// The id of the change, the database's annotation `dbscale.dev/request-id`; empty where it has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub request_id: String,
    /// Who asked, where dbscale changed the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// When it was first seen.
    pub started_at: Timestamp,
    /// What grows.
    pub changes: Vec<Delta>,
    /// How many volumes have their size.
    pub grown: usize,
    /// How many there are.
    pub volumes: usize,
    /// What stands in the way; empty where nothing does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// A way back from a failed operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rollback {
    /// The OpsRequest that goes back; empty where none is made.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it stands.
    pub state: RollbackState,
    /// Why there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// Where a rollback stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RollbackState {
    /// Decided; its OpsRequest is created next.
    #[default]
    Planned,
    /// Its OpsRequest was made.
    Requested,
    /// There is none, for the reason that stands beside.
    Declined,
}

/// `type` of a direct storage change in the history.
pub const STORAGE_PATCH: &str = "StoragePatch";
/// `outcome` of an operation that was deleted before its end.
pub const DELETED: &str = "Deleted";
/// `outcome` of a direct storage change that was given up, or that another took the place of, before all volumes had their size;
/// begins the `effect` of an operation whose missing values were overridden.
pub const SUPERSEDED: &str = "Superseded";
/// `effect` of an operation whose values were all found.
pub const CONFIRMED: &str = "Confirmed";

impl Status {
    /// How long operations of a type took that went well, in seconds: the middle one of those that the history holds.
    #[must_use]
    pub fn usual_seconds(&self, ops_type: &str) -> Option<i64> {
        let well = self.history.iter().filter(|p| p.ops_type == ops_type && p.outcome == Phase::Successful.word());
        let mut took: Vec<i64> = well.filter_map(|p| p.duration_seconds).collect();
        took.sort_unstable();
        took.get(took.len() / 2).copied()
    }
}

/// The record's name: `<engine>-<database>`. No engine's name has a hyphen, so two databases never share one. A name that
/// is too long is cut and gets a 5-character hash.
#[must_use]
pub fn name(engine: &str, database: &str) -> String {
    let name = format!("{engine}-{database}");
    if name.len() <= MAX_NAME {
        return name;
    }
    let head: String = name.chars().take(MAX_NAME - 6).collect();
    format!("{}-{}", head.trim_end_matches(['-', '.']), hash(&name))
}

/// The record without its status, as it is applied.
#[must_use]
pub fn object(database: &Database) -> Value {
    let engine = database.engine;
    let api_version = format!("{}/{}", crate::catalog::DATABASE_GROUP, database.version);
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": KIND,
        "metadata": {
            "name": name(&engine.name, &database.name),
            "namespace": database.namespace,
            "ownerReferences": [{"apiVersion": api_version, "kind": engine.kind, "name": database.name, "uid": database.uid}],
        },
        "spec": {"databaseRef": {"apiVersion": api_version, "kind": engine.kind, "name": database.name}},
    })
}

/// Cuts a text to at most so many bytes, between two characters.
pub fn cut(text: &mut String, most: usize) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

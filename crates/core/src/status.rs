//! The phases of an OpsRequest, and the little that dbscale remembers of one.
//!
//! Only `status.phase` decides; conditions explain and may contradict it.

use std::fmt;

use serde_json::Value;

use crate::json;
use crate::plan::RETRY_OF;
use crate::rollback::ROLLBACK_OF;

/// `status.phase` of an OpsRequest. Source: the enum in KubeDB's CRDs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Empty or `Pending`: not begun.
    #[default]
    Pending,
    /// Running.
    Progressing,
    /// Waits for a person's approval.
    WaitingForApproval,
    /// Approved, not begun.
    Approved,
    /// Done.
    Successful,
    /// Ended with an error.
    Failed,
    /// Never begun, because a newer one of its type came.
    Skipped,
    /// Approval was refused.
    Denied,
}

impl Phase {
    /// All of them, in the order of a run.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::WaitingForApproval,
        Self::Approved,
        Self::Progressing,
        Self::Successful,
        Self::Failed,
        Self::Skipped,
        Self::Denied,
    ];

    /// Reads a phase. A word that KubeDB does not have today counts as [`Phase::Pending`]: active, the cautious reading.
    #[must_use]
    pub fn of(text: &str) -> Self {
        match text {
            "Progressing" => Self::Progressing,
            "WaitingForApproval" => Self::WaitingForApproval,
            "Approved" => Self::Approved,
            "Successful" => Self::Successful,
            "Failed" => Self::Failed,
            "Skipped" => Self::Skipped,
            "Denied" => Self::Denied,
            _ => Self::Pending,
        }
    }

    /// Whether the operation may still change something.
    #[must_use]
    pub fn is_active(self) -> bool {
        !self.is_finished()
    }

    /// Whether the operation has ended, well or not.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Successful | Self::Failed | Self::Skipped | Self::Denied)
    }

    /// The word as KubeDB writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Progressing => "Progressing",
            Self::WaitingForApproval => "WaitingForApproval",
            Self::Approved => "Approved",
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Skipped => "Skipped",
            Self::Denied => "Denied",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What the rules look at in an OpsRequest that is already there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// The database it refers to.
    pub database: String,
    /// `spec.type`.
    pub ops_type: String,
    /// `status.phase`.
    pub phase: Phase,
    /// `metadata.creationTimestamp`, RFC 3339 in UTC as the API server writes it, so that it sorts as text.
    pub created: String,
    /// Whether it is being deleted: KubeDB then takes it for done, whatever its phase.
    pub deleting: bool,
    /// The controller that made it (autoscaler, GitOps operator), `Kind/name`.
    pub controller: Option<String>,
    /// Why it failed, out of the conditions; empty where nothing says so.
    pub reason: String,
    /// Whether it was made because of an earlier one: as the way back from it, or to try it again.
    pub follows: bool,
}

impl Operation {
    /// Reads an OpsRequest; `reference` is the field that names the database (`databaseRef`, `proxyRef`).
    #[must_use]
    pub fn of(object: &Value, reference: &str) -> Self {
        let text = |way: &[&str]| json::text(object, way).to_owned();
        Self {
            name: text(&["metadata", "name"]),
            database: text(&["spec", reference, "name"]),
            ops_type: text(&["spec", "type"]),
            phase: Phase::of(json::text(object, &["status", "phase"])),
            created: text(&["metadata", "creationTimestamp"]),
            deleting: !json::text(object, &["metadata", "deletionTimestamp"]).is_empty(),
            controller: controller_of(object),
            reason: failure_of(object),
            follows: follows(object),
        }
    }

    /// What sorts operations from the oldest to the newest. Creation times have whole seconds: of two made within one, the
    /// one that was made because of the other is the later.
    #[must_use]
    pub fn age(&self) -> (&str, bool, &str) {
        (&self.created, self.follows, &self.name)
    }

    /// Whether it may still change something.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.phase.is_active() && !self.deleting
    }
}

/// Whether an OpsRequest was made because of an earlier one: as the way back from it, or to try it again.
#[must_use]
pub fn follows(object: &Value) -> bool {
    let annotations = object.get("metadata").and_then(|metadata| metadata.get("annotations"));
    [ROLLBACK_OF, RETRY_OF].iter().any(|key| annotations.is_some_and(|all| all.get(key).is_some()))
}

/// The controller owner of an object, `Kind/name`.
#[must_use]
pub fn controller_of(object: &Value) -> Option<String> {
    let owners = json::at(object, &["metadata", "ownerReferences"])?.as_array()?;
    let owner = owners.iter().find(|o| o.get("controller").and_then(Value::as_bool) == Some(true))?;
    let field = |name| owner.get(name).and_then(Value::as_str).unwrap_or_default();
    Some(format!("{}/{}", field("kind"), field("name")))
}

/// The message of the condition that tells why the operation failed; empty where none does.
#[must_use]
pub fn failure_of(object: &Value) -> String {
    failed_condition(object).map(|c| field(c, "message").to_owned()).unwrap_or_default()
}

/// The first condition whose reason is `Failed` or ends so, else the first that is False.
///
/// A `Successful` condition that is True may stand beside them; KubeDB's own output shows it.
#[must_use]
pub fn failed_condition(object: &Value) -> Option<&Value> {
    let conditions = json::at(object, &["status", "conditions"])?.as_array()?;
    let failed = conditions.iter().find(|c| field(c, "reason").contains("Failed"));
    failed.or_else(|| conditions.iter().find(|c| field(c, "status") == "False"))
}

fn field<'v>(condition: &'v Value, name: &str) -> &'v str {
    condition.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::empty("", true)]
    #[case::pending("Pending", true)]
    #[case::progressing("Progressing", true)]
    #[case::waiting("WaitingForApproval", true)]
    #[case::approved("Approved", true)]
    #[case::new_word_of_tomorrow("Paused", true)]
    #[case::successful("Successful", false)]
    #[case::failed("Failed", false)]
    #[case::skipped("Skipped", false)]
    #[case::denied("Denied", false)]
    fn activity(#[case] text: &str, #[case] active: bool) {
        assert_eq!(Phase::of(text).is_active(), active);
        assert_eq!(Phase::of(text).is_finished(), !active);
    }

    #[test]
    fn the_failure_is_the_condition_that_says_failed_though_another_says_successful() {
        let object = json!({"status": {"phase": "Failed", "conditions": [
            {"type": "Successful", "status": "True", "reason": "OpsRequestProcessedSuccessfully", "message": "done"},
            {"type": "GetPod--x", "status": "False", "message": "get pod; ConditionStatus:False"},
            {"type": "UpdateVersion", "status": "False", "reason": "Failed", "message": "i/o timeout"},
        ]}});
        assert_eq!(failure_of(&object), "i/o timeout");
    }

    #[test]
    fn only_a_controller_counts_as_the_owner() {
        let object = json!({"metadata": {"ownerReferences": [
            {"kind": "MongoDB", "name": "db"},
            {"kind": "MongoDBAutoscaler", "name": "auto", "controller": true},
        ]}});
        assert_eq!(controller_of(&object).as_deref(), Some("MongoDBAutoscaler/auto"));
    }
}

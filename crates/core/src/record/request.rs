//! An OpsRequest as the controller remembers it: small, for there may be fifty thousand.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::cut;
use crate::catalog::Engine;
use crate::change::{Change, STANZAS};
use crate::database::{Database, tracker_of};
use crate::plan::{BEFORE, MANAGED_BY, REQUESTED_BY};
use crate::rollback::{ROLLBACK, ROLLBACK_OF};
use crate::status::{Phase, controller_of, failed_condition, follows};

/// Marks beside those of GitOps tools on a database: on an OpsRequest nobody but such a tool sets them.
///
/// KubeDB and Helm label databases with the instance, so there it proves nothing; dbscale never sets it on a request.
const REQUEST_MARKS: [(&str, &str, &str); 2] = [
    ("labels", "app.kubernetes.io/instance", "the label app.kubernetes.io/instance"),
    ("annotations", "meta.helm.sh/release-name", "Helm"),
];

/// The longest message of a condition that is remembered, in bytes: a record holds many, and etcd refuses what is too large.
const LONGEST_MESSAGE: usize = 1024;

/// An OpsRequest, as far as the record, the retention and the rollback look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: Box<str>,
    /// The database that it refers to.
    pub database: Box<str>,
    /// `spec.type`.
    pub ops_type: Box<str>,
    /// `status.phase`.
    pub phase: Phase,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// The newest time of its conditions.
    pub changed: Option<Timestamp>,
    /// The reason and the message of the condition that tells why it failed.
    pub failure: Option<Box<(String, String)>>,
    /// Whether dbscale made it.
    pub managed: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What else makes it again or looks after it, in words: a GitOps tool, a controller.
    pub claimed_by: Option<Box<str>>,
    /// Who asked, where dbscale made it.
    pub requested_by: Option<Box<str>>,
    /// The values before, as the plugin noted them.
    pub before: Option<Box<str>>,
    /// Whether it asks to go back when it fails, or not to; `None` where it does not say.
    pub asks_rollback: Option<bool>,
    /// The name of the failed request that this one goes back from.
    pub rollback_of: Option<Box<str>>,
    /// Whether it was made because of an earlier one.
    pub follows: bool,
    /// The parts of its spec that scale, as JSON.
    spec: Box<str>,
}

impl Request {
    /// Reads an OpsRequest; `None` where it has no creation time, which no stored object lacks.
    #[must_use]
    pub fn of(engine: &Engine, object: &Value) -> Option<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let annotation = |key: &str| object.get("metadata")?.get("annotations")?.get(key)?.as_str();
        let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
        let failure = failed_condition(object).map(|condition| {
            let field = |name| condition.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let mut message = field("message");
            if message.len() > LONGEST_MESSAGE {
                cut(&mut message, LONGEST_MESSAGE);
                message.push('…');
            }
            Box::new((field("reason"), message))
        });
        let spec: Map<String, Value> = object.get("spec").and_then(Value::as_object).map_or_else(Map::new, |spec| {
            let kept = |key: &str| {
                key == "type" || key == "apply" || key == engine.reference || STANZAS.iter().any(|s| s.field == key)
            };
            spec.iter().filter(|(key, _)| kept(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
        });
        Some(Self {
            name: text("/metadata/name").into(),
            uid: text("/metadata/uid").into(),
            resource_version: text("/metadata/resourceVersion").into(),
            database: text(&format!("/spec/{}/name", engine.reference)).into(),
            ops_type: text("/spec/type").into(),
            phase: Phase::of(text("/status/phase")),
            created: object.pointer("/metadata/creationTimestamp").and_then(time)?,
            changed: conditions.filter_map(|c| c.get("lastTransitionTime").and_then(time)).max(),
            failure,
            managed: object.get("metadata").and_then(|m| m.get("labels")?.get(MANAGED_BY.0)?.as_str())
                == Some(MANAGED_BY.1),
            deleting: object.pointer("/metadata/deletionTimestamp").is_some_and(Value::is_string),
            claimed_by: claimed_by(object).map(Into::into),
            requested_by: annotation(REQUESTED_BY).map(Into::into),
            before: annotation(BEFORE).map(Into::into),
            asks_rollback: annotation(ROLLBACK.0).map(|wish| wish == ROLLBACK.1),
            rollback_of: annotation(ROLLBACK_OF).map(Into::into),
            follows: follows(object),
            spec: Value::Object(spec).to_string().into(),
        })
    }

    /// What sorts requests from the oldest to the newest, as [`crate::status::Operation::age`] does.
    #[must_use]
    pub fn age(&self) -> (Timestamp, bool, &str) {
        (self.created, self.follows, &self.name)
    }

    /// What it wants, as the rules see it.
    #[must_use]
    pub fn change(&self, database: &Database) -> Change {
        let spec: Value = serde_json::from_str(&self.spec).unwrap_or_default();
        let metadata = serde_json::json!({"name": self.name, "namespace": database.namespace});
        let object = serde_json::json!({"metadata": metadata, "spec": spec});
        Change::of_request(database.engine, &object, Some(database))
    }

    /// `spec.apply`, where it is set.
    #[must_use]
    pub fn apply(&self) -> Option<String> {
        let spec: Value = serde_json::from_str(&self.spec).ok()?;
        spec.get("apply")?.as_str().map(str::to_owned)
    }
}

fn claimed_by(object: &Value) -> Option<String> {
    let mark = || {
        REQUEST_MARKS
            .iter()
            .find_map(|(part, key, words)| object.get("metadata")?.get(part)?.get(key).map(|_| (*words).to_owned()))
    };
    controller_of(object).or_else(|| tracker_of(object)).or_else(mark)
}

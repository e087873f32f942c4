//! What is told once: a log line with a fixed name, an Event on the database, a metric.

use dbscale_cluster::{Call, Cluster, Kind};
use dbscale_core::catalog::{DATABASE_GROUP, OPS_GROUP, OPS_VERSION};
use dbscale_core::database::Database;
use dbscale_core::record::{self, Notice, Past, Told};
use dbscale_core::scaling_policy::{self, Condition, OPERATIONS_EXCEEDED, Status};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::metrics::Metrics;
use crate::store::{Key, KnownPolicy};

/// The longest note of an Event, in bytes. Source: Kubernetes' events.k8s.io/v1.
const LONGEST_NOTE: usize = 1024;
/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// Tells one thing.
pub async fn tell(cluster: &Cluster, name: &str, identity: &str, metrics: &Metrics, database: &Database, told: &Told) {
    log(name, &id(database), told);
    metrics.told(name, database.engine, told);
    let event = event(database, told, identity, Timestamp::now());
    let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", database.namespace);
    match cluster.call(&Call::post(path, &event)).await {
        Ok(_) => {}
        // Another try of the same, or another process before this one.
        Err(failure) if failure.kind == Kind::AlreadyExists => {}
        // The record says the same, so an Event is worth no second look at the database.
        Err(failure) => tracing::warn!(database_id = id(database), %failure, "the Event could not be written"),
    }
}

/// Tells that more operations are active than a policy allows: a line of the log, and an Event on the policy.
pub async fn exceeded(cluster: &Cluster, name: &str, identity: &str, policy: &KnownPolicy, status: &Status) {
    let Some(condition) = status.condition(OPERATIONS_EXCEEDED) else { return };
    let (event, message) = ("scaling_policy_operations_exceeded", &condition.message);
    tracing::warn!(event, cluster = name, policy = &*policy.name, message);
    let event = event_of(policy, condition, identity, Timestamp::now());
    // What has no namespace has its Events in this one. Source: Kubernetes, validation of Events.
    let path = "/apis/events.k8s.io/v1/namespaces/default/events";
    match cluster.call(&Call::post(path, &event)).await {
        Ok(_) => {}
        Err(failure) if failure.kind == Kind::AlreadyExists => {}
        Err(failure) => tracing::warn!(policy = &*policy.name, %failure, "the Event could not be written"),
    }
}

/// The Event of a policy whose limits are exceeded, with one name for one time that they are.
fn event_of(policy: &KnownPolicy, condition: &Condition, identity: &str, now: Timestamp) -> Value {
    let mut note = condition.message.clone();
    record::cut(&mut note, LONGEST_NOTE);
    let tail = format!(".{}", condition.last_transition_time.as_second());
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": named(&policy.name, &policy.uid, OPERATIONS_EXCEEDED, &tail), "namespace": "default"},
        "eventTime": format!("{now:.6}"),
        "reportingController": "dbscale.dev/controller",
        "reportingInstance": identity.chars().take(128).collect::<String>(),
        "action": "Counting",
        "reason": OPERATIONS_EXCEEDED,
        "type": "Warning",
        "note": note,
        "regarding": {
            "apiVersion": format!("{}/{}", record::GROUP, scaling_policy::VERSION), "kind": scaling_policy::KIND,
            "name": policy.name, "uid": policy.uid,
        },
    })
}

/// The name of an Event: whom it is about, what happened, and what else tells it from others.
fn named(name: &str, uid: &str, reason: &str, more: &str) -> String {
    let uid: String = uid.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let tail = format!(".{}.{}{more}", uid.to_lowercase(), reason.to_lowercase());
    let head: String = name.chars().take(LONGEST_NAME - tail.len()).collect();
    format!("{}{tail}", head.trim_end_matches(['-', '.']))
}

/// The line of the log. Its name is a field of its own: the log keeps one text a line under `message`, which is what was told.
fn log(cluster: &str, database_id: &str, told: &Told) {
    let (ops_request_name, ops_type, phase) = (&told.name, &told.ops_type, &told.phase);
    let (reason, message) = (&told.reason, &told.message);
    macro_rules! line {
        ($level:ident, $event:literal) => {
            tracing::$level!(event = $event, cluster, database_id, ops_request_name, ops_type, phase, reason, message)
        };
    }
    match told.notice {
        Notice::Successful => line!(info, "ops_request_successful"),
        Notice::Failed => line!(error, "ops_request_failed"),
        Notice::NotRun => line!(warn, "ops_request_not_run"),
        Notice::Overdue => line!(error, "ops_request_overdue"),
        Notice::EffectMissing => line!(error, "ops_request_effect_missing"),
        Notice::EffectFound => line!(info, "ops_request_effect_found"),
        Notice::Rollback => line!(warn, "ops_request_rollback"),
    }
}

/// Writes what leaves the history into the log, which is from then on where it can be found.
pub fn archive(name: &str, key: &Key, past: &Past) {
    let entry = serde_json::to_string(past).unwrap_or_default();
    let (event, ops_request_name) = ("scaling_record_archived", &past.name);
    tracing::info!(event, cluster = name, database_id = %key, ops_request_name, entry, "it leaves the record");
}

fn id(database: &Database) -> String {
    format!("{}/{}/{}", database.engine.name, database.namespace, database.name)
}

/// The Event. Its name tells the operation and what happened, so that the same is never told twice.
fn event(database: &Database, told: &Told, identity: &str, now: Timestamp) -> Value {
    let (reason, kind) = match told.notice {
        Notice::Successful => ("OpsRequestSuccessful", "Normal"),
        Notice::Failed => ("OpsRequestFailed", "Warning"),
        Notice::NotRun => ("OpsRequestNotRun", "Normal"),
        Notice::Overdue => ("OpsRequestOverdue", "Warning"),
        Notice::EffectMissing => ("OpsRequestEffectMissing", "Warning"),
        Notice::EffectFound => ("OpsRequestEffectFound", "Normal"),
        Notice::Rollback => ("OpsRequestRollback", "Warning"),
    };
    let because = [told.reason.as_str(), told.message.as_str()].into_iter().filter(|t| !t.is_empty());
    let mut note = format!("{} {}: {}", told.ops_type, told.name, told.phase);
    for text in because {
        note = format!("{note}; {text}");
    }
    if let Some(seconds) = told.duration_s {
        note = format!("{note} after {seconds} s");
    }
    record::cut(&mut note, LONGEST_NOTE);
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": named(&told.name, &told.uid, reason, ""), "namespace": database.namespace},
        "eventTime": format!("{now:.6}"),
        "reportingController": "dbscale.dev/controller",
        "reportingInstance": identity.chars().take(128).collect::<String>(),
        "action": if told.ops_type.is_empty() { "Scaling" } else { told.ops_type.as_str() },
        "reason": reason,
        "type": kind,
        "note": note,
        "regarding": {
            "apiVersion": format!("{DATABASE_GROUP}/{}", database.version), "kind": database.engine.kind,
            "namespace": database.namespace, "name": database.name, "uid": database.uid,
        },
        "related": {
            "apiVersion": format!("{OPS_GROUP}/{OPS_VERSION}"), "kind": database.engine.ops_kind(),
            "namespace": database.namespace, "name": told.name, "uid": told.uid,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use dbscale_core::catalog::Catalog;

    use super::*;

    /// What the log of this program makes of it, as the fields of one line.
    fn logged(told: &Told) -> Value {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(Mutex::new(file.reopen().unwrap()));
        tracing::subscriber::with_default(lines.finish(), || log("own", "mongodb/demo/db", told));
        serde_json::from_str(&std::fs::read_to_string(file.path()).unwrap()).unwrap()
    }

    #[test]
    fn a_line_of_the_log_has_its_name_and_all_that_was_told() {
        let told = Told {
            notice: Notice::Failed,
            name: "db-scale-1".to_owned(),
            uid: "u".to_owned(),
            ops_type: "VerticalScaling".to_owned(),
            phase: "Failed".to_owned(),
            reason: "NoRoom".to_owned(),
            message: "no room on any node".to_owned(),
            duration_s: None,
        };
        let mut line = logged(&told);
        line.as_object_mut().unwrap().remove("timestamp");
        let wanted = json!({"level": "ERROR", "target": "dbscale_controller::report", "event": "ops_request_failed",
            "cluster": "own", "database_id": "mongodb/demo/db", "ops_request_name": "db-scale-1",
            "ops_type": "VerticalScaling", "phase": "Failed", "reason": "NoRoom", "message": "no room on any node"});
        assert_eq!(line, wanted);
    }

    #[test]
    fn an_event_fits_kubernetes_bounds_and_has_one_name_for_one_thing() {
        let object =
            json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db", "namespace": "demo"}});
        let database = Database::of(Catalog::builtin().find("mongodb").unwrap(), &object);
        let told = Told {
            notice: Notice::Failed,
            name: "a".repeat(253),
            uid: "1B2-C3d4".to_owned(),
            ops_type: "VerticalScaling".to_owned(),
            phase: "Failed".to_owned(),
            reason: "Failed".to_owned(),
            message: "ü".repeat(5000),
            duration_s: None,
        };
        let at = |seconds| event(&database, &told, "me", Timestamp::from_second(seconds).unwrap());
        let (one, other) = (at(1), at(2));
        assert_eq!(one["metadata"]["name"], other["metadata"]["name"]);
        let name = one["metadata"]["name"].as_str().unwrap();
        assert!(name.len() <= 253 && name.ends_with(".1b2c3d4.opsrequestfailed"), "{name}");
        let note = one["note"].as_str().unwrap().len();
        assert!((LONGEST_NOTE - 1..=LONGEST_NOTE).contains(&note), "{note} bytes");
        assert_eq!(one["eventTime"], "1970-01-01T00:00:01.000000Z");
    }
}

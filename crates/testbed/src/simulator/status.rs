//! A database's status in KubeDB's style. Pure.

use serde_json::{Value, json};

use super::{conditions, faults, json};

/// What is to be said of a database's pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// All are there and ready.
    Complete,
    /// Some are not.
    Lacking,
}

/// The status that the database should have. `paused`: an operation is at work on it.
///
/// Provisioning until it has been ready for the first time, then Ready or NotReady.
pub fn of(object: &Value, health: Health, paused: bool) -> Value {
    let mut list = json::list(object, "/status/conditions").to_vec();
    let generation = json::generation(object);
    let mut set = |kind: &str, holds: bool, reason: &str, message: &str| {
        let status = if holds { "True" } else { "False" };
        conditions::set(&mut list, generation, kind, status, reason, message);
    };
    set("ProvisioningStarted", true, "DatabaseProvisioningStartedSuccessfully", "The provisioning has started");
    let complete = health == Health::Complete;
    let was_provisioned = json::has_condition(object, "Provisioned");
    if complete {
        set("ReplicaReady", true, "AllReplicasReady", "All desired replicas are ready");
        set("Ready", true, "ReadinessCheckSucceeded", "The database is ready");
        set("Provisioned", true, "DatabaseSuccessfullyProvisioned", "The database is successfully provisioned");
    } else {
        set("ReplicaReady", false, "SomeReplicasAreNotReady", "Some replicas are not ready");
        set("Ready", false, "ReadinessCheckFailed", "The database is not ready");
    }
    if paused {
        set("Paused", true, "DatabasePaused", "An OpsRequest is at work");
    } else {
        conditions::unset(&mut list, "Paused");
    }
    let phase = match faults::annotation(object, "phase") {
        Some(forced) => forced,
        None if complete => "Ready",
        None if was_provisioned => "NotReady",
        None => "Provisioning",
    };
    let mut status = object.get("status").filter(|s| s.is_object()).cloned().unwrap_or_else(|| json!({}));
    status["phase"] = json!(phase);
    status["observedGeneration"] = json!(generation);
    status["conditions"] = Value::from(list);
    status
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn after(health: &[Health], annotation: Option<&str>) -> Value {
        let mut object =
            json!({"metadata": {"generation": 1, "annotations": {"testbed.dbscale.dev/phase": annotation}}});
        for health in health {
            object["status"] = of(&object, *health, false);
        }
        object
    }

    #[rstest]
    #[case::new(&[Health::Lacking], None, "Provisioning")]
    #[case::complete(&[Health::Lacking, Health::Complete], None, "Ready")]
    #[case::lost_a_pod(&[Health::Complete, Health::Lacking], None, "NotReady")]
    #[case::well_again(&[Health::Complete, Health::Lacking, Health::Complete], None, "Ready")]
    #[case::forced(&[Health::Complete], Some("Critical"), "Critical")]
    fn phases(#[case] health: &[Health], #[case] annotation: Option<&str>, #[case] wanted: &str) {
        assert_eq!(after(health, annotation)["status"]["phase"], wanted);
    }

    #[test]
    fn paused_while_an_operation_is_at_work_and_settled_otherwise() {
        let mut object = after(&[Health::Complete], None);
        assert_eq!(of(&object, Health::Complete, false), object["status"]);
        object["status"] = of(&object, Health::Complete, true);
        assert!(json::has_condition(&object, "Paused"));
        object["status"] = of(&object, Health::Complete, false);
        assert!(!json::has_condition(&object, "Paused"));
    }
}

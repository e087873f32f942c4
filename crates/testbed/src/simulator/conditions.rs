//! Conditions in KubeDB's style. Pure.
//!
//! The condition of the operation stands first, `Successful` last; those of small steps have no reason, and a message like
//! `evict pod; ConditionStatus:True`.

use serde_json::{Value, json};

use super::json;

/// Sets the condition of this type: in its place if it is there, else at the end. Its time moves only with its status.
pub fn set(conditions: &mut Vec<Value>, generation: i64, kind: &str, status: &str, reason: &str, message: &str) {
    let mut condition = json!({
        "type": kind,
        "status": status,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": json::now(),
    });
    if !reason.is_empty() {
        condition["reason"] = Value::from(reason);
    }
    match conditions.iter_mut().find(|c| c["type"] == kind) {
        Some(old) if old["status"] == status && old["reason"] == condition["reason"] && old["message"] == message => {}
        Some(old) => {
            if old["status"] == status {
                condition["lastTransitionTime"] = old["lastTransitionTime"].take();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}

/// Sets the condition of a small step, such as `EvictPod--x-0`, which has no reason.
pub fn step(conditions: &mut Vec<Value>, generation: i64, step: &str, object: &str) {
    let words = step.chars().fold(String::new(), |mut words, c| {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
        words
    });
    let message = format!("{words}; ConditionStatus:True; Name:{object}");
    set(conditions, generation, &format!("{step}--{object}"), "True", "", &message);
}

/// Takes a condition out. Answers whether it was there.
pub fn unset(conditions: &mut Vec<Value>, kind: &str) -> bool {
    let before = conditions.len();
    conditions.retain(|c| c["type"] != kind);
    conditions.len() != before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_no_reason() {
        let mut conditions = Vec::new();
        step(&mut conditions, 2, "EvictPod", "x-0");
        assert_eq!(conditions[0]["type"], "EvictPod--x-0");
        assert_eq!(conditions[0]["message"], "evict pod; ConditionStatus:True; Name:x-0");
        assert!(conditions[0].get("reason").is_none());
    }

    #[test]
    fn a_condition_keeps_its_place_and_its_time_while_its_status_stays() {
        let mut conditions = Vec::new();
        set(&mut conditions, 1, "A", "True", "A", "one");
        set(&mut conditions, 1, "B", "True", "B", "two");
        conditions[0]["lastTransitionTime"] = json!("2020-01-01T00:00:00Z");
        set(&mut conditions, 1, "A", "True", "A", "three");
        assert_eq!(conditions[0]["message"], "three");
        assert_eq!(conditions[0]["lastTransitionTime"], "2020-01-01T00:00:00Z");
        set(&mut conditions, 1, "A", "False", "Failed", "four");
        assert_ne!(conditions[0]["lastTransitionTime"], "2020-01-01T00:00:00Z");
        assert!(unset(&mut conditions, "A") && !unset(&mut conditions, "A"));
        assert_eq!(conditions.len(), 1);
    }
}

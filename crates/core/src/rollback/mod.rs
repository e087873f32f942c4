//! The way back from a failed operation: a new request, forward, to the values from before.
//!
//! It compares with the pods, not with the object: the object gets the new values only when a run succeeds, so after a
//! failed one it still has the old ones, whatever the pods have.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::amount::ResourceSet;
use crate::catalog::Count;
use crate::change::{Change, HORIZONTAL, VERTICAL, VOLUME};
use crate::database::{ComponentView, Database};
use crate::effect::{PodFact, There, missing};
use crate::plan::{self, MAX_NAME, REQUEST_ID, hash};
use crate::quantity::Quantity;
use crate::record::{Past, Request, Rollback, RollbackState};

/// The annotation, and its value, by which an OpsRequest asks to go back when it fails. With another value, such as `never`, it
/// asks not to.
pub const ROLLBACK: (&str, &str) = ("dbscale.dev/rollback", "on-failure");
/// The annotation that names the failed OpsRequest that this one goes back from.
pub const ROLLBACK_OF: &str = "dbscale.dev/rollback-of";

/// What comes next of a rollback that is planned.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// This OpsRequest is created.
    Create(Box<Value>),
    /// Another operation is at work; later.
    Wait,
    /// There is none, for this reason.
    Decline(String),
}

/// The requests of a failed one's database.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// All of them, the failed one too.
    pub requests: &'a [&'a Request],
    /// The uids of those whose end was noted before the failed one's ([`crate::record::Status::noted_before`]).
    pub noted_before: &'a [&'a str],
}

impl Around<'_> {
    /// One that came after the failed one. Creation times have whole seconds: of those made in one second with it, only what
    /// had ended by then, and was noted so before, came before it.
    fn newer(&self, failed: &Request) -> Option<&Request> {
        let came_before = |r: &Request| {
            self.noted_before.contains(&&*r.uid) && r.ended_at().is_some_and(|ended| ended <= failed.created)
        };
        let newer = |r: &&&Request| match r.created.cmp(&failed.created) {
            Ordering::Less => false,
            Ordering::Equal => r.uid != failed.uid && !came_before(r),
            Ordering::Greater => true,
        };
        self.requests.iter().find(newer).copied()
    }
}

/// Whether there will be a way back from a request that failed.
#[must_use]
pub fn decide(database: &Database, failed: &Request, around: Around<'_>) -> Rollback {
    let refusal = if let Some(of) = &failed.rollback_of {
        Some(format!("it was itself the way back from {of}"))
    } else if *failed.ops_type == *VOLUME.ops_type {
        Some("volumes only grow".to_owned())
    } else if ![VERTICAL.ops_type, HORIZONTAL.ops_type].contains(&&*failed.ops_type) {
        Some(format!("there is none from a {}", failed.ops_type))
    } else if failed.before.is_none() {
        Some("the values from before were not noted".to_owned())
    } else {
        around.newer(failed).map(|newer| format!("{} came after it", newer.name))
    };
    match refusal {
        Some(message) => Rollback { state: RollbackState::Declined, message, ..Rollback::default() },
        None => Rollback { name: name(database, failed), ..Rollback::default() },
    }
}

/// Whether a failed request goes back where a policy asks for it and the request says nothing: of those from which there is
/// never a way back nothing is said.
#[must_use]
pub fn may_go_back(failed: &Request) -> bool {
    let scales = [VERTICAL.ops_type, HORIZONTAL.ops_type].contains(&&*failed.ops_type);
    failed.asks_rollback != Some(false) && failed.rollback_of.is_none() && scales
}

/// The rollback that there is not, because a policy allows none.
#[must_use]
pub fn forbidden(policy: &str) -> Rollback {
    let message = format!("ScalingPolicy {policy} allows none (spec.rollback)");
    Rollback { state: RollbackState::Declined, message, ..Rollback::default() }
}

/// What became of a planned rollback: `made` tells whether its OpsRequest is there.
#[must_use]
pub fn follow(planned: &Rollback, made: bool) -> Rollback {
    let state = if made { RollbackState::Requested } else { planned.state };
    Rollback { state, ..planned.clone() }
}

/// What becomes of a planned rollback whose failed request was deleted before its own was made.
#[must_use]
pub fn gone(failed: &str) -> Rollback {
    let message = format!("{failed} was deleted before");
    Rollback { state: RollbackState::Declined, message, ..Rollback::default() }
}

/// The same name for the same failed request, so that two controllers never make two.
fn name(database: &Database, failed: &Request) -> String {
    let tail = format!("-rollback-{}", hash(&failed.uid));
    let head: String = database.name.chars().take(MAX_NAME - tail.len()).collect();
    format!("{}{tail}", head.trim_end_matches(['-', '.']))
}

/// The step that a planned rollback takes now. `pods` are `None` where they are not known; `settled` tells whether they had
/// time to follow the failed run, whose last step may have changed a workload only.
#[must_use]
pub fn next(
    database: &Database,
    failed: &Request,
    around: Around<'_>,
    planned: &Rollback,
    pods: Option<&[PodFact]>,
    settled: bool,
) -> Next {
    if let Some(newer) = around.newer(failed) {
        return Next::Decline(format!("{} came after it", newer.name));
    }
    if around.requests.iter().any(|r| r.uid != failed.uid && r.phase.is_active()) {
        return Next::Wait;
    }
    match inverse(database, failed) {
        Err(reason) => Next::Decline(reason),
        Ok(spec) => {
            let object = object(database, failed, &planned.name, spec);
            let change = Change::of_request(database.engine, &object, Some(database));
            let there = There { database, object_too: false, pods, claims: &[] };
            if pods.is_some() && missing(&change, &there).is_empty() {
                if !settled {
                    return Next::Wait;
                }
                return Next::Decline("the pods still have the values from before".to_owned());
            }
            Next::Create(Box::new(object))
        }
    }
}

/// The spec that asks for the values from before a request.
///
/// # Errors
/// Why there is none, in words.
pub fn inverse(database: &Database, failed: &Request) -> Result<Value, String> {
    let before: Value = failed.before.as_deref().and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
    back(database, &failed.ops_type, &before)
}

/// The spec that asks for noted values of one component again; `before` is in the form of [`crate::plan::BEFORE`].
///
/// # Errors
/// Why there is none, in words.
pub fn back(database: &Database, ops_type: &str, before: &Value) -> Result<Value, String> {
    let component = before.get("component").and_then(Value::as_str).unwrap_or_default();
    let view = database.component(component).ok_or_else(|| format!("the database has no component {component}"))?;
    let mut spec = json!({});
    if ops_type == VERTICAL.ops_type {
        let resources = ResourceSet::of(before.get("resources"));
        let ask = view.component.resources.as_ref().and_then(|r| r.ask.as_ref()).filter(|_| !resources.is_empty());
        let ask = ask.ok_or("it had no resources of its own before")?;
        view.narrowed(ask).field("resources").set(&mut spec, resources.to_json());
    } else {
        count(view, view.component.replicas.as_ref(), before.get("replicas"), &mut spec);
        count(view, view.component.shards.as_ref(), before.get("shards"), &mut spec);
        if spec.get(HORIZONTAL.field).is_none() {
            return Err("the numbers from before were not noted".to_owned());
        }
    }
    spec["type"] = json!(ops_type);
    Ok(spec)
}

/// What an operation of the history had found, in the form of [`crate::plan::BEFORE`]: where its OpsRequest is gone, or was
/// not made by dbscale. What it did not change of a container's resources is as it is now.
///
/// # Errors
/// Why it cannot be told, in words.
pub fn noted(database: &Database, past: &Past) -> Result<Value, String> {
    let component =
        past.changes.first().map(|c| c.component.as_str()).ok_or("the values from before were not noted")?;
    if past.changes.iter().any(|c| c.component != component) {
        return Err("it changed several components, and an OpsRequest goes back from one".to_owned());
    }
    let mut before = json!({"component": component});
    let mut resources = database.component(component).and_then(ComponentView::resources).cloned().unwrap_or_default();
    for change in &past.changes {
        let value = change.before.as_deref().ok_or("the values from before were not noted")?;
        match value.parse::<Quantity>() {
            Ok(amount) if ["cpu", "memory"].contains(&change.field.as_str()) => {
                resources = resources.with(&change.field, amount);
            }
            _ => before[change.field.as_str()] = value.parse::<i64>().map_or_else(|_| json!(value), |n| json!(n)),
        }
    }
    if past.ops_type == VERTICAL.ops_type {
        before["resources"] = resources.to_json();
    }
    Ok(before)
}

fn count(view: &ComponentView, count: Option<&Count>, before: Option<&Value>, spec: &mut Value) {
    let Some(Count { ask: Some(ask), with, .. }) = count else { return };
    let Some(number) = before.and_then(Value::as_i64) else { return };
    view.narrowed(ask).set(spec, json!(number));
    for (pointer, value) in with {
        pointer.set(spec, value.clone());
    }
}

fn object(database: &Database, failed: &Request, name: &str, mut spec: Value) -> Value {
    if !database.is_ready() {
        // KubeDB would wait for a database to be Ready that only this can make so.
        spec["apply"] = json!("Always");
    }
    let annotations = json!({ROLLBACK_OF: failed.name, REQUEST_ID: format!("rollback-{}", failed.uid)});
    plan::request::object(database, name, spec, &annotations)
}

#[cfg(test)]
mod tests;

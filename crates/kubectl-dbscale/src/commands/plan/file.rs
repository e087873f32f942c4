//! A plan in a file: what was wanted, what was seen, and the exact steps that follow; and whether that is still so.

use std::collections::BTreeMap;
use std::path::Path;

use dbscale_core::plan::{Intent, Plan, REQUESTED_BY, Stamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::screen;
use crate::cli::args::Combined;
use crate::outcome::Failure;
use crate::run::execute::unasked;
use crate::run::failure::{EXIT_ERROR, usage};
use crate::run::{Job, Subject};

/// What the file says it is.
const KIND: &str = "dbscale.dev/plan";
/// The version of its form.
const VERSION: u32 = 1;
/// How many differences of one database are told.
const TOLD: usize = 5;

/// A plan for one or several databases.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlanFile {
    kind: String,
    version: u32,
    wanted: Wanted,
    /// Each database with its part.
    pub databases: Vec<Part>,
}

/// What is wanted of each database alike: [`Intent`], as the flags have it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Wanted {
    component: Option<String>,
    replicas: Option<i64>,
    shards: Option<i64>,
    size: Option<String>,
    cpu: Option<String>,
    memory: Option<String>,
    storage: Option<String>,
    apply: Option<String>,
    timeout: Option<String>,
    max_retries: Option<i64>,
    combined: Combined,
    ordered: bool,
    name: Option<String>,
}

/// What is planned for one database.
#[derive(Debug, Serialize, Deserialize)]
pub struct Part {
    /// The engine's name.
    pub engine: String,
    /// The namespace.
    pub namespace: String,
    /// The database's name.
    pub name: String,
    unix_seconds: i64,
    request_id: String,
    observed: Observed,
    /// The steps in the form of `plan -o json`.
    steps: Value,
}

/// What was seen. The status beside the phase is not in it: KubeDB writes it of a database that nobody changes, too.
#[derive(Debug, Serialize, Deserialize)]
struct Observed {
    uid: String,
    resource_version: String,
    phase: String,
    labels: Value,
    annotations: Value,
    spec: Value,
    /// Its OpsRequests with their phases.
    operations: BTreeMap<String, String>,
    /// The sizes that its claims ask for, where the plan looked at them.
    claims: BTreeMap<String, String>,
}

impl PlanFile {
    /// The file for what a job plans.
    #[must_use]
    pub fn new(job: &Job) -> Self {
        let Intent { component, replicas, shards, size, cpu, memory, storage, apply, timeout, max_retries, .. } =
            job.intent.clone();
        let [cpu, memory, storage] = [cpu, memory, storage].map(|amount| amount.map(|q| q.to_string()));
        let (combined, ordered, name) = (job.combined, job.ordered, job.name.clone());
        let wanted = Wanted {
            component,
            replicas,
            shards,
            size,
            cpu,
            memory,
            storage,
            apply,
            timeout,
            max_retries,
            combined,
            ordered,
            name,
        };
        Self { kind: KIND.to_owned(), version: VERSION, wanted, databases: Vec::new() }
    }

    /// Adds the plan for a database.
    pub fn add(&mut self, subject: &Subject, plan: &Plan, stamp: &Stamp) {
        self.databases.push(Part {
            engine: subject.engine.name.clone(),
            namespace: subject.namespace.clone(),
            name: subject.name.clone(),
            unix_seconds: stamp.unix_seconds,
            request_id: stamp.request_id.clone(),
            observed: Observed::of(subject),
            steps: steps(subject, plan),
        });
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        std::fs::write(path, text).map_err(|error| {
            told(format!("{} could not be written: {error}", path.display()), "name another with --out")
        })
    }

    /// Reads a file; `-` is standard input.
    ///
    /// # Errors
    /// Where it cannot be read, or is no plan of this version.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = if path.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(path)
        };
        let text = text.map_err(|error| usage(format!("{} could not be read: {error}", path.display())))?;
        let make = "make one with kubectl dbscale plan … --out FILE";
        let file: Self = serde_json::from_str(&text)
            .map_err(|error| usage(format!("{} is no plan: {error}; {make}", path.display())))?;
        if file.kind != KIND || file.version != VERSION {
            let is = format!("{} of version {}", file.kind, file.version);
            return Err(usage(format!("{} is {is}, not {KIND} of version {VERSION}; {make}", path.display())));
        }
        Ok(file)
    }

    /// Gives a job what is wanted.
    ///
    /// # Errors
    /// Where an amount cannot be read.
    pub fn fill(&self, job: &mut Job) -> Result<(), Failure> {
        let wanted = &self.wanted;
        let amount = |text: &Option<String>| {
            let read = text.as_deref().map(str::parse).transpose();
            read.map_err(|error| usage(format!("the file is no plan: {error}")))
        };
        job.intent = Intent {
            component: wanted.component.clone(),
            replicas: wanted.replicas,
            shards: wanted.shards,
            size: wanted.size.clone(),
            cpu: amount(&wanted.cpu)?,
            memory: amount(&wanted.memory)?,
            storage: amount(&wanted.storage)?,
            apply: wanted.apply.clone(),
            timeout: wanted.timeout.clone(),
            max_retries: wanted.max_retries,
            ..Intent::default()
        };
        (job.combined, job.ordered, job.name) = (wanted.combined, wanted.ordered, wanted.name.clone());
        Ok(())
    }
}

impl Part {
    /// The stamp of the planned objects.
    #[must_use]
    pub fn stamp(&self, job: &Job, requested_by: Option<String>) -> Stamp {
        let (unix_seconds, request_id) = (self.unix_seconds, self.request_id.clone());
        Stamp { unix_seconds, request_id, requested_by, name: job.name.clone() }
    }

    /// What is no longer as the plan saw it, a sentence each; empty where all is.
    #[must_use]
    pub fn changed(&self, subject: &Subject) -> Vec<String> {
        let (then, now) = (&self.observed, Observed::of(subject));
        if now.uid.is_empty() {
            return vec!["it is gone".to_owned()];
        }
        if then.uid != now.uid {
            return vec!["it was deleted and made again".to_owned()];
        }
        let mut changed = Vec::new();
        if then.phase != now.phase {
            changed.push(format!("it was {}, and is {}", then.phase, now.phase));
        }
        for (at, then, now) in [
            ("spec", &then.spec, &now.spec),
            ("metadata.labels", &then.labels, &now.labels),
            ("metadata.annotations", &then.annotations, &now.annotations),
        ] {
            differences(at, then, now, &mut changed);
        }
        for (name, phase) in &now.operations {
            match then.operations.get(name) {
                None => changed.push(format!("OpsRequest {name} has come, and is {phase}")),
                Some(was) if was != phase => changed.push(format!("OpsRequest {name} was {was}, and is {phase}")),
                Some(_) => {}
            }
        }
        for (name, size) in &then.claims {
            match now.claims.get(name) {
                None => changed.push(format!("claim {name} is gone")),
                Some(asks) if asks != size => {
                    changed.push(format!("claim {name} asked for {size}, and asks for {asks}"));
                }
                Some(_) => {}
            }
        }
        changed.extend(
            now.claims
                .keys()
                .filter(|name| !then.claims.contains_key(*name))
                .map(|name| format!("claim {name} has come")),
        );
        if let Some(more) = changed.len().checked_sub(TOLD).filter(|more| *more > 0) {
            changed.truncate(TOLD);
            changed.push(format!("and {more} more"));
        }
        changed
    }

    /// Whether a plan made now has the steps of the file, which are those that were shown.
    #[must_use]
    pub fn is_made_by(&self, subject: &Subject, plan: &Plan, job: &Job) -> bool {
        let mut planned = self.steps.clone();
        without_caller(&mut planned);
        let mut made = steps(subject, &unasked(plan, subject, job.combined));
        without_caller(&mut made);
        planned == made
    }
}

impl Observed {
    fn of(subject: &Subject) -> Self {
        let object = &subject.object;
        let at = |pointer: &str| object.pointer(pointer).cloned().unwrap_or_default();
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            uid: text("/metadata/uid"),
            resource_version: text("/metadata/resourceVersion"),
            phase: text("/status/phase"),
            labels: at("/metadata/labels"),
            annotations: at("/metadata/annotations"),
            spec: at("/spec"),
            operations: subject.facts.operations.iter().map(|o| (o.name.clone(), o.phase.word().to_owned())).collect(),
            claims: subject.facts.claims.iter().map(|c| (c.name.clone(), c.requested.to_string())).collect(),
        }
    }
}

fn steps(subject: &Subject, plan: &Plan) -> Value {
    screen::machine(subject, plan)["steps"].take()
}

/// The steps without who asks: whoever applies a plan asks, and needs not be who made it.
fn without_caller(steps: &mut Value) {
    let path = format!("/metadata/annotations/{}", REQUESTED_BY.replace('/', "~1"));
    for step in steps.as_array_mut().into_iter().flatten() {
        if let Some(annotations) = step.pointer_mut("/object/metadata/annotations").and_then(Value::as_object_mut) {
            annotations.remove(REQUESTED_BY);
        }
        for operation in step.get_mut("patch").and_then(Value::as_array_mut).into_iter().flatten() {
            if operation["path"] == path.as_str() {
                operation["value"] = json!(null);
            }
            if operation["path"] == "/metadata/annotations"
                && let Some(annotations) = operation["value"].as_object_mut()
            {
                annotations.remove(REQUESTED_BY);
            }
        }
    }
}

/// The places at which two values differ, with both.
fn differences(at: &str, then: &Value, now: &Value, changed: &mut Vec<String>) {
    if let (Value::Object(old), Value::Object(new)) = (then, now) {
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
            differences(&format!("{at}.{key}"), &of(old), &of(new), changed);
        }
    } else if then != now {
        let text = |value: &Value| match value {
            Value::Null => "not set".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        changed.push(format!("{at} was {}, and is {}", text(then), text(now)));
    }
}

fn told(message: String, remedy: &str) -> Failure {
    Failure { exit_code: EXIT_ERROR, message, remedy: remedy.to_owned(), ..Failure::default() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::same(json!({"a": 1}), json!({"a": 1}), &[])]
    #[case::deep(json!({"a": {"b": 1, "c": "x"}}), json!({"a": {"b": 2, "c": "x"}}), &["spec.a.b was 1, and is 2"])]
    #[case::come_and_gone(json!({"a": "x"}), json!({"b": [1]}), &["spec.a was x, and is not set", "spec.b was not set, and is [1]"])]
    #[case::none_at_all(json!(null), json!({"a": 1}), &["spec was not set, and is {\"a\":1}"])]
    fn what_differs(#[case] then: Value, #[case] now: Value, #[case] wanted: &[&str]) {
        let mut changed = Vec::new();
        differences("spec", &then, &now, &mut changed);
        assert_eq!(changed, wanted);
    }
}

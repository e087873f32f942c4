//! What `status` tells of a database, as values: the form of `-o json`, and what the text is made of.

use std::collections::BTreeMap;

use dbscale_core::change::{Change, What, Wish};
use dbscale_core::database::ComponentView;
use dbscale_core::progress;
use dbscale_core::quantity::Quantity;
use dbscale_core::queue::{Active, Verdict, line_up};
use dbscale_core::record;
use dbscale_core::size::Sizes;
use dbscale_core::status::Phase;
use serde::Serialize;
use serde_json::Value;

use super::survey::Seen;
use crate::run::find::Found;

/// A database.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The engine's name.
    pub engine: String,
    /// The namespace.
    pub namespace: String,
    /// The database's name.
    pub name: String,
    /// The topology in words; null where none fits.
    pub topology: Option<String>,
    /// KubeDB's phase of the database: `Ready`; empty before KubeDB has looked at it.
    pub phase: String,
    /// `metadata.creationTimestamp`.
    pub created: String,
    /// Its components, sidecars excepted.
    pub components: Vec<Part>,
    /// Its active OpsRequests: the one at work first, then what waits.
    pub operations: Vec<Op>,
    /// The newest OpsRequest, where it failed and nothing came after it.
    pub last_failure: Option<Failed>,
    /// What the controller's record says and no OpsRequest does; null where there is nothing.
    pub record: Option<Remark>,
}

/// What a record says beyond the OpsRequests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Remark {
    /// `EffectMissing`, `MonitoringTimeout` …
    pub reason: String,
    /// The same for people.
    pub message: String,
}

/// A component: what it has, and beside it what the operation that is active wants.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Part {
    /// Its name.
    pub component: String,
    /// The size class with exactly its amounts.
    pub size: Option<String>,
    /// CPU of its container.
    pub cpu: Option<String>,
    /// Memory of its container.
    pub memory: Option<String>,
    /// Members.
    pub replicas: Option<i64>,
    /// Shards.
    pub shards: Option<i64>,
    /// The size that the database asks for each volume.
    pub storage: Option<String>,
    /// What the smallest volume has, where that differs.
    pub storage_real: Option<String>,
    /// How many volumes there are, and how many have the size; null where they may not be read.
    pub volumes: Option<Volumes>,
    /// What is wanted of it, by field: `replicas`, `size` …
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub wanted: BTreeMap<&'static str, String>,
}

/// Volumes that have the size that is asked for, of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Volumes {
    /// So many have it.
    pub done: usize,
    /// Of so many.
    pub all: usize,
}

/// An active OpsRequest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Op {
    /// Its name.
    pub ops_request_name: String,
    /// `VerticalScaling`.
    pub ops_type: String,
    /// Its phase.
    pub phase: &'static str,
    /// The step that it is at.
    pub step: Option<String>,
    /// What becomes of it: `running`, `next`, `will_queue`, `will_be_skipped`, `duplicate`, `needs_approval`.
    pub verdict: &'static str,
    /// The same for people.
    pub message: String,
    /// `metadata.creationTimestamp`.
    pub created: String,
}

/// An OpsRequest that failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Failed {
    /// Its name.
    pub ops_request_name: String,
    /// `VerticalScaling`.
    pub ops_type: String,
    /// Why, out of its conditions; may be empty.
    pub message: String,
    /// `metadata.creationTimestamp`.
    pub created: String,
}

impl Status {
    /// Puts together what was seen of a database.
    #[must_use]
    pub fn of(seen: &Seen, sizes: &Sizes) -> Self {
        let database = &seen.database;
        let active: Vec<Active<'_>> = seen.requests.iter().map(active).collect();
        let line = line_up(&active);
        // What the first of the line wants stands beside what is there.
        let first = line.first().filter(|(_, v)| matches!(v, Verdict::Runs | Verdict::Next)).map(|(a, _)| a.operation);
        let first = first.and_then(|o| seen.requests.iter().find(|r| r.operation.name == o.name));
        let change = first.map(|found| Change::of_request(database.engine, &found.object, Some(database)));
        let ops_type = first.map(|f| f.operation.ops_type.as_str()).unwrap_or_default();
        let wishes: Vec<&Wish> = change.iter().flat_map(|c| &c.wishes).filter(|w| w.ops_type() == ops_type).collect();
        let parts = database.components.iter().filter(|c| !c.is_sidecar());
        let operation = |(active, verdict): &(Active<'_>, Verdict<'_>)| Op {
            ops_request_name: active.operation.name.clone(),
            ops_type: active.operation.ops_type.clone(),
            phase: active.operation.phase.word(),
            step: seen
                .requests
                .iter()
                .find(|r| r.operation.name == active.operation.name)
                .and_then(|r| progress::step(&r.object))
                .filter(|_| active.operation.phase == Phase::Progressing)
                .map(str::to_owned),
            verdict: verdict.word(),
            message: verdict.to_string(),
            created: active.operation.created.clone(),
        };
        Self {
            engine: database.engine.name.clone(),
            namespace: database.namespace.clone(),
            name: database.name.clone(),
            topology: database.topology.map(|t| t.title.clone()),
            phase: database.phase.clone(),
            created: text(&seen.object, "/metadata/creationTimestamp"),
            components: parts.map(|view| part(view, &wishes, seen, sizes)).collect(),
            operations: line.iter().map(operation).collect(),
            last_failure: last_failure(&seen.requests),
            record: remark(seen),
        }
    }

    /// As people write it: `mongodb/my-db`.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}/{}", self.engine, self.name)
    }
}

fn active(found: &Found) -> Active<'_> {
    Active { operation: &found.operation, spec: found.object.get("spec").unwrap_or(&Value::Null) }
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn last_failure(requests: &[Found]) -> Option<Failed> {
    let newest = requests.iter().max_by_key(|r| r.operation.age())?;
    let operation = &newest.operation;
    (operation.phase == Phase::Failed).then(|| Failed {
        ops_request_name: operation.name.clone(),
        ops_type: operation.ops_type.clone(),
        message: operation.reason.clone(),
        created: operation.created.clone(),
    })
}

fn remark(seen: &Seen) -> Option<Remark> {
    let record = seen.record.as_ref().filter(|record| record.says_more())?;
    let read = |found: &Found| record::Request::of(found.engine, &found.object);
    let requests: Vec<record::Request> = seen.requests.iter().filter_map(read).collect();
    let says = record.knows(&requests);
    says.then(|| Remark { reason: record.reason.clone(), message: record.message.clone() })
}

fn part(view: &ComponentView, wishes: &[&Wish], seen: &Seen, sizes: &Sizes) -> Part {
    let name = view.name();
    let resources = view.resources();
    let amount = |name: &str| resources.and_then(|r| r.size(name));
    let class = |cpu: Option<Quantity>, memory: Option<Quantity>| Some(sizes.matching(cpu?, memory?)?.name.clone());
    let (cpu, memory, asked) = (amount("cpu"), amount("memory"), view.storage());
    let volumes = asked.and_then(|size| progress::grown(&name, size, &seen.claims));
    let claims = seen.claims.iter().filter(|c| c.component == name && !c.idle);
    let real = claims.filter_map(|c| c.capacity).min().filter(|real| Some(*real) != asked);
    let mut wanted = BTreeMap::new();
    for wish in wishes.iter().filter(|w| w.component == view.key && w.item == view.item) {
        match &wish.what {
            What::Replicas(n) if Some(*n) != view.replicas() => drop(wanted.insert("replicas", n.to_string())),
            What::Shards(n) if Some(*n) != view.shards() => drop(wanted.insert("shards", n.to_string())),
            What::Resources(wish) => {
                let (cpu, memory) = (wish.size("cpu").or(cpu), wish.size("memory").or(memory));
                wanted.extend(cpu.map(|q| ("cpu", q.to_string())));
                wanted.extend(memory.map(|q| ("memory", q.to_string())));
                wanted.extend(class(cpu, memory).map(|class| ("size", class)));
            }
            What::Storage(size) if size.quantity() != asked => drop(wanted.insert("storage", size.text.clone())),
            What::Replicas(_) | What::Shards(_) | What::Storage(_) => {}
        }
    }
    Part {
        component: name,
        size: class(cpu, memory),
        cpu: cpu.map(|q| q.to_string()),
        memory: memory.map(|q| q.to_string()),
        replicas: view.replicas(),
        shards: view.shards(),
        storage: asked.map(|q| q.to_string()),
        storage_real: real.map(|q| q.to_string()),
        volumes: volumes.map(|v| Volumes { done: v.done, all: v.all }),
        wanted,
    }
}

//! From a wish to the steps that fulfil it: the exact objects and patches, in order. Nothing is sent from here.
//!
//! A plan is a value: dry runs, diffs, the commands that apply it and the tests all work on it.

mod name;
pub(crate) mod request;
mod resend;
mod select;
mod storage;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

pub(crate) use name::hash;
pub use name::{MAX_NAME, request_name};
pub use resend::{changed_since, resend};
pub use select::{Candidate, Choice};

use crate::change::{Change, HORIZONTAL, VERTICAL, VOLUME};
use crate::database::{ComponentView, Database};
use crate::facts::{Case, Facts, Known};
use crate::finding::Finding;
use crate::quantity::Quantity;
use crate::rules;

/// The label that marks what dbscale made.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "dbscale");
/// The annotation that tells one create from another, so that a repeated one is recognised.
pub const REQUEST_ID: &str = "dbscale.dev/request-id";
/// The annotation that names who asked, as the API server knows them.
pub const REQUESTED_BY: &str = "dbscale.dev/requested-by";
/// The annotation that names the size class that was asked for.
pub const SIZE: &str = "dbscale.dev/size";
/// The annotation that keeps the values before the change, as JSON.
pub const BEFORE: &str = "dbscale.dev/before";
/// The annotation that names the OpsRequest that this one sends again.
pub const RETRY_OF: &str = "dbscale.dev/retry-of";
/// The annotation that allows a database to ask for exactly this smaller size after a failed expansion.
pub const REVERT_TO: &str = "dbscale.dev/revert-to";

/// What a person wants of one component of a database. What is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    /// The component's name; `None` = the database's main one.
    pub component: Option<String>,
    /// Members (per shard).
    pub replicas: Option<i64>,
    /// Shards.
    pub shards: Option<i64>,
    /// The size class behind `cpu` and `memory`, for the annotation.
    pub size: Option<String>,
    /// CPU of the container, request and limit alike.
    pub cpu: Option<Quantity>,
    /// Memory of the container, request and limit alike.
    pub memory: Option<Quantity>,
    /// The size of each volume.
    pub storage: Option<Quantity>,
    /// How storage grows.
    pub via: StorageVia,
    /// How pods get their new size: `Restart` or `InPlace`; `None` = KubeDB's default.
    pub vertical_mode: Option<String>,
    /// How volumes grow under [`StorageVia::OpsRequest`]: `Online` (the default) or `Offline`.
    pub volume_mode: Option<String>,
    /// `spec.apply`: `IfReady` or `Always`.
    pub apply: Option<String>,
    /// `spec.timeout`, a duration such as `5m`.
    pub timeout: Option<String>,
    /// `spec.maxRetries`.
    pub max_retries: Option<i64>,
}

/// How storage grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StorageVia {
    /// The database object is patched, and its claims are grown.
    #[default]
    Patch,
    /// KubeDB's VolumeExpansion does it.
    OpsRequest,
}

/// What marks the objects of one command.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// Seconds since 1970, for the names.
    pub unix_seconds: i64,
    /// Unique to the command and the database.
    pub request_id: String,
    /// Who asks, as the API server knows them; `None` where it would not tell.
    pub requested_by: Option<String>,
    /// The name that was asked for, in place of a made one.
    pub name: Option<String>,
}

/// The steps to a wanted state.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The component that changes.
    pub component: String,
    /// What to do, in this order. Empty: all is there already.
    pub steps: Vec<Step>,
    /// What changes, for people.
    pub differences: Vec<Difference>,
    /// What the rules say of all steps; one that refuses means that nothing may be sent.
    pub findings: Vec<Finding>,
}

/// One step.
#[derive(Debug, Clone)]
pub enum Step {
    /// Create an OpsRequest.
    Request(Box<RequestStep>),
    /// Patch the database object, then grow its claims.
    Patch(Box<PatchStep>),
}

impl Step {
    /// The step as the rules see it.
    #[must_use]
    pub fn change(&self) -> &Change {
        match self {
            Self::Request(step) => &step.change,
            Self::Patch(step) => &step.change,
        }
    }
}

/// An OpsRequest to create.
#[derive(Debug, Clone)]
pub struct RequestStep {
    /// `spec.type`.
    pub ops_type: &'static str,
    /// The whole object.
    pub object: Value,
    /// The same as the rules see it.
    pub change: Change,
}

/// A direct growth of storage.
#[derive(Debug, Clone)]
pub struct PatchStep {
    /// The JSON Patch of the database object; its first operation tests the value that was read.
    pub patch: json_patch::Patch,
    /// The wanted size of each volume.
    pub size: Quantity,
    /// The claims that are smaller now, by name.
    pub claims: Vec<String>,
    /// Those of them whose member has been scaled away: they grow, and nobody waits for their file systems.
    pub idle: Vec<String>,
    /// Whether this goes back from a failed expansion; the claims are then left alone.
    pub reverts: bool,
    /// The same as the rules see it.
    pub change: Change,
}

/// One value that changes, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `replicas`, `shards`, `cpu`, `memory` or `storage`.
    pub field: &'static str,
    /// The present value; `None` where there is none.
    pub before: Option<String>,
    /// The wanted value.
    pub after: String,
    /// Whether there is no way back.
    pub irreversible: bool,
}

/// Why there is no plan.
#[derive(Debug, Clone)]
pub enum PlanError {
    /// Several components could be meant.
    Choose(Choice),
    /// The wish cannot be put into words that KubeDB knows.
    Findings(Vec<Finding>),
    /// CPU or memory was not given, and the container has none to take.
    Incomplete {
        /// The component.
        component: String,
        /// What is missing: `cpu` or `memory`.
        missing: &'static str,
    },
}

impl Plan {
    /// Whether a rule refuses.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.findings.iter().any(Finding::refuses)
    }

    /// The one request that holds the horizontal and the vertical stanza of this plan, where there are both.
    ///
    /// Its type is HorizontalScaling. Rule stanza/ignored refuses it wherever KubeDB would drop one of the two.
    #[must_use]
    pub fn single(&self, database: &Database) -> Option<RequestStep> {
        let find = |ops_type| {
            self.steps.iter().find_map(|s| match s {
                Step::Request(r) if r.ops_type == ops_type => Some(r),
                _ => None,
            })
        };
        let (horizontal, vertical) = (find(HORIZONTAL.ops_type)?, find(VERTICAL.ops_type)?);
        let mut object = horizontal.object.clone();
        object["spec"][VERTICAL.field] = vertical.object["spec"][VERTICAL.field].clone();
        for key in [SIZE, BEFORE] {
            request::merge_annotation(&mut object, &vertical.object, key);
        }
        let change = Change::of_request(database.engine, &object, Some(database));
        Some(RequestStep { ops_type: HORIZONTAL.ops_type, object, change })
    }
}

/// Makes the plan for a wish. The database stands in `facts`.
///
/// # Errors
/// [`PlanError`] where it is not clear what is meant, or where KubeDB has no field for it.
///
/// # Panics
/// Never; a database that is not in `facts` answers with the finding of `database/missing`.
pub fn plan(facts: &Facts, intent: &Intent, stamp: &Stamp) -> Result<Plan, PlanError> {
    let Some(database) = facts.database.here() else {
        return Err(PlanError::Findings(Vec::new()));
    };
    let view = select::component(database, intent)?;
    supported(database, view, intent)?;
    let stamp = &free_names(database, facts, stamp);

    let mut steps = Vec::new();
    let mut differences = Vec::new();
    if let Some(size) = intent.storage.filter(|size| needs_storage(facts, view, *size, intent.via)) {
        differences.push(Difference {
            field: "storage",
            before: view.storage().map(|q| q.to_string()),
            after: size.to_string(),
            irreversible: true,
        });
        steps.push(match intent.via {
            StorageVia::Patch => Step::Patch(Box::new(storage::patch(facts, database, view, size, stamp))),
            StorageVia::OpsRequest => {
                Step::Request(Box::new(request::volume(database, view, size, intent, stamp, steps.len())))
            }
        });
    }
    let replicas = intent.replicas.filter(|n| view.places.iter().any(|p| p.replicas != Some(*n)));
    let shards = intent.shards.filter(|n| view.places.iter().any(|p| p.shards != Some(*n)));
    for (field, wanted, present) in [("shards", shards, view.shards()), ("replicas", replicas, view.replicas())] {
        let Some(wanted) = wanted else { continue };
        let before = present.map(|n| n.to_string());
        differences.push(Difference { field, before, after: wanted.to_string(), irreversible: false });
    }
    if replicas.is_some() || shards.is_some() {
        let counts = request::Counts { replicas, shards };
        steps.push(Step::Request(Box::new(request::horizontal(database, view, counts, intent, stamp, steps.len()))));
    }
    if let Some(wanted) = request::wanted_resources(view, intent)? {
        for field in ["cpu", "memory"] {
            let (before, after) = (view.resources().and_then(|r| r.size(field)), wanted.size(field));
            if let Some(after) = after.filter(|after| before != Some(*after)) {
                let before = before.map(|q| q.to_string());
                differences.push(Difference { field, before, after: after.to_string(), irreversible: false });
            }
        }
        steps.push(Step::Request(Box::new(request::vertical(database, view, &wanted, intent, stamp, steps.len()))));
    }
    let findings = judge(facts, &steps);
    Ok(Plan { component: view.name(), steps, differences, findings })
}

/// The stamp at the first second from which every step's name is free: two commands within one second are two requests,
/// and the rules tell a request from the others by its name.
fn free_names(database: &Database, facts: &Facts, stamp: &Stamp) -> Stamp {
    let mut stamp = stamp.clone();
    let steps = i64::try_from(ORDER.len()).unwrap_or(0);
    let taken = |second: i64| {
        let name = request_name(&database.name, second);
        facts.operations.iter().any(|o| o.name == name)
    };
    while (0..steps).any(|step| taken(stamp.unix_seconds + step)) {
        stamp.unix_seconds += 1;
    }
    stamp
}

/// What the rules say of all steps, each thing once.
fn judge(facts: &Facts, steps: &[Step]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut facts = Cow::Borrowed(facts);
    for step in steps {
        for finding in rules::judge(&Case { change: step.change(), facts: &facts }) {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        if let Step::Patch(patch) = step {
            after(facts.to_mut(), patch);
        }
    }
    findings
}

/// The present as the steps behind a direct growth of storage will find it: with the new size, and the old claim template.
fn after(facts: &mut Facts, patch: &PatchStep) {
    let Known::Here(database) = &mut facts.database else { return };
    let database = Arc::make_mut(database);
    for wish in &patch.change.wishes {
        let of_wish = |c: &&mut ComponentView| c.key == wish.component && c.item == wish.item;
        for place in database.components.iter_mut().find(of_wish).into_iter().flat_map(|c| &mut c.places) {
            place.storage = Some(patch.size.into());
        }
    }
}

/// Whether something is left to do for a size: the object, or a claim of it, has another one.
fn needs_storage(facts: &Facts, view: &ComponentView, size: Quantity, via: StorageVia) -> bool {
    let object =
        view.places.iter().any(|p| p.storage.as_ref().and_then(crate::amount::Written::quantity) != Some(size));
    let name = view.name();
    let claims = || facts.claims.iter().any(|c| c.component == name && c.requested < size);
    object || via == StorageVia::Patch && claims()
}

/// Refuses what KubeDB has no field for, all at once.
fn supported(database: &Database, view: &ComponentView, intent: &Intent) -> Result<(), PlanError> {
    let component = view.component;
    let can = |count: &Option<crate::catalog::Count>| count.as_ref().is_some_and(|c| c.ask.is_some());
    let storage = component.storage.as_ref();
    let wanted = [
        ("replicas", intent.replicas.is_some(), can(&component.replicas)),
        ("shards", intent.shards.is_some(), can(&component.shards)),
        (
            "cpu and memory",
            intent.cpu.is_some() || intent.memory.is_some(),
            component.resources.as_ref().is_some_and(|r| r.ask.is_some()),
        ),
        (
            "storage",
            intent.storage.is_some(),
            match intent.via {
                StorageVia::Patch => storage.is_some_and(|s| s.at.is_some()),
                StorageVia::OpsRequest => storage.is_some_and(|s| s.ask.is_some()),
            },
        ),
    ];
    let lacking = wanted.iter().filter(|(_, wanted, can)| *wanted && !can);
    let mut findings: Vec<Finding> = lacking.map(|(what, ..)| rules::no_such_field(database, view, what)).collect();
    // A patch can only replace a size that is there.
    let bare = view.places.iter().find(|p| p.storage.is_none() || p.ephemeral).filter(|_| findings.is_empty());
    if let (Some(_), StorageVia::Patch, Some(place)) = (intent.storage, intent.via, bare) {
        findings.push(rules::no_volume(database, view, &place.storage_path));
    }
    if findings.is_empty() { Ok(()) } else { Err(PlanError::Findings(findings)) }
}

/// The stanzas' types in the order in which steps are made.
pub const ORDER: [&str; 3] = [VOLUME.ops_type, HORIZONTAL.ops_type, VERTICAL.ops_type];

//! Which component is meant.

use serde::Serialize;

use super::{Intent, PlanError, StorageVia};
use crate::database::{ComponentView, Database};
use crate::rules;

/// Several components that could be meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// The database: `elasticsearch/logs`.
    pub target: String,
    /// Those that could be meant, with their present sizes.
    pub candidates: Vec<Candidate>,
}

/// One that could be meant. What it does not have is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its name.
    pub component: String,
    /// Members.
    pub replicas: Option<i64>,
    /// Shards.
    pub shards: Option<i64>,
    /// CPU.
    pub cpu: Option<String>,
    /// Memory.
    pub memory: Option<String>,
    /// The size of a volume.
    pub storage: Option<String>,
}

/// The component that is named, else the topology's main one, else the only one that can do what is wanted.
pub(super) fn component<'d>(database: &'d Database, intent: &Intent) -> Result<&'d ComponentView, PlanError> {
    let Some(topology) = database.topology else {
        return Err(PlanError::Findings(vec![rules::unknown_topology(database)]));
    };
    if let Some(name) = &intent.component {
        if let Some(view) = database.component(name) {
            return Ok(view);
        }
        let items: Vec<&ComponentView> =
            database.components.iter().filter(|c| c.component.name.eq_ignore_ascii_case(name)).collect();
        return Err(if items.is_empty() {
            PlanError::Findings(vec![rules::unknown_component(database, name)])
        } else {
            choose(database, &items)
        });
    }
    if let Some(main) = topology.main.as_ref().and_then(|main| database.components.iter().find(|c| c.key == main)) {
        return Ok(main);
    }
    let own: Vec<&ComponentView> = database.components.iter().filter(|c| !c.is_sidecar()).collect();
    let able: Vec<&ComponentView> = own.iter().copied().filter(|c| can(c, intent)).collect();
    match able.as_slice() {
        [only] => Ok(only),
        [] => Err(choose(database, &own)),
        several => Err(choose(database, several)),
    }
}

/// Whether KubeDB has a field for all that is wanted.
fn can(view: &ComponentView, intent: &Intent) -> bool {
    let component = view.component;
    let count = |c: &Option<crate::catalog::Count>| c.as_ref().is_some_and(|c| c.ask.is_some());
    let storage = |s: &crate::catalog::Storage| match intent.via {
        StorageVia::Patch => s.at.is_some(),
        StorageVia::OpsRequest => s.ask.is_some(),
    };
    (intent.replicas.is_none() || count(&component.replicas))
        && (intent.shards.is_none() || count(&component.shards))
        && (intent.storage.is_none() || component.storage.as_ref().is_some_and(storage))
        && (intent.cpu.or(intent.memory).is_none() || component.resources.as_ref().is_some_and(|r| r.ask.is_some()))
}

fn choose(database: &Database, among: &[&ComponentView]) -> PlanError {
    let candidates = among.iter().map(|view| Candidate::of(view)).collect();
    PlanError::Choose(Choice { target: database.target(), candidates })
}

impl Candidate {
    /// The present sizes of a component.
    #[must_use]
    pub fn of(view: &ComponentView) -> Self {
        let resource = |name| view.resources().and_then(|r| r.size(name)).map(|q| q.to_string());
        Self {
            component: view.name(),
            replicas: view.replicas(),
            shards: view.shards(),
            cpu: resource("cpu"),
            memory: resource("memory"),
            storage: view.storage().map(|q| q.to_string()),
        }
    }
}

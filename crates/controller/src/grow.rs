//! Storage growth: asks the claims that are smaller than the database object for its size.

use std::collections::BTreeMap;

use dbscale_cluster::apply::Write;
use dbscale_cluster::claim::Grown;
use dbscale_cluster::{ApiFailure, Cluster};
use dbscale_core::change::VOLUME;
use dbscale_core::claims;
use dbscale_core::database::Database;
use dbscale_core::facts::{ClaimFact, Facts};
use dbscale_core::growth::{self, Volumes};
use dbscale_core::plan::{REQUEST_ID, REQUESTED_BY};

use crate::settings::Grow;
use crate::store::View;

/// What came of it.
#[derive(Debug)]
pub struct Progress {
    /// How the volumes stand.
    pub volumes: Volumes,
    /// A claim that could not be grown now and may be later.
    pub again: Option<ApiFailure>,
}

/// The claims of a database, by owner, name and labels.
#[must_use]
pub fn claims_of(database: &Database, view: &View) -> Vec<ClaimFact> {
    let mut facts = Facts::default();
    let mut warnings = Vec::new();
    claims::fill(&mut facts, database, &view.object, &view.sets, &view.claims, &mut warnings);
    for warning in warnings {
        tracing::debug!(warning, "claims are left alone");
    }
    facts.claims
}

/// Grows what is smaller, where that is wanted, and tells how the volumes stand.
pub async fn grow(
    cluster: &Cluster,
    write: &Write,
    whose: Grow,
    database: &Database,
    view: &View,
    claims: &[ClaimFact],
) -> Progress {
    let unknown = Progress { volumes: Volumes::Unknown, again: None };
    let annotation = |key: &str| view.object.get("metadata").and_then(|m| m.get("annotations")?.get(key)?.as_str());
    let request_id = annotation(REQUEST_ID);
    let wanted = match whose {
        Grow::Managed => request_id.is_some(),
        Grow::All => true,
        Grow::Off => false,
    };
    // KubeDB grows volumes itself then, and the object has the new size only at the end.
    let expands = view.requests.iter().any(|r| r.phase.is_active() && *r.ops_type == *VOLUME.ops_type);
    if !wanted {
        return Progress { volumes: Volumes::Left, again: None };
    }
    if expands || !view.volumes_known {
        return unknown;
    }
    let mut refused = BTreeMap::new();
    let mut again = None;
    for smaller in growth::smaller(database, claims) {
        match cluster.grow_claim(&database.namespace, &smaller.claim, smaller.size, write).await {
            Ok(Grown::Enough(_)) => {}
            Ok(Grown::Asked(_)) => tracing::info!(
                event = "claim_growth_requested",
                database_id = format!("{}/{}/{}", database.engine.name, database.namespace, database.name),
                claim = smaller.claim,
                storage = %smaller.size,
                "the claim is smaller than the database says"
            ),
            Err(failure) => {
                refused.insert(smaller.claim, failure.message.clone());
                again = Some(failure);
            }
        }
    }
    // Without an id of its own the growth is the database's.
    let change = (request_id.unwrap_or(&database.uid), annotation(REQUESTED_BY));
    Progress { volumes: growth::look(database, claims, change, &refused), again }
}

//! An independent look at the effects of operations: reads the pods, and where something is missing the quotas.

use std::collections::BTreeMap;

use dbscale_cluster::{ApiFailure, Call, Cluster};
use dbscale_core::database::Database;
use dbscale_core::effect::{self, PodFact, There};
use dbscale_core::facts::ClaimFact;
use dbscale_core::record::{Look, Request};
use serde_json::Value;

use crate::store::View;

/// The pods of a database; `None` where it has no workloads, so that nobody can tell.
///
/// # Errors
/// What the server says.
pub async fn pods(cluster: &Cluster, database: &Database, view: &View) -> Result<Option<Vec<PodFact>>, ApiFailure> {
    if view.sets.is_empty() {
        return Ok(None);
    }
    let path = format!("/api/v1/namespaces/{}/pods", database.namespace);
    let pods = cluster.list(&path, Some(&effect::selector(database, &view.object))).await?;
    Ok(Some(effect::pods_of(database, &view.object, &pods)))
}

/// Looks at the effects of these requests.
///
/// # Errors
/// What the server says when it is asked for the pods.
pub async fn effects(
    cluster: &Cluster,
    database: &Database,
    view: &View,
    claims: &[ClaimFact],
    uids: &[String],
) -> Result<BTreeMap<String, Look>, ApiFailure> {
    let pods = pods(cluster, database, view).await?;
    let mut looks = BTreeMap::new();
    for uid in uids {
        let Some(request) = view.requests.iter().find(|r| *r.uid == **uid) else { continue };
        let there = There { database, object_too: request.phase.is_finished(), pods: pods.as_deref(), claims };
        let mut missing = effect::missing(&request.change(database), &there);
        if pods.is_none() && !there.object_too && missing.is_empty() {
            // Nothing could be looked at, so nothing is known to be there.
            missing.push("no pods are known".to_owned());
        }
        let cause = if missing.is_empty() {
            None
        } else {
            cause(cluster, database, request, pods.as_deref().unwrap_or_default(), claims).await
        };
        looks.insert(uid.clone(), Look { missing, cause });
    }
    Ok(looks)
}

/// What stands in the way. Quotas that cannot be read are left out: the look is worth something without them.
async fn cause(
    cluster: &Cluster,
    database: &Database,
    request: &Request,
    pods: &[PodFact],
    claims: &[ClaimFact],
) -> Option<String> {
    let path = format!("/api/v1/namespaces/{}/resourcequotas", database.namespace);
    let quotas = cluster.call(&Call::get(path)).await.unwrap_or_else(|failure| {
        tracing::debug!(%failure, "quotas could not be read");
        Value::Null
    });
    let quotas = quotas.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let condition = request.failure.as_deref().map(|(_, message)| message.as_str());
    effect::cause(pods, claims, &quotas, condition)
}

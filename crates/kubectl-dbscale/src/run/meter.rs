//! Counts the pods or claims of a running operation. What may not be read is not counted, and nothing else depends on it.

use dbscale_cluster::{ApiFailure, Cluster, Kind};
use dbscale_core::catalog::Engine;
use dbscale_core::change::{Change, Request, VOLUME};
use dbscale_core::claims;
use dbscale_core::database::Database;
use dbscale_core::effect;
use dbscale_core::facts::Facts;
use dbscale_core::progress::{self, Progress};
use serde_json::Value;

/// What is counted for one operation.
pub(super) struct Meter {
    engine: &'static Engine,
    namespace: String,
    /// The database as it was when the operation was first seen running, and its workloads where claims are counted.
    before: Option<Before>,
    /// Whether a look has shown that nothing can be counted here.
    blind: bool,
}

struct Before {
    object: Value,
    database: Database,
    sets: Vec<Value>,
}

impl Meter {
    /// Nothing is read yet.
    pub(super) fn new(engine: &'static Engine, namespace: &str) -> Self {
        Self { engine, namespace: namespace.to_owned(), before: None, blind: false }
    }

    /// How far a running operation has come.
    pub(super) async fn read(&mut self, cluster: &Cluster, request: &Value) -> Option<Progress> {
        if self.blind {
            return None;
        }
        match self.count(cluster, request).await {
            Ok(progress) => progress,
            Err(failure) => {
                // A call that may pass the next time is made again then.
                self.blind = matches!(failure.kind, Kind::Forbidden | Kind::NotInstalled | Kind::NotFound);
                None
            }
        }
    }

    async fn count(&mut self, cluster: &Cluster, request: &Value) -> Result<Option<Progress>, ApiFailure> {
        let seen = Change::of_request(self.engine, request, None);
        let Some(ops_type) = seen.request().and_then(Request::named_stanza).map(|s| s.ops_type) else {
            self.blind = true;
            return Ok(None);
        };
        let of_claims = ops_type == VOLUME.ops_type;
        let before = match self.before.take() {
            Some(before) => before,
            None => self.look(cluster, &seen.database, of_claims).await?,
        };
        let Before { object, database, sets } = self.before.insert(before);
        let change = Change::of_request(self.engine, request, Some(database));
        let resource = if of_claims { "persistentvolumeclaims" } else { "pods" };
        let path = format!("/api/v1/namespaces/{}/{resource}", self.namespace);
        let found = cluster.list(&path, Some(&effect::selector(database, object))).await?;
        if !of_claims {
            return Ok(progress::of(&change, database, object, &found, &[]));
        }
        let mut facts = Facts::default();
        claims::fill(&mut facts, database, object, sets, &found, &mut Vec::new());
        Ok(progress::of(&change, database, object, &[] as &[Value], &facts.claims))
    }

    async fn look(&self, cluster: &Cluster, name: &str, of_claims: bool) -> Result<Before, ApiFailure> {
        let object = cluster.database(self.engine, &self.namespace, name).await?;
        let database = Database::of(self.engine, &object);
        let sets =
            if of_claims { cluster.workloads(database.set_kind(), self.namespace.as_str()).await? } else { Vec::new() };
        Ok(Before { object, database, sets })
    }
}

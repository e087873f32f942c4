//! Volumes that are still to grow: what is under way after a direct patch of a database, which has no OpsRequest.

use dbscale_cluster::Cluster;
use dbscale_core::amount::Written;
use dbscale_core::catalog::Engine;
use dbscale_core::change::VOLUME;
use dbscale_core::database::Database;
use dbscale_core::growth::{Lagging, lagging};
use dbscale_core::record::STORAGE_PATCH;
use serde_json::{Value, json};

use super::find::Asked;
use super::wait::Follow;
use crate::outcome::Failure;
use crate::status::survey::{self, Seen, Survey};

/// One component's volumes that are still to grow.
pub struct Growing {
    engine: &'static Engine,
    namespace: String,
    name: String,
    of: Lagging,
}

/// What still grows of the databases that were named. A `VolumeExpansion` that is active is followed itself.
pub async fn growing(cluster: &Cluster, asked: &[Asked], namespace: Option<&str>) -> (Vec<Growing>, Vec<String>) {
    let expands = |asked: &Asked| asked.requests.iter().any(|found| found.operation.ops_type == VOLUME.ops_type);
    let databases = asked.iter().filter(|asked| !expands(asked)).filter_map(|asked| asked.object.clone());
    let seen = databases.map(|(engine, object)| {
        let database = Database::of(engine, &object);
        Seen { object, database, requests: Vec::new(), claims: Vec::new(), record: None }
    });
    let mut survey = Survey { seen: seen.collect(), ..Survey::default() };
    survey::claims_of(cluster, namespace, &mut survey).await;
    let of = |seen: &Seen| {
        let Database { engine, namespace, name, .. } = &seen.database;
        let growing = |of| Growing { engine, namespace: namespace.clone(), name: name.clone(), of };
        lagging(&seen.database, &seen.claims).into_iter().map(growing).collect::<Vec<_>>()
    };
    (survey.seen.iter().flat_map(of).collect(), survey.warnings)
}

impl Growing {
    /// Follows them until all have the size.
    ///
    /// # Errors
    /// As [`Follow::claims`].
    pub async fn follow(&self, follow: &Follow<'_>) -> Result<(), Failure> {
        let size = Written::from(self.of.size);
        follow.claims(self.engine, &self.namespace, &self.target(), &self.of.claims, &size).await
    }

    /// Whether they are a database's.
    #[must_use]
    pub fn is_of(&self, asked: &Asked) -> bool {
        asked.object.as_ref().is_some_and(|(engine, object)| {
            let text = |at| object.pointer(at).and_then(Value::as_str).unwrap_or_default();
            let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
            (engine.name.as_str(), namespace, name) == (self.engine.name.as_str(), &self.namespace, &self.name)
        })
    }

    fn target(&self) -> String {
        format!("{}/{}", self.engine.name, self.name)
    }

    /// As `-o name` prints it.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}.kubedb.com/{}", self.engine.kind.to_lowercase(), self.name)
    }

    /// What `-o json` says of them, without how it ended.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "ops_request_name": null, "ops_request_uid": null, "ops_type": STORAGE_PATCH,
            "engine": self.engine.name, "namespace": self.namespace, "name": self.name,
            "component": self.of.component, "storage": self.of.size.to_string(), "claims": self.of.claims,
        })
    }
}

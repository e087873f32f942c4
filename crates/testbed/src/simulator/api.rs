//! The simulator's hands: how it writes to the API server, and what it does with the answers.
//!
//! Every answer goes into the cache at once, so that the next look sees what was just written and nothing is done twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dbscale_core::catalog::{DATABASE_GROUP, OPS_GROUP, OPS_VERSION};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::scheduler::ScheduleRequest;
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::operation::Run;
use super::world::{Id, Kind, World};

/// How long a database or workload waits for further news before it is looked at.
const GATHER: Duration = Duration::from_millis(20);

/// What all parts of the simulator share.
pub struct Hands {
    client: Client,
    world: Mutex<World>,
    /// The version by which an engine's databases are read.
    versions: Mutex<HashMap<Kind, String>>,
    /// The operations at work, by database. Lost on a restart, which costs no more than the time they have been waiting.
    pub runs: Mutex<HashMap<Id, Run>>,
    work: UnboundedSender<ScheduleRequest<Id>>,
}

/// Takes a lock. A panic of another holder leaves nothing half done here, so its poison is no reason to stop.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hands {
    /// New hands with an empty cache; work is sent to `work`.
    pub fn new(client: Client, work: UnboundedSender<ScheduleRequest<Id>>) -> Self {
        Self { client, world: Mutex::default(), versions: Mutex::default(), runs: Mutex::default(), work }
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The cache.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// The object as the cache has it.
    pub fn get(&self, id: &Id) -> Option<Arc<Value>> {
        self.world().get(id)
    }

    /// Reads an engine's databases by this version from now on.
    pub fn use_version(&self, kind: Kind, version: &str) {
        lock(&self.versions).insert(kind, version.to_owned());
    }

    /// Asks for a look at these objects, after a while. What gathers news of many objects is not looked at for each of them.
    pub fn look_at(&self, ids: Vec<Id>, after: Duration) {
        let now = Instant::now();
        for message in ids {
            let gathers = matches!(message.kind, Kind::Database(_) | Kind::PetSet);
            let run_at = now + if gathers { after.max(GATHER) } else { after };
            // The receiver is gone only when the simulator has stopped.
            let _ = self.work.send(ScheduleRequest { message, run_at });
        }
    }

    /// Takes an object into the cache.
    pub fn learn(&self, kind: Kind, object: DynamicObject) {
        if let Ok(object) = self.whole(kind, object) {
            let concerned = self.world().put(kind, object);
            self.look_at(concerned, Duration::ZERO);
        }
    }

    /// Takes an object out of the cache.
    pub fn unlearn(&self, id: &Id, uid: &str) {
        let concerned = self.world().remove(id, uid);
        self.look_at(concerned, Duration::ZERO);
    }

    /// The object as JSON, with the kind that lists leave out and without `managedFields`.
    fn whole(&self, kind: Kind, mut object: DynamicObject) -> Result<Value, serde_json::Error> {
        object.metadata.managed_fields = None;
        let resource = self.resource(kind);
        let mut value = serde_json::to_value(object)?;
        value["apiVersion"] = Value::from(resource.api_version);
        value["kind"] = Value::from(resource.kind);
        Ok(value)
    }

    /// How the API server calls this kind.
    pub fn resource(&self, kind: Kind) -> ApiResource {
        let version = || lock(&self.versions).get(&kind).cloned().unwrap_or_else(|| "v1".to_owned());
        let of = |group: &str, version: &str, kind: &str, plural: &str| {
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
        };
        match (kind, kind.engine()) {
            (Kind::Database(_), Some(engine)) => of(DATABASE_GROUP, &version(), &engine.kind, &engine.plural),
            (Kind::Request(_), Some(engine)) => of(OPS_GROUP, OPS_VERSION, &engine.ops_kind(), &engine.ops_plural()),
            (Kind::PetSet, _) => of("apps.k8s.appscode.com", "v1", "PetSet", "petsets"),
            (Kind::StatefulSet, _) => of("apps", "v1", "StatefulSet", "statefulsets"),
            (Kind::Claim, _) => of("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
            (Kind::Volume, _) => of("", "v1", "PersistentVolume", "persistentvolumes"),
            (Kind::Class, _) => of("storage.k8s.io", "v1", "StorageClass", "storageclasses"),
            // The engines of the two kinds above come from the catalog, so what is left is a pod.
            (Kind::Pod | Kind::Database(_) | Kind::Request(_), _) => of("", "v1", "Pod", "pods"),
        }
    }

    fn api(&self, id: &Id) -> Api<DynamicObject> {
        let resource = self.resource(id.kind);
        if id.namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &id.namespace, &resource)
        }
    }

    /// Creates an object. One that is already there is left as it is.
    pub async fn create(&self, kind: Kind, object: &Value) -> Result<(), kube::Error> {
        let id = Id::of(kind, object);
        let object: DynamicObject = serde_json::from_value(object.clone()).map_err(kube::Error::SerdeError)?;
        match self.api(&id).create(&PostParams::default(), &object).await {
            Ok(created) => self.learn(kind, created),
            Err(error) if reason(&error) == "AlreadyExists" => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Merges a patch into an object; into its subresource where one is named. One that is gone is no error.
    pub async fn patch(&self, id: &Id, subresource: Option<&str>, patch: &Value) -> Result<(), kube::Error> {
        let (api, params) = (self.api(id), PatchParams::default());
        let answer = match subresource {
            None => api.patch(&id.name, &params, &Patch::Merge(patch)).await,
            // Containers are a list; only a strategic merge tells them apart by name.
            Some("resize") => api.patch_subresource("resize", &id.name, &params, &Patch::Strategic(patch)).await,
            Some(part) => api.patch_subresource(part, &id.name, &params, &Patch::Merge(patch)).await,
        };
        match answer {
            Ok(patched) => self.learn(id.kind, patched),
            Err(error) if reason(&error) == "NotFound" => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads the object as it is now, changes it and writes it back, if it is still the same then.
    pub async fn update(&self, id: &Id, change: impl FnOnce(&mut Value) + Send) -> Result<(), kube::Error> {
        let api = self.api(id);
        let Some(object) = api.get_opt(&id.name).await? else { return Ok(()) };
        let before = serde_json::to_value(object).map_err(kube::Error::SerdeError)?;
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            let after = serde_json::from_value(after).map_err(kube::Error::SerdeError)?;
            let written = api.replace(&id.name, &PostParams::default(), &after).await?;
            self.learn(id.kind, written);
        }
        Ok(())
    }

    /// Deletes the object with this UID, at once; `orphan` leaves what it owns. One that is gone is no error.
    pub async fn delete(&self, id: &Id, uid: &str, orphan: bool) -> Result<(), kube::Error> {
        let policy = if orphan { PropagationPolicy::Orphan } else { PropagationPolicy::Background };
        let params = DeleteParams {
            grace_period_seconds: Some(0),
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions { resource_version: None, uid: Some(uid.to_owned()) }),
            ..DeleteParams::default()
        };
        match self.api(id).delete(&id.name, &params).await {
            // An object in the answer may live on while finalizers hold it; its end is watched.
            Ok(answer) => match answer.left().filter(|o| o.metadata.deletion_timestamp.is_some()) {
                Some(object) => self.learn(id.kind, object),
                None => self.unlearn(id, uid),
            },
            Err(error) if matches!(reason(&error).as_str(), "NotFound" | "Conflict") => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// The machine-readable reason of the API server's refusal; empty for any other error.
pub fn reason(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.reason.clone(),
        _ => String::new(),
    }
}

/// What the API server says in its own words; for any other error, those of the client.
pub fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Whether the API server refuses for good what it was asked: asking again would not help.
pub fn is_refused(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 403 | 422))
}

//! Keeps the cache: finds out which of KubeDB's kinds are installed, and watches each.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dbscale_core::catalog::{Catalog, DATABASE_GROUP, OPS_GROUP};
use futures::StreamExt as _;
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::task::JoinSet;

use super::api::Hands;
use super::json;
use super::world::{Id, Kind};

/// How often to look for kinds that have been installed since.
const DISCOVER: Duration = Duration::from_secs(1);

/// Watches every kind that is there or comes later, for ever.
pub async fn run(hands: Arc<Hands>) {
    let mut watched: HashSet<Kind> = HashSet::new();
    let mut tasks = JoinSet::new();
    let mut tick = tokio::time::interval(DISCOVER);
    loop {
        tick.tick().await;
        match installed(&hands).await {
            Ok(kinds) => {
                for kind in kinds.into_iter().filter(|k| watched.insert(*k)) {
                    tasks.spawn(watch(hands.clone(), kind));
                }
            }
            Err(error) => tracing::debug!(%error, "the API server does not say what is installed; asking again"),
        }
    }
}

/// The kinds of the simulator's world that the API server serves. Notes the version of each database kind.
async fn installed(hands: &Hands) -> Result<Vec<Kind>, kube::Error> {
    let mut kinds = vec![Kind::Class, Kind::Volume, Kind::Claim, Kind::Pod, Kind::StatefulSet];
    let groups = hands.client().list_api_groups_aggregated().await?;
    let mut served = HashSet::new();
    for group in &groups.items {
        let name = group.metadata.as_ref().and_then(|m| m.name.as_deref()).unwrap_or_default();
        for version in &group.versions {
            for resource in version.resources.iter().filter_map(|r| r.resource.as_deref()) {
                served.insert((name, version.version.as_deref().unwrap_or_default(), resource));
            }
        }
    }
    if served.contains(&("apps.k8s.appscode.com", "v1", "petsets")) {
        kinds.push(Kind::PetSet);
    }
    for engine in Catalog::builtin().engines() {
        let version = engine.versions.iter().find(|v| served.contains(&(DATABASE_GROUP, v.as_str(), &engine.plural)));
        if let Some(version) = version {
            hands.use_version(Kind::Database(&engine.name), version);
            kinds.push(Kind::Database(&engine.name));
        }
        if served.iter().any(|(group, _, plural)| *group == OPS_GROUP && *plural == engine.ops_plural()) {
            kinds.push(Kind::Request(&engine.name));
        }
    }
    Ok(kinds)
}

async fn watch(hands: Arc<Hands>, kind: Kind) {
    let api: Api<DynamicObject> = Api::all_with(hands.client().clone(), &hands.resource(kind));
    let mut stream = pin!(watcher(api, watcher::Config::default()).default_backoff());
    let mut gone: HashSet<Id> = HashSet::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Init) => gone = hands.world().all(kind).collect(),
            Ok(Event::InitApply(object)) => {
                gone.remove(&id_of(kind, &object));
                hands.learn(kind, object);
            }
            Ok(Event::InitDone) => {
                for id in gone.drain() {
                    let uid = hands.get(&id).map(|o| json::uid(&o).to_owned());
                    hands.unlearn(&id, &uid.unwrap_or_default());
                }
            }
            Ok(Event::Apply(object)) => hands.learn(kind, object),
            Ok(Event::Delete(object)) => {
                hands.unlearn(&id_of(kind, &object), object.metadata.uid.as_deref().unwrap_or_default());
            }
            Err(error) => tracing::debug!(%error, ?kind, "a watch broke; it begins again"),
        }
    }
}

fn id_of(kind: Kind, object: &DynamicObject) -> Id {
    let metadata = &object.metadata;
    Id::at(kind, metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

//! Watches a cluster for an [`Audience`]: finds out which of KubeDB's kinds the server has, and watches each. Objects are
//! trimmed while they are read, so that a list of thousands never stands in memory as it came.

mod kept;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dbscale_core::catalog::{Catalog, DATABASE_GROUP, OPS_GROUP, OPS_VERSION, SetKind};
use dbscale_core::{record, scaling_policy};
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::Api;
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::Value;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{AbortHandle, JoinSet};

use self::kept::{Claims, Classes, Databases, Namespaces, Operations, Policies, Records, Shape, Trimmed, Workloads};
use crate::cache::{Cache, Event, Topic};
use crate::call::{Call, Cluster};
use crate::error::{ApiFailure, Kind};
use dbscale_trim::Keep;
use dbscale_trim::shapes::{Role, any_database, any_operation};

/// How often to look for kinds that have come or gone since.
const DISCOVER: Duration = Duration::from_secs(10);

/// Objects of one page of a list: some megabytes at most, since databases have some 20 KB as they come.
const PAGE: u32 = 100;

/// Kinds that are read for the first time at once: all of them together would make the first reviews wait, and where the server
/// knows HTTP/1.1 alone each takes a connection of its own.
const AT_ONCE: usize = 4;

/// How long a kind waits for its turn; then those before it are taken to hang.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// The claims and workloads of KubeDB's databases. Source: KubeDB's base labels, which its workloads select claims by.
const KUBEDBS: &str = "app.kubernetes.io/managed-by=kubedb.com";

/// Who hears what the watches see. The databases and OpsRequests of all engines are watched for everybody.
pub trait Audience: fmt::Debug + Send + Sync + 'static {
    /// What is watched beside them.
    const OTHERS: &'static [Topic];

    /// What is kept of a database.
    #[must_use]
    fn databases() -> &'static Keep {
        any_database()
    }

    /// What is kept of an OpsRequest.
    #[must_use]
    fn operations() -> &'static Keep {
        any_operation()
    }

    /// Takes in what a watch tells.
    fn tell(&self, topic: Topic, event: &Event<'_>, now: Timestamp);

    /// Forgets what is of no use any more; asked now and then.
    fn tidy(&self, _now: Timestamp) {}
}

impl Audience for Cache {
    const OTHERS: &'static [Topic] = &[Topic::Classes, Topic::Namespaces, Topic::Policies];

    fn tell(&self, topic: Topic, event: &Event<'_>, now: Timestamp) {
        Self::tell(self, topic, event, now);
    }

    fn tidy(&self, now: Timestamp) {
        self.forget(now);
    }
}

/// Watches all that an [`Audience`] wants to hear of.
pub struct Watches<A> {
    cluster: Cluster,
    namespace: Option<String>,
    cache: Arc<A>,
    turns: Arc<Semaphore>,
    /// Told whenever a kind has been read as a whole, or cannot be.
    pub changed: Arc<Notify>,
}

impl<A: Audience> Watches<A> {
    /// Watches `cluster` for `cache`, once [`Watches::run`] is.
    #[must_use]
    pub fn new(cluster: Cluster, cache: Arc<A>) -> Self {
        Self { cluster, namespace: None, cache, turns: Arc::new(Semaphore::new(AT_ONCE)), changed: Arc::default() }
    }

    /// The same in one namespace alone: nothing is asked of others, and nothing that is in none is watched.
    #[must_use]
    pub fn within(self, namespace: Option<String>) -> Self {
        Self { namespace, ..self }
    }

    /// Watches, for ever. `discovered` is called when the kinds have been found out for the first time.
    pub async fn run(self, discovered: impl FnOnce()) {
        let mut discovered = Some(discovered);
        let mut tasks = JoinSet::new();
        let mut watched: HashMap<Topic, (String, AbortHandle)> = HashMap::new();
        let mut tick = tokio::time::interval(DISCOVER);
        loop {
            tick.tick().await;
            let installed = match self.installed().await {
                Ok(installed) => installed,
                Err(failure) => {
                    tracing::warn!(%failure, "the API server does not say what is installed; asking again");
                    continue;
                }
            };
            watched.retain(|topic, (version, task)| {
                let there = installed.iter().any(|(t, resource)| t == topic && resource.api_version == *version);
                if !there {
                    tracing::info!(topic = topic.name(), "no longer served");
                    task.abort();
                    self.cache.tell(*topic, &Event::Absent, Timestamp::now());
                    self.changed.notify_one(); // it may be the last that was waited for
                }
                there
            });
            for (topic, resource) in installed {
                if let std::collections::hash_map::Entry::Vacant(entry) = watched.entry(topic) {
                    let version = resource.api_version.clone();
                    // Here, not where it watches: nobody may find that all is read before a watch has begun.
                    self.cache.tell(topic, &Event::Begin, Timestamp::now());
                    entry.insert((version, tasks.spawn(self.watch(topic, resource))));
                }
            }
            if let Some(discovered) = discovered.take() {
                discovered();
                self.changed.notify_one();
            }
            self.cache.tidy(Timestamp::now());
        }
    }

    /// What there is to watch, and the server has: what the audience wants, and the kinds of KubeDB, each in the first of
    /// its versions that is served.
    async fn installed(&self) -> Result<Vec<(Topic, ApiResource)>, ApiFailure> {
        let resource = |group: &str, version: &str, kind: &str, plural: &str| {
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
        };
        let mut installed = Vec::new();
        let within = self.namespace.is_some();
        for topic in A::OTHERS.iter().filter(|topic| !(within && is_cluster_wide(**topic))) {
            let (group, version, kind, plural) = match topic {
                Topic::Classes => ("storage.k8s.io", "v1", "StorageClass", "storageclasses"),
                Topic::Namespaces => ("", "v1", "Namespace", "namespaces"),
                Topic::Claims => ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
                Topic::Workloads(SetKind::StatefulSet) => ("apps", "v1", "StatefulSet", "statefulsets"),
                Topic::Workloads(SetKind::PetSet) => ("apps.k8s.appscode.com", "v1", "PetSet", "petsets"),
                Topic::Records => (record::GROUP, record::VERSION, record::KIND, record::PLURAL),
                Topic::Policies => {
                    (record::GROUP, scaling_policy::VERSION, scaling_policy::KIND, scaling_policy::PLURAL)
                }
                Topic::Engine(..) => continue,
            };
            // What every server has is not asked for.
            let always = !group.contains('.') || group.ends_with(".k8s.io");
            if always || self.served(group, version).await?.iter().any(|p| p == plural) {
                installed.push((*topic, resource(group, version, kind, plural)));
            }
        }
        let mut versions: Vec<&str> =
            Catalog::builtin().engines().flat_map(|e| &e.versions).map(String::as_str).collect();
        versions.sort_unstable();
        versions.dedup();
        let mut served: Vec<(&str, String)> = Vec::new();
        for version in versions {
            served.extend(self.served(DATABASE_GROUP, version).await?.into_iter().map(|plural| (version, plural)));
        }
        let operations = self.served(OPS_GROUP, OPS_VERSION).await?;
        for engine in Catalog::builtin().engines() {
            let is = |version: &str| served.iter().any(|(v, plural)| *v == version && *plural == engine.plural);
            if let Some(version) = engine.versions.iter().find(|v| is(v)) {
                let databases = resource(DATABASE_GROUP, version, &engine.kind, &engine.plural);
                installed.push((Topic::Engine(&engine.name, Role::Database), databases));
            }
            if operations.contains(&engine.ops_plural()) {
                let operations = resource(OPS_GROUP, OPS_VERSION, &engine.ops_kind(), &engine.ops_plural());
                installed.push((Topic::Engine(&engine.name, Role::Operation), operations));
            }
        }
        Ok(installed)
    }

    /// The resource names of an API; none where the server does not have it.
    async fn served(&self, group: &str, version: &str) -> Result<Vec<String>, ApiFailure> {
        match self.cluster.call(&Call::get(format!("/apis/{group}/{version}"))).await {
            Ok(list) => {
                let resources = list.get("resources").and_then(Value::as_array).into_iter().flatten();
                Ok(resources.filter_map(|r| r.get("name")?.as_str().map(str::to_owned)).collect())
            }
            Err(failure) if matches!(failure.kind, Kind::NotInstalled | Kind::NotFound) => Ok(Vec::new()),
            Err(failure) => Err(failure),
        }
    }

    /// Watches one kind, for ever.
    fn watch(&self, topic: Topic, resource: ApiResource) -> impl Future<Output = ()> + Send + 'static {
        let place = (self.cluster.client.clone(), self.namespace.clone());
        let (cache, changed) = (Arc::clone(&self.cache), Arc::clone(&self.changed));
        let told = Told { topic, cache, changed, turns: Arc::clone(&self.turns) };
        async move {
            match topic {
                Topic::Engine(_, Role::Database) => follow::<A, Databases>(place, &resource, told).await,
                Topic::Engine(_, Role::Operation) => follow::<A, Operations>(place, &resource, told).await,
                Topic::Classes => follow::<A, Classes>(place, &resource, told).await,
                Topic::Namespaces => follow::<A, Namespaces>(place, &resource, told).await,
                Topic::Policies => follow::<A, Policies>(place, &resource, told).await,
                Topic::Records => follow::<A, Records>(place, &resource, told).await,
                Topic::Claims => follow::<A, Claims>(place, &resource, told).await,
                Topic::Workloads(_) => follow::<A, Workloads>(place, &resource, told).await,
            }
        }
    }
}

/// Whether its objects are in no namespace.
fn is_cluster_wide(topic: Topic) -> bool {
    matches!(topic, Topic::Classes | Topic::Namespaces | Topic::Policies)
}

/// A cluster, and the namespace that is watched; `None` = all.
type Place = (kube::Client, Option<String>);

/// What one watch is about, and who is told.
struct Told<A> {
    topic: Topic,
    cache: Arc<A>,
    changed: Arc<Notify>,
    turns: Arc<Semaphore>,
}

async fn follow<A: Audience, S: Shape>(place: Place, resource: &ApiResource, told: Told<A>) {
    let Told { topic, cache, changed, turns } = told;
    // Held until all of the kind has been read, or cannot be.
    let mut turn = tokio::time::timeout(TURN_WITHIN, turns.acquire_owned()).await.ok();
    let api: Api<Trimmed<A, S>> = match place {
        (client, Some(namespace)) => Api::namespaced_with(client, &namespace, resource),
        (client, None) => Api::all_with(client, resource),
    };
    let config = watcher::Config::default().page_size(PAGE);
    let config = match topic {
        Topic::Claims | Topic::Workloads(_) => config.labels(KUBEDBS),
        Topic::Engine(..) | Topic::Classes | Topic::Namespaces | Topic::Policies | Topic::Records => config,
    };
    let mut events = std::pin::pin!(watcher::watcher(api, config).default_backoff());
    let mut broken = String::new();
    while let Some(event) = events.next().await {
        let now = Timestamp::now();
        match &event {
            Ok(watcher::Event::Init) => cache.tell(topic, &Event::Begin, now),
            Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => {
                cache.tell(topic, &Event::Apply(&object.value), now);
            }
            Ok(watcher::Event::Delete(object)) => cache.tell(topic, &Event::Delete(&object.value), now),
            Ok(watcher::Event::InitDone) => {
                drop(turn.take());
                broken.clear();
                cache.tell(topic, &Event::Complete, now);
                changed.notify_one();
            }
            Err(error) => {
                drop(turn.take());
                let why = error.to_string();
                cache.tell(topic, &Event::Broken(why.clone()), now);
                if why != broken {
                    tracing::warn!(topic = topic.name(), error = %why, "the watch is broken; trying again");
                    changed.notify_one();
                    broken = why;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

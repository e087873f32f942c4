//! What the records say, as a watch tells it, and since when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use dbscale_core::record::{GROUP, KIND, PLURAL, VERSION};
use futures::TryStreamExt as _;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// How each operation stands by the record: its phase, or its outcome with what was found of its effect.
pub type Operations = HashMap<String, String>;

/// The operations of each record, by the record's name.
pub type Records = HashMap<String, Operations>;

#[derive(Default)]
struct Inner {
    records: Mutex<Records>,
    changed: Notify,
}

/// All records, kept up to date until it is dropped.
pub struct Seen {
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

impl Seen {
    pub fn watch(client: kube::Client) -> Self {
        let inner: Arc<Inner> = Arc::default();
        let (to, resource) = (
            Arc::clone(&inner),
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, KIND), PLURAL),
        );
        let task = tokio::spawn(async move {
            let api: Api<DynamicObject> = Api::all_with(client, &resource);
            let told = watcher::watcher(api, watcher::Config::default()).try_for_each(async |event| {
                if let watcher::Event::Apply(object) | watcher::Event::InitApply(object) = event {
                    let name = object.metadata.name.clone().unwrap_or_default();
                    let operations = operations(&object.data["status"]);
                    to.records.lock().unwrap_or_else(PoisonError::into_inner).insert(name, operations);
                    to.changed.notify_waiters();
                }
                Ok(())
            });
            if let Err(error) = told.await {
                eprintln!("the watch of records broke: {error}");
            }
        });
        Self { inner, task }
    }

    /// Waits until the records are as wanted, and answers when they were.
    pub async fn until(&self, what: &str, patience: Duration, wanted: impl Fn(&Records) -> bool) -> Result<Instant> {
        let outcome = tokio::time::timeout(patience, async {
            loop {
                let changed = self.inner.changed.notified();
                if wanted(&self.inner.records.lock().unwrap_or_else(PoisonError::into_inner)) {
                    return Instant::now();
                }
                changed.await;
            }
        });
        match outcome.await {
            Ok(at) => Ok(at),
            Err(_) => bail!("{what}: not so after {patience:?}"),
        }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn operations(status: &Value) -> Operations {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let list = |field: &str| status[field].as_array().into_iter().flatten();
    let active = list("operations").map(|o| (text(o, "name"), text(o, "phase")));
    let ended = list("history").map(|p| (text(p, "name"), format!("{} {}", text(p, "outcome"), text(p, "effect"))));
    active.chain(ended).collect()
}

//! Candidates from the live cluster, fast or not at all.

use std::cell::RefCell;
use std::time::Duration;

use dbscale_cluster::connect::{Connect, connect};
use dbscale_cluster::{ApiFailure, Cluster};
use dbscale_core::catalog::{Catalog, Engine};
use futures::stream::{self, Stream, StreamExt as _};
use serde_json::Value;

/// How long all of it may take: with what the program itself needs, an answer within 200 ms.
const LIMIT: Duration = Duration::from_millis(150);

/// How many lists are asked for at a time. As long as there is no connection each opens one, which takes longer than to ask.
const AT_ONCE: usize = 3;

/// The databases of an engine, of the namespace that is typed or the context's.
pub fn databases(engine: &'static Engine, flags: &[(String, String)]) -> Vec<String> {
    let namespace = value(flags, "namespace");
    let list = ask(flags, async |cluster| {
        let namespace = namespace.unwrap_or_else(|| cluster.default_namespace.clone());
        cluster.databases(engine, Some(&namespace), None).await
    });
    names(&list.unwrap_or_default())
}

/// The OpsRequests of the namespace that is typed or the context's, of all engines.
pub fn requests(flags: &[(String, String)]) -> Vec<String> {
    let namespace = value(flags, "namespace");
    let found = RefCell::new(Vec::new());
    // Of those that have not answered when the time is over there is nothing to offer.
    let _all_answered = ask(flags, async |cluster| {
        let namespace = namespace.unwrap_or_else(|| cluster.default_namespace.clone());
        // Those that are not installed answer as fast as it could be found out that they are not.
        let lists = Catalog::builtin().engines().map(|engine| {
            let (cluster, namespace) = (&cluster, &namespace);
            async move { cluster.operations(engine, Some(namespace)).await.unwrap_or_default() }
        });
        gather(stream::iter(lists).buffer_unordered(AT_ONCE), &found).await;
        Ok(())
    });
    let mut found = found.into_inner();
    found.sort();
    found
}

/// Takes the names of each list as it comes.
async fn gather(lists: impl Stream<Item = Vec<Value>>, found: &RefCell<Vec<String>>) {
    lists.for_each(async |list| found.borrow_mut().extend(names(&list))).await;
}

/// The engines that are installed; those of the catalog where the cluster does not tell.
pub fn engines(flags: &[(String, String)]) -> Vec<&'static Engine> {
    let installed = ask(flags, async |cluster| cluster.engines().await);
    installed.unwrap_or_else(|| Catalog::builtin().engines().collect())
}

/// The namespaces.
pub fn namespaces(flags: &[(String, String)]) -> Vec<String> {
    names(&ask(flags, async |cluster| cluster.list("/api/v1/namespaces", None).await).unwrap_or_default())
}

fn names(objects: &[Value]) -> Vec<String> {
    objects.iter().filter_map(|o| Some(o.pointer("/metadata/name")?.as_str()?.to_owned())).collect()
}

fn value(flags: &[(String, String)], id: &str) -> Option<String> {
    flags.iter().rev().find(|(known, _)| known == id).map(|(_, value)| value.clone())
}

/// Asks the cluster that the typed flags name; `None` on every error, and where the time is over.
fn ask<T>(flags: &[(String, String)], question: impl AsyncFnOnce(Cluster) -> Result<T, ApiFailure>) -> Option<T> {
    let options = Connect {
        kubeconfig: value(flags, "kubeconfig").map(Into::into),
        context: value(flags, "context"),
        impersonate: value(flags, "impersonate"),
        request_timeout: Some(LIMIT),
        user_agent: format!("kubectl-dbscale/{}", env!("CARGO_PKG_VERSION")),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let answer = runtime.block_on(async {
        let asked = async { question(connect(&options).await.ok()?).await.ok() };
        tokio::time::timeout(LIMIT, asked).await.ok().flatten()
    });
    // A look-up of an address may still hang in a thread of its own; nobody waits for it.
    runtime.shutdown_background();
    answer
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_has_come_is_kept_when_the_time_is_over() {
        let (found, come) = (RefCell::new(Vec::new()), vec![json!({"metadata": {"name": "grow"}})]);
        let lists = stream::iter([come]).chain(stream::pending());
        assert_eq!(gather(lists, &found).now_or_never(), None);
        assert_eq!(found.into_inner(), ["grow"]);
    }
}

use std::convert::Infallible;
use std::sync::Mutex;

use dbscale_core::catalog::Engine;
use dbscale_core::database::ComponentView;
use dbscale_core::facts::Known;
use http::{Request, Response};
use kube::client::Body;
use serde_json::json;

use super::*;

/// Longer than any of the pauses here; the clock is the test's own.
const PATIENCE: Duration = Duration::from_secs(300);

/// An API server that answers from a table: null says that the caller has no right, false that there is no answer. A watch stays silent until it is told
/// that it has expired.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<HashMap<String, Value>>>,
    expired: Arc<Notify>,
}

impl Server {
    fn serve(&self, path: &str, answer: Value) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    fn list(&self, path: &str, items: &[Value]) {
        self.serve(path, json!({"metadata": {"resourceVersion": "7"}, "items": items}));
    }

    /// Ends all watches: what they would go on from is too old.
    fn expire(&self) {
        self.expired.notify_waiters();
    }

    fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let found = server.answers.lock().unwrap().get(request.uri().path()).cloned();
            let watch = request.uri().query().is_some_and(|q| q.contains("watch=true"));
            let server = server.clone();
            async move {
                let failure = |code, reason| json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason});
                if found == Some(Value::Bool(false)) {
                    std::future::pending::<()>().await;
                }
                if watch {
                    server.expired.notified().await;
                }
                let (code, body) = match found {
                    _ if watch => (200, json!({"type": "ERROR", "object": failure(410, "Expired")})),
                    None => (404, failure(404, "NotFound")),
                    Some(Value::Null) => (403, failure(403, "Forbidden")),
                    Some(answer) => (200, answer),
                };
                let body = Body::from(body.to_string().into_bytes());
                Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
            }
        });
        kube::Client::new(service, "default")
    }
}

/// A watched cluster with storage classes and namespaces, and nothing of KubeDB's.
fn watched(server: &Server) -> (Arc<Cache>, Arc<Notify>) {
    watched_within(server, None)
}

fn watched_within(server: &Server, namespace: Option<&str>) -> (Arc<Cache>, Arc<Notify>) {
    let cache: Arc<Cache> = Arc::default();
    let cluster = Cluster::new(server.client(), "https://test".to_owned(), Duration::from_secs(1));
    let watches = Watches::new(cluster, Arc::clone(&cache)).within(namespace.map(str::to_owned));
    let changed = Arc::clone(&watches.changed);
    tokio::spawn(watches.run(|| {}));
    (cache, changed)
}

fn empty() -> Server {
    let server = Server::default();
    for path in ["/apis/storage.k8s.io/v1/storageclasses", "/api/v1/namespaces"] {
        server.list(path, &[]);
    }
    server
}

fn mongodb() -> &'static Engine {
    Catalog::builtin().find("mongodb").unwrap()
}

/// Waits until `holds`, looking again whenever the cache has changed.
async fn until(changed: &Notify, holds: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds() {
            changed.notified().await;
        }
    });
    waited.await.expect("it comes true in time");
}

#[tokio::test(start_paused = true)]
async fn kinds_that_come_later_are_picked_up_and_trimmed_and_those_that_go_are_forgotten() {
    let server = empty();
    let (cache, changed) = watched(&server);
    until(&changed, || cache.waiting().is_empty() && cache.classes().is_some()).await;
    assert!(matches!(cache.database(mongodb(), "demo", "db"), Known::Unknown));

    let database = json!({"apiVersion": "kubedb.com/v1alpha2", "kind": "MongoDB",
        "metadata": {"name": "db", "namespace": "demo", "managedFields": [{"manager": "x"}]},
        "spec": {"replicas": 3, "version": "8"}});
    server.list("/apis/kubedb.com/v1alpha2/mongodbs", &[database]);
    server
        .serve("/apis/kubedb.com/v1alpha2", json!({"resources": [{"name": "mongodbs"}, {"name": "mongodbs/status"}]}));
    until(&changed, || matches!(cache.database(mongodb(), "demo", "db"), Known::Here(_))).await;
    let Known::Here(kept) = cache.database(mongodb(), "demo", "db") else { panic!("it was here") };
    let members: Vec<Option<i64>> = kept.components.iter().map(ComponentView::replicas).collect();
    assert_eq!((kept.target().as_str(), kept.version.as_str(), members), ("mongodb/db", "v1alpha2", vec![Some(3)]));
    assert!(matches!(cache.database(mongodb(), "demo", "other"), Known::Missing));

    server.serve("/apis/kubedb.com/v1alpha2", json!({"resources": []}));
    tokio::time::timeout(PATIENCE, async {
        while !matches!(cache.database(mongodb(), "demo", "other"), Known::Unknown) {
            tokio::time::sleep(DISCOVER).await;
        }
    })
    .await
    .expect("it is forgotten in time");
}

#[tokio::test(start_paused = true)]
async fn of_one_namespace_nothing_is_asked_of_others() {
    let server = Server::default(); // nothing that is in no namespace, and no list of all
    let database = json!({"apiVersion": "kubedb.com/v1alpha2", "metadata": {"name": "db", "namespace": "demo"}});
    server.list("/apis/kubedb.com/v1alpha2/namespaces/demo/mongodbs", &[database]);
    server.serve("/apis/kubedb.com/v1alpha2", json!({"resources": [{"name": "mongodbs"}]}));
    let (cache, changed) = watched_within(&server, Some("demo"));
    until(&changed, || matches!(cache.database(mongodb(), "demo", "db"), Known::Here(_))).await;
    assert!(cache.classes().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_watched_is_told_and_tried_again() {
    let server = empty();
    server.serve("/apis/storage.k8s.io/v1/storageclasses", Value::Null);
    let (cache, changed) = watched(&server);
    until(&changed, || cache.waiting().iter().any(|w| w.contains("Forbidden"))).await;
    assert!(cache.waiting()[0].starts_with("storage classes: "), "{:?}", cache.waiting());
    server.list("/apis/storage.k8s.io/v1/storageclasses", &[]);
    until(&changed, || cache.waiting().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_has_expired_reads_all_anew_and_forgets_what_went_meanwhile() {
    let server = empty();
    let database =
        |name: &str| json!({"apiVersion": "kubedb.com/v1alpha2", "metadata": {"name": name, "namespace": "demo"}});
    server.list("/apis/kubedb.com/v1alpha2/mongodbs", &[database("one"), database("two")]);
    server.serve("/apis/kubedb.com/v1alpha2", json!({"resources": [{"name": "mongodbs"}]}));
    let (cache, changed) = watched(&server);
    until(&changed, || matches!(cache.database(mongodb(), "demo", "one"), Known::Here(_))).await;

    server.list("/apis/kubedb.com/v1alpha2/mongodbs", &[database("two"), database("three")]);
    tokio::time::timeout(PATIENCE, async {
        // A watch that has just begun again is not there to be told.
        while !matches!(cache.database(mongodb(), "demo", "three"), Known::Here(_)) {
            server.expire();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await
    .expect("it is read anew in time");
    assert!(matches!(cache.database(mongodb(), "demo", "one"), Known::Missing));
    assert!(matches!(cache.database(mongodb(), "demo", "two"), Known::Here(_)));
}

/// An API server gives a hundred answers over one connection at once, and lets others wait: watches, which never end, must leave
/// room for calls. Source: `MaxConcurrentStreams` in apiserver's `secure_serving.go`.
#[test]
fn all_watches_leave_room_on_the_connection_for_calls() {
    let engines = 2 * Catalog::builtin().engines().count();
    let sets = [SetKind::StatefulSet, SetKind::PetSet].map(Topic::Workloads);
    let others = [Topic::Classes, Topic::Namespaces, Topic::Policies, Topic::Records, Topic::Claims];
    let watches = engines + sets.len() + others.len();
    assert!(watches <= 80, "{watches}: let some of them have a connection of their own");
}

#[tokio::test(start_paused = true)]
async fn kinds_wait_for_their_turn_and_not_for_those_that_hang() {
    let server = empty();
    let hanging: Vec<&Engine> = Catalog::builtin().engines().take(AT_ONCE).collect();
    let kinds = hanging.iter().copied().chain([mongodb()]).filter(|e| e.versions.iter().any(|v| v == "v1alpha2"));
    let resources: Vec<Value> = kinds.map(|engine| json!({"name": engine.plural})).collect();
    assert_eq!(resources.len(), AT_ONCE + 1);
    server.serve("/apis/kubedb.com/v1alpha2", json!({"resources": resources}));
    for engine in hanging {
        server.serve(&format!("/apis/kubedb.com/v1alpha2/{}", engine.plural), json!(false));
    }
    server.list("/apis/kubedb.com/v1alpha2/mongodbs", &[]);
    let began = tokio::time::Instant::now();
    let (cache, changed) = watched(&server);
    until(&changed, || matches!(cache.database(mongodb(), "demo", "db"), Known::Missing)).await;
    assert!(began.elapsed() >= TURN_WITHIN, "all have begun at once");
    assert!(began.elapsed() < TURN_WITHIN + DISCOVER, "{:?}", began.elapsed());
}

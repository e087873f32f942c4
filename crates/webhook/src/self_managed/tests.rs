//! Replicas that look after one certificate, on an API server that knows two objects and nothing else.

use std::sync::{Mutex, PoisonError};

use dbscale_core::entries::ENTRIES;
use dbscale_serve::trust;
use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

const NOW_S: u64 = 1_800_000_000;
const LIFE: Duration = Duration::from_secs(90 * 86_400);
const TWO_THIRDS_S: u64 = 60 * 86_400;
const HOST: &str = "dbscale-webhook.dbscale-system.svc";

/// The API server: the Secret and the ValidatingWebhookConfiguration.
#[derive(Debug, Clone)]
struct Server(Arc<Mutex<[Stored; 2]>>);

/// Part of its path, the object, and how often it was written.
type Stored = (&'static str, Value, u64);

impl Server {
    fn new() -> Self {
        let entry = |name: &str| json!({"name": name, "clientConfig": {"service": {"name": "dbscale-webhook", "namespace": "dbscale-system"}}});
        let entries = ENTRIES.map(entry);
        let versioned = |mut object: Value| {
            object["metadata"] = json!({"resourceVersion": "0"});
            object
        };
        Self(Arc::new(Mutex::new([
            ("/secrets/", versioned(json!({})), 0),
            ("/validatingwebhookconfigurations/", versioned(json!({"webhooks": entries})), 0),
        ])))
    }

    fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let mut objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, object, writes) = objects.iter_mut().find(|(part, _, _)| path.contains(part)).unwrap();
        if method == Method::PATCH {
            let changes: json_patch::Patch = serde_json::from_slice(body).unwrap();
            let mut patched = object.clone();
            if json_patch::patch(&mut patched, &changes).is_err() {
                let message = "the server rejected our request due to an error in our request";
                return (422, json!({"kind": "Status", "reason": "Invalid", "message": message}));
            }
            *writes += 1;
            patched["metadata"]["resourceVersion"] = json!(writes.to_string());
            *object = patched;
        }
        (200, object.clone())
    }

    fn object(&self, index: usize) -> Value {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[index].1.clone()
    }

    fn writes(&self) -> [u64; 2] {
        let objects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        [objects[0].2, objects[1].2]
    }

    fn trusts(&self, replica: &SelfManaged, now_s: u64) -> bool {
        let bundle = entries::bundle(&self.object(1)).unwrap();
        trust::check(&bundle, &replica.serving.present().unwrap(), &[HOST.to_owned()], now_s).is_ok()
    }

    /// A replica, and a gate of it that is closed for another reason.
    fn replica(&self) -> (SelfManaged, Gate) {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                let body = request.into_body().collect_bytes().await?;
                // Others run between any two calls.
                tokio::task::yield_now().await;
                let (code, answer) = server.answer(&method, &path, &body);
                Ok::<_, kube::Error>(
                    Response::builder().status(code).body(Body::from(answer.to_string().into_bytes())).unwrap(),
                )
            }
        });
        let client = kube::Client::new(service, "dbscale-system");
        let cluster = Cluster::new(client, "https://cluster.test".to_owned(), Duration::from_secs(2));
        let readiness = Readiness::default();
        let caches = readiness.gate("caches");
        (SelfManaged::new(cluster, ["certificates", "dbscale"], LIFE, Arc::default(), readiness), caches)
    }
}

fn served(replica: &SelfManaged) -> Vec<u8> {
    replica.serving.present().unwrap().chain()[0].to_vec()
}

#[tokio::test(start_paused = true)]
async fn rules_are_set_once_somebody_is_ready_to_be_asked() {
    let server = Server::new();
    let (mut replica, caches) = server.replica();
    assert_eq!(replica.readiness.closed().len(), 2);
    replica.round(NOW_S).await.unwrap();
    assert!(server.trusts(&replica, NOW_S));
    assert_eq!(replica.readiness.closed(), [("caches", "waiting".to_owned())]);
    assert_eq!(server.object(1)["webhooks"][0]["rules"], Value::Null);
    caches.open();
    replica.round(NOW_S + 5).await.unwrap();
    assert_eq!(server.object(1)["webhooks"][0]["rules"][0]["operations"], json!(["CREATE", "UPDATE"]));
    // Then there is nothing more to do.
    let writes = server.writes();
    replica.round(NOW_S + 10).await.unwrap();
    assert_eq!(server.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn of_replicas_that_start_at_once_one_makes_the_certificate_and_all_serve_it() {
    let server = Server::new();
    let [mut a, mut b, mut c] = [(); 3].map(|()| server.replica().0);
    let done = tokio::join!(a.round(NOW_S), b.round(NOW_S), c.round(NOW_S));
    done.0.and(done.1).and(done.2).unwrap();
    assert_eq!(server.writes(), [1, 1]);
    assert!(served(&a) == served(&b) && served(&b) == served(&c));
    assert!(server.trusts(&a, NOW_S));
}

#[tokio::test(start_paused = true)]
async fn a_new_certificate_is_trusted_before_it_is_served_and_the_old_one_as_long_as_somebody_serves_it() {
    let server = Server::new();
    let [mut first, mut late] = [(); 2].map(|()| server.replica().0);
    first.round(NOW_S).await.unwrap();
    late.round(NOW_S).await.unwrap();
    let old = served(&first);

    let then = NOW_S + TWO_THIRDS_S;
    first.round(then).await.unwrap();
    assert!(served(&first) == old && server.trusts(&first, then));
    tokio::time::advance(SETTLE).await;
    first.round(then + 5).await.unwrap();
    assert!(served(&first) != old && server.trusts(&first, then + 5));
    assert!(served(&late) == old && server.trusts(&late, then + 5));

    // The late one reads what the first has made, and takes nothing back.
    let writes = server.writes();
    late.round(then + 10).await.unwrap();
    tokio::time::advance(SETTLE).await;
    late.round(then + 15).await.unwrap();
    assert_eq!(server.writes(), writes);
    assert!(served(&late) == served(&first));
}

#[tokio::test(start_paused = true)]
async fn what_others_take_away_is_set_again() {
    let server = Server::new();
    let (mut replica, caches) = server.replica();
    caches.open();
    replica.round(NOW_S).await.unwrap();
    replica.round(NOW_S).await.unwrap();
    let whole = server.object(1)["webhooks"].clone();
    server.0.lock().unwrap()[1].1["webhooks"][0]["clientConfig"]["caBundle"] = Value::Null;
    server.0.lock().unwrap()[1].1["webhooks"][1]["rules"] = json!([]);
    replica.round(NOW_S).await.unwrap();
    assert_eq!(server.object(1)["webhooks"], whole);
    server.0.lock().unwrap()[0].1["data"] = Value::Null;
    replica.round(NOW_S).await.unwrap();
    assert!(server.trusts(&replica, NOW_S), "a new authority is trusted beside that of what is served");
    assert_ne!(server.object(1)["webhooks"], whole);
}

#[tokio::test(start_paused = true)]
async fn entries_that_are_not_there_are_told() {
    let server = Server::new();
    server.0.lock().unwrap()[1].1["webhooks"] = json!([]);
    let (mut replica, _caches) = server.replica();
    let problem = replica.round(NOW_S).await.unwrap_err();
    assert_eq!(
        chain(&problem),
        "the ValidatingWebhookConfiguration is not as it should be: it has no entry opsrequests.dbscale.dev; \
         apply the manifests again"
    );
    assert_eq!(server.writes(), [0, 0]);
}

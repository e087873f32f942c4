//! Two that want one lease, on a server of a few lines.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use kube::client::Body;
use rstest::rstest;

use super::*;

#[rstest]
#[case::nobody("", 15, 0, Verdict::Free)]
#[case::ours("me", 15, 600, Verdict::Ours)]
#[case::fresh("other", 15, 14, Verdict::Taken)]
#[case::run_out("other", 15, 15, Verdict::Free)]
#[case::by_the_holders_duration("other", 60, 20, Verdict::Taken)]
fn verdicts(#[case] holder: &str, #[case] lasts: u64, #[case] unchanged_s: u64, #[case] wanted: Verdict) {
    let lease = json!({"spec": {"holderIdentity": holder, "leaseDurationSeconds": lasts}});
    assert_eq!(verdict(&lease, "me", Duration::from_secs(unchanged_s), &Terms::default()), wanted);
}

/// The lease as the server has it, and whether the server is down.
#[derive(Default)]
struct Server {
    lease: Value,
    version: u64,
    down: bool,
    /// Whether it takes calls and never answers.
    hangs: bool,
}

impl Server {
    fn answer(&mut self, method: &Method, sent: Value) -> (u16, Value) {
        let status =
            |code: u16, reason: &str| (code, json!({"reason": reason, "message": reason, "details": {"name": "l"}}));
        if self.down {
            return status(500, "InternalError");
        }
        match *method {
            Method::GET if self.lease.is_null() => return status(404, "NotFound"),
            Method::GET => return (200, self.lease.clone()),
            Method::POST if !self.lease.is_null() => return status(409, "AlreadyExists"),
            Method::PUT if sent["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"] => {
                return status(409, "Conflict");
            }
            _ => {}
        }
        self.version += 1;
        self.lease = sent;
        self.lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        (200, self.lease.clone())
    }
}

fn cluster(server: &Arc<Mutex<Server>>) -> Cluster {
    let server = Arc::clone(server);
    let service = tower::service_fn(move |request: Request<Body>| {
        let server = Arc::clone(&server);
        async move {
            let (parts, body) = request.into_parts();
            if server.lock().unwrap().hangs {
                std::future::pending::<()>().await;
            }
            let sent = body.collect_bytes().await.map(|b| serde_json::from_slice(&b).unwrap_or_default());
            let (code, answer) = server.lock().unwrap().answer(&parts.method, sent.unwrap_or_default());
            let response = Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
            Ok::<_, Infallible>(response.unwrap())
        }
    });
    Cluster::new(kube::Client::new(service, "default"), "http://test".to_owned(), Duration::from_secs(5))
}

fn lease(server: &Arc<Mutex<Server>>, identity: &str) -> Lease {
    let millis = Duration::from_millis;
    let terms = Terms { duration: Duration::from_secs(1), give_up: millis(300), pause: millis(10) };
    Lease::new(&cluster(server), CONTROLLER, identity.to_owned(), terms)
}

fn holder(server: &Arc<Mutex<Server>>) -> Value {
    server.lock().unwrap().lease["spec"]["holderIdentity"].clone()
}

#[rstest]
#[case::of_the_cluster(Some(1), Some(1), "of-cluster")]
#[case::of_the_namespace(None, Some(1), "of-demo")]
#[case::the_clusters_fell_silent(Some(600), Some(1), "of-demo")]
#[case::both_fell_silent(Some(600), Some(600), "of-cluster")]
#[case::the_namespaces_fell_silent(None, Some(600), "of-demo")]
#[case::none(None, None, "NotFound")]
#[tokio::test]
async fn a_controller_of_the_cluster_goes_before_one_of_the_namespace(
    #[case] of_cluster_s: Option<i64>,
    #[case] of_demo_s: Option<i64>,
    #[case] wanted: &str,
) {
    let lease = |holder: &str, age_s: i64| {
        let renewed = Timestamp::now() - jiff::SignedDuration::from_secs(age_s);
        json!({"spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed.to_string()}})
    };
    let service = tower::service_fn(move |request: Request<Body>| {
        let found = if request.uri().path().contains("/demo/") {
            of_demo_s.map(|age_s| lease("of-demo", age_s))
        } else {
            of_cluster_s.map(|age_s| lease("of-cluster", age_s))
        };
        let missing = json!({"kind": "Status", "reason": "NotFound", "message": "NotFound", "details": {"name": "l"}});
        let (code, answer) = found.map_or((404, missing), |lease| (200, lease));
        let body = Body::from(answer.to_string().into_bytes());
        async move { Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap()) }
    });
    let client = kube::Client::new(service, "default");
    let cluster = Cluster::new(client, "http://test".to_owned(), Duration::from_secs(5));
    let found = match of_controller(&cluster, "demo").await {
        Ok(lease) => lease["spec"]["holderIdentity"].as_str().unwrap().to_owned(),
        Err(failure) => failure.message,
    };
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn a_lease_that_is_released_is_taken_by_the_other_at_once() {
    let server = Arc::default();
    let (mut first, mut second) = (lease(&server, "first"), lease(&server, "second"));
    first.acquire(|| ()).await;
    assert!(!second.try_acquire().await.unwrap());
    assert!(first.try_acquire().await.unwrap(), "renewed");
    assert_eq!(holder(&server), "first");
    first.release().await;
    assert!(second.try_acquire().await.unwrap());
    let spec = server.lock().unwrap().lease["spec"].clone();
    assert_eq!((&spec["holderIdentity"], &spec["leaseTransitions"]), (&json!("second"), &json!(1)));
    assert_eq!(spec["leaseDurationSeconds"], 1);
}

#[tokio::test]
async fn a_holder_that_falls_silent_is_followed_after_the_duration() {
    let server = Arc::default();
    let (mut first, mut second) = (lease(&server, "first"), lease(&server, "second"));
    first.acquire(|| ()).await;
    let began = Instant::now();
    second.acquire(|| ()).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(first.hold().await.contains("could not be renewed"), "it gave up long before");
    // And where its clock had stood still meanwhile, it sees who has it.
    first.renewed = Instant::now();
    assert!(first.hold().await.contains("second has it now"));
}

#[tokio::test]
async fn a_holder_that_cannot_renew_gives_up() {
    let server = Arc::default();
    let mut first = lease(&server, "first");
    first.acquire(|| ()).await;
    server.lock().unwrap().down = true;
    let why = first.hold().await;
    assert!(why.contains("could not be renewed for 300ms"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_not_waited_for_longer_than_the_lease_is_safe() {
    let server = Arc::default();
    let mut first = lease(&server, "first");
    first.acquire(|| ()).await;
    server.lock().unwrap().hangs = true;
    let began = Instant::now();
    let why = first.hold().await;
    assert!(why.contains("could not be renewed for 300ms"), "{why}");
    assert!(began.elapsed() <= Duration::from_millis(301), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_write_in_between_is_no_loss() {
    let server: Arc<Mutex<Server>> = Arc::default();
    let mut first = lease(&server, "first");
    first.acquire(|| ()).await;
    let before = server.lock().unwrap().lease["spec"]["renewTime"].clone();
    // Somebody labels it: the version is another one, the holder the same.
    {
        let mut server = server.lock().unwrap();
        server.lease["metadata"]["resourceVersion"] = json!("77");
    }
    tokio::time::timeout(Duration::from_millis(200), first.hold()).await.expect_err("it still holds");
    assert_ne!(server.lock().unwrap().lease["spec"]["renewTime"], before);
}

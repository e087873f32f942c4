//! What a review costs inside the process, without the network: read, judged with ten thousand databases known, answered.
//! `cargo bench --profile server -p dbscale-webhook`; one line a case, in microseconds of CPU.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a measurement fails")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use dbscale_cluster::Cluster;
use dbscale_cluster::cache::{Cache, Event, Topic};
use dbscale_core::finding::Severity;
use dbscale_core::policy::KUBEDB_USERS;
use dbscale_trim::shapes::Role;
use dbscale_webhook::answer;
use dbscale_webhook::judge::{Judge, Options};
use dbscale_webhook::review;
use dbscale_webhook::users::Users;
use jiff::Timestamp;
use kube::client::Body;
use serde_json::json;

#[path = "../../../benches/reviews.rs"]
mod reviews;

const KNOWN: usize = 10_000;
const ROUNDS: usize = 20_000;

fn judge() -> Judge {
    let cache: Arc<Cache> = Arc::default();
    let now = Timestamp::now();
    let databases = Topic::Engine("mongodb", Role::Database);
    let operations = Topic::Engine("mongodb", Role::Operation);
    for topic in [databases, operations, Topic::Classes] {
        cache.tell(topic, &Event::Begin, now);
    }
    for number in 0..KNOWN {
        cache.tell(databases, &Event::Apply(&reviews::database(&format!("db-{number}"))), now);
    }
    cache.tell(Topic::Classes, &Event::Apply(&reviews::class()), now);
    for topic in [databases, operations, Topic::Classes] {
        cache.tell(topic, &Event::Complete, now);
    }
    let nobody = tower::service_fn(|_: http::Request<Body>| async {
        Err::<http::Response<Body>, _>(std::io::Error::other("nobody"))
    });
    let cluster = Cluster::new(
        kube::Client::new(nobody, reviews::NAMESPACE),
        "https://nobody".to_owned(),
        Duration::from_millis(1),
    );
    let operators = Users::new([KUBEDB_USERS.to_owned()]);
    Judge {
        cache,
        cluster,
        options: Options {
            direct_edits: Severity::Warn,
            lookup_failure: Severity::Deny,
            enforcement: Severity::Deny,
            operators,
        },
    }
}

fn main() {
    // `cargo test --all-targets` runs benchmarks too, as if they were tests; `cargo bench` says that it measures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let judge = runtime.block_on(async { judge() });
    let request = |replicas: i64| (0..100).map(move |n| reviews::create(&format!("db-{}", n * 97), replicas)).collect();
    let kubedb = "system:serviceaccount:kubedb:kubedb-ops-manager";
    let (members, size) = ("/spec/replicas", "/spec/storage/resources/requests/storage");
    for (name, bodies) in [
        ("OpsRequest CREATE, allowed", request(5)),
        ("OpsRequest CREATE, refused", request(0)),
        ("database UPDATE, nothing judged", vec![reviews::update(kubedb, "db-1", members, &json!(3))]),
        ("database UPDATE, members by KubeDB", vec![reviews::update(kubedb, "db-1", members, &json!(5))]),
        ("database UPDATE, more storage", vec![reviews::update("jane", "db-1", size, &json!("20Gi"))]),
    ] {
        let bytes = bodies[0].len();
        let read = time(|n| {
            black_box(review::read(&bodies[n % bodies.len()]).unwrap());
        });
        let all = runtime.block_on(async {
            let mut took = Vec::new();
            for _ in 0..5 {
                let began = cpu();
                for n in 0..ROUNDS {
                    let mut review = review::read(&bodies[n % bodies.len()]).unwrap();
                    review.dry_run = true; // so that nothing is remembered
                    let verdict = judge.judge(&mut review).await;
                    black_box(answer::write(&review, &verdict.findings));
                }
                took.push(cpu().saturating_sub(began));
            }
            micros(took)
        });
        println!("{name}, {bytes} bytes: read {read:.1}, all {all:.1}");
    }
}

fn time(mut once: impl FnMut(usize)) -> f64 {
    let mut took = Vec::new();
    for _ in 0..5 {
        let began = cpu();
        (0..ROUNDS).for_each(&mut once);
        took.push(cpu().saturating_sub(began));
    }
    micros(took)
}

/// What this thread has had of a CPU: unlike a clock it does not count who else was running.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// The median, in microseconds a round.
fn micros(mut took: Vec<Duration>) -> f64 {
    took.sort();
    took[took.len() / 2].as_secs_f64() * 1e6 / f64::from(u32::try_from(ROUNDS).unwrap())
}

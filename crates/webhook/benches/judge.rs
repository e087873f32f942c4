//! What a review costs inside the process, without the network: read, judged with ten thousand databases known, answered.
//! `cargo bench --profile server -p dbscale-webhook`; one line a case, in microseconds of CPU.
//! `-- "CREATE, allowed" --rounds=200` runs one case, and less often, as for valgrind.
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
        cache.tell(databases, &Event::Apply(&reviews::database(&name(number))), now);
    }
    cache.tell(Topic::Classes, &Event::Apply(&reviews::class()), now);
    for topic in [databases, operations, Topic::Classes] {
        cache.tell(topic, &Event::Complete, now);
    }
    let nobody = tower::service_fn(|_: http::Request<kube::client::Body>| async {
        Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("nobody"))
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
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs benchmarks too, as if they were tests; `cargo bench` says that it measures.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    // A part of a name runs those cases alone.
    let only = arguments.iter().find(|argument| !argument.starts_with("--"));
    let rounds = arguments.iter().find_map(|a| a.strip_prefix("--rounds=")?.parse().ok()).unwrap_or(ROUNDS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let kubedb = "system:serviceaccount:kubedb:kubedb-ops-manager";
    let (members, size) = ("/spec/replicas", "/spec/storage/resources/requests/storage");
    let any = name(0);
    for (what, body) in [
        ("OpsRequest CREATE, allowed", reviews::create(&any, 5)),
        ("OpsRequest CREATE, refused", reviews::create(&any, 0)),
        ("database UPDATE, nothing judged", reviews::update(kubedb, &any, members, &json!(3))),
        ("database UPDATE, members by KubeDB", reviews::update(kubedb, &any, members, &json!(5))),
        ("database UPDATE, more storage", reviews::update("jane", &any, size, &json!("20Gi"))),
    ] {
        if only.is_some_and(|only| !what.contains(only.as_str())) {
            continue;
        }
        let judge = runtime.block_on(async { judge() });
        let mut body = Body::of(body, any.as_bytes());
        let read = time(rounds, |n| {
            black_box(review::read(body.about(n)).unwrap());
        });
        let all = runtime.block_on(async {
            let mut took = Vec::new();
            for _ in 0..5 {
                let began = cpu();
                for n in 0..rounds {
                    let mut review = review::read(body.about(n)).unwrap();
                    // An OpsRequest is remembered; the next one of its name does not find it in its way.
                    let verdict = judge.judge(&mut review).await;
                    black_box(answer::write(&review, &verdict.findings));
                }
                took.push(cpu().saturating_sub(began));
            }
            micros(rounds, took)
        });
        println!("{what}, {} bytes: read {read:.1}, all {all:.1}", body.bytes.len());
    }
}

/// The name of a database: all are as long.
fn name(number: usize) -> String {
    format!("db-{number:05}")
}

/// A review that can be about any of the databases: a body is at hand when it has just arrived, and its database is not.
struct Body {
    bytes: Vec<u8>,
    names: Vec<usize>,
}

impl Body {
    fn of(bytes: Vec<u8>, name: &[u8]) -> Self {
        let names = bytes.windows(name.len()).enumerate().filter(|(_, window)| *window == name).map(|(at, _)| at);
        Self { names: names.collect(), bytes }
    }

    fn about(&mut self, number: usize) -> &[u8] {
        let name = name(number * 97 % KNOWN);
        for at in &self.names {
            self.bytes[*at..*at + name.len()].copy_from_slice(name.as_bytes());
        }
        &self.bytes
    }
}

fn time(rounds: usize, mut once: impl FnMut(usize)) -> f64 {
    let mut took = Vec::new();
    for _ in 0..5 {
        let began = cpu();
        (0..rounds).for_each(&mut once);
        took.push(cpu().saturating_sub(began));
    }
    micros(rounds, took)
}

/// What this thread has had of a CPU: unlike a clock it does not count who else was running.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// The median, in microseconds a round.
fn micros(rounds: usize, mut took: Vec<Duration>) -> f64 {
    took.sort();
    took[took.len() / 2].as_secs_f64() * 1e6 / f64::from(u32::try_from(rounds).unwrap())
}

//! The checks of the surroundings, held to the real scheduler and the real admission, and as a person meets them.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]
#![allow(clippy::panic, reason = "a panic is how a test fails")]

mod bounds;
mod nodes;
mod plugin;

use std::time::{Duration, Instant};

use dbscale_cluster::connect::{Connect, connect};
use dbscale_cluster::{ApiFailure, Call, Cluster};
use dbscale_e2e::playground;
use serde_json::{Value, json};

/// How long the control plane may take to say what it will say.
const PATIENCE: Duration = Duration::from_secs(60);

async fn cluster() -> Cluster {
    let options = Connect { kubeconfig: Some(playground().join("kubeconfig")), ..Connect::default() };
    connect(&options).await.unwrap()
}

async fn make(cluster: &Cluster, path: &str, object: &Value) -> Value {
    cluster.call(&Call::post(path, object)).await.unwrap_or_else(|failure| panic!("{path} {object}: {failure}"))
}

/// Deletes at once, also where it is gone already.
async fn unmake(cluster: &Cluster, path: &str) {
    let _: Result<Value, ApiFailure> = cluster.call(&Call::delete(path, &json!({"gracePeriodSeconds": 0}))).await;
}

/// Asks again until there is an answer.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many cases are made up; the long form has more.
fn cases() -> u64 {
    std::env::var("DBSCALE_CASES").map_or(50, |text| text.parse().unwrap())
}

/// Where the cases of this run begin; printed with each that matters, so that one can be made again.
fn seed() -> u64 {
    std::env::var("DBSCALE_SEED").map_or(1, |text| text.parse().unwrap())
}

/// Numbers that look random, the same for the same seed.
struct Random(u64);

impl Random {
    fn of(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        random.next();
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from((self.next() >> 16) % n as u64).unwrap()
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

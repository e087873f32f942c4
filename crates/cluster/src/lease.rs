//! A Lease: of several processes one works, and another takes over when it falls silent.
//!
//! As in Kubernetes' own leader election, nobody compares clocks: a lease has run out when it has not changed for its
//! duration as measured here. The holder gives up before that: when it could not renew for [`Terms::give_up`].

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::call::{Call, Cluster};
use crate::error::{ApiFailure, Kind};
use crate::installed::{VERSION, VERSION_MARK};

/// Where the controller keeps its Lease: namespace and name. One that looks after a single namespace keeps it there.
pub const CONTROLLER: (&str, &str) = ("dbscale-system", "dbscale-controller");

/// How long a lease lasts.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// After this long without a change others may take it.
    pub duration: Duration,
    /// How long the holder tries to renew before it gives up; shorter than [`Terms::duration`].
    pub give_up: Duration,
    /// How often it is renewed or looked at.
    pub pause: Duration,
}

impl Terms {
    /// Terms in the proportions of Kubernetes' own components. A Lease counts whole seconds.
    #[must_use]
    pub fn of_seconds(seconds: u32) -> Self {
        let duration = Duration::from_secs(u64::from(seconds));
        Self { duration, give_up: duration * 2 / 3, pause: duration * 2 / 15 }
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self::of_seconds(15)
    }
}

/// A lease that this process wants or has.
pub struct Lease {
    cluster: Cluster,
    collection: String,
    name: String,
    /// This process, unlike any other.
    pub identity: String,
    terms: Terms,
    seen: Option<Seen>,
    /// When the server was asked to write it for the last time that it did: others count from when it wrote, which is later.
    renewed: Instant,
}

/// The lease as it was seen last, and since when it is so.
#[derive(Debug, Clone)]
struct Seen {
    lease: Value,
    since: Instant,
}

/// What can be done with a lease that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is ours.
    Ours,
    /// Nobody has it, or whoever has it fell silent.
    Free,
    /// Somebody has it.
    Taken,
}

impl Lease {
    /// A lease in a cluster; nothing is asked yet.
    #[must_use]
    pub fn new(cluster: &Cluster, (namespace, name): (&str, &str), identity: String, terms: Terms) -> Self {
        // A try that hangs must leave time for another before the holder has to give up.
        let cluster = cluster.within(terms.give_up / 3);
        let collection = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        Self { cluster, collection, name: name.to_owned(), identity, terms, seen: None, renewed: Instant::now() }
    }

    /// Waits until this process has the lease. `asked` is called whenever the server has answered.
    pub async fn acquire(&mut self, asked: impl Fn()) {
        let mut said = String::new();
        loop {
            match self.try_acquire().await {
                Ok(true) => {
                    asked();
                    tracing::info!(identity = %self.identity, "lease taken");
                    return;
                }
                Ok(false) => asked(),
                Err(failure) => {
                    let text = failure.to_string();
                    if text != said {
                        tracing::warn!(error = %text, "the lease could not be asked for; trying again");
                        said = text;
                    }
                }
            }
            tokio::time::sleep(self.terms.pause).await;
        }
    }

    /// Renews the lease for as long as that goes well. Returns why it does not any more; the holder must then stop at once.
    pub async fn hold(&mut self) -> String {
        let mut problem = "no answer".to_owned();
        loop {
            let left = self.terms.give_up.saturating_sub(self.renewed.elapsed());
            let turn = async {
                tokio::time::sleep(self.terms.pause).await;
                self.try_acquire().await
            };
            // A call that hangs is not waited for: others would take the lease meanwhile.
            match tokio::time::timeout(left, turn).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) if self.holder() != self.identity => return format!("{} has it now", self.holder()),
                Ok(Ok(false)) => "others wrote it all the time".clone_into(&mut problem),
                Ok(Err(failure)) => {
                    tracing::warn!(%failure, "the lease could not be renewed; trying again");
                    problem = failure.to_string();
                }
                Err(_) => return format!("it could not be renewed for {:?}: {problem}", self.terms.give_up),
            }
        }
    }

    /// Gives the lease back, so that another need not wait for it to run out.
    pub async fn release(mut self) {
        let Some(seen) = self.seen.take() else { return };
        let mut lease = seen.lease;
        if verdict(&lease, &self.identity, Duration::ZERO, &self.terms) != Verdict::Ours {
            return;
        }
        lease["spec"]["holderIdentity"] = json!("");
        lease["spec"]["leaseDurationSeconds"] = json!(1);
        match self.cluster.call(&Call::put(format!("{}/{}", self.collection, self.name), &lease)).await {
            Ok(_) => tracing::info!("lease released"),
            Err(failure) => tracing::warn!(%failure, "the lease was not released; it runs out by itself"),
        }
    }

    /// Takes or renews the lease where that is possible; whether this process has it afterwards.
    async fn try_acquire(&mut self) -> Result<bool, ApiFailure> {
        let asked = Instant::now();
        let path = format!("{}/{}", self.collection, self.name);
        let lease = match self.cluster.call(&Call::get(&path)).await {
            Ok(lease) => lease,
            Err(failure) if failure.kind == Kind::NotFound => {
                let lease = self.next(&json!({"metadata": {"name": self.name}}));
                return self.wrote(asked, self.cluster.call(&Call::post(&self.collection, &lease)).await);
            }
            Err(failure) => return Err(failure),
        };
        // Judged by its content: the version alone also changes when a label does.
        let unchanged = self.seen.as_ref().filter(|s| s.lease["spec"] == lease["spec"]);
        let since = unchanged.map_or_else(Instant::now, |s| s.since);
        self.seen = Some(Seen { lease: lease.clone(), since });
        if verdict(&lease, &self.identity, since.elapsed(), &self.terms) == Verdict::Taken {
            return Ok(false);
        }
        let next = self.next(&lease);
        self.wrote(asked, self.cluster.call(&Call::put(&path, &next)).await)
    }

    fn wrote(&mut self, asked: Instant, answer: Result<Value, ApiFailure>) -> Result<bool, ApiFailure> {
        match answer {
            Ok(lease) => {
                self.seen = Some(Seen { lease, since: Instant::now() });
                self.renewed = asked;
                Ok(true)
            }
            // Somebody else wrote in between: look again at the next turn, and keep what was thought of them.
            Err(failure) if matches!(failure.kind, Kind::Conflict | Kind::AlreadyExists) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// The lease as this process writes it.
    fn next(&self, lease: &Value) -> Value {
        let now = format!("{:.6}", Timestamp::now());
        let spec = &lease["spec"];
        let held = spec["holderIdentity"] == self.identity.as_str();
        let transitions = spec["leaseTransitions"].as_i64().unwrap_or(0);
        let taken_over = !held && spec.is_object();
        let mut metadata = lease["metadata"].clone();
        metadata["annotations"][VERSION_MARK] = json!(VERSION);
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": self.terms.duration.as_secs(),
                "acquireTime": if held { spec["acquireTime"].clone() } else { json!(now) },
                "renewTime": now,
                "leaseTransitions": transitions + i64::from(taken_over),
            },
        })
    }

    fn holder(&self) -> String {
        let holder = self.seen.as_ref().and_then(|s| s.lease.pointer("/spec/holderIdentity")?.as_str());
        holder.filter(|h| !h.is_empty()).unwrap_or("somebody else").to_owned()
    }
}

/// The Lease of the controller that looks after a namespace: the cluster's, or where that one is not live, one of the
/// namespace's own.
///
/// # Errors
/// What the server says of the cluster's, where the namespace has none.
pub async fn of_controller(cluster: &Cluster, namespace: &str) -> Result<Value, ApiFailure> {
    let of_cluster = cluster.lease(CONTROLLER.0, CONTROLLER.1).await;
    if namespace == CONTROLLER.0 || of_cluster.as_ref().is_ok_and(|lease| is_live(lease, Timestamp::now())) {
        return of_cluster;
    }
    match cluster.lease(namespace, CONTROLLER.1).await {
        // Of two that have both fallen silent the cluster's is told of.
        Ok(own) if of_cluster.is_err() || is_live(&own, Timestamp::now()) => Ok(own),
        _ => of_cluster,
    }
}

/// Whether a lease has a holder that renewed it within its duration, by the clock here: for whoever only wants to know.
#[must_use]
pub fn is_live(lease: &Value, now: Timestamp) -> bool {
    let renewed = lease.pointer("/spec/renewTime").and_then(Value::as_str).and_then(|t| t.parse::<Timestamp>().ok());
    let seconds = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_i64).unwrap_or(0);
    renewed.is_some_and(|renewed| now.as_second() - renewed.as_second() <= seconds)
}

/// What can be done with a lease that has not changed for so long.
fn verdict(lease: &Value, identity: &str, unchanged_for: Duration, terms: &Terms) -> Verdict {
    let holder = lease.pointer("/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default();
    let seconds = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_u64);
    let lasts = seconds.map_or(terms.duration, Duration::from_secs);
    match holder {
        holder if holder == identity => Verdict::Ours,
        "" => Verdict::Free,
        _ if unchanged_for >= lasts => Verdict::Free,
        _ => Verdict::Taken,
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;

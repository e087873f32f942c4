//! A simulator of KubeDB's operator, for tests and the demo, on a real API server.
//!
//! KubeDB's operator is not public, and nobody runs databases in a test. So this plays the operator as its documents tell
//! it, KubeDB's PetSet controller, every node's kubelet and the storage; the API server, the scheduler, the garbage
//! collector, the volume binder and the quotas are the real ones. It knows engines from the catalog alone.
//!
//! A database gets its workloads, its status a phase: Provisioning, Ready when all its pods are, NotReady else. Operations
//! run one at a time; a newer request of the same type skips one that has not begun; `apply: IfReady` waits for Ready. An
//! operation acts on the stanza that its type names, and writes the new values into the database only at its end. What
//! somebody writes into the database directly is kept and has no effect on what is there already. Types other than
//! the three scaling ones succeed and do nothing. Arbiters that KubeDB adds on its own are not made.
//!
//! Annotations make things go wrong. On a request they are for it; on a database for all its requests, unless the request
//! says otherwise. All begin with `testbed.dbscale.dev/`:
//!
//! | Annotation          | On                   | Value             | Effect |
//! |---------------------|----------------------|-------------------|--------|
//! | `fail`              | request, database    | a message         | the run fails with this message, reason Failed |
//! | `fail-after`        | request, database    | a number          | … after so many steps (a workload, pod or claim changed); 0 |
//! | `slow`              | request, database    | `5s`, `1m30s`     | the run is Progressing this long before its first step |
//! | `never-start`       | request, database    | `true`            | nobody ever looks at the request: no phase |
//! | `wait-for-approval` | request, database    | `true`            | WaitingForApproval until somebody writes the phase Approved or Denied |
//! | `skip`              | request, database    | `true`            | Skipped |
//! | `lie`               | request, database    | `true`            | Successful without any effect |
//! | `no-pods`           | database             | `true`            | no workloads at all; Ready at once, operations only write the object |
//! | `phase`             | database             | `Critical` …      | its status has this phase, whatever its pods do |
//! | `not-ready`         | database, pod        | `true`, or names  | all pods, or the ones named with commas between, do not become ready |
//! | `infeasible`        | database, pod        | `true`, or names  | … cannot be resized in place: PodResizePending, Infeasible |
//! | `no-resize`         | database, claim      | `true`, or names  | all claims, or the ones named, are not grown |
//!
//! `spec.timeout` of a request is the limit of each step; without it a run waits for ever.
//!
//! Where the catalog has no name for a workload, or the object lacks what the name is made of, one is made up: the
//! database's name, with the component's behind it unless it is the main one, the item's, and the shard's.

mod api;
mod conditions;
mod database;
mod faults;
mod horizontal;
mod json;
mod kubelet;
mod layout;
mod operation;
mod petset;
mod queue;
mod status;
#[cfg(test)]
mod testing;
mod vertical;
mod volume;
mod volumes;
mod watch;
mod world;

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use kube::Client;
use kube::runtime::scheduler::{ScheduleRequest, scheduler};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

use api::Hands;
use world::{Id, Kind};

pub use faults::DOMAIN;
pub use volumes::PROVISIONER;

/// How many objects are looked at in the same moment.
const AT_ONCE: usize = 24;

/// The longest pause before a look that failed is repeated.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The simulator at work. It ends with [`Simulator::stop`] or when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    tasks: Vec<JoinHandle<()>>,
}

impl Simulator {
    /// Starts it on the runtime of the caller. Kinds that are installed later are found within two seconds.
    ///
    /// `client` needs all rights. Whoever holds KubeDB's writes apart from those of people gives it KubeDB's account.
    #[must_use]
    pub fn start(client: Client) -> Self {
        let (sender, receiver) = unbounded_channel();
        let hands = Arc::new(Hands::new(client, sender));
        let watches = tokio::spawn(watch::run(hands.clone()));
        let work = tokio::spawn(work(hands, receiver));
        Self { tasks: vec![watches, work] }
    }

    /// Stops it. A write that was just under way may still arrive.
    pub async fn stop(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // It was just told to end: an error here says only that it did.
            let _ = task.await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Looks at whatever has changed, never twice at the same object in one moment.
async fn work(hands: Arc<Hands>, requests: UnboundedReceiver<ScheduleRequest<Id>>) {
    let requests = stream::unfold(requests, async |mut requests| Some((requests.recv().await?, requests)));
    let mut queue = pin!(scheduler(requests));
    let mut busy: HashSet<Id> = HashSet::new();
    let mut failures: HashMap<Id, u32> = HashMap::new();
    let mut looks = JoinSet::new();
    loop {
        tokio::select! {
            Some(id) = hold_next(queue.as_mut(), &busy), if busy.len() < AT_ONCE => {
                busy.insert(id.clone());
                let hands = hands.clone();
                looks.spawn(async move { (look(&hands, &id).await, id) });
            }
            Some(done) = looks.join_next() => {
                // A look that panics is a bug here; the others go on, and the log of the test shows it.
                let Ok((outcome, id)) = done else { continue };
                busy.remove(&id);
                match outcome {
                    Ok(again) => {
                        failures.remove(&id);
                        if let Some(after) = again {
                            hands.look_at(vec![id], after);
                        }
                    }
                    Err(error) => {
                        let count = failures.entry(id.clone()).or_default();
                        *count += 1;
                        let pause = Duration::from_millis(50 << (*count).min(7)).min(LONGEST_PAUSE);
                        tracing::debug!(?id, %error, ?pause, "a look failed; it is repeated");
                        hands.look_at(vec![id], pause);
                    }
                }
            }
            else => return,
        }
    }
}

type Queue<'q, S> = std::pin::Pin<&'q mut kube::runtime::scheduler::Scheduler<Id, S>>;

/// The next object that nobody is looking at.
async fn hold_next<S>(queue: Queue<'_, S>, busy: &HashSet<Id>) -> Option<Id>
where
    S: futures::Stream<Item = ScheduleRequest<Id>>,
{
    pin!(queue.hold_unless(|id| !busy.contains(id))).next().await
}

async fn look(hands: &Hands, id: &Id) -> Result<Option<Duration>, kube::Error> {
    match id.kind {
        Kind::Database(_) => database::reconcile(hands, id).await,
        Kind::PetSet => petset::reconcile(hands, id).await,
        Kind::Pod => kubelet::reconcile(hands, id).await,
        Kind::Claim => volumes::reconcile_claim(hands, id).await,
        Kind::Volume => volumes::reconcile_volume(hands, id).await,
        Kind::Request(_) | Kind::StatefulSet | Kind::Class => Ok(None),
    }
}

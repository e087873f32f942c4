//! The work queue: one entry for each database that is due, the earliest time wins, and no database is worked on twice in
//! one moment. It is never longer than there are databases.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{FuturesUnordered, unfold};
use futures::{FutureExt as _, StreamExt as _};
use kube::runtime::scheduler::{ScheduleRequest, Scheduler, scheduler};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The first pause before work that failed is repeated; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause before work that failed is repeated.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long work under way may go on once the queue is to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// What is due, and when.
#[derive(Debug)]
pub struct Due<K> {
    waiting: Mutex<HashMap<K, Instant>>,
    notify: Notify,
}

impl<K> Default for Due<K> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), notify: Notify::new() }
    }
}

impl<K: Eq + Hash> Due<K> {
    /// This is due now.
    pub fn now(&self, key: K) {
        self.at(key, Instant::now());
    }

    /// This is due then, or earlier where that was said before.
    pub fn at(&self, key: K, at: Instant) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(key).and_modify(|known| *known = at.min(*known)).or_insert(at);
        drop(waiting);
        self.notify.notify_one();
    }

    /// Whatever was said to be due since the last time; waits until there is something.
    async fn take(&self) -> HashMap<K, Instant> {
        loop {
            let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !waiting.is_empty() {
                return waiting;
            }
            self.notify.notified().await;
        }
    }
}

#[cfg(test)]
impl<K: Eq + Hash> Due<K> {
    /// Whatever was said to be due since the last time.
    pub(crate) fn taken(&self) -> Vec<K> {
        std::mem::take(&mut *self.waiting.lock().unwrap()).into_keys().collect()
    }
}

/// What follows from a piece of work.
#[derive(Debug)]
pub enum Next {
    /// Nothing until something changes.
    Rest,
    /// Look again after this time.
    Again(Duration),
    /// It failed; it is repeated after a pause that grows.
    Failed,
}

/// Works on what is due, at most `at_once` in one moment, until `stop`.
pub async fn run<K, F>(due: &Due<K>, at_once: usize, stop: &CancellationToken, work: impl Fn(K) -> F)
where
    K: Eq + Hash + Clone + std::fmt::Debug,
    F: Future<Output = Next>,
{
    let requests = unfold(Vec::new(), async |mut ready: Vec<ScheduleRequest<K>>| {
        if ready.is_empty() {
            let taken = due.take().await;
            ready.extend(taken.into_iter().map(|(message, run_at)| ScheduleRequest { message, run_at }));
        }
        Some((ready.pop()?, ready))
    });
    let mut queue = pin!(scheduler(requests));
    let mut busy: HashSet<K> = HashSet::new();
    let mut failures: HashMap<K, u32> = HashMap::new();
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(key) = next(queue.as_mut(), &busy), if busy.len() < at_once.max(1) => {
                busy.insert(key.clone());
                running.push(work(key.clone()).map(move |next| (key, next)));
            }
            Some((key, next)) = running.next() => {
                busy.remove(&key);
                match next {
                    Next::Rest => drop(failures.remove(&key)),
                    Next::Again(after) => {
                        failures.remove(&key);
                        due.at(key, Instant::now() + after);
                    }
                    Next::Failed => {
                        let count = failures.entry(key.clone()).or_default();
                        let pause = pause(*count);
                        *count += 1;
                        due.at(key, Instant::now() + pause);
                    }
                }
            }
        }
    }
    let rest = async { while running.next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, rest).await.is_err() {
        tracing::warn!("work under way was cut off: it took longer than {} s", DRAIN.as_secs());
    }
}

/// The next one that is due and that nobody is working on.
async fn next<K, S>(queue: std::pin::Pin<&mut Scheduler<K, S>>, busy: &HashSet<K>) -> Option<K>
where
    K: Eq + Hash + Clone,
    S: futures::Stream<Item = ScheduleRequest<K>>,
{
    pin!(queue.hold_unless(|key| !busy.contains(key))).next().await
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// Runs a queue until it has nothing more to do for a day; answers what was worked on, and after how many seconds.
    async fn worked(due: &Due<u32>, at_once: usize, next: impl Fn(u32, usize) -> Next) -> Vec<(u32, u64)> {
        let (began, log) = (Instant::now(), RefCell::new(Vec::new()));
        let stop = CancellationToken::new();
        let work = run(due, at_once, &stop, |key| {
            log.borrow_mut().push((key, began.elapsed().as_secs()));
            let before = log.borrow().iter().filter(|(k, _)| *k == key).count();
            let next = next(key, before);
            async move { next }
        });
        let _ = tokio::time::timeout(Duration::from_secs(86_400), work).await;
        log.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn one_entry_each_and_the_earliest_time_wins() {
        let due = Due::default();
        due.at(1, Instant::now() + Duration::from_secs(60));
        due.at(1, Instant::now() + Duration::from_secs(10));
        due.at(1, Instant::now() + Duration::from_secs(30));
        assert_eq!(worked(&due, 1, |_, _| Next::Rest).await, [(1, 10)]);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_repeated_after_a_growing_pause() {
        let due = Due::default();
        due.now(1);
        let done = worked(&due, 1, |_, before| if before < 9 { Next::Failed } else { Next::Rest }).await;
        let gaps: Vec<u64> = done.windows(2).map(|w| w[1].1 - w[0].1).collect();
        assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_is_looked_at_again_when_it_says_so() {
        let due = Due::default();
        due.now(1);
        let again = |_, before| if before == 1 { Next::Again(Duration::from_secs(600)) } else { Next::Rest };
        assert_eq!(worked(&due, 1, again).await, [(1, 0), (1, 600)]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_in_one_moment_and_never_the_same_twice() {
        let due = Due::default();
        let (now, most) = (RefCell::new(HashSet::new()), Cell::new(0));
        (0..20).for_each(|key| due.now(key));
        let stop = CancellationToken::new();
        let work = run(&due, 4, &stop, |key| {
            assert!(now.borrow_mut().insert(key), "{key} is worked on already");
            most.set(most.get().max(now.borrow().len()));
            due.now(key); // it changes while it is worked on
            let now = &now;
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                now.borrow_mut().remove(&key);
                Next::Rest
            }
        });
        let _ = tokio::time::timeout(Duration::from_secs(60), work).await;
        assert_eq!(most.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn work_under_way_ends_before_the_queue_does() {
        let due = Due::default();
        due.now(1);
        let (stop, done) = (CancellationToken::new(), Cell::new(false));
        run(&due, 1, &stop, |_| {
            stop.cancel();
            async {
                tokio::time::sleep(Duration::from_secs(5)).await;
                done.set(true);
                Next::Rest
            }
        })
        .await;
        assert!(done.get());
    }
}

//! How the databases of a cluster stand to its scaling policies, kept in the status of each.
//!
//! A database is looked at again when it, its namespace or a policy has changed; what was found of the others is kept. So a
//! change costs what one database does, and a policy's own change costs a look at each, in pieces.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use dbscale_cluster::{ApiFailure, Cluster, Kind};
use dbscale_core::catalog::Engine;
use dbscale_core::database::Database;
use dbscale_core::record::GROUP;
use dbscale_core::scaling_policy::{
    Active, Breach, KIND, MOST_NAMED, Outside, PLURAL, ScalingPolicy, Standing, Status, VERSION, labels_of,
};
use serde_json::{Value, json};

use crate::metrics::Metrics;
use crate::reconcile::{now, write};
use crate::report;
use crate::store::{Facts, Key, KnownPolicy, Stale, Store, engine_of};

/// How long changes are gathered before they are looked at: the status of a policy is written no oftener than this.
const GATHER: Duration = Duration::from_secs(2);
/// The pause before a status that could not be written is tried again.
const AGAIN: Duration = Duration::from_secs(30);
/// After how many databases others may have the processor.
const PIECE: usize = 100;

/// The look at one cluster.
pub struct Census {
    /// The cluster's name in logs.
    pub name: String,
    /// The cluster.
    pub cluster: Cluster,
    /// What is known of it.
    pub store: Arc<Store>,
    /// This process, for Events.
    pub identity: String,
    /// What is counted.
    pub metrics: Metrics,
}

/// What was found of each database that a policy covers.
#[derive(Debug, Default)]
struct Found {
    /// The policies that were looked at, in the order of their names; a database names them by their place.
    policies: Vec<Arc<ScalingPolicy>>,
    databases: HashMap<Key, Stands>,
}

/// How a database stands to the policies that cover it.
#[derive(Debug)]
struct Stands {
    /// Whether it is there; OpsRequests may be without it.
    is_there: bool,
    /// The policies, by their place, and what of each it breaks.
    policies: Vec<(usize, Vec<Breach>)>,
    /// Its OpsRequests that count against limits of operations.
    active: Vec<String>,
}

impl Census {
    /// Keeps the statuses, for ever.
    pub async fn run(&self) {
        let mut found = Found::default();
        let mut failed = false;
        let mut suspected = HashSet::new();
        loop {
            let changed = self.store.standing.notified();
            if failed {
                let _ = tokio::time::timeout(AGAIN, changed).await;
            } else {
                changed.await;
            }
            tokio::time::sleep(GATHER).await;
            let Some((policies, Stale { all, databases })) = self.store.stale() else {
                self.metrics.stands(&self.name, 0, 0); // their definition may have been taken away
                continue;
            };
            if all {
                found = Found::of(&policies);
            }
            let databases: Vec<Key> = databases.into_iter().collect();
            for piece in databases.chunks(PIECE) {
                found.look(&self.store, piece);
                tokio::task::yield_now().await;
            }
            failed = !self.tell(&found, &policies, &mut suspected).await;
        }
    }

    /// Writes the statuses that are to say something else; answers whether all could be.
    ///
    /// A limit of operations counts as exceeded where it is so in two looks: each kind has a watch of its own, and one may
    /// tell of what has begun before another tells of what had ended. `suspected` are the policies whose limit was in the last.
    async fn tell(&self, found: &Found, policies: &[KnownPolicy], suspected: &mut HashSet<Box<str>>) -> bool {
        let unread: Vec<&Engine> = self.store.unread().into_iter().filter_map(engine_of).collect();
        let mut standings = found.standings();
        let (mut well, mut exceeded) = (true, HashSet::new());
        for policy in policies {
            let standing = match &policy.read {
                Err(unreadable) => Err(unreadable),
                Ok(read) if unread.iter().any(|engine| read.names(engine)) => continue,
                Ok(read) => match found.policies.iter().position(|looked| looked == read) {
                    Some(place) => {
                        let standing = &mut standings[place];
                        if standing.exceeded.as_ref().is_some_and(|told| !told.is_empty()) {
                            exceeded.insert(policy.name.clone());
                            if !policy.status.is_exceeded() && !suspected.contains(&policy.name) {
                                standing.exceeded = Some(Vec::new());
                                self.store.standing.notify_one();
                            }
                        }
                        Ok(&*standing)
                    }
                    None => continue, // it has changed since, and is looked at again
                },
            };
            let next = Status::next(standing, policy.generation, &policy.status, now());
            if next == policy.status {
                continue;
            }
            match self.write(policy, &next).await {
                Ok(written) => {
                    self.store.wrote_policy(&written);
                    if next.is_exceeded() && !policy.status.is_exceeded() {
                        report::exceeded(&self.cluster, &self.name, &self.identity, policy, &next).await;
                    }
                }
                // It is gone, or another has its name.
                Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::Conflict) => {}
                Err(failure) => {
                    well = false;
                    let policy = &*policy.name;
                    tracing::warn!(cluster = self.name, policy, %failure, "the status of a policy could not be written");
                }
            }
        }
        self.metrics.stands(&self.name, exceeded.len(), found.outside());
        *suspected = exceeded;
        well
    }

    async fn write(&self, policy: &KnownPolicy, status: &Status) -> Result<Value, ApiFailure> {
        let path = format!("/apis/{GROUP}/{VERSION}/{PLURAL}/{}/status", policy.name);
        let object = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "kind": KIND,
            "metadata": {"name": policy.name, "uid": policy.uid},
            "status": status,
        });
        self.cluster.apply(&path, &object, &write()).await
    }
}

impl Found {
    /// Nothing yet, of these policies.
    fn of(policies: &[KnownPolicy]) -> Self {
        let readable = policies.iter().filter_map(|policy| policy.read.as_ref().ok().cloned());
        Self { policies: readable.collect(), databases: HashMap::new() }
    }

    /// Looks at databases. One that no policy covers, or that is gone, is forgotten.
    fn look(&mut self, store: &Store, databases: &[Key]) {
        if self.policies.is_empty() {
            return;
        }
        for key in databases {
            match store.facts(key).and_then(|facts| self.judged(key, facts)) {
                Some(stands) => drop(self.databases.insert(key.clone(), stands)),
                None => drop(self.databases.remove(key)),
            }
        }
    }

    /// How a database stands; `None` where no policy covers it.
    fn judged(&self, key: &Key, facts: Facts) -> Option<Stands> {
        let engine = engine_of(key.engine)?;
        // One that is not there has no labels, as the webhook counts its OpsRequests.
        let labels = facts.object.as_ref().map(labels_of).unwrap_or_default();
        let covers = |policy: &ScalingPolicy| policy.reaches(engine, &facts.namespace) && policy.selects(&labels);
        let mut covering = self.policies.iter().enumerate().filter(|(_, policy)| covers(policy)).peekable();
        covering.peek()?;
        let database = facts.object.as_ref().map(|object| Database::of(engine, object));
        let breaches = |policy: &ScalingPolicy| database.as_ref().map(|d| policy.breaches(d)).unwrap_or_default();
        Some(Stands {
            policies: covering.map(|(place, policy)| (place, breaches(policy))).collect(),
            is_there: database.is_some(),
            active: facts.active,
        })
    }

    /// How the databases stand to each policy.
    fn standings(&self) -> Vec<Standing> {
        let mut standings = vec![Standing::default(); self.policies.len()];
        let mut outside = vec![Vec::new(); self.policies.len()];
        let mut active = vec![Active::new(); self.policies.len()];
        for (key, stands) in &self.databases {
            for (place, breaches) in &stands.policies {
                standings[*place].covers += u32::from(stands.is_there);
                if !breaches.is_empty() {
                    standings[*place].outside += 1;
                    outside[*place].push((key, breaches));
                }
                if !stands.active.is_empty() {
                    let there = active[*place].entry(key.namespace.to_string()).or_default();
                    there.extend(stands.active.iter().cloned());
                }
            }
        }
        for (place, standing) in standings.iter_mut().enumerate() {
            let outside = &mut outside[place];
            outside.sort_unstable_by_key(|(key, _)| *key);
            let named = outside.iter().take(MOST_NAMED).map(|(key, breaks)| Outside {
                engine: key.engine.to_owned(),
                namespace: key.namespace.to_string(),
                name: key.name.to_string(),
                breaks: (*breaks).clone(),
            });
            standing.named = named.collect();
            active[place].values_mut().for_each(|names| names.sort_unstable());
            standing.exceeded = self.policies[place].spec.operations.map(|limits| limits.exceeded(&active[place]));
        }
        standings
    }

    /// How many databases are outside of the bounds of a policy.
    fn outside(&self) -> usize {
        let outside = |stands: &&Stands| stands.policies.iter().any(|(_, breaches)| !breaches.is_empty());
        self.databases.values().filter(outside).count()
    }
}

#[cfg(test)]
#[path = "census_tests.rs"]
mod tests;

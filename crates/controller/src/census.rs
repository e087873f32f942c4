//! How the databases of a cluster stand to its scaling policies, kept in the status of each.
//!
//! A database is looked at again when it, its namespace or a policy has changed; what was found of the others is kept. So a
//! change costs what one database does, and a policy's own change costs a look at each, in pieces.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dbscale_cluster::{ApiFailure, Cluster, Kind};
use dbscale_core::catalog::Engine;
use dbscale_core::database::Database;
use dbscale_core::record::GROUP;
use dbscale_core::scaling_policy::{
    Breach, KIND, MOST_NAMED, Outside, PLURAL, ScalingPolicy, Standing, Status, VERSION, labels_of,
};
use serde_json::{Value, json};

use crate::reconcile::{now, write};
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
}

/// What was found of each database that a policy covers.
#[derive(Debug, Default)]
struct Found {
    /// The policies that were looked at, in the order of their names; a database names them by their place.
    policies: Vec<Arc<ScalingPolicy>>,
    databases: HashMap<Key, Vec<(usize, Vec<Breach>)>>,
}

impl Census {
    /// Keeps the statuses, for ever.
    pub async fn run(&self) {
        let mut found = Found::default();
        let mut failed = false;
        loop {
            let changed = self.store.standing.notified();
            if failed {
                let _ = tokio::time::timeout(AGAIN, changed).await;
            } else {
                changed.await;
            }
            tokio::time::sleep(GATHER).await;
            let Some(policies) = self.store.policies() else { continue };
            let Stale { all, databases } = self.store.stale();
            if all {
                found = Found::of(&policies);
            }
            let databases: Vec<Key> = databases.into_iter().collect();
            for piece in databases.chunks(PIECE) {
                found.look(&self.store, piece);
                tokio::task::yield_now().await;
            }
            failed = !self.tell(&found, &policies).await;
        }
    }

    /// Writes the statuses that are to say something else; answers whether all could be.
    async fn tell(&self, found: &Found, policies: &[KnownPolicy]) -> bool {
        let unread: Vec<&Engine> = self.store.unread().into_iter().filter_map(engine_of).collect();
        let standings = found.standings();
        let mut well = true;
        for policy in policies {
            let standing = match &policy.read {
                Err(unreadable) => Err(unreadable),
                Ok(read) if unread.iter().any(|engine| read.names(engine)) => continue,
                Ok(read) => match found.policies.iter().position(|looked| looked == read) {
                    Some(place) => Ok(&standings[place]),
                    None => continue, // it has changed since, and is looked at again
                },
            };
            let next = Status::next(standing, policy.generation, &policy.status, now());
            if next == policy.status {
                continue;
            }
            match self.write(policy, &next).await {
                Ok(written) => self.store.wrote_policy(&written),
                // It is gone, or another has its name.
                Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::Conflict) => {}
                Err(failure) => {
                    well = false;
                    let policy = &*policy.name;
                    tracing::warn!(cluster = self.name, policy, %failure, "the status of a policy could not be written");
                }
            }
        }
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
            match store.facts(key).and_then(|facts| self.judged(key, &facts)) {
                Some(stands) => drop(self.databases.insert(key.clone(), stands)),
                None => drop(self.databases.remove(key)),
            }
        }
    }

    /// The policies that cover a database, and what of each it breaks; `None` where none does.
    fn judged(&self, key: &Key, facts: &Facts) -> Option<Vec<(usize, Vec<Breach>)>> {
        let (engine, object) = (engine_of(key.engine)?, facts.object.as_ref()?);
        let labels = labels_of(object);
        let covers = |policy: &ScalingPolicy| policy.reaches(engine, &facts.namespace) && policy.selects(&labels);
        let mut covering = self.policies.iter().enumerate().filter(|(_, policy)| covers(policy)).peekable();
        covering.peek()?;
        let database = Database::of(engine, object);
        Some(covering.map(|(place, policy)| (place, policy.breaches(&database))).collect())
    }

    /// How the databases stand to each policy.
    fn standings(&self) -> Vec<Standing> {
        let mut standings = vec![Standing::default(); self.policies.len()];
        let mut outside = vec![Vec::new(); self.policies.len()];
        for (key, stands) in &self.databases {
            for (place, breaches) in stands {
                standings[*place].covers += 1;
                if !breaches.is_empty() {
                    standings[*place].outside += 1;
                    outside[*place].push((key, breaches));
                }
            }
        }
        for (standing, mut outside) in standings.iter_mut().zip(outside) {
            outside.sort_unstable_by_key(|(key, _)| *key);
            let named = outside.into_iter().take(MOST_NAMED).map(|(key, breaks)| Outside {
                engine: key.engine.to_owned(),
                namespace: key.namespace.to_string(),
                name: key.name.to_string(),
                breaks: breaks.clone(),
            });
            standing.named = named.collect();
        }
        standings
    }
}

#[cfg(test)]
#[path = "census_tests.rs"]
mod tests;

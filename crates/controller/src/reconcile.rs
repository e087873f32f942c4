//! One look at one database: what is seen goes through the pure core, and what follows is done. Every step may be cut off
//! anywhere and done again: writes are applied on the server's side or named by what they are for.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dbscale_cluster::apply::{Created, Write};
use dbscale_cluster::read::operations_path;
use dbscale_cluster::{ApiFailure, Cluster, Kind};
use dbscale_core::database::Database;
use dbscale_core::facts::ClaimFact;
use dbscale_core::record::{
    self, Notice, Observation, Past, Present, Request, Rollback, RollbackState, Status, Told, observe,
};
use dbscale_core::scaling_policy::WayBack;
use dbscale_core::{retention, rollback};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::metrics::Metrics;
use crate::queue::Next;
use crate::settings::Settings;
use crate::store::{Key, Store, View, engine_of};
use crate::{grow, look, report};

/// The field manager of all that the controller writes.
pub const MANAGER: &str = "dbscale-controller";

/// The longest time between two looks at a database that waits for something.
const LONGEST: Duration = Duration::from_secs(3600);

/// The rules that soon may say otherwise: a rollback that they alone refuse is asked for again.
const MOMENTARY: [&str; 2] = ["lookup/failed", "operation/active"];

/// What the work on one cluster needs.
#[derive(Clone)]
pub struct Worker {
    /// The cluster's name in logs and metrics.
    pub name: String,
    /// The cluster.
    pub cluster: Cluster,
    /// What is known of it.
    pub store: Arc<Store>,
    /// What a person chose.
    pub settings: Settings,
    /// This process, for Events.
    pub identity: String,
    /// What is counted.
    pub metrics: Metrics,
    /// What was told, by UID, when nobody knew whether the record was written.
    pub unsure: Arc<Mutex<HashSet<(String, Notice)>>>,
}

impl Worker {
    /// Looks at a database, and says when to look again.
    pub async fn reconcile(&self, key: Key) -> Next {
        let Some(view) = self.store.view(&key) else { return Next::Rest };
        match self.look(&key, &view).await {
            Ok(again) => {
                self.metrics.reconciled(&self.name, key.engine, true);
                again.map_or(Next::Rest, Next::Again)
            }
            // Nothing can be written there any more, and nobody will read it.
            Err(failure) if is_of_the_end(&failure) => Next::Rest,
            Err(failure) => {
                self.metrics.reconciled(&self.name, key.engine, false);
                if failure.kind == Kind::Conflict {
                    tracing::debug!(cluster = self.name, database_id = %key, %failure, "it changed meanwhile");
                } else {
                    tracing::warn!(cluster = self.name, database_id = %key, %failure, "a look failed; it is repeated");
                }
                Next::Failed
            }
        }
    }

    async fn look(&self, key: &Key, view: &View) -> Result<Option<Duration>, ApiFailure> {
        let Some(engine) = engine_of(key.engine) else { return Ok(None) };
        if view.object.pointer("/metadata/deletionTimestamp").is_some() {
            return Ok(None); // its record goes with it
        }
        let database = Database::of(engine, &view.object);
        let claims = grow::claims_of(&database, view);
        let grown = grow::grow(&self.cluster, &write(), self.settings.grow, &database, view, &claims).await;

        let settings = self.settings.with(&view.upkeep);
        let nothing = Arc::default();
        let recorded = view.recorded.as_ref().map_or(&nothing, |r| &r.status);
        let read_back = view.recorded.as_ref().is_some_and(|r| r.read_back);
        let mut present = Present {
            database: &database,
            requests: view.requests.iter().map(Arc::as_ref).collect(),
            looks: BTreeMap::new(),
            volumes: grown.volumes,
            rollbacks: BTreeMap::new(),
            way_back: view.upkeep.way_back.clone(),
        };
        if read_back && view.upkeep_known {
            present.rollbacks = self.roll_back(&present, view, recorded).await?;
        }
        let seen = self.observe(&mut present, view, recorded, &claims, &settings.record).await?;
        if seen.status != **recorded || view.recorded.is_none() {
            // Before the record forgets them: rather written twice than not at all.
            seen.archived.iter().for_each(|past| report::archive(&self.name, key, past));
            let written = self.record(key, &database, &seen.status, view.recorded.is_some()).await;
            // A write that nobody answered may have been made, and then nothing is left to tell at the next look.
            if written.as_ref().err().is_none_or(ApiFailure::is_open) {
                self.tell(&database, &seen.told, written.is_ok()).await;
            }
            written?;
        } else if read_back && view.upkeep_known {
            self.retire(&database, &present.requests, recorded, &settings.retention).await?;
        }
        if let Some(failure) = grown.again {
            return Err(failure); // all else is done; the claims are asked again after a pause
        }
        let too_old = retention::next_too_old(&present.requests, &settings.retention, now());
        let wait = seen.recheck.into_iter().chain(too_old).min().map(|at| at.duration_since(now()));
        Ok(wait.map(|wait| wait.unsigned_abs().min(LONGEST).max(Duration::from_millis(100))))
    }

    /// What follows, with a look at the effects where one is due.
    async fn observe(
        &self,
        present: &mut Present<'_>,
        view: &View,
        recorded: &Status,
        claims: &[ClaimFact],
        settings: &record::Settings,
    ) -> Result<Observation, ApiFailure> {
        let now = now();
        let seen = observe(present, recorded, settings, now);
        if seen.looks.is_empty() {
            return Ok(seen);
        }
        match look::effects(&self.cluster, present.database, view, claims, &seen.looks).await {
            Ok(looks) => {
                present.looks = looks;
                Ok(observe(present, recorded, settings, now))
            }
            // The look is an extra; without the right to it the record still follows the phases.
            Err(failure) if failure.kind == Kind::Forbidden => {
                tracing::warn!(cluster = self.name, %failure, "effects are not looked at");
                Ok(seen)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Tells what has happened, each once; `certain` tells whether the record is known to have been written, so that none
    /// of it comes again.
    async fn tell(&self, database: &Database, all: &[Told], certain: bool) {
        for told in all {
            let what = (told.uid.clone(), told.notice);
            let new = {
                let mut unsure = self.unsure.lock().unwrap_or_else(PoisonError::into_inner);
                is_news(&mut unsure, what, certain)
            };
            if new {
                report::tell(&self.cluster, &self.name, &self.identity, &self.metrics, database, told).await;
            }
        }
    }

    /// Writes the record; `known` tells whether it is thought to be there.
    async fn record(&self, key: &Key, database: &Database, status: &Status, known: bool) -> Result<(), ApiFailure> {
        let mut object = record::object(database);
        let name = record::name(&database.engine.name, &database.name);
        let path = format!(
            "/apis/{}/{}/namespaces/{}/{}/{name}",
            record::GROUP,
            record::VERSION,
            database.namespace,
            record::PLURAL
        );
        let with_status = json!({
            "apiVersion": object["apiVersion"],
            "kind": object["kind"],
            "metadata": {"name": name, "namespace": database.namespace},
            "status": status,
        });
        let status_path = format!("{path}/status");
        object["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "dbscale"});
        if !known {
            self.cluster.apply(&path, &object, &write()).await?;
        }
        let written = match self.cluster.apply(&status_path, &with_status, &write()).await {
            Err(failure) if failure.kind == Kind::NotFound => {
                self.cluster.apply(&path, &object, &write()).await?;
                self.cluster.apply(&status_path, &with_status, &write()).await?
            }
            answer => answer?,
        };
        self.store.wrote(key, &written);
        Ok(())
    }

    /// Makes the requests of rollbacks that the record has planned; answers what came of each, by the failed request's UID.
    async fn roll_back(
        &self,
        present: &Present<'_>,
        view: &View,
        recorded: &Status,
    ) -> Result<BTreeMap<String, Rollback>, ApiFailure> {
        let mut done = BTreeMap::new();
        for (past, planned) in recorded.history.iter().filter_map(planned) {
            if present.requests.iter().any(|r| *r.name == *planned.name) {
                continue; // it was made before; the record follows
            }
            if let Some((WayBack::Never, policy)) = &present.way_back {
                done.insert(past.uid.clone(), rollback::forbidden(policy));
                continue;
            }
            let Some(failed) = present.requests.iter().find(|r| *r.uid == *past.uid) else {
                done.insert(past.uid.clone(), declined("the failed OpsRequest is gone".to_owned()));
                continue;
            };
            let pods = look::pods(&self.cluster, present.database, view).await?;
            let settled = now().duration_since(past.ended_at) >= self.settings.record.grace;
            let noted_before = recorded.noted_before(&past.uid);
            let around = rollback::Around { requests: &present.requests, noted_before: &noted_before };
            let next = rollback::next(present.database, failed, around, planned, pods.as_deref(), settled);
            let after = match next {
                rollback::Next::Wait => continue,
                rollback::Next::Decline(message) => declined(message),
                rollback::Next::Create(object) => match self.make(present.database, planned, &object).await? {
                    Some(after) => after,
                    None => continue,
                },
            };
            done.insert(past.uid.clone(), after);
        }
        Ok(done)
    }

    /// Creates the OpsRequest of a rollback; `None` where it was refused for now.
    async fn make(
        &self,
        database: &Database,
        planned: &Rollback,
        object: &Value,
    ) -> Result<Option<Rollback>, ApiFailure> {
        let path = operations_path(database.engine, Some(&database.namespace));
        match self.cluster.create(&path, object, &write()).await {
            Ok(Created::Ours(_)) => Ok(Some(rollback::follow(planned, true))),
            Ok(Created::Taken) => Ok(Some(declined(format!("another OpsRequest is called {}", planned.name)))),
            Err(refused) if is_momentary(&refused) => {
                tracing::debug!(cluster = self.name, %refused, "the rollback waits");
                Ok(None)
            }
            // A rule, a policy or the schema: asking again would be refused again.
            Err(refused) if matches!(refused.kind, Kind::Refused | Kind::Invalid) => {
                Ok(Some(declined(format!("the API server refused {}: {}", planned.name, refused.message))))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Deletes finished OpsRequests that need not stay. `recorded` is what the server keeps.
    async fn retire(
        &self,
        database: &Database,
        requests: &[&Request],
        recorded: &Status,
        policy: &retention::Policy,
    ) -> Result<(), ApiFailure> {
        let collection = operations_path(database.engine, Some(&database.namespace));
        let mut last = Ok(());
        for request in retention::deletable(requests, recorded, policy, now()) {
            let path = format!("{collection}/{}", request.name);
            let deleted = self.cluster.delete(&path, &request.uid, &request.resource_version, &write()).await;
            // One that cannot be deleted keeps no other.
            let deleted = deleted.unwrap_or_else(|failure| {
                last = Err(failure);
                false
            });
            if deleted {
                self.metrics.deleted(&self.name, database.engine);
                tracing::info!(
                    event = "ops_request_deleted",
                    cluster = self.name,
                    database_id = format!("{}/{}/{}", database.engine.name, database.namespace, database.name),
                    ops_request_name = &*request.name,
                    ops_type = &*request.ops_type,
                    "it need not stay, and the record holds it"
                );
            }
        }
        last
    }
}

/// Whether a thing is to be told: not again where it was told when nobody knew whether the record was written.
fn is_news(unsure: &mut HashSet<(String, Notice)>, what: (String, Notice), certain: bool) -> bool {
    if certain { !unsure.remove(&what) } else { unsure.insert(what) }
}

fn declined(message: String) -> Rollback {
    Rollback { name: String::new(), state: RollbackState::Declined, message }
}

/// Whether a refusal is by [`MOMENTARY`] rules alone.
fn is_momentary(failure: &ApiFailure) -> bool {
    let rules = failure.rules();
    let passes = |rule: &String| MOMENTARY.contains(&rule.as_str());
    failure.kind == Kind::Refused && !rules.is_empty() && rules.iter().all(passes)
}

/// Whether a write was refused because its namespace is being deleted.
fn is_of_the_end(failure: &ApiFailure) -> bool {
    failure.kind == Kind::NotAllowed && failure.message.contains("because it is being terminated")
}

/// The time as Kubernetes writes it, in whole seconds: what is compared with an object's times is cut as they are.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// How the controller writes.
pub(crate) fn write() -> Write {
    Write { dry_run: false, field_manager: MANAGER.to_owned() }
}

fn planned(past: &Past) -> Option<(&Past, &Rollback)> {
    let rollback = past.rollback.as_ref().filter(|r| r.state == RollbackState::Planned)?;
    Some((past, rollback))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_ends_is_no_failure() {
        let message = "scalingrecords.dbscale.dev \"mongodb-db\" is forbidden: unable to create new content in namespace \
            demo because it is being terminated";
        let of = |message: &str| {
            let body = json!({"reason": "Forbidden", "message": message});
            ApiFailure::of("PATCH /apis/dbscale.dev/v1alpha1", 403, body.to_string().as_bytes())
        };
        assert!(is_of_the_end(&of(message)));
        assert!(!is_of_the_end(&of("scalingrecords.dbscale.dev is forbidden: User \"u\" cannot patch resource")));
    }

    #[test]
    fn what_was_told_without_an_answer_is_not_told_again() {
        let mut unsure = HashSet::new();
        let mut tell = |uid: &str, certain| is_news(&mut unsure, (uid.to_owned(), Notice::Failed), certain);
        assert!(tell("one", false), "the write may have been made, and then nobody tells it later");
        assert!(!tell("one", false), "the write is tried again");
        assert!(!tell("one", true), "and now it is there");
        assert!(tell("other", true));
    }

    #[rstest::rstest]
    #[case::another_runs("[operation/active] r runs", true)]
    #[case::nothing_could_be_looked_up("[lookup/failed] no answer; [operation/active] r runs", true)]
    #[case::a_rule_that_stays("[operation/active] r runs; [replicas/minimum] 0 is too few", false)]
    #[case::somebody_elses("no", false)]
    fn refusals_that_pass(#[case] said: &str, #[case] momentary: bool) {
        let body = json!({"message": format!("admission webhook \"w\" denied the request: {said}")});
        assert_eq!(is_momentary(&ApiFailure::of("POST /x", 403, body.to_string().as_bytes())), momentary);
    }
}

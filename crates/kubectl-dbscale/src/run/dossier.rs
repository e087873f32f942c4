//! Everything that is known of one database: the object, its OpsRequests, its workloads, claims and pods, and its record.

use std::time::Instant;

use dbscale_cluster::{ApiFailure, Cluster, Kind};
use dbscale_core::database::Database;
use dbscale_core::effect::{self, PodFact};
use dbscale_core::facts::Facts;
use dbscale_core::growth::Volumes;
use dbscale_core::record::{DELETED, Past, Present, Request, Settings, Status, observe};
use jiff::Timestamp;
use serde_json::Value;

use super::find::Found;
use super::records::{self, Recorded};
use super::{Subject, failure, present};
use crate::outcome::Failure;
use crate::status::survey::{self, Seen};
use crate::target::Target;

/// One database with all that belongs to it. What may not be read is missing, and the subject's warnings say so.
pub struct Dossier {
    /// The database, its OpsRequests and its claims.
    pub seen: Seen,
    /// The database with what the rules look at.
    pub subject: Subject,
    /// Its pods; `None` where they are not known.
    pub pods: Option<Vec<PodFact>>,
    /// The quotas of its namespace; none where they may not be read.
    pub quotas: Vec<Value>,
    /// Its record.
    pub record: Recorded,
}

/// Reads all of one database that is named.
///
/// # Errors
/// Where it is missing, or the database or its OpsRequests cannot be read.
pub async fn read(cluster: &Cluster, target: &Target, namespace: &str) -> Result<Dossier, Failure> {
    let mut survey = survey::databases(cluster, std::slice::from_ref(target), Some(namespace), None).await?;
    let Some(mut seen) = survey.seen.pop() else {
        // A survey of one database that it does not find fails.
        return Err(failure::usage(format!("{} names no database", target.engine.name)));
    };
    let mut subject = Subject {
        engine: target.engine,
        namespace: seen.database.namespace.clone(),
        name: seen.database.name.clone(),
        object: seen.object.clone(),
        facts: Facts {
            operations: seen.requests.iter().map(|found| found.operation.clone()).collect(),
            database: seen.database.clone().into(),
            ..Facts::default()
        },
        claims_known: false,
        found: Vec::new(),
        read_at: Instant::now(),
        warnings: Vec::new(),
    };
    let pods_path = format!("/api/v1/namespaces/{namespace}/pods");
    let quotas_path = format!("/api/v1/namespaces/{namespace}/resourcequotas");
    let selector = effect::selector(&seen.database, &seen.object);
    let (pods, quotas, record, ()) = futures::join!(
        cluster.list(&pods_path, Some(&selector)),
        cluster.list(&quotas_path, None),
        records::one(cluster, target.engine, namespace, &seen.database.name),
        present::surroundings(cluster, true, 1, std::slice::from_mut(&mut subject)),
    );
    let pods = known(pods, "pods", &mut subject.warnings);
    let pods = pods.map(|pods| effect::pods_of(&seen.database, &seen.object, &pods));
    seen.claims.clone_from(&subject.facts.claims);
    Ok(Dossier { seen, subject, pods, quotas: quotas.unwrap_or_default(), record })
}

fn known(list: Result<Vec<Value>, ApiFailure>, what: &str, warnings: &mut Vec<String>) -> Option<Vec<Value>> {
    list.inspect_err(|failure| {
        if failure.kind != Kind::NotInstalled {
            warnings.push(format!("{what} could not be read, so they are not compared: {}", failure.message));
        }
    })
    .ok()
}

impl Dossier {
    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.seen.database
    }

    /// What has ended, the newest first: what the record holds, and what has ended since. Without a record, of the
    /// OpsRequests that are still there.
    #[must_use]
    pub fn history(&self) -> Vec<Past> {
        let read = |found: &Found| Request::of(found.engine, &found.object);
        let requests: Vec<Request> = self.seen.requests.iter().filter_map(read).collect();
        let present = Present {
            database: self.database(),
            requests: requests.iter().collect(),
            looks: std::collections::BTreeMap::new(),
            volumes: Volumes::Unknown,
            rollbacks: std::collections::BTreeMap::new(),
            // Only the controller goes by it, and what it decides stands in the record.
            way_back: None,
        };
        let none = Status::default();
        // Only told here: nothing falls out of it.
        let settings = Settings { history: usize::MAX, ..Settings::default() };
        let record = self.record.here().unwrap_or(&none);
        without_guesses(observe(&present, record, &settings, Timestamp::now()).status.history, record)
    }

    /// The OpsRequest of a name.
    #[must_use]
    pub fn request(&self, name: &str) -> Option<&Found> {
        self.seen.requests.iter().find(|found| found.operation.name == name)
    }

    /// The one thing that most likely stands in the way of the database now, as far as can be seen.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let pods = self.pods.as_deref().unwrap_or_default();
        effect::cause(pods, &self.subject.facts.claims, &self.quotas, None)
    }
}

/// A history with the deletions only that the record itself holds. It is read after the OpsRequests: of one that it tracks
/// and that is not among them nobody knows whether it has gone, or has come in between.
fn without_guesses(mut history: Vec<Past>, record: &Status) -> Vec<Past> {
    history.retain(|past| past.outcome != DELETED || record.history.iter().any(|noted| noted.uid == past.uid));
    history
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_is_told_only_where_the_record_has_noted_it() {
        let past =
            |uid: &str, outcome: &str| Past { uid: uid.to_owned(), outcome: outcome.to_owned(), ..Past::default() };
        let record = Status { history: vec![past("noted", DELETED)], ..Status::default() };
        let history = vec![past("new", DELETED), past("ended", "Successful"), past("noted", DELETED)];
        let told: Vec<String> = without_guesses(history, &record).into_iter().map(|past| past.uid).collect();
        assert_eq!(told, ["ended", "noted"]);
    }
}

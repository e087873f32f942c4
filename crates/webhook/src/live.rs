//! Live reads: where the cache does not know, and once before a denial that rests on what it knows.

use std::time::Duration;

use dbscale_cluster::cache::{Cache, ReadPolicy, Seen, labels_of_namespace, read_policy};
use dbscale_cluster::{ApiFailure, Cluster, Kind};
use dbscale_core::database::Database;
use dbscale_core::facts::{ClassFact, Facts, Known};
use dbscale_core::scaling_policy::Labels;
use futures::future::{join, try_join, try_join3};
use jiff::Timestamp;
use serde_json::Value;

use crate::asked::Asked;

/// How long the API server may take to store what it was told to let in; other webhooks are asked at the same time, so it
/// rarely takes longer than one of those. A request that is not there after this many milliseconds will not come.
const SETTLES_MS: i64 = 1000;

/// What has to be read.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each names a thing to read, and any may be needed beside any other")]
pub struct Needs {
    /// The database.
    pub database: bool,
    /// Its OpsRequests.
    pub operations: bool,
    /// The storage classes.
    pub classes: bool,
    /// The scaling policies, and the labels of the namespace.
    pub policies: bool,
}

/// Facts that were read just now.
#[derive(Debug, Default)]
pub struct Read {
    /// The database, where it was needed.
    pub database: Known<Database>,
    /// Its OpsRequests.
    pub operations: Vec<Seen>,
    /// The storage classes.
    pub classes: std::collections::BTreeMap<String, ClassFact>,
    /// The scaling policies, and the labels of the namespace, where they were needed.
    pub policies: Option<(Vec<ReadPolicy>, Labels)>,
}

/// Reads what is needed of what `asked` is about.
///
/// # Errors
/// What the API server says, or that it says nothing.
pub async fn read(cluster: &Cluster, cache: &Cache, asked: &Asked, needs: Needs) -> Result<Read, ApiFailure> {
    let (engine, namespace, name) = (asked.engine, asked.namespace.as_str(), asked.database.as_str());
    let objects = async {
        // In this order: an operation that ends between the two reads is then seen with what it wrote.
        let operations = if needs.operations { operations(cluster, cache, asked).await? } else { Vec::new() };
        let database = if needs.database {
            match cluster.database(engine, namespace, name).await {
                Ok(object) => Database::of(engine, &object).into(),
                Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::NotInstalled) => Known::Missing,
                Err(failure) => return Err(failure),
            }
        } else {
            Known::Unknown
        };
        Ok((operations, database))
    };
    let classes = async { if needs.classes { cluster.storage_classes().await } else { Ok(Vec::new()) } };
    let policies = async {
        if !needs.policies {
            return Ok(None);
        }
        let (policies, place) = try_join(cluster.policies(), cluster.namespace(namespace)).await?;
        Ok(Some((policies.iter().map(read_policy).collect(), labels_of_namespace(namespace, Some(&place)))))
    };
    let ((operations, database), classes, policies) = try_join3(objects, classes, policies).await?;
    Ok(Read { database, operations, classes: classes.iter().filter_map(ClassFact::of).collect(), policies })
}

/// The OpsRequests of the database. One that was let in a moment ago may not be stored yet: it is waited for, and where it
/// does not come, it is forgotten.
async fn operations(cluster: &Cluster, cache: &Cache, asked: &Asked) -> Result<Vec<Seen>, ApiFailure> {
    let (engine, namespace, name) = (asked.engine, asked.namespace.as_str(), asked.database.as_str());
    loop {
        let awaited = cache.admitted(engine, namespace, name);
        let listed = cluster.operations_of(engine, namespace, name).await?;
        let now = Timestamp::now();
        let mut there: Vec<Seen> = listed.iter().map(|object| Seen::of(object, engine, now)).collect();
        there.retain(|seen| seen.counts(now));
        let missing = |seen: &&Seen| there.iter().all(|t| t.operation.name != seen.operation.name);
        let missing: Vec<&Seen> = awaited.iter().filter(missing).collect();
        let left = |seen: &&Seen| SETTLES_MS - (now.as_millisecond() - seen.admitted_ms.unwrap_or(0));
        let wait = missing.iter().map(left).max().and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0);
        if let Some(ms) = wait {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            continue;
        }
        for seen in missing {
            cache.retract(engine, namespace, &seen.operation);
        }
        return Ok(there);
    }
}

/// Fills in the claims of the database that `asked` updates: they decide whether a smaller size may go back to what is there.
///
/// # Errors
/// What the API server says, or that it says nothing.
pub async fn claims(cluster: &Cluster, asked: &Asked, facts: &mut Facts) -> Result<(), ApiFailure> {
    let (engine, namespace) = (asked.engine, asked.namespace.as_str());
    let object: Value = cluster.database(engine, namespace, &asked.database).await?;
    let database = Database::of(engine, &object);
    let (sets, claims) = join(cluster.workloads(database.set_kind(), namespace), cluster.claims(namespace)).await;
    let mut unclear = Vec::new();
    dbscale_core::claims::fill(facts, &database, &object, &sets?, &claims?, &mut unclear);
    if !unclear.is_empty() {
        // A claim that may be the database's and fits nowhere: then not all are known, and nothing goes back.
        facts.claims.clear();
    }
    Ok(())
}

//! What is there: databases, their OpsRequests, and where storage or members change, their workloads and claims.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use dbscale_cluster::{ApiFailure, Cluster, Kind};
use dbscale_core::catalog::{Engine, SetKind};
use dbscale_core::claims;
use dbscale_core::database::Database;
use dbscale_core::facts::{ClassFact, Facts, Known};
use dbscale_core::status::Operation;
use futures::future::{join, try_join_all};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use super::{Job, Subject, around, failure, policies};
use crate::outcome::Failure;
use crate::target::Target;

/// OpsRequests by the namespace and name of the database that they refer to.
type ByDatabase = BTreeMap<(String, String), Vec<Operation>>;

/// Reads every target.
///
/// Operations are read first, and databases after them: an operation that ends between the two reads is then seen with
/// what it wrote. The other way round, or both at once, it could be gone from the list while the database still had its
/// old values.
pub(super) async fn subjects(
    cluster: &Cluster,
    job: &Job,
    targets: &[Target],
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Vec<Subject>, Failure> {
    let mut engines: Vec<&'static Engine> = Vec::new();
    for target in targets {
        if !engines.iter().any(|e| e.name == target.engine.name) {
            engines.push(target.engine);
        }
    }
    let lists = engines.iter().map(|engine| async move {
        Ok::<_, Failure>((engine.name.as_str(), operations(cluster, engine, namespace).await?))
    });
    let (lists, policies) = join(try_join_all(lists), policies::read(cluster)).await;
    let mut operations: HashMap<&str, ByDatabase> = lists?.into_iter().collect();
    let objects: Vec<Vec<(Target, String, Option<Value>)>> = stream::iter(targets)
        .map(|target| objects(cluster, target, namespace, selector))
        .buffered(job.parallel.max(1))
        .try_collect()
        .await?;
    let mut subjects = Vec::new();
    for (target, namespace, object) in objects.into_iter().flatten() {
        let engine = target.engine;
        let name = target.name.unwrap_or_default();
        let of_engine = operations.get_mut(engine.name.as_str());
        let of_database = of_engine.and_then(|all| all.remove(&(namespace.clone(), name.clone())));
        let database = object.as_ref().map_or(Known::Missing, |o| Database::of(engine, o).into());
        let facts = Facts { database, operations: of_database.unwrap_or_default(), ..Facts::default() };
        subjects.push(Subject {
            engine,
            namespace,
            name,
            object: object.unwrap_or_default(),
            facts,
            claims_known: false,
            found: Vec::new(),
            read_at: Instant::now(),
            warnings: Vec::new(),
        });
    }
    policies::fill(cluster, &policies, &mut subjects).await;
    if job.intent.storage.is_some() || job.intent.replicas.is_some() || job.intent.shards.is_some() {
        surroundings(cluster, job.intent.storage.is_some(), job.parallel, &mut subjects).await;
    }
    around::read(cluster, job, &mut subjects).await;
    Ok(subjects)
}

/// The databases of a target, each with its namespace; one that is named and missing is there without an object.
async fn objects(
    cluster: &Cluster,
    target: &Target,
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Vec<(Target, String, Option<Value>)>, Failure> {
    let engine = target.engine;
    let told = |failure: ApiFailure| failure::of_api(&failure, engine);
    if let Some(name) = &target.name {
        let namespace = namespace.unwrap_or(&cluster.default_namespace);
        let object = match cluster.database(engine, namespace, name).await {
            Ok(object) => Some(object),
            Err(failure) if failure.kind == Kind::NotFound => None,
            Err(failure) => return Err(told(failure)),
        };
        return Ok(vec![(target.clone(), namespace.to_owned(), object)]);
    }
    let all = cluster.databases(engine, namespace, selector).await.map_err(told)?;
    let named = |object: Value| {
        let text = |at| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        (Target { engine, name: Some(name) }, namespace, Some(object))
    };
    Ok(all.into_iter().map(named).collect())
}

/// The OpsRequests of an engine, of one namespace or of all.
async fn operations(cluster: &Cluster, engine: &Engine, namespace: Option<&str>) -> Result<ByDatabase, Failure> {
    let objects = cluster.operations(engine, namespace).await.map_err(|failure| failure::of_api(&failure, engine))?;
    let mut by_database = ByDatabase::new();
    for object in objects {
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
        let operation = Operation::of(&object, &engine.reference);
        by_database.entry((namespace.to_owned(), operation.database.clone())).or_default().push(operation);
    }
    Ok(by_database)
}

/// The OpsRequests of one database as they are now.
pub(super) async fn operations_of(cluster: &Cluster, subject: &Subject) -> Result<Vec<Operation>, Failure> {
    let mut all = operations(cluster, subject.engine, Some(&subject.namespace)).await?;
    Ok(all.remove(&(subject.namespace.clone(), subject.name.clone())).unwrap_or_default())
}

/// Workloads, claims and classes: one list a kind and namespace, however many databases are meant. What may not be read
/// is not known, and the answer says so. Claims and classes only with `storage`.
pub(super) async fn surroundings(cluster: &Cluster, storage: bool, parallel: usize, subjects: &mut [Subject]) {
    let classes = if storage { Some(cluster.storage_classes().await) } else { None };
    let places: HashSet<(SetKind, String)> =
        subjects.iter().filter_map(|s| Some((s.database()?.set_kind(), s.namespace.clone()))).collect();
    let lists: HashMap<(SetKind, String), (Read, Read)> = stream::iter(places)
        .map(|(kind, namespace)| async move {
            let claims = async { if storage { cluster.claims(namespace.as_str()).await } else { Ok(Vec::new()) } };
            let lists = join(cluster.workloads(kind, namespace.as_str()), claims).await;
            ((kind, namespace), lists)
        })
        .buffer_unordered(parallel.max(1))
        .collect()
        .await;
    for subject in subjects {
        let Some(database) = subject.facts.database.here().cloned() else { continue };
        let Some((sets, claims)) = lists.get(&(database.set_kind(), subject.namespace.clone())) else { continue };
        let tell = |read: &Read, what: &str, warnings: &mut Vec<String>| {
            if let Err(failure) = read {
                warnings.push(format!("{what} could not be read, so they are not checked: {}", failure.message));
            }
        };
        if storage {
            tell(sets, "workloads", &mut subject.warnings);
            tell(claims, "claims", &mut subject.warnings);
        }
        subject.claims_known = storage && is_known(sets) && claims.is_ok();
        let (sets, claims) = (sets.as_deref().unwrap_or_default(), claims.as_deref().unwrap_or_default());
        subject.facts.claims.clear();
        claims::fill(&mut subject.facts, &database, &subject.object, sets, claims, &mut subject.warnings);
        if let Some(classes) = &classes {
            tell(classes, "storage classes", &mut subject.warnings);
            subject.facts.classes = classes.iter().flatten().filter_map(ClassFact::of).collect();
        }
    }
}

/// A list, or why it could not be read.
type Read = Result<Vec<Value>, ApiFailure>;

/// Whether the list says all there is: where the kind is not installed, there are none.
fn is_known(read: &Read) -> bool {
    !matches!(read, Err(failure) if failure.kind != Kind::NotInstalled)
}

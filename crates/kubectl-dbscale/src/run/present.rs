//! What is there: databases, their OpsRequests, and where storage or members change, their workloads and claims.

use std::collections::BTreeMap;

use dbscale_cluster::{ApiFailure, Cluster, Kind};
use dbscale_core::amount::Written;
use dbscale_core::catalog::{Engine, SetKind};
use dbscale_core::database::Database;
use dbscale_core::facts::{ClaimFact, ClassFact, Facts, Known};
use dbscale_core::ownership;
use dbscale_core::status::Operation;
use futures::future::{join, try_join_all};
use serde_json::Value;

use super::{Job, Subject, failure};
use crate::outcome::Failure;
use crate::target::Target;

pub(super) async fn subjects(
    cluster: &Cluster,
    job: &Job,
    targets: &[Target],
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Vec<Subject>, Failure> {
    let lists = targets.iter().map(|target| async move {
        match &target.name {
            Some(name) => {
                let namespace = namespace.unwrap_or(&cluster.default_namespace);
                Ok(vec![single(cluster, target.engine, namespace, name).await?])
            }
            None => several(cluster, target.engine, namespace, selector).await,
        }
    });
    let mut subjects: Vec<Subject> = try_join_all(lists).await?.into_iter().flatten().collect();
    if job.intent.storage.is_some() || job.intent.replicas.is_some() || job.intent.shards.is_some() {
        surroundings(cluster, job, &mut subjects).await;
    }
    Ok(subjects)
}

async fn single(cluster: &Cluster, engine: &'static Engine, namespace: &str, name: &str) -> Result<Subject, Failure> {
    // One after the other: an operation that ends between the two reads is then seen with what it wrote. The other way
    // round, or both at once, it could be gone from the list while the database still had its old values.
    let operations = cluster.operations(engine, Some(namespace)).await;
    let object = cluster.database(engine, namespace, name).await;
    let mut facts = Facts::default();
    let mut present = Value::Null;
    facts.database = match object {
        Ok(object) => {
            present = object;
            Known::Here(Database::of(engine, &present))
        }
        Err(failure) if failure.kind == Kind::NotFound => Known::Missing,
        Err(failure) => return Err(failure::of_api(&failure, engine)),
    };
    let operations = operations.map_err(|failure| failure::of_api(&failure, engine))?;
    facts.operations = index(engine, &operations).remove(&(namespace.to_owned(), name.to_owned())).unwrap_or_default();
    Ok(Subject {
        engine,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        object: present,
        facts,
        warnings: Vec::new(),
    })
}

async fn several(
    cluster: &Cluster,
    engine: &'static Engine,
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Vec<Subject>, Failure> {
    // In this order for the reason above.
    let operations =
        cluster.operations(engine, namespace).await.map_err(|failure| failure::of_api(&failure, engine))?;
    let mut operations = index(engine, &operations);
    let objects = cluster.databases(engine, namespace, selector).await;
    let objects = objects.map_err(|failure| failure::of_api(&failure, engine))?;
    Ok(objects
        .into_iter()
        .map(|object| {
            let database = Database::of(engine, &object);
            let (namespace, name) = (database.namespace.clone(), database.name.clone());
            let operations = operations.remove(&(namespace.clone(), name.clone())).unwrap_or_default();
            let facts = Facts { database: Known::Here(database), operations, ..Facts::default() };
            Subject { engine, namespace, name, object, facts, warnings: Vec::new() }
        })
        .collect())
}

/// OpsRequests by the database that they refer to.
fn index(engine: &Engine, objects: &[Value]) -> BTreeMap<(String, String), Vec<Operation>> {
    let mut by_database: BTreeMap<_, Vec<Operation>> = BTreeMap::new();
    for object in objects {
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default();
        let operation = Operation::of(object, &engine.reference);
        by_database.entry((namespace.to_owned(), operation.database.clone())).or_default().push(operation);
    }
    by_database
}

/// Workloads, claims and classes. What may not be read is not known, and the answer says so; it never refuses.
async fn surroundings(cluster: &Cluster, job: &Job, subjects: &mut [Subject]) {
    let classes = match job.intent.storage {
        Some(_) => Some(cluster.storage_classes().await),
        None => None,
    };
    for subject in subjects.iter_mut() {
        let Some(database) = subject.facts.database.here().cloned() else { continue };
        let kind = database
            .components
            .iter()
            .find_map(|c| c.component.pods.as_ref())
            .map_or(SetKind::PetSet, |pods| pods.kind);
        let (sets, claims) = join(cluster.workloads(kind, &subject.namespace), async {
            match job.intent.storage {
                Some(_) => cluster.claims(&subject.namespace).await,
                None => Ok(Vec::new()),
            }
        })
        .await;
        let sets = known(sets, "workloads", job.intent.storage.is_some(), &mut subject.warnings);
        let claims = known(claims, "claims", true, &mut subject.warnings);
        fill(&mut subject.facts, &database, &subject.object, &sets, &claims, &mut subject.warnings);
        if let Some(classes) = &classes {
            let classes = known(classes.clone(), "storage classes", true, &mut subject.warnings);
            subject.facts.classes = classes.iter().filter_map(class).collect();
        }
    }
}

fn known(read: Result<Vec<Value>, ApiFailure>, what: &str, tell: bool, warnings: &mut Vec<String>) -> Vec<Value> {
    read.unwrap_or_else(|failure| {
        if tell {
            warnings.push(format!("{what} could not be read, so they are not checked: {}", failure.message));
        }
        Vec::new()
    })
}

fn class(object: &Value) -> Option<(String, ClassFact)> {
    let name = object.pointer("/metadata/name")?.as_str()?.to_owned();
    let expands = object.get("allowVolumeExpansion").and_then(Value::as_bool) == Some(true);
    let default = object
        .get("metadata")
        .and_then(|m| m.get("annotations")?.get("storageclass.kubernetes.io/is-default-class")?.as_str())
        == Some("true");
    Some((name, ClassFact { expands, default }))
}

/// Follows UIDs from the database to its workloads, and names from their claim templates to the claims.
fn fill(
    facts: &mut Facts,
    database: &Database,
    object: &Value,
    sets: &[Value],
    claims: &[Value],
    warnings: &mut Vec<String>,
) {
    let text =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let amount = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Written::of).and_then(|w| w.quantity());
    for set in sets.iter().filter(|set| controlled_by(set, &database.uid)) {
        let set_name = text(set, "/metadata/name");
        let workloads = ownership::components_of(database, object, &set_name);
        let [workload] = workloads.as_slice() else {
            let fits = if workloads.is_empty() { "no component" } else { "several components" };
            warnings
                .push(format!("workload {set_name} fits {fits} of {}; its claims are left alone", database.target()));
            continue;
        };
        let view = database
            .components
            .iter()
            .find(|c| c.key == workload.component && (c.item.is_none() || c.item == workload.item));
        let Some(component) = view.map(dbscale_core::database::ComponentView::name) else { continue };
        let empty = Vec::new();
        for template in set.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array).unwrap_or(&empty) {
            let template_name = text(template, "/metadata/name");
            let data = ownership::claim_templates(workload.pods, object, workload.item.as_deref());
            if !data.is_empty() && !data.contains(&template_name) {
                continue; // a claim beside the data, such as Cassandra's nodetool
            }
            if let Some(size) = amount(template, "/spec/resources/requests/storage") {
                facts.templates.entry(component.clone()).or_insert(size);
            }
            for claim in claims {
                let name = text(claim, "/metadata/name");
                let ours = ownership::claim_ordinal(&name, &template_name, &set_name).is_some();
                let Some(requested) = amount(claim, "/spec/resources/requests/storage").filter(|_| ours) else {
                    continue;
                };
                let class = claim.pointer("/spec/storageClassName").and_then(Value::as_str).map(str::to_owned);
                let capacity = amount(claim, "/status/capacity/storage");
                facts.claims.push(ClaimFact { name, component: component.clone(), class, requested, capacity });
            }
        }
    }
    facts.claims.sort_by(|a, b| a.name.cmp(&b.name));
}

/// Whether the object's controller is the one with this UID.
fn controlled_by(object: &Value, uid: &str) -> bool {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| {
        owner.get("controller").and_then(Value::as_bool) == Some(true)
            && owner.get("uid").and_then(Value::as_str) == Some(uid)
    })
}

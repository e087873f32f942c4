//! Finds OpsRequests: by their own names, or as the active ones of a database.

use anstream::eprintln;
use dbscale_cluster::read::operations_path;
use dbscale_cluster::{Call, Cluster, Kind};
use dbscale_core::catalog::Engine;
use dbscale_core::rules;
use dbscale_core::status::{Operation, Phase};
use futures::future::{join_all, try_join_all};
use serde_json::{Value, json};

use super::failure::{self, usage};
use crate::outcome::Failure;
use crate::target::{Named, Target};

/// An OpsRequest that is there.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its engine.
    pub engine: &'static Engine,
    /// Its namespace.
    pub namespace: String,
    /// The object.
    pub object: Value,
    /// What dbscale looks at in it.
    pub operation: Operation,
}

/// What a target has come to.
#[derive(Debug)]
pub struct Asked {
    /// The database as people write it; `None` where an OpsRequest was named.
    pub database: Option<String>,
    /// The OpsRequest that was named, or the active ones of the database, oldest first.
    pub requests: Vec<Found>,
    /// The newest that has ended, of a database of which none is active.
    pub ended: Option<Found>,
    /// The database, where one was named that is there.
    pub object: Option<(&'static Engine, Value)>,
}

impl Asked {
    /// Of a database, out of all of its OpsRequests, the oldest first.
    fn of(database: String, all: Vec<Found>) -> Self {
        let (requests, mut ended): (Vec<Found>, Vec<Found>) =
            all.into_iter().partition(|found| found.operation.is_active());
        let ended = ended.pop().filter(|_| requests.is_empty());
        Self { database: Some(database), requests, ended, object: None }
    }

    /// An OpsRequest that was named.
    fn request(found: Found) -> Self {
        Self { database: None, requests: vec![found], ended: None, object: None }
    }
}

impl Found {
    /// Reads an OpsRequest.
    #[must_use]
    pub fn of(engine: &'static Engine, object: Value) -> Self {
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned();
        let operation = Operation::of(&object, &engine.reference);
        Self { engine, namespace, object, operation }
    }

    /// Its phase.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.operation.phase
    }

    /// Its address.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", operations_path(self.engine, Some(&self.namespace)), self.operation.name)
    }

    /// What `-o json` says of it, whatever was done with it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "ops_request_name": self.operation.name,
            "ops_request_uid": self.text("/metadata/uid"),
            "ops_type": self.operation.ops_type,
            "engine": self.engine.name,
            "namespace": self.namespace,
            "name": self.operation.database,
        })
    }

    /// As `-o name` prints it: `mongodbopsrequest.ops.kubedb.com/my-db-scale-1`.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}.ops.kubedb.com/{}", self.engine.ops_kind().to_lowercase(), self.operation.name)
    }

    /// What one of the object's labels, annotations or identifiers says; empty where it has none.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        self.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Finds what was named. `namespace`: `None` for all.
///
/// # Errors
/// Where something is not there, or could be several, or the cluster cannot be read.
pub async fn requests(
    cluster: &Cluster,
    named: &[Named],
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Vec<Asked>, Failure> {
    let one = namespace.unwrap_or(&cluster.default_namespace);
    let finds = named.iter().map(async |named| match named {
        Named::Database(target) => of_target(cluster, target, namespace, selector).await,
        Named::Request { engine: Some(engine), name } => {
            let found = by_name(cluster, engine, one, name).await?;
            let found = found.ok_or_else(|| missing(name, one, &format!("{} ", engine.kind)))?;
            Ok(vec![Asked::request(found)])
        }
        Named::Request { engine: None, name } => {
            let found = anywhere(cluster, one, name).await?;
            Ok(vec![Asked::request(found)])
        }
    });
    Ok(try_join_all(finds).await?.into_iter().flatten().collect())
}

/// How many databases without an active operation are told by name.
const NAMED: usize = 5;

/// Tells of which databases no operation is active.
pub fn tell_idle<'a>(asked: impl IntoIterator<Item = &'a Asked>) {
    let idle: Vec<&str> =
        asked.into_iter().filter(|a| a.requests.is_empty()).filter_map(|a| a.database.as_deref()).collect();
    if idle.len() > NAMED {
        eprintln!("{} databases have no active operation", idle.len());
        return;
    }
    for database in idle {
        eprintln!("{database} has no active operation");
    }
}

async fn of_target(
    cluster: &Cluster,
    target: &Target,
    namespace: Option<&str>,
    selector: Option<&str>,
) -> Result<Vec<Asked>, Failure> {
    let engine = target.engine;
    let told = |failure| failure::of_api(&failure, engine);
    // Operations first: one that ends between the two reads is then seen, and followed to the end it has.
    let operations = async |namespace: Option<&str>| {
        let mut all: Vec<Found> = cluster
            .operations(engine, namespace)
            .await
            .map_err(told)?
            .into_iter()
            .map(|object| Found::of(engine, object))
            .collect();
        all.sort_by(|a, b| a.operation.age().cmp(&b.operation.age()));
        Ok::<_, Failure>(all)
    };
    let Some(name) = &target.name else {
        let mut all = operations(namespace).await?;
        let databases = cluster.databases(engine, namespace, selector).await.map_err(told)?;
        let asked = databases.into_iter().map(|database| {
            let text = |at| database.pointer(at).and_then(Value::as_str).unwrap_or_default();
            let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
            let is_its = |found: &mut Found| found.namespace == namespace && found.operation.database == name;
            let its = all.extract_if(.., is_its).collect();
            let asked = Asked::of(format!("{}/{name} in {namespace}", engine.name), its);
            Asked { object: Some((engine, database)), ..asked }
        });
        return Ok(asked.collect());
    };
    let namespace = namespace.unwrap_or(&cluster.default_namespace);
    let mut its = operations(Some(namespace)).await?;
    its.retain(|found| found.operation.database == *name);
    let mut asked = Asked::of(format!("{}/{name}", engine.name), its);
    match cluster.database(engine, namespace, name).await {
        Err(failure) if failure.kind == Kind::NotFound && asked.requests.is_empty() => {
            return Err(failure::of_findings(vec![rules::missing_database(engine, namespace, name)]));
        }
        Err(failure) if failure.kind != Kind::NotFound => return Err(told(failure)),
        Ok(object) => asked.object = Some((engine, object)),
        // Operations of a database that is gone may still be looked at, and taken away.
        Err(_) => {}
    }
    Ok(vec![asked])
}

async fn by_name(
    cluster: &Cluster,
    engine: &'static Engine,
    namespace: &str,
    name: &str,
) -> Result<Option<Found>, Failure> {
    let path = format!("{}/{name}", operations_path(engine, Some(namespace)));
    match cluster.call(&Call::get(path)).await {
        Ok(object) => Ok(Some(Found::of(engine, object))),
        Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::NotInstalled) => Ok(None),
        Err(failure) => Err(failure::of_api(&failure, engine)),
    }
}

/// An OpsRequest of any kind.
async fn anywhere(cluster: &Cluster, namespace: &str, name: &str) -> Result<Found, Failure> {
    let engines = cluster.engines().await.map_err(|failure| failure::of_any_api(&failure))?;
    let looks = join_all(engines.into_iter().map(|engine| by_name(cluster, engine, namespace, name))).await;
    let (mut found, mut failed) = (Vec::new(), None);
    for look in looks {
        match look {
            Ok(look) => found.extend(look),
            Err(failure) => failed = Some(failure),
        }
    }
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(Found::resource).collect();
        return Err(usage(format!("'{name}' is the name of several: say which ({})", names.join(", "))));
    }
    // A kind that may not be read could hold it: where none of the others does, that is the answer.
    found.pop().ok_or_else(|| failed.unwrap_or_else(|| missing(name, namespace, "")))
}

fn missing(name: &str, namespace: &str, kind: &str) -> Failure {
    Failure {
        exit_code: failure::EXIT_ERROR,
        message: format!("there is no {kind}OpsRequest called {name} in namespace {namespace}"),
        remedy: "name one that is there, or a database as ENGINE/NAME; see them with kubectl dbscale status".to_owned(),
        ..Failure::default()
    }
}

//! Reads: databases, their OpsRequests, workloads, claims and storage classes. Values come without `managedFields`.

use dbscale_core::catalog::{Catalog, DATABASE_GROUP, Engine, OPS_GROUP, OPS_VERSION, SetKind};
use dbscale_core::json;
use serde_json::Value;

use crate::call::{Call, Cluster};
use crate::error::{ApiFailure, Kind};

/// How many objects one page of a list has.
pub(crate) const PAGE: &str = "500";

/// The path of an engine's databases: of one namespace, or of all.
#[must_use]
pub fn databases_path(engine: &Engine, version: &str, namespace: Option<&str>) -> String {
    path(&format!("/apis/{DATABASE_GROUP}/{version}"), namespace, &engine.plural)
}

/// The path of an engine's OpsRequests: of one namespace, or of all.
#[must_use]
pub fn operations_path(engine: &Engine, namespace: Option<&str>) -> String {
    path(&format!("/apis/{OPS_GROUP}/{OPS_VERSION}"), namespace, &engine.ops_plural())
}

pub(crate) fn path(group: &str, namespace: Option<&str>, plural: &str) -> String {
    match namespace {
        Some(namespace) => format!("{group}/namespaces/{namespace}/{plural}"),
        None => format!("{group}/{plural}"),
    }
}

impl Cluster {
    /// The engines that KubeDB has switched on in this cluster, in the catalog's order.
    ///
    /// # Errors
    /// What the server says; a cluster without KubeDB has none, and is no error.
    pub async fn engines(&self) -> Result<Vec<&'static Engine>, ApiFailure> {
        let catalog = Catalog::builtin();
        let mut versions: Vec<&str> = catalog.engines().flat_map(|e| &e.versions).map(String::as_str).collect();
        versions.sort_unstable();
        versions.dedup();
        let mut served = Vec::new();
        for version in versions {
            match self.call(&Call::get(format!("/apis/{DATABASE_GROUP}/{version}"))).await {
                Err(failure) if matches!(failure.kind, Kind::NotInstalled | Kind::NotFound) => {}
                answer => served.push(answer?),
            }
        }
        let resources = served.iter().filter_map(|list| list.get("resources")?.as_array()).flatten();
        let plurals: Vec<&str> = resources.filter_map(|r| r.get("name")?.as_str()).collect();
        Ok(catalog.engines().filter(|e| plurals.contains(&e.plural.as_str())).collect())
    }

    /// One database, in the newest version that the server has.
    ///
    /// # Errors
    /// [`Kind::NotInstalled`] where no version of the CRD is there, [`Kind::NotFound`] where the database is not.
    pub async fn database(&self, engine: &Engine, namespace: &str, name: &str) -> Result<Value, ApiFailure> {
        let mut last = None;
        for version in &engine.versions {
            let path = format!("{}/{name}", databases_path(engine, version, Some(namespace)));
            match self.call(&Call::get(path)).await {
                Err(failure) if failure.kind == Kind::NotInstalled => last = Some(failure),
                answer => return answer.map(trimmed),
            }
        }
        Err(last.unwrap_or_else(|| no_version(engine)))
    }

    /// All databases of an engine, of one namespace or of all, that match a label selector.
    ///
    /// # Errors
    /// As [`Cluster::database`].
    pub async fn databases(
        &self,
        engine: &Engine,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<Value>, ApiFailure> {
        let mut last = None;
        for version in &engine.versions {
            let mut items = match self.list(&databases_path(engine, version, namespace), selector).await {
                Err(failure) if failure.kind == Kind::NotInstalled => {
                    last = Some(failure);
                    continue;
                }
                answer => answer?,
            };
            for item in &mut items {
                // Items of a list do not say what they are.
                item["apiVersion"] = Value::from(format!("{DATABASE_GROUP}/{version}"));
                item["kind"] = Value::from(engine.kind.as_str());
            }
            return Ok(items);
        }
        Err(last.unwrap_or_else(|| no_version(engine)))
    }

    /// All OpsRequests of an engine, of one namespace or of all.
    ///
    /// # Errors
    /// What the server says.
    pub async fn operations(&self, engine: &Engine, namespace: Option<&str>) -> Result<Vec<Value>, ApiFailure> {
        self.list(&operations_path(engine, namespace), None).await
    }

    /// The OpsRequests of one database. Those of others are let go page by page: a namespace may have thousands.
    ///
    /// # Errors
    /// What the server says.
    pub async fn operations_of(
        &self,
        engine: &Engine,
        namespace: &str,
        database: &str,
    ) -> Result<Vec<Value>, ApiFailure> {
        let its = |object: &Value| json::text(object, &["spec", &engine.reference, "name"]) == database;
        self.list_of(&operations_path(engine, Some(namespace)), None, its).await
    }

    /// A namespace.
    ///
    /// # Errors
    /// What the server says.
    pub async fn namespace(&self, name: &str) -> Result<Value, ApiFailure> {
        self.call(&Call::get(format!("/api/v1/namespaces/{name}"))).await.map(trimmed)
    }

    /// The workloads of a kind, of one namespace or of all.
    ///
    /// # Errors
    /// What the server says.
    pub async fn workloads(&self, kind: SetKind, namespace: impl Into<Option<&str>>) -> Result<Vec<Value>, ApiFailure> {
        let (group, plural) = match kind {
            SetKind::PetSet => ("/apis/apps.k8s.appscode.com/v1", "petsets"),
            SetKind::StatefulSet => ("/apis/apps/v1", "statefulsets"),
        };
        self.list(&path(group, namespace.into(), plural), None).await
    }

    /// The claims of one namespace, or of all.
    ///
    /// # Errors
    /// What the server says.
    pub async fn claims(&self, namespace: impl Into<Option<&str>>) -> Result<Vec<Value>, ApiFailure> {
        self.list(&path("/api/v1", namespace.into(), "persistentvolumeclaims"), None).await
    }

    /// All storage classes.
    ///
    /// # Errors
    /// What the server says.
    pub async fn storage_classes(&self) -> Result<Vec<Value>, ApiFailure> {
        self.list("/apis/storage.k8s.io/v1/storageclasses", None).await
    }

    /// A Lease.
    ///
    /// # Errors
    /// What the server says.
    pub async fn lease(&self, namespace: &str, name: &str) -> Result<Value, ApiFailure> {
        self.call(&Call::get(format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"))).await
    }

    /// Who is asking, as the server knows them.
    ///
    /// # Errors
    /// What the server says.
    pub async fn who_am_i(&self) -> Result<String, ApiFailure> {
        let ask = serde_json::json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let answer = self.call(&Call::post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &ask)).await?;
        let user = answer.pointer("/status/userInfo/username").and_then(Value::as_str);
        Ok(user.unwrap_or_default().to_owned())
    }

    /// Whether the caller may do something.
    ///
    /// # Errors
    /// What the server says.
    pub async fn may(&self, verb: &str, group: &str, resource: &str, namespace: &str) -> Result<bool, ApiFailure> {
        let ask = serde_json::json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": verb, "group": group, "resource": resource, "namespace": namespace}},
        });
        let answer = self.call(&Call::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &ask)).await?;
        Ok(answer.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false))
    }

    /// A list, page by page.
    ///
    /// # Errors
    /// What the server says.
    pub async fn list(&self, path: &str, selector: Option<&str>) -> Result<Vec<Value>, ApiFailure> {
        self.list_of(path, selector, |_| true).await
    }

    /// Those of a list that are `wanted`, page by page.
    async fn list_of(
        &self,
        path: &str,
        selector: Option<&str>,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>, ApiFailure> {
        let mut items = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let call = Call::get(path)
                .query("limit", Some(PAGE))
                .query("labelSelector", selector)
                .query("continue", next.as_deref());
            let mut page = self.call(&call).await?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more.into_iter().filter(&wanted).map(trimmed));
            }
            let token = page.pointer("/metadata/continue").and_then(Value::as_str).filter(|t| !t.is_empty());
            match token {
                Some(token) => next = Some(token.to_owned()),
                None => return Ok(items),
            }
        }
    }
}

fn no_version(engine: &Engine) -> ApiFailure {
    ApiFailure::unreachable("GET", format!("{} has no version", engine.kind))
}

/// The object without the record of who wrote which field: nobody here reads it, and it is half of the bytes.
fn trimmed(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

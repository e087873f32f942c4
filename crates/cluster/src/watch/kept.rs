//! What is kept of each kind of objects; the rest is skipped while it is read.

use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;

use dbscale_core::catalog::Pointer;
use dbscale_core::facts::DEFAULT_CLASS;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope};
use serde::de::{DeserializeSeed as _, Deserializer};
use serde_json::Value;

use super::Audience;
use dbscale_trim::{Budget, Keep};

/// How many values of one object are kept.
const MOST_VALUES: u32 = 20_000;

/// What is kept of a kind of objects.
pub(super) trait Shape: fmt::Debug + Clone + Send + Sync + 'static {
    fn keep<A: Audience>() -> &'static Keep;
}

/// A shape whose places are written down here.
macro_rules! shape {
    ($(#[$doc:meta])* $name:ident, $($place:expr),*) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub(super) struct $name;

        impl Shape for $name {
            fn keep<A: Audience>() -> &'static Keep {
                static KEEP: LazyLock<Keep> = LazyLock::new(|| {
                    let mut keep = named();
                    $(keep.all(&place($place));)*
                    keep
                });
                &KEEP
            }
        }
    };
}

#[derive(Debug, Clone)]
pub(super) struct Databases;
#[derive(Debug, Clone)]
pub(super) struct Operations;
#[derive(Debug, Clone)]
pub(super) struct Classes;

shape!(
    /// Of a namespace how it is held to the rules, and which policies cover it.
    Namespaces, "/metadata/labels"
);
shape!(
    /// Of a policy what it asks, and what is told of it.
    Policies, "/metadata/generation", "/spec", "/status"
);
shape!(
    /// Of a record its status, and whose it is.
    Records, "/spec/databaseRef", "/status"
);
shape!(
    /// Of a claim what tells whose it is, what it asks for and has, and how a resize goes.
    Claims,
    "/metadata/labels",
    "/spec/resources/requests/storage",
    "/spec/storageClassName",
    "/status/capacity/storage",
    "/status/conditions",
    "/status/allocatedResourceStatuses"
);
shape!(
    /// Of a workload what tells whose it is, and which claims are its own.
    Workloads,
    "/metadata/labels",
    "/metadata/ownerReferences",
    "/spec/replicas",
    "/spec/selector/matchLabels",
    "/spec/volumeClaimTemplates[name=*]/metadata/name",
    "/spec/volumeClaimTemplates[name=*]/spec/resources/requests/storage"
);

impl Shape for Databases {
    fn keep<A: Audience>() -> &'static Keep {
        A::databases()
    }
}

impl Shape for Operations {
    fn keep<A: Audience>() -> &'static Keep {
        A::operations()
    }
}

impl Shape for Classes {
    fn keep<A: Audience>() -> &'static Keep {
        static KEEP: LazyLock<Keep> = LazyLock::new(|| {
            let mut keep = named();
            keep.all(&place("/allowVolumeExpansion"));
            // Its name has a slash, so it is no text of a pointer.
            keep.all(&place("/metadata/annotations").field(DEFAULT_CLASS));
            keep
        });
        &KEEP
    }
}

/// What a watch itself needs of an object.
fn named() -> Keep {
    let mut keep = Keep::nothing();
    for field in ["name", "namespace", "uid", "resourceVersion"] {
        keep.all(&place("/metadata").field(field));
    }
    keep
}

/// A place that this file names.
fn place(text: &str) -> Pointer {
    text.parse().unwrap_or_default()
}

/// An object of which only a [`Shape`] was read.
#[derive(Debug)]
pub(super) struct Trimmed<A, S> {
    metadata: ObjectMeta,
    pub(super) value: Value,
    shape: PhantomData<(A, S)>,
}

impl<A, S> Clone for Trimmed<A, S> {
    fn clone(&self) -> Self {
        Self { metadata: self.metadata.clone(), value: self.value.clone(), shape: PhantomData }
    }
}

impl<'de, A: Audience, S: Shape> serde::Deserialize<'de> for Trimmed<A, S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = S::keep::<A>().seed(&Budget::new(MOST_VALUES)).deserialize(deserializer)?;
        let text = |field: &str| value.get("metadata")?.get(field)?.as_str().map(str::to_owned);
        let metadata = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, value, shape: PhantomData })
    }
}

impl<A: Audience, S: Shape> Resource for Trimmed<A, S> {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cache::Cache;

    #[test]
    fn what_no_rule_looks_at_is_not_kept() {
        let object = json!({"apiVersion": "kubedb.com/v1alpha2", "kind": "MongoDB",
            "metadata": {"name": "db", "namespace": "demo", "managedFields": [{"manager": "x"}]},
            "spec": {"replicas": 3, "version": "8", "podTemplate": {"metadata": {"labels": {"a": "b"}}}}});
        let read: Trimmed<Cache, Databases> = serde_json::from_value(object).unwrap();
        let wanted = json!({"apiVersion": "kubedb.com/v1alpha2", "metadata": {"name": "db", "namespace": "demo"},
            "spec": {"replicas": 3, "podTemplate": {}}});
        assert_eq!(read.value, wanted);
    }
}

//! KubeDB's resource definitions: the real ones from `$KUBEDB_DATA/crds`, else structural, pruning ones out of the catalog.
//!
//! Ones made from the catalog prove only the catalog: a test that means to compare it with KubeDB needs the real ones.

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use dbscale_core::catalog::{Catalog, DATABASE_GROUP, Engine, OPS_GROUP, OPS_VERSION, Pointer, Segment};
use dbscale_core::change::{VERTICAL, VOLUME};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::Client;
use serde_json::{Value, json};

/// How long the API server may take to serve all of them.
const SERVED_WITHIN: Duration = Duration::from_secs(180);

/// Where the definitions came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// KubeDB's own.
    Real,
    /// Made from the catalog.
    Catalog,
}

/// The folder that `KUBEDB_DATA` names.
#[must_use]
pub fn data_folder() -> Option<PathBuf> {
    env::var_os("KUBEDB_DATA").filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// Installs them and waits until the API server serves each.
///
/// # Errors
/// Where one is refused, or not served in time.
pub async fn install(client: &Client) -> Result<Origin> {
    let (origin, bodies) = match data_folder() {
        Some(folder) => (Origin::Real, real(&folder.join("crds"))?),
        None => (Origin::Catalog, made()),
    };
    let count = bodies.len();
    stream::iter(bodies)
        .map(|(name, kind, body)| async move {
            let request = http::Request::post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
                .header("content-type", kind)
                .body(body)?;
            match client.request_text(request).await {
                // A create that is sent once more finds what the one before it has made.
                Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => anyhow::Ok(()),
                done => done.map(drop).with_context(|| format!("could not install {name}")),
            }
        })
        .buffer_unordered(8)
        .try_collect::<Vec<_>>()
        .await?;
    served(client, count).await?;
    Ok(origin)
}

/// (name, content type, body) of every real definition. The API server reads YAML by itself.
fn real(folder: &std::path::Path) -> Result<Vec<(String, &'static str, Vec<u8>)>> {
    let mut bodies = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("KUBEDB_DATA has no {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "yaml") {
            bodies.push((path.display().to_string(), "application/yaml", fs::read(&path)?));
        }
    }
    if bodies.is_empty() {
        bail!("there is no .yaml in {}", folder.display());
    }
    Ok(bodies)
}

/// Waits until the discovery of both groups and of PetSets lists every kind that is established; looking there is far
/// cheaper than listing the definitions, which are megabytes.
async fn served(client: &Client, count: usize) -> Result<()> {
    let began = Instant::now();
    loop {
        let mut seen = 0;
        let mut groups = vec![format!("{OPS_GROUP}/{OPS_VERSION}"), "apps.k8s.appscode.com/v1".to_owned()];
        groups.extend(["v1", "v1alpha2"].map(|v| format!("{DATABASE_GROUP}/{v}")));
        let mut databases = std::collections::BTreeSet::new();
        for group in groups {
            let request = http::Request::get(format!("/apis/{group}")).body(Vec::new())?;
            let Ok(list) = client.request::<Value>(request).await else { continue };
            let names = list["resources"].as_array().into_iter().flatten().filter_map(|r| r["name"].as_str());
            let names = names.filter(|n| !n.contains('/')).map(str::to_owned);
            if group.starts_with(DATABASE_GROUP) {
                databases.extend(names);
            } else {
                seen += names.count();
            }
        }
        if seen + databases.len() >= count {
            return Ok(());
        }
        if began.elapsed() > SERVED_WITHIN {
            bail!("only {} of {count} definitions are served after {SERVED_WITHIN:?}", seen + databases.len());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn made() -> Vec<(String, &'static str, Vec<u8>)> {
    let engines = Catalog::builtin().engines();
    let mut definitions: Vec<Value> = engines.flat_map(|engine| [database(engine), operation(engine)]).collect();
    definitions.push(definition(
        "apps.k8s.appscode.com",
        "PetSet",
        "petsets",
        &[],
        vec![(
            "v1",
            json!({
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }),
        )],
    ));
    let name = |d: &Value| d["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    definitions.iter().map(|d| (name(d), "application/json", d.to_string().into_bytes())).collect()
}

fn definition(group: &str, kind: &str, plural: &str, short: &[String], versions: Vec<(&str, Value)>) -> Value {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = |(index, (name, spec)): (usize, (&str, Value))| {
        json!({
            "name": name, "served": true, "storage": index == 0, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": open}}},
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "shortNames": short},
            "versions": versions.into_iter().enumerate().map(version).collect::<Vec<_>>(),
        },
    })
}

/// A database's spec is open: dbscale looks at few of its fields, and KubeDB knows hundreds.
fn database(engine: &Engine) -> Value {
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let versions = engine.versions.iter().map(|v| (v.as_str(), open.clone())).collect();
    definition(DATABASE_GROUP, &engine.kind, &engine.plural, &engine.short, versions)
}

/// An OpsRequest's spec knows exactly the catalog's fields, so that a wrong one is pruned as on a real cluster.
fn operation(engine: &Engine) -> Value {
    let text = json!({"type": "string"});
    let mut spec = json!({"type": "object", "required": ["type", engine.reference], "properties": {
        "type": {"type": "string", "enum": engine.types}, "apply": {"type": "string", "enum": ["IfReady", "Always"], "default": "IfReady"},
        "timeout": text, engine.reference.as_str(): {"type": "object", "properties": {"name": text}},
    }});
    if engine.max_retries {
        spec["properties"]["maxRetries"] = json!({"type": "integer", "format": "int32"});
    }
    let amount = json!({"x-kubernetes-int-or-string": true});
    let resources = json!({"type": "object", "properties": {
        "requests": {"type": "object", "additionalProperties": amount}, "limits": {"type": "object", "additionalProperties": amount},
    }});
    let integer = json!({"type": "integer", "format": "int32"});
    for component in engine.components.values() {
        for count in [&component.replicas, &component.shards].into_iter().flatten() {
            put(&mut spec, count.ask.as_ref(), &integer);
            for (pointer, value) in &count.with {
                let kind = json!({"type": if value.is_boolean() { "boolean" } else { "string" }});
                put(&mut spec, Some(pointer), &kind);
            }
        }
        if let Some(ask) = component.resources.as_ref().and_then(|r| r.ask.as_ref()) {
            put(&mut spec, Some(&ask.field("resources")), &resources);
        }
        if let Some(ask) = component.storage.as_ref().and_then(|s| s.ask.as_ref()) {
            put(&mut spec, Some(ask), &amount);
        }
    }
    // Also where no component has anything in the stanza, as with Memcached's volumes.
    for (stanza, mode) in [(VERTICAL, "/verticalScaling/mode"), (VOLUME, "/volumeExpansion/mode")] {
        if engine.types.iter().any(|known| known == stanza.ops_type) {
            put(&mut spec, mode.parse().ok().as_ref(), &text);
        }
    }
    let kind = engine.ops_kind();
    definition(OPS_GROUP, &kind, &engine.ops_plural(), &engine.ops_short, vec![(OPS_VERSION, spec)])
}

/// Puts a schema at a place, and objects and lists on the way to it.
fn put(schema: &mut Value, pointer: Option<&Pointer>, leaf: &Value) {
    let Some(pointer) = pointer else { return };
    let mut at = schema;
    for segment in pointer.segments() {
        at = match segment {
            Segment::Field(name) => {
                if at.get("type").is_none() {
                    *at = json!({"type": "object", "properties": {}});
                }
                &mut at["properties"][name.as_str()]
            }
            Segment::Item { key, .. } | Segment::Each { key } => {
                if at.get("items").is_none() {
                    *at = json!({"type": "array", "items": {"type": "object", "properties": {key.as_str(): {"type": "string"}}}});
                }
                &mut at["items"]
            }
        };
    }
    if at.is_null() {
        *at = leaf.clone();
    }
}

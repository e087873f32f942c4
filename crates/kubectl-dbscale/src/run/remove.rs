//! Deletes OpsRequests: exactly those that were seen, and as they were seen.

use dbscale_cluster::apply::Write;
use dbscale_cluster::{ApiFailure, Cluster};
use serde_json::{Value, json};

use super::find::Found;
use crate::cli::{DryRun, Global, Output};
use crate::output::{self, data};

/// Deletes one. Answers whether it was there.
///
/// # Errors
/// A conflict where it has changed since it was seen; else what the server says.
pub async fn remove(cluster: &Cluster, found: &Found, global: &Global) -> Result<bool, ApiFailure> {
    if global.dry_run == DryRun::Client {
        return Ok(true);
    }
    let write = Write { dry_run: global.dry_run == DryRun::Server, field_manager: global.field_manager.clone() };
    let (uid, version) = (found.text("/metadata/uid"), found.text("/metadata/resourceVersion"));
    cluster.delete(&found.path(), uid, version, &write).await
}

/// Tells what was deleted; `done` is the word for it: `cancelled`. `single`: one OpsRequest was named.
pub fn tell(removed: &[Found], done: &str, single: bool, global: &Global) {
    let dry = match global.dry_run {
        DryRun::None => None,
        DryRun::Client => Some("client"),
        DryRun::Server => Some("server"),
    };
    let value = |found: &Found| {
        let mut value = found.to_json();
        value[done] = json!(true);
        if let Some(dry) = dry {
            value["dry_run"] = json!(dry);
        }
        value
    };
    match (global.output, removed) {
        (Some(form @ (Output::Json | Output::Yaml)), [only]) if single => output::machine(form, &value(only)),
        (Some(Output::Json | Output::Yaml), []) if single => {}
        (Some(form @ (Output::Json | Output::Yaml)), several) => {
            output::machine(form, &json!({"results": several.iter().map(value).collect::<Vec<Value>>()}));
        }
        (Some(Output::Name), several) => several.iter().for_each(|found| data!("{}", found.resource())),
        (_, several) => {
            let dry = dry.map(|dry| format!(" ({dry} dry run)")).unwrap_or_default();
            for found in several {
                data!("{} {done}{dry}", found.resource());
            }
        }
    }
}

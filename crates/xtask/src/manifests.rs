//! `cargo xtask manifests`: what of manifests/ is made from the catalog.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use dbscale_core::catalog::{Catalog, DATABASE_GROUP, Engine, OPS_GROUP};
use dbscale_testbed::assets;

use crate::{chart, dist, policies};

/// Writes them. Tests compare the files with what they should be.
///
/// # Errors
/// That a file cannot be made or written.
pub fn run() -> Result<()> {
    let own = [
        (RIGHTS_PATH, webhook_rights()),
        (ASKED_PATH, chart::configuration()),
        ("krew/dbscale.yaml", dist::in_repository()?),
    ];
    write(own.map(|(path, text)| (PathBuf::from(path), text)))?;
    write(policies::files()?)?;
    // Last, since it is made of the files above.
    write(chart::files()?)
}

const RIGHTS_PATH: &str = "manifests/base/rbac-webhook.yaml";
const ASKED_PATH: &str = "manifests/components/cert-manager/configuration.yaml";

fn write(files: impl IntoIterator<Item = (PathBuf, String)>) -> Result<()> {
    for (path, text) in files {
        let path = assets::workspace().join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

/// The webhook's account and its rights.
fn webhook_rights() -> String {
    let list = |name: fn(&Engine) -> String| {
        Catalog::builtin().engines().fold(String::new(), |mut text, engine| {
            let _ = write!(text, "\n      - {}", name(engine));
            text
        })
    };
    RIGHTS
        .replace("{DATABASE_GROUP}", DATABASE_GROUP)
        .replace("{OPS_GROUP}", OPS_GROUP)
        .replace("{DATABASES}", &list(|engine| engine.plural.clone()))
        .replace("{OPERATIONS}", &list(Engine::ops_plural))
}

const RIGHTS: &str = r#"# Made by `cargo xtask manifests`. The least that the webhook needs.
apiVersion: v1
kind: ServiceAccount
metadata:
  name: dbscale-webhook
  namespace: dbscale-system
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: dbscale-webhook
rules:
  # What it knows the present from, and reads once more before it denies.
  - apiGroups: [{DATABASE_GROUP}]
    resources:{DATABASES}
    verbs: [get, list, watch]
  - apiGroups: [{OPS_GROUP}]
    resources:{OPERATIONS}
    verbs: [list, watch]
  - apiGroups: [storage.k8s.io]
    resources: [storageclasses]
    verbs: [list, watch]
  # What administrators allow of scaling.
  - apiGroups: [dbscale.dev]
    resources: [scalingpolicies]
    verbs: [list, watch]
  # Where refusals are warnings, and which policies cover: the labels.
  - apiGroups: [""]
    resources: [namespaces]
    verbs: [get, list, watch]
  # Whether a smaller size is the way back from a failed expansion.
  - apiGroups: [""]
    resources: [persistentvolumeclaims]
    verbs: [list]
  - apiGroups: [apps.k8s.appscode.com]
    resources: [petsets]
    verbs: [list]
  - apiGroups: [apps]
    resources: [statefulsets]
    verbs: [list]
  # Whether API servers trust what it serves.
  - apiGroups: [admissionregistration.k8s.io]
    resources: [validatingwebhookconfigurations]
    resourceNames: [dbscale]
    verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: dbscale-webhook
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: dbscale-webhook
subjects:
  - kind: ServiceAccount
    name: dbscale-webhook
    namespace: dbscale-system
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_what_the_catalog_says() {
        for (path, wanted) in [(RIGHTS_PATH, webhook_rights()), (ASKED_PATH, chart::configuration())] {
            let file = fs::read_to_string(assets::workspace().join(path)).unwrap();
            assert!(file == wanted, "{path} is stale: run `cargo xtask manifests`");
        }
    }
}

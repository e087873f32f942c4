//! `cargo xtask manifests`: what of manifests/ is made from the catalog.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use dbscale_core::catalog::{Catalog, DATABASE_GROUP, Engine, OPS_GROUP};

use crate::policies;

/// Writes them. A test compares the files with what they should be.
///
/// # Errors
/// That a file cannot be made or written.
pub fn run() -> Result<()> {
    let path = path();
    fs::write(&path, webhook_rights()).with_context(|| format!("could not write {}", path.display()))?;
    policies::write()
}

fn path() -> PathBuf {
    dbscale_testbed::assets::workspace().join("manifests/base/rbac-webhook.yaml")
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
  # Where refusals are warnings: the label dbscale.dev/enforcement.
  - apiGroups: [""]
    resources: [namespaces]
    verbs: [list, watch]
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
  # Whom API servers trust, and what they ask: in this one object.
  - apiGroups: [admissionregistration.k8s.io]
    resources: [validatingwebhookconfigurations]
    resourceNames: [dbscale]
    verbs: [get, patch]
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
---
# The serving certificate, which the replicas keep together.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: dbscale-webhook
  namespace: dbscale-system
rules:
  - apiGroups: [""]
    resources: [secrets]
    resourceNames: [dbscale-webhook-certificates]
    verbs: [get, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: dbscale-webhook
  namespace: dbscale-system
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
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
        let file = fs::read_to_string(path()).unwrap();
        assert!(file == webhook_rights(), "manifests/base/rbac-webhook.yaml is stale: run `cargo xtask manifests`");
    }
}

//! The admission policies of manifests/, made from the catalog and the rules.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use dbscale_core::catalog::Catalog;
use dbscale_core::policy;
use serde_json::{Value, json};

/// What every file begins with.
const HEAD: &str =
    "# Made by `cargo xtask manifests`. Change crates/core/src/policy or the engine's file, not this one.\n";

/// Every file by its path in the repository.
///
/// # Errors
/// That one cannot be made.
pub fn files() -> Result<BTreeMap<PathBuf, String>> {
    let (base, overlay) = (PathBuf::from("manifests/base/policies"), PathBuf::from("manifests/overlays/webhook-less"));
    let scaling = PathBuf::from("manifests/overlays/scaling-policies");
    let mut files = BTreeMap::new();
    let (mut names, mut components) = (Vec::new(), Vec::new());
    for engine in Catalog::builtin().engines() {
        let name = format!("{}.yaml", engine.name);
        files.insert(base.join(&name), documents(&policy::beside_webhook(engine))?);
        files.insert(scaling.join(&name), documents(&policy::of_scaling(engine))?);
        names.push(name);
        let folder = overlay.join(&engine.name);
        files.insert(folder.join("policies.yaml"), documents(&policy::without_webhook(engine))?);
        let only = json!({"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component",
            "resources": ["policies.yaml"]});
        files.insert(folder.join("kustomization.yaml"), documents(&[only])?);
        components.push(engine.name.as_str());
    }
    let list = |field: &str, names: &Value| json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", field: names});
    for folder in [base, scaling] {
        files.insert(folder.join("kustomization.yaml"), documents(&[list("resources", &json!(names))])?);
    }
    files.insert(overlay.join("kustomization.yaml"), documents(&[list("components", &json!(components))])?);
    Ok(files)
}

fn documents(objects: &[Value]) -> Result<String> {
    let texts: Result<Vec<String>, _> = objects.iter().map(serde_saphyr::to_string).collect();
    let texts = texts.context("could not write an object as YAML")?;
    Ok(format!("{HEAD}{}", texts.join("---\n")))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use dbscale_testbed::assets;

    use super::*;

    #[test]
    fn the_files_are_what_the_catalog_and_the_rules_make() {
        for (path, wanted) in files().unwrap() {
            let found = fs::read_to_string(assets::workspace().join(&path)).unwrap_or_default();
            assert!(found == wanted, "{} is stale: run `cargo xtask manifests`", path.display());
        }
    }

    #[test]
    fn yaml_holds_what_was_made() {
        for engine in Catalog::builtin().engines() {
            for made in [policy::beside_webhook(engine), policy::without_webhook(engine), policy::of_scaling(engine)] {
                let read: Vec<Value> = serde_saphyr::from_multiple(&documents(&made).unwrap()).unwrap();
                assert!(read == made, "{}", engine.name);
            }
        }
    }
}

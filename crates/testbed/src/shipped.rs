//! What is shipped: everything of `manifests/base` as it is, and its accounts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{ControlPlane, assets};

/// The namespace of everything that is shipped.
pub(crate) const NAMESPACE: &str = "dbscale-system";

/// The namespace that `manifests/overlays/namespaced` names: a team's.
pub const TEAM: &str = "my-team";

/// Applies `manifests/base`, server-side and strict, and waits until its definitions are there.
///
/// # Errors
/// What kubectl says.
pub async fn install(plane: &ControlPlane) -> Result<()> {
    let base = assets::workspace().join("manifests/base");
    kubectl(plane, &["apply", "--server-side", "--validate=strict", "-k", &base.display().to_string()]).await?;
    let definitions = ["crd/scalingrecords.dbscale.dev", "crd/scalingpolicies.dbscale.dev"];
    let wait = ["wait", "--for=condition=Established", "--timeout=60s"];
    kubectl(plane, &[&wait[..], &definitions[..]].concat()).await?;
    Ok(())
}

/// A kubeconfig with a token of an account, in its namespace.
///
/// # Errors
/// What kubectl says, or that the file cannot be written.
pub async fn account(plane: &ControlPlane, name: &str) -> Result<PathBuf> {
    account_of(plane, NAMESPACE, name).await
}

/// As [`account`], of another namespace.
///
/// # Errors
/// As [`account`].
pub async fn account_of(plane: &ControlPlane, namespace: &str, name: &str) -> Result<PathBuf> {
    let token = kubectl(plane, &["create", "token", name, "--namespace", namespace, "--duration=24h"]).await?;
    let mut kubeconfig: Value = serde_json::from_slice(&fs::read(plane.kubeconfig())?)?;
    kubeconfig["users"][0]["user"] = json!({"token": token.trim()});
    kubeconfig["contexts"][0]["context"]["namespace"] = json!(namespace);
    let path = plane.folder().join(format!("{namespace}-{name}.kubeconfig"));
    fs::write(&path, kubeconfig.to_string())?;
    Ok(path)
}

/// The arguments of a Deployment's program, with its namespace for `$(NAMESPACE)`, as a kubelet puts it.
///
/// # Errors
/// What kubectl says, or that it has none.
pub async fn arguments(plane: &ControlPlane, namespace: &str, name: &str) -> Result<Vec<String>> {
    let path = "jsonpath={.spec.template.spec.containers[0].args}";
    let text = kubectl(plane, &["get", "deployment", name, "--namespace", namespace, "-o", path]).await?;
    let arguments: Vec<String> = serde_json::from_str(&text).context("the Deployment has no arguments")?;
    Ok(arguments.into_iter().map(|argument| argument.replace("$(NAMESPACE)", namespace)).collect())
}

/// What kubectl prints, as an administrator.
pub(crate) async fn kubectl(plane: &ControlPlane, arguments: &[&str]) -> Result<String> {
    kubectl_with(&plane.assets().join("kubectl"), &plane.kubeconfig(), arguments).await
}

/// The same where there is no control plane at hand.
pub(crate) async fn kubectl_with(program: &Path, kubeconfig: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .output()
        .await
        .context("could not run kubectl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {}: {}", arguments.join(" "), said.trim());
    Ok(String::from_utf8(output.stdout)?)
}

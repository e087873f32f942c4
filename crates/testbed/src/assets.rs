//! The control plane's programs: found where `KUBEBUILDER_ASSETS` says, else built once from `tests/controlplane`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// The Kubernetes version that `tests/controlplane` builds.
pub const KUBERNETES: &str = "v1.36.3";

/// The five programs that a control plane takes.
pub const PROGRAMS: [&str; 5] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"];

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_path_buf()
}

/// The folder that holds all five programs.
///
/// # Errors
/// Where none is there and none can be built; the message names both ways out.
pub fn find_or_build() -> Result<PathBuf> {
    if let Some(named) = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) {
        match missing(&named).as_slice() {
            [] => return Ok(named),
            missing => eprintln!(
                "KUBEBUILDER_ASSETS ({}) has no {}: building all five instead",
                named.display(),
                missing.join(", ")
            ),
        }
    }
    let folder = workspace().join("target/controlplane/bin");
    if missing(&folder).is_empty() && is_current(&folder) {
        return Ok(folder);
    }
    build(&folder)?;
    Ok(folder)
}

fn missing(folder: &Path) -> Vec<&'static str> {
    PROGRAMS.into_iter().filter(|program| !folder.join(program).is_file()).collect()
}

/// What the binary was made of: it is built again when this differs.
fn fingerprint() -> Result<String> {
    let module = workspace().join("tests/controlplane");
    let mut text = KUBERNETES.to_owned();
    for file in ["go.mod", "go.sum", "main.go", "internal/kubectl/kubectl.go"] {
        text.push_str(&fs::read_to_string(module.join(file)).with_context(|| format!("could not read {file}"))?);
    }
    Ok(text)
}

fn is_current(folder: &Path) -> bool {
    let built = fs::read_to_string(folder.join("built-from")).ok();
    built.is_some() && built == fingerprint().ok()
}

fn build(folder: &Path) -> Result<()> {
    if Command::new("go").arg("version").output().is_err() {
        bail!(
            "there is no control plane to run on, and no Go to build one. Either install Go 1.26 or newer, or set \
             KUBEBUILDER_ASSETS to a folder that holds {}",
            PROGRAMS.join(", ")
        );
    }
    fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    eprintln!("building a control plane (Kubernetes {KUBERNETES}); this takes some minutes, once");
    let number = KUBERNETES.trim_start_matches('v');
    let mut parts = number.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let version = "k8s.io/component-base/version";
    let ldflags = format!(
        "-s -w -X {version}.gitVersion={KUBERNETES} -X {version}.gitMajor={major} -X {version}.gitMinor={minor} \
         -X {version}.gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}"
    );
    let status = Command::new("go")
        .current_dir(workspace().join("tests/controlplane"))
        .args(["build", "-trimpath", "-ldflags", &ldflags, "-o"])
        .arg(folder.join("controlplane"))
        .arg(".")
        .status()
        .context("could not run go")?;
    if !status.success() {
        bail!("go could not build the control plane ({status}); its words stand above");
    }
    for program in PROGRAMS {
        let link = folder.join(program);
        if !link.exists() {
            std::os::unix::fs::symlink("controlplane", &link)
                .with_context(|| format!("could not link {}", link.display()))?;
        }
    }
    fs::write(folder.join("built-from"), fingerprint()?).context("could not note what was built")
}

//! The manifest by which krew installs the plugin, and what krew asks of it and of the archives.

use std::io::Read as _;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::archive::sha256;

/// A system that krew knows, and Rust's name of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// Krew's name of the system.
    pub os: &'static str,
    /// Krew's name of the processor.
    pub arch: &'static str,
    /// Rust's name of both, as the release is built.
    pub target: &'static str,
}

/// All that are released.
pub const PLATFORMS: [Platform; 6] = [
    Platform { os: "linux", arch: "amd64", target: "x86_64-unknown-linux-musl" },
    Platform { os: "linux", arch: "arm64", target: "aarch64-unknown-linux-musl" },
    Platform { os: "darwin", arch: "amd64", target: "x86_64-apple-darwin" },
    Platform { os: "darwin", arch: "arm64", target: "aarch64-apple-darwin" },
    Platform { os: "windows", arch: "amd64", target: "x86_64-pc-windows-msvc" },
    Platform { os: "windows", arch: "arm64", target: "aarch64-pc-windows-msvc" },
];

impl Platform {
    /// The plugin's file in the archive.
    #[must_use]
    pub fn program(&self) -> &'static str {
        if self.os == "windows" { "kubectl-dbscale.exe" } else { "kubectl-dbscale" }
    }

    /// The archive's name.
    #[must_use]
    pub fn archive(&self, version: &str) -> String {
        let ending = if self.os == "windows" { "zip" } else { "tar.gz" };
        format!("kubectl-dbscale_v{version}_{}_{}.{ending}", self.os, self.arch)
    }
}

const CAVEATS: &str = "For completion through kubectl run once:\n\n    kubectl dbscale completion install\n";

const DESCRIPTION: &str = "\
Turns flags into KubeDB's OpsRequests, for all 32 kinds of database: CPU and
memory, members and shards, volumes. What would hurt is refused before it is
sent, with the reason and what to do instead. Follows operations to their
end, undoes them, and lints manifests without a cluster.
";

/// The manifest. `sums` are the archives that there are, and their SHA-256.
#[must_use]
pub fn manifest(version: &str, base_url: &str, sums: &[(Platform, String)]) -> Value {
    let platform = |(platform, sum): &(Platform, String)| {
        json!({
            "selector": {"matchLabels": {"os": platform.os, "arch": platform.arch}},
            "uri": format!("{base_url}/v{version}/{}", platform.archive(version)),
            "sha256": sum,
            "bin": platform.program(),
        })
    };
    json!({
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "dbscale"},
        "spec": {
            "version": format!("v{version}"),
            "homepage": "https://dbscale.dev",
            "shortDescription": "Scale KubeDB databases, safely",
            "description": DESCRIPTION,
            "caveats": CAVEATS,
            "platforms": sums.iter().map(platform).collect::<Vec<_>>(),
        },
    })
}

/// What krew asks of a manifest.
///
/// # Errors
/// What is wrong with it. Source: krew's pkg/index/validation and its naming guide.
pub fn check_manifest(manifest: &Value) -> Result<()> {
    let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let version = text("/spec/version");
    ensure!(version.starts_with('v'), "the version {version} has no v in front");
    let short = text("/spec/shortDescription");
    ensure!(!short.is_empty() && short.chars().count() <= 50 && !short.contains('\n'), "'{short}' is not short");
    let long = text("/spec/description");
    ensure!(
        !long.is_empty() && long.lines().all(|line| line.chars().count() <= 80),
        "the description is not wrapped at 80"
    );
    ensure!(text("/spec/homepage").starts_with("https://"), "there is no homepage");
    let platforms = manifest.pointer("/spec/platforms").and_then(Value::as_array).context("there are no platforms")?;
    ensure!(!platforms.is_empty(), "there are no platforms");
    for platform in platforms {
        let field = |name: &str| platform[name].as_str().unwrap_or_default();
        let (uri, sum) = (field("uri"), field("sha256"));
        ensure!(uri.starts_with("https://"), "'{uri}' is no address");
        ensure!(uri.contains(version), "'{uri}' is of another version than {version}");
        let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        ensure!(sum.len() == 64 && sum.chars().all(digit), "'{sum}' is no lower-case SHA-256");
        ensure!(!field("bin").is_empty() && !field("bin").contains('/'), "bin is no file of the archive");
        ensure!(platform.get("files").is_none(), "files are not wanted: all of the archive is installed");
    }
    Ok(())
}

/// What krew asks of an archive, and that it is the one the manifest means.
///
/// # Errors
/// What is wrong with it.
pub fn check_tar_gz(manifest: &Value, name: &str, bytes: &[u8]) -> Result<()> {
    let platforms = manifest.pointer("/spec/platforms").and_then(Value::as_array).into_iter().flatten();
    let mut of_archive = platforms.filter(|p| p["uri"].as_str().is_some_and(|uri| uri.ends_with(&format!("/{name}"))));
    let platform = of_archive.next().with_context(|| format!("the manifest does not name {name}"))?;
    let sum = sha256(bytes);
    ensure!(platform["sha256"] == *sum, "{name} has the sum {sum}, and the manifest says {}", platform["sha256"]);
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let mut names = Vec::new();
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        ensure!(entry.header().entry_type().is_file(), "{name}: {path} is no plain file");
        ensure!(!path.contains("..") && !path.starts_with('/'), "{name}: {path} leads out of the archive");
        let mut first = [0; 1];
        ensure!(entry.read(&mut first)? == 1, "{name}: {path} is empty");
        names.push(path);
    }
    for wanted in [platform["bin"].as_str().unwrap_or_default(), "LICENSE"] {
        ensure!(names.iter().any(|n| n == wanted), "{name} has no {wanted}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::archive::{Entry, tar_gz};
    use super::*;

    const VERSION: &str = env!("CARGO_PKG_VERSION");

    fn whole() -> Value {
        let sums = PLATFORMS.map(|p| (p, "0".repeat(64)));
        manifest(VERSION, "https://dbscale.dev/releases", &sums)
    }

    #[test]
    fn the_one_in_the_repository_is_what_is_made() {
        let path = dbscale_testbed::assets::workspace().join("krew/dbscale.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text == super::super::in_repository().unwrap(),
            "krew/dbscale.yaml is stale: run `cargo xtask manifests`"
        );
        let read: Value = serde_saphyr::from_str(&text).unwrap();
        check_manifest(&read).unwrap();
        assert_eq!(read["spec"]["platforms"].as_array().map(Vec::len), Some(6));
    }

    #[test]
    fn what_krew_would_refuse() {
        check_manifest(&whole()).unwrap();
        let wrong = |pointer: &str, value: Value| {
            let mut manifest = whole();
            *manifest.pointer_mut(pointer).unwrap() = value;
            check_manifest(&manifest).unwrap_err().to_string()
        };
        assert_eq!(wrong("/spec/version", json!("0.1.0")), "the version 0.1.0 has no v in front");
        assert!(wrong("/spec/shortDescription", json!("a".repeat(51))).ends_with("is not short"));
        assert!(wrong("/spec/description", json!("a".repeat(81))).ends_with("wrapped at 80"));
        assert!(wrong("/spec/platforms/0/sha256", json!("A".repeat(64))).ends_with("no lower-case SHA-256"));
        assert!(wrong("/spec/platforms/0/uri", json!("https://x/v9/a")).contains("another version"));
        assert_eq!(wrong("/spec/platforms", json!([])), "there are no platforms");
    }

    /// `KREW` names the program; without it the other tests here stand for it.
    #[test]
    fn the_real_krew_installs_what_is_made() {
        let Ok(krew) = std::env::var("KREW") else {
            println!("SKIPPED: there is no krew; name one with KREW");
            return;
        };
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let linux = PLATFORMS.into_iter().find(|p| p.os == "linux" && p.arch == arch).unwrap();
        let program = Entry { name: "kubectl-dbscale", content: b"#!/bin/sh\necho installed\n", program: true };
        let bytes = tar_gz(&[program, Entry { name: "LICENSE", content: b"x", program: false }], 0).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("plugin.tar.gz"), &bytes).unwrap();
        let install = |sum: String| {
            let manifest = manifest(VERSION, "https://dbscale.dev/releases", &[(linux, sum)]);
            std::fs::write(file("dbscale.yaml"), serde_saphyr::to_string(&manifest).unwrap()).unwrap();
            let mut command = std::process::Command::new(&krew);
            command
                .arg("install")
                .arg("--manifest")
                .arg(file("dbscale.yaml"))
                .arg("--archive")
                .arg(file("plugin.tar.gz"));
            command.env("KREW_ROOT", file("krew")).env("KREW_NO_UPGRADE_CHECK", "1").output().unwrap()
        };
        let refused = install("0".repeat(64));
        assert!(!refused.status.success(), "a wrong sum is found");
        let installed = install(sha256(&bytes));
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        let said = std::process::Command::new(file("krew/bin/kubectl-dbscale")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "installed\n");
    }

    #[test]
    fn what_krew_would_refuse_of_an_archive() {
        let linux = PLATFORMS[0];
        let name = linux.archive(VERSION);
        let check = |entries: &[Entry<'_>]| {
            let bytes = tar_gz(entries, 0).unwrap();
            let manifest = manifest(VERSION, "https://dbscale.dev/releases", &[(linux, sha256(&bytes))]);
            check_tar_gz(&manifest, &name, &bytes).map_err(|e| e.to_string())
        };
        let program = Entry { name: "kubectl-dbscale", content: b"x", program: true };
        let license = Entry { name: "LICENSE", content: b"x", program: false };
        assert_eq!(check(&[program, license]), Ok(()));
        let program = Entry { name: "kubectl-dbscale", content: b"x", program: true };
        assert_eq!(check(&[program]), Err(format!("{name} has no LICENSE")));
        let other = tar_gz(&[], 0).unwrap();
        let manifest = manifest(VERSION, "https://dbscale.dev/releases", &[(linux, "0".repeat(64))]);
        let said = check_tar_gz(&manifest, &name, &other).unwrap_err().to_string();
        assert!(said.contains("and the manifest says"), "{said}");
    }
}

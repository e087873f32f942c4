//! `test`: every check of the project, step by step, with timings.

use std::path::Path;
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use dbscale_testbed::assets;

use crate::{playground, targets};

/// Runs every step; the first that fails ends it.
pub fn run() -> Result<()> {
    let all = Instant::now();
    step("format", &["fmt", "--all", "--check"])?;
    step("lint", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    step(
        "unit, property and command-line tests",
        &["test", "--workspace", "--exclude", "dbscale-e2e", "--all-targets"],
    )?;
    step("documentation tests", &["test", "--workspace", "--doc", "--quiet"])?;
    timed("other systems", targets::check)?;

    let dir = assets::workspace().join("target/playground");
    // Without the controller: what the plugin does alone is tested on its own.
    let playground = timed("control plane", || playground::hold(&dir, &["controller".to_owned()]))?;
    let tests = (|| {
        let origin = fs::read_to_string(dir.join("origin")).unwrap_or_default();
        eprintln!(
            "KubeDB's resource definitions: {}",
            if origin == "Real" { "the real ones" } else { "made from the catalog" }
        );
        if env::var_os("DBSCALE_REQUIRE_KUBEDB_DATA").is_some() && origin != "Real" {
            bail!("DBSCALE_REQUIRE_KUBEDB_DATA is set, and the real definitions were not used: set KUBEDB_DATA");
        }
        // One process at a time, so that the two cores are the tests' own.
        let path = format!("{}:{}", dir.join("bin").display(), env::var("PATH").unwrap_or_default());
        let set = [("DBSCALE_PLAYGROUND", dir.display().to_string()), ("PATH", path)];
        timed("end-to-end tests", || {
            cargo(&["test", "--package", "dbscale-e2e", "--", "--skip", "controller::"], &set)
        })?;
        had_its_rights(&dir.join("webhook.log"), "rbac-webhook.yaml")
    })();
    playground.end()?;
    tests?;
    let playground = timed("control plane with the controller", || playground::hold(&dir, &[]))?;
    let tests = timed("controller tests", || controller_tests(&dir));
    playground.end()?;
    tests?;
    eprintln!("all steps passed in {:.0} s", all.elapsed().as_secs_f32());
    Ok(())
}

/// Runs the controller's tests, and fails where the controller was refused anything by its own role.
fn controller_tests(dir: &Path) -> Result<()> {
    let path = format!("{}:{}", dir.join("bin").display(), env::var("PATH").unwrap_or_default());
    let set = [("DBSCALE_PLAYGROUND", dir.display().to_string()), ("PATH", path)];
    cargo(&["test", "--package", "dbscale-e2e", "--", "controller::"], &set)?;
    had_its_rights(&dir.join("controller.log"), "controller/rbac.yaml")
}

/// Fails where the log of a program tells that it was refused something by its own role.
fn had_its_rights(log: &Path, role: &str) -> Result<()> {
    let log = fs::read_to_string(log)?;
    // A namespace that is being deleted refuses writes too, whatever a role says.
    let lacks = |line: &&str| line.to_lowercase().contains("forbidden") && !line.contains("being terminated");
    match log.lines().find(lacks) {
        Some(line) => bail!("manifests/base/{role} lacks a right that is used: {line}"),
        None => Ok(()),
    }
}

fn step(name: &str, arguments: &[&str]) -> Result<()> {
    timed(name, || cargo(arguments, &[]))
}

fn timed<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {name}");
    let began = Instant::now();
    let done = work().with_context(|| format!("step '{name}' failed"))?;
    eprintln!("    {name}: {:.0} s", began.elapsed().as_secs_f32());
    Ok(done)
}

fn cargo(arguments: &[&str], set: &[(&str, String)]) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .current_dir(assets::workspace())
        .args(arguments)
        .envs(set.iter().map(|(k, v)| (k, v)))
        .status()
        .context("could not run cargo")?;
    if status.success() { Ok(()) } else { bail!("cargo {} ended with {status}", arguments.join(" ")) }
}

//! `test`: every check of the project, step by step, with timings.

use std::ffi::OsString;
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use dbscale_testbed::{assets, audit, furniture};

use crate::{playground, rights, targets, zig};

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
    timed("dependencies", dependencies)?;

    let dir = assets::workspace().join("target/playground");
    let logs = assets::workspace().join("target/audit");
    if logs.exists() {
        fs::remove_dir_all(&logs)?;
    }
    fs::create_dir_all(&logs)?;
    let environment = || -> Vec<(&str, OsString)> {
        let path = format!("{}:{}", dir.join("bin").display(), env::var("PATH").unwrap_or_default());
        vec![
            ("DBSCALE_PLAYGROUND", dir.clone().into()),
            ("PATH", path.into()),
            (audit::FOLDER, logs.clone().into()),
            (furniture::NODE_CPUS, "64".into()),
        ]
    };
    // Without the controller: what the plugin does alone is tested on its own.
    let playground =
        timed("control plane", || playground::hold_with(&dir, &["controller".to_owned()], &environment()))?;
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
        timed("end-to-end tests", || {
            cargo(&["test", "--package", "dbscale-e2e", "--", "--skip", "controller::"], &environment())
        })
    })();
    playground.end()?;
    tests?;
    let playground = timed("control plane with the controller", || playground::hold_with(&dir, &[], &environment()))?;
    let tests = timed("controller tests", || {
        cargo(&["test", "--package", "dbscale-e2e", "--", "controller::"], &environment())
    });
    playground.end()?;
    tests?;
    timed("rights", || rights::check(&logs))?;
    eprintln!("all steps passed in {:.0} s", all.elapsed().as_secs_f32());
    Ok(())
}

/// What may be depended on, as deny.toml has it. Advisories are fetched from elsewhere, and new ones need no change of ours: the
/// hosted checks look at them.
fn dependencies() -> Result<()> {
    if zig::output(env!("CARGO"), &["deny", "--version"]).is_none() {
        eprintln!("    skipped: there is no cargo-deny (cargo install --locked cargo-deny)");
        return Ok(());
    }
    cargo(&["deny", "check", "bans", "licenses", "sources"], &[])
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

fn cargo(arguments: &[&str], set: &[(&str, OsString)]) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .current_dir(assets::workspace())
        .args(arguments)
        .envs(set.iter().cloned())
        .status()
        .context("could not run cargo")?;
    if status.success() { Ok(()) } else { bail!("cargo {} ended with {status}", arguments.join(" ")) }
}

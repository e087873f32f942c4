//! `soak`: the long forms of tests that `cargo xtask test` runs in short, on a playground of their own.

use std::env;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dbscale_testbed::assets;

use crate::playground;

/// How many seconds a load lasts.
const SECONDS: &str = "60";
/// How many rounds of two operations each of nine databases goes through: 1,008 operations.
const ROUNDS: &str = "56";

/// The webhook: its certificates change, its replicas die, and KubeDB writes through it.
pub fn webhook() -> Result<()> {
    let set = [("DBSCALE_SOAK_S", SECONDS), ("DBSCALE_ROUNDS", ROUNDS)];
    run(&["controller"], &["soak", "kubedb_writes"], &set)
}

/// The controller: its leader is killed a hundred times while 200 databases scale, and its API server is restarted, slow,
/// silent and cut off for a minute each.
pub fn controller() -> Result<()> {
    let set = [
        ("DBSCALE_KILLS", "100"),
        ("DBSCALE_DATABASES", "200"),
        ("DBSCALE_OUTAGE_S", "60"),
        ("DBSCALE_PATIENCE_S", "900"),
    ];
    // These tests start control planes of their own, and want the programs alone.
    run(&["simulator", "webhook", "controller"], &["controller_failures"], &set)
}

/// The checks of the surroundings: 300 made-up cases each against the real scheduler and the real admission.
pub fn preflight() -> Result<()> {
    run(&["controller"], &["preflight"], &[("DBSCALE_CASES", "300")])
}

/// Runs tests one after the other, on a playground without some of its parts.
fn run(without: &[&str], tests: &[&str], set: &[(&str, &str)]) -> Result<()> {
    let dir = assets::workspace().join("target/soak");
    let without: Vec<String> = without.iter().map(|part| (*part).to_owned()).collect();
    let playground = playground::hold(&dir, &without)?;
    let path = format!("{}:{}", dir.join("bin").display(), env::var("PATH").unwrap_or_default());
    let done = tests.iter().try_for_each(|test| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(assets::workspace()).args(["test", "--package", "dbscale-e2e", "--test", test]);
        cargo.args(["--", "--nocapture", "--test-threads=1"]).env("PATH", &path).env("DBSCALE_PLAYGROUND", &dir);
        let status = cargo.envs(set.iter().copied()).status().context("could not run cargo")?;
        ensure!(status.success(), "the test '{test}' ended with {status}");
        Ok(())
    });
    playground.end()?;
    done
}

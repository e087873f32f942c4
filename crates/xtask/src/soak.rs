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
    let dir = assets::workspace().join("target/soak");
    let playground = playground::hold(&dir, &["controller".to_owned()])?;
    let path = format!("{}:{}", dir.join("bin").display(), env::var("PATH").unwrap_or_default());
    let tests = ["soak", "kubedb_writes"].into_iter().try_for_each(|test| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(assets::workspace()).args(["test", "--package", "dbscale-e2e", "--test", test]);
        cargo.args(["--", "--nocapture"]).env("PATH", &path).env("DBSCALE_PLAYGROUND", &dir);
        let status = cargo.env("DBSCALE_SOAK_S", SECONDS).env("DBSCALE_ROUNDS", ROUNDS).status();
        let status = status.context("could not run cargo")?;
        ensure!(status.success(), "the test '{test}' ended with {status}");
        Ok(())
    });
    playground.end()?;
    tests
}

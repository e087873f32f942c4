//! Checks that the plugin compiles for the other systems it is shipped to, as far as this machine's toolchain allows.
//!
//! A target needs its standard library (`rustup target add`) and a C compiler, for ring: [`crate::zig`].

use std::process::Command;

use anyhow::{Result, ensure};
use dbscale_testbed::assets;

use crate::zig;

const TARGETS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// Checks each target that can be checked, and says of the others why they are skipped.
pub fn check() -> Result<()> {
    let installed = zig::output("rustup", &["target", "list", "--installed"]).unwrap_or_default();
    let compiler = zig::is_installed();
    for target in TARGETS {
        if !installed.lines().any(|line| line == target) {
            eprintln!("    skipped: {target} is not installed (rustup target add {target})");
        } else if !compiler {
            eprintln!("    skipped: {target} has no C compiler (pip install ziglang)");
        } else {
            check_one(target)?;
        }
    }
    Ok(())
}

fn check_one(target: &str) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .current_dir(assets::workspace())
        .args(["check", "--quiet", "--package", "kubectl-dbscale", "--target", target])
        .envs(zig::environment(target)?)
        .status()?;
    ensure!(status.success(), "the plugin does not compile for {target}");
    eprintln!("    the plugin compiles for {target}");
    Ok(())
}

//! Checks that the plugin compiles for the other systems it is shipped to, as far as this machine's toolchain allows.
//!
//! A target needs its standard library (`rustup target add`) and a C compiler, for ring. Zig is one for all of them
//! (`pip install ziglang`); it is called through a script that drops the flags it does not know.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dbscale_testbed::assets;

/// Rust's name of a target, and Zig's.
const TARGETS: [(&str, &str); 2] =
    [("x86_64-pc-windows-gnu", "x86_64-windows-gnu"), ("aarch64-apple-darwin", "aarch64-macos")];

/// Checks each target that can be checked, and says of the others why they are skipped.
pub fn check() -> Result<()> {
    let installed = output("rustup", &["target", "list", "--installed"]).unwrap_or_default();
    let zig = output("python3", &["-m", "ziglang", "version"]).is_some();
    for (target, zig_target) in TARGETS {
        if !installed.lines().any(|line| line == target) {
            eprintln!("    skipped: {target} is not installed (rustup target add {target})");
        } else if !zig {
            eprintln!("    skipped: {target} has no C compiler (pip install ziglang)");
        } else {
            check_one(target, zig_target)?;
        }
    }
    Ok(())
}

fn check_one(target: &str, zig_target: &str) -> Result<()> {
    let folder = assets::workspace().join("target/zig");
    fs::create_dir_all(&folder)?;
    let compiler = script(
        &folder.join(format!("cc-{target}")),
        &format!(
            "for a; do shift; case \"$a\" in --target=*|-arch|arm64|-mmacosx-version-min=*) ;; *) set -- \"$@\" \"$a\" ;; esac; done\n\
             exec python3 -m ziglang cc -target {zig_target} \"$@\""
        ),
    )?;
    let archiver = script(&folder.join("ar"), "exec python3 -m ziglang ar \"$@\"")?;
    let name = target.replace('-', "_");
    let status = Command::new(env!("CARGO"))
        .current_dir(assets::workspace())
        .args(["check", "--quiet", "--package", "kubectl-dbscale", "--target", target])
        .env(format!("CC_{name}"), compiler)
        .env(format!("AR_{name}"), archiver)
        .status()?;
    ensure!(status.success(), "the plugin does not compile for {target}");
    eprintln!("    the plugin compiles for {target}");
    Ok(())
}

fn script(path: &Path, body: &str) -> Result<PathBuf> {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).with_context(|| format!("could not write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(path.to_owned())
}

/// What a program prints, `None` where it cannot be run or fails.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|o| o.status.success())?;
    String::from_utf8(output.stdout).ok()
}

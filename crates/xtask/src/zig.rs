//! Zig as the C compiler for other systems (`pip install ziglang`): ring has C in it, and one compiler does for all of them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use dbscale_testbed::assets;

/// Rust's name of a target, and Zig's.
const NAMES: [(&str, &str); 6] = [
    ("x86_64-unknown-linux-musl", "x86_64-linux-musl"),
    ("aarch64-unknown-linux-musl", "aarch64-linux-musl"),
    ("x86_64-pc-windows-gnu", "x86_64-windows-gnu"),
    ("x86_64-apple-darwin", "x86_64-macos"),
    ("aarch64-apple-darwin", "aarch64-macos"),
    ("aarch64-pc-windows-gnullvm", "aarch64-windows-gnu"),
];

/// Whether it is there.
pub fn is_installed() -> bool {
    output("python3", &["-m", "ziglang", "version"]).is_some()
}

/// The variables by which cargo compiles C for a target with Zig, and links for Linux with Rust's own linker; none where Zig is
/// not there or does not know the target, so that the system's compiler is taken.
///
/// # Errors
/// That the scripts through which it is called cannot be written.
pub fn environment(target: &str) -> Result<Vec<(String, PathBuf)>> {
    let Some((_, zig_target)) = NAMES.iter().find(|(rust, _)| *rust == target).filter(|_| is_installed()) else {
        return Ok(Vec::new());
    };
    let folder = assets::workspace().join("target/zig");
    fs::create_dir_all(&folder)?;
    // Flags that it does not know are dropped.
    let compiler = script(
        &folder.join(format!("cc-{target}")),
        &format!(
            "for a; do shift; case \"$a\" in --target=*|-arch|arm64|x86_64|-mmacosx-version-min=*) ;; *) set -- \"$@\" \"$a\" ;; esac; done\n\
             exec python3 -m ziglang cc -target {zig_target} \"$@\""
        ),
    )?;
    let archiver = script(&folder.join("ar"), "exec python3 -m ziglang ar \"$@\"")?;
    let name = target.replace('-', "_");
    let mut set = vec![(format!("CC_{name}"), compiler), (format!("AR_{name}"), archiver)];
    if target.ends_with("-linux-musl") {
        set.push((format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), "rust-lld".into()));
    }
    Ok(set)
}

fn script(path: &Path, body: &str) -> Result<PathBuf> {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).with_context(|| format!("could not write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(path.to_owned())
}

/// What a program prints, `None` where it cannot be run or fails.
pub fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|o| o.status.success())?;
    String::from_utf8(output.stdout).ok()
}

//! `cargo xtask dist`: what a release holds, for the systems that this machine can build for.
//!
//! Linux is built static, with musl: the plugin's archives, and the two programs that Containerfile takes. Their C parts (ring)
//! are compiled by Zig where it is installed. Other systems are built on machines of their own, each with `--target`;
//! `--manifest-only` then writes krew's manifest for all archives that lie in dist/.

mod archive;
mod bill;
mod krew;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use dbscale_testbed::assets;

use self::archive::{Entry, sha256, tar_gz, zip};
use self::krew::{PLATFORMS, Platform};
use crate::zig;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What may be chosen.
#[derive(Debug, Args)]
pub struct Options {
    /// Rust's name of a system to build for, in place of the static Linux ones
    #[arg(long, value_name = "TRIPLE")]
    target: Vec<String>,
    /// Where the archives will be found
    #[arg(long, value_name = "URL", default_value = "https://dbscale.dev/releases")]
    base_url: String,
    /// Build nothing: write krew's manifest and the sums for what is in dist/
    #[arg(long)]
    manifest_only: bool,
}

/// Builds, packs, and writes the sums and krew's manifest.
///
/// # Errors
/// What could not be built, read or written.
pub fn run(options: &Options) -> Result<()> {
    let dist = assets::workspace().join("dist");
    fs::create_dir_all(&dist).with_context(|| format!("could not make {}", dist.display()))?;
    if !options.manifest_only {
        let targets = if options.target.is_empty() { static_linux()? } else { chosen(&options.target)? };
        for platform in targets {
            build(platform, &dist)?;
        }
    }
    let mut sums = Vec::new();
    for platform in PLATFORMS {
        let path = dist.join(platform.archive(VERSION));
        if path.is_file() {
            sums.push((platform, sha256(&fs::read(&path)?)));
        } else {
            eprintln!("    not here, so not in the manifest: {}", platform.archive(VERSION));
        }
    }
    ensure!(!sums.is_empty(), "there is no archive in {}", dist.display());
    let manifest = krew::manifest(VERSION, &options.base_url, &sums);
    krew::check_manifest(&manifest)?;
    for (platform, _) in sums.iter().filter(|(platform, _)| platform.os != "windows") {
        let name = platform.archive(VERSION);
        krew::check_tar_gz(&manifest, &name, &fs::read(dist.join(&name))?)?;
    }
    fs::write(dist.join("dbscale.yaml"), serde_saphyr::to_string(&manifest)?)?;
    let lines = sums.iter().map(|(platform, sum)| format!("{sum}  {}\n", platform.archive(VERSION)));
    fs::write(dist.join("checksums.txt"), lines.chain(bills(&dist)?).collect::<String>())?;
    eprintln!("    written: {}", dist.join("dbscale.yaml").display());
    Ok(())
}

/// `krew/dbscale.yaml`: the shape, for all systems. A release fills in the sums.
///
/// # Errors
/// That it cannot be written as YAML.
pub fn in_repository() -> Result<String> {
    let sums = PLATFORMS.map(|platform| (platform, "0".repeat(64)));
    let manifest = krew::manifest(VERSION, "https://dbscale.dev/releases", &sums);
    let text = serde_saphyr::to_string(&manifest)?;
    Ok(format!(
        "# Made by `cargo xtask manifests`. `cargo xtask dist` writes the one of a release, with its sums, to dist/dbscale.yaml.\n{text}"
    ))
}

/// The Linux targets whose standard library is installed; the processor's own at least.
fn static_linux() -> Result<Vec<Platform>> {
    let installed = zig::output("rustup", &["target", "list", "--installed"]).unwrap_or_default();
    let linux = PLATFORMS.into_iter().filter(|platform| platform.os == "linux");
    let (can, cannot): (Vec<_>, Vec<_>) = linux.partition(|p| installed.lines().any(|line| line == p.target));
    for platform in cannot {
        eprintln!("    left out: {0} is not installed (rustup target add {0})", platform.target);
    }
    ensure!(!can.is_empty(), "no target to build for: rustup target add x86_64-unknown-linux-musl");
    Ok(can)
}

fn chosen(targets: &[String]) -> Result<Vec<Platform>> {
    let find = |target: &String| {
        let known = PLATFORMS.map(|p| p.target).join(", ");
        let found = PLATFORMS.into_iter().find(|p| p.target == *target);
        found.with_context(|| format!("{target} is none of the released systems: {known}"))
    };
    targets.iter().map(find).collect()
}

fn build(platform: Platform, dist: &Path) -> Result<()> {
    let plugin = compile(platform, "kubectl-dbscale", "release")?;
    let license = fs::read(assets::workspace().join("LICENSE"))?;
    let program = fs::read(&plugin).with_context(|| format!("could not read {}", plugin.display()))?;
    let entries = [
        Entry { name: platform.program(), content: &program, program: true },
        Entry { name: "LICENSE", content: &license, program: false },
    ];
    let bytes = if platform.os == "windows" { zip(&entries)? } else { tar_gz(&entries, time_of_commit()?)? };
    let name = platform.archive(VERSION);
    eprintln!("    {name}: {} KiB, {}", bytes.len() / 1024, sha256(&bytes));
    fs::write(dist.join(name), bytes)?;
    describe(platform, "kubectl-dbscale", dist)?;
    if platform.os == "linux" {
        let folder = dist.join(format!("linux_{}", platform.arch));
        fs::create_dir_all(&folder)?;
        for package in ["dbscale-webhook", "dbscale-controller"] {
            fs::copy(compile(platform, package, "server")?, folder.join(package))?;
            describe(platform, package, dist)?;
        }
    }
    Ok(())
}

/// What the bills of materials end in.
const BILL: &str = ".cdx.json";

/// Writes what a program is made of.
fn describe(platform: Platform, package: &str, dist: &Path) -> Result<()> {
    let name = format!("{package}_v{VERSION}_{}_{}{BILL}", platform.os, platform.arch);
    let bill = bill::of(package, platform.target, time_of_commit()?)?;
    fs::write(dist.join(&name), bill).with_context(|| format!("could not write {name}"))
}

/// The sums of the bills of materials that lie in dist/, a line each.
fn bills(dist: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(dist)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.contains(&format!("_v{VERSION}_")) && name.ends_with(BILL) {
            lines.push(format!("{}  {name}\n", sha256(&fs::read(dist.join(&name))?)));
        }
    }
    lines.sort_by(|a, b| a[64..].cmp(&b[64..]));
    Ok(lines)
}

/// Builds a program; answers where it is. The same sources make the same bytes wherever they lie: no path gets in.
fn compile(platform: Platform, package: &str, profile: &str) -> Result<PathBuf> {
    let workspace = assets::workspace();
    let target = platform.target;
    eprintln!("    building {package} for {target}");
    let mut remap = vec![(workspace.display().to_string(), "/dbscale")];
    for (name, to) in [("CARGO_HOME", "/cargo"), ("HOME", "/home")] {
        remap.extend(std::env::var(name).ok().map(|from| (from, to)));
    }
    // Of several that fit rustc takes the last.
    remap.reverse();
    let flags: Vec<String> = remap.iter().map(|(from, to)| format!("--remap-path-prefix={from}={to}")).collect();
    let mut command = Command::new(env!("CARGO"));
    let auditable = zig::output("cargo", &["auditable", "--version"]).is_some();
    if auditable {
        command.arg("auditable");
    } else {
        eprintln!("    without the list of its dependencies inside (cargo install --locked cargo-auditable)");
    }
    let status = command
        .current_dir(&workspace)
        .args(["build", "--locked", "--package", package, "--profile", profile, "--target", target])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("SOURCE_DATE_EPOCH", time_of_commit()?.to_string())
        .envs(zig::environment(target)?)
        .status()?;
    ensure!(status.success(), "{package} could not be built for {target}");
    let name = if package == "kubectl-dbscale" { platform.program() } else { package };
    let built = workspace.join("target").join(target).join(profile).join(name);
    starts(platform, &built)?;
    Ok(built)
}

/// Where a program is for this machine, it is run once: what another linker or C library has made of it may end at once.
fn starts(platform: Platform, program: &Path) -> Result<()> {
    let here = platform.os == std::env::consts::OS && platform.target.starts_with(std::env::consts::ARCH);
    if here {
        let said = Command::new(program).arg("--version").output();
        let said = said.with_context(|| format!("{} does not start", program.display()))?;
        ensure!(said.status.success(), "{} does not start: it ends with {}", program.display(), said.status);
    }
    Ok(())
}

/// When the last commit was made, Unix seconds: the time of all that is packed.
fn time_of_commit() -> Result<u64> {
    if let Ok(set) = std::env::var("SOURCE_DATE_EPOCH") {
        return set.parse().with_context(|| format!("SOURCE_DATE_EPOCH is '{set}', and no number of seconds"));
    }
    let said = zig::output("git", &["log", "-1", "--format=%ct"]);
    let Some(time) = said.and_then(|said| said.trim().parse().ok()) else {
        bail!("git does not tell when the last commit was made: set SOURCE_DATE_EPOCH to Unix seconds");
    };
    Ok(time)
}

//! Turns the readable data files (`engines/*.yaml`, `sizes.yaml`) into JSON at build time, so that a program that starts
//! many times a minute reads them in well under a millisecond and carries no YAML parser for them.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let folder = root.join("engines");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, io::Error>>()?;
    files.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    files.sort();
    let engines = files.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    fs::write(out.join("engines.json"), serde_json::to_string(&engines)?)?;

    let sizes = root.join("sizes.yaml");
    println!("cargo::rerun-if-changed={}", sizes.display());
    fs::write(out.join("sizes.json"), serde_json::to_string(&read(&sizes)?)?)?;
    Ok(())
}

fn read(path: &Path) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    let text = fs::read_to_string(path)?;
    serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

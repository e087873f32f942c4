//! `cargo xtask docs`: the pages that are made from the program's own words.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes docs/rules.md. A test of dbscale-core compares the file with what the rules say.
///
/// # Errors
/// That the file cannot be written.
pub fn run() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    fs::write(&path, dbscale_core::rules::markdown()).with_context(|| format!("could not write {}", path.display()))
}

//! The oldest Rust that Cargo.toml names does: no dependency asks for a newer one. Clippy's `incompatible_msrv` looks at the
//! standard library's own functions, and a job of the hosted checks compiles with it.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and a panic is how one fails")]

use std::process::Command;

use serde_json::Value;

fn version(text: &str) -> Vec<u32> {
    let numbers: Vec<u32> = text.split('.').map(|number| number.parse().unwrap()).collect();
    [&numbers[..], &[0, 0]].concat()[..3].to_vec()
}

#[test]
fn no_dependency_asks_for_a_newer_rust() {
    let arguments = ["metadata", "--format-version", "1", "--locked"];
    let root = dbscale_testbed::assets::workspace();
    let output = Command::new(env!("CARGO")).current_dir(root).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));
    let packages = metadata["packages"].as_array().unwrap();
    let newer = packages.iter().filter(|p| p["rust_version"].as_str().is_some_and(|needs| version(needs) > ours));
    let newer: Vec<String> = newer.map(|p| format!("{} {}", p["name"], p["rust_version"])).collect();
    assert_eq!(newer, Vec::<String>::new(), "Cargo.toml says {ours:?}");
}

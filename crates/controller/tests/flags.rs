//! Choices that make no sense end the program before it does anything.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use std::process::Command;

#[test]
fn two_clusters_of_one_name_are_refused() {
    let arguments = ["--metrics-address=127.0.0.1:0", "--cluster=east=/nowhere/a", "--cluster=east=/nowhere/b"];
    let output = Command::new(env!("CARGO_BIN_EXE_dbscale-controller")).args(arguments).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("two clusters are called 'east'"), "{said}");
}

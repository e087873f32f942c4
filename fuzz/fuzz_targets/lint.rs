//! Bytes → YAML or JSON → verdict. See docs/fuzzing.md.
#![no_main]

#[path = "../../crates/kubectl-dbscale/tests/lint/target.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::judge(bytes));

//! Bytes → review → verdict and answer. See docs/fuzzing.md.
#![no_main]

#[path = "../../crates/webhook/tests/review/target.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    target::judge(bytes);
});

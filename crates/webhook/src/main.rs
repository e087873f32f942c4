//! The admission webhook's program.

fn main() {}

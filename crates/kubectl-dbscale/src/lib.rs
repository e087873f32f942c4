//! The parts of the plugin that need neither a cluster nor a terminal: what `lint` reads, decides and prints.
//!
//! The program links this library, and so does the fuzz target.

pub mod lint;

//! What the controller must bear: its leader killed at any moment, the API server gone for a while, a cluster that does not
//! answer. On a control plane of its own, for the others' tests need theirs.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

/// A module, so that the suite can choose these tests by the beginning of their names.
mod controller;

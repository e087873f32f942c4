//! The controller: every operation is watched to its end.
//!
//! For each cluster: [`store`] keeps what the watches tell, trimmed; [`queue`] works on the databases that changed, one at
//! a time each; [`reconcile`] asks the pure core what follows, and does it; [`census`] tells how databases stand to policies.

pub mod census;
pub mod cluster;
pub mod grow;
pub mod look;
pub mod metrics;
pub mod queue;
pub mod reconcile;
pub mod report;
pub mod settings;
pub mod store;
#[cfg(test)]
mod testing;

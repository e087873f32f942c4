//! The admission webhook: whatever tool asks, a wrong scaling never reaches KubeDB.

pub mod answer;
pub mod args;
pub mod asked;
pub mod carried_out;
pub mod covered;
pub mod handler;
pub mod judge;
pub mod live;
pub mod metrics;
pub mod policies;
pub mod program;
pub mod review;
pub mod self_managed;
#[cfg(test)]
mod testing;
pub mod users;

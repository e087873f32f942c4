//! The admission webhook: whatever tool asks, a wrong scaling never reaches KubeDB.

pub mod review;

//! All of dbscale that talks to an API server: connecting, reading, and writing so that a repeated write does no harm.

pub mod apply;
pub mod around;
pub mod cache;
pub mod call;
pub mod claim;
pub mod connect;
pub mod entries;
pub mod error;
pub mod installed;
mod kubeconfig;
pub mod lease;
#[cfg(test)]
mod mock;
pub mod policies;
pub mod read;
pub mod unchanged;
#[cfg(feature = "watch")]
pub mod watch;

pub use call::{Call, Cluster};
pub use error::{ApiFailure, Kind};

//! A real Kubernetes control plane on loopback, and a simulator of KubeDB's operator: for tests and the demo, never shipped.

pub mod assets;
pub mod audit;
pub mod balancer;
pub mod certificates;
pub mod control_plane;
pub mod controller;
pub mod crds;
pub mod furniture;
pub mod playground;
pub mod seed;
pub mod shipped;
pub mod simulator;
pub mod webhook;

pub use control_plane::{ControlPlane, client};

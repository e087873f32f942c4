//! A control plane with everything in it: definitions, nodes, classes, and the simulator.

use std::path::Path;

use anyhow::Result;

use crate::crds::Origin;
use crate::simulator::Simulator;
use crate::{ControlPlane, client, crds, furniture};

/// A running playground. Dropping it ends it and leaves nothing behind.
pub struct Playground {
    /// The control plane.
    pub plane: ControlPlane,
    /// KubeDB's operator, simulated.
    pub simulator: Option<Simulator>,
    /// Where KubeDB's definitions came from.
    pub origin: Origin,
}

impl Playground {
    /// Starts one with its data in `folder`.
    ///
    /// # Errors
    /// Where a part does not start.
    pub async fn start(folder: &Path, with_simulator: bool) -> Result<Self> {
        let plane = ControlPlane::start(folder).await?;
        let client = client(&plane.kubeconfig()).await?;
        let origin = crds::install(&client).await?;
        furniture::install(&client).await?;
        let simulator = with_simulator.then(|| Simulator::start(client));
        Ok(Self { plane, simulator, origin })
    }
}

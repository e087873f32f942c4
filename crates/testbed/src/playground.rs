//! A control plane with everything in it: definitions, nodes, classes, and the simulator.

use std::path::Path;

use anyhow::Result;

use crate::crds::Origin;
use crate::simulator::Simulator;
use crate::{ControlPlane, client, crds, furniture};

/// Who KubeDB's operator is to the API server; the rights are all, since it is not its rights that are tested.
const KUBEDB: &str = "system:serviceaccount:kubedb:kubedb-kubedb-ops-manager";

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
        let simulator = if with_simulator {
            let account = plane.kubeconfig_for(KUBEDB, Some("system:masters"))?;
            Some(Simulator::start(crate::client(&account).await?))
        } else {
            None
        };
        Ok(Self { plane, simulator, origin })
    }
}

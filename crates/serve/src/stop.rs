//! The end of a server, by whatever it was asked for.

use tokio_util::sync::CancellationToken;

/// The end of a server, in two steps.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// The end is near: answers close their connections.
    pub announced: CancellationToken,
    /// Now.
    pub now: CancellationToken,
}

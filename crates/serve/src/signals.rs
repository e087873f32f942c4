//! The end of a program: not ready, a pause until everybody has noticed, then the drain. A second signal ends it at once.

use std::io;
use std::time::Duration;

use crate::probes::Gate;
use crate::stop::Stop;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit code after a second signal: 128 + SIGTERM, as a shell would say it.
const EXIT_AT_ONCE: i32 = 143;

/// SIGTERM and SIGINT.
pub struct Signals {
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// Where the system does not let signals be caught.
    pub fn new() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next signal's name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    /// Waits for a signal, closes `ready` and announces the end, waits for `notice` (endpoints take a moment to hear of it),
    /// and stops. From the first signal on, a second one ends the process.
    pub async fn stop_in_order(mut self, ready: Gate, notice: Duration, stop: Stop) {
        let name = self.next().await;
        tracing::info!(signal = name, "stopping");
        ready.close("stopping");
        stop.announced.cancel();
        tokio::spawn(async move {
            let name = self.next().await;
            tracing::warn!(signal = name, "a second signal: ending at once");
            std::process::exit(EXIT_AT_ONCE);
        });
        tokio::time::sleep(notice).await;
        stop.now.cancel();
    }
}

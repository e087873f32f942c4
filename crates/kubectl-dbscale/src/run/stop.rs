//! ^C: begin nothing more, finish the write that is under way, and tell what was done. A second one ends the program.

use tokio::sync::watch;

use super::failure::EXIT_INTERRUPTED;
use crate::board::Board;

/// Whether a person has asked to stop.
#[derive(Debug, Clone)]
pub struct Stop(Option<watch::Receiver<bool>>);

impl Stop {
    /// One that nobody can ask for.
    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }

    /// Listens for the process's interrupt from here on; `board` is where operations are told at the same time.
    #[must_use]
    pub fn on_interrupt(board: Board) -> Self {
        let (ask, asked) = watch::channel(false);
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_err() {
                return; // no handler can be had here: the interrupt then ends the process as ever
            }
            board.aside(|| eprintln!("stopping; what was asked for goes on in the cluster (^C again ends at once)"));
            // Nobody listens any more where the work has just ended.
            let _ = ask.send(true);
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(i32::from(EXIT_INTERRUPTED));
            }
        });
        Self(Some(asked))
    }

    /// Whether it was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.as_ref().is_some_and(|asked| *asked.borrow())
    }

    /// Waits until it is asked for.
    pub async fn asked(&mut self) {
        let asked = match &mut self.0 {
            Some(asked) => asked.wait_for(|asked| *asked).await.is_ok(),
            None => false,
        };
        if !asked {
            std::future::pending::<()>().await;
        }
    }
}

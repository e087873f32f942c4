//! `--self-managed-certs`: the serving certificate comes from a Secret that the replicas keep together, and API servers are
//! told whom to trust.
//!
//! A round reads the ValidatingWebhookConfiguration, then the Secret, and does what is missing: make a certificate, have its
//! authority trusted, serve it. Every write holds only for what was read, so of several replicas one makes the next certificate,
//! and the others read it. In that order a replica never takes a new authority out again: whoever sees it trusted reads the
//! Secret after that, and finds it there.

pub mod kept;

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use dbscale_cluster::apply::Write;
use dbscale_cluster::entries::{self, EntriesError};
use dbscale_cluster::{ApiFailure, Call, Cluster, installed};
use dbscale_serve::certificate::{Pair, unix_now_s};
use dbscale_serve::trust::{self, TrustError};
use dbscale_serve::{Certificate, Gate, Readiness};
use tokio::time::Instant;

use self::kept::Kept;

/// The pause between two rounds.
const ROUND: Duration = Duration::from_secs(5);

/// How long API servers may take to notice whom they are to trust. They watch the object, so it is a moment; until it is over
/// the certificate before is served.
const SETTLE: Duration = Duration::from_secs(5);

/// How often a round is begun again at once because another replica was faster.
const TRIES: usize = 5;

/// What is looked after.
pub struct SelfManaged {
    /// Where.
    pub cluster: Cluster,
    /// The Secret's path in the API.
    pub secret: String,
    /// The ValidatingWebhookConfiguration's path in the API.
    pub configuration: String,
    /// How long a certificate is valid.
    pub life: Duration,
    /// What is served.
    pub serving: Arc<Certificate>,
    /// Open while API servers trust what is served.
    pub covered: Gate,
    /// Rules are set once everything is ready.
    pub readiness: Readiness,
    trusted: Option<Trusted>,
}

/// An authority that API servers trust.
struct Trusted {
    authority: String,
    since: Instant,
}

/// What keeps a round from its end.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("the API server does not do what is needed for the certificate")]
    Api(#[from] ApiFailure),
    #[error("the ValidatingWebhookConfiguration is not as it should be")]
    Entries(#[from] EntriesError),
    #[error("API servers do not trust what is served")]
    Untrusted(#[from] TrustError),
    #[error("no certificate could be made")]
    Make(#[from] rcgen::Error),
    #[error("others change the Secret or the ValidatingWebhookConfiguration faster than they can be read")]
    Busy,
}

impl SelfManaged {
    /// Looks after the certificate of a webhook that nothing serves yet.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        [secret, configuration]: [&str; 2],
        life: Duration,
        serving: Arc<Certificate>,
        readiness: Readiness,
    ) -> Self {
        let secret = format!("/api/v1/namespaces/{}/secrets/{secret}", cluster.default_namespace);
        let configuration = entries::path(configuration);
        let covered = readiness.gate("caBundle");
        Self { cluster, secret, configuration, life, serving, covered, readiness, trusted: None }
    }

    /// Looks after it for ever. What goes wrong is told once, and tried again.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(ROUND);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = String::new();
        loop {
            tick.tick().await;
            let Err(problem) = self.round(unix_now_s()).await else {
                told.clear();
                continue;
            };
            let text = chain(&problem);
            // While the API server does not answer, it is not known to trust anything less than before.
            if self.serving.present().is_none() || !matches!(problem, Problem::Api(_) | Problem::Busy) {
                self.covered.close(text.clone());
            }
            if text != told {
                tracing::warn!(error = %text, "the certificate is not as it should be; trying again");
                told = text;
            }
        }
    }

    async fn round(&mut self, now_s: u64) -> Result<(), Problem> {
        for _ in 0..TRIES {
            if self.once(now_s).await? {
                return Ok(());
            }
        }
        Err(Problem::Busy)
    }

    /// One look at everything; whether nobody else has changed something meanwhile.
    async fn once(&mut self, now_s: u64) -> Result<bool, Problem> {
        let mut configuration = self.cluster.call(&Call::get(&self.configuration)).await?;
        let hosts = entries::hosts(&configuration)?;
        let secret = self.cluster.call(&Call::get(&self.secret)).await?;
        let write = Write { field_manager: "dbscale-webhook".to_owned(), dry_run: false };

        let kept = Kept::of(&secret);
        let pair = match kept.pair(&hosts, now_s, self.life) {
            Ok(pair) => pair,
            Err(due) => {
                tracing::info!(reason = %chain(&due), "making a new certificate");
                // Where the Secret was emptied, what is trusted now is all that is known of the authority before.
                let trusted = || String::from_utf8(entries::bundle(&configuration).unwrap_or_default());
                let before = Some(kept.authority).filter(|a| !a.is_empty());
                let before = before.unwrap_or_else(|| trusted().unwrap_or_default());
                let made = Kept::make(&hosts, before, now_s, self.life)?;
                self.cluster.patch_unchanged(&self.secret, &secret, made.changes(), &write).await?;
                // Read again in either case: what counts is what the Secret holds.
                return Ok(false);
            }
        };
        let answer = self.readiness.closed().is_empty();
        let mut changes = entries::changes(&configuration, &kept.bundle(), answer)?;
        changes.extend(installed::mark(&configuration).filter(|_| answer));
        if !changes.is_empty() {
            match self.cluster.patch_unchanged(&self.configuration, &configuration, changes, &write).await? {
                Some(patched) => configuration = patched,
                None => return Ok(false),
            }
            tracing::info!(rules = answer, "API servers were told whom to trust and what to ask");
        }
        self.serve(pair, kept.authority);
        if let Some(served) = self.serving.present() {
            trust::check(&entries::bundle(&configuration)?, &served, &hosts, now_s)?;
            self.covered.open();
        }
        Ok(true)
    }

    /// Serves `pair`, whose authority API servers were told to trust, as soon as they have had the time to notice.
    fn serve(&mut self, pair: Pair, authority: String) {
        let known = self.trusted.take().filter(|t| t.authority == authority);
        let trusted = known.unwrap_or_else(|| Trusted { authority, since: Instant::now() });
        let present = self.serving.present();
        // Where nothing is served there is nothing to wait with.
        let settled = present.is_none() || trusted.since.elapsed() >= SETTLE;
        if settled && present.is_none_or(|present| present.chain() != pair.chain()) {
            tracing::info!(not_after_s = pair.not_after_s, "certificate replaced");
            self.serving.replace(pair);
        }
        self.trusted = Some(trusted);
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;

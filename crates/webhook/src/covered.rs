//! Whether API servers trust the certificate, where it comes from files: then somebody else sets `caBundle`.

use std::sync::Arc;
use std::time::Duration;

use dbscale_cluster::entries::{self, Called, EntriesError};
use dbscale_cluster::error::Kind;
use dbscale_cluster::{ApiFailure, Call, Cluster};
use dbscale_serve::certificate::unix_now_s;
use dbscale_serve::trust::{self, TrustError};
use dbscale_serve::{Certificate, Gate, Readiness};

use crate::self_managed::chain;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// What is looked at.
pub struct Covered {
    cluster: Cluster,
    /// The ValidatingWebhookConfiguration's path in the API.
    configuration: String,
    serving: Arc<Certificate>,
    /// Closed while API servers are known not to trust what is served.
    gate: Gate,
    /// Whether there was an answer before.
    known: bool,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("entry {entry} does not trust what is served; set its caBundle to the authorities of the certificate")]
    Untrusted {
        entry: &'static str,
        #[source]
        source: TrustError,
    },
    #[error("whether API servers trust what is served is not known")]
    Unread(#[from] ApiFailure),
    #[error("whether API servers trust what is served is not known")]
    Entries(#[from] EntriesError),
}

impl Covered {
    /// Looks at nothing yet.
    #[must_use]
    pub fn new(cluster: Cluster, configuration: &str, serving: Arc<Certificate>, readiness: &Readiness) -> Self {
        Self {
            cluster,
            configuration: entries::path(configuration),
            serving,
            gate: readiness.gate("caBundle"),
            known: false,
        }
    }

    /// Looks for ever. What goes wrong is told once.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = String::new();
        loop {
            tick.tick().await;
            let text = self.look(unix_now_s()).await;
            if !text.is_empty() && text != told {
                tracing::warn!(error = %text, "the certificate is not known to be trusted");
            }
            told = text;
        }
    }

    /// One look; what is wrong, in one line. What cannot be found out does not keep the webhook from its work: whoever does not
    /// let it read the object, or has it called by another one, has to see to the authorities alone.
    async fn look(&mut self, now_s: u64) -> String {
        let problem = self.problem(now_s).await.err();
        let text = problem.as_ref().map(|p| chain(p)).unwrap_or_default();
        match problem {
            Some(Problem::Untrusted { .. }) => self.gate.close(&text),
            // Of an API server that does not answer, what was known before still is.
            Some(Problem::Unread(failure)) if self.known && failure.kind != Kind::NotFound => return text,
            Some(Problem::Unread(_) | Problem::Entries(_)) | None => self.gate.open(),
        }
        self.known = true;
        text
    }

    async fn problem(&self, now_s: u64) -> Result<(), Problem> {
        let configuration = self.cluster.call(&Call::get(&self.configuration)).await?;
        let Some(served) = self.serving.present() else { return Ok(()) };
        for Called { entry, host, bundle } in entries::called(&configuration)? {
            trust::check(&bundle, &served, &[host], now_s).map_err(|source| Problem::Untrusted { entry, source })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use dbscale_core::entries::{DATABASES, OPS_REQUESTS};
    use dbscale_serve::certificate::Pair;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::World;

    const PATH: &str = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/dbscale";

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn signed(authority: &CertifiedIssuer<'static, KeyPair>) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["w.n.svc".to_owned()]).unwrap();
        let leaf = params.signed_by(&key, authority).unwrap().pem();
        Pair::of_pem(leaf.as_bytes(), key.serialize_pem().as_bytes(), ["tls.crt", "tls.key"], unix_now_s()).unwrap()
    }

    /// Entries, each by its name, the service that is called, and whom it trusts: `own` stands for the right authority.
    fn configuration(entries: &[(&str, &str, &str)], own: &str) -> Value {
        let entry = |(name, service, trusts): &(&str, &str, &str)| {
            let pem = |word| if word == "own" { own.to_owned() } else { authority().pem() };
            let bundle: String = trusts.split_whitespace().map(pem).collect();
            let client =
                json!({"service": {"name": service, "namespace": "n"}, "caBundle": BASE64_STANDARD.encode(bundle)});
            json!({"name": name, "clientConfig": client})
        };
        json!({"webhooks": entries.iter().map(entry).collect::<Vec<_>>()})
    }

    /// A webhook with a certificate for `w.n.svc`, the authority of it, and a world that has not said anything yet.
    fn covered() -> (Covered, Readiness, String, World) {
        let (authority, readiness, world) = (authority(), Readiness::default(), World::new());
        let serving = Certificate::new(signed(&authority));
        (Covered::new(world.judge.cluster.clone(), "dbscale", serving, &readiness), readiness, authority.pem(), world)
    }

    #[rstest]
    #[case::by_all_entries(&[(OPS_REQUESTS, "w", "own"), (DATABASES, "w", "own")], None)]
    #[case::beside_another(&[(OPS_REQUESTS, "w", "other own")], None)]
    #[case::others_are_let_be(&[("x.y.z", "v", "other"), (OPS_REQUESTS, "w", "own")], None)]
    #[case::not_by_one(&[(OPS_REQUESTS, "w", "own"), (DATABASES, "w", "other")],
        Some((DATABASES, "the authorities do not cover the certificate")))]
    #[case::by_another_name(&[(OPS_REQUESTS, "v", "own")], Some((OPS_REQUESTS, "the certificate is not for v.n.svc")))]
    #[case::by_nobody(&[(OPS_REQUESTS, "w", "")], Some((OPS_REQUESTS, "there is no usable authority: it is empty")))]
    #[case::without_entries(&[], None)]
    #[tokio::test(start_paused = true)]
    async fn a_webhook_is_ready_while_its_entries_trust_it(
        #[case] entries: &[(&str, &str, &str)],
        #[case] wrong: Option<(&str, &str)>,
    ) {
        let (mut covered, readiness, own, world) = covered();
        assert_eq!(readiness.closed(), [("caBundle", "waiting".to_owned())]);
        world.serve(PATH, configuration(entries, &own));
        covered.look(unix_now_s()).await;
        let closed = readiness.closed();
        assert_eq!(closed.len(), usize::from(wrong.is_some()), "{closed:?}");
        for ((gate, why), (entry, problem)) in closed.into_iter().zip(wrong) {
            let wanted = format!(
                "entry {entry} does not trust what is served; set its caBundle to the authorities of the certificate: {problem}"
            );
            assert!(gate == "caBundle" && why.starts_with(&wanted), "{why}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_read_changes_nothing_and_what_is_not_there_asks_nobody() {
        let (mut covered, readiness, own, world) = covered();
        let unanswered = Value::Null;
        world.serve(PATH, unanswered.clone());
        assert!(covered.look(unix_now_s()).await.starts_with("whether API servers trust what is served is not known"));
        assert_eq!(readiness.closed(), [], "it is not known that they do not");
        world.serve(PATH, configuration(&[(OPS_REQUESTS, "w", "")], &own));
        covered.look(unix_now_s()).await;
        world.serve(PATH, unanswered.clone());
        covered.look(unix_now_s()).await;
        assert_eq!(readiness.closed().len(), 1, "nothing says that they do by now");
        world.serve(PATH, configuration(&[(OPS_REQUESTS, "w", "own")], &own));
        assert_eq!(covered.look(unix_now_s()).await, "");
        assert_eq!(readiness.closed(), []);
        world.serve(PATH, configuration(&[(OPS_REQUESTS, "w", "")], &own));
        covered.look(unix_now_s()).await;
        world.forget(PATH);
        covered.look(unix_now_s()).await;
        assert_eq!(readiness.closed(), [], "nobody is asked by an object that is gone");
    }
}

//! What the Secret holds: a serving certificate with its key, its authority, and the authority before it.
//!
//! Each authority signs one certificate, and its own key is thrown away: a key that is nowhere cannot be stolen, and nobody can
//! sign a second certificate that API servers would trust. Both are replaced together.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use dbscale_cluster::entries::{CERTIFICATE, KEY, secret_field};
use dbscale_serve::certificate::{CertificateError, Pair};
use dbscale_serve::trust::{self, TrustError};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use serde_json::{Value, json};

const AUTHORITY: &str = "ca.crt";
const AUTHORITY_BEFORE: &str = "old-ca.crt";

/// How far the clock of an API server may be behind ours, in seconds: a certificate is valid that much before it is made.
const SKEW_S: u64 = 300;

/// Certificates and a key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The authority of the serving certificate.
    pub authority: String,
    /// The authority before it; empty where there was none. It is trusted as long as a replica may still serve what it has
    /// signed.
    pub authority_before: String,
    certificate: String,
    key: String,
}

/// Why there has to be a new certificate.
#[derive(Debug, thiserror::Error)]
pub enum Due {
    /// The Secret holds none, or a broken one.
    #[error("the Secret holds no certificate that can be used")]
    Unusable(#[source] CertificateError),
    /// It is not what API servers would take.
    #[error("API servers would not take the certificate in the Secret")]
    Untrusted(#[source] TrustError),
    /// Two thirds of its life are over.
    #[error("two thirds of the certificate's life are over")]
    Old,
}

impl Kept {
    /// Reads the Secret; what it lacks is empty.
    #[must_use]
    pub fn of(secret: &Value) -> Self {
        let text = |name: &str| String::from_utf8(secret_field(secret, name).unwrap_or_default()).unwrap_or_default();
        Self {
            authority: text(AUTHORITY),
            authority_before: text(AUTHORITY_BEFORE),
            certificate: text(CERTIFICATE),
            key: text(KEY),
        }
    }

    /// Makes a new authority and a certificate for `hosts`, valid from `now_s` (Unix seconds) for `life`. The authority that
    /// was trusted `before` is kept beside it.
    ///
    /// # Errors
    /// Where a host is no name of a server, or the system has no randomness to give.
    pub fn make(hosts: &[String], before: String, now_s: u64, life: Duration) -> Result<Self, rcgen::Error> {
        let at = |seconds: u64| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        let lasting = |mut params: CertificateParams, name: String| {
            params.not_before = at(now_s.saturating_sub(SKEW_S));
            params.not_after = at(now_s.saturating_add(life.as_secs()));
            params.distinguished_name.push(DnType::CommonName, name);
            params
        };
        // The time is in the name, so that nobody takes one authority for the next.
        let mut authority = lasting(CertificateParams::default(), format!("dbscale-webhook-ca-{now_s}"));
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let mut leaf = lasting(CertificateParams::new(hosts)?, "dbscale-webhook".to_owned());
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(Self {
            authority: authority.pem(),
            authority_before: before,
            certificate: leaf.signed_by(&key, &authority)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// The certificate and key, where API servers would take them for each of the `hosts` and a third of their `life` is left.
    ///
    /// # Errors
    /// [`Due`]: why new ones are to be made.
    pub fn pair(&self, hosts: &[String], now_s: u64, life: Duration) -> Result<Pair, Due> {
        let pair = Pair::of_pem(self.certificate.as_bytes(), self.key.as_bytes(), [CERTIFICATE, KEY], now_s)
            .map_err(Due::Unusable)?;
        trust::check(self.authority.as_bytes(), &pair, hosts, now_s).map_err(Due::Untrusted)?;
        if pair.not_after_s.saturating_sub(now_s) <= life.as_secs() / 3 {
            return Err(Due::Old);
        }
        Ok(pair)
    }

    /// What API servers are to trust: the authority, and the one before it.
    #[must_use]
    pub fn bundle(&self) -> String {
        format!("{}{}", self.authority, self.authority_before)
    }

    /// The operations of a JSON Patch that writes this into the Secret.
    #[must_use]
    pub fn changes(&self) -> Vec<Value> {
        let data: BTreeMap<&str, String> = [
            (AUTHORITY, &self.authority),
            (AUTHORITY_BEFORE, &self.authority_before),
            (CERTIFICATE, &self.certificate),
            (KEY, &self.key),
        ]
        .into_iter()
        .map(|(name, text)| (name, BASE64_STANDARD.encode(text)))
        .collect();
        vec![json!({"op": "add", "path": "/data", "value": data})]
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NOW_S: u64 = 1_800_000_000;
    const LIFE: Duration = Duration::from_secs(90 * 86_400);

    fn hosts() -> Vec<String> {
        vec!["dbscale-webhook.dbscale-system.svc".to_owned(), "127.0.0.1".to_owned()]
    }

    fn empty() -> Kept {
        Kept::of(&json!({"metadata": {"name": "empty"}}))
    }

    fn made() -> Kept {
        Kept::make(&hosts(), String::new(), NOW_S, LIFE).unwrap()
    }

    fn variant(due: &Due) -> &'static str {
        match due {
            Due::Unusable(_) => "unusable",
            Due::Untrusted(_) => "untrusted",
            Due::Old => "old",
        }
    }

    #[rstest]
    #[case::new(0, None)]
    #[case::while_another_clock_is_behind(-299, None)]
    #[case::before_two_thirds(60 * 86_400 - 1, None)]
    #[case::at_two_thirds(60 * 86_400, Some("old"))]
    #[case::over(90 * 86_400 + 1, Some("unusable"))]
    fn a_certificate_is_replaced_at_two_thirds_of_its_life(#[case] after_s: i64, #[case] due: Option<&str>) {
        let found = made().pair(&hosts(), NOW_S.checked_add_signed(after_s).unwrap(), LIFE);
        assert_eq!(found.err().as_ref().map(variant), due);
    }

    #[test]
    fn what_is_not_there_or_for_other_names_is_replaced() {
        assert_eq!(empty().pair(&hosts(), NOW_S, LIFE).err().as_ref().map(variant), Some("unusable"));
        let more = [hosts(), vec!["localhost".to_owned()]].concat();
        assert_eq!(made().pair(&more, NOW_S, LIFE).err().as_ref().map(variant), Some("untrusted"));
        let anothers = Kept { authority: made().authority, ..made() };
        assert_eq!(anothers.pair(&hosts(), NOW_S, LIFE).err().as_ref().map(variant), Some("untrusted"));
    }

    #[test]
    fn both_certificates_are_trusted_while_one_takes_the_others_place() {
        let (old, later) = (made(), NOW_S + 61 * 86_400);
        let new = Kept::make(&hosts(), old.authority.clone(), later, LIFE).unwrap();
        let both = new.bundle();
        for kept in [&old, &new] {
            let pair = Pair::of_pem(kept.certificate.as_bytes(), kept.key.as_bytes(), ["c", "k"], later).unwrap();
            trust::check(both.as_bytes(), &pair, &hosts(), later).unwrap();
        }
        // The one before the last is gone: nothing that it has signed is valid by then.
        let next = Kept::make(&hosts(), new.authority.clone(), later + 61 * 86_400, LIFE).unwrap();
        assert_eq!(next.bundle(), format!("{}{}", next.authority, new.authority));
    }

    #[test]
    fn the_secret_gives_back_what_was_written() {
        let kept = made();
        let changes = kept.changes();
        assert_eq!(Kept::of(&json!({"data": changes[0]["value"]})), kept);
    }
}

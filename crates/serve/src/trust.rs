//! Whether a client that trusts some authorities takes a certificate: the same check that it makes itself.

use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;

use crate::certificate::Pair;

/// Why a client does not take a certificate.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The authorities cannot be read, or there are none.
    #[error("there is no usable authority: {0}; the bundle must be PEM certificates")]
    Bundle(String),
    /// None of them has signed it, or it is out of its time.
    #[error("the authorities do not cover the certificate: {0}")]
    Chain(#[source] rustls::Error),
    /// It is for other names.
    #[error("the certificate is not for {host}: {source}")]
    Name {
        /// The name that is asked for.
        host: String,
        /// What is wrong.
        source: rustls::Error,
    },
    /// The name is none.
    #[error("'{0}' is no name of a server; it must be a DNS name or an IP address")]
    NoName(String),
}

/// Checks that a client which trusts `bundle` (PEM) takes `pair` at a time for each of the `hosts`.
///
/// # Errors
/// [`TrustError`]: the first thing that the client would mind.
pub fn check(bundle: &[u8], pair: &Pair, hosts: &[String], now_s: u64) -> Result<(), TrustError> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(bundle) {
        let authority = authority.map_err(|e| TrustError::Bundle(e.to_string()))?;
        roots.add(authority).map_err(|e| TrustError::Bundle(e.to_string()))?;
    }
    let Some((leaf, between)) = pair.chain().split_first().filter(|_| !roots.is_empty()) else {
        return Err(TrustError::Bundle("it is empty".to_owned()));
    };
    let leaf = ParsedCertificate::try_from(leaf).map_err(TrustError::Chain)?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now_s));
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&leaf, &roots, between, now, algorithms).map_err(TrustError::Chain)?;
    for host in hosts {
        let name = ServerName::try_from(host.as_str()).map_err(|_| TrustError::NoName(host.clone()))?;
        verify_server_name(&leaf, &name).map_err(|source| TrustError::Name { host: host.clone(), source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rstest::rstest;

    use super::*;
    use crate::certificate::unix_now_s;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    #[rstest]
    #[case::by_its_authority(|own, _| own, "localhost", None)]
    #[case::by_one_of_two(|own, other| format!("{other}{own}"), "localhost", None)]
    #[case::by_another(|_, other| other, "localhost", Some("chain"))]
    #[case::by_none(|_, _| String::new(), "localhost", Some("bundle"))]
    #[case::by_another_name(|own, _| own, "dbscale-webhook.dbscale-system.svc", Some("name"))]
    #[case::by_no_name(|own, _| own, "a b", Some("no name"))]
    fn certificates_are_taken(
        #[case] bundle: fn(String, String) -> String,
        #[case] host: &str,
        #[case] wrong: Option<&str>,
    ) {
        let (own, other) = (authority(), authority());
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &own).unwrap();
        let now = unix_now_s();
        let pair =
            Pair::of_pem(leaf.pem().as_bytes(), key.serialize_pem().as_bytes(), ["tls.crt", "tls.key"], now).unwrap();
        let found = check(bundle(own.pem(), other.pem()).as_bytes(), &pair, &[host.to_owned()], now);
        let variant = found.err().map(|error| match error {
            TrustError::Bundle(_) => "bundle",
            TrustError::Chain(_) => "chain",
            TrustError::Name { .. } => "name",
            TrustError::NoName(_) => "no name",
        });
        assert_eq!(variant, wrong);
    }
}

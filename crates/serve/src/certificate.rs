//! The serving certificate: read by path, read again every few seconds, and swapped without touching a connection.
//!
//! A Secret volume is swapped by symlink, which leaves a watch on the file silent; so the files are read again. A pair that
//! is torn (one file old, one new), broken or out of its time never replaces the one in use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use x509_cert::der::Decode as _;

/// Why a certificate and a key cannot be used together.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("{path} could not be read")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The certificate file holds none, or one that cannot be read.
    #[error("{place} holds no usable certificate: {problem}; it must be PEM, the server's own first")]
    Certificate {
        /// Where it is from.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// The key file holds none, or one that cannot be used.
    #[error("{place} holds no usable key: {problem}; it must be PEM (PKCS#8, PKCS#1 or SEC1)")]
    Key {
        /// Where it is from.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// They do not belong together, as in the moment between two writes.
    #[error("the certificate {certificate} does not belong to the key {key}")]
    Mismatch {
        /// Where the certificate is from.
        certificate: String,
        /// Where the key is from.
        key: String,
    },
    /// It is not valid at this time.
    #[error("the certificate {place} is valid from {from} to {to} (Unix seconds), and now is {now}")]
    Time {
        /// Where it is from.
        place: String,
        /// The first second.
        from: u64,
        /// The last second.
        to: u64,
        /// Now.
        now: u64,
    },
}

/// A certificate with its key, checked.
#[derive(Debug, Clone)]
pub struct Pair {
    key: Arc<CertifiedKey>,
    /// The last second that it is valid, in Unix seconds.
    pub not_after_s: u64,
}

impl Pair {
    /// Checks a certificate chain and a key, both PEM. `names` say where they are from, for the errors.
    ///
    /// # Errors
    /// [`CertificateError`]: what is wrong with them.
    pub fn of_pem(certificate: &[u8], key: &[u8], names: [&str; 2], now_s: u64) -> Result<Self, CertificateError> {
        let [certificate_name, key_name] = names.map(str::to_owned);
        let bad = |problem: String| CertificateError::Certificate { place: certificate_name.clone(), problem };
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>().map_err(|e| bad(e.to_string()))?;
        let leaf = chain.first().ok_or_else(|| bad("there is none".to_owned()))?;
        let (from, to) = validity(leaf).map_err(|e| bad(e.to_string()))?;
        let bad_key = |problem: String| CertificateError::Key { place: key_name.clone(), problem };
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| bad_key(e.to_string()))?;
        let certified = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                CertificateError::Mismatch { certificate: certificate_name.clone(), key: key_name.clone() }
            }
            other => bad_key(other.to_string()),
        })?;
        if !(from..=to).contains(&now_s) {
            return Err(CertificateError::Time { place: certificate_name, from, to, now: now_s });
        }
        Ok(Self { key: Arc::new(certified), not_after_s: to })
    }

    /// The server's own certificate, then those that lead to its authority.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }
}

/// First and last second of a certificate, in Unix seconds.
fn validity(certificate: &CertificateDer<'_>) -> Result<(u64, u64), x509_cert::der::Error> {
    let read = x509_cert::Certificate::from_der(certificate)?;
    let validity = read.tbs_certificate().validity();
    Ok((validity.not_before.to_unix_duration().as_secs(), validity.not_after.to_unix_duration().as_secs()))
}

/// The certificate in use. Every handshake takes the present one; connections that are open keep theirs. As long as there is
/// none, handshakes fail.
#[derive(Debug, Default)]
pub struct Certificate(RwLock<Option<Pair>>);

impl Certificate {
    /// Serves this pair from now on.
    #[must_use]
    pub fn new(pair: Pair) -> Arc<Self> {
        Arc::new(Self(RwLock::new(Some(pair))))
    }

    /// Replaces the pair for all handshakes to come.
    pub fn replace(&self, pair: Pair) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(pair);
    }

    /// The pair in use, where there is one.
    #[must_use]
    pub fn present(&self) -> Option<Pair> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last second that the certificate in use is valid, in Unix seconds; 0 where there is none.
    #[must_use]
    pub fn not_after_s(&self) -> u64 {
        self.present().map_or(0, |pair| pair.not_after_s)
    }

    /// A server's TLS configuration with this certificate: TLS 1.2 and 1.3, HTTP/1.1.
    ///
    /// HTTP/2 is not offered: a webhook's requests are few and small, and controller-runtime leaves it off too since
    /// CVE-2023-44487. Nor are sessions kept for later: API servers never ask to resume one.
    ///
    /// # Errors
    /// Where the built-in provider cannot do these versions; it can.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.present().map(|pair| pair.key)
    }
}

/// A certificate and its key, by path.
#[derive(Debug)]
pub struct Files {
    certificate: PathBuf,
    key: PathBuf,
    /// What was tried last, good or bad, so that an unchanged pair is neither parsed nor told again.
    tried: Option<(Vec<u8>, Vec<u8>)>,
}

impl Files {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, tried: None }
    }

    /// The pair, where the files have changed since the last call; `None` where they have not.
    ///
    /// # Errors
    /// [`CertificateError`]: what is wrong with the files as they are now.
    pub fn read(&mut self, now_s: u64) -> Result<Option<Pair>, CertificateError> {
        // Blocking on purpose: two files of some kilobytes, on a tmpfs where they are a Secret's.
        let read =
            |path: &Path| fs::read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source });
        let now = (read(&self.certificate)?, read(&self.key)?);
        if self.tried.as_ref() == Some(&now) {
            return Ok(None);
        }
        let names = [self.certificate.display().to_string(), self.key.display().to_string()];
        let pair = Pair::of_pem(&now.0, &now.1, [&names[0], &names[1]], now_s);
        self.tried = Some(now);
        pair.map(Some)
    }

    /// Reads the files again every `period` and hands a new pair to `certificate`, for ever. A pair that cannot be used is
    /// told once and changes nothing.
    pub async fn follow(mut self, certificate: Arc<Certificate>, period: Duration) {
        let mut tick = tokio::time::interval(period);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told = String::new();
        loop {
            tick.tick().await;
            match self.read(unix_now_s()) {
                Ok(None) => {}
                Ok(Some(pair)) => {
                    told.clear();
                    tracing::info!(not_after_s = pair.not_after_s, "certificate replaced");
                    certificate.replace(pair);
                }
                Err(error) => {
                    let text = error.to_string();
                    if text != told {
                        tracing::warn!(error = %text, "certificate not replaced; still serving the last good one");
                        told = text;
                    }
                }
            }
        }
    }
}

/// The seconds since 1970.
#[must_use]
pub fn unix_now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rstest::rstest;

    use super::*;

    fn pem(years: std::ops::Range<i32>) -> (String, String) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.start, 1, 1);
        params.not_after = date_time_ymd(years.end, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn variant(error: &CertificateError) -> &'static str {
        match error {
            CertificateError::Read { .. } => "read",
            CertificateError::Certificate { .. } => "certificate",
            CertificateError::Key { .. } => "key",
            CertificateError::Mismatch { .. } => "mismatch",
            CertificateError::Time { .. } => "time",
        }
    }

    #[rstest]
    #[case::good(None, None, None)]
    #[case::no_certificate(Some(String::new()), None, Some("certificate"))]
    #[case::half_a_certificate(Some(pem(2020..2100).0[..300].to_owned()), None, Some("certificate"))]
    #[case::no_der(Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned()), None, Some("certificate"))]
    #[case::no_key(None, Some(String::new()), Some("key"))]
    #[case::certificate_as_key(None, Some(pem(2020..2100).0), Some("key"))]
    #[case::another_key(None, Some(pem(2020..2100).1), Some("mismatch"))]
    fn pairs(#[case] certificate: Option<String>, #[case] key: Option<String>, #[case] wrong: Option<&str>) {
        let good = pem(2020..2100);
        let (certificate, key) = (certificate.unwrap_or(good.0), key.unwrap_or(good.1));
        let pair = Pair::of_pem(certificate.as_bytes(), key.as_bytes(), ["tls.crt", "tls.key"], unix_now_s());
        assert_eq!(pair.as_ref().err().map(variant), wrong);
        if let Ok(pair) = pair {
            assert_eq!(pair.not_after_s, 4_102_444_800); // 2100-01-01
        }
    }

    #[rstest]
    #[case::over(2000..2001)]
    #[case::not_yet(2090..2100)]
    fn only_certificates_of_this_time_are_taken(#[case] years: std::ops::Range<i32>) {
        let (certificate, key) = pem(years);
        let pair = Pair::of_pem(certificate.as_bytes(), key.as_bytes(), ["tls.crt", "tls.key"], unix_now_s());
        assert_eq!(pair.err().as_ref().map(variant), Some("time"));
    }

    #[test]
    fn a_torn_pair_is_tried_once_and_the_whole_one_after_it_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [folder.path().join("tls.crt"), folder.path().join("tls.key")];
        let write = |pair: &(String, String)| {
            fs::write(&paths[0], &pair.0).unwrap();
            fs::write(&paths[1], &pair.1).unwrap();
        };
        let (old, new) = (pem(2020..2100), pem(2020..2101));
        let mut files = Files::new(paths[0].clone(), paths[1].clone());
        assert_eq!(files.read(unix_now_s()).err().as_ref().map(variant), Some("read"));
        write(&old);
        assert!(files.read(unix_now_s()).unwrap().is_some());
        assert!(files.read(unix_now_s()).unwrap().is_none());
        fs::write(&paths[0], &new.0).unwrap();
        assert_eq!(files.read(unix_now_s()).err().as_ref().map(variant), Some("mismatch"));
        assert!(files.read(unix_now_s()).unwrap().is_none());
        write(&new);
        assert!(files.read(unix_now_s()).unwrap().is_some());
    }
}

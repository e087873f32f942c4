//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use dbscale_cluster::entries::{CONFIGURATION, SECRET};
use dbscale_core::finding::Severity;
use dbscale_core::policy;
use dbscale_serve::log::Level;

/// Admission webhook that holds every client to dbscale's rules.
#[derive(Debug, Parser)]
#[command(name = "dbscale-webhook", version)]
pub struct Args {
    /// Where reviews are answered, over TLS: POST /validate
    #[arg(long, default_value = "0.0.0.0:8443", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Where /livez, /readyz and /metrics are, plain
    #[arg(long, default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub probes: SocketAddr,
    /// The serving certificate, PEM, the server's own first; read again every few seconds
    #[arg(long, value_name = "FILE", requires = "tls_key", required_unless_present = "self_managed_certs")]
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Seconds between two looks at these files
    #[arg(long, default_value = "5", value_parser = reread, value_name = "SECONDS", requires = "tls_cert")]
    pub reread: Duration,
    /// Make the certificate, keep it in a Secret, and tell API servers to trust it
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key"])]
    pub self_managed_certs: bool,
    /// The Secret for it, in the webhook's own namespace
    #[arg(long, default_value = SECRET, value_name = "NAME")]
    pub secret: String,
    /// The ValidatingWebhookConfiguration whose authorities and rules are set
    #[arg(long, default_value = CONFIGURATION, value_name = "NAME")]
    pub configuration: String,
    /// Seconds that such a certificate is valid, 60 at least; it is replaced after two thirds of them
    #[arg(long, default_value = "7776000", value_parser = life, value_name = "SECONDS")]
    pub certificate_life: Duration,
    /// The cluster, where it is not the one that this runs in
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// How a direct edit of members or resources of a database is taken
    #[arg(long, default_value = "warn")]
    pub direct_edits: Taken,
    /// What happens to a request when the API server cannot be asked about the present
    #[arg(long, default_value = "deny")]
    pub lookup_failure: Taken,
    /// How namespaces without the label dbscale.dev/enforcement are held to the rules
    #[arg(long, default_value = "enforce")]
    pub enforcement: Enforcement,
    /// KubeDB's own accounts, whose writes are no direct edits; a * at the end stands for any rest
    #[arg(long, value_delimiter = ',', default_value = policy::KUBEDB_USERS, value_name = "NAMES")]
    pub kubedb_users: Vec<String>,
    /// The account of dbscale's controller, likewise
    #[arg(long, default_value = policy::CONTROLLER_USER, value_name = "NAME")]
    pub controller_user: String,
    /// Connections at once
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub max_connections: usize,
    /// Seconds between SIGTERM and the drain, for endpoints to notice
    #[arg(long, default_value = "5", value_parser = seconds, value_name = "SECONDS")]
    pub notice: Duration,
    /// Seconds for requests under way, once the drain has begun
    #[arg(long, default_value = "20", value_parser = seconds, value_name = "SECONDS")]
    pub drain: Duration,
    /// How much is logged: error, warn, info, debug
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    pub log_level: Level,
}

/// How something is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Taken {
    /// It is let in with a warning.
    Warn,
    /// It is refused.
    Deny,
}

impl From<Taken> for Severity {
    fn from(taken: Taken) -> Self {
        match taken {
            Taken::Warn => Self::Warn,
            Taken::Deny => Self::Deny,
        }
    }
}

/// How namespaces are held to the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Enforcement {
    /// What is wrong is refused.
    Enforce,
    /// What is wrong is let in with a warning.
    Warn,
}

impl From<Enforcement> for Severity {
    fn from(enforcement: Enforcement) -> Self {
        match enforcement {
            Enforcement::Enforce => Self::Deny,
            Enforcement::Warn => Self::Warn,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let whole: Result<u32, _> = text.parse();
    whole.map(|s| Duration::from_secs(s.into())).map_err(|_| "write a whole number of seconds, such as 5".to_owned())
}

fn reread(text: &str) -> Result<Duration, String> {
    let period = seconds(text)?;
    if period.is_zero() { Err("1 second is the least".to_owned()) } else { Ok(period) }
}

/// A round of looking after a certificate takes 5 s, and API servers have 5 s to notice: a third of a minute leaves room for both.
fn life(text: &str) -> Result<Duration, String> {
    let life = seconds(text)?;
    if life < Duration::from_secs(60) {
        return Err("60 seconds are the least: a new certificate takes some to be trusted".to_owned());
    }
    Ok(life)
}

//! What dbscale's long-running programs share: serving over TLS, certificates that change, probes and metrics, the end on
//! a signal, and the log.

pub mod accept;
pub mod certificate;
pub mod log;
pub mod probes;
// The programs that stay run on Linux; the plugin, which checks certificates, runs elsewhere too.
#[cfg(unix)]
pub mod signals;
pub mod stop;
pub mod trust;

pub use accept::{Limits, serve};
pub use certificate::{Certificate, CertificateError};
pub use probes::{Gate, Readiness};
#[cfg(unix)]
pub use signals::Signals;
pub use stop::Stop;

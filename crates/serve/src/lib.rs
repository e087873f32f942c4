//! What dbscale's long-running programs share: serving over TLS, certificates that change, probes and metrics, the end on
//! a signal, and the log.

pub mod accept;
pub mod certificate;
pub mod log;
pub mod probes;
pub mod signals;
pub mod trust;

pub use accept::{Limits, serve};
pub use certificate::{Certificate, CertificateError};
pub use probes::{Gate, Readiness};
pub use signals::{Signals, Stop};

//! How the webhook stands, as `status -o json` tells it.

use serde::Serialize;

use super::switch::{Before, State};

/// All of it.
#[derive(Debug, Serialize)]
pub struct Standing {
    /// The ValidatingWebhookConfiguration.
    pub name: String,
    /// Whether it is asked.
    pub state: State,
    /// Who has disabled it, how, and what was there before; `None` where nobody has.
    pub disabled: Option<Before>,
    /// What API servers ask.
    pub entries: Vec<Entry>,
    /// What it serves.
    pub certificate: Certificate,
    /// Its pods; `None` where the Deployment could not be read.
    pub replicas: Option<Replicas>,
    /// The policies that hold beside it.
    pub policies: Option<Policies>,
    /// How namespaces are held to the rules that do not say it: `enforce` or `warn`.
    pub enforcement: String,
    /// Namespaces that say otherwise.
    pub namespaces: Vec<Namespace>,
    /// What is not as it should be.
    pub warnings: Vec<String>,
}

/// One entry.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// `opsrequests.dbscale.dev`.
    pub name: String,
    /// `Fail` or `Ignore`.
    pub failure_policy: String,
    /// `CREATE`, `UPDATE`; none where nothing is asked.
    pub operations: Vec<String>,
    /// How many kinds it is asked about.
    pub kinds: usize,
    /// The service or URL that is called.
    pub calls: String,
    /// Whether API servers trust any authority for it.
    pub ca_bundle: bool,
}

/// What it serves.
#[derive(Debug, Default, Serialize)]
pub struct Certificate {
    /// The last second that it is valid, `2026-01-01T00:00:00Z`; `None` where it is not known.
    pub expires: Option<String>,
    /// Whether API servers take it; `None` where it is not known.
    pub trusted: Option<bool>,
}

/// Pods.
#[derive(Debug, Serialize)]
pub struct Replicas {
    /// Those that are ready.
    pub ready: i64,
    /// Those that are wanted.
    pub wanted: i64,
}

/// Policies and their bindings.
#[derive(Debug, Serialize)]
pub struct Policies {
    /// Policies that are there.
    pub found: usize,
    /// Bindings that are there.
    pub bindings: usize,
    /// Policies and bindings that belong to an install and are not there.
    pub missing: Vec<String>,
}

/// A namespace with another enforcement.
#[derive(Debug, Serialize)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its label: `warn`, `off`.
    pub enforcement: String,
}

//! The records that a controller keeps.

use std::collections::HashMap;

use dbscale_cluster::{ApiFailure, Call, Cluster, Kind};
use dbscale_core::catalog::Engine;
use dbscale_core::record::{self, GROUP, PLURAL, Status, VERSION};
use serde_json::Value;

/// Records by namespace and name.
pub type Records = HashMap<(String, String), Status>;

/// The record of one database, as far as there is one.
#[derive(Debug, Default)]
pub enum Recorded {
    /// There is none: no controller has seen the database.
    #[default]
    Never,
    /// It is there.
    Here(Box<Status>),
    /// It could not be read, for this reason.
    Unreadable(String),
}

impl Recorded {
    /// What it says.
    #[must_use]
    pub fn here(&self) -> Option<&Status> {
        match self {
            Self::Here(status) => Some(status),
            Self::Never | Self::Unreadable(_) => None,
        }
    }

    /// Why there is nothing to go by; `None` where there is.
    #[must_use]
    pub fn lack(&self) -> Option<String> {
        match self {
            Self::Here(_) => None,
            Self::Never => Some("there is no record of it (the dbscale controller keeps one)".to_owned()),
            Self::Unreadable(why) => Some(format!("its record could not be read ({why})")),
        }
    }
}

/// All records of a namespace, or of all; none where there is no controller.
///
/// # Errors
/// What the server says.
pub async fn all(cluster: &Cluster, namespace: Option<&str>) -> Result<Records, ApiFailure> {
    let list = match cluster.list(&path(namespace), None).await {
        Err(failure) if failure.kind == Kind::NotInstalled => Vec::new(),
        list => list?,
    };
    let text = |object: &Value, at| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let read = |object: &Value| ((text(object, "/metadata/namespace"), text(object, "/metadata/name")), status(object));
    Ok(list.iter().map(read).collect())
}

/// The record of one database.
pub async fn one(cluster: &Cluster, engine: &Engine, namespace: &str, database: &str) -> Recorded {
    let path = format!("{}/{}", path(Some(namespace)), record::name(&engine.name, database));
    match cluster.call(&Call::get(path)).await {
        Ok(object) => Recorded::Here(Box::new(status(&object))),
        Err(failure) if matches!(failure.kind, Kind::NotInstalled | Kind::NotFound) => Recorded::Never,
        Err(failure) => Recorded::Unreadable(failure.to_string()),
    }
}

fn path(namespace: Option<&str>) -> String {
    let place = namespace.map(|n| format!("/namespaces/{n}")).unwrap_or_default();
    format!("/apis/{GROUP}/{VERSION}{place}/{PLURAL}")
}

/// One that cannot be read holds nothing, so that nothing is deleted that it should hold.
fn status(object: &Value) -> Status {
    object.get("status").cloned().map(serde_json::from_value).and_then(Result::ok).unwrap_or_default()
}

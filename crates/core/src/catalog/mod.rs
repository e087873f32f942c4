//! The engine catalog: what KubeDB's 32 engines are called and where each keeps what. Data, read once.

mod conform;
mod engine;
mod form;
mod pointer;

use std::sync::LazyLock;

pub use conform::{Misfit, misfits};
pub use engine::{
    Above, At, Component, Count, Engine, Exclusive, Field, Kind, MinWhen, Pods, Resources, SetKind, Storage, Topology,
    Votes, When,
};
pub use form::{Asker, Form, HORIZONTAL, Node, STANZAS, Stanza, VERTICAL, VOLUME};
pub use pointer::{Pointer, PointerError, Segment};

/// The API group of KubeDB's databases.
pub const DATABASE_GROUP: &str = "kubedb.com";
/// The API group of KubeDB's OpsRequests.
pub const OPS_GROUP: &str = "ops.kubedb.com";
/// The only version of KubeDB's OpsRequests.
pub const OPS_VERSION: &str = "v1alpha1";

/// All engines that dbscale knows.
#[derive(Debug)]
pub struct Catalog {
    engines: Vec<Engine>,
}

impl Catalog {
    /// The catalog that is built in.
    ///
    /// # Panics
    /// Never in a released build: the files are read by this crate's tests.
    #[must_use]
    pub fn builtin() -> &'static Self {
        static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| {
            let text = include_str!(concat!(env!("OUT_DIR"), "/engines.json"));
            Catalog::from_json(text).expect("the built-in engines are read by this crate's tests")
        });
        &BUILTIN
    }

    /// Reads a JSON list of engines.
    ///
    /// # Errors
    /// What serde says of the first place that does not fit the form.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        let mut engines: Vec<Engine> = serde_json::from_str(text)?;
        for engine in &mut engines {
            for (key, component) in &mut engine.components {
                if component.name.is_empty() {
                    component.name.clone_from(key);
                }
                if let Some(storage @ Storage { at: Some(_), .. }) = &mut component.storage {
                    let at = storage.at.clone().unwrap_or_default();
                    storage.size = at.field("resources").field("requests").field("storage");
                    storage.size_path = storage.size.dotted();
                    storage.size_pointer = storage.size.to_json_pointer(&serde_json::Value::Null).unwrap_or_default();
                    storage.class = at.field("storageClassName");
                }
            }
        }
        Ok(Self { engines })
    }

    /// Every engine, by name.
    pub fn engines(&self) -> impl Iterator<Item = &Engine> {
        self.engines.iter()
    }

    /// The engine called `name`: its name, plural, kind, a short name, in any case.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Engine> {
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        self.engines.iter().find(|e| is(&e.name) || is(&e.plural) || is(&e.kind) || e.short.iter().any(|s| is(s)))
    }

    /// The engine whose OpsRequests are called so: their kind, plural or short name, in any case.
    #[must_use]
    pub fn of_ops_name(&self, name: &str) -> Option<&Engine> {
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        self.engines.iter().find(|e| is(&e.ops_kind()) || is(&e.ops_plural()) || e.ops_short.iter().any(|s| is(s)))
    }

    /// The engine whose OpsRequests have the kind `kind`.
    #[must_use]
    pub fn of_ops_kind(&self, kind: &str) -> Option<&Engine> {
        let database = kind.strip_suffix("OpsRequest")?;
        self.of_kind(database)
    }

    /// The engine whose databases have the kind `kind`.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> Option<&Engine> {
        self.engines.iter().find(|e| e.kind == kind)
    }
}

impl Engine {
    /// The scaling stanzas of its OpsRequest as one tree, made of the catalog's data when it is first asked for.
    pub fn form(&self) -> &Form {
        self.form.get_or_init(|| Form::of(self))
    }

    /// The kind of its OpsRequests: `MongoDBOpsRequest`.
    #[must_use]
    pub fn ops_kind(&self) -> String {
        format!("{}OpsRequest", self.kind)
    }

    /// The resource name of its OpsRequests: `mongodbopsrequests`.
    #[must_use]
    pub fn ops_plural(&self) -> String {
        format!("{}opsrequests", self.kind.to_ascii_lowercase())
    }

    /// The components of a topology, in its order.
    pub fn components_of<'e>(&'e self, topology: &'e Topology) -> impl Iterator<Item = &'e Component> {
        topology.components.iter().filter_map(|key| self.components.get(key))
    }

    /// The topology of a database object, `None` where no topology fits.
    #[must_use]
    pub fn topology_of(&self, object: &serde_json::Value) -> Option<&Topology> {
        self.topologies.iter().find(|t| t.when.iter().all(|w| w.holds(object)))
    }
}

impl When {
    /// Whether the test holds for a database object.
    #[must_use]
    pub fn holds(&self, object: &serde_json::Value) -> bool {
        let has = |pointer: &Pointer| pointer.get(object).is_some_and(|v| !v.is_null());
        match self {
            Self::Present { present } => has(present),
            Self::Absent { absent } => !has(absent),
            Self::Is { at, is, or_absent } => {
                at.get(object).and_then(serde_json::Value::as_str) == Some(is)
                    || or_absent.as_ref().is_some_and(|p| !has(p))
            }
            Self::AtMost { at, at_most } => {
                at.get(object).and_then(serde_json::Value::as_i64).is_none_or(|n| n <= *at_most)
            }
        }
    }
}

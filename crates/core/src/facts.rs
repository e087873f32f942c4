//! What is known of the present when a change is judged. Rules never look anything up: what is not here is not known.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::change::{Change, Source, Update, What, Wish};
use crate::database::{ComponentView, Database};
use crate::json;
use crate::quantity::Quantity;
use crate::scaling_policy::{PolicyFact, Unreadable};
use crate::status::Operation;

/// The present.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The database that the change is for.
    pub database: Known<Database>,
    /// The other OpsRequests of that database.
    pub operations: Vec<Operation>,
    /// Storage classes by name: whether they let volumes grow. One that is not here is not known.
    pub classes: BTreeMap<String, ClassFact>,
    /// Whether a class that a database names and that is not in `classes` does not exist.
    pub all_classes: bool,
    /// The claims of that database's components.
    pub claims: Vec<ClaimFact>,
    /// The size that a new volume of a component starts with, by the component's name: its workload's claim template.
    pub templates: BTreeMap<String, Quantity>,
    /// Who asks, as the API server knows them; `None` where nobody has told, as on files.
    pub caller: Option<String>,
    /// Whether the database stands in a file: KubeDB may fill in components (an arbiter, an exporter) that it does not name.
    pub on_file: bool,
    /// Whether the API server has held the change to the CRD already, as it has when it asks a webhook: what the catalog does
    /// not know is then a field or type of a newer KubeDB, and no slip.
    pub schema_checked: bool,
    /// The scaling policies whose namespaces and engines cover the change; what their selectors say of the database's labels
    /// is looked at with the database.
    pub policies: Vec<PolicyFact>,
    /// Scaling policies that this version does not understand.
    pub unreadable_policies: Vec<Unreadable>,
}

/// A fact that may not have been looked up. Whoever keeps it shares it with those who judge by it.
#[derive(Debug, Default)]
pub enum Known<T> {
    /// Nobody looked.
    #[default]
    Unknown,
    /// Looked, and it is not there.
    Missing,
    /// It is there.
    Here(Arc<T>),
}

// Not derived: that would ask for a fact that can be cloned.
impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Unknown => Self::Unknown,
            Self::Missing => Self::Missing,
            Self::Here(fact) => Self::Here(Arc::clone(fact)),
        }
    }
}

impl<T> From<T> for Known<T> {
    fn from(fact: T) -> Self {
        Self::Here(Arc::new(fact))
    }
}

impl<T> Known<T> {
    /// The fact, where there is one.
    #[must_use]
    pub fn here(&self) -> Option<&T> {
        match self {
            Self::Here(fact) => Some(fact),
            Self::Unknown | Self::Missing => None,
        }
    }
}

/// The annotation of the cluster's default storage class.
pub const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";

/// A storage class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassFact {
    /// `allowVolumeExpansion`.
    pub expands: bool,
    /// Whether it is the cluster's default.
    pub default: bool,
}

impl ClassFact {
    /// Reads a StorageClass, and its name; `None` where it has none.
    #[must_use]
    pub fn of(object: &Value) -> Option<(String, Self)> {
        let name = json::at(object, &["metadata", "name"])?.as_str()?.to_owned();
        let expands = object.get("allowVolumeExpansion").and_then(Value::as_bool) == Some(true);
        let mark = json::text(object, &["metadata", "annotations", DEFAULT_CLASS]);
        Some((name, Self { expands, default: mark == "true" }))
    }
}

/// A claim of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimFact {
    /// `metadata.name`.
    pub name: String,
    /// The name of the component that it belongs to, as [`crate::database::ComponentView::name`] writes it.
    pub component: String,
    /// `spec.storageClassName`.
    pub class: Option<String>,
    /// The classes of its volume's attributes: the one that it asks for, the one that it has, and the one that it is on its
    /// way to.
    pub attributes: Vec<String>,
    /// `spec.resources.requests.storage`.
    pub requested: Quantity,
    /// `status.capacity.storage`.
    pub capacity: Option<Quantity>,
    /// Why its expansion has failed, as the claim's own status tells; `None` where it does not say that it has.
    pub failed: Option<String>,
    /// Whether its member has been scaled away: nobody mounts it, so that its file system does not grow.
    pub idle: bool,
}

/// A change and what is known of the present: all that a rule sees.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The change.
    pub change: &'a Change,
    /// The present.
    pub facts: &'a Facts,
}

impl<'a> Case<'a> {
    /// The database, where it is known.
    #[must_use]
    pub fn database(&self) -> Option<&'a Database> {
        self.facts.database.here()
    }

    /// The database as the change leaves it: the conditions of an update are those of the new object.
    #[must_use]
    pub fn afterwards(&self) -> Option<&'a Database> {
        match &self.change.source {
            Source::Update(Update { after: Some(after), .. }) => Some(after),
            _ => self.database(),
        }
    }

    /// The component that a wish for storage is about, as it is now. An update may have changed the topology: then it is
    /// the one that has the same place.
    #[must_use]
    pub fn sized(&self, wish: &Wish) -> Option<&'a ComponentView> {
        let database = self.database()?;
        let at_place = || database.components.iter().find(|c| c.places.iter().any(|p| p.storage_path == wish.path));
        wish.view(database).or_else(at_place)
    }

    /// The present number that a wish for members or shards would change.
    #[must_use]
    pub fn present_number(&self, wish: &Wish) -> Option<i64> {
        match (&wish.before, &wish.what) {
            (Some(What::Replicas(n) | What::Shards(n)), _) => Some(*n),
            _ if self.change.request().is_none() => None,
            (_, What::Replicas(_)) => wish.view(self.database()?)?.replicas(),
            (_, What::Shards(_)) => wish.view(self.database()?)?.shards(),
            _ => None,
        }
    }

    /// The present size that a wish for storage would change.
    #[must_use]
    pub fn present_size(&self, wish: &Wish) -> Option<Quantity> {
        match &wish.before {
            Some(What::Storage(size)) => size.quantity(),
            _ if self.change.request().is_none() => None,
            _ => wish.view(self.database()?)?.storage(),
        }
    }

    /// The claims of one component.
    pub fn claims_of(&self, component: &str) -> impl Iterator<Item = &'a ClaimFact> + use<'a> {
        let component = component.to_owned();
        self.facts.claims.iter().filter(move |c| c.component == component)
    }
}

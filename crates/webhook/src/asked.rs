//! What a review asks, as a change that the rules can judge; `None` for all that passes at once.

use dbscale_cluster::cache::Seen;
use dbscale_core::catalog::Engine;
use dbscale_core::change::{self, Change, Source, VOLUME};
use dbscale_core::database::Database;
use dbscale_core::facts::{Case, Facts, Known};
use dbscale_core::finding::Finding;
use dbscale_core::{json, rules};
use dbscale_trim::shapes::Role;
use serde_json::Value;

use crate::carried_out;
use crate::review::{Operation, Review};

/// A change that is asked for, and what the review itself tells of the present.
#[derive(Debug)]
pub struct Asked {
    /// The engine.
    pub engine: &'static Engine,
    /// The namespace.
    pub namespace: String,
    /// The database; empty where a request names none.
    pub database: String,
    /// The facts that come with the review: who asks, and for an update of a database the object as it is.
    pub told: Facts,
    what: What,
}

#[derive(Debug)]
enum What {
    /// An OpsRequest that is to be created. What it wishes depends on the database, so it is read when that is known.
    Request(Value),
    /// A change that is the same whatever there is.
    Change(Box<Change>),
}

impl Asked {
    /// Reads what is asked. Passed at once: kinds that are not KubeDB's, parts such as `status`, deletions, objects that are
    /// being deleted, and updates that change nothing which is judged.
    #[must_use]
    pub fn of(review: &mut Review<'_>) -> Option<Self> {
        let known = review.known.filter(|_| !review.subresource)?;
        let (engine, object) = (known.engine, review.object.take()?);
        if json::at(&object, &["metadata", "deletionTimestamp"]).is_some_and(|t| !t.is_null()) {
            return None;
        }
        let caller = Some(review.user.to_string());
        let mut told = Facts { caller, schema_checked: true, ..Facts::default() };
        let change = match (known.role, review.operation) {
            (Role::Operation, Operation::Create) => {
                // A create may leave the namespace to the path.
                let namespace = review.namespace.to_string();
                let database = json::text(&object, &["spec", &engine.reference, "name"]).to_owned();
                return Some(Self { engine, namespace, database, told, what: What::Request(object) });
            }
            (Role::Operation, Operation::Update) => {
                let change = Change::of_request_update(engine, review.old.as_ref()?, &object);
                let unchanged = matches!(&change.source, Source::RequestUpdate(update) if update.changed.is_empty());
                if unchanged && change.requested_by.is_none() {
                    return None;
                }
                change
            }
            (Role::Database, Operation::Create) => Change::of_create(&Database::of(engine, &object)),
            (Role::Database, Operation::Update) => {
                let old = Database::of(engine, review.old.as_ref()?);
                let change = Change::of_update(&old, Database::of(engine, &object));
                if is_nothing(&change) {
                    return None;
                }
                told.database = old.into();
                change
            }
            (_, Operation::Other) => return None,
        };
        let (namespace, database) = (review.namespace.to_string(), change.database.clone());
        Some(Self { engine, namespace, database, told, what: What::Change(Box::new(change)) })
    }

    /// What the rules say, as far as `facts` go.
    #[must_use]
    pub fn judge(&self, facts: &Facts) -> Vec<Finding> {
        match &self.what {
            What::Change(change) => rules::judge(&Case { change, facts }),
            What::Request(request) => {
                // The database tells which of several components with one field is meant.
                let mut change = Change::of_request(self.engine, request, facts.database.here());
                change.namespace.clone_from(&self.namespace);
                rules::judge(&Case { change: &change, facts })
            }
        }
    }

    /// The update of a database that is asked for.
    #[must_use]
    pub fn update(&self) -> Option<&Change> {
        match &self.what {
            What::Change(change) if change.is_direct() => Some(change),
            _ => None,
        }
    }

    /// Takes out of the update what an OpsRequest has wished; whether nothing is left of it that is judged.
    pub fn leave_out(&mut self, operations: &[Seen]) -> bool {
        match (&mut self.what, &self.told.database) {
            (What::Change(change), Known::Here(old)) => {
                carried_out::leave_out(change, old, operations);
                is_nothing(change)
            }
            _ => false,
        }
    }

    /// The OpsRequest that is to be created, where it names a database.
    #[must_use]
    pub fn request(&self) -> Option<&Value> {
        match &self.what {
            What::Request(request) if !self.database.is_empty() => Some(request),
            _ => None,
        }
    }

    /// The name of the OpsRequest that is to be created; empty for all else.
    #[must_use]
    pub fn request_name(&self) -> &str {
        self.request().map_or("", |request| json::text(request, &["metadata", "name"]))
    }

    /// Whether volumes are to grow, so that their class matters.
    #[must_use]
    pub fn grows_volumes(&self) -> bool {
        match &self.what {
            What::Request(request) => json::text(request, &["spec", "type"]) == VOLUME.ops_type,
            What::Change(change) => {
                change.is_direct() && change.wishes.iter().any(|w| matches!(w.what, change::What::Storage(_)))
            }
        }
    }
}

/// Whether an update of a database changes nothing that is judged.
fn is_nothing(change: &Change) -> bool {
    let lost = matches!(&change.source, Source::Update(update) if !update.lost.is_empty());
    change.wishes.is_empty() && !lost && change.requested_by.is_none()
}

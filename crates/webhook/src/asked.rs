//! What a review asks, as a change that the rules can judge; `None` for all that passes at once.

use dbscale_cluster::trim::shapes::Role;
use dbscale_core::catalog::Engine;
use dbscale_core::change::{Change, Source, VOLUME, What};
use dbscale_core::database::Database;
use dbscale_core::facts::{Case, Facts, Known};
use dbscale_core::finding::Finding;
use dbscale_core::rules;
use serde_json::Value;

use crate::review::{Operation, Review};

/// A change that is asked for, and what the review itself tells of the present.
#[derive(Debug)]
pub struct Asked {
    /// The engine.
    pub engine: &'static Engine,
    /// The change, read without the database.
    pub change: Change,
    /// The facts that come with the review: who asks, and for an update of a database the object as it is.
    pub told: Facts,
    /// The OpsRequest that is to be created, where it is one.
    pub request: Option<Value>,
}

impl Asked {
    /// Reads what is asked. Passed at once: kinds that are not KubeDB's, parts such as `status`, deletions, objects that are
    /// being deleted, and updates that change nothing which is judged.
    #[must_use]
    pub fn of(review: &mut Review<'_>) -> Option<Self> {
        let known = review.known.filter(|_| !review.subresource)?;
        let (engine, object) = (known.engine, review.object.take()?);
        if object.pointer("/metadata/deletionTimestamp").is_some_and(|t| !t.is_null()) {
            return None;
        }
        let mut told = Facts { caller: Some(review.user.to_string()), ..Facts::default() };
        let mut asked = match (known.role, review.operation) {
            (Role::Operation, Operation::Create) => {
                Self { engine, change: Change::of_request(engine, &object, None), told, request: Some(object) }
            }
            (Role::Operation, Operation::Update) => {
                let change = Change::of_request_update(engine, review.old.as_ref()?, &object);
                let unchanged = matches!(&change.source, Source::RequestUpdate(update) if update.changed.is_empty());
                if unchanged && change.requested_by.is_none() {
                    return None;
                }
                Self { engine, change, told, request: None }
            }
            (Role::Database, Operation::Create) => {
                let change = Change::of_create(&Database::of(engine, &object));
                Self { engine, change, told, request: None }
            }
            (Role::Database, Operation::Update) => {
                let old = Database::of(engine, review.old.as_ref()?);
                let change = Change::of_update(&old, &Database::of(engine, &object));
                if is_nothing(&change) {
                    return None;
                }
                told.database = Known::Here(old);
                Self { engine, change, told, request: None }
            }
            (_, Operation::Other) => return None,
        };
        if asked.change.namespace.is_empty() {
            // A create may leave it to the path.
            asked.change.namespace = review.namespace.to_string();
        }
        Some(asked)
    }

    /// What the rules say, as far as `facts` go.
    #[must_use]
    pub fn judge(&self, facts: &Facts) -> Vec<Finding> {
        match (&self.request, facts.database.here()) {
            // The database tells which of several components with one field is meant.
            (Some(request), Some(database)) => {
                let mut change = Change::of_request(self.engine, request, Some(database));
                change.namespace.clone_from(&self.change.namespace);
                rules::judge(&Case { change: &change, facts })
            }
            _ => rules::judge(&Case { change: &self.change, facts }),
        }
    }

    /// Whether the database itself is updated.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.change.is_direct()
    }

    /// Whether an OpsRequest is created for a database that it names.
    #[must_use]
    pub fn needs_database(&self) -> bool {
        self.request.is_some() && !self.change.database.is_empty()
    }

    /// Whether volumes are to grow, so that their class matters.
    #[must_use]
    pub fn grows_volumes(&self) -> bool {
        match self.change.request() {
            Some(request) => request.ops_type == VOLUME.ops_type,
            None => self.is_direct() && self.change.wishes.iter().any(|w| matches!(w.what, What::Storage(_))),
        }
    }
}

/// Whether an update of a database changes nothing that is judged.
#[must_use]
pub fn is_nothing(change: &Change) -> bool {
    let lost = matches!(&change.source, Source::Update(update) if !update.lost.is_empty());
    change.wishes.is_empty() && !lost && change.requested_by.is_none()
}

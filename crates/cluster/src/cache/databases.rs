//! Which databases are kept, and what of a list that is read again is known already.

use std::sync::Arc;

use dbscale_core::database::Database;
use dbscale_core::json;
use serde_json::Value;

use super::store::Store;
use super::{joined, key};

/// The most places, amounts and labels of a database that is kept, some 200 bytes each. Real ones have some dozens; one made
/// to have thousands would take ten times the memory that it takes in the API server. It is read where it is judged.
pub(super) const MOST_PARTS: usize = 200;

/// The database as it is kept; nothing where it is too large.
pub(super) fn kept(mut database: Database) -> Option<Arc<Database>> {
    let places = database.components.iter().flat_map(|view| &view.places);
    let parts = database.labels.len() + places.map(|place| 1 + place.resources.len()).sum::<usize>();
    if parts > MOST_PARTS {
        return None;
    }
    // It stays, and nearly always it is one that was given room for four.
    database.components.shrink_to_fit();
    Some(Arc::new(database))
}

/// What is known of an object, where that is of the same version.
pub(super) fn as_known(store: &Store<Option<Arc<Database>>>, object: &Value) -> Option<Arc<Database>> {
    let (namespace, name) = key(object);
    let known = store.items.get(&joined(namespace, name))?.as_ref()?;
    let text = |field| json::text(object, &["metadata", field]);
    let same = known.resource_version == text("resourceVersion") && known.uid == text("uid");
    // The same object has another form where it is read in another version of its API.
    let form = json::text(object, &["apiVersion"]).rsplit('/').next();
    (same && !known.resource_version.is_empty() && form == Some(&known.version)).then(|| Arc::clone(known))
}

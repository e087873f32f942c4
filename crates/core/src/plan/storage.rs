//! A direct growth of storage: a guarded patch of the database object, and the claims that have to follow.

use json_patch::{AddOperation, Patch, PatchOperation, ReplaceOperation, TestOperation, jsonptr::PointerBuf};
use serde_json::{Value, json};

use super::{PatchStep, REQUEST_ID, REQUESTED_BY, REVERT_TO, Stamp};
use crate::change::Change;
use crate::database::{ComponentView, Database};
use crate::facts::{Case, ClaimFact, Facts};
use crate::quantity::Quantity;
use crate::rules;

/// The patch for a size, and the claims that are smaller.
///
/// Each place is tested for the value that was read before it is replaced, so that nobody's change is overwritten.
pub(super) fn patch(
    facts: &Facts,
    database: &Database,
    view: &ComponentView,
    size: Quantity,
    stamp: &Stamp,
) -> PatchStep {
    let change = Change::of_storage(database, view, &size.into());
    // The rule decides whether a smaller size is a way back from a failed expansion: it then warns instead of refusing.
    let shrinks = view.storage().is_some_and(|present| size < present);
    let refused = rules::judge(&Case { change: &change, facts }).iter().any(crate::finding::Finding::refuses);
    let reverts = shrinks && !refused;

    let mut operations = Vec::new();
    for place in view.places.iter().filter(|p| !p.storage_pointer.is_empty()) {
        let path = || pointer(&place.storage_pointer);
        match &place.storage {
            Some(present) => {
                operations.push(PatchOperation::Test(TestOperation { path: path(), value: present.to_json() }));
            }
            None => continue, // no volume is asked for there: the plan is refused before it comes to this
        }
        operations.push(PatchOperation::Replace(ReplaceOperation { path: path(), value: json!(size.to_string()) }));
    }
    operations.extend(annotate(database, size, stamp, reverts));
    // All tests come before the first change: a JSON Patch is applied as a whole, but the answer then names the true cause.
    operations.sort_by_key(|o| !matches!(o, PatchOperation::Test(_)));

    let name = view.name();
    let smaller = |c: &&ClaimFact| !reverts && c.component == name && c.requested < size;
    let claims: Vec<String> = facts.claims.iter().filter(smaller).map(|c| c.name.clone()).collect();
    let idle = facts.claims.iter().filter(smaller).filter(|c| c.idle).map(|c| c.name.clone()).collect();
    PatchStep { patch: Patch(operations), size, claims, idle, reverts, change }
}

fn annotate(database: &Database, size: Quantity, stamp: &Stamp, reverts: bool) -> Vec<PatchOperation> {
    let mut annotations = vec![(REQUEST_ID, stamp.request_id.clone())];
    annotations.extend(stamp.requested_by.clone().map(|user| (REQUESTED_BY, user)));
    if reverts {
        annotations.push((REVERT_TO, size.to_string()));
    }
    if database.has_annotations {
        let add = |(key, value): (&str, String)| {
            let path = format!("/metadata/annotations/{}", key.replace('/', "~1"));
            PatchOperation::Add(AddOperation { path: pointer(&path), value: json!(value) })
        };
        annotations.into_iter().map(add).collect()
    } else {
        let all: serde_json::Map<String, Value> =
            annotations.into_iter().map(|(k, v)| (k.to_owned(), json!(v))).collect();
        let path = || pointer("/metadata/annotations");
        // The API server takes a place that is missing for null, so this fails where somebody has written the first
        // annotations in between: adding the whole map would wipe them.
        let none = PatchOperation::Test(TestOperation { path: path(), value: Value::Null });
        vec![none, PatchOperation::Add(AddOperation { path: path(), value: Value::Object(all) })]
    }
}

fn pointer(text: &str) -> PointerBuf {
    PointerBuf::parse(text).unwrap_or_default()
}

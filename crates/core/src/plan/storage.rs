//! A direct growth of storage: a guarded patch of the database object, and the claims that have to follow.

use json_patch::{
    AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation, TestOperation, jsonptr::PointerBuf,
};
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
    let mut text = size.to_string();
    if reverts && database.reverted_to.as_ref() == Some(&text) {
        // A mark from before opens no way down; it has to change. So the same size is spelled in bytes.
        text = (size.nanos() / 1_000_000_000).to_string();
    }

    let mut operations = Vec::new();
    for place in view.places.iter().filter(|p| !p.storage_pointer.is_empty()) {
        let path = || pointer(&place.storage_pointer);
        match &place.storage {
            Some(present) => {
                operations.push(PatchOperation::Test(TestOperation { path: path(), value: present.to_json() }));
            }
            None => continue, // no volume is asked for there: the plan is refused before it comes to this
        }
        operations.push(PatchOperation::Replace(ReplaceOperation { path: path(), value: json!(text) }));
    }
    operations.extend(annotate(database, reverts.then_some(text), stamp));
    // All tests come before the first change: a JSON Patch is applied as a whole, but the answer then names the true cause.
    operations.sort_by_key(|o| !matches!(o, PatchOperation::Test(_)));

    let name = view.name();
    let smaller = |c: &&ClaimFact| !reverts && c.component == name && c.requested < size;
    let claims: Vec<String> = facts.claims.iter().filter(smaller).map(|c| c.name.clone()).collect();
    let idle = facts.claims.iter().filter(smaller).filter(|c| c.idle).map(|c| c.name.clone()).collect();
    PatchStep { patch: Patch(operations), size, claims, idle, reverts, change }
}

/// The annotations that come with the patch. `revert` marks it as a way back; anything else takes an earlier mark away, so that
/// another way back to the same size is a change of the mark again.
fn annotate(database: &Database, revert: Option<String>, stamp: &Stamp) -> Vec<PatchOperation> {
    let at = |key: &str| pointer(&format!("/metadata/annotations/{}", key.replace('/', "~1")));
    let mut annotations = vec![(REQUEST_ID, stamp.request_id.clone())];
    annotations.extend(stamp.requested_by.clone().map(|user| (REQUESTED_BY, user)));
    let gone = database.reverted_to.as_ref().filter(|_| revert.is_none());
    annotations.extend(revert.map(|size| (REVERT_TO, size)));
    if database.has_annotations {
        let add =
            |(key, value): (&str, String)| PatchOperation::Add(AddOperation { path: at(key), value: json!(value) });
        let mut operations: Vec<PatchOperation> = annotations.into_iter().map(add).collect();
        if let Some(size) = gone {
            operations.push(PatchOperation::Test(TestOperation { path: at(REVERT_TO), value: json!(size) }));
            operations.push(PatchOperation::Remove(RemoveOperation { path: at(REVERT_TO) }));
        }
        operations
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

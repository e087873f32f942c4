//! Short ways to read Kubernetes objects as JSON.

use serde_json::Value;

/// The text at an RFC 6901 pointer; empty where there is none.
pub fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The list at a pointer; empty where there is none.
pub fn list<'v>(object: &'v Value, pointer: &str) -> &'v [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// `metadata.name`.
pub fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// `metadata.uid`.
pub fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// `metadata.generation`, 0 where there is none.
pub fn generation(object: &Value) -> i64 {
    object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default()
}

/// An annotation.
pub fn annotation<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

/// The UID of the controller that owns the object.
pub fn controller(object: &Value) -> Option<&str> {
    let owners = list(object, "/metadata/ownerReferences").iter();
    let owner = owners.into_iter().find(|o| o["controller"] == true)?;
    owner["uid"].as_str()
}

/// Whether somebody has deleted the object, and it only waits for its end.
pub fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|t| !t.is_null())
}

/// Whether the object's condition of this type is `True`.
pub fn has_condition(object: &Value, kind: &str) -> bool {
    list(object, "/status/conditions").iter().any(|c| c["type"] == kind && c["status"] == "True")
}

/// The list item whose `name` is `name`.
pub fn named<'v>(items: &'v [Value], name: &str) -> Option<&'v Value> {
    items.iter().find(|i| i["name"] == name)
}

/// The present time as Kubernetes writes it.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

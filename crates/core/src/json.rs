//! Reading documents without a pointer that has to be taken apart first.

use serde_json::Value;

/// The value at the end of a way of fields.
pub(crate) fn at<'v>(document: &'v Value, way: &[&str]) -> Option<&'v Value> {
    way.iter().try_fold(document, |at, field| at.get(field))
}

/// The text there; empty where there is none.
pub(crate) fn text<'v>(document: &'v Value, way: &[&str]) -> &'v str {
    at(document, way).and_then(Value::as_str).unwrap_or_default()
}

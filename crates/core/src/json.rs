//! Reading documents without a pointer that has to be taken apart first: for what is read with every request.

use serde_json::Value;

/// The value at the end of a way of fields.
#[must_use]
pub fn at<'v>(document: &'v Value, way: &[&str]) -> Option<&'v Value> {
    way.iter().try_fold(document, |at, field| at.get(field))
}

/// The text there; empty where there is none.
#[must_use]
pub fn text<'v>(document: &'v Value, way: &[&str]) -> &'v str {
    at(document, way).and_then(Value::as_str).unwrap_or_default()
}

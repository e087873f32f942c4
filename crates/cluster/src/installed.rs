//! What the parts of dbscale in a cluster say of themselves.

use serde_json::{Value, json};

/// The annotation by which a part tells its version: the controller on its Lease, the webhook on its configuration.
///
/// An image's tag tells less: an image may be named by its digest, and a process may run outside the cluster.
pub const VERSION_MARK: &str = "dbscale.dev/version";
/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version that an object's annotation tells.
#[must_use]
pub fn version_of(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(VERSION_MARK)?.as_str().filter(|version| !version.is_empty())
}

/// The operation of a JSON Patch that marks an object with this version; `None` where it bears it.
#[must_use]
pub fn mark(object: &Value) -> Option<Value> {
    if version_of(object) == Some(VERSION) {
        return None;
    }
    Some(if object.pointer("/metadata/annotations").is_some_and(Value::is_object) {
        json!({"op": "add", "path": format!("/metadata/annotations/{}", VERSION_MARK.replace('/', "~1")), "value": VERSION})
    } else {
        json!({"op": "add", "path": "/metadata/annotations", "value": {VERSION_MARK: VERSION}})
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::bare(json!({"metadata": {}}), Some("/metadata/annotations"))]
    #[case::with_others(json!({"metadata": {"annotations": {"a": "b"}}}), Some("/metadata/annotations/dbscale.dev~1version"))]
    #[case::of_another_version(json!({"metadata": {"annotations": {VERSION_MARK: "0"}}}), Some("/metadata/annotations/dbscale.dev~1version"))]
    #[case::marked(json!({"metadata": {"annotations": {VERSION_MARK: VERSION}}}), None)]
    fn marks(#[case] object: Value, #[case] path: Option<&str>) {
        assert_eq!(mark(&object).as_ref().map(|mark| mark["path"].as_str().unwrap()), path);
    }
}

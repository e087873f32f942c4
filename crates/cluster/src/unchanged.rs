//! A patch for several writers of one object: it holds only where nobody has changed the object since it was read.

use serde_json::{Value, json};

use crate::apply::Write;
use crate::call::{Call, Cluster};
use crate::error::{ApiFailure, Kind};

impl Cluster {
    /// Applies the operations of a JSON Patch to the object at `path`, which was `read` before. Answers the object as it is
    /// then; `None` where somebody has changed it since, or where a try of this call has whose answer got lost: the caller
    /// reads again, and sees which.
    ///
    /// # Errors
    /// What the server says.
    pub async fn patch_unchanged(
        &self,
        path: &str,
        read: &Value,
        changes: Vec<Value>,
        write: &Write,
    ) -> Result<Option<Value>, ApiFailure> {
        let version = json!({"op": "test", "path": "/metadata/resourceVersion",
            "value": read["metadata"]["resourceVersion"]});
        let all = Value::Array(std::iter::once(version).chain(changes).collect());
        let call = Call::patch(path, "application/json-patch+json", all.to_string().into_bytes());
        match self.call(&write.on(call).query("fieldValidation", Some("Strict"))).await {
            Ok(object) => Ok(Some(object)),
            Err(failure) if failure.kind == Kind::Conflict || failure.is_failed_test() => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::mock::{Act, cluster, status};

    #[rstest]
    #[case::nobody_else(Act::Answer(200, json!({"metadata": {"resourceVersion": "8"}})), Ok(true))]
    #[case::somebody(
        status(422, "Invalid", "the server rejected our request due to an error in our request"),
        Ok(false)
    )]
    #[case::somebody_at_once(status(409, "Conflict", "the object has been modified"), Ok(false))]
    #[case::no_right(status(403, "Forbidden", "User \"x\" cannot patch"), Err(Kind::Forbidden))]
    #[tokio::test(start_paused = true)]
    async fn only_an_object_as_it_was_read_is_patched(#[case] act: Act, #[case] wanted: Result<bool, Kind>) {
        let (cluster, played) = cluster(Duration::from_secs(5), vec![act]);
        let read = json!({"metadata": {"resourceVersion": "7"}});
        let change = json!({"op": "add", "path": "/data", "value": {}});
        let done = cluster.patch_unchanged("/api/v1/x", &read, vec![change.clone()], &Write::default()).await;
        assert_eq!(done.map(|o| o.is_some()).map_err(|f| f.kind), wanted);
        drop(cluster);
        let test = json!({"op": "test", "path": "/metadata/resourceVersion", "value": "7"});
        assert_eq!(played.await.unwrap()[0].body, json!([test, change]));
    }
}

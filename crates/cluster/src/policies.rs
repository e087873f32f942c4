//! Scaling policies, read live.

use dbscale_core::record::GROUP;
use dbscale_core::scaling_policy::{PLURAL, VERSION};
use serde_json::Value;

use crate::call::{Call, Cluster};
use crate::error::{ApiFailure, Kind};

impl Cluster {
    /// All scaling policies; none where their kind is not installed.
    ///
    /// # Errors
    /// What the server says.
    pub async fn policies(&self) -> Result<Vec<Value>, ApiFailure> {
        match self.list(&format!("/apis/{GROUP}/{VERSION}/{PLURAL}"), None).await {
            Err(failure) if is_absent(&failure) => Ok(Vec::new()),
            // Whoever has no right is told so, also where the kind is not there.
            Err(failure) if failure.kind == Kind::Forbidden && !self.has_policies().await => Ok(Vec::new()),
            answer => answer,
        }
    }

    /// Whether scaling policies are installed, as far as discovery tells, which everybody may ask.
    async fn has_policies(&self) -> bool {
        let is = |resource: &Value| resource.get("name").and_then(Value::as_str) == Some(PLURAL);
        match self.call(&Call::get(format!("/apis/{GROUP}/{VERSION}"))).await {
            Ok(list) => list.get("resources").and_then(Value::as_array).is_some_and(|all| all.iter().any(is)),
            Err(failure) => !is_absent(&failure),
        }
    }
}

fn is_absent(failure: &ApiFailure) -> bool {
    matches!(failure.kind, Kind::NotInstalled | Kind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::mock::{self, Act, status};

    fn discovered(plural: &str) -> Act {
        Act::Answer(200, json!({"resources": [{"name": plural}]}))
    }

    #[rstest]
    #[case::some(vec![Act::Answer(200, json!({"items": [{"metadata": {"name": "gold"}}]}))], Ok(1))]
    #[case::not_installed(vec![Act::Text(404, "404 page not found")], Ok(0))]
    #[case::no_right_and_not_installed(vec![status(403, "Forbidden", "no"), Act::Text(404, "404 page not found")], Ok(0))]
    #[case::no_right_and_only_records(vec![status(403, "Forbidden", "no"), discovered("scalingrecords")], Ok(0))]
    #[case::no_right(vec![status(403, "Forbidden", "no"), discovered("scalingpolicies")], Err(Kind::Forbidden))]
    #[case::nobody_knows(vec![status(403, "Forbidden", "no"), status(403, "Forbidden", "no")], Err(Kind::Forbidden))]
    #[tokio::test]
    async fn policies(#[case] script: Vec<Act>, #[case] wanted: Result<usize, Kind>) {
        let calls = script.len();
        let (cluster, asked) = mock::cluster(Duration::from_secs(5), script);
        assert_eq!(cluster.policies().await.map(|all| all.len()).map_err(|failure| failure.kind), wanted);
        drop(cluster);
        assert_eq!(asked.await.unwrap().len(), calls);
    }
}

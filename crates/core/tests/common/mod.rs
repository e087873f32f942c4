//! What the tests against KubeDB's own files share.

#![allow(dead_code, reason = "each test takes the part that it needs")]

use std::env;
use std::path::PathBuf;

use serde_json::Value;

/// The folder that `KUBEDB_DATA` names. Without it there is nothing to compare with: that is said, and is a failure where
/// `DBSCALE_REQUIRE_KUBEDB_DATA` is set.
pub fn data(so: &str) -> Option<PathBuf> {
    let folder = env::var_os("KUBEDB_DATA").filter(|v| !v.is_empty()).map(PathBuf::from);
    if folder.is_none() {
        assert!(env::var_os("DBSCALE_REQUIRE_KUBEDB_DATA").is_none(), "KUBEDB_DATA is not set");
        println!("skipped: KUBEDB_DATA is not set, so {so}");
    }
    folder
}

/// The documents of a YAML file that are objects.
pub fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    documents.into_iter().filter(Value::is_object).collect()
}

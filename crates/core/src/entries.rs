//! The entries of the ValidatingWebhookConfiguration: what API servers ask the webhook about, made of the catalog.

use serde_json::{Value, json};

use crate::catalog::{Catalog, DATABASE_GROUP, Engine, OPS_GROUP, OPS_VERSION};

/// The entry for the creation and update of OpsRequests.
pub const OPS_REQUESTS: &str = "opsrequests.dbscale.dev";
/// The entry for the creation and update of databases.
pub const DATABASES: &str = "databases.dbscale.dev";
/// The entry for updates of databases that give a smaller size as a way back.
pub const REVERTS: &str = "reverts.dbscale.dev";
/// All of them, in the order of the manifest.
pub const ENTRIES: [&str; 3] = [OPS_REQUESTS, DATABASES, REVERTS];

/// `rules` of an entry: the kinds of the catalog, as the API server writes it.
#[must_use]
pub fn rules(entry: &str) -> Value {
    let (group, version, plural, operations): (_, _, fn(&Engine) -> String, &[&str]) = match entry {
        OPS_REQUESTS => (OPS_GROUP, OPS_VERSION, Engine::ops_plural, &["CREATE", "UPDATE"]),
        DATABASES => (DATABASE_GROUP, "*", |engine| engine.plural.clone(), &["CREATE", "UPDATE"]),
        _ => (DATABASE_GROUP, "*", |engine| engine.plural.clone(), &["UPDATE"]),
    };
    let resources: Vec<String> = Catalog::builtin().engines().map(plural).collect();
    json!([{"apiGroups": [group], "apiVersions": [version], "resources": resources, "operations": operations,
        "scope": "Namespaced"}])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_asks_about_every_engine() {
        let asked = ENTRIES.map(|entry| rules(entry)[0].clone());
        let kinds = asked.each_ref().map(|rule| rule["resources"].as_array().unwrap().len());
        assert_eq!(kinds, [Catalog::builtin().engines().count(); 3]);
        assert_eq!(
            asked.each_ref().map(|r| r["apiGroups"][0].as_str().unwrap()),
            [OPS_GROUP, DATABASE_GROUP, DATABASE_GROUP]
        );
        let operations = asked.each_ref().map(|r| r["operations"].as_array().unwrap().len());
        assert_eq!(operations, [2, 2, 1], "a way back is an update");
    }
}

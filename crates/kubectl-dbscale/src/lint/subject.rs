//! What an object is to `lint`: something to judge, something to judge by, or neither.

use dbscale_core::catalog::{Catalog, DATABASE_GROUP, Engine, OPS_GROUP, OPS_VERSION};
use dbscale_core::finding::{Finding, RuleId};
use dbscale_core::rules::REQUEST_SCHEMA;
use serde_json::Value;

use super::shape;

/// The rule of what the API server could not decode.
const SCHEMA: RuleId = REQUEST_SCHEMA.id;

/// What an object is.
#[derive(Debug, Clone, Copy)]
pub enum Role {
    /// An OpsRequest.
    Request(&'static Engine),
    /// A database.
    Database(&'static Engine),
    /// A StorageClass.
    Class,
    /// A PersistentVolumeClaim.
    Claim,
    /// Something that no rule looks at.
    Other,
}

/// What an object is, and what is wrong with the fields that tell it.
#[must_use]
pub fn role(object: &Value) -> (Role, Vec<Finding>) {
    let text = |field: &str| object.get(field).and_then(Value::as_str);
    let (version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = match version {
        Some(version) => version.split_once('/').unwrap_or(("", version)),
        // Without a group, the kind alone tells whose it was meant to be.
        None => match kind.and_then(of_kind) {
            Some(ours) => {
                let long = shape::too_long(object).map(|finding| (Role::Other, vec![finding]));
                return long.unwrap_or_else(|| (ours, vec![no_version(ours)]));
            }
            None => return (Role::Other, Vec::new()),
        },
    };
    match (group, kind) {
        (OPS_GROUP | DATABASE_GROUP, Some(kind)) => kubedb(group, version, kind, object),
        (OPS_GROUP | DATABASE_GROUP, None) => {
            let message = format!("an object of {group} has no kind");
            (
                Role::Other,
                vec![Finding::deny(SCHEMA, "kind", message).remedy("write its kind, such as MongoDBOpsRequest")],
            )
        }
        ("storage.k8s.io", Some("StorageClass")) => (Role::Class, Vec::new()),
        ("", Some("PersistentVolumeClaim")) => (Role::Claim, Vec::new()),
        _ => (Role::Other, Vec::new()),
    }
}

fn of_kind(kind: &str) -> Option<Role> {
    let catalog = Catalog::builtin();
    catalog.of_ops_kind(kind).map(Role::Request).or_else(|| catalog.of_kind(kind).map(Role::Database))
}

fn kubedb(group: &str, version: &str, kind: &str, object: &Value) -> (Role, Vec<Finding>) {
    let catalog = Catalog::builtin();
    let (role, versions) = if group == OPS_GROUP {
        (catalog.of_ops_kind(kind).map(Role::Request), vec![OPS_VERSION])
    } else {
        let engine = catalog.of_kind(kind);
        (engine.map(Role::Database), engine.iter().flat_map(|e| &e.versions).map(String::as_str).collect())
    };
    let Some(role) = role else { return (Role::Other, vec![unknown_kind(group, kind)]) };
    if let Some(finding) = shape::too_long(object) {
        return (Role::Other, vec![finding]);
    }
    let mut findings = Vec::new();
    if !versions.contains(&version) {
        let message = format!("KubeDB does not serve {kind} as {group}/{version}");
        let served: Vec<String> = versions.iter().map(|v| format!("{group}/{v}")).collect();
        findings.push(Finding::deny(SCHEMA, "apiVersion", message).remedy(format!("write {}", served.join(" or "))));
    }
    findings.extend(metadata(role, object));
    if let Role::Database(engine) = role {
        findings.extend(shape::faults(engine, object));
    }
    (role, findings)
}

fn no_version(role: Role) -> Finding {
    let wanted = match role {
        Role::Database(engine) => {
            format!("{DATABASE_GROUP}/{}", engine.versions.first().map(String::as_str).unwrap_or_default())
        }
        _ => format!("{OPS_GROUP}/{OPS_VERSION}"),
    };
    Finding::deny(SCHEMA, "apiVersion", "apiVersion is missing, or no text").remedy(format!("write {wanted}"))
}

/// The API server knows no such kind, where it differs from a known one in case alone; else dbscale does not.
fn unknown_kind(group: &str, kind: &str) -> Finding {
    let suffix = if group == OPS_GROUP { "OpsRequest" } else { "" };
    let known = Catalog::builtin().engines().map(|e| format!("{}{suffix}", e.kind));
    match known.into_iter().find(|k| k.eq_ignore_ascii_case(kind)) {
        Some(right) => Finding::deny(SCHEMA, "kind", format!("there is no kind {kind} in {group}"))
            .remedy(format!("write {right}: case counts")),
        None => Finding::warn(SCHEMA, "kind", format!("dbscale knows no kind {kind} of {group}: nothing was checked"))
            .remedy("kubectl dbscale engines lists what it knows"),
    }
}

/// An object needs a name that is a text; an OpsRequest may leave it to the API server.
fn metadata(role: Role, object: &Value) -> Option<Finding> {
    let name = |field: &str| object.get("metadata").and_then(|m| m.get(field)).filter(|v| !v.is_null());
    let deny = |path: &str, message: String| {
        Some(
            Finding::deny(SCHEMA, path, message)
                .remedy("write a name in small letters, digits, - and ., in quotes if it is a number"),
        )
    };
    for field in ["name", "namespace"] {
        if let Some(value) = name(field).filter(|v| !v.is_string()) {
            return deny(&format!("metadata.{field}"), format!("metadata.{field} is {value}, which is no text"));
        }
    }
    let is_set = |field: &str| name(field).and_then(Value::as_str).is_some_and(|n| !n.is_empty());
    let generated = matches!(role, Role::Request(_)) && is_set("generateName");
    if is_set("name") || generated { None } else { deny("metadata.name", "metadata.name is missing".to_owned()) }
}

#[cfg(test)]
mod tests {
    use dbscale_core::finding::Severity::{self, Deny, Warn};
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::request(json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": {"name": "a"}}), "request", None)]
    #[case::generated_name(json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": {"generateName": "a-"}}), "request", None)]
    #[case::database(json!({"apiVersion": "kubedb.com/v1alpha2", "kind": "Cassandra", "metadata": {"name": "a"}, "spec": {}}), "database", None)]
    #[case::not_served(json!({"apiVersion": "kubedb.com/v1", "kind": "Cassandra", "metadata": {"name": "a"}, "spec": {}}), "database", Some(("apiVersion", Deny)))]
    #[case::wrong_ops_version(json!({"apiVersion": "ops.kubedb.com/v1", "kind": "MongoDBOpsRequest", "metadata": {"name": "a"}}), "request", Some(("apiVersion", Deny)))]
    #[case::no_version(json!({"kind": "MongoDBOpsRequest", "metadata": {"name": "a"}}), "request", Some(("apiVersion", Deny)))]
    #[case::no_kind(json!({"apiVersion": "ops.kubedb.com/v1alpha1"}), "other", Some(("kind", Deny)))]
    #[case::wrong_case(json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDb"}), "other", Some(("kind", Deny)))]
    #[case::of_tomorrow(json!({"apiVersion": "kubedb.com/v1", "kind": "NewDB"}), "other", Some(("kind", Warn)))]
    #[case::no_name(json!({"apiVersion": "kubedb.com/v1", "kind": "MySQL", "metadata": {}, "spec": {}}), "database", Some(("metadata.name", Deny)))]
    #[case::generated_database(json!({"apiVersion": "kubedb.com/v1", "kind": "MySQL", "metadata": {"generateName": "a"}, "spec": {}}), "database", Some(("metadata.name", Deny)))]
    #[case::name_of_digits(json!({"apiVersion": "kubedb.com/v1", "kind": "MySQL", "metadata": {"name": 12}, "spec": {}}), "database", Some(("metadata.name", Deny)))]
    #[case::metadata_is_a_text(json!({"apiVersion": "kubedb.com/v1", "kind": "MySQL", "metadata": "x", "spec": {}}), "database", Some(("metadata.name", Deny)))]
    #[case::of_another_operator(json!({"apiVersion": "kafka.strimzi.io/v1beta2", "kind": "Kafka"}), "other", None)]
    #[case::class(json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}), "class", None)]
    #[case::claim(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim"}), "claim", None)]
    #[case::helm_values(json!({"kind": "DaemonSet"}), "other", None)]
    #[case::numbers(json!({"apiVersion": 1, "kind": 2}), "other", None)]
    fn roles(#[case] object: Value, #[case] wanted: &str, #[case] finding: Option<(&str, Severity)>) {
        let (role, findings) = role(&object);
        let found = match role {
            Role::Request(_) => "request",
            Role::Database(_) => "database",
            Role::Class => "class",
            Role::Claim => "claim",
            Role::Other => "other",
        };
        assert_eq!(found, wanted);
        assert!(findings.iter().all(|f| f.rule == SCHEMA));
        assert_eq!(findings.first().map(|f| (f.path.as_str(), f.severity)), finding);
    }
}

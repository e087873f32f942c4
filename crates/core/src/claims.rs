//! A database's workloads and claims: UIDs lead from the database to its workloads, names from their claim templates to
//! the claims. Whatever is ambiguous is left alone, and the answer says so.
//!
//! Source: KubeDB's PetSet controller names and labels claims so; a claim has no owner, so name and labels are the only link.

use std::borrow::Borrow;

use serde_json::Value;

use crate::amount::Written;
use crate::database::{ComponentView, Database};
use crate::facts::{ClaimFact, Facts};
use crate::ownership;
use crate::quantity::Quantity;

/// Fills in [`Facts::claims`] and [`Facts::templates`].
///
/// `sets` and `claims` are those of the database's namespace, or any part of them that holds its own.
pub fn fill(
    facts: &mut Facts,
    database: &Database,
    object: &Value,
    sets: &[impl Borrow<Value>],
    claims: &[impl Borrow<Value>],
    warnings: &mut Vec<String>,
) {
    for set in sets.iter().map(Borrow::borrow).filter(|set| controlled_by(set, &database.uid)) {
        let set_name = text(set, "/metadata/name");
        let workloads = ownership::components_of(database, object, set_name);
        let [workload] = workloads.as_slice() else {
            let fits = if workloads.is_empty() { "no component" } else { "several components" };
            warnings
                .push(format!("workload {set_name} fits {fits} of {}; its claims are left alone", database.target()));
            continue;
        };
        let view = database
            .components
            .iter()
            .find(|c| c.key == workload.component && (c.item.is_none() || c.item == workload.item));
        let Some(component) = view.map(ComponentView::name) else { continue };
        let data = ownership::claim_templates(workload.pods, object, workload.item.as_deref());
        for template in list(set, "/spec/volumeClaimTemplates") {
            let template_name = text(template, "/metadata/name");
            if !data.is_empty() && !data.iter().any(|d| d == template_name) {
                continue; // a claim beside the data, such as Cassandra's nodetool
            }
            if let Some(size) = amount(template, "/spec/resources/requests/storage") {
                facts.templates.entry(component.clone()).or_insert(size);
            }
            for claim in claims.iter().map(Borrow::borrow) {
                let Some(ordinal) = ownership::claim_ordinal(text(claim, "/metadata/name"), template_name, set_name)
                else {
                    continue;
                };
                if selects(set, claim) {
                    let members = set.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
                    facts.claims.extend(fact(claim, &component, ordinal >= members));
                } else {
                    warnings.push(format!(
                        "claim {} has the name of one of workload {set_name}, but not its labels; it is left alone",
                        text(claim, "/metadata/name")
                    ));
                }
            }
        }
    }
    facts.claims.sort_by(|a, b| a.name.cmp(&b.name));
}

/// Whether the object's controller is the one with this UID.
#[must_use]
pub fn controlled_by(object: &Value, uid: &str) -> bool {
    list(object, "/metadata/ownerReferences")
        .iter()
        .any(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true) && text(owner, "/uid") == uid)
}

/// Whether the claim has the labels that the workload selects by. The name alone proves nothing: `data-migrate-x-0` is a
/// claim of KubeDB's migration of `x`, and has the name of one of a database `migrate-x`.
fn selects(set: &Value, claim: &Value) -> bool {
    let wanted = set.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let labels = claim.pointer("/metadata/labels");
    wanted.into_iter().flatten().all(|(key, value)| labels.and_then(|l| l.get(key)) == Some(value))
}

/// Reads a claim of a component; `None` where it asks for no readable size.
#[must_use]
pub fn fact(claim: &Value, component: &str, idle: bool) -> Option<ClaimFact> {
    Some(ClaimFact {
        name: text(claim, "/metadata/name").to_owned(),
        component: component.to_owned(),
        class: claim.pointer("/spec/storageClassName").and_then(Value::as_str).map(str::to_owned),
        attributes: attributes(claim),
        requested: amount(claim, "/spec/resources/requests/storage")?,
        capacity: amount(claim, "/status/capacity/storage"),
        failed: failure(claim),
        idle,
    })
}

/// The classes of attributes that a claim names, each once.
fn attributes(claim: &Value) -> Vec<String> {
    let at = [
        "/spec/volumeAttributesClassName",
        "/status/currentVolumeAttributesClassName",
        "/status/modifyVolumeStatus/targetVolumeAttributesClassName",
    ];
    let mut classes: Vec<String> =
        at.iter().map(|at| text(claim, at)).filter(|class| !class.is_empty()).map(str::to_owned).collect();
    classes.sort();
    classes.dedup();
    classes
}

/// Why the claim's expansion has failed.
///
/// Source: Kubernetes' `PersistentVolumeClaimStatus`: the conditions ControllerResizeError and NodeResizeError, and
/// `allocatedResourceStatuses`, whose words end in Infeasible (Failed before 1.31).
#[must_use]
pub fn failure(claim: &Value) -> Option<String> {
    let condition = list(claim, "/status/conditions").iter().find(|condition| {
        matches!(text(condition, "/type"), "ControllerResizeError" | "NodeResizeError")
            && text(condition, "/status") == "True"
    });
    if let Some(condition) = condition {
        return Some(format!("{}: {}", text(condition, "/type"), text(condition, "/message")));
    }
    let status = text(claim, "/status/allocatedResourceStatuses/storage");
    (status.ends_with("Infeasible") || status.ends_with("Failed")).then(|| status.to_owned())
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn amount(value: &Value, pointer: &str) -> Option<Quantity> {
    value.pointer(pointer).and_then(Written::of)?.quantity()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn claim(name: &str, instance: &str, status: &Value) -> Value {
        json!({"metadata": {"name": name, "labels": {"app.kubernetes.io/instance": instance}},
            "spec": {"resources": {"requests": {"storage": "20Gi"}}}, "status": status})
    }

    #[test]
    fn a_claim_names_its_classes_of_attributes() {
        let mut claim = claim(
            "data-x-0",
            "x",
            &json!({"currentVolumeAttributesClassName": "silver",
            "modifyVolumeStatus": {"targetVolumeAttributesClassName": "gold"}}),
        );
        claim["spec"]["volumeAttributesClassName"] = json!("gold");
        assert_eq!(fact(&claim, "replicaSet", false).unwrap().attributes, ["gold", "silver"]);
    }

    #[test]
    fn claims_are_found_by_owner_name_and_labels() {
        let object = json!({"apiVersion": "kubedb.com/v1", "kind": "MySQL", "metadata": {"name": "migrate-x", "uid": "u"},
            "spec": {"replicas": 2}});
        let set = |name: &str, uid: &str| {
            json!({"metadata": {"name": name, "ownerReferences": [{"uid": uid, "controller": true}]},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app.kubernetes.io/instance": "migrate-x"}},
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"resources": {"requests": {"storage": "10Gi"}}}}]}})
        };
        let has = json!({"capacity": {"storage": "10Gi"}});
        let claims = [
            claim("data-migrate-x-0", "migrate-x", &has),
            claim("data-migrate-x-1", "x", &has),
            claim("data-migrate-x-2", "migrate-x", &has),
            claim("data-x-0", "x", &has),
        ];
        let database = Database::of(Catalog::builtin().find("mysql").unwrap(), &object);
        let (mut facts, mut warnings) = (Facts::default(), Vec::new());
        let sets = [set("migrate-x", "u"), set("migrate-x-router", "someone-else")];
        fill(&mut facts, &database, &object, &sets, &claims, &mut warnings);
        let found: Vec<(&str, bool)> = facts.claims.iter().map(|c| (c.name.as_str(), c.idle)).collect();
        assert_eq!(found, [("data-migrate-x-0", false), ("data-migrate-x-2", true)]);
        assert_eq!(facts.templates["mysql"].to_string(), "10Gi");
        let left =
            "claim data-migrate-x-1 has the name of one of workload migrate-x, but not its labels; it is left alone";
        assert_eq!(warnings, [left]);
    }

    #[rstest]
    #[case::growing(json!({"conditions": [{"type": "Resizing", "status": "True"}]}), None)]
    #[case::failed(
        json!({"conditions": [{"type": "ControllerResizeError", "status": "True", "message": "no space"}]}),
        Some("ControllerResizeError: no space")
    )]
    #[case::no_more(json!({"conditions": [{"type": "NodeResizeError", "status": "False"}]}), None)]
    #[case::infeasible(
        json!({"allocatedResourceStatuses": {"storage": "NodeResizeInfeasible"}}),
        Some("NodeResizeInfeasible")
    )]
    #[case::under_way(json!({"allocatedResourceStatuses": {"storage": "ControllerResizeInProgress"}}), None)]
    fn failures(#[case] status: Value, #[case] why: Option<&str>) {
        assert_eq!(failure(&claim("c", "x", &status)).as_deref(), why);
    }
}

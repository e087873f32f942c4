//! `gitops/tracked`: a change of an object that Git owns is undone by whoever syncs it.

use super::{EXIT_REFUSED, Rule};
use crate::change::{What, Wish};
use crate::database::{ComponentView, Database, Place};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Warns where Argo CD or Flux keeps the database in step with a repository, and names the field to change there.
pub const RULE: Rule = Rule {
    id: RuleId("gitops/tracked"),
    severity: Severity::Warn,
    exit: EXIT_REFUSED,
    reason: "KubeDB writes the new values into the database object; the GitOps tool sees a difference from Git and writes the old ones back.",
    source: "the marks that Argo CD and Flux leave on the objects they sync",
    refused: "metadata:\n  annotations:\n    argocd.argoproj.io/tracking-id: shop:kubedb.com/MongoDB:demo/my-db",
    right: "the same change committed to Git as well",
    fix: "Change the field that the message names in Git too, or let the tool ignore it.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(database) = case.database() else { return Vec::new() };
    let Some(tracker) = &database.tracker else { return Vec::new() };
    let mut fields: Vec<String> = case.change.wishes.iter().filter_map(|wish| field(database, wish)).collect();
    fields.sort();
    fields.dedup();
    if fields.is_empty() {
        return Vec::new();
    }
    let message =
        format!("{} is kept in step with Git by {tracker}, which will write the old value back", database.target());
    vec![Finding::warn(RULE.id, "", message).remedy(format!("change it in Git too: {}", fields.join(", ")))]
}

/// The field of the database object that ends up changed.
fn field(database: &Database, wish: &Wish) -> Option<String> {
    let view: &ComponentView = wish.view(database)?;
    let place: &Place = view.places.first()?;
    let at = match &wish.what {
        What::Replicas(_) => view.component.replicas.as_ref()?.at.clone()?,
        What::Shards(_) => view.component.shards.as_ref()?.at.clone()?,
        What::Resources(_) => view.component.resources.as_ref()?.at.as_ref()?.of(&database.version)?.clone(),
        What::Storage(_) => return Some(place.storage_path.to_string()),
    };
    Some(view.narrowed(&at).dotted())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::{facts, findings, replica_set, request};
    use super::RULE;

    #[rstest]
    #[case::argo(json!({"annotations": {"argocd.argoproj.io/tracking-id": "shop:kubedb.com/MongoDB:demo/my-db"}}), Some("Argo CD (shop)"))]
    #[case::flux(json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}), Some("Flux (apps)"))]
    #[case::nobody(json!({"labels": {"app.kubernetes.io/instance": "my-db"}}), None)]
    fn tools(#[case] marks: Value, #[case] tool: Option<&str>) {
        let mut database = replica_set();
        for part in ["labels", "annotations"] {
            database["metadata"][part] = marks[part].clone();
        }
        let ask = request("HorizontalScaling", json!({"horizontalScaling": {"replicas": 5}}));
        let found = findings(&ask, &facts(&database));
        let found = found.iter().find(|f| f.rule == RULE.id);
        assert_eq!(found.is_some(), tool.is_some());
        if let (Some(found), Some(tool)) = (found, tool) {
            assert!(found.message.contains(tool), "{}", found.message);
            assert_eq!(found.remedy, "change it in Git too: spec.replicas");
        }
    }
}

//! Where a database, its pods and its claims say different things while they should say the same.
//!
//! KubeDB writes the object at the end of a run, so during one a difference is nothing but the run itself.

use crate::database::{ComponentView, Database};
use crate::effect::{self, PodFact};
use crate::facts::{ClaimFact, Facts};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Drift {
    /// The component.
    pub component: String,
    /// What differs from the object: `pods`, `claims`, `class`, `template`.
    pub what: &'static str,
    /// A sentence without its full stop.
    pub message: String,
}

/// Everything that differs. `pods` are `None` where they are not known.
#[must_use]
pub fn drift(database: &Database, facts: &Facts, pods: Option<&[PodFact]>) -> Vec<Drift> {
    let mut all = Vec::new();
    for view in &database.components {
        let component = view.name();
        let mut note = |what, message: Option<String>| {
            all.extend(message.map(|message| Drift { component: component.clone(), what, message }));
        };
        if let Some(pods) = pods {
            note("pods", effect::count_differs(view, (view.replicas(), view.shards()), pods));
            note("pods", sizes(database, view, pods));
        }
        let claims: Vec<&ClaimFact> = facts.claims.iter().filter(|c| c.component == component && !c.idle).collect();
        if let Some(size) = view.storage() {
            let asks = |c: &&&ClaimFact| c.requested != size;
            note("claims", first(&claims, asks, |c| format!("asks for {}, the object for {size}", c.requested)));
            let lacks = |c: &&&ClaimFact| c.requested == size && c.capacity.is_some_and(|has| has < size);
            note(
                "claims",
                first(&claims, lacks, |c| {
                    let because = c.failed.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                    let has = c.capacity.map(|has| has.to_string()).unwrap_or_default();
                    format!("has {has} of {size}{because}")
                }),
            );
            let template = facts.templates.get(&component).filter(|template| **template < size);
            note("template", template.map(|template| format!("a new volume begins with {template}, not with {size}")));
        }
        let class = view.places.iter().find_map(|place| place.class.as_ref()).filter(|_| view.places.len() == 1);
        if let Some(class) = class {
            let other = |c: &&&ClaimFact| c.class.as_ref().is_some_and(|has| has != class);
            let told =
                |c: &ClaimFact| format!("has class {}, the object says {class}", c.class.as_deref().unwrap_or("-"));
            note("class", first(&claims, other, told));
        }
    }
    all
}

/// Whether every pod has the resources that the object gives the component's container.
fn sizes(database: &Database, view: &ComponentView, pods: &[PodFact]) -> Option<String> {
    let wanted = view.resources().filter(|wanted| !wanted.is_empty())?;
    let lacks = |pod: &&PodFact| effect::has_resources(pod, view, wanted) == Some(false);
    let mut lacking = effect::of_view(pods, effect::host_of(database, view)).filter(lacks);
    let first = lacking.next()?;
    Some(match lacking.count() {
        0 => format!("pod {} has other resources than the object", first.name),
        more => format!("pod {} and {more} more have other resources than the object", first.name),
    })
}

/// The first claim of a kind with what is to be said of it, and how many more there are.
fn first(
    claims: &[&ClaimFact],
    of: impl Fn(&&&ClaimFact) -> bool,
    said: impl Fn(&ClaimFact) -> String,
) -> Option<String> {
    let mut found = claims.iter().filter(of);
    let first = found.next()?;
    Some(match found.count() {
        0 => format!("claim {} {}", first.name, said(first)),
        more => format!("claim {} {} (and {more} more)", first.name, said(first)),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::amount::ResourceSet;
    use crate::catalog::Catalog;

    fn database() -> Database {
        let object = json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db", "namespace": "demo"},
            "spec": {"replicaSet": {"name": "rs0"}, "replicas": 3,
                "storage": {"storageClassName": "fast", "resources": {"requests": {"storage": "50Gi"}}},
                "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": {"limits": {"memory": "4Gi"}}}]}}}});
        Database::of(Catalog::builtin().find("mongodb").unwrap(), &object)
    }

    fn pod(index: usize, memory: &str) -> PodFact {
        let resources = ResourceSet::of(Some(&json!({"limits": {"memory": memory}})));
        PodFact {
            name: format!("db-{index}"),
            component: "replicaSet",
            item: None,
            containers: vec![("mongodb".to_owned(), resources)],
            deleting: false,
            ready: true,
            problem: None,
        }
    }

    fn claim(index: usize, class: &str, requested: &str, capacity: &str) -> ClaimFact {
        ClaimFact {
            name: format!("datadir-db-{index}"),
            component: "replicaSet".to_owned(),
            class: Some(class.to_owned()),
            attributes: Vec::new(),
            requested: requested.parse().unwrap(),
            capacity: capacity.parse().ok(),
            failed: (capacity == "20Gi").then(|| "no space".to_owned()),
            idle: false,
        }
    }

    #[rstest]
    #[case::none(&["4Gi", "4096Mi", "4Gi"], &[("fast", "50Gi", "50Gi")], "50Gi", &[])]
    #[case::pods(&["4Gi", "2Gi"], &[], "50Gi", &[
        "replicaSet has 2 of 3 pods", "pod db-1 has other resources than the object"])]
    #[case::claims(&["4Gi"; 3], &[("fast", "20Gi", "20Gi"), ("fast", "20Gi", "20Gi"), ("fast", "50Gi", "20Gi")], "50Gi", &[
        "claim datadir-db-0 asks for 20Gi, the object for 50Gi (and 1 more)", "claim datadir-db-2 has 20Gi of 50Gi: no space"])]
    #[case::class_and_template(&["4Gi"; 3], &[("slow", "50Gi", "50Gi")], "20Gi", &[
        "a new volume begins with 20Gi, not with 50Gi", "claim datadir-db-0 has class slow, the object says fast"])]
    fn differences(
        #[case] memory: &[&str],
        #[case] claims: &[(&str, &str, &str)],
        #[case] template: &str,
        #[case] wanted: &[&str],
    ) {
        let pods: Vec<PodFact> = memory.iter().enumerate().map(|(index, memory)| pod(index, memory)).collect();
        let claims = claims.iter().enumerate().map(|(index, (class, asks, has))| claim(index, class, asks, has));
        let mut facts = Facts { claims: claims.collect(), ..Facts::default() };
        facts.templates.insert("replicaSet".to_owned(), template.parse().unwrap());
        let found: Vec<String> = drift(&database(), &facts, Some(&pods)).into_iter().map(|d| d.message).collect();
        assert_eq!(found, wanted);
    }
}

//! A plan that sends a whole spec, whatever is there already: an earlier request again, or the way back from one.

use serde_json::Value;

use super::{Difference, Plan, Stamp, Step, free_names, judge, request};
use crate::amount::{ResourceSet, Written};
use crate::change::{Change, What, Wish};
use crate::database::{ComponentView, Database};
use crate::effect::{self, PodFact};
use crate::facts::Facts;

/// Makes the plan. `spec` is that of an OpsRequest; `marks` are annotations beside those of every request. `pods` are `None`
/// where they are not known: they tell what is there, for after a run that failed the object still has the old values.
///
/// `None` where the engine has no such type of OpsRequest.
#[must_use]
pub fn resend(
    facts: &Facts,
    spec: &Value,
    marks: &[(&str, &str)],
    stamp: &Stamp,
    pods: Option<&[PodFact]>,
) -> Option<Plan> {
    let database = facts.database.here()?;
    let named = spec.get("type").and_then(Value::as_str)?;
    let ops_type = database.engine.types.iter().find(|known| *known == named)?;
    let step = request::whole(database, ops_type, spec.clone(), marks, &free_names(database, facts, stamp));
    let wishes = || step.change.wishes.iter().filter(|w| w.ops_type() == ops_type);
    let differences = wishes().flat_map(|wish| differences(database, wish, pods)).collect();
    let component = wishes().next().map(|wish| wish.component_name(database.engine)).unwrap_or_default();
    let steps = vec![Step::Request(Box::new(step))];
    let findings = judge(facts, &steps);
    Some(Plan { component, steps, differences, findings })
}

/// What a wish changes of what is there.
fn differences(database: &Database, wish: &Wish, pods: Option<&[PodFact]>) -> Vec<Difference> {
    let Some(view) = wish.view(database) else { return Vec::new() };
    let difference = |field, before: Option<String>, after: String| {
        let irreversible = matches!(wish.what, What::Storage(_));
        (before.as_ref() != Some(&after)).then_some(Difference { field, before, after, irreversible })
    };
    let number = |n: Option<i64>| n.map(|n| n.to_string());
    match &wish.what {
        What::Replicas(n) => {
            let before = members(view, pods).or_else(|| view.replicas());
            difference("replicas", number(before), n.to_string()).into_iter().collect()
        }
        What::Shards(n) => difference("shards", number(view.shards()), n.to_string()).into_iter().collect(),
        What::Storage(size) => {
            difference("storage", view.storage().map(|q| q.to_string()), size.text.clone()).into_iter().collect()
        }
        What::Resources(wanted) => {
            let amount = |field| {
                let after = wanted.size(field)?.to_string();
                difference(field, amounts(database, view, field, pods), after)
            };
            ["cpu", "memory"].into_iter().filter_map(amount).collect()
        }
    }
}

/// How many pods a component has that has no shards; there a pod does not tell of which number it is.
fn members(view: &ComponentView, pods: Option<&[PodFact]>) -> Option<i64> {
    let alone = view.places.len() == 1 && view.shards().is_none();
    let knows = view.component.pods.as_ref().is_some_and(|p| !p.sets.is_empty());
    let pods = pods.filter(|_| alone && knows)?;
    i64::try_from(effect::of_view(pods, view).count()).ok()
}

/// The amounts that the pods of a component have, each once; the object's where no pod tells.
fn amounts(database: &Database, view: &ComponentView, field: &str, pods: Option<&[PodFact]>) -> Option<String> {
    let container = view.component.resources.as_ref().and_then(|r| r.container.as_deref());
    let host = effect::host_of(database, view);
    let of_pod = |pod: &PodFact| {
        let (_, has) = pod.containers.iter().find(|(name, _)| Some(name.as_str()) == container)?;
        has.size(field)
    };
    let mut there: Vec<_> = pods.into_iter().flat_map(|pods| effect::of_view(pods, host)).filter_map(of_pod).collect();
    there.sort_unstable();
    there.dedup();
    if there.is_empty() {
        there.extend(view.resources().and_then(|r: &ResourceSet| r.size(field)));
    }
    let texts: Vec<String> = there.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(" and "))
}

/// The values that a change is about, as they are now, in the form of [`super::BEFORE`]; `None` where it is about none, or
/// about several components, which that form does not hold.
pub(super) fn present_values(database: &Database, change: &Change, ops_type: &str) -> Option<Value> {
    let mut wishes = change.wishes.iter().filter(|w| w.ops_type() == ops_type);
    let first = wishes.next()?;
    if wishes.any(|w| w.component != first.component || w.item != first.item) {
        return None;
    }
    let view = first.view(database)?;
    let mut before = serde_json::json!({"component": view.name()});
    match first.what {
        What::Replicas(_) | What::Shards(_) => {
            for (field, number) in [("replicas", view.replicas()), ("shards", view.shards())] {
                if let Some(number) = number {
                    before[field] = number.into();
                }
            }
        }
        What::Resources(_) => before["resources"] = view.resources().map_or(Value::Null, ResourceSet::to_json),
        What::Storage(_) => before["storage"] = view.storage().map_or(Value::Null, |q| q.to_string().into()),
    }
    Some(before)
}

/// What has other values now than were noted before an earlier request, `before` being in the form of [`super::BEFORE`]:
/// `memory 2Gi then, 4Gi now`.
#[must_use]
pub fn changed_since(database: &Database, before: &Value) -> Vec<String> {
    let component = before.get("component").and_then(Value::as_str).unwrap_or_default();
    let Some(view) = database.component(component) else { return vec![format!("{component} is gone")] };
    let then_and_now = |field: &str, then: Option<String>, now: Option<String>| {
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        (then != now).then(|| format!("{field} {} then, {} now", or_none(then), or_none(now)))
    };
    let number = |n: Option<i64>| n.map(|n| n.to_string());
    let mut changed = Vec::new();
    for (field, now) in [("replicas", view.replicas()), ("shards", view.shards())] {
        let then = before.get(field).filter(|noted| !noted.is_null());
        changed.extend(then.and_then(|then| then_and_now(field, number(then.as_i64()), number(now))));
    }
    if let Some(then) = before.get("storage").and_then(Written::of) {
        changed.extend(then_and_now(
            "storage",
            then.quantity().map(|q| q.to_string()),
            view.storage().map(|q| q.to_string()),
        ));
    }
    if let Some(then) = before.get("resources") {
        let (then, now) = (ResourceSet::of(Some(then)), view.resources());
        for field in ["cpu", "memory"] {
            let text = |set: &ResourceSet| set.size(field).map(|q| q.to_string());
            changed.extend(then_and_now(field, text(&then), now.and_then(text)));
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;
    use crate::plan::{BEFORE, RETRY_OF};

    fn facts() -> Facts {
        let resources = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "2Gi"}});
        let object = json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "db", "namespace": "demo"},
            "spec": {"replicaSet": {"name": "rs0"}, "replicas": 3,
                "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources}]}}}});
        let engine = Catalog::builtin().find("mongodb").unwrap();
        Facts { database: Database::of(engine, &object).into(), ..Facts::default() }
    }

    fn pod(memory: &str) -> PodFact {
        PodFact {
            name: "db".to_owned(),
            component: "replicaSet",
            item: None,
            containers: vec![("mongodb".to_owned(), ResourceSet::of(Some(&json!({"limits": {"memory": memory}}))))],
            deleting: false,
            ready: true,
            problem: None,
        }
    }

    fn resent(spec: &Value, pods: Option<&[PodFact]>) -> Option<Plan> {
        let (request_id, requested_by) = ("id".to_owned(), None);
        let stamp = Stamp { unix_seconds: 1_763_937_600, request_id, requested_by, name: None };
        resend(&facts(), spec, &[(RETRY_OF, "first")], &stamp, pods)
    }

    #[rstest]
    #[case::the_object_where_no_pod_is_known(None, "2Gi")]
    #[case::the_pods_after_a_run_that_failed(Some(&[pod("2Gi"), pod("4Gi"), pod("4Gi")][..]), "2Gi and 4Gi")]
    fn what_is_there_is_told_by(#[case] pods: Option<&[PodFact]>, #[case] before: &str) {
        let resources = json!({"requests": {"memory": "8Gi"}, "limits": {"memory": "8Gi"}});
        let spec = json!({"type": "VerticalScaling", "timeout": "7m", "verticalScaling": {"replicaSet": {"resources": resources}}});
        let plan = resent(&spec, pods).unwrap();
        let told: Vec<_> = plan.differences.iter().map(|d| (d.field, d.before.as_deref(), d.after.as_str())).collect();
        assert_eq!(told, [("memory", Some(before), "8Gi")]);
        let [Step::Request(step)] = plan.steps.as_slice() else { panic!("one request is made") };
        assert_eq!(step.object["spec"]["timeout"], "7m");
        let annotations = &step.object["metadata"]["annotations"];
        assert_eq!(annotations[RETRY_OF], "first");
        let noted: Value = serde_json::from_str(annotations[BEFORE].as_str().unwrap()).unwrap();
        assert_eq!(
            (&noted["component"], &noted["resources"]["limits"]["memory"]),
            (&json!("replicaSet"), &json!("2Gi"))
        );
    }

    #[test]
    fn members_are_counted_and_what_is_there_is_sent_all_the_same() {
        let spec = json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": 3}});
        let plan = resent(&spec, Some(&[pod("2Gi"), pod("2Gi"), pod("2Gi"), pod("2Gi")])).unwrap();
        assert_eq!(plan.differences[0].before.as_deref(), Some("4"));
        let plan = resent(&spec, Some(&[pod("2Gi"), pod("2Gi"), pod("2Gi")])).unwrap();
        assert_eq!((plan.differences.len(), plan.steps.len()), (0, 1));
        assert!(resent(&json!({"type": "Nonsense"}), None).is_none());
    }

    #[rstest]
    #[case::nothing(json!({"component": "replicaSet", "replicas": 3}), &[])]
    #[case::numbers(json!({"component": "replicaSet", "replicas": 5, "shards": null}), &["replicas 5 then, 3 now"])]
    #[case::amounts(json!({"component": "replicaSet", "resources": {"limits": {"memory": "1Gi", "cpu": "1"}}}),
        &["cpu 1 then, none now", "memory 1Gi then, 2Gi now"])]
    #[case::the_component(json!({"component": "shard", "shards": 2}), &["shard is gone"])]
    fn what_has_changed_since(#[case] before: Value, #[case] wanted: &[&str]) {
        let facts = facts();
        assert_eq!(changed_since(facts.database.here().unwrap(), &before), wanted);
    }
}

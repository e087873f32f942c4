//! What differs between an object and the one that is to take its place.

use serde_json::Value;

use super::{Change, Lost, Source, Update, What, Wish};
use crate::amount::{ResourceSet, Written};
use crate::catalog::{Count, Pointer};
use crate::database::{ComponentView, Database, Place};

/// The places below `spec` that differ, the deepest objects first named by their own fields. A null counts as not there.
pub(super) fn differences(old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
    let mut changed = Vec::new();
    compare("spec", old, new, &mut changed);
    changed
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, changed: &mut Vec<String>) {
    match (old.filter(|v| !v.is_null()), new.filter(|v| !v.is_null())) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                compare(&format!("{path}.{name}"), old.get(name), new.get(name), changed);
            }
        }
        (old, new) if old == new => {}
        _ => changed.push(path.to_owned()),
    }
}

/// What `new` asks for and `old` does not; all of it where there is no `old`.
pub(super) fn change(old: Option<&Database>, new: &Database) -> Change {
    let mut wishes = Vec::new();
    for view in &new.components {
        let before = old.and_then(|old| counterpart(old, view));
        for place in &view.places {
            let then = before.and_then(|b| b.places.iter().find(|p| p.item == place.item));
            of_place(new, view, place, then, old.is_some(), &mut wishes);
        }
    }
    let by = new.requested_by.as_ref().filter(|by| old.is_none_or(|old| old.requested_by.as_ref() != Some(by)));
    Change {
        engine: new.engine,
        namespace: new.namespace.clone(),
        database: new.name.clone(),
        source: Source::Update(Update { lost: old.map(|old| lost(old, new)).unwrap_or_default() }),
        wishes,
        requested_by: by.cloned(),
    }
}

/// What one place asks for; `then` is what it had, where the component was there.
fn of_place(
    new: &Database,
    view: &ComponentView,
    place: &Place,
    then: Option<&Place>,
    updates: bool,
    wishes: &mut Vec<Wish>,
) {
    let mut add = |path: String, what| {
        wishes.push(Wish { component: view.key, item: view.item.clone(), path, what });
    };
    if let Some(n) = place.replicas.filter(|n| then.and_then(|t| t.replicas) != Some(*n)) {
        add(count_path(view.component.replicas.as_ref(), place.item.as_ref()), What::Replicas(n));
    }
    if let Some(n) = place.shards.filter(|n| then.and_then(|t| t.shards) != Some(*n)) {
        add(count_path(view.component.shards.as_ref(), place.item.as_ref()), What::Shards(n));
    }
    if let Some(size) = &place.storage {
        let same = then.and_then(|t| t.storage.as_ref()).is_some_and(|t| same_amount(t, size));
        if !same {
            add(place.storage_path.to_string(), What::Storage(size.clone()));
        }
    }
    // Of a database that is created only numbers and volumes have a floor; its containers are Kubernetes' to judge.
    let nothing = ResourceSet::default();
    let Some(before) = then.map(|t| &t.resources).or(updates.then_some(&nothing)) else { return };
    let resources = place.resources.changed_from(before);
    if !resources.is_empty() {
        let at = view.component.resources.as_ref().and_then(|r| r.at.as_ref()?.of(&new.version));
        let at = at.map(|p| place_path(p, place.item.as_ref())).unwrap_or_default();
        add(at, What::Resources(resources));
    }
}

/// Sizes that `old` has and `new` lacks, of components that are still there.
fn lost(old: &Database, new: &Database) -> Vec<Lost> {
    let mut lost = Vec::new();
    for (before, view) in old.components.iter().filter_map(|b| Some((b, counterpart(new, b)?))) {
        for then in &before.places {
            let Some(size) = &then.storage else { continue };
            if view.places.iter().any(|p| p.item == then.item && p.storage.is_none()) {
                lost.push(Lost { path: then.storage_path.to_string(), size: size.clone() });
            }
        }
    }
    lost
}

fn counterpart<'d>(database: &'d Database, view: &ComponentView) -> Option<&'d ComponentView> {
    database.components.iter().find(|c| c.key == view.key && c.item == view.item)
}

fn same_amount(a: &Written, b: &Written) -> bool {
    match (a.quantity(), b.quantity()) {
        (Some(a), Some(b)) => a == b,
        _ => a.text == b.text,
    }
}

fn count_path(count: Option<&Count>, item: Option<&String>) -> String {
    count.and_then(|c| c.at.as_ref()).map(|p| place_path(p, item)).unwrap_or_default()
}

fn place_path(at: &Pointer, item: Option<&String>) -> String {
    item.map_or_else(|| at.dotted(), |item| at.of_item(item).dotted())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::catalog::Catalog;

    #[rstest]
    #[case::nothing(json!({"a": 1, "b": null}), json!({"a": 1}), &[])]
    #[case::a_value(json!({"a": {"b": 1}}), json!({"a": {"b": 2}}), &["spec.a.b"])]
    #[case::one_more_and_one_less(json!({"a": 1}), json!({"b": 1}), &["spec.a", "spec.b"])]
    #[case::a_list_as_a_whole(json!({"a": [1, 2]}), json!({"a": [2, 1]}), &["spec.a"])]
    #[case::no_spec_any_more(json!({"a": 1}), Value::Null, &["spec"])]
    fn specs(#[case] old: Value, #[case] new: Value, #[case] changed: &[&str]) {
        assert_eq!(differences(Some(&old), Some(&new)), changed);
    }

    fn database(resources: &Value) -> Database {
        let object = json!({"apiVersion": "kubedb.com/v1", "kind": "MySQL", "metadata": {"name": "db"}, "spec": {
            "replicas": 1, "storage": {"resources": {"requests": {"storage": "10Gi"}}},
            "podTemplate": {"spec": {"containers": [{"name": "mysql", "resources": resources}]}},
        }});
        Database::of(Catalog::builtin().find("mysql").unwrap(), &object)
    }

    #[test]
    fn of_resources_only_the_amounts_that_differ_are_wished() {
        let old =
            database(&json!({"requests": {"cpu": "1", "memory": "8Gi"}, "limits": {"cpu": "1", "memory": "4Gi"}}));
        let new = database(
            &json!({"requests": {"cpu": "2", "memory": "8192Mi"}, "limits": {"cpu": "1000m", "memory": "4Gi"}}),
        );
        let wishes = Change::of_update(&old, &new).wishes;
        assert_eq!(wishes.len(), 1);
        assert_eq!(wishes[0].path, "spec.podTemplate.spec.containers[name=mysql].resources");
        let What::Resources(set) = &wishes[0].what else { panic!("{wishes:?}") };
        assert_eq!(set.to_json(), json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1000m"}}));
    }

    #[test]
    fn a_created_database_asks_for_numbers_and_volumes() {
        let change = Change::of_create(&database(&json!({"limits": {"cpu": "1"}})));
        let kinds: Vec<&str> = change.wishes.iter().map(Wish::ops_type).collect();
        assert_eq!(kinds, ["HorizontalScaling", "VolumeExpansion"]);
        assert!(matches!(change.source, Source::Create));
    }
}

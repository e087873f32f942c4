//! What differs between an object and the one that is to take its place.

use serde_json::Value;

use super::{Change, Lost, Source, Update, What, Wish};
use crate::amount::{ResourceSet, Written};
use crate::catalog::{Count, Pointer};
use crate::database::{ComponentView, Database, Place};
use crate::rules::nanoseconds;

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
        (old, new) if old == new || same_meaning(path, old, new) => {}
        _ => changed.push(path.to_owned()),
    }
}

/// Whether two values that are spelled differently are one to KubeDB, which compares typed objects: `1024Mi` and `1Gi`,
/// `5m` and `5m0s`, an empty block and none. Any Go client writes its own spelling.
fn same_meaning(path: &str, old: Option<&Value>, new: Option<&Value>) -> bool {
    let empty = |v: Option<&Value>| v.is_none_or(|v| v.as_object().is_some_and(serde_json::Map::is_empty));
    let (Some(a), Some(b)) = (old, new) else { return empty(old) && empty(new) };
    if path == "spec.timeout" {
        let read = |v: &Value| v.as_str().and_then(nanoseconds);
        return read(a).is_some() && read(a) == read(b);
    }
    // Only where an amount stands: of a version, 8.0 and 8.00 are two.
    let amount = path.starts_with("spec.volumeExpansion.") || path.contains(".requests.") || path.contains(".limits.");
    let read = |v: &Value| Written::of(v).and_then(|w| w.quantity());
    amount && read(a).is_some() && read(a) == read(b)
}

/// What `new` asks for and `old` does not; all of it where there is no `old`.
pub(super) fn change(old: Option<&Database>, new: &Database) -> Change {
    let mut wishes = Vec::new();
    for view in &new.components {
        for place in &view.places {
            of_place(old, new, view, place, &mut wishes);
        }
    }
    let by = new.requested_by.as_ref().filter(|by| old.is_none_or(|old| old.requested_by.as_ref() != Some(by)));
    Change {
        engine: new.engine,
        namespace: new.namespace.clone(),
        database: new.name.clone(),
        source: Source::Update(Update { lost: old.map(|old| lost(old, new)).unwrap_or_default(), after: None }),
        wishes,
        requested_by: by.cloned(),
        overlong: new.overlong && old.is_none_or(|old| !old.overlong),
    }
}

/// Compares one place with the same place of the old object, whatever component it belonged to: an update may change the
/// topology, and the claims stay the same.
fn of_place(old: Option<&Database>, new: &Database, view: &ComponentView, place: &Place, wishes: &mut Vec<Wish>) {
    let mut add = |path: String, what, before| {
        wishes.push(Wish { component: view.key, item: view.item.clone(), path, what, before });
    };
    let then = old.and_then(|old| counterpart(old, view)?.places.iter().find(|p| p.item == place.item));
    let counts = [
        (&view.component.replicas, place.replicas, then.map(|t| t.replicas), What::Replicas as fn(i64) -> What),
        (&view.component.shards, place.shards, then.map(|t| t.shards), What::Shards),
    ];
    for (count, now, then, make) in counts {
        let Some(n) = now else { continue };
        let path = || count_path(count.as_ref(), place.item.as_ref());
        let before = then.unwrap_or_else(|| old.and_then(|old| number_at(old, &path())));
        if before != Some(n) {
            add(path(), make(n), before.map(make));
        }
    }
    if let Some(size) = &place.storage {
        let before = then.or_else(|| old.and_then(|old| size_at(old, &place.storage_path)));
        let before = before.and_then(|t| t.storage.as_ref());
        if !before.is_some_and(|before| same_amount(before, size)) {
            add(place.storage_path.to_string(), What::Storage(size.clone()), before.cloned().map(What::Storage));
        }
    }
    // Of a database that is created only numbers and volumes have a floor; its containers are Kubernetes' to judge.
    let Some(old) = old else { return };
    let at = view.component.resources.as_ref().and_then(|r| r.at.as_ref()?.of(&new.version));
    let path = || at.map(|p| place_path(p, place.item.as_ref())).unwrap_or_default();
    let then = then.map(|t| &t.resources).or_else(|| resources_at(old, &path()));
    let resources = place.resources.changed_from(then.unwrap_or(&ResourceSet::default()));
    if !resources.is_empty() {
        add(path(), What::Resources(resources), then.cloned().map(What::Resources));
    }
}

/// Every place of a database with its component.
fn places(database: &Database) -> impl Iterator<Item = (&ComponentView, &Place)> {
    database.components.iter().flat_map(|view| view.places.iter().map(move |place| (view, place)))
}

fn number_at(old: &Database, path: &str) -> Option<i64> {
    let is = |count: &Option<Count>, place: &Place| count_path(count.as_ref(), place.item.as_ref()) == path;
    places(old).find_map(|(view, place)| {
        let replicas = place.replicas.filter(|_| is(&view.component.replicas, place));
        replicas.or_else(|| place.shards.filter(|_| is(&view.component.shards, place)))
    })
}

fn size_at<'d>(old: &'d Database, path: &str) -> Option<&'d Place> {
    places(old).map(|(_, place)| place).find(|place| place.storage_path == path)
}

fn resources_at<'d>(old: &'d Database, path: &str) -> Option<&'d ResourceSet> {
    let is = |view: &ComponentView, place: &Place| {
        let at = view.component.resources.as_ref().and_then(|r| r.at.as_ref()?.of(&old.version));
        at.is_some_and(|at| place_path(at, place.item.as_ref()) == path)
    };
    places(old).find(|(view, place)| is(view, place)).map(|(_, place)| &place.resources)
}

/// Sizes that `old` has and `new` lacks, at places that are still there.
fn lost(old: &Database, new: &Database) -> Vec<Lost> {
    let gone = places(old).filter_map(|(_, then)| {
        let size = then.storage.as_ref().filter(|_| !then.ephemeral)?;
        let now = size_at(new, &then.storage_path)?;
        now.storage.is_none().then(|| Lost { path: then.storage_path.to_string(), size: size.clone() })
    });
    let mut lost: Vec<Lost> = Vec::new();
    for one in gone {
        if !lost.iter().any(|l| l.path == one.path) {
            lost.push(one);
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
    #[case::a_duration_in_gos_spelling(json!({"timeout": "5m"}), json!({"timeout": "5m0s"}), &[])]
    #[case::another_duration(json!({"timeout": "5m"}), json!({"timeout": "6m"}), &["spec.timeout"])]
    #[case::an_amount_in_gos_spelling(
        json!({"verticalScaling": {"node": {"resources": {"limits": {"memory": "1024Mi", "cpu": "1000m"}}}}}),
        json!({"verticalScaling": {"node": {"resources": {"limits": {"memory": "1Gi", "cpu": "1"}}}}}),
        &[]
    )]
    #[case::a_version_is_no_amount(json!({"targetVersion": "8.0"}), json!({"targetVersion": "8.00"}), &["spec.targetVersion"])]
    #[case::an_empty_block_is_none(json!({"a": {}}), json!({}), &[])]
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
        let wishes = Change::of_update(&old, new).wishes;
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

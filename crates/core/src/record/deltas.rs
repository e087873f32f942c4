//! What an operation changes, value by value: before and after.

use serde_json::Value;

use super::{Delta, Request};
use crate::amount::ResourceSet;
use crate::change::{self, Change, What, Wish};
use crate::database::Database;
use crate::quantity::Quantity;

/// What a request changes. `object_is_old`: the database still has the values from before, as while an operation runs.
pub(super) fn deltas(request: &Request, database: &Database, object_is_old: bool) -> Vec<Delta> {
    let change = request.change(database);
    let noted = request.before.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut all = Vec::new();
    let acted_on = change.request().and_then(change::Request::named_stanza).map(|s| s.ops_type);
    for wish in change.wishes.iter().filter(|w| Some(w.ops_type()) == acted_on) {
        all.extend(of_wish(wish, &change, database, object_is_old, noted.as_ref()));
    }
    all
}

fn of_wish(
    wish: &Wish,
    change: &Change,
    database: &Database,
    object_is_old: bool,
    noted: Option<&Value>,
) -> Vec<Delta> {
    let view = wish.view(database).filter(|_| object_is_old);
    let noted = |field: &str| noted.and_then(|n| n.get(field)).filter(|v| !v.is_null());
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let delta = |field: &str, before: Option<String>, after: String| Delta {
        component: wish.component_name(change.engine),
        field: field.to_owned(),
        before,
        after,
    };
    match &wish.what {
        What::Replicas(n) => {
            let before = noted("replicas").map(plain).or_else(|| Some(view?.replicas()?.to_string()));
            vec![delta("replicas", before, n.to_string())]
        }
        What::Shards(n) => {
            let before = noted("shards").map(plain).or_else(|| Some(view?.shards()?.to_string()));
            vec![delta("shards", before, n.to_string())]
        }
        What::Storage(size) => {
            let before = noted("storage").map(plain).or_else(|| Some(view?.storage()?.to_string()));
            vec![delta("storage", before, size.text.clone())]
        }
        What::Resources(wanted) => {
            let noted = noted("resources").map(|r| ResourceSet::of(Some(r)));
            let present = noted.or_else(|| view?.resources().cloned()).unwrap_or_default();
            let both = ["cpu", "memory"].into_iter().filter_map(|field| Some((field, wanted.size(field)?)));
            // What the request repeats because KubeDB wants the whole is no change.
            let changed = both.filter(|(field, after)| present.size(field) != Some(*after));
            changed
                .map(|(field, after)| delta(field, present.size(field).map(|q| q.to_string()), after.to_string()))
                .collect()
        }
    }
}

/// The value that the object has for a component's field, as [`Delta`] names them.
pub(super) fn present_value(database: &Database, component: &str, field: &str) -> Option<Quantity> {
    let view = database.components.iter().find(|c| c.name() == component)?;
    let count = |number: i64| number.to_string().parse().ok();
    match field {
        "replicas" => count(view.replicas()?),
        "shards" => count(view.shards()?),
        "storage" => view.storage(),
        name => view.resources()?.size(name),
    }
}

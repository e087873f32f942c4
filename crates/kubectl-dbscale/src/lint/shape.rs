//! Whether a database object can be decoded as far as the rules look at it.
//!
//! The API server checks every field against the CRD; the catalog knows those that scale. A number written as a text would
//! otherwise count as not set, and no rule would ever see it.

use dbscale_core::catalog::{Engine, Pointer};
use dbscale_core::finding::Finding;
use dbscale_core::rules::REQUEST_SCHEMA;
use serde_json::Value;

/// What is wrong with the shape of a database object.
#[must_use]
pub fn faults(engine: &Engine, object: &Value) -> Vec<Finding> {
    match object.get("spec") {
        Some(spec) if spec.is_object() => counts(engine).into_iter().flat_map(|at| of_count(at, object)).collect(),
        // A patch of labels alone, as kustomize takes it, asks for nothing.
        None | Some(Value::Null) => Vec::new(),
        Some(other) => vec![fault("spec", format!("spec is {}, not an object", word(other)))],
    }
}

/// The most items of a list in an object's spec. Rules look an item up among all others, and no real object has a tenth of it.
const MAX_ITEMS: usize = 1_000;

/// The first list of an object's spec that is too long to be judged.
#[must_use]
pub fn too_long(object: &Value) -> Option<Finding> {
    fn find(path: &str, value: &Value) -> Option<(String, usize)> {
        match value {
            Value::Array(items) if items.len() > MAX_ITEMS => Some((path.to_owned(), items.len())),
            Value::Array(items) => items.iter().enumerate().find_map(|(i, item)| find(&format!("{path}[{i}]"), item)),
            Value::Object(fields) => fields.iter().find_map(|(key, value)| find(&format!("{path}.{key}"), value)),
            _ => None,
        }
    }
    let (path, count) = find("spec", object.get("spec")?)?;
    let message = format!("a list of {count} items is longer than the {MAX_ITEMS} that are judged");
    Some(fault(&path, message).remedy("shorten it: no database of KubeDB's has so many"))
}

/// The places of all counts, in the catalog's order; several components may share one.
fn counts(engine: &Engine) -> Vec<&Pointer> {
    let counts = engine.components.values().flat_map(|c| [&c.replicas, &c.shards]).flatten();
    let mut places = Vec::new();
    for at in counts.filter_map(|count| count.at.as_ref()) {
        if !places.contains(&at) {
            places.push(at);
        }
    }
    places
}

/// The places of a count that hold no whole number of 32 bits, which is what all of KubeDB's CRDs want there.
fn of_count(at: &Pointer, object: &Value) -> Vec<Finding> {
    let places =
        if at.is_list() { at.items(object).iter().map(|item| at.of_item(item)).collect() } else { vec![at.clone()] };
    let wrong = |place: Pointer| {
        let value = place.get(object).filter(|v| !v.is_null())?;
        let fits = value.as_i64().is_some_and(|n| i32::try_from(n).is_ok());
        (!fits).then(|| fault(&place.dotted(), format!("{} is not a whole number of 32 bits", word(value))))
    };
    places.into_iter().filter_map(wrong).collect()
}

fn fault(path: &str, message: String) -> Finding {
    Finding::deny(REQUEST_SCHEMA.id, path, message)
}

/// A value as a message repeats it: what is large only by its type.
fn word(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) if text.len() > 40 => "a long text".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use dbscale_core::catalog::Catalog;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::as_long_as_may_be(json!({"readReplicas": vec![0; MAX_ITEMS]}), None)]
    #[case::one_too_many(json!({"readReplicas": vec![0; MAX_ITEMS + 1]}), Some("spec.readReplicas"))]
    #[case::deeper(json!({"a": [{"b": vec![0; MAX_ITEMS + 1]}]}), Some("spec.a[0].b"))]
    #[case::no_spec(Value::Null, None)]
    fn long_lists(#[case] spec: Value, #[case] path: Option<&str>) {
        let found = too_long(&json!({"spec": spec}));
        assert_eq!(found.as_ref().map(|f| (f.rule, f.path.as_str())), path.map(|path| (REQUEST_SCHEMA.id, path)));
    }

    #[rstest]
    #[case::fine("mongodb", json!({"replicas": 3}), &[])]
    #[case::null_is_not_set("mongodb", json!({"replicas": null}), &[])]
    #[case::a_text("mongodb", json!({"replicas": "3"}), &["spec.replicas"])]
    #[case::a_fraction("mongodb", json!({"replicas": 1.5}), &["spec.replicas"])]
    #[case::too_large("mongodb", json!({"replicas": 3_000_000_000_u64}), &["spec.replicas"])]
    #[case::in_a_shard("mongodb", json!({"shardTopology": {"shard": {"shards": [], "replicas": 3}}}), &["spec.shardTopology.shard.shards"])]
    #[case::in_a_list("postgres", json!({"readReplicas": [{"name": "a", "replicas": 1}, {"name": "b", "replicas": "2"}]}), &["spec.readReplicas[name=b].replicas"])]
    #[case::no_spec("mongodb", Value::Null, &[])]
    #[case::a_list("mongodb", json!([]), &["spec"])]
    fn shapes(#[case] engine: &str, #[case] spec: Value, #[case] paths: &[&str]) {
        let found = faults(Catalog::builtin().find(engine).unwrap(), &json!({"spec": spec}));
        assert_eq!(found.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), paths);
    }
}

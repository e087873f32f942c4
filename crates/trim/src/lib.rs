//! Reads of an object only what somebody looks at, and skips the rest without making anything of it.
//!
//! A database object has some 10 KB, most of it `managedFields` and pod templates; the rules look at a few hundred bytes.
//! [`Keep`] is the tree of the places that are kept, made from the catalog's pointers ([`shapes`]); as a
//! [`DeserializeSeed`] it drives serde through the document, once.

mod blocks;
pub mod reader;
pub mod shapes;

use std::cell::Cell;
use std::fmt;

use dbscale_core::catalog::{Pointer, Segment};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What is kept of a value.
///
/// Where the document has another type than expected, a text or number is kept as it is, and a list or object is kept
/// empty: both count as not set, and neither can be taken for missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// All of it.
    All,
    /// That it is there: an object or a list becomes an empty one.
    Mark,
    /// These fields of an object.
    Fields(Vec<(Box<str>, Keep)>),
    /// This of every item of a list.
    Items(Box<Keep>),
}

impl Keep {
    /// Nothing but the object itself.
    #[must_use]
    pub fn nothing() -> Self {
        Self::Fields(Vec::new())
    }

    /// Keeps all that is at a place.
    pub fn all(&mut self, at: &Pointer) {
        self.add(at.segments(), Self::All);
    }

    /// Keeps whether a place is there.
    pub fn mark(&mut self, at: &Pointer) {
        self.add(at.segments(), Self::Mark);
    }

    /// Keeps `what` at the place that `path` leads to; a selected list item stands for every item, since a pointer finds its
    /// item by what the items say.
    fn add(&mut self, path: &[Segment], what: Self) {
        let Some((first, rest)) = path.split_first() else { return self.merge(what) };
        let below = match first {
            Segment::Field(name) => {
                let mut child = Self::Mark;
                child.add(rest, what);
                Self::Fields(vec![(name.as_str().into(), child)])
            }
            Segment::Item { key, .. } | Segment::Each { key } => {
                let mut item = Self::Fields(vec![(key.as_str().into(), Self::All)]);
                item.add(rest, what);
                Self::Items(Box::new(item))
            }
        };
        self.merge(below);
    }

    /// Keeps what either keeps.
    pub fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::All, _) | (_, Self::Mark) => {}
            (Self::Fields(mine), Self::Fields(more)) => {
                for (name, keep) in more {
                    match mine.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, known)) => known.merge(keep),
                        None => mine.push((name, keep)),
                    }
                }
            }
            (Self::Items(mine), Self::Items(more)) => mine.merge(*more),
            (Self::Mark, other) => *self = other,
            // A place that is a list here and an object there is read whole.
            (Self::Fields(_) | Self::Items(_), _) => *self = Self::All,
        }
    }

    /// A seed that reads at most `budget` values; it is counted down.
    #[must_use]
    pub fn seed<'k>(&'k self, budget: &'k Budget) -> Seed<'k> {
        Seed { keep: self, budget }
    }

    /// Trims a value that is there already.
    ///
    /// # Errors
    /// Where more than `budget` values would be kept.
    pub fn trim(&self, value: &Value, budget: &Budget) -> Result<Value, serde_json::Error> {
        self.seed(budget).deserialize(value)
    }
}

/// How many values may still be kept. A body of some megabytes can hold millions of them, at thirty times their size.
#[derive(Debug)]
pub struct Budget(Cell<u32>);

impl Budget {
    /// So many.
    #[must_use]
    pub fn new(values: u32) -> Self {
        Self(Cell::new(values))
    }

    fn take<E: Error>(&self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| E::custom("more values than any real object has"))?;
        self.0.set(left);
        Ok(())
    }
}

/// Reads a value as a [`Keep`] says.
#[derive(Debug, Clone, Copy)]
pub struct Seed<'k> {
    keep: &'k Keep,
    budget: &'k Budget,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.budget.take()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = match self.keep {
            Keep::All => self.keep,
            Keep::Items(item) => item,
            Keep::Mark | Keep::Fields(_) => {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Value::Array(Vec::new()));
            }
        };
        let mut kept = Vec::new();
        while let Some(item) = items.next_element_seed(Seed { keep: below, ..self })? {
            kept.push(item);
        }
        Ok(Value::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        match self.keep {
            Keep::All => {
                while let Some(name) = entries.next_key::<String>()? {
                    // A name that stands twice: the last one counts, as for the API server.
                    kept.insert(name, entries.next_value_seed(self)?);
                }
            }
            Keep::Fields(fields) => {
                while let Some(field) = entries.next_key_seed(Name(fields))? {
                    match field {
                        Some((name, keep)) => {
                            let value = entries.next_value_seed(Seed { keep, ..self })?;
                            kept.insert(name.to_owned(), value);
                        }
                        None => {
                            entries.next_value::<IgnoredAny>()?;
                        }
                    }
                }
            }
            Keep::Mark | Keep::Items(_) => while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {},
        }
        Ok(Value::Object(kept))
    }
}

/// Finds a field by its name, without making a string of it.
struct Name<'k>(&'k [(Box<str>, Keep)]);

impl<'de, 'k> DeserializeSeed<'de> for Name<'k> {
    type Value = Option<(&'k str, &'k Keep)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'k> Visitor<'_> for Name<'k> {
    type Value = Option<(&'k str, &'k Keep)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        self.visit_bytes(name.as_bytes())
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
        // Most names differ in their first byte, which is told without a call.
        let same = |known: &str| known.as_bytes().first() == name.first() && known.as_bytes() == name;
        Ok(self.0.iter().find(|(known, _)| same(known)).map(|(known, keep)| (&**known, keep)))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn read(keep: &Keep, text: &str) -> Result<Value, serde_json::Error> {
        let mut document = serde_json::Deserializer::from_str(text);
        let value = keep.seed(&Budget::new(500)).deserialize(&mut document)?;
        document.end()?;
        Ok(value)
    }

    /// Replicas, a container's resources, each rack's storage, and whether there is a monitor.
    fn keep() -> Keep {
        let mut keep = Keep::nothing();
        for at in ["/spec/replicas", "/spec/containers[name=db]/resources", "/spec/rack[name=*]/storage"] {
            keep.all(&at.parse().unwrap());
        }
        keep.mark(&"/spec/monitor".parse().unwrap());
        keep
    }

    #[rstest]
    #[case::what_is_wanted(
        json!({"kind": "X", "spec": {"replicas": 3, "version": "8", "monitor": {"agent": "p"}}}),
        json!({"spec": {"replicas": 3, "monitor": {}}})
    )]
    #[case::items_stay_in_their_places(
        json!({"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "db", "resources": {"limits": {"cpu": 1}}, "env": []}]}}),
        json!({"spec": {"containers": [{"name": "a"}, {"name": "db", "resources": {"limits": {"cpu": 1}}}]}})
    )]
    #[case::nulls_stay_nulls(json!({"spec": {"monitor": null, "rack": null}}), json!({"spec": {"monitor": null, "rack": null}}))]
    #[case::an_object_for_a_list(json!({"spec": {"rack": {"name": "a"}}}), json!({"spec": {"rack": {}}}))]
    #[case::a_list_for_an_object(json!({"spec": [{"replicas": 3}]}), json!({"spec": []}))]
    #[case::a_text_for_a_list(json!({"spec": {"rack": "r"}}), json!({"spec": {"rack": "r"}}))]
    fn keeps(#[case] document: Value, #[case] wanted: Value) {
        assert_eq!(read(&keep(), &document.to_string()).unwrap(), wanted);
        assert_eq!(keep().trim(&document, &Budget::new(100)).unwrap(), wanted);
    }

    #[test]
    fn of_a_name_that_stands_twice_the_last_counts() {
        let text = r#"{"spec": {"replicas": 0, "replicas": 3}, "spec": {"replicas": 5}}"#;
        assert_eq!(read(&keep(), text).unwrap(), json!({"spec": {"replicas": 5}}));
    }

    #[test]
    fn what_is_skipped_may_be_deep_and_what_is_kept_may_not() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(read(&keep(), &format!(r#"{{"x": {deep}}}"#)).unwrap(), json!({}));
        let error = read(&keep(), &format!(r#"{{"spec": {{"replicas": {deep}}}}}"#)).unwrap_err();
        assert!(error.to_string().contains("recursion limit"), "{error}");
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let many = vec!["0"; 1000].join(",");
        let error = read(&keep(), &format!(r#"{{"spec": {{"replicas": [{many}]}}}}"#)).unwrap_err();
        assert!(error.to_string().contains("more values"), "{error}");
        assert!(read(&keep(), &format!(r#"{{"spec": {{"other": [{many}]}}}}"#)).is_ok());
    }
}

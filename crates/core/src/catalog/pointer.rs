//! JSON Pointers (RFC 6901) with one addition: `[name=mongodb]` after a segment selects the list item whose field `name` is
//! `mongodb`, and `[name=*]` stands for every item, told apart by that field.
//!
//! `/spec/podTemplate/spec/containers[name=mongodb]/resources`, `/spec/readReplicas[name=*]/replicas`.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::{Map, Value};

/// One step of a [`Pointer`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Segment {
    /// The field of an object.
    Field(String),
    /// The item of a list whose field `key` equals `value`.
    Item {
        /// The field that tells the items apart, such as `name`.
        key: String,
        /// The value that is looked for.
        value: String,
    },
    /// Every item of a list, told apart by the field `key`.
    Each {
        /// The field that tells the items apart, such as `name`.
        key: String,
    },
}

/// A place in a JSON document. An empty pointer is the document itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Pointer(Vec<Segment>);

/// Why a text is no [`Pointer`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a pointer: {reason}; write it like /spec/storage or /spec/containers[name=db]/resources")]
pub struct PointerError {
    text: String,
    reason: &'static str,
}

impl Pointer {
    /// The steps, from the root down.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// This place, then `text` below it.
    ///
    /// # Errors
    /// [`PointerError`] when `text` is not a pointer.
    pub fn join(&self, text: &str) -> Result<Self, PointerError> {
        let mut all = self.0.clone();
        all.extend(text.parse::<Self>()?.0);
        Ok(Self(all))
    }

    /// This place, then the field `name` below it.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        let mut all = self.0.clone();
        all.push(Segment::Field(name.to_owned()));
        Self(all)
    }

    /// This place, then each item of the list there, told apart by the field `key`.
    #[must_use]
    pub fn each(&self, key: &str) -> Self {
        let mut all = self.0.clone();
        all.push(Segment::Each { key: key.to_owned() });
        Self(all)
    }

    /// Whether the pointer stands for several places (`[name=*]`).
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.0.iter().any(|s| matches!(s, Segment::Each { .. }))
    }

    /// The pointer with each `[key=*]` narrowed to the item called `item`.
    #[must_use]
    pub fn of_item(&self, item: &str) -> Self {
        let narrow = |segment: &Segment| match segment {
            Segment::Each { key } => Segment::Item { key: key.clone(), value: item.to_owned() },
            other => other.clone(),
        };
        Self(self.0.iter().map(narrow).collect())
    }

    /// The value at this place; the first item where the pointer stands for several.
    #[must_use]
    pub fn get<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        let mut at = document;
        for segment in &self.0 {
            at = match segment {
                Segment::Field(name) => at.get(name)?,
                Segment::Item { key, value } => at.as_array()?.iter().find(|i| named(i, key, value))?,
                Segment::Each { .. } => at.as_array()?.first()?,
            };
        }
        Some(at)
    }

    /// The names of the items at `[key=*]`, in the document's order; empty where there is no list.
    #[must_use]
    pub fn items(&self, document: &Value) -> Vec<String> {
        let mut at = document;
        for segment in &self.0 {
            match segment {
                Segment::Field(name) => match at.get(name) {
                    Some(next) => at = next,
                    None => return Vec::new(),
                },
                Segment::Item { key, value } => {
                    match at.as_array().and_then(|a| a.iter().find(|i| named(i, key, value))) {
                        Some(next) => at = next,
                        None => return Vec::new(),
                    }
                }
                Segment::Each { key } => {
                    let names = at.as_array().into_iter().flatten();
                    return names.filter_map(|i| i.get(key)?.as_str().map(str::to_owned)).collect();
                }
            }
        }
        Vec::new()
    }

    /// Writes `value` at this place and makes what is missing on the way: objects, lists, and list items with their key.
    ///
    /// A `[key=*]` is taken for an item without a name; narrow it first with [`Pointer::of_item`].
    pub fn set(&self, document: &mut Value, value: Value) {
        let mut at = document;
        for segment in &self.0 {
            at = match segment {
                Segment::Field(name) => {
                    if !at.is_object() {
                        *at = Value::Object(Map::new());
                    }
                    // The branch above made it an object, so indexing by a name inserts instead of panicking.
                    &mut at[name.as_str()]
                }
                Segment::Item { key, value } => item_or_new(at, key, value),
                Segment::Each { key } => item_or_new(at, key, ""),
            };
        }
        *at = value;
    }

    /// The plain RFC 6901 form, with list items by their index in `document`, as a JSON Patch wants it.
    ///
    /// `None` where a list on the way has no such item.
    #[must_use]
    pub fn to_json_pointer(&self, document: &Value) -> Option<String> {
        let mut at = Some(document);
        let mut text = String::new();
        for segment in &self.0 {
            match segment {
                Segment::Field(name) => {
                    text.push('/');
                    text.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    at = at.and_then(|v| v.get(name));
                }
                Segment::Item { key, value } => {
                    let index = at?.as_array()?.iter().position(|i| named(i, key, value))?;
                    let _ = write!(text, "/{index}");
                    at = at.and_then(|v| v.get(index));
                }
                Segment::Each { .. } => return None,
            }
        }
        Some(text)
    }

    /// The form people read, as the API server writes field paths: `spec.containers[name=db].resources`.
    #[must_use]
    pub fn dotted(&self) -> String {
        let mut text = String::new();
        for segment in &self.0 {
            match segment {
                Segment::Field(name) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(name);
                }
                Segment::Item { key, value } => {
                    let _ = write!(text, "[{key}={value}]");
                }
                Segment::Each { key } => {
                    let _ = write!(text, "[{key}=*]");
                }
            }
        }
        text
    }
}

fn named(item: &Value, key: &str, value: &str) -> bool {
    item.get(key).and_then(Value::as_str) == Some(value)
}

fn item_or_new<'v>(at: &'v mut Value, key: &str, value: &str) -> &'v mut Value {
    if !at.is_array() {
        *at = Value::Array(Vec::new());
    }
    let Value::Array(items) = at else { unreachable!("the branch above made it a list") };
    let index = items.iter().position(|i| named(i, key, value)).unwrap_or_else(|| {
        items.push(Value::Object(Map::from_iter([(key.to_owned(), Value::from(value))])));
        items.len() - 1
    });
    &mut items[index]
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |reason| PointerError { text: text.to_owned(), reason };
        if text.is_empty() {
            return Ok(Self::default());
        }
        let rest = text.strip_prefix('/').ok_or_else(|| fail("it does not begin with a slash"))?;
        let mut segments = Vec::new();
        for part in rest.split('/') {
            let (name, selector) = match part.split_once('[') {
                None => (part, None),
                Some((name, selector)) => {
                    (name, Some(selector.strip_suffix(']').ok_or_else(|| fail("a bracket is not closed"))?))
                }
            };
            if name.is_empty() {
                return Err(fail("a step is empty"));
            }
            segments.push(Segment::Field(name.replace("~1", "/").replace("~0", "~")));
            if let Some(selector) = selector {
                let (key, value) = selector.split_once('=').ok_or_else(|| fail("a selector is key=value"))?;
                segments.push(match value {
                    "*" => Segment::Each { key: key.to_owned() },
                    _ => Segment::Item { key: key.to_owned(), value: value.to_owned() },
                });
            }
        }
        Ok(Self(segments))
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.0 {
            match segment {
                Segment::Field(name) => write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))?,
                Segment::Item { key, value } => write!(f, "[{key}={value}]")?,
                Segment::Each { key } => write!(f, "[{key}=*]")?,
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::field("/spec/replicas", json!(3))]
    #[case::item("/spec/containers[name=b]/cpu", json!(2))]
    #[case::first_of_each("/spec/containers[name=*]/cpu", json!(1))]
    fn reads(#[case] text: &str, #[case] wanted: Value) {
        let document =
            json!({"spec": {"replicas": 3, "containers": [{"name": "a", "cpu": 1}, {"name": "b", "cpu": 2}]}});
        let pointer: Pointer = text.parse().unwrap();
        assert_eq!(pointer.get(&document), Some(&wanted));
        assert_eq!(pointer.to_string(), text);
    }

    #[rstest]
    #[case::no_slash("spec")]
    #[case::empty_step("/spec//x")]
    #[case::open_bracket("/spec[name=a")]
    #[case::no_value("/spec[name]")]
    fn refuses(#[case] text: &str) {
        assert_eq!(text.parse::<Pointer>().unwrap_err().text, text);
    }

    #[test]
    fn writes_and_makes_what_is_missing() {
        let mut document = json!({});
        "/spec/list[name=x]/resources".parse::<Pointer>().unwrap().set(&mut document, json!({"cpu": "1"}));
        assert_eq!(document, json!({"spec": {"list": [{"name": "x", "resources": {"cpu": "1"}}]}}));
    }

    #[test]
    fn becomes_a_plain_pointer_by_index() {
        let document = json!({"spec": {"rack": [{"name": "r0"}, {"name": "r1"}]}});
        let each: Pointer = "/spec/rack[name=*]/storage".parse().unwrap();
        assert_eq!(each.items(&document), ["r0", "r1"]);
        assert_eq!(each.of_item("r1").to_json_pointer(&document).as_deref(), Some("/spec/rack/1/storage"));
        assert_eq!(each.of_item("r9").to_json_pointer(&document), None);
    }
}

//! Amounts as documents hold them: a quantity that may be unreadable, and a container's `resources`.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::quantity::{Quantity, QuantityError};

/// A quantity as it is written in a document or on a command line, readable or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The text; a JSON number as its digits.
    pub text: String,
    /// What it means. An error is rare and large, and would make each amount three times as large.
    pub value: Result<Quantity, Box<QuantityError>>,
    /// Whether the document holds a JSON number in place of a text.
    pub is_number: bool,
}

impl Written {
    /// Reads a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), value: text.parse().map_err(Box::new), is_number: false }
    }

    /// Reads a JSON string or number; `None` for null.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::String(text) => Some(Self::new(text)),
            other => {
                let value = Quantity::from_json(other).map_err(Box::new);
                Some(Self { text: other.to_string(), value, is_number: other.is_number() })
            }
        }
    }

    /// The value as the document holds it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let number = || self.text.parse().ok().map(Value::Number);
        if self.is_number { number() } else { None }.unwrap_or_else(|| Value::from(self.text.as_str()))
    }

    /// The quantity, where it is readable.
    #[must_use]
    pub fn quantity(&self) -> Option<Quantity> {
        self.value.as_ref().ok().copied()
    }
}

/// One amount of a container's resources as it stands in the document.
#[derive(Debug, Clone, Copy)]
pub struct Amount<'v>(&'v Written);

impl<'v> Amount<'v> {
    /// What it means.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn value(self) -> Result<Quantity, &'v QuantityError> {
        self.0.value.as_ref().copied().map_err(|error| &**error)
    }

    /// The quantity, where it is readable.
    #[must_use]
    pub fn quantity(self) -> Option<Quantity> {
        self.value().ok()
    }

    /// The text; a JSON number as its digits.
    #[must_use]
    pub fn text(self) -> &'v str {
        &self.0.text
    }

    /// Whether both mean the same, or are the same unreadable text.
    fn same_as(self, other: Self) -> bool {
        self.0 == other.0
            || match (self.quantity(), other.quantity()) {
                (Some(mine), Some(theirs)) => mine == theirs,
                _ => false,
            }
    }
}

impl From<Quantity> for Written {
    fn from(quantity: Quantity) -> Self {
        Self { text: quantity.to_string(), value: Ok(quantity), is_number: false }
    }
}

/// The two halves of a container's resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// What the scheduler sets aside.
    Requests,
    /// What the kernel allows.
    Limits,
}

impl Side {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Requests, Self::Limits];

    /// The field's name.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Limits => "limits",
        }
    }
}

/// The names that nearly every container has amounts of: no text is made for them.
const COMMON: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// A container's `resources` as it stands in a document: `{requests: {cpu, memory, …}, limits: {…}}`.
///
/// Each amount is read once, and a clone shares them: a dozen rules ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceSet {
    /// In the order of their sides and names.
    amounts: Arc<[Entry]>,
    /// What else stands there (`claims`); it may be empty. `None` where amounts are all, and where nothing was told.
    rest: Option<Arc<Map<String, Value>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    side: Side,
    name: Cow<'static, str>,
    amount: Written,
}

impl Entry {
    fn new(side: Side, name: &str, amount: Written) -> Self {
        let common = COMMON.into_iter().find(|common| *common == name);
        Self { side, name: common.map_or_else(|| name.to_owned().into(), Cow::Borrowed), amount }
    }

    fn place(&self) -> (Side, &str) {
        (self.side, &self.name)
    }
}

impl ResourceSet {
    /// Takes a `resources` object; anything else counts as empty, and a null as not there.
    #[must_use]
    pub fn of(value: Option<&Value>) -> Self {
        let Some(document) = value.and_then(Value::as_object) else { return Self::default() };
        let amounts = Side::ALL.into_iter().flat_map(|side| {
            let written = document.get(side.field()).and_then(Value::as_object).into_iter().flatten();
            written.filter_map(move |(name, value)| Some(Entry::new(side, name, Written::of(value)?)))
        });
        let is_rest = |name: &str| Side::ALL.iter().all(|side| side.field() != name);
        let rest: Map<_, _> = document
            .iter()
            .filter(|(name, _)| is_rest(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Self::made_of(amounts.collect(), Some(Arc::new(rest)))
    }

    fn made_of(mut amounts: Vec<Entry>, rest: Option<Arc<Map<String, Value>>>) -> Self {
        amounts.sort_by(|a, b| a.place().cmp(&b.place()));
        let rest = rest.filter(|rest| !rest.is_empty() || amounts.is_empty());
        Self { amounts: amounts.into(), rest }
    }

    /// How many amounts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.amounts.len()
    }

    /// The amount of one resource.
    #[must_use]
    pub fn amount(&self, side: Side, name: &str) -> Option<Amount<'_>> {
        let at = self.amounts.binary_search_by(|entry| entry.place().cmp(&(side, name))).ok()?;
        self.amounts.get(at).map(|entry| Amount(&entry.amount))
    }

    /// The amounts of one side, by name.
    pub fn amounts(&self, side: Side) -> impl Iterator<Item = (&str, Amount<'_>)> {
        self.amounts.iter().filter(move |entry| entry.side == side).map(|entry| (&*entry.name, Amount(&entry.amount)))
    }

    /// The amount that sizes the container: its request, else its limit.
    #[must_use]
    pub fn size(&self, name: &str) -> Option<Quantity> {
        let of = |side| self.amount(side, name).and_then(Amount::quantity);
        of(Side::Requests).or_else(|| of(Side::Limits))
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.amounts.is_empty()
    }

    /// The same with `name` set on both sides; everything else stays.
    #[must_use]
    pub fn with(&self, name: &str, amount: Quantity) -> Self {
        let others = self.amounts.iter().filter(|entry| entry.name != name).cloned();
        let both = Side::ALL.map(|side| Entry::new(side, name, amount.into()));
        Self::made_of(others.chain(both).collect(), self.rest.clone())
    }

    /// The amounts of each resource that differs from `old` on one side or on both; empty where none does.
    #[must_use]
    pub fn changed_from(&self, old: &Self) -> Self {
        let same = |name: &str| {
            Side::ALL.iter().all(|side| match (self.amount(*side, name), old.amount(*side, name)) {
                (Some(mine), Some(theirs)) => mine.same_as(theirs),
                (mine, theirs) => mine.is_none() && theirs.is_none(),
            })
        };
        if self.amounts == old.amounts {
            return Self::default();
        }
        Self { amounts: self.amounts.iter().filter(|entry| !same(&entry.name)).cloned().collect(), rest: None }
    }

    /// The same with `name` on neither side.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let others = self.amounts.iter().filter(|entry| entry.name != name);
        Self::made_of(others.cloned().collect(), Some(self.rest.clone().unwrap_or_default()))
    }

    /// Whether both mean the same amounts, however they are spelled.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let covered = |a: &Self, b: &Self| {
            Side::ALL.iter().all(|side| {
                a.amounts(*side).all(|(name, mine)| match (mine.quantity(), b.amount(*side, name)) {
                    (Some(mine), Some(theirs)) => theirs.quantity() == Some(mine),
                    _ => false,
                })
            })
        };
        covered(self, other) && covered(other, self)
    }

    /// The document: an empty one where it sets nothing, a null where there was none.
    #[must_use]
    pub fn to_json(&self) -> Value {
        if self.amounts.is_empty() && self.rest.is_none() {
            return Value::Null;
        }
        let mut document = self.rest.as_deref().cloned().unwrap_or_default();
        for entry in &*self.amounts {
            let side = document.entry(entry.side.field()).or_insert_with(|| Value::Object(Map::new()));
            side[&*entry.name] = entry.amount.to_json();
        }
        Value::Object(document)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn sets_both_sides_and_keeps_the_rest() {
        let present = ResourceSet::of(Some(&json!({"requests": {"cpu": "1"}, "limits": {"nvidia.com/gpu": 1}})));
        let wanted = present.with("cpu", "2".parse().unwrap());
        assert_eq!(wanted.to_json(), json!({"requests": {"cpu": "2"}, "limits": {"cpu": "2", "nvidia.com/gpu": 1}}));
    }

    #[rstest]
    #[case::nothing_told(Value::Null, Value::Null)]
    #[case::nothing_set(json!({}), json!({}))]
    #[case::nothing_on_a_side(json!({"requests": {}, "limits": {"cpu": null}}), json!({}))]
    #[case::claims(json!({"claims": [{"name": "gpu"}], "limits": {"cpu": 1}}), json!({"claims": [{"name": "gpu"}], "limits": {"cpu": 1}}))]
    fn is_the_document_it_was_read_from(#[case] document: Value, #[case] wanted: Value) {
        assert_eq!(ResourceSet::of(Some(&document)).to_json(), wanted);
    }

    #[test]
    fn each_amount_is_found_by_its_side_and_name() {
        let amounts = json!({"memory": "3", "a.example/x": "1", "cpu": "2", "z.example/x": "4"});
        let set =
            ResourceSet::of(Some(&json!({"limits": amounts, "requests": {"b": "5"}}))).with("gpu", Quantity::ZERO);
        for (name, wanted) in amounts.as_object().unwrap() {
            assert_eq!(set.amount(Side::Limits, name).map(Amount::text), wanted.as_str());
        }
        assert!(set.amount(Side::Requests, "cpu").is_none());
        assert_eq!(
            (set.len(), set.without("gpu").len(), set.amount(Side::Requests, "b").map(Amount::text)),
            (7, 5, Some("5"))
        );
        assert_eq!(ResourceSet::of(Some(&json!({"limits": {"cpu": 1}}))).without("cpu").to_json(), json!({}));
    }

    #[test]
    fn spelling_does_not_matter() {
        let a = ResourceSet::of(Some(&json!({"limits": {"cpu": "1", "memory": "1Gi"}})));
        let b = ResourceSet::of(Some(&json!({"limits": {"cpu": "1000m", "memory": "1024Mi"}})));
        let c = ResourceSet::of(Some(&json!({"limits": {"cpu": "1000m"}})));
        assert!(a.same_as(&b) && b.same_as(&a));
        assert!(!a.same_as(&c) && !c.same_as(&a));
    }
}

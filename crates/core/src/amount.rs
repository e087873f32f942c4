//! Amounts as documents hold them: a quantity that may be unreadable, and a container's `resources`.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::quantity::{Quantity, QuantityError};

/// A quantity as it is written in a document or on a command line, readable or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The text; a JSON number as its digits.
    pub text: String,
    /// What it means.
    pub value: Result<Quantity, QuantityError>,
    /// Whether the document holds a JSON number in place of a text.
    pub is_number: bool,
}

impl Written {
    /// Reads a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), value: text.parse(), is_number: false }
    }

    /// Reads a JSON string or number; `None` for null.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Null => None,
            Value::String(text) => Some(Self::new(text)),
            other => {
                Some(Self { text: other.to_string(), value: Quantity::from_json(other), is_number: other.is_number() })
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
pub struct Amount<'v> {
    written: &'v Value,
    value: &'v Result<Quantity, QuantityError>,
}

impl<'v> Amount<'v> {
    /// What it means.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn value(self) -> Result<Quantity, &'v QuantityError> {
        self.value.as_ref().copied()
    }

    /// The quantity, where it is readable.
    #[must_use]
    pub fn quantity(self) -> Option<Quantity> {
        self.value().ok()
    }

    /// The text; a JSON number as its digits.
    #[must_use]
    pub fn text(self) -> String {
        self.written.as_str().map_or_else(|| self.written.to_string(), str::to_owned)
    }

    /// Whether both mean the same, or are the same unreadable text.
    fn same_as(self, other: Self) -> bool {
        self.written == other.written
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// A container's `resources` as it stands in a document: `{requests: {cpu, memory, …}, limits: {…}}`.
#[derive(Debug, Clone, Default)]
pub struct ResourceSet {
    document: Value,
    /// What the amounts of each side mean, in the document's order: a dozen rules ask, and each amount is read once.
    read: OnceLock<[Vec<Result<Quantity, QuantityError>>; 2]>,
}

impl PartialEq for ResourceSet {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Eq for ResourceSet {}

impl ResourceSet {
    /// Takes a `resources` object; anything else counts as empty.
    #[must_use]
    pub fn of(value: Option<&Value>) -> Self {
        Self::made_of(value.filter(|v| v.is_object()).cloned().unwrap_or(Value::Null))
    }

    fn made_of(document: Value) -> Self {
        Self { document, read: OnceLock::new() }
    }

    /// What one side holds, by name.
    fn written(&self, side: Side) -> impl Iterator<Item = (&String, &Value)> {
        let entries = self.document.get(side.field()).and_then(Value::as_object).into_iter().flatten();
        entries.filter(|(_, value)| !value.is_null())
    }

    /// The amount of one resource.
    #[must_use]
    pub fn amount(&self, side: Side, name: &str) -> Option<Amount<'_>> {
        self.amounts(side).find(|(known, _)| *known == name).map(|(_, amount)| amount)
    }

    /// The amounts of one side, by name.
    pub fn amounts(&self, side: Side) -> impl Iterator<Item = (&str, Amount<'_>)> {
        let read = self.read.get_or_init(|| {
            Side::ALL.map(|side| self.written(side).map(|(_, written)| Quantity::from_json(written)).collect())
        });
        let meant = match side {
            Side::Requests => &read[0],
            Side::Limits => &read[1],
        };
        self.written(side).zip(meant).map(|((name, written), value)| (name.as_str(), Amount { written, value }))
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
        Side::ALL.iter().all(|side| self.written(*side).next().is_none())
    }

    /// The same with `name` set on both sides; everything else stays.
    #[must_use]
    pub fn with(&self, name: &str, amount: Quantity) -> Self {
        let mut value = if self.document.is_object() { self.document.clone() } else { Value::Object(Map::new()) };
        for side in Side::ALL {
            if !value[side.field()].is_object() {
                value[side.field()] = Value::Object(Map::new());
            }
            value[side.field()][name] = Value::from(amount.to_string());
        }
        Self::made_of(value)
    }

    /// The amounts of each resource that differs from `old` on one side or on both; a null where none does.
    #[must_use]
    pub fn changed_from(&self, old: &Self) -> Self {
        if self == old {
            return Self::default();
        }
        let same = |name: &str| {
            Side::ALL.iter().all(|side| match (self.amount(*side, name), old.amount(*side, name)) {
                (Some(mine), Some(theirs)) => mine.same_as(theirs),
                (mine, theirs) => mine.is_none() && theirs.is_none(),
            })
        };
        let mut changed = Value::Null;
        for side in Side::ALL {
            for (name, amount) in self.written(side).filter(|(name, _)| !same(name)) {
                changed[side.field()][name] = amount.clone();
            }
        }
        Self::made_of(changed)
    }

    /// The same with `name` on neither side.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        for side in Side::ALL {
            if let Some(amounts) = self.document.get_mut(side.field()).and_then(Value::as_object_mut) {
                amounts.remove(name);
            }
        }
        Self::made_of(self.document)
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

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.document.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sets_both_sides_and_keeps_the_rest() {
        let present = ResourceSet::of(Some(&json!({"requests": {"cpu": "1"}, "limits": {"nvidia.com/gpu": 1}})));
        let wanted = present.with("cpu", "2".parse().unwrap());
        assert_eq!(wanted.to_json(), json!({"requests": {"cpu": "2"}, "limits": {"cpu": "2", "nvidia.com/gpu": 1}}));
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

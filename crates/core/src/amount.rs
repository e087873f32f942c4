//! Amounts as documents hold them: a quantity that may be unreadable, and a container's `resources`.

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

/// One amount of a container's resources as it stands in the document; nothing is read or copied before it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Amount<'v>(&'v Value);

impl Amount<'_> {
    /// What it means.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn value(self) -> Result<Quantity, QuantityError> {
        Quantity::from_json(self.0)
    }

    /// The quantity, where it is readable.
    #[must_use]
    pub fn quantity(self) -> Option<Quantity> {
        self.value().ok()
    }

    /// The text; a JSON number as its digits.
    #[must_use]
    pub fn text(self) -> String {
        self.0.as_str().map_or_else(|| self.0.to_string(), str::to_owned)
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceSet(Value);

impl ResourceSet {
    /// Takes a `resources` object; anything else counts as empty.
    #[must_use]
    pub fn of(value: Option<&Value>) -> Self {
        Self(value.filter(|v| v.is_object()).cloned().unwrap_or(Value::Null))
    }

    /// The amount of one resource.
    #[must_use]
    pub fn amount(&self, side: Side, name: &str) -> Option<Amount<'_>> {
        self.0.get(side.field())?.get(name).filter(|v| !v.is_null()).map(Amount)
    }

    /// The amounts of one side, by name.
    pub fn amounts(&self, side: Side) -> impl Iterator<Item = (&str, Amount<'_>)> {
        let entries = self.0.get(side.field()).and_then(Value::as_object).into_iter().flatten();
        entries.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.as_str(), Amount(value)))
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
        Side::ALL.iter().all(|side| self.amounts(*side).next().is_none())
    }

    /// The same with `name` set on both sides; everything else stays.
    #[must_use]
    pub fn with(&self, name: &str, amount: Quantity) -> Self {
        let mut value = if self.0.is_object() { self.0.clone() } else { Value::Object(Map::new()) };
        for side in Side::ALL {
            if !value[side.field()].is_object() {
                value[side.field()] = Value::Object(Map::new());
            }
            value[side.field()][name] = Value::from(amount.to_string());
        }
        Self(value)
    }

    /// The amounts of each resource that differs from `old` on one side or on both; a null where none does.
    #[must_use]
    pub fn changed_from(&self, old: &Self) -> Self {
        if self.0 == old.0 {
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
            let amounts = self.0.get(side.field()).and_then(Value::as_object).into_iter().flatten();
            for (name, amount) in amounts.filter(|(name, _)| !same(name)) {
                changed[side.field()][name] = amount.clone();
            }
        }
        Self(changed)
    }

    /// The same with `name` on neither side.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        for side in Side::ALL {
            if let Some(amounts) = self.0.get_mut(side.field()).and_then(Value::as_object_mut) {
                amounts.remove(name);
            }
        }
        self
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
        self.0.clone()
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

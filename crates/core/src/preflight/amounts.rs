//! Amounts of resources by name, as `requests`, `limits`, `allocatable` and `hard` hold them.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::quantity::Quantity;

/// The resource that counts pods.
pub const PODS: &str = "pods";
/// Cores.
pub const CPU: &str = "cpu";
/// Bytes of memory.
pub const MEMORY: &str = "memory";
/// Bytes of a volume.
pub const STORAGE: &str = "storage";

/// Amounts by the resource's name. One that is not there is none, which some checks tell from a zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amounts(BTreeMap<String, Quantity>);

impl Amounts {
    /// The amount; zero where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> Quantity {
        self.find(name).unwrap_or(Quantity::ZERO)
    }

    /// The amount, where there is one.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Quantity> {
        self.0.get(name).copied()
    }

    /// Sets an amount.
    pub fn set(&mut self, name: &str, amount: Quantity) {
        match self.0.get_mut(name) {
            Some(present) => *present = amount,
            None => drop(self.0.insert(name.to_owned(), amount)),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every amount, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Quantity)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// Takes a resource out.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Adds to one amount.
    pub fn add_one(&mut self, name: &str, amount: Quantity) {
        self.set(name, plus(self.get(name), amount));
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        other.iter().for_each(|(name, amount)| self.add_one(name, amount));
    }

    /// Takes all of `other` away.
    pub fn subtract(&mut self, other: &Self) {
        other.iter().for_each(|(name, amount)| self.set(name, minus(self.get(name), amount)));
    }

    /// Takes away what was counted, and no more: a count may lag behind.
    pub fn give_back(&mut self, other: &Self) {
        other.iter().for_each(|(name, amount)| self.set(name, minus(self.get(name), amount).max(Quantity::ZERO)));
    }

    /// The larger of both, resource by resource.
    pub fn raise_to(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            if self.find(name).is_none_or(|present| present < amount) {
                self.set(name, amount);
            }
        }
    }
}

/// The sum; an amount that no cluster has stays as it is.
#[must_use]
pub fn plus(one: Quantity, other: Quantity) -> Quantity {
    one.checked_add(other).unwrap_or(one)
}

/// The difference; an amount that no cluster has stays as it is.
#[must_use]
pub fn minus(one: Quantity, other: Quantity) -> Quantity {
    one.checked_sub(other).unwrap_or(one)
}

impl fmt::Display for Amounts {
    /// `cpu 2, memory 4Gi`: what is asked for, without the zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked: Vec<String> = self
            .iter()
            .filter(|(_, amount)| !amount.is_zero())
            .map(|(name, amount)| format!("{name} {amount}"))
            .collect();
        f.write_str(&if asked.is_empty() { "no resources".to_owned() } else { asked.join(", ") })
    }
}

impl<'de> Deserialize<'de> for Amounts {
    /// Reads a map of quantities. One that cannot be read is left out: the API server has admitted it, so it is one that
    /// no node has and no check can count.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Amounts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of quantities")
            }
            fn visit_unit<E>(self) -> Result<Amounts, E> {
                Ok(Amounts::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Amounts, A::Error> {
                let mut amounts = BTreeMap::new();
                while let Some((name, value)) = entries.next_entry::<String, serde_json::Value>()? {
                    amounts.extend(Quantity::from_json(&value).ok().map(|amount| (name, amount)));
                }
                Ok(Amounts(amounts))
            }
        }
        deserializer.deserialize_any(Map)
    }
}

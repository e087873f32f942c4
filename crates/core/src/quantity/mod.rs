//! Kubernetes quantities (`500m`, `10Gi`, `1e3`): read, compared and printed as Go's `resource.Quantity` does it.
//!
//! Source: k8s.io/apimachinery v0.36.3, `pkg/api/resource` (`quantity.go`, `suffix.go`, `amount.go`). A differential test
//! (`tests/quantity_oracle.rs`) holds this module to that library. It departs from it in these points, each on purpose:
//!
//! - **Bounds.** An exponent has at most [`MAX_EXPONENT_DIGITS`] digits, a number at most [`MAX_DIGITS`], and an amount is
//!   less than 10^29. Go has no such bounds: comparing `1e999999999` keeps it busy for half an hour.
//! - **Printing is always canonical.** Go keeps the text of many values as it came (`+1Gi`, `1.123k`, `1E3` print as they
//!   were written); here they print as Go's `CanonicalizeBytes` has them: `1Gi`, `1123`, `1e3`.
//! - **`1000E` and more.** Go finds no unit above `E` and prints `1`; here it prints `1000E`, which reads back as it was.

mod error;
mod parse;
mod print;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use error::QuantityError;
pub use parse::{MAX_DIGITS, MAX_EXPONENT_DIGITS};

/// Nano-units in one unit.
const UNIT: i128 = 1_000_000_000;

/// Every amount is smaller than this many nano-units, so that it fits, prints in at most 38 digits and reads back.
const LIMIT: i128 = 10_i128.pow(38);

/// The power of ten, in units, that every amount stays below.
pub(crate) const LIMIT_EXPONENT: u32 = LIMIT.ilog10() - UNIT.ilog10();

/// The largest amount that a text with a binary unit (`Ki` … `Ei`) can mean: 2^63 - 1. More is capped, as in Go.
const BINARY_CAP: i128 = i64::MAX as i128 * UNIT;

/// An amount of something that Kubernetes measures: bytes, cores, pieces.
///
/// Exact, a whole number of nano-units: `1` is `1_000_000_000`. Never `f64`, which cannot tell 2^53 from 2^53+1. What is
/// finer than a nano-unit is rounded away from zero when it is read.
///
/// Equality, order and hash look at the amount alone: `1Gi` equals `1024Mi`, and `6G` is less than `6Gi`. Beside the amount
/// a quantity remembers the family of its unit (powers of 1000, powers of 1024, exponents), so that it prints in the same.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// The family of units in which a quantity prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Powers of 1000: `n u m`, none, `k M G T P E`.
    DecimalSi,
    /// Powers of 1024: `Ki Mi Gi Ti Pi Ei`.
    BinarySi,
    /// `e3`, `e-6`.
    DecimalExponent,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nanos: 0, format: Format::DecimalSi };

    /// `1G`: 10^9, as bytes one gigabyte.
    pub const GIGABYTE: Self = Self { nanos: 1_000_000_000 * UNIT, format: Format::DecimalSi };

    /// So many bytes; prints in powers of 1024 (`2Gi`).
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self { nanos: bytes as i128 * UNIT, format: Format::BinarySi }
    }

    /// So many whole units (cores, pieces); prints in powers of 1000.
    #[must_use]
    pub const fn from_units(units: i64) -> Self {
        Self { nanos: units as i128 * UNIT, format: Format::DecimalSi }
    }

    /// Reads a quantity out of a document, where it may be a string or a number (`cpu: 2`, `cpu: 0.5`).
    ///
    /// A number means what its shortest decimal text means, so `0.1` is exactly a tenth. A string is read as it stands:
    /// spaces around it are refused, as the pattern in KubeDB's CRDs does.
    ///
    /// # Errors
    /// As [`Quantity::from_str`]; [`QuantityError::NotAnAmount`] for anything but a string or a number.
    pub fn from_json(value: &Value) -> Result<Self, QuantityError> {
        match value {
            Value::String(text) => text.parse(),
            Value::Number(number) => number.to_string().parse(),
            Value::Null => Err(QuantityError::NotAnAmount { found: "null" }),
            Value::Bool(_) => Err(QuantityError::NotAnAmount { found: "a boolean" }),
            Value::Array(_) => Err(QuantityError::NotAnAmount { found: "a list" }),
            Value::Object(_) => Err(QuantityError::NotAnAmount { found: "an object" }),
        }
    }

    /// The amount in nano-units: `500m` is `500_000_000`. Always less than 10^38 in magnitude.
    #[must_use]
    pub const fn nanos(self) -> i128 {
        self.nanos
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Whether it is less than nothing.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// The sum, printed like the first (like the second where the first is zero); `None` at 10^29 and beyond.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.joined(other, self.nanos.checked_add(other.nanos)?)
    }

    /// The difference, printed like the first (like the second where the first is zero); `None` at 10^29 and beyond.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.joined(other, self.nanos.checked_sub(other.nanos)?)
    }

    /// So many times the amount; `None` at 10^29 and beyond.
    #[must_use]
    pub fn checked_mul_int(self, times: i64) -> Option<Self> {
        self.joined(self, self.nanos.checked_mul(i128::from(times))?)
    }

    fn joined(self, other: Self, nanos: i128) -> Option<Self> {
        let format = if self.is_zero() { other.format } else { self.format };
        (nanos.abs() < LIMIT).then_some(Self { nanos, format })
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    /// Reads what `resource.ParseQuantity` reads, within the bounds that the module tells.
    ///
    /// `1e3`, `1E`, `.5Gi`, `5.` and `+1` are read, `1K` and `10 Gi` are not. Like Go it takes a missing number for zero
    /// (`Gi`, `-`). With a binary unit more than 2^63 - 1 is capped to that.
    ///
    /// # Errors
    /// [`QuantityError`], which says what is wrong with the text and what to write instead.
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse::parse(text).map_err(|problem| QuantityError::new(text, &problem))
    }
}

impl Serialize for Quantity {
    /// As the canonical text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// As [`Quantity::from_json`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl Hash for Quantity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.nanos.hash(state);
    }
}

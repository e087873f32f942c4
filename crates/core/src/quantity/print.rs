//! Quantity → canonical text: no precision is lost, no fraction is written, the unit is as large as possible.

use std::fmt;

use super::{BINARY_CAP, Format, Quantity, UNIT};

const DECIMAL_UNITS: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY_UNITS: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl fmt::Display for Quantity {
    /// The canonical text, as Go's `CanonicalizeBytes` has it: `1.5Gi` prints as `1536Mi`, `0.5` as `500m`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.format {
            _ if self.is_zero() => "0".to_owned(),
            Format::BinarySi if has_binary_form(self.nanos) => {
                let (number, unit) = reduce(self.nanos / UNIT, 1024, BINARY_UNITS.len() - 1);
                format!("{number}{}", BINARY_UNITS[unit])
            }
            Format::DecimalExponent => {
                let (number, thousands) = reduce(self.nanos, 1000, usize::MAX);
                // Nano-units are counted, so the exponent begins at -9.
                match thousands {
                    0..3 => format!("{number}e-{}", 9 - 3 * thousands),
                    3 => number.to_string(),
                    _ => format!("{number}e{}", 3 * thousands - 9),
                }
            }
            Format::BinarySi | Format::DecimalSi => {
                let (number, unit) = reduce(self.nanos, 1000, DECIMAL_UNITS.len() - 1);
                format!("{number}{}", DECIMAL_UNITS[unit])
            }
        };
        f.pad(&text)
    }
}

/// Whether a binary unit tells the amount: Go prints less than 1024 and fractions in decimal units; more than 2^63 - 1, which
/// only a sum can be, would be capped when it is read again.
fn has_binary_form(nanos: i128) -> bool {
    let size = nanos.abs();
    (1024 * UNIT..=BINARY_CAP).contains(&size) && size % UNIT == 0
}

/// Takes the factor `base` out of `number` as often as it goes, at most `most` times; answers the rest and how often.
fn reduce(mut number: i128, base: i128, most: usize) -> (i128, usize) {
    let mut times = 0;
    while times < most && number % base == 0 {
        number /= base;
        times += 1;
    }
    (number, times)
}

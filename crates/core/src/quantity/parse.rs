//! Text → quantity. Mirrors `ParseQuantity` of Go's `resource` package, including where that one is odd.

use super::{BINARY_CAP, Format, LIMIT, Quantity, UNIT};

/// The most digits that an exponent may have, as written (`1e003` has three).
pub const MAX_EXPONENT_DIGITS: usize = 3;

/// The most digits that a number may have before its unit, on both sides of the point, as written.
pub const MAX_DIGITS: usize = 64;

/// What is wrong with a text, in a form that costs nothing; [`super::QuantityError`] puts it into words.
pub(super) enum Problem<'a> {
    Empty,
    NoNumber,
    /// What follows the number is no unit.
    Unit(&'a str),
    TooManyDigits(usize),
    ExponentTooLong(usize),
    TooLarge,
}

/// A text cut into its parts; nothing is computed yet.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    unit: &'a str,
}

/// What a unit multiplies by.
#[derive(Clone, Copy)]
enum Unit {
    /// A power of ten.
    Ten { exponent: i32, format: Format },
    /// A power of 1024.
    Binary { exponent: u8 },
}

pub(super) fn parse(text: &str) -> Result<Quantity, Problem<'_>> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    let parts = split(text);
    let count = parts.whole.len() + parts.fraction.len();
    if count > MAX_DIGITS {
        return Err(Problem::TooManyDigits(count));
    }
    let unit = unit(parts.unit)?;
    if count == 0 {
        return if zero_without_digits(unit) { Ok(zero(unit)) } else { Err(Problem::NoNumber) };
    }

    // Most significant digit first, each 0 to 9; together with `exponent` the amount in nano-units.
    let mut digits: Vec<u8> = parts.whole.bytes().chain(parts.fraction.bytes()).map(|digit| digit - b'0').collect();
    let fraction_digits = i32::try_from(parts.fraction.len()).unwrap_or(i32::MAX);
    let (nanos, mut format) = match unit {
        Unit::Ten { exponent, format } => {
            let nanos = round_up(&digits, exponent + 9 - fraction_digits);
            (nanos.ok_or(Problem::TooLarge)?, format)
        }
        Unit::Binary { exponent } => {
            for _ in 0..exponent {
                times_1024(&mut digits);
            }
            let nanos = round_up(&digits, 9 - fraction_digits);
            (nanos.map_or(BINARY_CAP, |nanos| nanos.min(BINARY_CAP)), Format::BinarySi)
        }
    };
    if format == Format::BinarySi && nanos > 0 && nanos < UNIT {
        // Go's own step: less than one has no binary unit to print in.
        format = Format::DecimalSi;
    }
    Ok(Quantity { nanos: if parts.negative { -nanos } else { nanos }, format })
}

fn split(text: &str) -> Parts<'_> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, rest) = unsigned.split_at(digits(unsigned));
    let (fraction, unit) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    Parts { negative, whole, fraction, unit }
}

fn unit(text: &str) -> Result<Unit, Problem<'_>> {
    let decimal = |exponent| Ok(Unit::Ten { exponent, format: Format::DecimalSi });
    let binary = |exponent| Ok(Unit::Binary { exponent });
    match text {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => exponent(text),
    }
}

fn exponent(unit: &str) -> Result<Unit, Problem<'_>> {
    let signed = unit.strip_prefix(['e', 'E']).ok_or(Problem::Unit(unit))?;
    let digits = signed.strip_prefix(['+', '-']).unwrap_or(signed);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Problem::Unit(unit));
    }
    if digits.len() > MAX_EXPONENT_DIGITS {
        return Err(Problem::ExponentTooLong(digits.len()));
    }
    let exponent = signed.parse().map_err(|_| Problem::Unit(unit))?;
    Ok(Unit::Ten { exponent, format: Format::DecimalExponent })
}

/// Whether Go takes the unit alone for zero. It does on its fast path (which `Pi`, `Ei` and exponents below nano miss),
/// because that one puts a `0` where the digits are missing.
fn zero_without_digits(unit: Unit) -> bool {
    match unit {
        Unit::Ten { exponent, .. } => exponent >= -9,
        Unit::Binary { exponent } => exponent <= 4,
    }
}

fn zero(unit: Unit) -> Quantity {
    let format = match unit {
        Unit::Ten { format, .. } => format,
        Unit::Binary { .. } => Format::BinarySi,
    };
    Quantity { nanos: 0, format }
}

fn times_1024(digits: &mut Vec<u8>) {
    let mut carry = 0;
    for digit in digits.iter_mut().rev() {
        let product = u32::from(*digit) * 1024 + carry;
        *digit = (product % 10) as u8;
        carry = product / 10;
    }
    while carry > 0 {
        digits.insert(0, (carry % 10) as u8);
        carry /= 10;
    }
}

/// `digits` × 10^`exponent`, rounded up to a whole number; `None` from [`LIMIT`] on.
fn round_up(digits: &[u8], exponent: i32) -> Option<i128> {
    let zeros = digits.iter().take_while(|digit| **digit == 0).count();
    let digits = &digits[zeros..];
    if digits.is_empty() {
        return Some(0);
    }
    let fold = |digits: &[u8]| digits.iter().fold(0_i128, |sum, digit| sum * 10 + i128::from(*digit));
    let length = i32::try_from(digits.len()).ok()?;
    // How many digits the whole part of the result has: at most 38, so the folds and the product below fit.
    match length + exponent {
        ..=0 => Some(1),
        39.. => None,
        _ if exponent >= 0 => Some(fold(digits) * 10_i128.pow(exponent.unsigned_abs())),
        kept => {
            let (whole, rest) = digits.split_at(usize::try_from(kept).ok()?);
            let more = i128::from(rest.iter().any(|digit| *digit != 0));
            Some(fold(whole) + more).filter(|nanos| *nanos < LIMIT)
        }
    }
}

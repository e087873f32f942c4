//! Why a text is no quantity, and what to write instead.

use thiserror::Error;

use super::parse::{Problem, parse};
use super::{MAX_DIGITS, MAX_EXPONENT_DIGITS};

/// How much of a refused text an error repeats, in characters.
const SHOWN: usize = 40;

/// What to write where nothing better can be guessed.
const FORM: &str = "write a number and a unit, such as 10Gi, 50G or 500m";

/// Words that people put behind a number that has no unit in Kubernetes.
const UNITLESS: [&str; 10] = ["b", "byte", "bytes", "c", "cpu", "cpus", "core", "cores", "vcpu", "vcpus"];

/// The decimal units from 10^3 on.
const LETTERS: [&str; 6] = ["k", "M", "G", "T", "P", "E"];

/// A text or value that is no quantity. The message says what is wrong with it and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuantityError {
    /// There is nothing to read.
    #[error("an empty text is no quantity; {FORM}")]
    Empty,
    /// Neither a string nor a number.
    #[error("{found} is no quantity; {FORM}")]
    NotAnAmount {
        /// What was found.
        found: &'static str,
    },
    /// The text does not have the form of a quantity.
    #[error("\"{text}\" is no quantity: {problem}; {remedy}")]
    Malformed {
        /// The text, cut where it is long.
        text: String,
        /// What is wrong with it.
        problem: String,
        /// What to write.
        remedy: String,
    },
    /// The number is longer than anything sensible.
    #[error("\"{text}\" is no readable quantity: it has {digits} digits, more than {MAX_DIGITS}; {FORM}")]
    TooManyDigits {
        /// The text, cut where it is long.
        text: String,
        /// The digits of its number.
        digits: usize,
    },
    /// The exponent is longer than anything sensible.
    #[error(
        "\"{text}\" is no readable quantity: its exponent has {digits} digits, more than {MAX_EXPONENT_DIGITS}; {FORM}"
    )]
    ExponentTooLong {
        /// The text, cut where it is long.
        text: String,
        /// The digits of its exponent.
        digits: usize,
    },
    /// The amount is larger than any that is counted.
    #[error("\"{text}\" is no readable quantity: amounts of 10^29 and more are not counted; write a smaller one")]
    TooLarge {
        /// The text, cut where it is long.
        text: String,
    },
}

impl QuantityError {
    pub(super) fn new(text: &str, problem: &Problem) -> Self {
        let malformed = |problem: String, remedy: String| Self::Malformed { text: shown(text), problem, remedy };
        match *problem {
            Problem::Empty => Self::Empty,
            Problem::TooManyDigits(digits) => Self::TooManyDigits { text: shown(text), digits },
            Problem::ExponentTooLong(digits) => Self::ExponentTooLong { text: shown(text), digits },
            Problem::TooLarge => Self::TooLarge { text: shown(text) },
            Problem::NoNumber => malformed("it has no number".to_owned(), FORM.to_owned()),
            Problem::Unit(unit) => malformed(wrong_unit(text, unit), guess(text).unwrap_or_else(|| FORM.to_owned())),
        }
    }
}

fn wrong_unit(text: &str, unit: &str) -> String {
    let number = &text[..text.len() - unit.len()];
    if text.contains(char::is_whitespace) {
        "it has a space in it".to_owned()
    } else if !has_digit(number) {
        "it does not begin with a number".to_owned()
    } else if unit.starts_with(',') {
        "a fraction is written with a point".to_owned()
    } else if unit.starts_with('.') {
        "it has two points".to_owned()
    } else {
        format!("there is no unit \"{}\"", shown(unit))
    }
}

/// What was probably meant: the same without spaces, or with the right unit for a person's `GB`, `gib`, `K`, `cores`.
fn guess(text: &str) -> Option<String> {
    if text.len() > SHOWN {
        return None;
    }
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let unit = match parse(&compact) {
        Ok(_) if has_digit(&compact) => return Some(format!("write {compact}")),
        Err(Problem::Unit(unit)) => unit,
        _ => return None,
    };
    let number = &compact[..compact.len() - unit.len()];
    if !has_digit(number) {
        return None;
    }
    let unit = unit.to_ascii_lowercase();
    if UNITLESS.contains(&unit.as_str()) {
        return Some(format!("write {number}"));
    }
    let (letter, rest) = unit.split_at_checked(1)?;
    let place = 1 + LETTERS.iter().position(|known| known.eq_ignore_ascii_case(letter))?;
    let decimal = LETTERS[place - 1];
    let binary = format!("{number}{}i (2^{})", decimal.to_uppercase(), place * 10);
    match rest {
        "" | "b" | "bytes" => Some(format!("write {number}{decimal} (10^{}) or {binary}", place * 3)),
        "i" | "ib" => Some(format!("write {binary}")),
        _ => None,
    }
}

fn has_digit(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

/// The text without control characters, and not all of it where it is long.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

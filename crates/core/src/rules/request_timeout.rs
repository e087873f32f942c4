//! `request/timeout`: `spec.timeout` is a duration that Go can read, and not before its own beginning.

use super::{EXIT_USAGE, Rule};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};

/// Refuses a timeout that is no Go duration, or a negative one.
pub const RULE: Rule = Rule {
    id: RuleId("request/timeout"),
    severity: Severity::Deny,
    exit: EXIT_USAGE,
    reason: "A timeout that Go cannot read makes the object unreadable for KubeDB's programs, and a negative one fails every step at once. The CRD takes any text.",
    source: "Go's time.ParseDuration, which reads the field's type (metav1.Duration); KubeDB's validators do not look at it",
    refused: "timeout: 5 min",
    right: "timeout: 5m",
    fix: "Write numbers with units, without blanks: 90s, 5m, 1h30m.",
    check,
};

fn check(case: &Case) -> Vec<Finding> {
    let Some(request) = case.change.request() else { return Vec::new() };
    let Some(timeout) = &request.timeout else { return Vec::new() };
    let message = match nanoseconds(timeout) {
        None => format!("{timeout:?} is no duration"),
        Some(ns) if ns < 0 => {
            format!("{timeout:?} is a negative duration: every step would have timed out before it began")
        }
        Some(_) => return Vec::new(),
    };
    vec![Finding::deny(RULE.id, "spec.timeout", message).remedy("write numbers with units, such as 90s, 5m or 1h30m")]
}

/// The units of a Go duration, in nanoseconds. Both signs for micro are read.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Digits after the point that count; a tenth of a nanosecond of an hour needs no more.
const FRACTION: usize = 13;

/// A Go duration in nanoseconds; `None` where Go reads none, or one beyond 64 bits.
pub(crate) fn nanoseconds(text: &str) -> Option<i128> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut sum: i128 = 0;
    loop {
        let number = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, after) = rest.split_at(number);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        // Nineteen digits hold every duration of 64 bits; leading zeros are none.
        let whole = whole.trim_start_matches('0');
        if whole.len() > 19 {
            return None;
        }
        sum += whole.parse::<i128>().unwrap_or(0) * unit;
        let fraction = &fraction[..fraction.len().min(FRACTION)];
        let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
        sum += fraction.parse::<i128>().unwrap_or(0) * unit / scale;
        // Go allows 2^63 for a negative one, and one less else.
        if sum > i128::from(i64::MAX) + i128::from(negative) {
            return None;
        }
        if next.is_empty() {
            return Some(if negative { -sum } else { sum });
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::testing::{replica_set, request, rules_of};
    use super::{RULE, nanoseconds};

    /// Go's own table (time_test.go, parseDurationTests), and what it refuses.
    #[rstest]
    #[case("0", Some(0))]
    #[case("5s", Some(5_000_000_000))]
    #[case("+5s", Some(5_000_000_000))]
    #[case("-5s", Some(-5_000_000_000))]
    #[case("-0", Some(0))]
    #[case("5.", None)]
    #[case("5.s", Some(5_000_000_000))]
    #[case(".5s", Some(500_000_000))]
    #[case("1.0040s", Some(1_004_000_000))]
    #[case("10ns", Some(10))]
    #[case("11us", Some(11_000))]
    #[case("12µs", Some(12_000))]
    #[case("12μs", Some(12_000))]
    #[case("3h30m", Some(12_600_000_000_000))]
    #[case("-1m.5s", Some(-60_500_000_000))]
    #[case("39h9m14.425s", Some(140_954_425_000_000))]
    #[case("9223372036854775807ns", Some(9_223_372_036_854_775_807))]
    #[case("-9223372036854775808ns", Some(-9_223_372_036_854_775_808))]
    #[case("9223372036854775808ns", None)]
    #[case("3000000h", None)]
    #[case("0.3333333333333333333h", Some(1_200_000_000_000 - 1))]
    #[case("", None)]
    #[case("3", None)]
    #[case("-", None)]
    #[case("s", None)]
    #[case(".", None)]
    #[case(".s", None)]
    #[case("1.2.3s", None)]
    #[case("5 m", None)]
    #[case("5min", None)]
    #[case("1d", None)]
    #[case("99999999999999999999999999999999999999999h", None)]
    fn durations(#[case] text: &str, #[case] expected: Option<i128>) {
        assert_eq!(nanoseconds(text), expected);
    }

    #[rstest]
    #[case::fine("5m", false)]
    #[case::nothing("0s", false)]
    #[case::a_person_wrote_it("5 minutes", true)]
    #[case::negative("-5m", true)]
    fn a_request(#[case] timeout: &str, #[case] refused: bool) {
        for ops_type in ["HorizontalScaling", "Restart"] {
            let spec = json!({"timeout": timeout, "horizontalScaling": {"replicas": 5}});
            assert_eq!(rules_of(&replica_set(), &request(ops_type, spec)).contains(&RULE.id.0), refused);
        }
    }
}

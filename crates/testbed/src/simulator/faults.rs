//! What the annotations of a request or a database ask the simulator to do wrong. The table of them is in the module above.

use std::time::Duration;

use serde_json::Value;

use super::json;

/// The domain of the simulator's annotations.
pub const DOMAIN: &str = "testbed.dbscale.dev";

/// The longest duration that is read.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

/// What goes wrong with an operation.
#[expect(clippy::struct_excessive_bools, reason = "each is an annotation of its own, and any may be combined")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// The run fails with this message.
    pub fail: Option<String>,
    /// After so many steps.
    pub fail_after: u32,
    /// The run does nothing for this long once it is Progressing.
    pub slow: Duration,
    /// It is never begun.
    pub never_start: bool,
    /// It waits for somebody to write the phase Approved or Denied.
    pub wait_for_approval: bool,
    /// It ends as Successful without any effect.
    pub lie: bool,
    /// It is skipped.
    pub skip: bool,
}

impl Faults {
    /// The annotations of the request; what it does not say, those of its database.
    pub fn of(request: &Value, database: &Value) -> Self {
        let text = |key| annotation(request, key).or_else(|| annotation(database, key));
        let flag = |key| text(key).is_some_and(|t| t == "true");
        Self {
            fail: text("fail").map(str::to_owned),
            fail_after: text("fail-after").and_then(|t| t.parse().ok()).unwrap_or_default(),
            slow: text("slow").and_then(duration).unwrap_or_default(),
            never_start: flag("never-start"),
            wait_for_approval: flag("wait-for-approval"),
            lie: flag("lie"),
            skip: flag("skip"),
        }
    }
}

/// An annotation of the simulator's domain.
pub fn annotation<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    json::annotation(object, &format!("{DOMAIN}/{key}"))
}

/// Whether an annotation of the simulator's domain says `true`, or names `name` in its list.
pub fn is_on(object: &Value, key: &str, name: &str) -> bool {
    annotation(object, key).is_some_and(|t| t == "true" || t.split(',').any(|n| n.trim() == name))
}

/// A duration as Go writes it (`1m30s`, `500ms`), `None` where it is none. At most a day; smaller units than a millisecond are not read.
pub fn duration(text: &str) -> Option<Duration> {
    let mut millis: u64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        rest = &rest[letters..];
        let part = Duration::try_from_secs_f64(number * unit).ok()?;
        millis = millis.checked_add(u64::try_from(part.as_millis()).ok()?)?;
    }
    Some(Duration::from_millis(millis).min(LIMIT))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::seconds("5s", Some(5_000))]
    #[case::mixed("1m30s", Some(90_000))]
    #[case::fraction("1.5s", Some(1_500))]
    #[case::millis("250ms", Some(250))]
    #[case::zero("0s", Some(0))]
    #[case::huge("99999999h", Some(86_400_000))]
    #[case::no_unit("5", None)]
    #[case::other_unit("5d", None)]
    #[case::empty("", None)]
    #[case::negative("-5s", None)]
    fn durations(#[case] text: &str, #[case] millis: Option<u64>) {
        assert_eq!(duration(text), millis.map(Duration::from_millis));
    }

    #[test]
    fn the_request_goes_before_the_database() {
        let request = json!({"metadata": {"annotations": {"testbed.dbscale.dev/fail": "mine", "testbed.dbscale.dev/slow": "2s"}}});
        let database = json!({"metadata": {"annotations": {
            "testbed.dbscale.dev/fail": "theirs", "testbed.dbscale.dev/fail-after": "3", "testbed.dbscale.dev/lie": "yes"}}});
        let wanted =
            Faults { fail: Some("mine".to_owned()), fail_after: 3, slow: Duration::from_secs(2), ..Faults::default() };
        assert_eq!(Faults::of(&request, &database), wanted);
    }

    #[rstest]
    #[case::all("true", true)]
    #[case::named("x-0, x-1", true)]
    #[case::others("x-0,x-2", false)]
    fn a_flag_may_name_its_objects(#[case] value: &str, #[case] on: bool) {
        let object = json!({"metadata": {"annotations": {"testbed.dbscale.dev/not-ready": value}}});
        assert_eq!(is_on(&object, "not-ready", "x-1"), on);
    }
}

//! From a document's text to its value, within bounds: YAML and JSON by the same laws.
//!
//! A key that stands twice is an error, as it is for the API server; depth and number of values are bounded, so that no
//! document, however it is made, takes much memory or the stack.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::{fmt, io, thread};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::granit_parser::ErrorKind;
use serde_saphyr::{DuplicateKeyPolicy, Error, ExternalMessageSource, MessageFormatter as _, UserMessageFormatter};

use super::budget::Budget;

/// How deep a document may be nested. KubeDB's own resource definitions have 34 levels; below the 128 of serde_json, so that
/// both formats end at the same depth with the same words.
pub const MAX_DEPTH: usize = 100;
/// How many values a document may have, those that aliases stand for included. A list of 10,000 databases has some 500,000.
pub const MAX_VALUES: usize = 1_000_000;
/// How many of the parser's events aliases may stand for: ten levels of ten aliases are ten thousand million.
const MAX_REPLAYED: usize = 100_000;

/// The stack that the deepest document takes, in bytes, with much room: a level takes up to 35 kB in a debug build, and three
/// times that under a sanitizer.
const STACK: usize = 32 * 1024 * 1024;

/// Runs `work` with a stack that is deep enough to read any document.
///
/// # Errors
/// Where the system has no room for a further thread.
pub fn with_room<R: Send>(work: impl FnOnce() -> R + Send) -> io::Result<R> {
    thread::scope(|scope| {
        let done = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work)?.join();
        // A panic goes on where it would have gone without the thread.
        Ok(done.unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Why a text has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line in the text, from 1.
    pub line: usize,
    /// What is wrong, without its place.
    pub message: String,
}

/// A value of a text.
#[derive(Debug)]
pub struct Part {
    /// Where it begins in the text, in bytes.
    pub offset: usize,
    /// The value.
    pub value: Value,
}

/// The values of a text, and what ended them early. YAML has one document here; JSON may have several, one after the other.
///
/// What begins with a brace is tried as JSON first: it is quicker, and several objects may follow one another. Where its first
/// object is none, it may still be YAML's, unless the file's name promises `json`.
///
/// What was built is taken from the run's `budget`, also where it came to nothing.
#[must_use]
pub fn values(text: &str, json: bool, budget: &Budget) -> (Vec<Part>, Option<Fault>) {
    if text.trim_start().starts_with('{') {
        let left = Cell::new(MAX_VALUES);
        let (parts, fault) = json_values(text, &left);
        budget.values(MAX_VALUES - left.get());
        if fault.is_none() || json || !parts.is_empty() {
            return (parts, fault);
        }
    }
    match yaml_value(text, budget) {
        Ok(part) => (vec![part], None),
        Err(fault) => (Vec::new(), Some(fault)),
    }
}

fn json_values(text: &str, left: &Cell<usize>) -> (Vec<Part>, Option<Fault>) {
    let mut parts = Vec::new();
    let mut offset = 0;
    // The first pass finds where each object ends, the second reads it; a mistake is told by whichever meets it.
    let mut ends = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let fault = |error: &serde_json::Error, before: &str| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = error.to_string();
        let message = message.strip_suffix(&place).unwrap_or(&message).to_owned();
        Some(Fault { line: newlines(before) + error.line().max(1), message })
    };
    while let Some(end) = ends.next() {
        if let Err(error) = end {
            return (parts, fault(&error, ""));
        }
        let rest = &text[offset..ends.byte_offset()];
        let begins = offset + rest.len() - rest.trim_start().len();
        let mut from = serde_json::Deserializer::from_str(&text[begins..ends.byte_offset()]);
        match (Bounded { left, depth: 0 }).deserialize(&mut from) {
            Ok(value) => parts.push(Part { offset: begins, value }),
            Err(error) => return (parts, fault(&error, &text[..begins])),
        }
        offset = ends.byte_offset();
    }
    (parts, None)
}

fn yaml_value(text: &str, budget: &Budget) -> Result<Part, Fault> {
    let left = Cell::new(MAX_VALUES);
    let nodes = Rc::new(Cell::new(0));
    let counted = Rc::clone(&nodes);
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // One more than ours, so that depth is told in our words.
            max_depth: MAX_DEPTH + 1,
            flow_nesting_limit: MAX_DEPTH + 1,
            max_events: 4 * MAX_VALUES,
            max_nodes: 2 * MAX_VALUES,
            max_recorded_anchor_events: MAX_REPLAYED,
            // Many aliases of one anchor are no bomb: what they stand for is counted.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        duplicate_keys: DuplicateKeyPolicy::Error,
        // 0644 is a number to Kubernetes, as in YAML 1.1.
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let options = options.with_budget_report(move |report| counted.set(report.nodes));
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |from| {
        Bounded { left: &left, depth: 0 }.deserialize(from)
    });
    // The parser's own count: an alias may stand for values that a merge then drops.
    budget.values(nodes.get());
    read.map(|value| Part { offset: 0, value }).map_err(|error| Fault {
        line: error.location().and_then(|l| usize::try_from(l.line()).ok()).unwrap_or(1).max(1),
        message: words(&error),
    })
}

/// The parser's words; our own where a bound was met, so that it is told alike in YAML and JSON.
fn words(error: &Error) -> String {
    let too_deep = |source: &ExternalMessageSource| matches!(source, ExternalMessageSource::Parser(e) if matches!(e.kind(), ErrorKind::RecursionLimitExceeded));
    match error {
        Error::AliasError { error, .. } | Error::WithSnippet { error, .. } => words(error),
        Error::ExternalMessage { source, .. } if too_deep(source) => too_deep_words(),
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => too_deep_words(),
        Error::Budget { breach: BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. }, .. } => too_many_words(),
        Error::AliasReplayLimitExceeded { .. } | Error::AliasReplayStackDepthExceeded { .. } | Error::Budget { .. } => {
            format!("its anchors and aliases stand for more than {MAX_REPLAYED} values")
        }
        other => UserMessageFormatter.format_message(other).into_owned(),
    }
}

fn too_deep_words() -> String {
    format!("it is nested more than {MAX_DEPTH} levels deep")
}

fn too_many_words() -> String {
    format!("it has more than {MAX_VALUES} values")
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|b| *b == b'\n').count()
}

/// Builds a value and counts what it builds.
#[derive(Clone, Copy)]
struct Bounded<'c> {
    left: &'c Cell<usize>,
    depth: usize,
}

impl Bounded<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            return Err(E::custom(too_deep_words()));
        }
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| D::Error::custom(too_many_words()))?);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON has")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("infinity and NaN are no numbers of JSON"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let below = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let below = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key \"{key}\" stands twice")));
            }
            let value = fields.next_value_seed(below)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn values(text: &str, json: bool) -> (Vec<Part>, Option<Fault>) {
        super::values(text, json, &Budget::default())
    }

    #[rstest]
    #[case::yaml("a: [1, x]\nb: ~\n", json!({"a": [1, "x"], "b": null}))]
    #[case::json(r#"{"a": [1, "x"], "b": null}"#, json!({"a": [1, "x"], "b": null}))]
    #[case::flow_yaml("{a: 1, b: x}", json!({"a": 1, "b": "x"}))]
    #[case::windows("a: 1\r\nb: 2\r\n", json!({"a": 1, "b": 2}))]
    #[case::alias("a: &x {b: 1}\nc: *x\n", json!({"a": {"b": 1}, "c": {"b": 1}}))]
    #[case::merge("a: &x {b: 1}\nc: {<<: *x, d: 2}\n", json!({"a": {"b": 1}, "c": {"b": 1, "d": 2}}))]
    #[case::octal("mode: 0644", json!({"mode": 420}))]
    #[case::number_as_key("1: x", json!({"1": "x"}))]
    #[case::negative("a: -1", json!({"a": -1}))]
    #[case::large("a: 9223372036854775808", json!({"a": 9_223_372_036_854_775_808_u64}))]
    #[case::fraction("a: 1.5", json!({"a": 1.5}))]
    fn reads(#[case] text: &str, #[case] wanted: Value) {
        let (parts, fault) = values(text, false);
        assert_eq!(fault, None);
        assert_eq!(parts.into_iter().map(|p| p.value).collect::<Vec<_>>(), [wanted]);
    }

    #[test]
    fn json_objects_may_follow_one_another_and_those_before_a_mistake_count() {
        let (parts, fault) = values("{\"a\": 1}\n {\"b\": 2}\n{\"c\": \n", true);
        let offsets: Vec<usize> = parts.iter().map(|p| p.offset).collect();
        assert_eq!(offsets, [0, 10]);
        assert_eq!(parts[1].value, json!({"b": 2}));
        let wanted = Fault { line: 4, message: "EOF while parsing a value".to_owned() };
        assert_eq!(fault, Some(wanted));
    }

    #[rstest]
    #[case::not_closed("a: [1", "", 1)]
    #[case::yaml_duplicate("a: 1\nb: 2\na: 3\n", "duplicate", 3)]
    #[case::json_duplicate("{\"a\": 1,\n\"a\": 2}", "the key \"a\" stands twice", 2)]
    #[case::json_after_json("{\"a\": 1}\n{\"b\": 1, \"b\": 2}", "the key \"b\" stands twice", 2)]
    #[case::no_number("a: .nan", "", 1)]
    #[case::flow_yaml("{a: [1, 2}", "", 1)]
    #[case::a_tab("a:\n\tb: 1\n", "", 2)]
    fn refuses(#[case] text: &str, #[case] says: &str, #[case] line: usize) {
        let fault = values(text, text.contains('"')).1.unwrap();
        assert!(fault.message.contains(says), "{fault:?}");
        assert_eq!(fault.line, line, "{fault:?}");
    }

    #[rstest]
    #[case::json_lists("[".repeat(10_000))]
    #[case::json_objects("{\"a\":".repeat(10_000) + "1" + &"}".repeat(10_000))]
    #[case::yaml_lists("- ".repeat(10_000))]
    #[case::yaml_maps((0..2_000).map(|i| " ".repeat(i) + "a:\n").collect::<String>())]
    fn deep(#[case] text: String) {
        let read = with_room(|| values(&text, false).1);
        let fault = read.unwrap().unwrap();
        assert_eq!(fault.message, "it is nested more than 100 levels deep");
    }

    #[test]
    fn an_alias_bomb() {
        let level = |i: usize| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "));
        let text: String = (1..10).map(level).collect();
        let fault = values(&format!("a0: &a0 [x, x, x, x, x, x, x, x, x]\n{text}"), false).1.unwrap();
        assert_eq!(fault.message, "its anchors and aliases stand for more than 100000 values");
    }

    #[test]
    fn a_flood_of_small_values() {
        let text = format!("{{\"a\": [{}0]}}", "0,".repeat(MAX_VALUES));
        let fault = values(&text, true).1.unwrap();
        assert_eq!(fault.message, "it has more than 1000000 values");
    }
}

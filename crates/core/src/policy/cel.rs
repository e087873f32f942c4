//! CEL out of the catalog's pointers and tests. Every text is made here, so that what must not be forgotten is said once: an
//! optional field is asked for as one, and an amount is never computed before its form is known to be bounded.

use std::fmt::Write as _;

use crate::catalog::{Engine, Pointer, Segment, Topology, When};
use crate::quantity::{LIMIT_EXPONENT, MAX_DIGITS, MAX_EXPONENT_DIGITS};

/// A text in CEL's quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A list of texts.
pub(super) fn list<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> String {
    let all: Vec<String> = texts.into_iter().map(|t| quoted(t.as_ref())).collect();
    format!("[{}]", all.join(", "))
}

/// The optional value at a way of plain fields below `root`: `object.?spec.?replicas`.
pub(super) fn optional(root: &str, way: &[Segment]) -> String {
    way.iter().fold(root.to_owned(), |mut text, segment| {
        let (Segment::Field(name) | Segment::Item { key: name, .. } | Segment::Each { key: name }) = segment;
        // Writing to a String cannot fail.
        let _ = write!(text, ".?{name}");
        text
    })
}

/// The number or amount of an optional value as a text; empty where there is none. An amount may be a text or a whole number.
pub(super) fn text(optional: &str) -> String {
    format!("{optional}.optMap(v, string(v)).orValue('')")
}

/// Whether `text` is an amount that dbscale reads, in the bounds of [`crate::quantity`].
///
/// The patterns come first: a comparison of `1e999999999` keeps the API server busy for half an hour.
pub(super) fn readable(text: &str) -> String {
    let run = MAX_DIGITS + 2; // one digit more than allowed, and the point
    format!(
        "({text}.matches('^[+-]?([0-9]{{1,{MAX_DIGITS}}}([.][0-9]{{0,{MAX_DIGITS}}})?|[.][0-9]{{1,{MAX_DIGITS}}})\
         ([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{{1,{MAX_EXPONENT_DIGITS}}})?$') && !{text}.matches('[0-9.]{{{run}}}') && \
         quantity({text}).isLessThan(quantity('1e{LIMIT_EXPONENT}')) && \
         quantity({text}).isGreaterThan(quantity('-1e{LIMIT_EXPONENT}')))"
    )
}

/// At most the first 60 characters of a text, for messages.
pub(super) fn short(text: &str) -> String {
    format!("({text}.size() > 60 ? {text}.substring(0, 60) + '...' : {text})")
}

/// Whether the tests of a topology hold for `root`.
fn holds(root: &str, when: &[When]) -> String {
    let test = |when: &When| match when {
        When::Present { present } => format!("{}.hasValue()", optional(root, present.segments())),
        When::Absent { absent } => format!("!{}.hasValue()", optional(root, absent.segments())),
        When::Is { at, is, or_absent } => {
            let is = format!("{}.orValue('') == {}", optional(root, at.segments()), quoted(is));
            match or_absent {
                Some(or) => format!("({is} || !{}.hasValue())", optional(root, or.segments())),
                None => is,
            }
        }
        When::AtMost { at, at_most } => {
            format!("{}.orValue({at_most}) <= {at_most}", optional(root, at.segments()))
        }
    };
    if when.is_empty() { "true".to_owned() } else { when.iter().map(test).collect::<Vec<_>>().join(" && ") }
}

/// The name of the topology of `root`, the first whose tests hold; empty where none does.
pub(super) fn topology(engine: &Engine, root: &str) -> String {
    let tried = |rest: String, topology: &Topology| {
        format!("{} ? {} :\n{rest}", holds(root, &topology.when), quoted(&topology.name))
    };
    engine.topologies.iter().rev().fold("''".to_owned(), tried)
}

/// The way to a list and the way below its items, where the pointer stands for several places; its key too.
pub(super) fn split(pointer: &Pointer) -> Option<(Vec<Segment>, &str, Vec<Segment>)> {
    let segments = pointer.segments();
    let (at, key) = segments.iter().enumerate().find_map(|(at, segment)| match segment {
        Segment::Each { key } => Some((at, key.as_str())),
        _ => None,
    })?;
    Some((segments[..at].to_vec(), key, segments[at + 1..].to_vec()))
}

/// The place of a list's item `item`, as people read it: an expression for `spec.rack[name=r0].storage`.
pub(super) fn place_of_item(pointer: &Pointer, key: &str, item: &str) -> String {
    let dotted = pointer.dotted();
    let (before, after) = dotted.split_once(&format!("[{key}=*]")).unwrap_or((&dotted, ""));
    format!("{} + {item} + {}", quoted(&format!("{before}[{key}=")), quoted(&format!("]{after}")))
}

/// A list of maps, one for each place that the pointer stands for. `map` makes one, of the place as people read it and of the
/// optional value there.
pub(super) fn maps(pointer: &Pointer, map: impl Fn(&str, &str) -> String) -> String {
    match split(pointer) {
        None => format!("[{}]", map(&quoted(&pointer.dotted()), &optional("object", pointer.segments()))),
        Some((list, key, rest)) => {
            let at = place_of_item(pointer, key, &format!("i.?{key}.orValue('')"));
            format!("{}.orValue([]).map(i, {})", optional("object", &list), map(&at, &optional("i", &rest)))
        }
    }
}

/// Lists, one after the other.
pub(super) fn joined(lists: &[String]) -> String {
    if lists.is_empty() { "[]".to_owned() } else { lists.join("\n+ ") }
}

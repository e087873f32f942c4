use proptest::prelude::*;
use rstest::rstest;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::*;

fn read<'t, T: serde::Deserialize<'t>>(text: &'t str) -> Result<T, String> {
    let mut reader = Reader::new(text.as_bytes());
    let value = T::deserialize(&mut reader).map_err(|e| e.to_string())?;
    reader.end().map_err(|e| e.to_string())?;
    Ok(value)
}

/// A text that ends, escapes or opens things, of a length that puts them on either side of a block's end.
fn awkward() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec!["\\", "\"", "{", "]", "ä", "\n", " ", "x"]);
    prop::collection::vec(piece, 0..90).prop_map(|pieces| pieces.concat())
}

fn any_json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![any::<i64>().prop_map(Value::from), any::<u64>().prop_map(Value::from)];
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, awkward().prop_map(Value::from)];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let fields = prop::collection::vec((awkward(), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::from),
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_read_is_what_serde_json_reads_and_what_is_skipped_ends_where_it_ends(value in any_json()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert_eq!(read::<Value>(&text), Ok(value.clone()));
            let pair = format!("[ {text} , 7]");
            let (_, seven) = read::<(IgnoredAny, i64)>(&pair).unwrap();
            prop_assert_eq!(seven, 7);
            for end in (0..pair.len()).filter(|end| pair.is_char_boundary(*end)) {
                prop_assert!(read::<IgnoredAny>(&pair[..end]).is_err(), "{}", &pair[..end]);
            }
        }
    }
}

#[rstest]
#[case::nothing("", "EOF")]
#[case::two("1 2", "trailing characters")]
#[case::comma_at_the_end("[1,]", "EOF")]
#[case::comma_at_the_beginning("[,1]", "EOF")]
#[case::no_comma("[1 2]", "expected `,`")]
#[case::no_colon("{\"a\" 1}", "expected `:`")]
#[case::a_key_that_is_no_text("{1: 2}", "key must be a string")]
#[case::a_comma_before_the_end("{\"a\": 1,}", "key must be a string")]
#[case::no_word("trve", "expected `true`")]
#[case::no_number("1x", "trailing characters")]
#[case::too_large("1e999", "number out of range")]
#[case::open_text("\"a", "EOF")]
#[case::line_break_in_a_text("\"a\nb\"", "control character")]
#[case::half_a_pair("\"\\ud800\"", "hex escape")]
fn what_is_no_json_is_told(#[case] text: &str, #[case] says: &str) {
    let error = read::<Value>(text).unwrap_err();
    assert!(error.contains(says), "{error}");
}

#[test]
fn only_what_is_read_has_a_depth() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(read::<Value>(&deep(128)).is_ok());
    assert!(read::<Value>(&deep(129)).unwrap_err().contains("recursion limit"));
    assert!(read::<IgnoredAny>(&deep(100_000)).is_ok());
}

#[test]
fn a_text_without_escapes_is_borrowed() {
    assert_eq!(read::<&str>("\"ä b\""), Ok("ä b"));
    assert_eq!(read::<Option<&str>>("null"), Ok(None));
    assert!(read::<&str>("\"\\n\"").is_err());
    assert_eq!(read::<Value>("[0, -1.5, true]"), Ok(json!([0, -1.5, true])));
}

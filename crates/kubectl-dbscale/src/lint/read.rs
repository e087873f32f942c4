//! From a file's bytes to Kubernetes objects, each with the document it stands in.

use std::sync::Arc;

use serde_json::Value;

use super::split;
use super::value::{self, Part};

/// A document of a file.
#[derive(Debug)]
pub struct Document {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line in the file that the text begins on, from 1.
    pub line: usize,
    /// The text.
    pub text: Box<str>,
}

/// What is found in a file.
#[derive(Debug)]
pub enum Found {
    /// A Kubernetes object.
    Object(Object),
    /// A document that cannot be read.
    Broken(Broken),
}

/// A Kubernetes object: what has an `apiVersion` or a `kind`.
#[derive(Debug)]
pub struct Object {
    /// Where it stands.
    pub document: Arc<Document>,
    /// The path to it in the document; empty but in a List: `items[3]`.
    pub at: String,
    /// The object.
    pub value: Value,
}

/// A document that cannot be read.
#[derive(Debug)]
pub struct Broken {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line in the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// What the document seems to be.
    pub name: Name,
}

/// What an object is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Name {
    /// `kind`
    pub kind: String,
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
}

impl Name {
    /// Reads the name of an object; what is missing or no text is empty.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { kind: text("/kind"), namespace: text("/metadata/namespace"), name: text("/metadata/name") }
    }

    /// Guesses the name of a document that cannot be parsed, from lines at their usual places.
    fn guess(text: &str) -> Self {
        let mut name = Self::default();
        let mut in_metadata = false;
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim().trim_matches(['"', '\'']);
            match key {
                "kind" => value.clone_into(&mut name.kind),
                "  name" if in_metadata => value.clone_into(&mut name.name),
                "  namespace" if in_metadata => value.clone_into(&mut name.namespace),
                _ => {}
            }
            if !key.starts_with([' ', '#']) {
                in_metadata = key == "metadata";
            }
        }
        name
    }
}

/// Finds the objects of a file, in its order.
pub fn objects(file: &str, bytes: &[u8], found: &mut dyn FnMut(Found)) {
    let name: Arc<str> = Arc::from(file);
    let json = file.to_ascii_lowercase().ends_with(".json");
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        // Windows PowerShell's `>` writes such files; cut into lines as bytes they would make a finding a line.
        found(Found::Broken(not_utf8(name, 1, "it is UTF-16")));
        return;
    }
    for piece in split::documents(bytes) {
        match std::str::from_utf8(piece.bytes) {
            Ok(text) => document(&name, piece.line, text, json, found),
            Err(error) => {
                let before = piece.bytes[..error.valid_up_to()].split(|b| *b == b'\n');
                let line = piece.line + before.count() - 1;
                found(Found::Broken(not_utf8(Arc::clone(&name), line, "it is not UTF-8")));
            }
        }
    }
}

fn not_utf8(file: Arc<str>, line: usize, message: &str) -> Broken {
    let remedy = "save the file as UTF-8, as Kubernetes wants it".to_owned();
    Broken { file, line, message: message.to_owned(), remedy, name: Name::default() }
}

fn document(file: &Arc<str>, line: usize, text: &str, json: bool, found: &mut dyn FnMut(Found)) {
    let (parts, fault) = value::values(text, json);
    let ends: Vec<usize> = parts.iter().skip(1).map(|p| p.offset).chain([text.len()]).collect();
    let (mut counted, mut begins) = (0, line);
    for (Part { offset, value }, end) in parts.into_iter().zip(ends) {
        begins += text[counted..offset].matches('\n').count();
        counted = offset;
        if value.is_object() {
            let text = text[offset..end].into();
            flatten(&Arc::new(Document { file: Arc::clone(file), line: begins, text }), String::new(), value, found);
        }
    }
    if let Some(fault) = fault {
        found(Found::Broken(Broken {
            file: Arc::clone(file),
            line: line + fault.line - 1,
            message: fault.message,
            remedy: String::new(),
            name: Name::guess(text),
        }));
    }
}

/// Takes Lists apart, as kubectl does. Neither a List nor what has neither `apiVersion` nor `kind` is an object.
fn flatten(document: &Arc<Document>, at: String, mut value: Value, found: &mut dyn FnMut(Found)) {
    let is_list = value.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"));
    if is_list && let Some(Value::Array(items)) = value.get_mut("items").map(Value::take) {
        let prefix = if at.is_empty() { String::new() } else { format!("{at}.") };
        for (index, item) in items.into_iter().enumerate() {
            flatten(document, format!("{prefix}items[{index}]"), item, found);
        }
    } else if value.get("apiVersion").is_some() || value.get("kind").is_some() {
        found(Found::Object(Object { document: Arc::clone(document), at, value }));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(file: &str, bytes: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        objects(file, bytes, &mut |found| {
            all.push(match found {
                Found::Object(o) => {
                    let name = Name::of(&o.value);
                    format!("{}:{} {}/{}{}", o.document.line, o.at, name.kind, name.namespace, name.name)
                }
                Found::Broken(b) => format!("{}: {} {}", b.line, b.message, b.name.kind),
            });
        });
        all
    }

    #[rstest]
    #[case::one("kind: A\nmetadata: {name: x}\n", &["1: A/x"])]
    #[case::byte_order_mark("\u{feff}kind: A\n", &["1: A/"])]
    #[case::no_object("a: 1\n---\n- kind: A\n---\njust text\n", &[])]
    #[case::a_list("kind: List\nitems:\n- kind: A\n- {}\n- kind: BList\n  items: [{kind: B}]\n", &["1:items[0] A/", "1:items[2].items[0] B/"])]
    #[case::an_empty_list("kind: List\nitems: []\n", &[])]
    #[case::a_list_of_something_else("kind: AccessList\nspec: {}\n", &["1: AccessList/"])]
    #[case::json_in_a_row("{\"kind\": \"A\"}\n\n{\"kind\":\n\"B\"}", &["1: A/", "3: B/"])]
    #[case::the_broken_one_hides_no_other("kind: A\n---\nkind: B\nx: [\n---\nkind: C\n", &["1: A/", "4: unclosed bracket '[' B", "5: C/"])]
    fn finds(#[case] text: &str, #[case] wanted: &[&str]) {
        assert_eq!(read("x.yaml", text.as_bytes()), wanted);
    }

    #[rstest]
    #[case::latin(b"kind: A\n---\nkind: B\nname: \xe9\n", &["1: A/", "4: it is not UTF-8 "])]
    #[case::utf_16(b"\xff\xfek\0i\0n\0d\0\n\0", &["1: it is UTF-16 "])]
    fn other_encodings(#[case] bytes: &[u8], #[case] wanted: &[&str]) {
        assert_eq!(read("x.yaml", bytes), wanted);
    }

    #[test]
    fn guesses_the_name_of_what_cannot_be_parsed() {
        let text = "apiVersion: v1\nkind: \"A\"\nmetadata:\n  name: x\n  namespace: n\nspec:\n  name: y\n  {{ if }}\n";
        let wanted = Name { kind: "A".into(), namespace: "n".into(), name: "x".into() };
        assert_eq!(Name::guess(text), wanted);
    }
}

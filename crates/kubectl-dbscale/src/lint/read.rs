//! From a file's bytes to Kubernetes objects, each with the document it stands in.

use std::sync::Arc;

use dbscale_core::catalog::{Catalog, DATABASE_GROUP, OPS_GROUP};
use serde_json::Value;

use super::budget::Budget;
use super::files::Unreadable;
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
    /// Whether it seems to be an object of KubeDB's.
    pub ours: bool,
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
}

/// What a document that cannot be parsed seems to be, from lines at their usual places.
#[derive(Debug, Default, PartialEq, Eq)]
struct Guess {
    api_version: String,
    name: Name,
}

impl Guess {
    fn of(text: &str) -> Self {
        let mut guess = Self::default();
        let mut in_metadata = false;
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim().trim_matches(['"', '\'']);
            match key {
                "apiVersion" => value.clone_into(&mut guess.api_version),
                "kind" => value.clone_into(&mut guess.name.kind),
                "  name" if in_metadata => value.clone_into(&mut guess.name.name),
                "  namespace" if in_metadata => value.clone_into(&mut guess.name.namespace),
                _ => {}
            }
            if !key.starts_with([' ', '#']) {
                in_metadata = key == "metadata";
            }
        }
        guess
    }

    /// Whether it seems to be KubeDB's. Its group says so. Of a List, of JSON, whose fields have no usual place, and where a
    /// template makes the group, any object's group does; where there is none at all, any object's kind.
    fn is_ours(&self, text: &str) -> bool {
        let is_written = |api_version: &str| !api_version.is_empty() && !api_version.starts_with("{{");
        if is_written(&self.api_version) && !self.name.kind.ends_with("List") {
            return is_of_kubedb(&self.api_version);
        }
        let mut versions = values_of(text, "apiVersion").filter(|v| is_written(v)).peekable();
        if versions.peek().is_some() {
            versions.any(is_of_kubedb)
        } else {
            values_of(text, "kind").any(is_kubedbs_kind)
        }
    }
}

/// What follows a key wherever it stands, to the end of the text.
fn values_of<'t>(text: &'t str, key: &'static str) -> impl Iterator<Item = &'t str> {
    text.split(key).skip(1).map(|rest| rest.trim_start_matches(['"', '\'', ':', ' ']))
}

fn is_kubedbs_kind(text: &str) -> bool {
    let kind = text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let catalog = Catalog::builtin();
    catalog.of_ops_kind(kind).is_some() || catalog.of_kind(kind).is_some()
}

fn is_of_kubedb(api_version: &str) -> bool {
    api_version.split_once('/').is_some_and(|(group, _)| [DATABASE_GROUP, OPS_GROUP].contains(&group))
}

/// Finds the objects of a file, in its order.
///
/// # Errors
/// Where the run's budget is spent before the file's end.
pub fn objects(file: &str, bytes: &[u8], budget: &Budget, found: &mut dyn FnMut(Found)) -> Result<(), Unreadable> {
    budget.bytes(bytes.len());
    let name: Arc<str> = Arc::from(file);
    let json = file.to_ascii_lowercase().ends_with(".json");
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        // Windows PowerShell's `>` writes such files; cut into lines as bytes they would make a finding a line.
        found(Found::Broken(not_utf8(name, 1, "it is UTF-16", bytes)));
        return Ok(());
    }
    for piece in split::documents(bytes) {
        if let Some(spent) = budget.spent() {
            let reason = format!("{spent}; from here on nothing is judged: lint fewer files at once");
            return Err(Unreadable { name: format!("{file}:{}", piece.line), reason });
        }
        match std::str::from_utf8(piece.bytes) {
            Ok(text) => document(&name, piece.line, text, json, budget, found),
            Err(error) => {
                let before = piece.bytes[..error.valid_up_to()].split(|b| *b == b'\n');
                let line = piece.line + before.count() - 1;
                found(Found::Broken(not_utf8(Arc::clone(&name), line, "it is not UTF-8", piece.bytes)));
            }
        }
    }
    Ok(())
}

fn not_utf8(file: Arc<str>, line: usize, message: &str, bytes: &[u8]) -> Broken {
    let remedy = "save the file as UTF-8, as Kubernetes wants it".to_owned();
    // Without its zeroes, what ASCII there is in UTF-16 can be read.
    let bytes: Vec<u8> = bytes.iter().copied().filter(|b| *b != 0).collect();
    let text = String::from_utf8_lossy(&bytes);
    let guess = Guess::of(&text);
    Broken { file, line, message: message.to_owned(), remedy, ours: guess.is_ours(&text), name: guess.name }
}

fn document(file: &Arc<str>, line: usize, text: &str, json: bool, budget: &Budget, found: &mut dyn FnMut(Found)) {
    let (parts, fault) = value::values(text, json, budget);
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
        let guess = Guess::of(text);
        found(Found::Broken(Broken {
            file: Arc::clone(file),
            line: line + fault.line - 1,
            message: fault.message,
            remedy: String::new(),
            ours: guess.is_ours(text),
            name: guess.name,
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
        let done = objects(file, bytes, &Budget::default(), &mut |found| {
            all.push(match found {
                Found::Object(o) => {
                    let name = Name::of(&o.value);
                    format!("{}:{} {}/{}{}", o.document.line, o.at, name.kind, name.namespace, name.name)
                }
                Found::Broken(b) => format!("{}: {} {}", b.line, b.message, b.name.kind),
            });
        });
        assert_eq!(done, Ok(()));
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
    #[case::latin(b"kind: A\n---\nkind: B\nname: \xe9\n", &["1: A/", "4: it is not UTF-8 B"])]
    #[case::utf_16(b"\xff\xfek\0i\0n\0d\0\n\0", &["1: it is UTF-16 "])]
    fn other_encodings(#[case] bytes: &[u8], #[case] wanted: &[&str]) {
        assert_eq!(read("x.yaml", bytes), wanted);
    }

    #[test]
    fn guesses_the_name_of_what_cannot_be_parsed() {
        let text = "apiVersion: v1\nkind: \"A\"\nmetadata:\n  name: x\n  namespace: n\nspec:\n  name: y\n  {{ if }}\n";
        let name = Name { kind: "A".into(), namespace: "n".into(), name: "x".into() };
        assert_eq!(Guess::of(text), Guess { api_version: "v1".into(), name });
    }

    #[rstest]
    #[case::database("apiVersion: kubedb.com/v1\nkind: MySQL\n", true)]
    #[case::request("kind: MySQLOpsRequest\napiVersion: \"ops.kubedb.com/v1alpha1\"\n", true)]
    #[case::a_kind_of_tomorrow("apiVersion: kubedb.com/v1\nkind: NewDB\n", true)]
    #[case::no_group("kind: MySQL\n", true)]
    #[case::a_group_that_a_template_makes("apiVersion: {{ .Values.api }}\nkind: MySQL\n", true)]
    #[case::in_a_list("apiVersion: v1\nkind: List\nitems:\n- apiVersion: kubedb.com/v1\n", true)]
    #[case::in_json("{\"apiVersion\": \"ops.kubedb.com/v1alpha1\", \"kind\": ", true)]
    #[case::in_json_without_a_group("{\"kind\": \"MySQL\", \"spec\": ", true)]
    #[case::a_list_of_another_operators(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: kafka.strimzi.io/v1beta2\n  kind: Kafka\n",
        false
    )]
    #[case::a_deployment("apiVersion: apps/v1\nkind: Deployment\nspec: {{ include \"x\" }}\n", false)]
    #[case::of_another_operator("apiVersion: kafka.strimzi.io/v1beta2\nkind: Kafka\n", false)]
    #[case::another_group_that_ends_so("apiVersion: autoscaling.kubedb.com/v1alpha1\nkind: MySQLAutoscaler\n", false)]
    #[case::names_one_of_ours("apiVersion: v1\nkind: ConfigMap\ndata: {a: 'apiVersion: kubedb.com/v1'\n", false)]
    #[case::a_list_of_others("kind: List\nitems:\n- apiVersion: v1\n", false)]
    #[case::nothing("a: [\n", false)]
    fn whose_it_seems_to_be(#[case] text: &str, #[case] ours: bool) {
        assert_eq!(Guess::of(text).is_ours(text), ours);
    }
}

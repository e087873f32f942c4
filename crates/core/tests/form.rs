//! The form by which requests are read, against KubeDB's OpsRequest CRDs: the same fields, types, words and bounds.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::data;
use dbscale_core::catalog::{Catalog, Engine, Field, Kind, Node, STANZAS};
use serde_json::{Value, json};

/// What differs of one engine.
struct Faults<'e> {
    engine: &'e Engine,
    found: Vec<String>,
}

impl Faults<'_> {
    fn check(&mut self, ok: bool, path: &str, what: &str) {
        if !ok {
            self.found.push(format!("{} {path}: {what}", self.engine.name));
        }
    }

    /// The fields that every OpsRequest has.
    fn head(&mut self, spec: &Value) {
        let field = |name: &str| spec["properties"][name].clone();
        let required: BTreeSet<&str> =
            spec["required"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
        let reference = self.engine.reference.as_str();
        self.check(required == BTreeSet::from([reference, "type"]), "spec", "required");
        self.check(field("apply")["enum"] == json!(["IfReady", "Always"]), "spec.apply", "the words");
        self.check(field("timeout")["type"] == "string", "spec.timeout", "the type");
        if self.engine.max_retries {
            self.check(field("maxRetries")["format"] == "int32", "spec.maxRetries", "the type");
        }
        let name = &field(reference)["properties"]["name"];
        self.check(name["type"] == "string" && name["default"] == "", reference, "the name");
    }

    fn node(&mut self, path: &str, node: &Node, schema: &Value) {
        match node {
            Node::Block(fields) => {
                self.check(schema["type"] == "object", path, "no object");
                self.fields(path, fields.iter().map(|(name, node)| (name.as_str(), node)).collect(), schema, None);
            }
            Node::List { key, item } => {
                self.check(schema["type"] == "array", path, "no list");
                let Node::Block(fields) = &**item else { panic!("{path}: an item is a block") };
                let fields = fields.iter().map(|(name, node)| (name.as_str(), node)).collect();
                self.fields(&format!("{path}[]"), fields, &schema["items"], Some(key));
            }
            Node::Count(_) => {
                self.check(schema["type"] == "integer" && schema["format"] == "int32", path, "no number of 32 bits");
            }
            Node::Amount(_) => self.check(schema["x-kubernetes-int-or-string"] == true, path, "no amount"),
            Node::Resources(_) => {
                let fields: BTreeSet<&str> =
                    schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
                let known = BTreeSet::from(["claims", "limits", "requests"]);
                self.check(fields == known, path, &format!("a container's resources have {fields:?}"));
                for side in ["limits", "requests"] {
                    let amount = &schema["properties"][side]["additionalProperties"];
                    self.check(amount["x-kubernetes-int-or-string"] == true, path, side);
                }
            }
            Node::Option(field) => self.option(path, field, schema),
        }
    }

    /// The fields of a block, by name; the key of a list's item is the list's own.
    fn fields(&mut self, path: &str, fields: Vec<(&str, &Node)>, schema: &Value, key: Option<&str>) {
        let names: BTreeSet<&str> = fields.iter().map(|(name, _)| *name).chain(key).collect();
        let properties = schema["properties"].as_object();
        let known: BTreeSet<&str> = properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        self.check(names == known, path, &format!("the CRD has {known:?}, the catalog {names:?}"));
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().map(|r| r.as_str().unwrap()).collect();
        let wanted = fields.iter().filter(|(_, n)| matches!(n, Node::Option(Field { required: true, .. })));
        let wanted: BTreeSet<&str> = wanted.map(|(name, _)| *name).collect();
        // A list's key is needed whether the CRD says so or not: without it the item cannot be told.
        let required: BTreeSet<&str> = required.into_iter().filter(|name| Some(*name) != key).collect();
        self.check(required == wanted, path, &format!("the CRD requires {required:?}, the catalog {wanted:?}"));
        for (name, node) in fields {
            self.node(&format!("{path}.{name}"), node, &schema["properties"][name]);
        }
    }

    fn option(&mut self, path: &str, field: &Field, schema: &Value) {
        let kind = match field.kind {
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Boolean => "boolean",
            Kind::Integer => "integer",
        };
        self.check(schema["type"] == kind, path, &format!("the CRD has {}, the catalog {kind}", schema["type"]));
        let words = schema.get("enum").cloned().unwrap_or_else(|| json!([]));
        self.check(words == json!(field.one_of), path, &format!("the words are {words}"));
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
        self.check(bound("minimum") == field.least && bound("maximum") == field.most, path, "the bounds");
        // Of an object that dbscale has no use for, only what must be there is known, and only where placement needs it.
        if !field.has.is_empty() {
            self.check(schema["required"] == json!(field.has), path, "what must be there");
        }
    }
}

#[test]
fn requests_are_read_by_the_form_that_kubedb_gave_them() {
    let Some(folder) = data("the form of requests is not compared with KubeDB's resource definitions") else { return };
    let mut found = Vec::new();
    for engine in Catalog::builtin().engines() {
        let path = folder.join("crds").join(format!("ops.kubedb.com_{}.yaml", engine.ops_plural()));
        let definition: Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut faults = Faults { engine, found: Vec::new() };
        faults.head(spec);
        for stanza in STANZAS {
            let (form, schema) = (engine.form().stanza(stanza), spec["properties"].get(stanza.field));
            let there = engine.types.iter().any(|t| t == stanza.ops_type);
            faults.check(form.is_some() == there, stanza.field, "a form without its type, or the other way round");
            if let (Some(form), Some(schema)) = (form, schema) {
                faults.node(stanza.field, form, schema);
            } else {
                faults.check(form.is_none(), stanza.field, "the CRD lacks it");
            }
        }
        found.extend(faults.found);
    }
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

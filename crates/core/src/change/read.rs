//! Reads an OpsRequest of any shape, in one walk over the engine's [`Form`](crate::catalog::Form).

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Fault, Request, STANZAS, Stanza, What, Wish};
use crate::amount::{ResourceSet, Side, Written};
use crate::catalog::{Asker, Component, Engine, Exclusive, Field, Kind, Node};
use crate::database::{Database, MOST_ITEMS};

/// What an OpsRequest holds; its name, type and phase are left to the caller.
pub(super) struct Read {
    pub wishes: Vec<Wish>,
    pub request: Request,
}

/// Reads the spec of an OpsRequest. The stanzas of a type that does not scale are nobody's business and are not looked at.
pub(super) fn request(engine: &'static Engine, object: &Value, database: Option<&Database>) -> Read {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let mut reader = Reader {
        engine,
        spec,
        database,
        way: vec![Step::Field("spec")],
        read: Read { wishes: Vec::new(), request: Request::default() },
    };
    match (object, spec) {
        (Value::Object(_), Value::Object(fields)) => {
            reader.head(fields);
            let ops_type = spec.get("type").and_then(Value::as_str).unwrap_or_default();
            let scales = STANZAS.iter().any(|s| s.ops_type == ops_type);
            if scales || !engine.types.iter().any(|t| t == ops_type) {
                for stanza in STANZAS {
                    reader.stanza(stanza, fields, ops_type);
                }
                reader.exclusive();
            }
        }
        (Value::Object(_), Value::Null) => reader.fault("it is required, and it is not there"),
        (Value::Object(_), other) => reader.fault_of_type("an object", other),
        (other, _) => {
            reader.way.clear();
            reader.fault_of_type("an object", other);
        }
    }
    reader.read
}

/// A step on the way from the root to the value that is looked at.
#[derive(Clone, Copy)]
enum Step<'v> {
    Field(&'v str),
    Item(&'v str, &'v str),
}

struct Reader<'v> {
    engine: &'static Engine,
    spec: &'v Value,
    database: Option<&'v Database>,
    way: Vec<Step<'v>>,
    read: Read,
}

impl<'v> Reader<'v> {
    /// The fields that all OpsRequests have. Source: the 32 CRDs, where they are the same.
    fn head(&mut self, fields: &'v Map<String, Value>) {
        const APPLY: [&str; 2] = ["IfReady", "Always"];
        let engine = self.engine;
        let reference = engine.reference.as_str();
        for (name, kind) in [("type", Kind::String), (reference, Kind::Object)] {
            let there = self.at(Step::Field(name), |reader| match fields.get(name) {
                None | Some(Value::Null) => {
                    reader.fault("it is required, and it is not there");
                    false
                }
                Some(value) => reader.is(kind, value),
            });
            if name == reference
                && there
                && let Some(value) = fields[name].get("name").filter(|v| !v.is_null())
            {
                self.at(Step::Field(name), |r| r.at(Step::Field("name"), |r| r.is(Kind::String, value)));
            }
        }
        let value = |name: &str| fields.get(name).filter(|v| !v.is_null());
        if let Some(apply) = value("apply") {
            self.at(Step::Field("apply"), |reader| {
                if reader.is(Kind::String, apply) {
                    reader.one_of(&APPLY, apply);
                }
            });
        }
        if let Some(timeout) = value("timeout")
            && self.at(Step::Field("timeout"), |reader| reader.is(Kind::String, timeout))
        {
            self.read.request.timeout = timeout.as_str().map(str::to_owned);
        }
        if let Some(retries) = value("maxRetries").filter(|_| engine.max_retries)
            && self.at(Step::Field("maxRetries"), |reader| reader.is(Kind::Integer, retries))
        {
            self.read.request.max_retries = retries.as_i64();
        }
    }

    fn stanza(&mut self, stanza: &'static Stanza, fields: &'v Map<String, Value>, ops_type: &str) {
        let Some(value) = fields.get(stanza.field).filter(|v| !v.is_null()) else { return };
        self.read.request.stanzas.push(stanza);
        // A stanza that the engine does not have at all is told by other rules.
        let Some(form) = self.engine.form().stanza(stanza) else { return };
        if stanza.ops_type == ops_type {
            value.get("mode").and_then(Value::as_str).unwrap_or_default().clone_into(&mut self.read.request.mode);
        }
        if self.at(Step::Field(stanza.field), |reader| reader.node(form, value, None)) {
            self.read.request.filled.push(stanza);
        }
    }

    /// Reads a value by the form of its place, and tells whether it asks for something, readable or not.
    fn node(&mut self, node: &'static Node, value: &'v Value, item: Option<&str>) -> bool {
        match node {
            _ if value.is_null() => false,
            Node::Block(fields) => {
                if !self.is(Kind::Object, value) {
                    return true;
                }
                let Value::Object(values) = value else { return false };
                self.block(fields, values, item)
            }
            Node::List { key, item: form } => self.list(key, form, value),
            Node::Count(askers) => {
                if self.is(Kind::Integer, value)
                    && let (Some(asker), Some(n)) = (self.meant(askers), value.as_i64())
                {
                    let what = if asker.shards { What::Shards(n) } else { What::Replicas(n) };
                    self.wish(asker.component, item, what);
                }
                true
            }
            Node::Amount(components) => {
                if let (Some(component), Some(amount)) = (self.here(components), self.amount(value)) {
                    self.wish(component, item, What::Storage(amount));
                }
                true
            }
            Node::Resources(components) => {
                if self.is(Kind::Object, value)
                    && self.resources(value)
                    && let Some(component) = self.here(components)
                {
                    self.wish(component, item, What::Resources(ResourceSet::of(Some(value))));
                }
                true
            }
            Node::Option(field) => {
                self.option(field, value);
                field.acts
            }
        }
    }

    fn block(
        &mut self,
        fields: &'static indexmap::IndexMap<String, Node>,
        values: &'v Map<String, Value>,
        item: Option<&str>,
    ) -> bool {
        let mut asks = false;
        let mut known = 0;
        for (name, node) in fields {
            let value = values.get(name);
            known += usize::from(value.is_some());
            match (value.filter(|v| !v.is_null()), node) {
                (Some(value), _) => asks |= self.at(Step::Field(name), |r| r.node(node, value, item)),
                (None, Node::Option(Field { required: true, .. })) => {
                    self.at(Step::Field(name), |r| r.fault("it is required, and it is not there"));
                }
                (None, Node::Count(askers)) if askers.iter().any(|a| a.together) => {
                    let path = self.at(Step::Field(name), |r| r.path());
                    self.read.request.incomplete.push(path);
                }
                (None, _) => {}
            }
        }
        if known < values.len() {
            for name in values.iter().filter(|(_, v)| !v.is_null()).map(|(name, _)| name) {
                // The key of a list's item is no field of its form.
                if !fields.contains_key(name) && !self.is_key(name) {
                    let path = self.at(Step::Field(name), |r| r.path());
                    self.read.request.unknown.push(path);
                }
            }
        }
        asks
    }

    fn list(&mut self, key: &'static str, form: &'static Node, value: &'v Value) -> bool {
        if !self.is(Kind::Array, value) {
            return true;
        }
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if items.len() > MOST_ITEMS {
            self.fault(&format!("it has {} items, more than the {MOST_ITEMS} that are read", items.len()));
            return true;
        }
        let mut asks = false;
        let mut names: Vec<&str> = Vec::new();
        for item in items {
            let Some(name) = item.get(key).and_then(Value::as_str) else {
                self.fault(&format!("each of its items is an object with a text in {key}"));
                asks = true;
                continue;
            };
            if names.contains(&name) {
                let path = self.at(Step::Item(key, name), |r| r.path());
                self.read.request.duplicates.push(path);
            }
            names.push(name);
            asks |= self.at(Step::Item(key, name), |r| r.node(form, item, Some(name)));
        }
        asks
    }

    /// The first component that is meant: those with further fields that fit come first, then those that the database has.
    fn meant(&self, askers: &'static [Asker]) -> Option<&'static Asker> {
        let fits = |a: &&Asker| a.with.iter().all(|(at, value)| at.get(self.spec) == Some(value));
        let rank = |a: &&Asker| (!a.with.is_empty(), self.has(a.component));
        let mut best: Option<&Asker> = None;
        for asker in askers.iter().filter(fits) {
            if best.is_none_or(|b| rank(&asker) > rank(&b)) {
                best = Some(asker);
            }
        }
        best
    }

    fn here(&self, components: &[usize]) -> Option<usize> {
        components.iter().copied().find(|c| self.has(*c)).or_else(|| components.first().copied())
    }

    fn has(&self, component: usize) -> bool {
        let key = self.component(component).map(|(key, _)| key);
        self.database.is_some_and(|d| d.components.iter().any(|c| Some(c.key) == key))
    }

    fn component(&self, index: usize) -> Option<(&'static str, &'static Component)> {
        self.engine.components.get_index(index).map(|(key, component)| (key.as_str(), component))
    }

    fn wish(&mut self, component: usize, item: Option<&str>, what: What) {
        if let Some((component, _)) = self.component(component) {
            let (item, path) = (item.map(str::to_owned), self.path());
            self.read.wishes.push(Wish { component, item, path, what, before: None });
        }
    }

    /// An amount where the CRD takes a text or a whole number.
    fn amount(&mut self, value: &Value) -> Option<Written> {
        if value.is_string() || value.is_i64() || value.is_u64() {
            return Written::of(value);
        }
        self.fault_of_type("a text or a whole number", value);
        None
    }

    /// Whether `resources` has the form of a container's.
    fn resources(&mut self, value: &'v Value) -> bool {
        let mut fine = true;
        for (name, part) in value.as_object().into_iter().flatten().filter(|(_, part)| !part.is_null()) {
            let side = Side::ALL.iter().any(|side| side.field() == name);
            self.way.push(Step::Field(name));
            if side && self.is(Kind::Object, part) {
                for (name, amount) in part.as_object().into_iter().flatten().filter(|(_, amount)| !amount.is_null()) {
                    fine &= self.at(Step::Field(name), |r| r.amount(amount).is_some());
                }
            } else if side {
                fine = false;
            } else if name != "claims" {
                let path = self.path();
                self.read.request.unknown.push(path);
            }
            self.way.pop();
        }
        fine
    }

    fn option(&mut self, field: &Field, value: &Value) {
        if self.is(field.kind, value) {
            if !field.one_of.is_empty() {
                self.one_of(&field.one_of, value);
            }
            if let Some(n) = value.as_i64()
                && (field.least.is_some_and(|least| n < least) || field.most.is_some_and(|most| n > most))
            {
                let bound = |bound: Option<i64>| bound.map_or_else(|| "any".to_owned(), |n| n.to_string());
                self.fault(&format!("{n} is not within {} to {}", bound(field.least), bound(field.most)));
            }
            let missing: Vec<&str> = field
                .has
                .iter()
                .map(String::as_str)
                .filter(|name| value.get(name).is_none_or(Value::is_null))
                .collect();
            if !missing.is_empty() {
                self.fault(&format!("it has no {}", missing.join(" and no ")));
            }
        }
        let path = self.path();
        self.read.request.options.push((path, value.clone()));
    }

    fn exclusive(&mut self) {
        let spec = self.spec;
        let used = |Exclusive(groups): &Exclusive| {
            let there = |group: &Vec<crate::catalog::Pointer>| {
                // KubeDB counts the items of a list: an empty one is not there.
                let used = |v: &Value| !v.is_null() && v.as_array().is_none_or(|items| !items.is_empty());
                let fields = group.iter().filter(|p| p.get(spec).is_some_and(used));
                fields.map(|p| format!("spec.{}", p.dotted())).collect::<Vec<_>>()
            };
            groups.iter().map(there).filter(|fields| !fields.is_empty()).collect::<Vec<_>>()
        };
        let several = self.engine.exclusive.iter().map(used).filter(|groups| groups.len() > 1);
        let excluding = several.map(|groups| groups.iter().map(|g| g.join(", ")).collect()).collect();
        self.read.request.excluding = excluding;
    }

    /// Whether a value has this type; a fault where it has not.
    fn is(&mut self, kind: Kind, value: &Value) -> bool {
        let (fits, name) = match kind {
            Kind::Object => (value.is_object(), "an object"),
            Kind::Array => (value.is_array(), "a list"),
            Kind::String => (value.is_string(), "a text"),
            Kind::Boolean => (value.is_boolean(), "true or false"),
            Kind::Integer => (value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()), "a whole number of 32 bits"),
        };
        if !fits {
            self.fault_of_type(name, value);
        }
        fits
    }

    fn one_of<S: AsRef<str>>(&mut self, allowed: &[S], value: &Value) {
        if !allowed.iter().any(|a| value == a.as_ref()) {
            let list: Vec<&str> = allowed.iter().map(AsRef::as_ref).collect();
            self.fault(&format!("{} is not one of: {}", shown(value), list.join(", ")));
        }
    }

    fn fault_of_type(&mut self, wanted: &str, value: &Value) {
        self.fault(&format!("{} is not {wanted}", shown(value)));
    }

    fn fault(&mut self, message: &str) {
        let path = self.path();
        self.read.request.faults.push(Fault { path, message: message.to_owned() });
    }

    fn at<T>(&mut self, step: Step<'v>, then: impl FnOnce(&mut Self) -> T) -> T {
        self.way.push(step);
        let result = then(self);
        self.way.pop();
        result
    }

    /// Whether the way ends at a list's item that is told apart by `name`.
    fn is_key(&self, name: &str) -> bool {
        matches!(self.way.last(), Some(Step::Item(key, _)) if *key == name)
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.way {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                // Writing to a String cannot fail.
                Step::Field(name) => drop(write!(path, ".{name}")),
                Step::Item(key, value) => drop(write!(path, "[{key}={value}]")),
            }
        }
        path
    }
}

/// A value as a message repeats it: short, and what is large only by its type.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 40;
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        other => {
            let text = other.to_string();
            if text.chars().count() <= LONGEST {
                text
            } else {
                format!("{}…", text.chars().take(LONGEST).collect::<String>())
            }
        }
    }
}

//! What somebody wants of a database: wishes, wherever they come from (an OpsRequest, an update of the object, a command).

use serde_json::Value;

use crate::amount::{ResourceSet, Written};
use crate::catalog::{Component, Count, Engine, Pointer};
use crate::database::{ComponentView, Database};
use crate::status::{Phase, controller_of};

/// A wanted change of one database.
#[derive(Debug, Clone)]
pub struct Change {
    /// The engine.
    pub engine: &'static Engine,
    /// The database's namespace; may be empty in a file.
    pub namespace: String,
    /// The database's name; empty where a request names none.
    pub database: String,
    /// Where the wishes come from.
    pub source: Source,
    /// What is wanted.
    pub wishes: Vec<Wish>,
}

/// Where wishes come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// An OpsRequest.
    Request(Request),
    /// An update of the database object itself.
    Update,
}

/// The parts of an OpsRequest that the rules look at beside its wishes.
#[derive(Debug, Clone)]
pub struct Request {
    /// `metadata.name`; empty for a generated one.
    pub name: String,
    /// `spec.type`.
    pub ops_type: String,
    /// The scaling stanzas that are there and not null, in the order of [`STANZAS`].
    pub stanzas: Vec<&'static Stanza>,
    /// `status.phase`.
    pub phase: Phase,
    /// The controller that made it.
    pub controller: Option<String>,
    /// Fields of the scaling stanzas that the engine's OpsRequest does not have: `spec.horizontalScaling.member`.
    pub unknown: Vec<String>,
}

/// One value that is wanted of one component.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The component's key in [`Engine::components`].
    pub component: &'static str,
    /// The list item, where the component's items are addressed one by one.
    pub item: Option<String>,
    /// The place in the judged object: `spec.horizontalScaling.replicas`.
    pub path: String,
    /// What is wanted.
    pub what: What,
}

/// What is wanted of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// This many members.
    Replicas(i64),
    /// This many shards.
    Shards(i64),
    /// These resources of its container.
    Resources(ResourceSet),
    /// Volumes of this size.
    Storage(Written),
}

/// A block of the OpsRequest's spec that scales, and the `spec.type` that acts on it.
#[derive(Debug, PartialEq, Eq)]
pub struct Stanza {
    /// The field of the spec.
    pub field: &'static str,
    /// The type.
    pub ops_type: &'static str,
}

/// `spec.verticalScaling`.
pub const VERTICAL: Stanza = Stanza { field: "verticalScaling", ops_type: "VerticalScaling" };
/// `spec.horizontalScaling`.
pub const HORIZONTAL: Stanza = Stanza { field: "horizontalScaling", ops_type: "HorizontalScaling" };
/// `spec.volumeExpansion`.
pub const VOLUME: Stanza = Stanza { field: "volumeExpansion", ops_type: "VolumeExpansion" };
/// The three scaling stanzas.
pub const STANZAS: [&Stanza; 3] = [&VERTICAL, &HORIZONTAL, &VOLUME];

impl Request {
    /// The stanza that the type names; `None` for a type that does not scale.
    #[must_use]
    pub fn named_stanza(&self) -> Option<&'static Stanza> {
        STANZAS.into_iter().find(|s| s.ops_type == self.ops_type)
    }
}

impl Wish {
    /// The catalog entry of the wish's component.
    #[must_use]
    pub fn component_of(&self, engine: &'static Engine) -> &'static Component {
        &engine.components[self.component]
    }

    /// The component of the database that the wish is for.
    #[must_use]
    pub fn view<'d>(&self, database: &'d Database) -> Option<&'d ComponentView> {
        database.components.iter().find(|c| c.key == self.component && c.item == self.item)
    }

    /// The component's name as people write it.
    #[must_use]
    pub fn component_name(&self, engine: &'static Engine) -> String {
        let name = &self.component_of(engine).name;
        self.item.as_ref().map_or_else(|| name.clone(), |item| format!("{name}/{item}"))
    }

    /// The type of OpsRequest that this wish takes.
    #[must_use]
    pub fn ops_type(&self) -> &'static str {
        match self.what {
            What::Replicas(_) | What::Shards(_) => HORIZONTAL.ops_type,
            What::Resources(_) => VERTICAL.ops_type,
            What::Storage(_) => VOLUME.ops_type,
        }
    }
}

impl Change {
    /// Reads an OpsRequest. `database` tells which of several components with one field is meant; without it the first is.
    #[must_use]
    pub fn of_request(engine: &'static Engine, object: &Value, database: Option<&Database>) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let spec = object.get("spec").unwrap_or(&Value::Null);
        let stanzas = STANZAS.into_iter().filter(|s| spec.get(s.field).is_some_and(|v| !v.is_null())).collect();
        Self {
            engine,
            namespace: text("/metadata/namespace"),
            database: text(&format!("/spec/{}/name", engine.reference)),
            source: Source::Request(Request {
                name: text("/metadata/name"),
                ops_type: text("/spec/type"),
                stanzas,
                phase: Phase::of(&text("/status/phase")),
                controller: controller_of(object),
                unknown: unknown_fields(engine, spec),
            }),
            wishes: request_wishes(engine, spec, database),
        }
    }

    /// What an update of a database object changes: only values that differ.
    #[must_use]
    pub fn of_update(old: &Database, new: &Database) -> Self {
        let mut wishes = Vec::new();
        for view in &new.components {
            let before = old.components.iter().find(|c| c.key == view.key && c.item == view.item);
            for place in &view.places {
                let then = before.and_then(|b| b.places.iter().find(|p| p.item == place.item));
                let mut add = |path: String, what| {
                    wishes.push(Wish { component: view.key, item: view.item.clone(), path, what });
                };
                if let Some(n) = place.replicas.filter(|n| then.and_then(|t| t.replicas) != Some(*n)) {
                    add(count_path(view.component.replicas.as_ref(), place.item.as_ref()), What::Replicas(n));
                }
                if let Some(n) = place.shards.filter(|n| then.and_then(|t| t.shards) != Some(*n)) {
                    add(count_path(view.component.shards.as_ref(), place.item.as_ref()), What::Shards(n));
                }
                if let Some(size) = &place.storage {
                    let same = then.and_then(|t| t.storage.as_ref()).is_some_and(|t| same_amount(t, size));
                    if !same {
                        add(place.storage_path.clone(), What::Storage(size.clone()));
                    }
                }
            }
        }
        Self {
            engine: new.engine,
            namespace: new.namespace.clone(),
            database: new.name.clone(),
            source: Source::Update,
            wishes,
        }
    }

    /// The request, where the change is one.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match &self.source {
            Source::Request(request) => Some(request),
            Source::Update => None,
        }
    }
}

fn same_amount(a: &Written, b: &Written) -> bool {
    match (a.quantity(), b.quantity()) {
        (Some(a), Some(b)) => a == b,
        _ => a.text == b.text,
    }
}

fn count_path(count: Option<&Count>, item: Option<&String>) -> String {
    let at = count.and_then(|c| c.at.as_ref());
    at.map(|p| item.map_or_else(|| p.dotted(), |item| p.of_item(item).dotted())).unwrap_or_default()
}

/// Reads every field of the spec that the catalog knows, once: where several components share a field, the one of the
/// database's topology, told apart by the further fields that it wants (`maxscale: true`).
fn request_wishes(engine: &'static Engine, spec: &Value, database: Option<&Database>) -> Vec<Wish> {
    let here = |key: &str| database.is_some_and(|d| d.components.iter().any(|c| c.key == key));
    let mut components: Vec<(&'static str, &'static Component)> =
        engine.components.iter().map(|(key, component)| (key.as_str(), component)).collect();
    components.sort_by_key(|(key, _)| !here(key)); // stable: those that the database has come first
    let mut wishes = Vec::new();
    let mut read: Vec<&Pointer> = Vec::new();
    for marked in [true, false] {
        for (key, component) in &components {
            for (count, make) in
                [(&component.replicas, What::Replicas as fn(i64) -> What), (&component.shards, What::Shards)]
            {
                let Some(Count { ask: Some(ask), with, .. }) = count else { continue };
                let meant =
                    with.iter().all(|(at, value)| at.parse::<Pointer>().is_ok_and(|p| p.get(spec) == Some(value)));
                if with.is_empty() == marked || !meant || read.contains(&ask) {
                    continue;
                }
                let found = each(key, ask, spec, |v| v.as_i64().map(make));
                if !found.is_empty() {
                    read.push(ask);
                    wishes.extend(found);
                }
            }
        }
    }
    for (key, component) in &components {
        if let Some(ask) = component.resources.as_ref().and_then(|r| r.ask.as_ref())
            && !read.contains(&ask)
        {
            read.push(ask);
            let resources = ask.field("resources");
            let set = |v: &Value| v.is_object().then(|| What::Resources(ResourceSet::of(Some(v))));
            wishes.extend(each(key, &resources, spec, set));
        }
        if let Some(ask) = component.storage.as_ref().and_then(|s| s.ask.as_ref())
            && !read.contains(&ask)
        {
            read.push(ask);
            wishes.extend(each(key, ask, spec, |v| Written::of(v).map(What::Storage)));
        }
    }
    wishes
}

fn each(key: &'static str, ask: &Pointer, spec: &Value, read: impl Fn(&Value) -> Option<What>) -> Vec<Wish> {
    let wish = |item: Option<String>, at: Pointer| {
        let what = read(at.get(spec)?)?;
        Some(Wish { component: key, item, path: format!("spec.{}", at.dotted()), what })
    };
    if ask.is_list() {
        ask.items(spec).into_iter().filter_map(|item| wish(Some(item.clone()), ask.of_item(&item))).collect()
    } else {
        wish(None, ask.clone()).into_iter().collect()
    }
}

/// Fields of a stanza that every engine has and that are no component: how to scale, where to run.
const COMMON_FIELDS: [&str; 1] = ["mode"];

/// The fields of the scaling stanzas that neither a component nor the engine's list of unused ones knows.
fn unknown_fields(engine: &Engine, spec: &Value) -> Vec<String> {
    let mut known: Vec<String> = STANZAS
        .iter()
        .flat_map(|s| COMMON_FIELDS.map(|field| format!("{}.{field}", s.field)))
        .chain(engine.unused.keys().filter_map(|p| Some(p.parse::<Pointer>().ok()?.dotted())))
        .collect();
    for component in engine.components.values() {
        known.extend(crate::database::asks(component).map(Pointer::dotted));
        let counts = [&component.replicas, &component.shards].into_iter().flatten();
        known.extend(counts.flat_map(|c| c.with.keys()).filter_map(|p| Some(p.parse::<Pointer>().ok()?.dotted())));
    }
    // `a.b[name=*].c` is compared without its selectors, as the walk below does not see them.
    let known: Vec<String> = known.iter().map(|k| k.replace("[name=*]", "")).collect();
    let mut unknown = Vec::new();
    for stanza in STANZAS {
        if let Some(value) = spec.get(stanza.field) {
            walk(stanza.field, value, &known, &mut unknown);
        }
    }
    unknown
}

fn walk(path: &str, value: &Value, known: &[String], unknown: &mut Vec<String>) {
    let below = |k: &String| k.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    if known.iter().any(|k| k == path) {
        return; // all that is below belongs to it
    }
    match value {
        Value::Null => {}
        Value::Object(fields) if known.iter().any(below) => {
            for (name, value) in fields {
                walk(&format!("{path}.{name}"), value, known, unknown);
            }
        }
        Value::Array(items) if known.iter().any(below) => {
            for field in items.iter().filter_map(Value::as_object).flatten().filter(|(name, _)| *name != "name") {
                walk(&format!("{path}.{}", field.0), field.1, known, unknown);
            }
        }
        // A stanza that the engine does not have at all is told by other rules.
        _ if !path.contains('.') => {}
        _ => unknown.push(format!("spec.{path}")),
    }
}

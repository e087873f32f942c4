//! What somebody wants of a database: wishes, wherever they come from (an OpsRequest, an update of the object, a command).

mod read;
mod update;

use std::sync::Arc;

use serde_json::Value;

use crate::amount::{ResourceSet, Written};
use crate::catalog::{Component, Engine};
pub use crate::catalog::{HORIZONTAL, STANZAS, Stanza, VERTICAL, VOLUME};
use crate::database::{ComponentView, Database, Place};
use crate::json;
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
    /// The value of annotation `dbscale.dev/requested-by` that this change writes.
    pub requested_by: Option<String>,
    /// Whether a list of the database object has more items than are read.
    pub overlong: bool,
}

/// Where wishes come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// An OpsRequest that is created.
    Request(Box<Request>),
    /// An OpsRequest that is there and is changed. It has no wishes: its spec may not change.
    RequestUpdate(RequestUpdate),
    /// An update of the database object itself.
    Update(Update),
    /// A database object that is created.
    Create,
}

/// The parts of an OpsRequest that the rules look at beside its wishes.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `metadata.name`; empty for a generated one.
    pub name: String,
    /// `spec.type`; empty where there is none.
    pub ops_type: String,
    /// The scaling stanzas that are there and not null, in the order of [`STANZAS`].
    pub stanzas: Vec<&'static Stanza>,
    /// Those of them that ask for something, readable or not.
    pub filled: Vec<&'static Stanza>,
    /// The way in which the named stanza is done (`mode`); empty where it is not said.
    pub mode: String,
    /// Whether `spec.apply` is `Always`: it does not wait for the database to be Ready.
    pub always: bool,
    /// `spec.timeout`, where it is a text.
    pub timeout: Option<String>,
    /// `spec.maxRetries`, where it is a number.
    pub max_retries: Option<i64>,
    /// `status.phase`.
    pub phase: Phase,
    /// The controller that made it.
    pub controller: Option<String>,
    /// Fields of the scaling stanzas that the engine's OpsRequest does not have: `spec.horizontalScaling.member`.
    pub unknown: Vec<String>,
    /// Places that do not hold what the CRD wants there.
    pub faults: Vec<Fault>,
    /// Blocks without a number that KubeDB then takes for 0.
    pub incomplete: Vec<String>,
    /// Items of a list that have the name of an earlier one.
    pub duplicates: Vec<String>,
    /// The fields of each group that excludes others, where more than one group is used: `[[…replicas], […readReplicas]]`.
    pub excluding: Vec<Vec<String>>,
    /// What is no size, by its place: `spec.horizontalScaling.announce.shards`.
    pub options: Vec<(String, Value)>,
}

/// A place of a request that does not hold what the CRD wants there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The place; empty for the whole object.
    pub path: String,
    /// What is wrong; a sentence without its full stop.
    pub message: String,
}

/// A change of an OpsRequest that is there.
#[derive(Debug, Clone)]
pub struct RequestUpdate {
    /// `metadata.name`.
    pub name: String,
    /// `status.phase`.
    pub phase: Phase,
    /// The places below `spec` that differ: `spec.horizontalScaling.replicas`; empty where only the rest of the object does.
    pub changed: Vec<String>,
}

/// What an update of a database object does beside its wishes.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// Sizes of volumes that the object has and the update takes away.
    pub lost: Vec<Lost>,
    /// The object as the update leaves it: what holds for its numbers is told by it, not by what it was.
    pub after: Option<Arc<Database>>,
}

/// The size of a volume that an update takes away.
#[derive(Debug, Clone)]
pub struct Lost {
    /// The place in the object.
    pub path: String,
    /// The size that it had.
    pub size: Written,
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
    /// What was there at this place, where the object itself is changed; `None` of a request, and where nothing was.
    pub before: Option<What>,
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
    /// Reads an OpsRequest that is created. Any JSON is read: what does not fit is among [`Request::faults`].
    ///
    /// `database` tells which of several components with one field is meant; without it the first is.
    #[must_use]
    pub fn of_request(engine: &'static Engine, object: &Value, database: Option<&Database>) -> Self {
        let text = |way: &[&str]| json::text(object, way).to_owned();
        let read = read::request(engine, object, database);
        Self {
            engine,
            namespace: text(&["metadata", "namespace"]),
            database: reference(engine, object).unwrap_or_default().to_owned(),
            requested_by: requested_by(object).map(str::to_owned),
            overlong: false,
            wishes: read.wishes,
            source: Source::Request(Box::new(Request {
                name: text(&["metadata", "name"]),
                ops_type: text(&["spec", "type"]),
                always: json::text(object, &["spec", "apply"]) == "Always",
                phase: Phase::of(json::text(object, &["status", "phase"])),
                controller: controller_of(object),
                ..read.request
            })),
        }
    }

    /// Reads a change of an OpsRequest that is there. Only what changes is judged: the spec, and who is said to have asked.
    #[must_use]
    pub fn of_request_update(engine: &'static Engine, old: &Value, new: &Value) -> Self {
        let text = |way: &[&str]| json::text(new, way).to_owned();
        let by = requested_by(new).filter(|by| requested_by(old) != Some(by));
        Self {
            engine,
            namespace: text(&["metadata", "namespace"]),
            database: reference(engine, new).unwrap_or_default().to_owned(),
            requested_by: by.map(str::to_owned),
            overlong: false,
            wishes: Vec::new(),
            source: Source::RequestUpdate(RequestUpdate {
                name: text(&["metadata", "name"]),
                phase: Phase::of(json::text(new, &["status", "phase"])),
                changed: update::differences(old.get("spec"), new.get("spec")),
            }),
        }
    }

    /// What a database that is created asks for: its numbers of members and shards, and the sizes of its volumes.
    #[must_use]
    pub fn of_create(new: &Database) -> Self {
        Self { source: Source::Create, ..update::change(None, new) }
    }

    /// What an update of a database object changes: only values that differ.
    #[must_use]
    pub fn of_update(old: &Database, new: impl Into<Arc<Database>>) -> Self {
        let new = new.into();
        let mut change = update::change(Some(old), &new);
        if let Source::Update(update) = &mut change.source
            && !change.wishes.is_empty()
        {
            update.after = Some(new);
        }
        change
    }

    /// A direct patch of the size of a component's volumes.
    #[must_use]
    pub fn of_storage(database: &Database, view: &ComponentView, size: &Written) -> Self {
        let wish = |place: &Place| Wish {
            component: view.key,
            item: view.item.clone(),
            path: place.storage_path.to_string(),
            what: What::Storage(size.clone()),
            before: place.storage.clone().map(What::Storage),
        };
        Self {
            engine: database.engine,
            namespace: database.namespace.clone(),
            database: database.name.clone(),
            source: Source::Update(Update::default()),
            wishes: view.places.iter().map(wish).collect(),
            requested_by: None,
            overlong: false,
        }
    }

    /// The request that is created, where the change is one.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match &self.source {
            Source::Request(request) => Some(request),
            Source::RequestUpdate(_) | Source::Update(_) | Source::Create => None,
        }
    }

    /// Whether the database object itself is changed, not by way of an OpsRequest.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        matches!(self.source, Source::Update(_))
    }
}

/// The name of the database that a request refers to.
fn reference<'v>(engine: &Engine, object: &'v Value) -> Option<&'v str> {
    object.get("spec")?.get(&engine.reference)?.get("name")?.as_str()
}

/// Who is said to have asked.
pub(crate) fn requested_by(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(crate::plan::REQUESTED_BY)?.as_str()
}

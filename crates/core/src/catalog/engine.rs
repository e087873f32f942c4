//! The form of `engines/<engine>.yaml`: names, topologies, components and where each keeps what.

use std::sync::OnceLock;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

use super::form::Form;
use super::pointer::Pointer;

/// One kind of database that KubeDB runs.
///
/// Source of every field: KubeDB's CRDs `<plural>.kubedb.com` and `<engine>opsrequests.ops.kubedb.com`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Engine {
    /// The name in targets, on screen and in labels: `mongodb`. It is the file's name too.
    pub name: String,
    /// The database's kind: `MongoDB`. The OpsRequest's is this with `OpsRequest` behind it.
    pub kind: String,
    /// The database's resource name: `mongodbs`.
    pub plural: String,
    /// KubeDB's short names of the database: `mg`.
    #[serde(default)]
    pub short: Vec<String>,
    /// Served versions of the database, the stored one first.
    pub versions: Vec<String>,
    /// KubeDB's short names of the OpsRequest: `mgops`.
    #[serde(default)]
    pub ops_short: Vec<String>,
    /// The field of the OpsRequest's spec that names the database: `databaseRef`, or `proxyRef` for ProxySQL.
    #[serde(default = "database_ref")]
    pub reference: String,
    /// The values that `spec.type` of the OpsRequest may have.
    pub types: Vec<String>,
    /// Whether the OpsRequest has `spec.maxRetries`.
    #[serde(default = "yes")]
    pub max_retries: bool,
    /// Whether KubeDB carries out a horizontal and a vertical stanza of one request; no engine is known to.
    #[serde(default)]
    pub combined: bool,
    /// Named predicates that the data cannot express; each has its own rule and test.
    #[serde(default)]
    pub flags: Vec<String>,
    /// Components, each under a key that the topologies name. The key is the component's name unless `name` says otherwise.
    pub components: IndexMap<String, Component>,
    /// Topologies, tried in this order; the first whose `when` holds is the database's.
    pub topologies: Vec<Topology>,
    /// What KubeDB does not have, though its documents or users expect it: the asked name → the answer.
    #[serde(default)]
    pub misnomers: IndexMap<String, String>,
    /// Fields of the OpsRequest's scaling blocks that are no size of a component (JSON Pointer in spec → what it is).
    #[serde(default)]
    pub unused: IndexMap<Pointer, Field>,
    /// Groups of fields of the OpsRequest's spec of which one request may use one: KubeDB reads the others as a mistake.
    #[serde(default)]
    pub exclusive: Vec<Exclusive>,
    /// Facts of a database object that a flag's predicate asks for, by name; each is true where all its tests hold.
    #[serde(default)]
    pub marks: IndexMap<String, Vec<When>>,
    /// See [`Engine::form`].
    #[serde(skip)]
    pub(super) form: OnceLock<Form>,
}

/// A field of the OpsRequest's scaling blocks that is no size of a component. Source: the engine's OpsRequest CRD.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Field {
    /// Why dbscale has no use for it.
    pub because: String,
    /// The type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The texts that are allowed; empty = any.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// The least number.
    #[serde(default)]
    pub least: Option<i64>,
    /// The largest number.
    #[serde(default)]
    pub most: Option<i64>,
    /// Fields that an object must have.
    #[serde(default)]
    pub has: Vec<String>,
    /// Whether it must be there where its block is.
    #[serde(default)]
    pub required: bool,
    /// Whether it asks for something by itself, so that a stanza with nothing else in it is not empty.
    #[serde(default)]
    pub acts: bool,
}

/// The type of a field, as JSON knows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// `{…}`.
    #[default]
    Object,
    /// `[…]`.
    Array,
    /// A text.
    String,
    /// `true` or `false`.
    Boolean,
    /// A whole number of 32 bits.
    Integer,
}

/// Groups of fields that exclude each other: at most one of the groups may be used.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Exclusive(pub Vec<Vec<Pointer>>);

/// A way to run the engine, told from the database object alone.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Topology {
    /// The name: `replicaSet`.
    pub name: String,
    /// The words on screen: `replica set`.
    pub title: String,
    /// All of these hold for a database of this topology; none = always.
    #[serde(default)]
    pub when: Vec<When>,
    /// The component that is meant where none is named; absent where a person has to choose.
    #[serde(default)]
    pub main: Option<String>,
    /// Keys of [`Engine::components`].
    pub components: Vec<String>,
    /// What a person should know of this topology.
    #[serde(default)]
    pub note: Option<String>,
}

/// One test on a database object.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", untagged, deny_unknown_fields)]
pub enum When {
    /// The place holds something other than null.
    Present {
        /// The place.
        present: Pointer,
    },
    /// The place is missing or null.
    Absent {
        /// The place.
        absent: Pointer,
    },
    /// The place holds this text.
    #[serde(rename_all = "camelCase")]
    Is {
        /// The place.
        at: Pointer,
        /// The text.
        is: String,
        /// Holds too where this place is missing: KubeDB's default.
        #[serde(default)]
        or_absent: Option<Pointer>,
    },
    /// The place holds no larger number than this; also where it is missing.
    #[serde(rename_all = "camelCase")]
    AtMost {
        /// The place.
        at: Pointer,
        /// The number.
        at_most: i64,
    },
}

/// A part of a database with a size of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Component {
    /// The name; empty in the file means: the key.
    #[serde(default)]
    pub name: String,
    /// The component in whose pods this container runs; such a one is never the default and has no pods or claims of its own.
    #[serde(default)]
    pub sidecar_of: Option<String>,
    /// The component exists in a database only where this place does.
    #[serde(default)]
    pub exists: Option<Pointer>,
    /// Members (per shard, where there are shards).
    #[serde(default)]
    pub replicas: Option<Count>,
    /// Shards.
    #[serde(default)]
    pub shards: Option<Count>,
    /// Volumes.
    #[serde(default)]
    pub storage: Option<Storage>,
    /// CPU and memory.
    #[serde(default)]
    pub resources: Option<Resources>,
    /// Its pods and claims.
    #[serde(default)]
    pub pods: Option<Pods>,
    /// What a person should know of it.
    #[serde(default)]
    pub note: Option<String>,
}

/// A number of members or shards.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Count {
    /// Where the database object keeps it; `None` where it has no such field.
    #[serde(default)]
    pub at: Option<Pointer>,
    /// Where objects of an older version keep it, where that is another place.
    #[serde(default)]
    pub older: Option<Pointer>,
    /// Where the OpsRequest's spec wants it; `None` where no OpsRequest changes it.
    #[serde(default)]
    pub ask: Option<Pointer>,
    /// Further fields of the OpsRequest's spec that say it is this component which is meant (`maxscale: true`).
    #[serde(default)]
    pub with: IndexMap<Pointer, Value>,
    /// The least that KubeDB takes (at least 1 in any case).
    #[serde(default)]
    pub min: Option<i64>,
    /// The most that KubeDB takes.
    #[serde(default)]
    pub max: Option<i64>,
    /// A higher least number that holds only under a condition.
    #[serde(default)]
    pub min_when: Option<MinWhen>,
    /// The number is larger than the one at this place of the object.
    #[serde(default)]
    pub above: Option<Above>,
    /// These members vote among themselves, and nobody else breaks a tie, where all of this holds; `None` = they do not vote.
    #[serde(default)]
    pub votes: Option<Votes>,
    /// What the number is where the object does not say (KubeDB's default).
    #[serde(default)]
    pub default: Option<i64>,
    /// KubeDB takes this number for 0 where its block is there without it. The plugin sends it along from the object.
    #[serde(default)]
    pub together: bool,
    /// Where the bounds are written.
    #[serde(default)]
    pub source: Option<String>,
    /// Whether the bounds hold for OpsRequests alone: KubeDB's check of the database takes other numbers.
    #[serde(default)]
    pub only_requests: bool,
}

/// A least number under a condition.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MinWhen {
    /// All of these hold.
    pub when: Vec<When>,
    /// The least number then.
    pub min: i64,
    /// What it is, in words: `an in-memory storage engine`.
    pub because: String,
}

/// A number that another one must stay above.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Above {
    /// Where the database object keeps the other number.
    pub at: Pointer,
    /// What it is, in words: `so many standbys confirm each write`.
    pub because: String,
}

/// Members that decide by majority.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Votes {
    /// What they are called: `KRaft voters`.
    pub who: String,
    /// They vote only where all of this holds.
    #[serde(default)]
    pub when: Vec<When>,
}

/// The volumes of a component.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Storage {
    /// The claim's spec in the database object: below it are `resources.requests.storage` and `storageClassName`.
    #[serde(default)]
    pub at: Option<Pointer>,
    /// Where the OpsRequest's spec wants the size; `None` where it has no field for it.
    #[serde(default)]
    pub ask: Option<Pointer>,
    /// Where the database object says `Durable` or `Ephemeral`.
    #[serde(default, rename = "type")]
    pub kind: Option<Pointer>,
    /// `resources.requests.storage` below `at`.
    #[serde(skip)]
    pub size: Pointer,
    /// Whether no field names the class of the volumes: only the claims then tell it.
    #[serde(default)]
    pub classless: bool,
    /// The same as people read it.
    #[serde(skip)]
    pub size_path: String,
    /// The same as a plain JSON Pointer; empty where it stands for items of a list.
    #[serde(skip)]
    pub size_pointer: String,
    /// `storageClassName` below `at`.
    #[serde(skip)]
    pub class: Pointer,
}

/// CPU and memory of a component's main container.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// Where the database object keeps the container's `resources`.
    #[serde(default)]
    pub at: Option<At>,
    /// The block of the OpsRequest's spec below which `resources` is sent; `None` where it has none.
    #[serde(default)]
    pub ask: Option<Pointer>,
    /// The container's name in the pods.
    #[serde(default)]
    pub container: Option<String>,
}

/// A place, the same in every version or one a version.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum At {
    /// The same in all versions.
    Same(Pointer),
    /// One for each version, by its name.
    Versions(IndexMap<String, Pointer>),
}

impl At {
    /// The place in objects of `version` (`v1`, `v1alpha2`).
    #[must_use]
    pub fn of(&self, version: &str) -> Option<&Pointer> {
        match self {
            Self::Same(pointer) => Some(pointer),
            Self::Versions(by_version) => by_version.get(version),
        }
    }
}

/// How a component's pods and claims are named and labelled.
///
/// Names are patterns: `{db}` is the database's name, `{i}` the shard's index from 0, `{item}` the list item's name,
/// `{/spec/…}` the text at that place of the database object. A pattern with a place that is missing does not apply.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pods {
    /// Names of the workloads; the first that applies. Empty where nobody has written them down.
    #[serde(default)]
    pub sets: Vec<String>,
    /// The workload's kind.
    #[serde(default)]
    pub kind: SetKind,
    /// Names of the claim templates that hold data, most likely first.
    #[serde(default)]
    pub claims: Vec<String>,
    /// Value of the label `app.kubernetes.io/instance`; `{db}` unless given.
    #[serde(default)]
    pub instance: Option<String>,
    /// Labels of the pods beyond the base ones.
    #[serde(default)]
    pub labels: IndexMap<String, String>,
    /// The headless service; `{db}-pods` unless given.
    #[serde(default)]
    pub service: Option<String>,
}

/// What runs the pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
pub enum SetKind {
    /// `apps.k8s.appscode.com/v1`, KubeDB's own.
    #[default]
    PetSet,
    /// `apps/v1` (Hazelcast).
    StatefulSet,
}

fn database_ref() -> String {
    "databaseRef".to_owned()
}

fn yes() -> bool {
    true
}

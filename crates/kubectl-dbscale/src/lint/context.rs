//! What the files say of the present: the facts that an object among them is judged by.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use dbscale_core::amount::Written;
use dbscale_core::catalog::Engine;
use dbscale_core::database::Database;
use dbscale_core::facts::{ClaimFact, ClassFact, Facts, Known};
use dbscale_core::ownership::{self, INSTANCE_LABEL, NAME_LABEL};
use dbscale_core::quantity::Quantity;
use dbscale_core::status::{Operation, Phase};
use serde_json::Value;

/// The objects of the files that others are judged by.
#[derive(Debug, Default)]
pub struct Context {
    databases: HashMap<Key, Vec<Arc<Present>>>,
    requests: HashMap<Key, Vec<Arc<Value>>>,
    /// Those that their status calls Progressing, by their database.
    operations: HashMap<Key, Vec<(String, Operation)>>,
    classes: BTreeMap<String, ClassFact>,
    claims: Vec<Claim>,
}

/// An engine's name, and an object's.
type Key = (&'static str, String);

/// A database of the files.
#[derive(Debug)]
pub struct Present {
    /// Its view.
    pub database: Database,
    /// The object.
    pub object: Arc<Value>,
    claims: OnceLock<Vec<ClaimFact>>,
}

#[derive(Debug)]
struct Claim {
    name: String,
    namespace: String,
    labels: BTreeMap<String, String>,
    class: Option<String>,
    requested: Quantity,
    capacity: Option<Quantity>,
    failed: Option<String>,
}

impl Present {
    /// Reads a database object.
    #[must_use]
    pub fn of(engine: &'static Engine, object: Arc<Value>) -> Arc<Self> {
        Arc::new(Self { database: Database::of(engine, &object), object, claims: OnceLock::new() })
    }
}

impl Context {
    /// Takes a database. One that says the same as another of its name would be judged by to the same end, and is left out.
    pub fn add_database(&mut self, present: &Arc<Present>) {
        let of = |p: &Present| (p.database.namespace.clone(), p.database.version.clone());
        let here = self.databases.entry(key(present.database.engine, &present.database.name)).or_default();
        let same = |p: &Arc<Present>| of(p) == of(present) && p.object.get("spec") == present.object.get("spec");
        if !here.iter().any(same) {
            here.push(Arc::clone(present));
        }
    }

    /// Takes an OpsRequest.
    pub fn add_request(&mut self, engine: &'static Engine, object: &Arc<Value>) {
        let operation = Operation::of(object, &engine.reference);
        self.requests.entry(key(engine, &operation.name)).or_default().push(Arc::clone(object));
        // Files hold what is to be sent, one after the other; only what runs already stands in another's way.
        if operation.phase == Phase::Progressing {
            let of_database = self.operations.entry(key(engine, &operation.database)).or_default();
            of_database.push((text(object, "/metadata/namespace"), operation));
        }
    }

    /// Takes a StorageClass.
    pub fn add_class(&mut self, object: &Value) {
        if let Some((name, class)) = ClassFact::of(object) {
            self.classes.insert(name, class);
        }
    }

    /// Takes a claim; one without a readable size says nothing.
    pub fn add_claim(&mut self, object: &Value) {
        let amount = |pointer: &str| object.pointer(pointer).and_then(Written::of).and_then(|w| w.quantity());
        let Some(requested) = amount("/spec/resources/requests/storage") else { return };
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
        self.claims.push(Claim {
            name: text(object, "/metadata/name"),
            namespace: text(object, "/metadata/namespace"),
            labels: labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect(),
            class: object.pointer("/spec/storageClassName").and_then(Value::as_str).map(str::to_owned),
            requested,
            capacity: amount("/status/capacity/storage"),
            failed: dbscale_core::claims::failure(object),
        });
    }

    /// The databases that are meant by a name; several where the files differ, or namespaces are left open.
    pub fn databases(
        &self,
        engine: &'static Engine,
        namespace: &str,
        name: &str,
    ) -> impl Iterator<Item = &Arc<Present>> {
        let all = self.databases.get(&key(engine, name)).into_iter().flatten();
        all.filter(move |p| same_namespace(&p.database.namespace, namespace))
    }

    /// The OpsRequests of a name.
    pub fn requests(&self, engine: &'static Engine, namespace: &str, name: &str) -> impl Iterator<Item = &Arc<Value>> {
        let all = self.requests.get(&key(engine, name)).into_iter().flatten();
        all.filter(move |o| same_namespace(&text(o, "/metadata/namespace"), namespace))
    }

    /// The facts about a database, or about one that is not among the files.
    #[must_use]
    pub fn facts(&self, engine: &'static Engine, namespace: &str, name: &str, present: &Known<Arc<Present>>) -> Facts {
        let running = self.operations.get(&key(engine, name)).into_iter().flatten();
        let operations = running.filter(|(n, _)| same_namespace(n, namespace)).map(|(_, o)| o.clone()).collect();
        let mut facts = Facts { operations, ..Facts::default() };
        facts.database = match present {
            Known::Unknown => Known::Unknown,
            Known::Missing => Known::Missing,
            Known::Here(present) => {
                facts.claims.clone_from(present.claims.get_or_init(|| self.claims_of(present)));
                facts.classes = self.classes(&present.database, &facts.claims);
                Known::Here(present.database.clone())
            }
        };
        facts
    }

    /// The classes that matter to a database: those that it or its claims name, and the default ones.
    #[must_use]
    pub fn classes(&self, database: &Database, claims: &[ClaimFact]) -> BTreeMap<String, ClassFact> {
        let places = database.components.iter().flat_map(|c| &c.places).filter_map(|p| p.class.as_ref());
        let named = places.chain(claims.iter().filter_map(|c| c.class.as_ref()));
        let named = named.filter_map(|name| self.classes.get_key_value(name));
        let default = self.classes.iter().filter(|(_, class)| class.default);
        named.chain(default).map(|(name, class)| (name.clone(), class.clone())).collect()
    }

    /// The claims of a database, told by their labels, where they have KubeDB's, and by their names.
    ///
    /// There are no owners to follow in files that nobody has applied yet. A name that fits two components fits none.
    fn claims_of(&self, present: &Present) -> Vec<ClaimFact> {
        let database = &present.database;
        let of = |claim: &&Claim| {
            claim.name.contains(&database.name) && same_namespace(&claim.namespace, &database.namespace)
        };
        let fact = |claim: &Claim| {
            let component = component_of(present, claim)?;
            Some(ClaimFact {
                name: claim.name.clone(),
                component,
                class: claim.class.clone(),
                requested: claim.requested,
                capacity: claim.capacity,
                failed: claim.failed.clone(),
                idle: false, // which members there are is told by workloads, which are not among the files
            })
        };
        self.claims.iter().filter(of).filter_map(fact).collect()
    }
}

/// The only component that a claim fits by its name.
fn component_of(present: &Present, claim: &Claim) -> Option<String> {
    let Present { database, object, .. } = present;
    let mut fits: Vec<String> = Vec::new();
    for view in database.components.iter().filter(|c| !c.is_sidecar()) {
        let Some(pods) = &view.component.pods else { continue };
        let labels = ownership::base_labels(database.engine, Some(pods), object);
        let belongs = |key: &str| claim.labels.get(key).is_none_or(|value| labels.get(key) == Some(value));
        if !(belongs(NAME_LABEL) && belongs(INSTANCE_LABEL)) {
            continue;
        }
        for place in &view.places {
            let templates = ownership::claim_templates(pods, object, place.item.as_deref());
            let workloads = templates.iter().filter_map(|t| workload_of(&claim.name, t));
            let ours = |set: &str| {
                let found = ownership::components_of(database, object, set);
                found.iter().any(|w| w.component == view.key && w.item == place.item)
            };
            if workloads.into_iter().any(ours) {
                fits.push(view.name());
            }
        }
    }
    fits.dedup();
    match fits.as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// `my-db-shard0` of `datadir-my-db-shard0-2`.
fn workload_of<'c>(claim: &'c str, template: &str) -> Option<&'c str> {
    let (workload, ordinal) = claim.strip_prefix(template)?.strip_prefix('-')?.rsplit_once('-')?;
    ordinal.bytes().all(|b| b.is_ascii_digit()).then_some(workload)
}

/// Whether two namespaces may be the same; one that is left open is whatever `kubectl -n` makes of it.
fn same_namespace(a: &str, b: &str) -> bool {
    a.is_empty() || b.is_empty() || a == b
}

fn key(engine: &'static Engine, name: &str) -> Key {
    (&engine.name, name.to_owned())
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

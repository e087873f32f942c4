//! What the files say of the present: the facts that an object among them is judged by.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use dbscale_core::catalog::Engine;
use dbscale_core::claims;
use dbscale_core::database::Database;
use dbscale_core::facts::{ClaimFact, ClassFact, Facts, Known};
use dbscale_core::ownership::{self, INSTANCE_LABEL, NAME_LABEL};
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
    pub database: Arc<Database>,
    /// The object.
    pub object: Arc<Value>,
    claims: OnceLock<Vec<ClaimFact>>,
}

#[derive(Debug)]
struct Claim {
    name: String,
    namespace: String,
    object: Value,
}

impl Present {
    /// Reads a database object.
    #[must_use]
    pub fn of(engine: &'static Engine, mut object: Value) -> Arc<Self> {
        let database = Arc::new(Database::of(engine, &object));
        // Beside its view, the object tells its pods and claims: by its spec and labels.
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        Arc::new(Self { database, object: Arc::new(object), claims: OnceLock::new() })
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

    /// Takes a claim.
    pub fn add_claim(&mut self, object: Value) {
        let name = text(&object, "/metadata/name");
        self.claims.push(Claim { name, namespace: text(&object, "/metadata/namespace"), object });
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
    pub fn facts(&self, engine: &'static Engine, namespace: &str, name: &str, present: &Known<Present>) -> Facts {
        let running = self.operations.get(&key(engine, name)).into_iter().flatten();
        let operations = running.filter(|(n, _)| same_namespace(n, namespace)).map(|(_, o)| o.clone()).collect();
        let mut facts = Facts { operations, on_file: true, ..Facts::default() };
        facts.database = match present {
            Known::Unknown => Known::Unknown,
            Known::Missing => Known::Missing,
            Known::Here(present) => {
                facts.claims.clone_from(present.claims.get_or_init(|| self.claims_of(present)));
                facts.classes = self.classes(&present.database, &facts.claims);
                Known::Here(Arc::clone(&present.database))
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
        self.claims.iter().filter(of).filter_map(|claim| fact(present, claim)).collect()
    }
}

/// A claim as one of the only component that it fits by its name.
fn fact(present: &Present, claim: &Claim) -> Option<ClaimFact> {
    let Present { database, object, .. } = present;
    let mut fits: Vec<String> = Vec::new();
    for view in database.components.iter().filter(|c| !c.is_sidecar()) {
        let Some(pods) = &view.component.pods else { continue };
        let labels = ownership::base_labels(database.engine, Some(pods), object);
        let belongs = |key: &str| {
            let label = claim.object.get("metadata").and_then(|m| m.get("labels")?.get(key)?.as_str());
            label.is_none_or(|label| labels.get(key).is_some_and(|ours| ours == label))
        };
        if !(belongs(NAME_LABEL) && belongs(INSTANCE_LABEL)) {
            continue;
        }
        for place in &view.places {
            let ours = |set: &str| {
                let found = ownership::components_of(database, object, set);
                found.iter().any(|w| w.component == view.key && w.item == place.item)
            };
            let templates = ownership::claim_templates(pods, object, place.item.as_deref());
            if templates.iter().filter_map(|template| workload_of(&claim.name, template)).any(ours) {
                fits.push(view.name());
            }
        }
    }
    match fits.as_slice() {
        // Which members there are is told by workloads, which are not among the files.
        [component] => claims::fact(&claim.object, component, false),
        _ => None,
    }
}

/// `my-db-shard0` of `datadir-my-db-shard0-2`.
fn workload_of<'c>(claim: &'c str, template: &str) -> Option<&'c str> {
    let (workload, _) = claim.strip_prefix(template)?.strip_prefix('-')?.rsplit_once('-')?;
    ownership::claim_ordinal(claim, template, workload).map(|_| workload)
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

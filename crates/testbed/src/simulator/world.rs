//! What the simulator knows of the cluster: a cache of every object it acts on, and who has to look again when one changes.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use dbscale_core::catalog::{Catalog, Engine};
use serde_json::Value;

use super::json;

/// How many removed objects are remembered. What is late comes within milliseconds.
const TOMBSTONES: usize = 4096;

/// A kind of object that the simulator keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The databases of the engine of this name.
    Database(&'static str),
    /// The OpsRequests of the engine of this name.
    Request(&'static str),
    /// KubeDB's own workloads.
    PetSet,
    /// Workloads of `apps/v1`; the real controller runs their pods.
    StatefulSet,
    /// Pods.
    Pod,
    /// Claims.
    Claim,
    /// Volumes.
    Volume,
    /// Storage classes.
    Class,
}

/// An object of the cache; also the name of the work that it causes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for one that has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The cache. Objects are whole, without `managedFields`.
#[derive(Debug, Default)]
pub struct World {
    objects: HashMap<Kind, HashMap<(String, String), Arc<Value>>>,
    /// Who is controlled by an object, by its UID.
    children: HashMap<String, BTreeSet<Id>>,
    /// Where the owner with a UID is.
    by_uid: HashMap<String, Id>,
    /// The requests of a database, also of one that is not there.
    requests: HashMap<Id, BTreeSet<Id>>,
    /// The order in which requests were first seen, by UID.
    arrivals: HashMap<String, u64>,
    arrived: u64,
    /// Claims that go with their database.
    doomed: HashSet<Id>,
    /// UIDs of removed objects, the oldest first: the answer to a write may come after the news of the object's end.
    tombstones: VecDeque<String>,
    buried: HashSet<String>,
}

impl Kind {
    /// The engine of a database or request.
    pub fn engine(self) -> Option<&'static Engine> {
        match self {
            Self::Database(name) | Self::Request(name) => Catalog::builtin().engines().find(|e| e.name == name),
            _ => None,
        }
    }
}

impl Id {
    /// The id of an object of this kind.
    pub fn of(kind: Kind, object: &Value) -> Self {
        Self::at(kind, json::text(object, "/metadata/namespace"), json::name(object))
    }

    /// The id of the object of this kind and name.
    pub fn at(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Another object of the same namespace.
    pub fn beside(&self, kind: Kind, name: &str) -> Self {
        Self::at(kind, &self.namespace, name)
    }
}

impl World {
    /// The object, as far as it is known.
    pub fn get(&self, id: &Id) -> Option<Arc<Value>> {
        self.objects.get(&id.kind)?.get(&(id.namespace.clone(), id.name.clone())).cloned()
    }

    /// All objects of a kind.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = Id> + '_ {
        let of_kind = self.objects.get(&kind).into_iter().flat_map(HashMap::keys);
        of_kind.map(move |(namespace, name)| Id::at(kind, namespace, name))
    }

    /// The objects of these kinds whose controller has the UID, by name.
    pub fn children(&self, uid: &str, kinds: &[Kind]) -> Vec<Arc<Value>> {
        let ids = self.children.get(uid).into_iter().flatten().filter(|id| kinds.contains(&id.kind));
        ids.filter_map(|id| self.get(id)).collect()
    }

    /// The object with the UID, where it is one that can own others.
    pub fn owner(&self, uid: &str) -> Option<Arc<Value>> {
        self.get(self.by_uid.get(uid)?)
    }

    /// The requests of a database with the order of their arrival.
    pub fn requests(&self, database: &Id) -> Vec<(Arc<Value>, u64)> {
        let ids = self.requests.get(database).into_iter().flatten();
        let found = ids.filter_map(|id| self.get(id));
        found.map(|r| (self.arrivals.get(json::uid(&r)).copied().unwrap_or_default(), r)).map(|(n, r)| (r, n)).collect()
    }

    /// Whether the claim goes with its database, which was deleted.
    pub fn is_doomed(&self, claim: &Id) -> bool {
        self.doomed.contains(claim)
    }

    /// Takes in an object, unless a newer state of it is known. Answers who has to look again.
    pub fn put(&mut self, kind: Kind, object: Value) -> Vec<Id> {
        let id = Id::of(kind, &object);
        if self.buried.contains(json::uid(&object)) {
            return Vec::new();
        }
        let known = self.get(&id);
        if let Some(known) = &known {
            let same = json::uid(known) == json::uid(&object);
            if same && version(known) >= version(&object) {
                return Vec::new();
            }
            self.forget(&id, known);
        }
        let object = Arc::new(object);
        self.remember(&id, &object);
        let key = (id.namespace.clone(), id.name.clone());
        self.objects.entry(kind).or_default().insert(key, object.clone());
        let mut concerned = self.concerned(&id, &object);
        // A foreground deletion takes the workloads, which tell the claims, before the database.
        if matches!(kind, Kind::Database(_)) && json::is_deleting(&object) {
            concerned.extend(self.doom_claims(&id, &object));
        }
        // A database's annotations may be about its pods.
        let annotations = |o: &Value| o.pointer("/metadata/annotations").cloned();
        if matches!(kind, Kind::Database(_)) && known.is_some_and(|k| annotations(&k) != annotations(&object)) {
            let sets = self.children(json::uid(&object), &[Kind::PetSet, Kind::StatefulSet]);
            let pods = sets.iter().flat_map(|s| self.children(json::uid(s), &[Kind::Pod]));
            concerned.extend(pods.map(|p| Id::of(Kind::Pod, &p)));
        }
        concerned
    }

    /// Takes out the object with this UID. Answers who has to look again.
    pub fn remove(&mut self, id: &Id, uid: &str) -> Vec<Id> {
        self.bury(uid);
        let Some(known) = self.get(id).filter(|known| json::uid(known) == uid) else { return Vec::new() };
        let mut concerned = self.concerned(id, &known);
        if matches!(id.kind, Kind::Database(_)) {
            concerned.extend(self.doom_claims(id, &known));
        }
        self.forget(id, &known);
        self.arrivals.remove(uid);
        self.doomed.remove(id);
        if let Some(of_kind) = self.objects.get_mut(&id.kind) {
            of_kind.remove(&(id.namespace.clone(), id.name.clone()));
        }
        concerned
    }

    fn bury(&mut self, uid: &str) {
        if self.buried.insert(uid.to_owned()) {
            self.tombstones.push_back(uid.to_owned());
        }
        if self.tombstones.len() > TOMBSTONES
            && let Some(oldest) = self.tombstones.pop_front()
        {
            self.buried.remove(&oldest);
        }
    }

    fn remember(&mut self, id: &Id, object: &Value) {
        let uid = json::uid(object).to_owned();
        if let Some(owner) = json::controller(object) {
            self.children.entry(owner.to_owned()).or_default().insert(id.clone());
        }
        if matches!(id.kind, Kind::Database(_) | Kind::PetSet | Kind::StatefulSet) {
            self.by_uid.insert(uid.clone(), id.clone());
        }
        if let Some(database) = database_of(id, object) {
            self.requests.entry(database).or_default().insert(id.clone());
            self.arrived += 1;
            self.arrivals.entry(uid).or_insert(self.arrived);
        }
    }

    fn forget(&mut self, id: &Id, object: &Value) {
        if let Some(owner) = json::controller(object) {
            drop_from(&mut self.children, &owner.to_owned(), id);
        }
        self.by_uid.remove(json::uid(object));
        if let Some(database) = database_of(id, object) {
            drop_from(&mut self.requests, &database, id);
        }
    }

    /// Whose work a change of the object is.
    fn concerned(&self, id: &Id, object: &Value) -> Vec<Id> {
        let owner = || json::controller(object).and_then(|uid| self.by_uid.get(uid));
        match id.kind {
            Kind::Request(_) => database_of(id, object).into_iter().collect(),
            Kind::PetSet => std::iter::once(id.clone()).chain(owner().cloned()).collect(),
            Kind::StatefulSet => owner().cloned().into_iter().collect(),
            Kind::Pod => {
                let set = owner();
                let object = set.and_then(|s| self.get(s));
                let database = object.and_then(|s| self.by_uid.get(json::controller(&s)?));
                std::iter::once(id).chain(set).chain(database).cloned().collect()
            }
            Kind::Class => Vec::new(),
            Kind::Database(_) | Kind::Claim | Kind::Volume => vec![id.clone()],
        }
    }

    /// Marks the claims that KubeDB deletes with the database: all, unless its deletion policy keeps them.
    fn doom_claims(&mut self, id: &Id, database: &Value) -> Vec<Id> {
        let policy = ["/spec/deletionPolicy", "/spec/terminationPolicy"].map(|p| json::text(database, p));
        if policy.iter().any(|p| matches!(*p, "Halt" | "DoNotTerminate")) {
            return Vec::new();
        }
        let sets = self.children(json::uid(database), &[Kind::PetSet, Kind::StatefulSet]);
        let templates = |set: &Value| -> Vec<String> {
            let templates = json::list(set, "/spec/volumeClaimTemplates").iter();
            templates.map(|t| format!("{}-{}-", json::name(t), json::name(set))).collect()
        };
        let prefixes: Vec<String> = sets.iter().flat_map(|s| templates(s)).collect();
        let is_claim = |name: &str| {
            let ordinal = |p: &String| name.strip_prefix(p.as_str()).is_some_and(|o| o.parse::<u32>().is_ok());
            prefixes.iter().any(ordinal)
        };
        let mine = |claim: &Id| claim.namespace == id.namespace && is_claim(&claim.name);
        let claims: Vec<Id> = self.all(Kind::Claim).filter(mine).collect();
        self.doomed.extend(claims.iter().cloned());
        claims
    }
}

fn drop_from<K: std::hash::Hash + Eq>(index: &mut HashMap<K, BTreeSet<Id>>, key: &K, id: &Id) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

/// The database that a request is about.
fn database_of(id: &Id, request: &Value) -> Option<Id> {
    let Kind::Request(engine) = id.kind else { return None };
    let name = json::text(request, &format!("/spec/{}/name", id.kind.engine()?.reference));
    (!name.is_empty()).then(|| id.beside(Kind::Database(engine), name))
}

fn version(object: &Value) -> u64 {
    json::text(object, "/metadata/resourceVersion").parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DATABASE: Kind = Kind::Database("mongodb");

    fn object(name: &str, uid: &str, version: u32, owner: &str) -> Value {
        let owners = json!([{"uid": owner, "controller": true}]);
        json!({"metadata": {"name": name, "namespace": "demo", "uid": uid, "resourceVersion": version.to_string(), "ownerReferences": owners}})
    }

    fn told(ids: &[Id]) -> Vec<(Kind, &str)> {
        ids.iter().map(|id| (id.kind, id.name.as_str())).collect()
    }

    #[test]
    fn a_pod_is_the_work_of_its_set_and_its_database() {
        let mut world = World::default();
        assert_eq!(told(&world.put(DATABASE, object("x", "d", 1, ""))), [(DATABASE, "x")]);
        assert_eq!(
            told(&world.put(Kind::PetSet, object("x-s", "s", 2, "d"))),
            [(Kind::PetSet, "x-s"), (DATABASE, "x")]
        );
        let pod = world.put(Kind::Pod, object("x-s-0", "p", 3, "s"));
        assert_eq!(told(&pod), [(Kind::Pod, "x-s-0"), (Kind::PetSet, "x-s"), (DATABASE, "x")]);
        assert_eq!(world.children("s", &[Kind::Pod]).len(), 1);
        let mut annotated = object("x", "d", 4, "");
        annotated["metadata"]["annotations"] = json!({"testbed.dbscale.dev/not-ready": "true"});
        assert_eq!(told(&world.put(DATABASE, annotated)), [(DATABASE, "x"), (Kind::Pod, "x-s-0")]);
        world.remove(&Id::at(Kind::Pod, "demo", "x-s-0"), "p");
        assert!(world.children("s", &[Kind::Pod]).is_empty());
    }

    #[test]
    fn an_older_state_changes_nothing() {
        let mut world = World::default();
        world.put(Kind::Claim, object("c", "u", 9, ""));
        assert!(world.put(Kind::Claim, object("c", "u", 8, "")).is_empty());
        assert!(world.put(Kind::Claim, object("c", "u", 9, "")).is_empty());
        assert_eq!(world.put(Kind::Claim, object("c", "another", 3, "")).len(), 1);
        assert!(world.remove(&Id::at(Kind::Claim, "demo", "c"), "u").is_empty());
        assert!(world.get(&Id::at(Kind::Claim, "demo", "c")).is_some());
    }

    #[test]
    fn what_has_ended_does_not_come_back_by_a_late_answer() {
        let mut world = World::default();
        let id = Id::at(Kind::Pod, "demo", "p");
        world.put(Kind::Pod, object("p", "old", 1, ""));
        world.remove(&id, "old");
        assert!(world.put(Kind::Pod, object("p", "old", 2, "")).is_empty());
        assert!(world.get(&id).is_none());
        assert_eq!(world.put(Kind::Pod, object("p", "new", 3, "")).len(), 1);
    }

    #[test]
    fn requests_are_the_work_of_the_database_they_name() {
        let mut world = World::default();
        let request = |name: &str, uid: &str| {
            let mut request = object(name, uid, 1, "");
            request["spec"] = json!({"databaseRef": {"name": "x"}});
            request
        };
        let kind = Kind::Request("mongodb");
        assert_eq!(told(&world.put(kind, request("b", "1"))), [(DATABASE, "x")]);
        world.put(kind, request("a", "2"));
        let found = world.requests(&Id::at(DATABASE, "demo", "x"));
        let order: Vec<_> = found.iter().map(|(r, n)| (json::name(r), *n)).collect();
        assert_eq!(order, [("a", 2), ("b", 1)]);
    }

    #[test]
    fn claims_go_with_the_database_unless_the_policy_keeps_them() {
        for (policy, doomed) in [("Delete", true), ("WipeOut", true), ("Halt", false)] {
            let mut world = World::default();
            let mut database = object("x", "d", 1, "");
            database["spec"] = json!({"deletionPolicy": policy});
            world.put(DATABASE, database);
            let mut set = object("x", "s", 2, "d");
            set["spec"] = json!({"volumeClaimTemplates": [{"metadata": {"name": "datadir"}}]});
            world.put(Kind::PetSet, set);
            for claim in ["datadir-x-0", "datadir-x-shard0-0", "other-x-0"] {
                world.put(Kind::Claim, object(claim, claim, 3, ""));
            }
            world.remove(&Id::at(DATABASE, "demo", "x"), "d");
            let is_doomed = |name| world.is_doomed(&Id::at(Kind::Claim, "demo", name));
            assert_eq!(is_doomed("datadir-x-0"), doomed, "{policy}");
            assert!(!is_doomed("datadir-x-shard0-0") && !is_doomed("other-x-0"), "{policy}");
        }
    }
}

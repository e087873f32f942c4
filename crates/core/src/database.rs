//! A database object seen through its engine's catalog entry: which topology, which components, what each has now.

use std::borrow::Cow;

use serde_json::Value;

use crate::amount::{ResourceSet, Written};
use crate::catalog::{Component, Count, Engine, Pointer, Resources, SetKind, Storage, Topology, When};
use crate::json;
use crate::plan::REVERT_TO;
use crate::quantity::Quantity;
use crate::scaling_policy::{Labels, labels_of};

/// The most items of a list (read replicas, racks) that are read. More are no database, and would cost time that grows with
/// their square.
pub const MOST_ITEMS: usize = 1000;

/// A database, as far as the rules and plans look at it.
#[derive(Debug, Clone)]
pub struct Database {
    /// Its engine.
    pub engine: &'static Engine,
    /// The version of the object that was read: `v1`.
    pub version: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `status.phase`: `Ready`, `NotReady`, `Provisioning` …; empty where there is none yet.
    pub phase: String,
    /// The topology; `None` where none of the engine's fits.
    pub topology: Option<&'static Topology>,
    /// The components that exist, in the catalog's order; a list whose items are addressed one by one has an entry an item.
    pub components: Vec<ComponentView>,
    /// What keeps the object in step with a Git repository, in words: `Argo CD (application shop)`.
    pub tracker: Option<String>,
    /// Whether a list has more items than are read ([`MOST_ITEMS`]).
    pub overlong: bool,
    /// Whether `metadata.annotations` exists; a JSON Patch needs to know.
    pub has_annotations: bool,
    /// Annotation `dbscale.dev/requested-by`: who is said to have asked for the last change.
    pub requested_by: Option<String>,
    /// Annotation `dbscale.dev/revert-to`: the size that it went back to after an expansion that failed.
    pub reverted_to: Option<String>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// Those of [`Engine::marks`] that the object bears.
    pub marks: Vec<&'static str>,
}

/// One component of a database, as it is now.
#[derive(Debug, Clone)]
pub struct ComponentView {
    /// The key in [`Engine::components`].
    pub key: &'static str,
    /// Its catalog entry.
    pub component: &'static Component,
    /// The item of the list that this is, where each is addressed by name (a Postgres read replica).
    pub item: Option<String>,
    /// Where and what it has. One place, but for a list that moves as one (Cassandra racks): one an item.
    pub places: Vec<Place>,
    /// The numbers of members that KubeDB takes here.
    pub replicas_bounds: Bounds,
    /// The numbers of shards that KubeDB takes here.
    pub shards_bounds: Bounds,
    /// What its members are called where they decide by majority and nobody else breaks a tie: `KRaft voters`.
    pub voters: Option<&'static str>,
}

/// The present values of a component at one place of the object.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// The list item, where the place is one.
    pub item: Option<String>,
    /// Members, KubeDB's default where the object does not say.
    pub replicas: Option<i64>,
    /// Shards.
    pub shards: Option<i64>,
    /// The size of one volume; `None` where no volume is asked for.
    pub storage: Option<Written>,
    /// The JSON Pointer (RFC 6901) of that size in the object.
    pub storage_pointer: Cow<'static, str>,
    /// The same place as people read it: `spec.storage.resources.requests.storage`.
    pub storage_path: Cow<'static, str>,
    /// The storage class that is asked for; `None` = the cluster's default.
    pub class: Option<String>,
    /// Whether the storage is ephemeral.
    pub ephemeral: bool,
    /// The container's resources.
    pub resources: ResourceSet,
}

/// The numbers that are allowed. Both ends are allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The least.
    pub min: Option<i64>,
    /// The most.
    pub max: Option<i64>,
    /// Why, or where that is written; may be empty.
    pub because: &'static str,
}

impl Database {
    /// Reads a database object. Whatever is missing or of another type than expected counts as not set.
    #[must_use]
    pub fn of(engine: &'static Engine, object: &Value) -> Self {
        let text = |way: &[&str]| json::text(object, way).to_owned();
        let version = json::text(object, &["apiVersion"]).rsplit('/').next().unwrap_or_default().to_owned();
        let topology = engine.topology_of(object);
        let keys = topology.map(|t| t.components.as_slice()).unwrap_or_default();
        let mut overlong = false;
        let components = keys
            .iter()
            .filter_map(|key| engine.components.get_key_value(key))
            .flat_map(|(key, component)| views(key, component, object, &version, &mut overlong))
            .collect();
        Self {
            engine,
            version,
            namespace: text(&["metadata", "namespace"]),
            name: text(&["metadata", "name"]),
            uid: text(&["metadata", "uid"]),
            resource_version: text(&["metadata", "resourceVersion"]),
            phase: text(&["status", "phase"]),
            topology,
            components,
            overlong,
            tracker: tracker_of(object),
            has_annotations: json::at(object, &["metadata", "annotations"]).is_some_and(Value::is_object),
            requested_by: crate::change::requested_by(object).map(str::to_owned),
            reverted_to: json::at(object, &["metadata", "annotations", REVERT_TO])
                .and_then(Value::as_str)
                .map(str::to_owned),
            labels: labels_of(object),
            marks: engine.marks.iter().filter(|(_, when)| hold(when, object)).map(|(mark, _)| mark.as_str()).collect(),
        }
    }

    /// The target as people write it: `mongodb/my-db`.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}/{}", self.engine.name, self.name)
    }

    /// The component called `name` (`shard`, `readReplicas/report`), in any case; a list's only item by the list's name.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&ComponentView> {
        let exact = self.components.iter().find(|c| c.name().eq_ignore_ascii_case(name));
        exact.or_else(|| {
            let mut items = self.components.iter().filter(|c| c.component.name.eq_ignore_ascii_case(name));
            items.next().filter(|_| items.next().is_none())
        })
    }

    /// What runs its pods.
    #[must_use]
    pub fn set_kind(&self) -> SetKind {
        let mut pods = self.components.iter().filter_map(|c| c.component.pods.as_ref());
        pods.next().map_or(SetKind::PetSet, |pods| pods.kind)
    }

    /// Whether KubeDB calls the database ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == "Ready"
    }
}

impl ComponentView {
    /// The name on screen and on the command line: `shard`, `readReplicas/report`.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.item {
            Some(item) => format!("{}/{item}", self.component.name),
            None => self.component.name.clone(),
        }
    }

    /// Members now; the most where the places differ.
    #[must_use]
    pub fn replicas(&self) -> Option<i64> {
        self.places.iter().filter_map(|p| p.replicas).max()
    }

    /// Shards now.
    #[must_use]
    pub fn shards(&self) -> Option<i64> {
        self.places.iter().filter_map(|p| p.shards).max()
    }

    /// The size of a volume now; the largest where the places differ.
    #[must_use]
    pub fn storage(&self) -> Option<Quantity> {
        self.places.iter().filter_map(|p| p.storage.as_ref()?.quantity()).max()
    }

    /// The container's resources now; `None` where the places differ.
    #[must_use]
    pub fn resources(&self) -> Option<&ResourceSet> {
        let (first, rest) = self.places.split_first()?;
        rest.iter().all(|p| p.resources.same_as(&first.resources)).then_some(&first.resources)
    }

    /// Whether it runs inside another component's pods.
    #[must_use]
    pub fn is_sidecar(&self) -> bool {
        self.component.sidecar_of.is_some()
    }

    /// Where the OpsRequest's spec wants something of this component: `ask` narrowed to the item.
    #[must_use]
    pub fn narrowed(&self, ask: &Pointer) -> Pointer {
        match &self.item {
            Some(item) => ask.of_item(item),
            None => ask.clone(),
        }
    }
}

impl Bounds {
    /// Those that hold for every database.
    #[must_use]
    pub fn of_any(count: &'static Count) -> Self {
        Self { min: count.min, max: count.max, because: count.source.as_deref().unwrap_or_default() }
    }

    fn of(count: Option<&'static Count>, object: &Value) -> Self {
        let Some(count) = count else { return Self::default() };
        let mut bounds = Self::of_any(count);
        let mut at_least = |min: i64, because: &'static str| {
            if Some(min) > bounds.min {
                bounds.min = Some(min);
                bounds.because = because;
            }
        };
        if let Some(more) = count.min_when.as_ref().filter(|more| hold(&more.when, object)) {
            at_least(more.min, &more.because);
        }
        if let Some((above, n)) = count.above.as_ref().and_then(|a| Some((a, a.at.get(object)?.as_i64()?))) {
            at_least(n.saturating_add(1), &above.because);
        }
        bounds
    }
}

fn hold(when: &[When], object: &Value) -> bool {
    when.iter().all(|w| w.holds(object))
}

fn views(
    key: &'static str,
    component: &'static Component,
    object: &Value,
    version: &str,
    overlong: &mut bool,
) -> Vec<ComponentView> {
    let exists = component.exists.as_ref().is_none_or(|p| p.get(object).is_some_and(|v| !v.is_null()));
    if !exists {
        return Vec::new();
    }
    let votes = component.replicas.as_ref().and_then(|c| c.votes.as_ref()).filter(|v| hold(&v.when, object));
    let view = |item: Option<String>, places| ComponentView {
        key,
        component,
        item,
        places,
        replicas_bounds: Bounds::of(component.replicas.as_ref(), object),
        shards_bounds: Bounds::of(component.shards.as_ref(), object),
        voters: votes.map(|v| v.who.as_str()),
    };
    match list_of(component, version) {
        // The OpsRequest knows a list that the object does not have: there is nothing to address.
        None if asks(component).any(Pointer::is_list) => Vec::new(),
        None => vec![view(None, vec![place(component, object, version, None)])],
        Some(list) => {
            let mut items = list.items(object);
            *overlong |= items.len() > MOST_ITEMS;
            items.truncate(MOST_ITEMS);
            let places = items.iter().map(|item| place(component, object, version, Some(item)));
            if asks(component).any(Pointer::is_list) {
                items.iter().zip(places).map(|(item, place)| view(Some(item.clone()), vec![place])).collect()
            } else if items.is_empty() {
                Vec::new()
            } else {
                vec![view(None, places.collect())]
            }
        }
    }
}

/// The pointer that tells the items of a list component.
fn list_of<'c>(component: &'c Component, version: &str) -> Option<&'c Pointer> {
    let count = |c: &'c Option<Count>| c.as_ref().and_then(|c| c.at.as_ref());
    let storage = component.storage.as_ref().and_then(|s| s.at.as_ref());
    let resources = component.resources.as_ref().and_then(|r| r.at.as_ref()?.of(version));
    [count(&component.replicas), count(&component.shards), storage, resources]
        .into_iter()
        .flatten()
        .find(|p| p.is_list())
}

/// Every place of the OpsRequest that changes the component.
pub(crate) fn asks(component: &Component) -> impl Iterator<Item = &Pointer> {
    let replicas = component.replicas.as_ref().and_then(|c| c.ask.as_ref());
    let shards = component.shards.as_ref().and_then(|c| c.ask.as_ref());
    let storage = component.storage.as_ref().and_then(|s| s.ask.as_ref());
    let resources = component.resources.as_ref().and_then(|r| r.ask.as_ref());
    [replicas, shards, storage, resources].into_iter().flatten()
}

fn place(component: &'static Component, object: &Value, version: &str, item: Option<&String>) -> Place {
    let mut place = Place { item: item.cloned(), ..Place::default() };
    let number = |count: &Option<Count>| {
        let count = count.as_ref()?;
        let read = |at: &Option<Pointer>| narrow(at.as_ref()?, item).get(object)?.as_i64();
        read(&count.at).or_else(|| read(&count.older)).or(count.default)
    };
    place.replicas = number(&component.replicas);
    place.shards = number(&component.shards);
    if let Some(Resources { at: Some(at), .. }) = &component.resources {
        let at = at.of(version).map(|at| narrow(at, item));
        place.resources = ResourceSet::of(at.as_ref().and_then(|p| p.get(object)));
        // An arbiter's volume is asked for among the resources of its container, and is none of them.
        let size = component.storage.as_ref().map(|s| s.size.segments());
        if let (Some(at), Some(size)) = (&at, size)
            && size.starts_with(at.segments())
        {
            place.resources = place.resources.without("storage");
        }
    }
    if let Some(Storage { at: Some(_), kind, size, class, size_path, size_pointer, .. }) = &component.storage {
        let of_item = narrow(size, item);
        place.storage = of_item.get(object).and_then(Written::of);
        (place.storage_path, place.storage_pointer) = match &of_item {
            Cow::Borrowed(_) if !size_pointer.is_empty() => (size_path.as_str().into(), size_pointer.as_str().into()),
            at => (at.dotted().into(), at.to_json_pointer(object).unwrap_or_default().into()),
        };
        place.class = narrow(class, item).get(object).and_then(Value::as_str).map(str::to_owned);
        let kind = kind.as_ref().map(|kind| narrow(kind, item));
        place.ephemeral = kind.and_then(|p| p.get(object)?.as_str().map(|k| k == "Ephemeral")).unwrap_or(false);
    }
    place
}

/// The place of one list item, where there is one.
fn narrow<'p>(pointer: &'p Pointer, item: Option<&String>) -> Cow<'p, Pointer> {
    item.map_or(Cow::Borrowed(pointer), |item| Cow::Owned(pointer.of_item(item)))
}

/// Marks that tell what keeps an object in step with a Git repository: (label or annotation, its key, the tool).
///
/// Argo CD's default label `app.kubernetes.io/instance` is not among them: KubeDB and Helm set it too.
const TRACKERS: [(&str, &str, &str); 4] = [
    ("annotations", "argocd.argoproj.io/tracking-id", "Argo CD"),
    ("labels", "argocd.argoproj.io/instance", "Argo CD"),
    ("labels", "kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("labels", "helm.toolkit.fluxcd.io/name", "Flux"),
];

/// Where the marks of GitOps tools are: (`labels` or `annotations`, the key).
pub fn tracking_marks() -> impl Iterator<Item = (&'static str, &'static str)> {
    TRACKERS.iter().map(|(part, key, _)| (*part, *key))
}

/// What keeps an object in step with a Git repository, in words: `Argo CD (application shop)`; `None` where nothing does.
#[must_use]
pub fn tracker_of(object: &Value) -> Option<String> {
    TRACKERS.iter().find_map(|(part, key, tool)| {
        let mark = object.get("metadata")?.get(part)?.get(key)?.as_str()?;
        Some(format!("{tool} ({})", mark.split(':').next().unwrap_or(mark)))
    })
}

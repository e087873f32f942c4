//! How databases stand to the bounds of a policy today, whoever made them so: what its status tells.

use serde::{Deserialize, Serialize};

use super::amounts::of;
use super::bounds::Unit;
use super::{Limits, Range, ScalingPolicy, Span, Spec, is_of, span};
use crate::database::{ComponentView, Database};
use crate::finding::RuleId;
use crate::record::cut;
use crate::rules::OF_POLICIES;

/// How many breaches of one database are told.
const MOST_BREACHES: usize = 10;
/// The longest name of a component, in bytes: items of lists have names that somebody has made up.
const LONGEST_NAME: usize = 253;

/// A bound that a component is outside of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Breach {
    /// The field of the policy: `spec.replicas.max`.
    pub field: String,
    /// The component: `replicaSet`.
    pub component: String,
    /// What it has.
    pub has: String,
    /// What is allowed.
    pub allowed: String,
}

/// A database that is outside of bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outside {
    /// Its engine's name.
    pub engine: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it breaks.
    pub breaks: Vec<Breach>,
}

/// How the databases of a cluster stand to a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many it covers.
    pub covers: u32,
    /// How many of them are outside of its bounds.
    pub outside: u32,
    /// Some of those.
    pub named: Vec<Outside>,
    /// The limits of operations that are exceeded, in words; `None` where it sets none.
    pub exceeded: Option<Vec<String>>,
}

impl ScalingPolicy {
    /// The bounds that a database is outside of. It is not asked whether the policy covers it.
    #[must_use]
    pub fn breaches(&self, database: &Database) -> Vec<Breach> {
        let mut all = Vec::new();
        for view in &database.components {
            let members = view.places.iter().filter_map(|place| place.replicas);
            self.beyond(view, "replicas", |spec| spec.replicas, members, &mut all);
            let sizes = view.places.iter().filter_map(|place| place.storage.as_ref()?.quantity());
            self.beyond(view, "storage", |spec| spec.storage, sizes, &mut all);
            if view.is_sidecar() {
                continue;
            }
            let amounts = |name: &'static str| view.places.iter().flat_map(move |place| of(&place.resources, name));
            self.beyond(view, "cpu", |spec| spec.cpu.map(Span::range), amounts("cpu"), &mut all);
            self.beyond(view, "memory", |spec| spec.memory.map(Span::range), amounts("memory"), &mut all);
            self.unnamed_size(view, &mut all);
        }
        all.truncate(MOST_BREACHES);
        all
    }

    /// The ends that values of a component are outside of.
    fn beyond<T: Unit>(
        &self,
        view: &ComponentView,
        field: &'static str,
        pick: impl Fn(&Spec) -> Option<Range<T>>,
        values: impl Iterator<Item = T>,
        all: &mut Vec<Breach>,
    ) {
        let limits = Limits::of(RuleId(OF_POLICIES), field, std::iter::once(self), pick);
        let ends =
            values.map(|value| (value, value)).reduce(|(low, high), (value, _)| (low.min(value), high.max(value)));
        let Some((lowest, highest)) = ends else { return };
        let breach = |(key, has, allowed): (&str, T, T)| Breach {
            field: format!("spec.{field}.{key}"),
            component: name(view),
            has: has.to_string(),
            allowed: allowed.to_string(),
        };
        all.extend(limits.outside(lowest, highest).map(breach));
    }

    /// That the container of a component has no size that is allowed. One that says no amounts is not judged.
    fn unnamed_size(&self, view: &ComponentView, all: &mut Vec<Breach>) {
        let Some(classes) = self.allowed_classes() else { return };
        let amounts =
            view.places.iter().map(|place| ["cpu", "memory"].map(|name| of(&place.resources, name).collect()));
        let odd = |amounts: &[Vec<_>; 2]| {
            amounts.iter().any(|amounts| !amounts.is_empty()) && !classes.iter().any(|class| is_of(class, amounts))
        };
        let Some([cpu, memory]) = amounts.into_iter().find(odd) else { return };
        let allowed = self.spec.sizes.iter().flat_map(|sizes| &sizes.allowed).map(String::as_str);
        let mut allowed = allowed.collect::<Vec<_>>().join(", ");
        cut(&mut allowed, LONGEST_NAME);
        all.push(Breach {
            field: "spec.sizes.allowed".to_owned(),
            component: name(view),
            has: format!("{} CPU, {}", span(&cpu), span(&memory)),
            allowed,
        });
    }
}

fn name(view: &ComponentView) -> String {
    let mut name = view.name();
    cut(&mut name, LONGEST_NAME);
    name
}

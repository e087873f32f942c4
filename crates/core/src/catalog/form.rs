//! The scaling stanzas of an engine's OpsRequest as one tree: which fields there are, what each holds, which component it
//! sizes. Made once from the engine's data, so that a request is read in a single walk.

use indexmap::IndexMap;
use serde_json::Value;

use super::engine::{Count, Engine, Field, Kind};
use super::pointer::{Pointer, Segment};

/// A block of the OpsRequest's spec that scales, and the `spec.type` that acts on it.
#[derive(Debug, PartialEq, Eq)]
pub struct Stanza {
    /// The field of the spec.
    pub field: &'static str,
    /// The type.
    pub ops_type: &'static str,
    /// The ways in which it can be done (`mode`). Source: the enums of all engines' CRDs.
    pub modes: &'static [&'static str],
    /// Whether the mode has to be named.
    pub mode_required: bool,
}

/// `spec.verticalScaling`.
pub const VERTICAL: Stanza = Stanza {
    field: "verticalScaling",
    ops_type: "VerticalScaling",
    modes: &["Restart", "InPlace"],
    mode_required: false,
};
/// `spec.horizontalScaling`.
pub const HORIZONTAL: Stanza =
    Stanza { field: "horizontalScaling", ops_type: "HorizontalScaling", modes: &[], mode_required: false };
/// `spec.volumeExpansion`.
pub const VOLUME: Stanza = Stanza {
    field: "volumeExpansion",
    ops_type: "VolumeExpansion",
    modes: &["Offline", "Online"],
    mode_required: true,
};
/// The three scaling stanzas.
pub const STANZAS: [&Stanza; 3] = [&VERTICAL, &HORIZONTAL, &VOLUME];

/// The form of the three stanzas; one that the engine's CRD lacks has no node.
#[derive(Debug, Clone, Default)]
pub struct Form(IndexMap<&'static str, Node>);

/// A place in a stanza.
#[derive(Debug, Clone)]
pub enum Node {
    /// An object with these fields.
    Block(IndexMap<String, Node>),
    /// A list of objects that are told apart by the field `key`.
    List {
        /// The field, such as `name`.
        key: String,
        /// One item.
        item: Box<Node>,
    },
    /// A number of members or shards, of the first of these components that is meant.
    Count(Vec<Asker>),
    /// A size of volumes, of the first of these components that the database has (their places in [`Engine::components`]).
    Amount(Vec<usize>),
    /// A container's `resources`, likewise.
    Resources(Vec<usize>),
    /// Something that is no size.
    Option(Field),
}

/// A component whose number stands at a place.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Its place in [`Engine::components`].
    pub component: usize,
    /// Whether the number counts shards; else members.
    pub shards: bool,
    /// The further fields that say that this component is meant.
    pub with: Vec<(Pointer, Value)>,
    /// KubeDB takes the number for 0 where it is left out.
    pub together: bool,
}

impl Form {
    /// The form of one stanza.
    #[must_use]
    pub fn stanza(&self, stanza: &Stanza) -> Option<&Node> {
        self.0.get(stanza.field)
    }

    /// The places of the stanzas that hold a value, each below the whole object: `/spec/volumeExpansion/replicaSet`.
    #[must_use]
    pub fn leaves(&self) -> Vec<(Pointer, &Node)> {
        let spec = Pointer::default().field("spec");
        let mut found = Vec::new();
        for (stanza, node) in &self.0 {
            node.leaves(&spec.field(stanza), &mut found);
        }
        found
    }

    /// The form of an engine's stanzas.
    #[must_use]
    pub(super) fn of(engine: &Engine) -> Self {
        let stanzas = STANZAS.iter().filter(|s| engine.types.iter().any(|t| t == s.ops_type));
        let mut form = Self(stanzas.map(|s| (s.field, Node::block())).collect());
        for (pointer, field) in &engine.unused {
            form.put(pointer, Node::Option(field.clone()));
        }
        for (index, component) in engine.components.values().enumerate() {
            for (count, shards) in [(&component.replicas, false), (&component.shards, true)] {
                let Some(Count { ask: Some(ask), with, together, .. }) = count else { continue };
                for (pointer, value) in with {
                    let kind = if value.is_boolean() { Kind::Boolean } else { Kind::String };
                    form.put(pointer, Node::Option(Field { kind, ..Field::default() }));
                }
                let with = with.iter().map(|(p, v)| (p.clone(), v.clone())).collect();
                form.put(ask, Node::Count(vec![Asker { component: index, shards, with, together: *together }]));
            }
            if let Some(ask) = component.resources.as_ref().and_then(|r| r.ask.as_ref()) {
                form.put(&ask.field("resources"), Node::Resources(vec![index]));
                // A container with pods of its own may be told where they run; one inside other pods may not.
                if component.sidecar_of.is_none() {
                    let policy = Field { kind: Kind::String, ..Field::default() };
                    let topology = Field { has: vec!["key".to_owned(), "value".to_owned()], ..Field::default() };
                    form.put(&ask.field("nodeSelectionPolicy"), Node::Option(policy));
                    form.put(&ask.field("topology"), Node::Option(topology));
                }
            }
            if let Some(ask) = component.storage.as_ref().and_then(|s| s.ask.as_ref()) {
                form.put(ask, Node::Amount(vec![index]));
            }
        }
        // A block without a field (Memcached's volumeExpansion) has no mode either.
        for stanza in STANZAS.iter().filter(|s| !s.modes.is_empty()) {
            if let Some(Node::Block(fields)) = form.0.get_mut(stanza.field).filter(|n| !n.is_empty()) {
                let one_of = stanza.modes.iter().map(|&m| m.to_owned()).collect();
                let mode = Field { kind: Kind::String, one_of, required: stanza.mode_required, ..Field::default() };
                fields.insert("mode".to_owned(), Node::Option(mode));
            }
        }
        form
    }

    /// Puts a leaf at a place, and blocks and lists on the way to it. Leaves of one kind at one place become one.
    fn put(&mut self, pointer: &Pointer, leaf: Node) {
        let Some((Segment::Field(stanza), rest)) = pointer.segments().split_first() else { return };
        if let Some(node) = self.0.get_mut(stanza.as_str()) {
            node.put(rest, leaf);
        }
    }
}

impl Node {
    fn block() -> Self {
        Self::Block(IndexMap::new())
    }

    fn leaves<'n>(&'n self, at: &Pointer, found: &mut Vec<(Pointer, &'n Self)>) {
        match self {
            Self::Block(fields) => fields.iter().for_each(|(name, node)| node.leaves(&at.field(name), found)),
            Self::List { key, item } => item.leaves(&at.each(key), found),
            leaf => found.push((at.clone(), leaf)),
        }
    }

    /// Whether a value here asks for something by itself.
    #[must_use]
    pub fn asks(&self) -> bool {
        match self {
            Self::Count(_) | Self::Amount(_) | Self::Resources(_) => true,
            Self::Option(field) => field.acts,
            Self::Block(_) | Self::List { .. } => false,
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Block(fields) if fields.is_empty())
    }

    fn put(&mut self, way: &[Segment], leaf: Self) {
        match (way.split_first(), self) {
            (Some((Segment::Field(name), rest)), Self::Block(fields)) => {
                fields.entry(name.clone()).or_insert_with(Self::block).put(rest, leaf);
            }
            (Some((Segment::Each { key } | Segment::Item { key, .. }, rest)), node) => {
                if node.is_empty() {
                    *node = Self::List { key: key.clone(), item: Box::new(Self::block()) };
                }
                if let Self::List { item, .. } = node {
                    item.put(rest, leaf);
                }
            }
            (None, node) => match (node, leaf) {
                (Self::Count(all), Self::Count(more)) => all.extend(more),
                (Self::Amount(all), Self::Amount(more)) | (Self::Resources(all), Self::Resources(more)) => {
                    all.extend(more);
                }
                (node, leaf) => *node = leaf,
            },
            // A field below a leaf: the catalog's tests compare the form with the CRDs and would show it.
            (Some(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Catalog;
    use super::*;

    fn stanza<'e>(engine: &'e Engine, stanza: &Stanza) -> &'e IndexMap<String, Node> {
        match engine.form().stanza(stanza) {
            Some(Node::Block(fields)) => fields,
            other => panic!("{}: {other:?}", engine.name),
        }
    }

    #[test]
    fn one_place_knows_every_component_that_it_sizes() {
        let engine = Catalog::builtin().find("mongodb").unwrap();
        let Node::Block(shard) = &stanza(engine, &HORIZONTAL)["shard"] else { panic!("no block") };
        assert!(matches!(&shard["shards"], Node::Count(askers) if askers.len() == 1 && askers[0].shards));
        let Node::Block(hidden) = &stanza(engine, &HORIZONTAL)["hidden"] else { panic!("no block") };
        assert!(matches!(&hidden["replicas"], Node::Count(askers) if askers.len() == 2));
    }

    #[test]
    fn a_list_is_told_apart_by_its_key() {
        let engine = Catalog::builtin().find("postgres").unwrap();
        let Node::List { key, item } = &stanza(engine, &HORIZONTAL)["readReplicas"] else { panic!("no list") };
        assert_eq!(key, "name");
        assert!(
            matches!(&**item, Node::Block(fields) if fields.contains_key("replicas") && fields.contains_key("remove"))
        );
    }

    #[test]
    fn only_a_container_with_pods_of_its_own_is_placed() {
        let engine = Catalog::builtin().find("mysql").unwrap();
        let placed = |name: &str| {
            let Node::Block(block) = &stanza(engine, &VERTICAL)[name] else { panic!("no block") };
            block.contains_key("topology")
        };
        assert!(placed("mysql") && !placed("coordinator"));
    }

    #[test]
    fn an_empty_block_has_no_mode_and_a_missing_stanza_no_form() {
        let catalog = Catalog::builtin();
        assert!(stanza(catalog.find("memcached").unwrap(), &VOLUME).is_empty());
        assert!(catalog.find("pgbouncer").unwrap().form().stanza(&VOLUME).is_none());
    }
}

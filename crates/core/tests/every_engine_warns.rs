//! The rules that warn, on every engine that they concern: the request is allowed, with a word, and without one where
//! there is nothing to say.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{SIZE, database, denials, facts, one_item, present, request, verdict};
use dbscale_core::catalog::{Catalog, Component, Count, Engine, Pointer, Topology};
use dbscale_core::facts::Facts;
use dbscale_core::finding::Finding;
use serde_json::{Value, json};

/// A number of members that a request changes, in one topology.
struct Number {
    engine: &'static Engine,
    component: &'static Component,
    count: &'static Count,
    ask: &'static Pointer,
    object: Value,
    facts: Facts,
}

impl Number {
    /// Every number of members of every topology of every engine.
    fn all() -> Vec<Self> {
        let topologies = Catalog::builtin().engines().flat_map(|e| e.topologies.iter().map(move |t| (e, t)));
        let all = topologies.flat_map(|(engine, topology): (&'static Engine, &'static Topology)| {
            let object = database(engine, topology, &engine.versions[0]);
            engine.components_of(topology).filter_map(move |component| {
                let count = component.replicas.as_ref()?;
                let (ask, _) = (count.ask.as_ref()?, count.at.as_ref()?);
                let facts = facts(engine, &object);
                Some(Self { engine, component, count, ask, object: object.clone(), facts })
            })
        });
        all.collect()
    }

    fn now(&self) -> i64 {
        present(self.count)
    }

    /// What is said of a whole request for so many members, with other facts than the usual ones where they are given.
    fn says(&self, n: i64, facts: &Facts) -> Vec<Finding> {
        let mut ask = request(self.engine, "HorizontalScaling", Some(self.ask), json!(n));
        if self.count.together
            && let Some(shards) = &self.component.shards
            && let Some(at) = &shards.ask
        {
            at.set(&mut ask["spec"], json!(present(shards)));
        }
        for (at, value) in &self.count.with {
            at.set(&mut ask["spec"], value.clone());
        }
        verdict(self.engine, &ask, facts)
    }

    fn warns(&self, n: i64, facts: &Facts, rule: &str) -> bool {
        self.says(n, facts).iter().any(|f| f.rule.0 == rule && !f.refuses())
    }

    fn flag(&self, name: &str) -> bool {
        self.engine.flags.iter().any(|f| f == name)
    }
}

#[test]
fn fewer_members() {
    for number in Number::all() {
        let now = number.now();
        let fewer = now - 1;
        let name = format!("{}/{}", number.engine.name, number.component.name);
        if number.count.min.is_none_or(|min| fewer >= min) && !number.flag("no-pair") {
            assert!(denials(&number.says(fewer, &number.facts)).is_empty(), "{name}");
            assert!(number.warns(fewer, &number.facts, "replicas/scale-in"), "{name}");
        }
        assert!(!number.warns(now + 1, &number.facts, "replicas/scale-in"), "{name}");
    }
}

#[test]
fn what_is_there_already() {
    for number in Number::all() {
        let name = format!("{}/{}", number.engine.name, number.component.name);
        assert!(number.warns(number.now(), &number.facts, "change/none"), "{name}");
        assert!(!number.warns(number.now() + 2, &number.facts, "change/none"), "{name}");
        // Neo4j alone refuses it.
        assert_eq!(
            denials(&number.says(number.now(), &number.facts)).is_empty(),
            !number.flag("must-differ"),
            "{name}"
        );
    }
}

#[test]
fn a_leap() {
    for number in Number::all().iter().filter(|n| n.count.max.is_none()) {
        let name = format!("{}/{}", number.engine.name, number.component.name);
        let leap = number.now() * 10;
        assert!(number.warns(leap, &number.facts, "replicas/implausible"), "{name}");
        assert!(!number.warns(leap - 1, &number.facts, "replicas/implausible"), "{name}");
    }
}

#[test]
fn a_database_that_git_owns() {
    for number in Number::all() {
        let mut object = number.object.clone();
        object["metadata"]["labels"] = json!({"kustomize.toolkit.fluxcd.io/name": "apps"});
        let tracked = facts(number.engine, &object);
        let name = format!("{}/{}", number.engine.name, number.component.name);
        let found = number.says(number.now() + 2, &tracked);
        let found = found.iter().find(|f| f.rule.0 == "gitops/tracked").unwrap_or_else(|| panic!("{name}"));
        // The field is named as the object has it: of a list, the place of all its items.
        let at = number.count.at.as_ref().unwrap();
        let field = if number.ask.is_list() { one_item(at).dotted() } else { at.dotted() };
        assert!(found.remedy.contains(&field), "{name}: {}", found.remedy);
        assert!(!number.warns(number.now() + 2, &number.facts, "gitops/tracked"), "{name}");
    }
}

#[test]
fn new_members_that_begin_with_smaller_volumes() {
    let mut tried = 0;
    for number in Number::all().iter().filter(|n| n.component.storage.as_ref().is_some_and(|s| s.at.is_some())) {
        let name = format!("{}/{}", number.engine.name, number.component.name);
        let database = number.facts.database.here().unwrap();
        let view = database.components.iter().find(|c| std::ptr::eq(c.component, number.component)).unwrap();
        for (template, drifted) in [("5Gi", true), (SIZE, false)] {
            let mut facts = number.facts.clone();
            facts.templates.insert(view.name(), template.parse().unwrap());
            assert_eq!(number.warns(number.now() + 2, &facts, "storage/template-drift"), drifted, "{name}");
        }
        tried += 1;
    }
    assert!(tried >= 30, "{tried}");
}

#[test]
fn sizes_that_look_like_a_slip() {
    for engine in Catalog::builtin().engines() {
        for topology in &engine.topologies {
            let here = facts(engine, &database(engine, topology, &engine.versions[0]));
            for component in engine.components_of(topology) {
                let Some(storage) = component.storage.as_ref().filter(|s| s.at.is_some()) else { continue };
                let Some(ask) = &storage.ask else { continue };
                let warns = |size: &str| {
                    let found = verdict(engine, &request(engine, "VolumeExpansion", Some(ask), json!(size)), &here);
                    assert!(denials(&found).is_empty(), "{} {size}: {found:?}", engine.name);
                    found.iter().any(|f| f.rule.0 == "storage/implausible")
                };
                assert_eq!(["20Gi", "10Ti", "65Ti"].map(warns), [false, true, true], "{}", engine.name);
            }
        }
    }
}

#[test]
fn a_database_that_is_not_ready() {
    for number in Number::all() {
        let in_phase = |phase: &str| {
            let mut object = number.object.clone();
            object["status"] = json!({"phase": phase});
            number.warns(number.now() + 2, &facts(number.engine, &object), "database/not-ready")
        };
        assert_eq!(["Ready", "NotReady"].map(in_phase), [false, true], "{}", number.engine.name);
    }
}

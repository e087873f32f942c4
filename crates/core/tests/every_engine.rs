//! Every rule on every engine that it concerns: for each topology and component of the catalog a right request, which no
//! rule refuses, and wrong ones, each refused by the rule that knows why.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{database, denials, facts, one_item, present, request, verdict};
use dbscale_core::catalog::{Catalog, Component, Count, Engine, Pointer, Topology};
use dbscale_core::change::{Change, STANZAS};
use dbscale_core::database::Database;
use dbscale_core::facts::{Case, ClassFact, Facts, Known};
use dbscale_core::rules::judge;
use dbscale_core::status::{Operation, Phase};
use serde_json::{Value, json};

/// One component of one topology, and the database that has it.
struct Part {
    engine: &'static Engine,
    component: &'static Component,
    object: Value,
    facts: Facts,
}

impl Part {
    /// Every component of every topology of every engine, in the stored version.
    fn all() -> Vec<Self> {
        let topologies = Catalog::builtin().engines().flat_map(|e| e.topologies.iter().map(move |t| (e, t)));
        let parts = topologies.flat_map(|(engine, topology): (&'static Engine, &'static Topology)| {
            let object = database(engine, topology, &engine.versions[0]);
            engine.components_of(topology).map(move |component| {
                let facts = facts(engine, &object);
                Part { engine, component, object: object.clone(), facts }
            })
        });
        // A component that no object of the catalog's form shows (G17: DocumentDB's read replicas) is another test's.
        parts
            .filter(|p| {
                p.facts.database.here().unwrap().components.iter().any(|c| std::ptr::eq(c.component, p.component))
            })
            .collect()
    }

    fn ask(&self, ops_type: &str, at: &Pointer, value: Value) -> Vec<&'static str> {
        denials(&verdict(self.engine, &request(self.engine, ops_type, Some(at), value), &self.facts))
    }

    fn name(&self) -> String {
        format!(
            "{}/{} ({})",
            self.engine.name,
            self.component.name,
            self.facts.database.here().unwrap().topology.unwrap().name
        )
    }

    /// The counts that a request changes, with what has to be sent along.
    fn counts(&self) -> impl Iterator<Item = (&Count, &Pointer)> {
        let counts = [&self.component.replicas, &self.component.shards].into_iter().flatten();
        counts.filter_map(|c| Some((c, c.ask.as_ref()?)))
    }

    /// A horizontal request for a number, whole: the sibling and the marks of the component are sent along.
    fn horizontal(&self, count: &Count, ask: &Pointer, n: &Value) -> Value {
        let mut object = request(self.engine, "HorizontalScaling", Some(ask), n.clone());
        for (other, at) in self.counts().filter(|(c, at)| c.together && *at != ask) {
            at.set(&mut object["spec"], json!(present(other)));
        }
        for (at, value) in &count.with {
            at.set(&mut object["spec"], value.clone());
        }
        object
    }
}

#[test]
fn numbers_of_members_and_shards() {
    let mut tried = 0;
    for part in Part::all() {
        for (count, ask) in part.counts() {
            let said = |n: Value| denials(&verdict(part.engine, &part.horizontal(count, ask, &n), &part.facts));
            let name = part.name();
            assert!(said(json!(present(count) + 2)).is_empty(), "{name}: {:?}", said(json!(present(count) + 2)));
            for n in [0, -1, -7, i64::from(i32::MIN)] {
                assert_eq!(said(json!(n)), ["replicas/minimum"], "{name} {n}");
            }
            for n in [json!(1_i64 << 31), json!(2.5), json!("3"), json!(true), json!({})] {
                assert_eq!(said(n.clone()), ["request/schema"], "{name} {n}");
            }
            if let Some(min) = count.min.filter(|min| *min > 1) {
                assert!(said(json!(min - 1)).contains(&"replicas/engine-bounds"), "{name}");
                assert!(!said(json!(min)).contains(&"replicas/engine-bounds"), "{name}");
            }
            if let Some(max) = count.max {
                assert!(said(json!(max)).is_empty(), "{name}");
                assert!(said(json!(max + 1)).contains(&"replicas/engine-bounds"), "{name}");
            }
            assert!(said(json!(2_000_000)).contains(&"replicas/implausible"), "{name}");
            tried += 1;
        }
    }
    assert!(tried >= 60, "{tried}");
}

#[test]
fn sizes_of_volumes() {
    let mut tried = 0;
    for part in Part::all() {
        let Some(storage) = part.component.storage.as_ref().filter(|s| s.at.is_some()) else { continue };
        let Some(ask) = &storage.ask else { continue };
        let name = part.name();
        let said = |size: Value| part.ask("VolumeExpansion", ask, size);
        for size in [json!("20Gi"), json!("11Gi"), json!(20_000_000_000_i64), json!("1e11")] {
            assert!(said(size.clone()).is_empty(), "{name} {size}: {:?}", said(size.clone()));
        }
        for (size, rule) in [
            (json!("5Gi"), "storage/no-shrink"),
            (json!("10G"), "storage/no-shrink"),
            (json!("10Gi"), "storage/not-greater"),
            (json!("10240Mi"), "storage/not-greater"),
            (json!(10_737_418_240_i64), "storage/not-greater"),
            (json!("10 Gi"), "quantity/unreadable"),
            (json!("1e999999999"), "quantity/unreadable"),
            (json!(1.5), "request/schema"),
            (json!(["20Gi"]), "request/schema"),
        ] {
            assert_eq!(said(size.clone()), [rule], "{name} {size}");
        }
        assert_eq!(said(json!("500M")), ["storage/minimum", "storage/no-shrink"], "{name}");

        let mut ask_without_mode = request(part.engine, "VolumeExpansion", Some(ask), json!("20Gi"));
        ask_without_mode["spec"]["volumeExpansion"]["mode"] = Value::Null;
        assert_eq!(denials(&verdict(part.engine, &ask_without_mode, &part.facts)), ["request/schema"], "{name}");

        if let Some(kind) = &storage.kind {
            let mut ephemeral = part.object.clone();
            one_item(kind).set(&mut ephemeral, json!("Ephemeral"));
            let found = verdict(
                part.engine,
                &request(part.engine, "VolumeExpansion", Some(ask), json!("20Gi")),
                &facts(part.engine, &ephemeral),
            );
            assert_eq!(denials(&found), ["storage/ephemeral"], "{name}");
        }
        for (expands, refused) in [(true, false), (false, true)] {
            let mut facts = facts(part.engine, &part.object);
            facts.classes.insert("standard".to_owned(), ClassFact { expands, default: true });
            let found =
                verdict(part.engine, &request(part.engine, "VolumeExpansion", Some(ask), json!("20Gi")), &facts);
            // Where no field names the class, the default one says nothing of the volumes.
            let refused = refused && part.component.storage.as_ref().is_some_and(|s| !s.classless);
            assert_eq!(denials(&found).contains(&"storage-class/not-expandable"), refused, "{name}");
        }
        tried += 1;
    }
    assert!(tried >= 50, "{tried}");
}

#[test]
fn resources_of_containers() {
    let mut tried = 0;
    for part in Part::all() {
        let Some(ask) = part.component.resources.as_ref().and_then(|r| r.ask.as_ref()) else { continue };
        let at = ask.field("resources");
        let name = part.name();
        let said = |resources: Value| part.ask("VerticalScaling", &at, resources);
        let fine = json!({"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}});
        assert!(said(fine.clone()).is_empty(), "{name}: {:?}", said(fine.clone()));
        for (resources, rule) in [
            (json!({}), "resources/invalid"),
            (json!({"limits": {"cpu": "0"}}), "resources/invalid"),
            (json!({"limits": {"memory": "-4Gi"}}), "resources/invalid"),
            (json!({"limits": {"memroy": "4Gi"}}), "resources/unknown-name"),
            (json!({"requests": {"storage": "4Gi"}}), "resources/unknown-name"),
            (json!({"requests": {"memory": "8Gi"}, "limits": {"memory": "4Gi"}}), "resources/request-above-limit"),
            (json!({"limits": {"memory": 4}}), "resources/implausible"),
            (json!({"limits": {"cpu": "10000"}}), "resources/implausible"),
            (json!({"limits": {"memory": "4GiB"}}), "quantity/unreadable"),
            (json!({"limits": ["4Gi"]}), "request/schema"),
            (json!({"limit": {"cpu": "1"}, "limits": {"cpu": "1"}}), "component/unknown"),
        ] {
            assert_eq!(said(resources.clone()), [rule], "{name} {resources}");
        }
        // Amounts without `resources` around them: KubeDB's old documents show that.
        assert!(
            part.ask("VerticalScaling", &ask.field("limits"), json!({"cpu": "1"})).contains(&"component/unknown"),
            "{name}"
        );
        tried += 1;
    }
    assert!(tried >= 90, "{tried}");
}

#[test]
fn what_another_topology_has() {
    let mut tried = 0;
    for engine in Catalog::builtin().engines() {
        for topology in &engine.topologies {
            let object = database(engine, topology, &engine.versions[0]);
            let here = facts(engine, &object);
            let own: Vec<&Pointer> =
                engine.components_of(topology).filter_map(|c| c.storage.as_ref()?.ask.as_ref()).collect();
            let all = engine.components.values().filter_map(|c| c.storage.as_ref()?.ask.as_ref());
            for ask in all.filter(|ask| !own.contains(ask)) {
                let said =
                    denials(&verdict(engine, &request(engine, "VolumeExpansion", Some(ask), json!("20Gi")), &here));
                assert_eq!(said, ["component/not-in-topology"], "{} {}: {ask}", engine.name, topology.name);
                tried += 1;
            }
        }
    }
    assert!(tried >= 15, "{tried}");
}

#[test]
fn the_frame_of_a_request() {
    for engine in Catalog::builtin().engines() {
        let topology = &engine.topologies[0];
        let object = database(engine, topology, &engine.versions[0]);
        let here = facts(engine, &object);
        let said = |ask: &Value, facts: &Facts| denials(&verdict(engine, ask, facts));
        let restart = request(engine, "Restart", None, Value::Null);
        assert!(said(&restart, &here).is_empty(), "{}", engine.name);
        let missing = Facts { database: Known::Missing, ..Facts::default() };
        assert_eq!(said(&restart, &missing), ["database/missing"], "{}", engine.name);
        for (pointer, value, rule) in [
            ("/spec/timeout", json!("5 min"), "request/timeout"),
            ("/spec/timeout", json!("-5m"), "request/timeout"),
            ("/spec/apply", json!("Now"), "request/schema"),
            ("/spec/type", json!("Resize"), "request/type"),
            ("/spec", json!("Restart"), "request/schema"),
        ] {
            let mut ask = restart.clone();
            for (field, fine) in [("timeout", "5m"), ("apply", "Always")] {
                ask["spec"][field] = json!(fine);
            }
            assert!(said(&ask, &here).is_empty(), "{}", engine.name);
            *ask.pointer_mut(pointer).unwrap() = value;
            assert_eq!(said(&ask, &here), [rule], "{} {pointer}", engine.name);
        }
        let mut negative = restart.clone();
        negative["spec"]["maxRetries"] = json!(-1);
        let expected: &[&str] = if engine.max_retries { &["request/retries"] } else { &[] };
        assert_eq!(said(&negative, &here), expected, "{}", engine.name);

        for stanza in STANZAS {
            let bare = request(engine, stanza.ops_type, None, Value::Null);
            let mut wrong = bare.clone();
            wrong["spec"][stanza.field] = json!({"bogus": 5});
            if !engine.types.iter().any(|t| t == stanza.ops_type) {
                assert_eq!(said(&wrong, &here), ["engine/unsupported"], "{}", engine.name);
                continue;
            }
            let empty_form = stanza.ops_type == "VolumeExpansion";
            let expected = if empty_form { "stanza/empty" } else { "stanza/missing" };
            assert_eq!(
                said(&bare, &here).into_iter().filter(|r| *r != "component/unknown").collect::<Vec<_>>(),
                [expected],
                "{} {}",
                engine.name,
                stanza.field
            );
            let told = said(&wrong, &here);
            assert!(told.contains(&"component/unknown") && told.contains(&"stanza/empty"), "{}: {told:?}", engine.name);
            for other in STANZAS.iter().filter(|o| **o != stanza) {
                let mut two = bare.clone();
                two["spec"][other.field] = json!({});
                assert!(said(&two, &here).contains(&"stanza/ignored"), "{} {}", engine.name, other.field);
            }
        }
    }
}

#[test]
fn one_operation_of_a_type_at_a_time() {
    for engine in Catalog::builtin().engines() {
        let here = facts(engine, &database(engine, &engine.topologies[0], &engine.versions[0]));
        let beside = |ops_type: &str, phase: &str| {
            let mut facts = here.clone();
            facts.operations.push(Operation {
                name: "other".to_owned(),
                database: "db".to_owned(),
                ops_type: ops_type.to_owned(),
                phase: Phase::of(phase),
                created: String::new(),
                deleting: false,
                controller: None,
                reason: String::new(),
                follows: false,
            });
            let ask = request(engine, "VerticalScaling", None, Value::Null);
            verdict(engine, &ask, &facts)
                .iter()
                .find(|f| f.rule.0 == "operation/active")
                .map(dbscale_core::finding::Finding::refuses)
        };
        assert_eq!(beside("VerticalScaling", "Progressing"), Some(true), "{}", engine.name);
        assert_eq!(beside("Restart", "Progressing"), Some(false), "{}", engine.name);
        assert_eq!(beside("VerticalScaling", "Successful"), None, "{}", engine.name);
    }
}

#[test]
fn the_spec_of_a_request_never_changes() {
    for engine in Catalog::builtin().engines() {
        let old = request(engine, "Restart", None, Value::Null);
        let said = |new: &Value| {
            let change = Change::of_request_update(engine, &old, new);
            denials(&judge(&Case { change: &change, facts: &Facts::default() }))
        };
        let mut changed = old.clone();
        changed["spec"]["timeout"] = json!("9m");
        let mut finished = old.clone();
        finished["metadata"]["finalizers"] = json!([]);
        finished["status"] = json!({"phase": "Successful"});
        assert_eq!((said(&changed), said(&finished)), (vec!["request/immutable"], vec![]), "{}", engine.name);
    }
}

#[test]
fn a_new_database_keeps_the_floors_and_a_changed_one_never_shrinks() {
    for part in Part::all() {
        let judge_of = |change: &Change| judge(&Case { change, facts: &part.facts });
        let create = |object: &Value| {
            let database = facts(part.engine, object).database.here().unwrap().clone();
            judge(&Case { change: &Change::of_create(&database), facts: &Facts::default() })
        };
        assert!(denials(&create(&part.object)).is_empty(), "{}: {:?}", part.name(), create(&part.object));
        let old = part.facts.database.here().unwrap();
        let update = |object: &Value| judge_of(&Change::of_update(old, Database::of(part.engine, object)));
        assert!(update(&part.object).is_empty(), "{}", part.name());
        for at in [&part.component.replicas, &part.component.shards].into_iter().flatten().filter_map(|c| c.at.as_ref())
        {
            let mut object = part.object.clone();
            one_item(at).set(&mut object, json!(0));
            assert_eq!(denials(&create(&object)), ["replicas/minimum"], "{}", part.name());
            assert_eq!(denials(&update(&object)), ["replicas/minimum"], "{}", part.name());
        }
        if let Some(storage) = part.component.storage.as_ref().filter(|s| s.at.is_some()) {
            let sized = |size: Value| {
                let mut object = part.object.clone();
                one_item(&storage.size).set(&mut object, size);
                object
            };
            let small = create(&sized(json!("600Mi")));
            assert!(
                small.iter().any(|f| f.rule.0 == "storage/minimum") && denials(&small).is_empty(),
                "{}",
                part.name()
            );
            assert!(denials(&update(&sized(json!("20Gi")))).is_empty(), "{}", part.name());
            assert_eq!(denials(&update(&sized(json!("5Gi")))), ["storage/no-shrink"], "{}", part.name());
            assert_eq!(denials(&update(&sized(Value::Null))), ["storage/no-shrink"], "{}", part.name());
            assert_eq!(denials(&update(&sized(json!("10GB")))), ["quantity/unreadable"], "{}", part.name());
        }
    }
}

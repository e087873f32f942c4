//! Reviews at random: a short form of the fuzz target in `fuzz/`, and what it begins with.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../../../core/tests/common/mod.rs"]
mod common;
mod target;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::{env, fs};

use common::{database, request};
use dbscale_core::catalog::{Catalog, Component, Engine, Pointer};
use dbscale_core::change::{HORIZONTAL, VERTICAL, VOLUME};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use target::{BETWEEN, WHOLE};

/// Every topology of every engine created and updated, and a request for each of its components.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let engines = Catalog::builtin().engines().zip(0_u8..);
    let topologies = engines.flat_map(|(e, number)| e.topologies.iter().map(move |t| (e, number, t)));
    let mut seeds = BTreeSet::new();
    for (engine, number, topology) in topologies {
        for version in &engine.versions {
            let object = database(engine, topology, version);
            let grown = object.to_string().replace("10Gi", "20Gi").replace("\"cpu\":\"1\"", "\"cpu\":\"2\"");
            seeds.insert(seed(3, number, &grown, &json!(null)));
            seeds.insert(seed(4, number, &grown, &object));
            for ask in engine.components_of(topology).flat_map(|component| requests(engine, component)) {
                seeds.insert(seed(1, number, &ask.to_string(), &object));
                seeds.insert(seed(2, number, &ask.to_string().replace('5', "7"), &ask));
            }
        }
    }
    seeds.into_iter().collect()
});

/// A request of each type that a component has.
fn requests(engine: &Engine, component: &Component) -> Vec<Value> {
    let count = [&component.replicas, &component.shards].into_iter().flatten().filter_map(|c| c.ask.as_ref());
    let amounts = json!({"cpu": "2", "memory": "5Gi"});
    let resources = component.resources.as_ref().and_then(|r| Some(r.ask.as_ref()?.field("resources")));
    let size = component.storage.as_ref().and_then(|s| s.ask.as_ref());
    let ask = |ops_type: &str, at: &Pointer, value| request(engine, ops_type, Some(at), value);
    let mut asks: Vec<Value> = count.map(|at| ask(HORIZONTAL.ops_type, at, json!(5))).collect();
    asks.extend(resources.map(|at| ask(VERTICAL.ops_type, &at, json!({"requests": amounts, "limits": amounts}))));
    asks.extend(size.map(|at| ask(VOLUME.ops_type, at, json!("50Gi"))));
    asks
}

fn seed(how: u8, engine: u8, object: &str, there: &Value) -> Vec<u8> {
    // Every fourth one is read by both readers.
    let how = if engine.is_multiple_of(4) { how + WHOLE } else { how };
    [&[how, engine], object.as_bytes(), &[BETWEEN], there.to_string().as_bytes()].concat()
}

/// `DBSCALE_FUZZ_SEEDS` names a folder for them.
#[test]
fn seeds_are_judged() {
    let folder = env::var_os("DBSCALE_FUZZ_SEEDS").map(PathBuf::from);
    for (number, seed) in SEEDS.iter().enumerate() {
        let whole = [&[seed[0] | WHOLE], &seed[1..]].concat();
        assert!(target::judge(seed) && target::judge(&whole), "it is no review: {}", String::from_utf8_lossy(seed));
        if let Some(folder) = &folder {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
    }
    assert!(SEEDS.len() > 500, "{}", SEEDS.len());
}

/// What may happen to a text.
#[derive(Debug, Clone)]
enum Edit {
    Cut(Index, Index),
    Put(Index, &'static str),
    Replace(Index, Index, &'static str),
    Byte(Index, u8),
}

/// Pieces that mean something to the reader or to a rule.
const WORDS: [&str; 20] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "-1",
    "0",
    "1e999999999",
    "9223372036854775808",
    "\"10Gi\"",
    "\"1n\"",
    "\"name\":",
    "\"spec\":{",
    "\"replicas\":",
    "\"metadata\":{",
    "\"deletionTimestamp\":\"x\"",
    "\\ud800",
];

fn edit() -> impl Strategy<Value = Edit> {
    let (at, word) = (any::<Index>, || select(&WORDS[..]));
    prop_oneof![
        (at(), at()).prop_map(|(a, b)| Edit::Cut(a, b)),
        (at(), word()).prop_map(|(a, word)| Edit::Put(a, word)),
        (at(), at(), word()).prop_map(|(a, b, word)| Edit::Replace(a, b, word)),
        (at(), any::<u8>()).prop_map(|(a, byte)| Edit::Byte(a, byte)),
    ]
}

fn edited(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        let at = |index: &Index| index.index(bytes.len() + 1);
        let range = |a: &Index, b: &Index| at(a).min(at(b))..at(a).max(at(b));
        match edit {
            Edit::Cut(a, b) => drop(bytes.drain(range(a, b))),
            Edit::Put(a, word) => drop(bytes.splice(at(a)..at(a), word.bytes())),
            Edit::Replace(a, b, word) => drop(bytes.splice(range(a, b), word.bytes())),
            Edit::Byte(a, byte) => bytes.insert(at(a), *byte),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_is_made_of_a_review_gets_an_answer_or_is_none(
        seed in select(&SEEDS[..]),
        edits in prop::collection::vec(edit(), 1..6),
    ) {
        let mut bytes = edited(seed, &edits);
        target::judge(&bytes);
        if let Some(how) = bytes.first_mut().filter(|how| **how < WHOLE) {
            *how += WHOLE;
            target::judge(&bytes);
        }
    }
}

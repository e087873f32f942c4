//! What a program is made of, as CycloneDX has it: the crates that cargo builds it of for one system, each with its licence,
//! its sum and what it needs in turn. The same sources make the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};
use dbscale_testbed::assets;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::zig;

/// A crate: name and version.
type Crate = (String, String);

/// What cargo tells of a program's crates.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tree {
    licences: BTreeMap<Crate, String>,
    needs: BTreeMap<Crate, BTreeSet<Crate>>,
    root: Option<Crate>,
}

/// The bill of materials of a package's program. `time_s`: Unix seconds that it bears.
///
/// # Errors
/// What cargo could not tell, or Cargo.lock not hold.
pub fn of(package: &str, target: &str, time_s: u64) -> Result<String> {
    let arguments = ["tree", "--locked", "--edges", "normal", "--prefix", "depth", "--format", "\t{p}\t{l}"];
    let said = zig::output(env!("CARGO"), &[&arguments[..], &["--package", package, "--target", target]].concat());
    let tree = read(&said.with_context(|| format!("cargo tree does not tell what {package} is made of"))?)?;
    let lock = fs::read_to_string(assets::workspace().join("Cargo.lock")).context("could not read Cargo.lock")?;
    let time = Timestamp::from_second(i64::try_from(time_s)?)?;
    Ok(serde_json::to_string_pretty(&document(&tree, &sums(&lock), &time.to_string())?)? + "\n")
}

/// Reads lines of depth, crate and licence. A crate that was told of before ends in `(*)`, and its needs are left out.
fn read(text: &str) -> Result<Tree> {
    let mut tree = Tree::default();
    let mut above: Vec<Crate> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let mut fields = line.split('\t');
        let (depth, named, licence) = (fields.next(), fields.next(), fields.next());
        let wrong = || format!("this is no line of cargo tree: {line}");
        let depth: usize = depth.and_then(|depth| depth.parse().ok()).with_context(wrong)?;
        let mut words = named.with_context(wrong)?.split(' ');
        let (name, version) = (words.next(), words.next().and_then(|word| word.strip_prefix('v')));
        let found = (name.with_context(wrong)?.to_owned(), version.with_context(wrong)?.to_owned());
        let licence = licence.unwrap_or_default().trim_end_matches(" (*)").to_owned();
        above.truncate(depth);
        match above.last() {
            Some(parent) => {
                tree.needs.entry(parent.clone()).or_default().insert(found.clone());
            }
            None => tree.root = Some(found.clone()),
        }
        tree.licences.insert(found.clone(), licence);
        above.push(found);
    }
    Ok(tree)
}

/// The sums that Cargo.lock holds; crates of this workspace have none.
fn sums(lock: &str) -> BTreeMap<Crate, String> {
    let value = |part: &str, key: &str| {
        let line = part.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
        line.map(|value| value.trim_end_matches('"').to_owned())
    };
    let one = |part: &str| Some(((value(part, "name")?, value(part, "version")?), value(part, "checksum")?));
    lock.split("[[package]]").filter_map(one).collect()
}

fn document(tree: &Tree, sums: &BTreeMap<Crate, String>, time: &str) -> Result<Value> {
    let root = tree.root.as_ref().context("cargo tree names no program")?;
    let name = |(name, version): &Crate| format!("pkg:cargo/{name}@{version}");
    let component = |found: &Crate, kind: &str| {
        let mut component = json!({
            "type": kind, "bom-ref": name(found), "name": found.0, "version": found.1, "purl": name(found),
        });
        // Old crates write a slash where SPDX has OR.
        let licence = tree.licences[found].replace(" / ", " OR ").replace('/', " OR ");
        if !licence.is_empty() {
            component["licenses"] = json!([{"expression": licence}]);
        }
        if let Some(sum) = sums.get(found) {
            component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
        }
        component
    };
    let needs = |found: &Crate| -> Vec<String> { tree.needs.get(found).into_iter().flatten().map(name).collect() };
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": time, "component": component(root, "application")},
        "components": tree.licences.keys().filter(|c| *c != root).map(|c| component(c, "library")).collect::<Vec<_>>(),
        "dependencies":
            tree.licences.keys().map(|c| json!({"ref": name(c), "dependsOn": needs(c)})).collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0\tprogram v0.1.0 (/src/program)\tApache-2.0\n1\tserde v1.0.2\tMIT/Apache-2.0\n\
        2\tderive v1.0.2 (proc-macro)\tMIT\n1\tjson v2.0.0\tMIT\n2\tserde v1.0.2\tMIT/Apache-2.0 (*)\n";
    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"serde\"\nversion = \"1.0.2\"\nsource = \"registry+x\"\n\
        checksum = \"abc\"\n\n[[package]]\nname = \"program\"\nversion = \"0.1.0\"\n";

    #[test]
    fn each_crate_is_told_once_with_its_licence_its_sum_and_its_needs() {
        let made = document(&read(TREE).unwrap(), &sums(LOCK), "2026-01-01T00:00:00Z").unwrap();
        assert_eq!(made["metadata"]["component"]["purl"], "pkg:cargo/program@0.1.0");
        let names: Vec<&str> =
            made["components"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["derive", "json", "serde"]);
        let serde = &made["components"][2];
        assert_eq!(serde["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(serde["hashes"], json!([{"alg": "SHA-256", "content": "abc"}]));
        assert!(made["components"][0].get("hashes").is_none());
        let needs = |name: &str| {
            let all = made["dependencies"].as_array().unwrap();
            all.iter().find(|d| d["ref"] == name).unwrap()["dependsOn"].clone()
        };
        assert_eq!(needs("pkg:cargo/program@0.1.0"), json!(["pkg:cargo/json@2.0.0", "pkg:cargo/serde@1.0.2"]));
        assert_eq!(needs("pkg:cargo/serde@1.0.2"), json!(["pkg:cargo/derive@1.0.2"]));
        assert_eq!(needs("pkg:cargo/json@2.0.0"), json!(["pkg:cargo/serde@1.0.2"]));
    }

    #[test]
    fn another_form_of_the_tree_is_an_error() {
        assert!(read("program v0.1.0").unwrap_err().to_string().contains("no line of cargo tree"));
    }
}

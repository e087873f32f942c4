//! The commands that ask no cluster: engines, sizes, explain.

use std::path::PathBuf;

use dbscale_core::catalog::{Catalog, Component, Count, Engine, Pointer};
use dbscale_core::finding::Severity;
use dbscale_core::rules::{self, Rule};
use dbscale_core::size::{SizeClass, Sizes};
use serde_json::{Value, json};

use crate::cli::Output;
use crate::outcome::Failure;
use crate::output::data;
use crate::run::failure::usage;
use crate::{output, target};

/// Lists the engines, or shows one.
///
/// # Errors
/// Where there is no such engine.
pub fn engines(engine: Option<&str>, form: Option<Output>) -> Result<(), Failure> {
    let engine = engine.map(target::engine_of).transpose().map_err(usage)?;
    if let Some(form @ (Output::Json | Output::Yaml)) = form {
        let all = || Catalog::builtin().engines().map(describe).collect();
        output::machine(form, &engine.map_or_else(all, describe));
        return Ok(());
    }
    if form == Some(Output::Name) {
        let names = Catalog::builtin().engines().filter(|e| engine.is_none_or(|one| one.name == e.name));
        names.for_each(|e| data!("{}", e.name));
        return Ok(());
    }
    let Some(engine) = engine else {
        let row = |e: &Engine| {
            let has = |ops_type: &str| if can(e, ops_type) { "yes" } else { "-" }.to_owned();
            let [size, members, volumes] = ["VerticalScaling", "HorizontalScaling", "VolumeExpansion"].map(has);
            vec![e.name.clone(), e.short.join(","), size, members, volumes, e.versions.join(",")]
        };
        let rows: Vec<Vec<String>> = Catalog::builtin().engines().map(row).collect();
        data!("{}", output::table(&["ENGINE", "SHORT", "SIZE", "MEMBERS", "VOLUMES", "VERSIONS"], &rows).trim_end());
        return Ok(());
    };
    data!("{} ({}; {})", engine.name, engine.kind, engine.short.join(", "));
    for topology in &engine.topologies {
        data!("\n{}", topology.title);
        let row = |c: &Component| {
            let field = |p: Option<&Pointer>| p.map_or_else(|| "-".to_owned(), Pointer::dotted);
            let size = field(c.resources.as_ref().and_then(|r| r.ask.as_ref()));
            let volume = field(c.storage.as_ref().and_then(|s| s.ask.as_ref()));
            vec![c.name.clone(), range(c.replicas.as_ref()), range(c.shards.as_ref()), size, volume]
        };
        let rows: Vec<Vec<String>> = engine.components_of(topology).map(row).collect();
        for line in output::table(&["COMPONENT", "MEMBERS", "SHARDS", "SIZE FIELD", "VOLUME FIELD"], &rows).lines() {
            data!("  {line}");
        }
        for (name, note) in engine.components_of(topology).filter_map(|c| Some((&c.name, c.note.as_ref()?))) {
            data!("  {name}: {note}.");
        }
    }
    Ok(())
}

/// `1..50`; `-` where no OpsRequest changes it.
fn range(count: Option<&Count>) -> String {
    let Some(count) = count.filter(|c| c.ask.is_some()) else { return "-".to_owned() };
    let most = count.max.map_or_else(String::new, |most| most.to_string());
    format!("{}..{most}", count.min.unwrap_or(1))
}

fn can(engine: &Engine, ops_type: &str) -> bool {
    let asks = |c: &Component| match ops_type {
        "VerticalScaling" => c.resources.as_ref().is_some_and(|r| r.ask.is_some()),
        "HorizontalScaling" => [&c.replicas, &c.shards].into_iter().flatten().any(|c| c.ask.is_some()),
        _ => c.storage.as_ref().is_some_and(|s| s.ask.is_some()),
    };
    engine.types.iter().any(|t| t == ops_type) && engine.components.values().any(asks)
}

fn describe(engine: &Engine) -> Value {
    let ask = |p: Option<&Pointer>| p.map(|p| format!("spec.{}", p.dotted()));
    let count = |c: Option<&Count>| {
        let asked = c.filter(|c| c.ask.is_some());
        asked.map(|c| json!({"field": ask(c.ask.as_ref()), "min": c.min.unwrap_or(1), "max": c.max}))
    };
    let component = |c: &Component| {
        json!({
            "name": c.name,
            "replicas": count(c.replicas.as_ref()),
            "shards": count(c.shards.as_ref()),
            "resources": ask(c.resources.as_ref().and_then(|r| r.ask.as_ref())),
            "storage": ask(c.storage.as_ref().and_then(|s| s.ask.as_ref())),
            "note": c.note,
        })
    };
    let topology = |t: &dbscale_core::catalog::Topology| {
        let components: Vec<Value> = engine.components_of(t).map(component).collect();
        json!({"name": t.name, "title": t.title, "components": components})
    };
    let topologies: Vec<Value> = engine.topologies.iter().map(topology).collect();
    json!({"name": engine.name, "kind": engine.kind, "short": engine.short, "versions": engine.versions,
        "types": engine.types, "topologies": topologies})
}

/// The size classes, those of a file included.
///
/// # Errors
/// Where the file cannot be read or does not make sense.
pub fn read_sizes(file: Option<&PathBuf>) -> Result<Sizes, Failure> {
    let Some(file) = file else { return Ok(Sizes::built_in().clone()) };
    let text = std::fs::read_to_string(file).map_err(|e| usage(format!("{} cannot be read: {e}", file.display())))?;
    let value: Value =
        serde_saphyr::from_str(&text).map_err(|e| usage(format!("{} is no YAML: {e}", file.display())))?;
    Sizes::built_in().extended_with(&value).map_err(|e| usage(format!("{}: {e}", file.display())))
}

/// Lists the size classes.
///
/// # Errors
/// As [`read_sizes`].
pub fn sizes(file: Option<&PathBuf>, form: Option<Output>) -> Result<(), Failure> {
    let sizes = read_sizes(file)?;
    if let Some(form @ (Output::Json | Output::Yaml)) = form {
        let json = |c: &SizeClass| json!({"name": c.name, "cpu": c.cpu, "memory": c.memory, "confirmed": c.confirmed});
        output::machine(form, &sizes.iter().map(json).collect());
        return Ok(());
    }
    if form == Some(Output::Name) {
        for class in &sizes {
            data!("{}", class.name);
        }
        return Ok(());
    }
    let row = |c: &SizeClass| {
        let note = if c.confirmed { String::new() } else { "not confirmed".to_owned() };
        vec![c.name.clone(), c.cpu.to_string(), c.memory.to_string(), note]
    };
    let rows: Vec<Vec<String>> = sizes.iter().map(row).collect();
    data!("{}", output::table(&["SIZE", "CPU", "MEMORY", "NOTE"], &rows).trim_end());
    Ok(())
}

/// Lists the rules, or explains one.
///
/// # Errors
/// Where there is no such rule.
pub fn explain(rule: Option<&str>, form: Option<Output>) -> Result<(), Failure> {
    let word = |severity: Severity| if severity == Severity::Deny { "refuses" } else { "warns" };
    let json = |r: &Rule| {
        json!({"id": r.id, "severity": r.severity, "exit_code": r.exit, "reason": r.reason, "source": r.source,
            "refused": r.refused, "right": r.right, "fix": r.fix})
    };
    let Some(id) = rule else {
        if let Some(form @ (Output::Json | Output::Yaml)) = form {
            output::machine(form, &rules::all().map(json).collect());
        } else if form == Some(Output::Name) {
            for rule in rules::all() {
                data!("{}", rule.id);
            }
        } else {
            let row = |r: &Rule| vec![r.id.to_string(), word(r.severity).to_owned()];
            let rows: Vec<Vec<String>> = rules::all().map(row).collect();
            data!("{}", output::table(&["RULE", "IT"], &rows).trim_end());
        }
        return Ok(());
    };
    let Some(rule) = rules::find(id) else {
        let mut ids: Vec<&str> = rules::all().map(|r| r.id.0).collect();
        ids.sort_by(|a, b| strsim::jaro_winkler(b, id).total_cmp(&strsim::jaro_winkler(a, id)));
        ids.truncate(3);
        let near = ids.join(", ");
        return Err(usage(format!("there is no rule '{id}'; near: {near}. All of them: kubectl dbscale explain")));
    };
    if let Some(form @ (Output::Json | Output::Yaml)) = form {
        output::machine(form, &json(rule));
        return Ok(());
    }
    let indent = |text: &str| text.lines().fold(String::new(), |all, line| all + "  " + line + "\n");
    let found = if rule.severity == Severity::Deny { "Refused" } else { "Warned of" };
    data!("{} ({})\n\n{}\n", rule.id, word(rule.severity), rule.reason);
    data!("{found}:\n{}\nRight:\n{}", indent(rule.refused), indent(rule.right));
    data!("{}\n\nSource: {}.", rule.fix, rule.source);
    Ok(())
}

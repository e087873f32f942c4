//! How a plan is told: the difference, the steps, and what each brings about.

use std::fmt::Write as _;

use dbscale_core::catalog::{DATABASE_GROUP, OPS_GROUP};
use dbscale_core::change::{HORIZONTAL, VERTICAL, VOLUME};
use dbscale_core::database::{ComponentView, Database};
use dbscale_core::plan::{Plan, Step};
use serde_json::{Value, json};

use crate::cli::Output;
use crate::output::{self, GREEN, RED, YELLOW, data};
use crate::run::Subject;

/// The plan in the form of `-o json`.
#[must_use]
pub fn machine(subject: &Subject, plan: &Plan) -> Value {
    let step = |step: &Step| match step {
        Step::Request(r) => json!({"kind": "OpsRequest", "ops_type": r.ops_type, "object": r.object}),
        Step::Patch(p) => json!({"kind": "Patch", "patch": p.patch, "claims": p.claims}),
    };
    json!({
        "engine": subject.engine.name, "namespace": subject.namespace, "name": subject.name,
        "component": plan.component,
        "differences": plan.differences,
        "steps": plan.steps.iter().map(step).collect::<Vec<_>>(),
        "findings": plan.findings,
    })
}

/// What a step is about, as `-o name` prints it.
#[must_use]
pub fn resource(subject: &Subject, step: &Step) -> String {
    match step {
        Step::Request(r) => {
            let name = r.object["metadata"]["name"].as_str().unwrap_or_default();
            format!("{}.{OPS_GROUP}/{name}", subject.engine.ops_kind().to_lowercase())
        }
        Step::Patch(_) => format!("{}.{DATABASE_GROUP}/{}", subject.engine.kind.to_lowercase(), subject.name),
    }
}

/// Prints the exact objects and patches, with `-o wide`.
pub fn objects(plan: &Plan) {
    for (index, step) in plan.steps.iter().enumerate() {
        let value = match step {
            Step::Request(r) => r.object.clone(),
            Step::Patch(p) => json!(p.patch),
        };
        data!("\n# step {}", index + 1);
        output::machine(Output::Yaml, &value);
    }
}

/// Prints what changes and the steps; `size` is the class that was asked for.
pub fn screen(database: &Database, subject: &Subject, plan: &Plan, size: Option<&str>) {
    let title = database.topology.map_or("unknown topology", |t| t.title.as_str());
    let phase = if database.phase.is_empty() { "no phase yet" } else { &database.phase };
    data!("{} in {} · {title} · {phase}\n", database.target(), database.namespace);
    if plan.steps.is_empty() {
        data!("  Already at the desired state: nothing to do.");
        return;
    }
    let rows = rows(plan, size);
    let width = |cell: fn(&Row) -> &String| rows.iter().map(|r| cell(r).chars().count()).max().unwrap_or(0);
    let (before, after) = (width(|r| &r.before), width(|r| &r.after));
    for r in &rows {
        let mut line = format!("  {:<9}  {RED}{:<before$}{RED:#}  →  ", r.field, r.before);
        let _ = if r.note.is_empty() {
            write!(line, "{GREEN}{}{GREEN:#}", r.after)
        } else {
            write!(line, "{GREEN}{:<after$}{GREEN:#}  {YELLOW}{}{YELLOW:#}", r.after, r.note)
        };
        output::page_out(&format!("{line}\n"));
    }
    data!("\nSteps");
    for (index, step) in plan.steps.iter().enumerate() {
        let (what, on, consequence) = consequence(database, subject, plan, step);
        output::page_out(&format!("  {}  {what:<17}  {on:<22}  {consequence}\n", index + 1));
    }
    let scales = |s: &&Step| matches!(s, Step::Request(r) if r.ops_type != VOLUME.ops_type);
    if plan.steps.iter().filter(scales).count() > 1 {
        data!("\nTwo requests, because KubeDB acts on one stanza a request and drops the other");
        data!("silently (stanza/ignored).");
    }
    plan.findings.iter().filter(|f| !f.refuses()).for_each(|f| output::warning(&f.to_string()));
}

/// A line of the difference.
pub(super) struct Row {
    pub(super) field: &'static str,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) note: String,
}

/// The differences; a size class stands for its amounts, which follow it.
pub(super) fn rows(plan: &Plan, size: Option<&str>) -> Vec<Row> {
    let find = |field: &str| plan.differences.iter().find(|d| d.field == field);
    let mut rows: Vec<Row> = plan
        .differences
        .iter()
        .filter(|d| size.is_none() || !["cpu", "memory"].contains(&d.field))
        .map(|d| Row {
            field: d.field,
            before: d.before.clone().unwrap_or_else(|| "none".to_owned()),
            after: d.after.clone(),
            note: if d.irreversible { "cannot be undone".to_owned() } else { String::new() },
        })
        .collect();
    if let (Some(size), true) = (size, find("cpu").or(find("memory")).is_some()) {
        let class = output::present_class(&plan.differences, size);
        let note: Vec<String> = ["cpu", "memory"].into_iter().filter_map(find).map(output::change).collect();
        let before = class.unwrap_or_else(|| "no class".to_owned());
        rows.push(Row { field: "size", before, after: size.to_owned(), note: note.join(", ") });
    }
    // As a person reads it: members, size, and at the end what cannot be undone.
    rows.sort_by_key(|r| ["shards", "replicas", "size", "cpu", "memory", "storage"].iter().position(|f| *f == r.field));
    rows
}

pub(super) fn consequence(
    database: &Database,
    subject: &Subject,
    plan: &Plan,
    step: &Step,
) -> (&'static str, String, String) {
    let view = database.components.iter().find(|c| c.name() == plan.component);
    let wanted = |field: &str, present: Option<i64>| {
        let difference = plan.differences.iter().find(|d| d.field == field);
        difference.and_then(|d| d.after.parse().ok()).or(present).unwrap_or(1)
    };
    let (replicas, shards) = (view.and_then(ComponentView::replicas), view.and_then(ComponentView::shards));
    let now = replicas.unwrap_or(1) * shards.unwrap_or(1);
    let then: i64 = wanted("replicas", replicas) * wanted("shards", shards);
    let pods = |n: i64| if n == 1 { "1 pod".to_owned() } else { format!("{n} pods") };
    match step {
        Step::Patch(p) => {
            let mut classes: Vec<&str> = subject.facts.claims.iter().filter_map(|c| c.class.as_deref()).collect();
            classes.dedup();
            let class = match classes.as_slice() {
                [class] => format!(", class \"{class}\""),
                _ => String::new(),
            };
            let text = match p.claims.len() {
                _ if p.reverts => "the object goes back to what its volumes have".to_owned(),
                0 => "no claim is known that has to grow".to_owned(),
                1 => format!("1 volume grows{class}, online"),
                n => format!("{n} volumes grow{class}, online"),
            };
            ("Patch", database.target(), text)
        }
        Step::Request(r) => {
            let template = subject.facts.templates.get(&plan.component);
            let patched = plan.steps.iter().any(|s| matches!(s, Step::Patch(p) if !p.reverts));
            let old = template.filter(|_| patched).map(|size| format!(", with volumes of {size} at first"));
            let old = old.unwrap_or_default();
            let text = match r.ops_type {
                t if t == VERTICAL.ops_type && then == 1 => "1 pod restarts".to_owned(),
                t if t == VERTICAL.ops_type => format!("{} restart, one by one", pods(then)),
                t if t == HORIZONTAL.ops_type && then > now => format!("{} more{old}", pods(then - now)),
                t if t == HORIZONTAL.ops_type => format!("{} less", pods(now - then)),
                t if t == VOLUME.ops_type => "KubeDB grows the volumes".to_owned(),
                _ => "KubeDB carries it out".to_owned(),
            };
            (r.ops_type, database.engine.ops_kind(), text)
        }
    }
}

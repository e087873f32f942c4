//! `plan`: what `set` would do, and nothing is changed.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ValueEnum as _;
use dbscale_core::catalog::{DATABASE_GROUP, OPS_GROUP};
use dbscale_core::change::{HORIZONTAL, VERTICAL, VOLUME};
use dbscale_core::database::{ComponentView, Database};
use dbscale_core::plan::{Plan, Stamp, Step};
use serde_json::{Value, json};

use super::change::{self, Wanted};
use crate::cli::{Global, Output, PlanArgs};
use crate::outcome::Failure;
use crate::output::{self, GREEN, RED, YELLOW, data};
use crate::run::{self, Subject, failure};

/// The exit code where there are steps, with `--exit-code`.
const STEPS: u8 = 1;
/// The exit code of an error, with `--exit-code`.
const ERROR: u8 = 2;

/// Plans for every target and prints it; answers the exit code.
pub async fn run(wanted: Wanted, args: &PlanArgs, global: &Global) -> u8 {
    let code = |code: u8| if args.exit_code { ERROR } else { code };
    let looked = async {
        let cluster = change::cluster(global).await?;
        change::look(&cluster, &wanted, global).await
    };
    let (subjects, user) = match looked.await {
        Ok(looked) => looked,
        Err(failure) => {
            output::failed("", &failure);
            return code(failure.exit_code);
        }
    };
    let single = subjects.len() == 1 && wanted.targets.iter().all(|t| t.name.is_some());
    let (mut worst, mut steps, mut values) = (0, 0, Vec::new());
    for (index, subject) in subjects.iter().enumerate() {
        let stamp = run::stamp(&wanted.job, user.clone(), index);
        subject.warnings.iter().for_each(|w| output::warning(w));
        match planned(subject, &wanted, &stamp) {
            Ok(plan) => {
                steps += plan.steps.len();
                match (global.output, subject.database()) {
                    (Some(Output::Json | Output::Yaml), _) => values.push(machine(subject, &plan)),
                    (Some(Output::Name), _) => plan.steps.iter().for_each(|s| data!("{}", resource(subject, s))),
                    (form, Some(database)) => {
                        if index > 0 {
                            data!("");
                        }
                        screen(database, subject, &plan, args);
                        if form == Some(Output::Wide) {
                            objects(&plan);
                        }
                        data!("\nNothing has been changed.{}", again(database, &plan, args, global));
                    }
                    _ => {}
                }
            }
            Err(failure) => {
                output::failed(&format!("{}/{}", subject.engine.name, subject.name), &failure);
                worst = worst.max(failure.exit_code);
                values.push(json!({
                    "engine": subject.engine.name, "namespace": subject.namespace, "name": subject.name,
                    "error": output::error_of(&failure),
                }));
            }
        }
    }
    if let Some(form @ (Output::Json | Output::Yaml)) = global.output {
        match values.as_slice() {
            [_] if single && worst > 0 => {} // the error stands on stderr
            [only] if single => output::machine(form, only),
            several => output::machine(form, &json!({"results": several})),
        }
    }
    match (worst, args.exit_code) {
        (0, true) if steps > 0 => STEPS,
        (0, _) => 0,
        (worst, _) => code(worst),
    }
}

fn planned(subject: &Subject, wanted: &Wanted, stamp: &Stamp) -> Result<Plan, Failure> {
    let plan = run::plan_for(subject, &wanted.job, stamp)?;
    if plan.is_refused() {
        return Err(failure::of_findings(plan.findings));
    }
    let steps = run::execute::unasked(&plan, subject, wanted.job.combined);
    Ok(Plan { steps, ..plan })
}

fn machine(subject: &Subject, plan: &Plan) -> Value {
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

fn resource(subject: &Subject, step: &Step) -> String {
    match step {
        Step::Request(r) => {
            let name = r.object["metadata"]["name"].as_str().unwrap_or_default();
            format!("{}.{OPS_GROUP}/{name}", subject.engine.ops_kind().to_lowercase())
        }
        Step::Patch(_) => format!("{}.{DATABASE_GROUP}/{}", subject.engine.kind.to_lowercase(), subject.name),
    }
}

/// The exact objects and patches, with `-o wide`.
fn objects(plan: &Plan) {
    for (index, step) in plan.steps.iter().enumerate() {
        let value = match step {
            Step::Request(r) => r.object.clone(),
            Step::Patch(p) => json!(p.patch),
        };
        data!("\n# step {}", index + 1);
        output::machine(Output::Yaml, &value);
    }
}

fn screen(database: &Database, subject: &Subject, plan: &Plan, args: &PlanArgs) {
    let title = database.topology.map_or("unknown topology", |t| t.title.as_str());
    let phase = if database.phase.is_empty() { "no phase yet" } else { &database.phase };
    data!("{} in {} · {title} · {phase}\n", database.target(), database.namespace);
    if plan.steps.is_empty() {
        data!("  Already at the desired state: nothing to do.");
        return;
    }
    let rows = rows(plan, args);
    let width = |cell: fn(&Row) -> &String| rows.iter().map(|r| cell(r).chars().count()).max().unwrap_or(0);
    let (before, after) = (width(|r| &r.before), width(|r| &r.after));
    for r in &rows {
        let mut line = format!("  {:<9}  {RED}{:<before$}{RED:#}  →  ", r.field, r.before);
        let _ = if r.note.is_empty() {
            write!(line, "{GREEN}{}{GREEN:#}", r.after)
        } else {
            write!(line, "{GREEN}{:<after$}{GREEN:#}  {YELLOW}{}{YELLOW:#}", r.after, r.note)
        };
        data!("{line}");
    }
    data!("\nSteps");
    for (index, step) in plan.steps.iter().enumerate() {
        let (what, on, consequence) = consequence(database, subject, plan, step);
        data!("  {}  {what:<17}  {on:<22}  {consequence}", index + 1);
    }
    let scales = |s: &&Step| matches!(s, Step::Request(r) if r.ops_type != VOLUME.ops_type);
    if plan.steps.iter().filter(scales).count() > 1 {
        data!("\nTwo requests, because KubeDB acts on one stanza a request and drops the other");
        data!("silently (stanza/ignored).");
    }
    plan.findings.iter().filter(|f| !f.refuses()).for_each(|f| output::warning(&f.to_string()));
}

/// A line of the difference.
struct Row {
    field: &'static str,
    before: String,
    after: String,
    note: String,
}

/// The differences; a size class stands for its amounts, which follow it.
fn rows(plan: &Plan, args: &PlanArgs) -> Vec<Row> {
    let find = |field: &str| plan.differences.iter().find(|d| d.field == field);
    let mut rows: Vec<Row> = plan
        .differences
        .iter()
        .filter(|d| args.set.size.size.is_none() || !["cpu", "memory"].contains(&d.field))
        .map(|d| Row {
            field: d.field,
            before: d.before.clone().unwrap_or_else(|| "none".to_owned()),
            after: d.after.clone(),
            note: if d.irreversible { "cannot be undone".to_owned() } else { String::new() },
        })
        .collect();
    if let (Some(size), true) = (&args.set.size.size, find("cpu").or(find("memory")).is_some()) {
        let class = output::present_class(&plan.differences, size);
        let note: Vec<String> = ["cpu", "memory"].into_iter().filter_map(find).map(output::change).collect();
        let before = class.unwrap_or_else(|| "no class".to_owned());
        rows.push(Row { field: "size", before, after: size.clone(), note: note.join(", ") });
    }
    // As a person reads it: members, size, and at the end what cannot be undone.
    rows.sort_by_key(|r| ["shards", "replicas", "size", "cpu", "memory", "storage"].iter().position(|f| *f == r.field));
    rows
}

fn consequence(database: &Database, subject: &Subject, plan: &Plan, step: &Step) -> (&'static str, String, String) {
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
                _ => "KubeDB grows the volumes".to_owned(),
            };
            (r.ops_type, database.engine.ops_kind(), text)
        }
    }
}

/// The command that does it, with every flag that makes a difference.
fn again(database: &Database, plan: &Plan, args: &PlanArgs, global: &Global) -> String {
    if plan.steps.is_empty() {
        return String::new();
    }
    let mut text = format!(" Do it: kubectl dbscale set {} -n {}", database.target(), database.namespace);
    let set = &args.set;
    let path = |path: Option<&PathBuf>| path.map(|p| p.display().to_string());
    let flags = [
        ("context", global.context.clone()),
        ("kubeconfig", path(global.kubeconfig.as_ref())),
        ("as", global.impersonate.clone()),
        ("component", set.change.component.clone()),
        ("shards", set.count.shards.map(|n| n.to_string())),
        ("replicas", set.count.replicas.map(|n| n.to_string())),
        ("size", set.size.size.clone()),
        ("sizes", path(set.size.sizes.as_ref())),
        ("cpu", set.size.cpu.clone()),
        ("memory", set.size.memory.clone()),
        ("storage", set.storage.clone()),
        ("apply", set.change.apply.clone()),
        ("timeout", set.change.timeout.clone()),
        ("max-retries", set.change.max_retries.map(|n| n.to_string())),
        ("name", set.change.name.clone()),
        ("combined", set.combined.to_possible_value().map(|v| v.get_name().to_owned()).filter(|v| v != "auto")),
    ];
    for (flag, value) in flags.into_iter().filter_map(|(flag, value)| Some((flag, value?))) {
        let _ = write!(text, " --{flag} {}", quoted(&value));
    }
    if set.ordered {
        text.push_str(" --ordered");
    }
    text
}

/// A value as a shell takes it for one word.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

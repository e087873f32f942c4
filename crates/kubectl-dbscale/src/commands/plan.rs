//! `plan`: what `set` would do, and nothing is changed.

use std::fmt::Write as _;

use dbscale_core::database::{ComponentView, Database};
use dbscale_core::plan::{Plan, Stamp, Step};
use serde_json::{Value, json};

use super::change::{self, Wanted};
use crate::cli::{Global, Output, PlanArgs};
use crate::outcome::Failure;
use crate::output::{self, data};
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
    let (mut worst, mut steps, mut values) = (0, 0, Vec::new());
    for (index, subject) in subjects.iter().enumerate() {
        let stamp = run::stamp(&wanted.job, user.clone(), index);
        match planned(subject, &wanted, &stamp) {
            Ok(plan) => {
                steps += plan.steps.len();
                match (global.output, subject.database()) {
                    (Some(Output::Json | Output::Yaml), _) => values.push(machine(subject, &plan)),
                    (_, Some(database)) => screen(database, &plan, args),
                    _ => {}
                }
            }
            Err(failure) => {
                output::failed(&format!("{}/{}", subject.engine.name, subject.name), &failure);
                worst = worst.max(failure.exit_code);
            }
        }
    }
    if let (Some(form), false) = (global.output, values.is_empty()) {
        let value = if values.len() == 1 { values.remove(0) } else { json!({"results": values}) };
        output::machine(form, &value);
    }
    match (worst, args.exit_code) {
        (0, true) if steps > 0 => STEPS,
        (0, _) => 0,
        (worst, _) => code(worst),
    }
}

fn planned(subject: &Subject, wanted: &Wanted, stamp: &Stamp) -> Result<Plan, Failure> {
    let plan = run::plan_for(subject, &wanted.job, stamp)?;
    if plan.is_refused() { Err(failure::of_findings(plan.findings)) } else { Ok(plan) }
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

fn screen(database: &Database, plan: &Plan, args: &PlanArgs) {
    let title = database.topology.map_or("unknown topology", |t| t.title.as_str());
    let phase = if database.phase.is_empty() { "no phase yet" } else { &database.phase };
    data!("{} in {} · {title} · {phase}\n", database.target(), database.namespace);
    if plan.steps.is_empty() {
        data!("  Already at the desired state: nothing to do.");
        return;
    }
    let width = plan.differences.iter().filter_map(|d| d.before.as_ref()).map(String::len).max().unwrap_or(4);
    for d in &plan.differences {
        let undone = if d.irreversible { "   cannot be undone" } else { "" };
        data!("  {:<9} {:<width$}  →  {}{undone}", d.field, d.before.as_deref().unwrap_or("none"), d.after);
    }
    data!("\nSteps");
    for (index, step) in plan.steps.iter().enumerate() {
        let (what, on, consequence) = consequence(database, plan, step);
        data!("  {}  {what:<17}  {on:<22}  {consequence}", index + 1);
    }
    if plan.steps.iter().filter(|s| matches!(s, Step::Request(_))).count() > 1 {
        data!("\nOne request for each, because KubeDB acts on one stanza a request and drops");
        data!("the other silently (stanza/ignored).");
    }
    for finding in plan.findings.iter().filter(|f| !f.refuses()) {
        data!("\nwarning: {finding}");
    }
    data!("\nNothing has been changed. Do it: {}", command(database, args));
}

fn consequence(database: &Database, plan: &Plan, step: &Step) -> (&'static str, String, String) {
    let view = database.components.iter().find(|c| c.name() == plan.component);
    let members = view.and_then(ComponentView::replicas).unwrap_or(1);
    match step {
        Step::Patch(p) => ("Patch", database.target(), format!("{} volumes grow, online", p.claims.len())),
        Step::Request(r) => {
            let counts =
                plan.differences.iter().filter(|d| ["replicas", "shards"].contains(&d.field)).map(output::change);
            let text = match r.ops_type {
                "VerticalScaling" if members == 1 => "1 pod restarts".to_owned(),
                "VerticalScaling" => format!("{members} pods restart, one by one"),
                "HorizontalScaling" => counts.collect::<Vec<_>>().join(", "),
                _ => "KubeDB grows the volumes".to_owned(),
            };
            (r.ops_type, database.engine.ops_kind(), text)
        }
    }
}

fn command(database: &Database, args: &PlanArgs) -> String {
    let mut text = format!("kubectl dbscale set {} -n {}", database.target(), database.namespace);
    let set = &args.set;
    let flags = [
        ("component", set.change.component.clone()),
        ("shards", set.count.shards.map(|n| n.to_string())),
        ("replicas", set.count.replicas.map(|n| n.to_string())),
        ("size", set.size.size.clone()),
        ("cpu", set.size.cpu.clone()),
        ("memory", set.size.memory.clone()),
        ("storage", set.storage.clone()),
    ];
    for (flag, value) in flags.into_iter().filter_map(|(flag, value)| Some((flag, value?))) {
        let _ = write!(text, " --{flag} {value}");
    }
    text
}

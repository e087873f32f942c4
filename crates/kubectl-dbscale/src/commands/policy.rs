//! `policy`: which scaling policies there are, which of them cover a database and why, and what they would refuse.

use clap::{Args, ValueEnum};
use dbscale_cluster::Cluster;
use dbscale_cluster::cache::ReadPolicy;
use dbscale_core::finding::Finding;
use dbscale_core::plan::Intent;
use dbscale_core::rules::OF_POLICIES;
use dbscale_core::scaling_policy::Labels;
use serde_json::{Value, json};

use super::change::{self, Wanted};
use crate::cli::args::{CountArgs, FollowArgs, SizeArgs};
use crate::cli::{Global, Output};
use crate::outcome::Failure;
use crate::output::{self, data};
use crate::run::failure::{self, EXIT_ERROR, usage};
use crate::run::policies::{self, Policies};
use crate::run::{self, Subject};
use crate::target;

/// `policy`
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// List all policies, or check what covers databases
    #[arg(value_enum, value_name = "list|check", hide_possible_values = true)]
    pub what: What,
    /// Databases: mongodb/my-db, mg/my-db, "mongodb my-db"; an engine alone with -l or -A
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// The component to change, where a database has several
    #[arg(long)]
    pub component: Option<String>,
    #[command(flatten)]
    pub count: CountArgs,
    #[command(flatten)]
    pub size: SizeArgs,
    /// The size of each volume
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub storage: Option<String>,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// All policies.
    List,
    /// Those of databases.
    Check,
}

/// Lists or checks; answers the exit code.
///
/// # Errors
/// Where a flag cannot be used, or the cluster or its policies cannot be read.
pub async fn run(args: &PolicyArgs, global: &Global) -> Result<u8, Failure> {
    match args.what {
        What::List if !args.targets.is_empty() => Err(usage("list takes no targets; check does")),
        What::List => {
            let cluster = change::cluster(global).await?;
            list(&read(&cluster).await?, global.output);
            Ok(0)
        }
        What::Check if args.targets.is_empty() => Err(usage("say which database: policy check mongodb/my-db")),
        What::Check => check(args, global).await,
    }
}

/// All policies.
async fn read(cluster: &Cluster) -> Result<Policies, Failure> {
    let policies = policies::read(cluster).await;
    match policies.warning {
        Some(message) => Err(Failure { exit_code: EXIT_ERROR, message, ..Failure::default() }),
        None => Ok(policies),
    }
}

fn name(policy: &ReadPolicy) -> &str {
    policy.as_ref().map_or_else(|unreadable| &unreadable.name, |policy| &policy.name)
}

/// What it asks, in words; of one that cannot be read, why.
fn asks(policy: &ReadPolicy) -> String {
    match policy {
        Ok(policy) => policy.spec.asks().join("; "),
        Err(unreadable) => format!("not held: {}", unreadable.why),
    }
}

fn list(policies: &Policies, form: Option<Output>) {
    let status = |policy: &ReadPolicy| policies.statuses.get(name(policy));
    match form {
        Some(form @ (Output::Json | Output::Yaml)) => {
            let json = |policy: &ReadPolicy| {
                let mut value = match policy {
                    Ok(p) => json!({"name": p.name, "engines": p.spec.engines, "asks": p.spec.asks()}),
                    Err(unreadable) => json!({"name": unreadable.name, "unreadable": unreadable.why}),
                };
                if let Some(status) = status(policy) {
                    value["status"] = json!(status);
                }
                value
            };
            output::machine(form, &policies.all.iter().map(json).collect());
        }
        Some(Output::Name) => {
            policies.all.iter().for_each(|policy| data!("scalingpolicy.dbscale.dev/{}", name(policy)));
        }
        _ if policies.all.is_empty() => data!("There are no scaling policies."),
        _ => {
            // Without the controller nobody tells the numbers.
            let told = !policies.statuses.is_empty();
            let number = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let row = |policy: &ReadPolicy| {
                let status = status(policy);
                let numbers = [status.and_then(|s| s.covers), status.and_then(|s| s.outside)].map(number);
                let numbers = numbers.into_iter().filter(|_| told);
                std::iter::once(name(policy).to_owned()).chain(numbers).chain([asks(policy)]).collect()
            };
            let rows: Vec<Vec<String>> = policies.all.iter().map(row).collect();
            let header: &[&str] = if told { &["POLICY", "COVERS", "OUTSIDE", "ASKS"] } else { &["POLICY", "ASKS"] };
            data!("{}", output::table(header, &rows).trim_end());
        }
    }
}

async fn check(args: &PolicyArgs, global: &Global) -> Result<u8, Failure> {
    let wanted = wanted(args, global)?;
    let (cluster, subjects, user) = change::ready(&wanted, global).await?;
    let policies = read(&cluster).await?;
    let namespaces = subjects.iter().map(|s| s.namespace.as_str());
    let (labels, _) = policies::labels(&cluster, &policies, namespaces).await;
    let single = subjects.len() == 1 && wanted.targets.iter().all(|t| t.name.is_some());
    let asked = is_any(&wanted.job.intent);
    let (mut worst, mut values) = (0, Vec::new());
    for (index, subject) in subjects.iter().enumerate() {
        if index > 0 && global.output.is_none() {
            data!("");
        }
        subject.warnings.iter().for_each(|warning| output::warning(warning));
        let stamp = run::stamp(&wanted.job, user.clone(), index);
        let refused = if asked { refused(run::plan_for(subject, &wanted.job, &stamp)) } else { Ok(Vec::new()) };
        let rows = rows(subject, &policies, labels.get(&subject.namespace).and_then(Option::as_ref));
        match global.output {
            Some(Output::Json | Output::Yaml) => values.push(machine(subject, &rows, &refused)),
            Some(Output::Name) => {
                rows.iter().filter(|r| r.why.is_ok()).for_each(|r| data!("scalingpolicy.dbscale.dev/{}", r.policy));
            }
            _ => text(subject, &rows),
        }
        let failure = match refused {
            Ok(findings) if findings.iter().any(Finding::refuses) => failure::of_findings(findings),
            Ok(_) => continue,
            Err(failure) => failure,
        };
        worst = worst.max(failure.exit_code);
        output::failed(&format!("{}/{}", subject.engine.name, subject.name), &failure);
    }
    if let Some(form @ (Output::Json | Output::Yaml)) = global.output {
        match values.as_slice() {
            [only] if single => output::machine(form, only),
            several => output::machine(form, &json!({"results": several})),
        }
    }
    Ok(worst)
}

/// The change that is tried out; none where no value is given.
fn wanted(args: &PolicyArgs, global: &Global) -> Result<Wanted, Failure> {
    let targets = target::parse(&args.targets, global.selected()).map_err(usage)?;
    let mut intent = change::counted(change::sized(&args.size)?, &args.count);
    intent.storage = args.storage.as_deref().map(|text| change::quantity("--storage", text)).transpose()?;
    intent.component.clone_from(&args.component);
    let follow = FollowArgs { wait: false, wait_timeout: std::time::Duration::ZERO };
    Ok(Wanted { job: change::plain_job(intent, &follow, global), targets })
}

/// Whether a change is tried out at all.
fn is_any(intent: &Intent) -> bool {
    let amounts = intent.cpu.or(intent.memory).or(intent.storage).is_some();
    amounts || intent.replicas.or(intent.shards).is_some() || intent.size.is_some()
}

/// What policies say of a plan. What others say is not asked here, unless there is no plan without it.
fn refused(planned: Result<dbscale_core::plan::Plan, Failure>) -> Result<Vec<Finding>, Failure> {
    let mut findings = match planned {
        Ok(plan) => plan.findings,
        Err(failure) if !failure.findings.is_empty() => failure.findings,
        Err(failure) => return Err(failure),
    };
    findings.retain(|finding| finding.rule.0.starts_with(OF_POLICIES));
    Ok(findings)
}

/// A policy, and whether it covers a database.
struct Row {
    /// Whether it can be told if it covers the database.
    is_known: bool,
    policy: String,
    why: Result<String, String>,
    asks: String,
}

fn rows(subject: &Subject, policies: &Policies, namespace: Option<&Labels>) -> Vec<Row> {
    let none = Labels::default();
    let is_hidden = |policy: &ReadPolicy| {
        namespace.is_none() && policy.as_ref().is_ok_and(|policy| policy.spec.namespace_selector.is_some())
    };
    let labels = subject.database().map_or(&none, |database| &database.labels);
    let row = |policy: &ReadPolicy| Row {
        policy: name(policy).to_owned(),
        why: match policy {
            Ok(_) if is_hidden(policy) => Err("the labels of its namespace may not be read".to_owned()),
            Ok(policy) => policy.why(subject.engine, namespace.unwrap_or(&none), labels),
            Err(_) => Err("it cannot be read".to_owned()),
        },
        is_known: !is_hidden(policy),
        asks: asks(policy),
    };
    policies.all.iter().map(row).collect()
}

fn text(subject: &Subject, rows: &[Row]) {
    let target = format!("{}/{}", subject.engine.name, subject.name);
    if rows.is_empty() {
        data!("{target}: there are no scaling policies.");
        return;
    }
    let cells = |row: &Row| {
        let (covers, why) = match &row.why {
            Ok(why) => ("yes", why),
            Err(why) if row.is_known => ("no", why),
            Err(why) => ("unknown", why),
        };
        vec![row.policy.clone(), covers.to_owned(), why.clone(), row.asks.clone()]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    data!("{target}\n{}", output::table(&["POLICY", "COVERS", "WHY", "ASKS"], &rows).trim_end());
}

fn machine(subject: &Subject, rows: &[Row], refused: &Result<Vec<Finding>, Failure>) -> Value {
    let row = |row: &Row| {
        let why = row.why.as_ref().unwrap_or_else(|why| why);
        json!({"name": row.policy, "covers": row.is_known.then_some(row.why.is_ok()), "why": why, "asks": row.asks})
    };
    let mut value = json!({"engine": subject.engine.name, "namespace": subject.namespace, "name": subject.name,
        "policies": rows.iter().map(row).collect::<Vec<_>>()});
    match refused {
        Ok(findings) => value["findings"] = json!(findings),
        Err(failure) => value["error"] = output::error_of(failure),
    }
    value
}

//! `describe`: everything about one database on one page.

mod page;

use clap::Args;
use dbscale_cluster::{ApiFailure, Call, Cluster};
use dbscale_core::change::Change;
use dbscale_core::drift::{Drift, drift};
use dbscale_core::facts::Case;
use dbscale_core::finding::Finding;
use dbscale_core::record::Past;
use dbscale_core::rules;
use serde_json::{Value, json};

use super::change;
use super::reference::read_sizes;
use crate::cli::{Global, Output};
use crate::outcome::Failure;
use crate::output::{self, data};
use crate::run::around;
use crate::run::dossier::{self, Dossier};
use crate::run::failure::usage;
use crate::status::view::Status;
use crate::target;

/// How many events are told, the newest.
const EVENTS: usize = 10;

/// `describe`
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// A database: mongodb/my-db, mg/my-db, "mongodb my-db"
    #[arg(required = true, num_args = 1..=2, value_name = "TARGET")]
    pub targets: Vec<String>,
    /// A file with more size classes
    #[arg(long, value_name = "FILE")]
    pub sizes: Option<std::path::PathBuf>,
}

/// What stands on the page.
struct Description {
    dossier: Dossier,
    status: Status,
    history: Vec<Past>,
    drift: Vec<Drift>,
    findings: Vec<Finding>,
    /// What the checks of the surroundings say of a restart now.
    restart: Vec<Finding>,
    /// The newest first.
    events: Vec<Event>,
}

/// What somebody has told of the database or of one of its OpsRequests.
#[derive(Debug, serde::Serialize)]
struct Event {
    /// When last, RFC 3339 in UTC.
    time: String,
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    kind: String,
    /// In one word.
    reason: String,
    /// For people.
    message: String,
    /// What it is about: `MongoDB/my-db`.
    object: String,
}

/// Describes a database; answers the exit code.
///
/// # Errors
/// Where it is missing or cannot be read.
pub async fn run(args: &DescribeArgs, global: &Global) -> Result<u8, Failure> {
    let target = target::one(&args.targets).map_err(usage)?;
    let sizes = read_sizes(args.sizes.as_ref())?;
    let cluster = change::cluster(global).await?;
    let namespace = global.namespace.as_deref().unwrap_or(&cluster.default_namespace);
    let mut dossier = dossier::read(&cluster, &target, namespace).await?;
    let events = events(&cluster, &dossier).await.unwrap_or_else(|failure| {
        dossier.subject.warnings.push(format!("events could not be read: {}", failure.message));
        Vec::new()
    });
    let (restart, lacking) = around::of_one(&cluster, &dossier.subject).await;
    dossier.subject.warnings.extend(lacking);
    for warning in dossier.subject.warnings.drain(..) {
        output::warning(&warning);
    }
    let (database, facts) = (dossier.database(), &dossier.subject.facts);
    let description = Description {
        status: Status::of(&dossier.seen, &sizes),
        history: dossier.history(),
        drift: drift(database, facts, dossier.pods.as_deref()),
        findings: rules::judge(&Case { change: &Change::of_create(database), facts }),
        restart,
        events,
        dossier,
    };
    match global.output {
        Some(form @ (Output::Json | Output::Yaml)) => output::machine(form, &json_of(&description)),
        Some(Output::Name) => data!("{}.kubedb.com/{}", description.status.engine, description.status.name),
        _ => output::page_out(&page::page(&description)),
    }
    Ok(0)
}

fn json_of(description: &Description) -> Value {
    let mut value = serde_json::to_value(&description.status).unwrap_or_default();
    value["version"] = description.dossier.subject.object["spec"]["version"].clone();
    value["tracker"] = json!(description.dossier.database().tracker);
    value["record"] = json!(
        description.dossier.record.here().map(|r| json!({"phase": r.phase, "reason": r.reason, "message": r.message}))
    );
    value["history"] = json!(description.history);
    value["drift"] = json!(description.drift);
    value["findings"] = json!(description.findings);
    value["restart"] = json!(description.restart);
    value["events"] = json!(description.events);
    value
}

/// The newest events of the database and of its OpsRequests.
async fn events(cluster: &Cluster, dossier: &Dossier) -> Result<Vec<Event>, ApiFailure> {
    let (engine, subject) = (dossier.subject.engine, &dossier.subject);
    let path = format!("/api/v1/namespaces/{}/events", subject.namespace);
    let of = async |selector: String| {
        let list = cluster.call(&Call::get(&path).query("fieldSelector", Some(&selector))).await?;
        Ok(list.get("items").and_then(Value::as_array).cloned().unwrap_or_default())
    };
    let database = format!("involvedObject.kind={},involvedObject.name={}", engine.kind, subject.name);
    let requests = format!("involvedObject.kind={}", engine.ops_kind());
    let (database, requests) = futures::try_join!(of(database), of(requests))?;
    let requests = requests.iter().filter(|e| {
        let name = e.pointer("/involvedObject/name").and_then(Value::as_str).unwrap_or_default();
        dossier.request(name).is_some()
    });
    let mut events: Vec<Event> = database.iter().chain(requests).map(event).collect();
    events.sort_by(|a, b| b.time.cmp(&a.time));
    events.truncate(EVENTS);
    Ok(events)
}

fn event(object: &Value) -> Event {
    let text = |at: &str| object.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
    let times = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"];
    Event {
        time: times.into_iter().map(text).find(|time| !time.is_empty()).unwrap_or_default(),
        kind: text("/type"),
        reason: text("/reason"),
        message: text("/message"),
        object: format!("{}/{}", text("/involvedObject/kind"), text("/involvedObject/name")),
    }
}

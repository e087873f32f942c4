//! Whether the webhook is asked, and answers.

use dbscale_cluster::apply::Write;
use dbscale_cluster::entries::{self, CONFIGURATION};
use dbscale_cluster::read::operations_path;
use dbscale_cluster::{Call, Cluster, Kind};
use dbscale_core::catalog::{Engine, OPS_GROUP, OPS_VERSION};
use dbscale_core::entries::OPS_REQUESTS;
use dbscale_core::plan::REQUESTED_BY;
use dbscale_core::policy::ENFORCEMENT;
use serde_json::{Value, json};

use super::installation::INSTALL;
use super::{Check, Verdict};
use crate::status::survey::{Seen, Survey};
use crate::webhook::survey::certificate_of;
use crate::webhook::switch::State;

const AREA: &str = "Webhook";
/// The rule by which the webhook's answer is known. Neither KubeDB's validator nor a policy looks at what it is about.
const RULE: &str = "[audit/requested-by]";
const STATUS: &str = "kubectl dbscale webhook status";

/// Has the API server ask the webhook about a request that it must refuse; nothing is kept of it.
pub(super) async fn check(
    cluster: &Cluster,
    engines: &[&'static Engine],
    survey: &Survey,
    namespace: Option<&str>,
) -> Check {
    let configuration = match cluster.call(&Call::get(entries::path(CONFIGURATION))).await {
        Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::NotInstalled) => {
            let message = "it is not installed: only kubectl dbscale itself holds requests to the rules";
            return Check::new(AREA, Verdict::Warning, message).next(INSTALL);
        }
        Ok(configuration) if State::of(&configuration).is_ok_and(|state| state != State::On) => {
            let message = "somebody has taken it out of the way: what it does not judge is let in";
            return Check::new(AREA, Verdict::Warning, message).next(format!("see who, and bring it back: {STATUS}"));
        }
        // Where it may not be read, what the API server answers below tells most of it.
        configuration => configuration.ok(),
    };
    let place = namespace.unwrap_or(&cluster.default_namespace);
    let Some(probe) = Probe::of(engines, survey, place, namespace.is_none()) else {
        return Check::new(AREA, Verdict::Unknown, "without KubeDB there is nothing to ask it");
    };
    let cluster = cluster.separate();
    let write = Write { dry_run: true, ..Write::default() };
    match cluster.create(&operations_path(probe.engine, Some(probe.namespace)), &probe.object(), &write).await {
        Err(failure) if failure.to_string().contains(RULE) => {
            let until = match &configuration {
                Some(configuration) => certificate_of(&cluster, configuration).await.expires,
                None => None,
            };
            let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
            Check::new(AREA, Verdict::Ok, format!("it is asked, and its certificate is trusted{until}"))
        }
        Err(failure) if failure.message.contains(&format!("failed calling webhook \"{OPS_REQUESTS}\"")) => {
            let message = format!("it cannot be asked, and no OpsRequest is let in: {}", failure.message);
            let next = format!("see why it does not answer, or take it out of the way: {STATUS}");
            Check::new(AREA, Verdict::Broken, message).next(next)
        }
        Err(failure) => {
            let why = match failure.kind {
                Kind::Forbidden => format!("you may not create OpsRequests in namespace {}", probe.namespace),
                _ if failure.is_open() => failure.to_string(),
                _ => format!("another answer came first: {}", failure.message),
            };
            let check = Check::new(AREA, Verdict::Unknown, format!("whether it is asked is not known: {why}"));
            // KubeDB's own validator lets in what is about a database that is there.
            if probe.is_there || failure.kind == Kind::Forbidden || failure.is_open() {
                check.next(format!("see how it stands: {STATUS}"))
            } else {
                check.next("ask in a namespace with a database: kubectl dbscale doctor -n …")
            }
        }
        Ok(_) => {
            let warns = cluster.take_warnings().iter().any(|warning| warning.contains(RULE));
            let label = label(&cluster, probe.namespace).await;
            spared(probe.namespace, warns, label.as_deref())
        }
    }
}

/// The request that is sent.
struct Probe<'a> {
    engine: &'static Engine,
    namespace: &'a str,
    database: String,
    /// Whether there is such a database.
    is_there: bool,
}

impl<'a> Probe<'a> {
    /// About a database of the place, or of anywhere, where there is one; `None` where there is not even an engine.
    fn of(engines: &[&'static Engine], survey: &'a Survey, place: &'a str, anywhere: bool) -> Option<Self> {
        let here = |seen: &&Seen| anywhere || seen.database.namespace == place;
        if let Some(seen) = survey.seen.iter().find(here) {
            let database = &seen.database;
            let (engine, namespace) = (database.engine, database.namespace.as_str());
            return Some(Self { engine, namespace, database: database.name.clone(), is_there: true });
        }
        let engine = engines.first()?;
        Some(Self { engine, namespace: place, database: name(), is_there: false })
    }

    /// Signed with a name that is nobody's.
    fn object(&self) -> Value {
        json!({
            "apiVersion": format!("{OPS_GROUP}/{OPS_VERSION}"), "kind": self.engine.ops_kind(),
            "metadata": {"name": name(), "namespace": self.namespace, "annotations": {REQUESTED_BY: name()}},
            "spec": {"type": "Restart", self.engine.reference.as_str(): {"name": self.database}},
        })
    }
}

/// A name that nothing and nobody has.
fn name() -> String {
    format!("doctor-{:x}", std::process::id())
}

/// What the namespace's label says; empty where it has none, and `None` where nobody may know.
async fn label(cluster: &Cluster, namespace: &str) -> Option<String> {
    let namespace = cluster.call(&Call::get(format!("/api/v1/namespaces/{namespace}"))).await.ok()?;
    Some(namespace["metadata"]["labels"][ENFORCEMENT].as_str().unwrap_or_default().to_owned())
}

/// What is told where the request was let in.
fn spared(namespace: &str, warns: bool, label: Option<&str>) -> Check {
    let as_labelled = format!("as the label {ENFORCEMENT} says");
    let (message, of_label) = match (warns, label) {
        (true, Some("warn")) => (format!("in namespace {namespace} it only warns, {as_labelled}"), true),
        (true, Some(_)) => {
            (format!("in namespace {namespace} it only warns, as its flag --enforcement=warn says"), false)
        }
        (true, None) => (format!("in namespace {namespace} it only warns"), false),
        (false, Some("off")) => (format!("nobody asks it about namespace {namespace}, {as_labelled}"), true),
        (false, _) => (format!("nobody asks it about OpsRequests in namespace {namespace}"), false),
    };
    let next = if of_label {
        format!("see the label: kubectl get namespace {namespace} --show-labels")
    } else {
        format!("see how it stands: {STATUS}")
    };
    Check::new(AREA, Verdict::Warning, message).next(next)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::labelled(true, Some("warn"), "it only warns, as the label dbscale.dev/enforcement says")]
    #[case::by_its_flag(true, Some(""), "it only warns, as its flag --enforcement=warn says")]
    #[case::unknown(true, None, "in namespace demo it only warns")]
    #[case::off(false, Some("off"), "nobody asks it about namespace demo, as the label dbscale.dev/enforcement says")]
    #[case::not_asked(false, Some(""), "nobody asks it about OpsRequests in namespace demo")]
    fn the_label_is_named_only_where_it_says_so(#[case] warns: bool, #[case] label: Option<&str>, #[case] told: &str) {
        let check = spared("demo", warns, label);
        assert!(check.message.ends_with(told), "{}", check.message);
        assert_eq!(check.next.contains("--show-labels"), told.contains("label"));
    }
}

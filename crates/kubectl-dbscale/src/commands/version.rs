//! `version`: of the plugin, and of what it works with in the cluster.

use clap::Args;
use dbscale_cluster::entries::{self, CONFIGURATION};
use dbscale_cluster::installed::{VERSION, version_of};
use dbscale_cluster::lease;
use dbscale_cluster::{ApiFailure, Call, Cluster, Kind};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::change;
use crate::cli::{Global, Output};
use crate::outcome::Failure;
use crate::output::{self, data};

/// The names of KubeDB's Deployments that tell its version, as its chart labels them.
const KUBEDB: [&str; 2] = ["kubedb-ops-manager", "kubedb-provisioner"];

/// `version`
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Of this program alone; no server is asked
    #[arg(long)]
    pub client: bool,
}

/// The version of a part, or why it is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It tells it; with a remark that may be empty.
    Is(String, &'static str),
    /// It is not there.
    NotInstalled,
    /// It is not told, for this reason.
    Unknown(String),
}

/// Tells the versions; answers the exit code.
///
/// # Errors
/// Where there is no connection to be had. The plugin's own version has been told by then.
pub async fn run(args: &VersionArgs, global: &Global) -> Result<u8, Failure> {
    let form = match global.output {
        Some(form @ (Output::Json | Output::Yaml)) => Some(form),
        _ => None,
    };
    if form.is_none() {
        data!("{:<18}  {VERSION}", "kubectl-dbscale");
    }
    let mut value = json!({"client": {"version": VERSION}});
    if args.client {
        form.inspect(|form| output::machine(*form, &value));
        return Ok(0);
    }
    let asked = async {
        let cluster = change::cluster(global).await?;
        // Whether the server answers at all: without that, nothing of the rest is known.
        cluster.call(&Call::get("/version")).await.map_err(|failure| crate::run::failure::of_any_api(&failure))?;
        let namespace = global.namespace_in(&cluster).unwrap_or(&cluster.default_namespace);
        Ok(futures::join!(webhook(&cluster), controller(&cluster, namespace), kubedb(&cluster)))
    };
    let (webhook, controller, kubedb) = match asked.await {
        Ok(told) => told,
        Err(failure) => {
            form.inspect(|form| output::machine(*form, &value));
            return Err(failure);
        }
    };
    for (name, title, told) in [
        ("webhook", "dbscale-webhook", webhook),
        ("controller", "dbscale-controller", controller),
        ("kubedb", "KubeDB", kubedb),
    ] {
        if form.is_none() {
            data!("{title:<18}  {}", told.text());
        }
        value[name] = told.to_json();
    }
    form.inspect(|form| output::machine(*form, &value));
    Ok(0)
}

impl Told {
    /// For people.
    fn text(&self) -> String {
        match self {
            Self::Is(version, "") => version.clone(),
            Self::Is(version, remark) => format!("{version} ({remark})"),
            Self::NotInstalled => "not installed".to_owned(),
            Self::Unknown(why) => format!("not known: {why}"),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Is(version, "") => json!({"version": version}),
            Self::Is(version, remark) => json!({"version": version, "remark": remark}),
            Self::NotInstalled => json!({"version": null, "remark": "not installed"}),
            Self::Unknown(why) => json!({"version": null, "remark": why}),
        }
    }

    fn of(failure: &ApiFailure) -> Self {
        match failure.kind {
            Kind::NotFound | Kind::NotInstalled => Self::NotInstalled,
            _ => Self::Unknown(failure.message.clone()),
        }
    }
}

/// The webhook tells its version on its configuration, once it can answer.
async fn webhook(cluster: &Cluster) -> Told {
    match cluster.call(&Call::get(entries::path(CONFIGURATION))).await {
        Ok(configuration) => match version_of(&configuration) {
            Some(version) => Told::Is(version.to_owned(), ""),
            None => {
                Told::Unknown("it has not told it yet: it is not running, or its certificate is not its own".to_owned())
            }
        },
        Err(failure) => Told::of(&failure),
    }
}

/// The controller tells its version on its Lease.
async fn controller(cluster: &Cluster, namespace: &str) -> Told {
    match lease::of_controller(cluster, namespace).await {
        Ok(lease) => {
            let remark = if lease::is_live(&lease, Timestamp::now()) { "" } else { "not running now" };
            match version_of(&lease) {
                Some(version) => Told::Is(version.to_owned(), remark),
                None => Told::Unknown("it has not told it yet".to_owned()),
            }
        }
        Err(failure) => Told::of(&failure),
    }
}

/// KubeDB's version is that of its operator's Deployment: the label that its chart sets, else the tag of its image.
pub async fn kubedb(cluster: &Cluster) -> Told {
    let selector = format!("app.kubernetes.io/name in ({})", KUBEDB.join(","));
    let deployments = match cluster.list("/apis/apps/v1/deployments", Some(&selector)).await {
        Ok(deployments) => deployments,
        Err(failure) => return Told::of(&failure),
    };
    let Some(deployment) = deployments.first() else {
        return Told::Unknown(format!("no Deployment is called {} by its label", KUBEDB.join(" or ")));
    };
    let label = deployment["metadata"]["labels"]["app.kubernetes.io/version"].as_str();
    let image =
        deployment.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str).unwrap_or_default();
    let image = image.split('@').next().unwrap_or_default();
    let tag = image.rsplit('/').next().and_then(|name| Some(name.split_once(':')?.1));
    match label.or(tag) {
        Some(version) => Told::Is(version.to_owned(), ""),
        None => Told::Unknown(format!("its image {image} has no tag")),
    }
}

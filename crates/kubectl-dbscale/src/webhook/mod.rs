//! `webhook`: how the admission webhook stands, and the emergency way: out of the way, and back.

pub mod standing;
pub mod survey;
pub mod switch;
mod text;

use anstream::eprintln;
use clap::{Args, ValueEnum};
use dbscale_cluster::apply::Write;
use dbscale_cluster::entries::{self, CONFIGURATION};
use dbscale_cluster::{Call, Cluster, Kind};
use dbscale_core::database::tracker_of;
use jiff::Timestamp;
use serde_json::{Value, json};

use self::switch::{Mode, State};
use crate::cli::{DryRun, Global, Output};
use crate::commands::change;
use crate::outcome::Failure;
use crate::output::{self, data};
use crate::run::failure::{self, EXIT_ERROR, usage};

/// The object, as people name it.
const RESOURCE: &str = "validatingwebhookconfiguration.admissionregistration.k8s.io/dbscale";

/// `webhook`
#[derive(Debug, Args)]
pub struct WebhookArgs {
    /// Show how it stands, take it out of the way, or bring it back as it was
    #[arg(value_enum, value_name = "status|disable|enable", hide_possible_values = true)]
    pub what: What,
    /// While the webhook does not answer, let everything in; while it answers, it still judges
    #[arg(long, conflicts_with = "off")]
    pub fail_open: bool,
    /// Do not ask the webhook at all
    #[arg(long)]
    pub off: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Look.
    Status,
    /// Take it out of the way.
    Disable,
    /// Bring it back.
    Enable,
}

/// Does it; answers the exit code.
///
/// # Errors
/// Where the cluster cannot be read or written, nobody confirms it, or nobody has noted what was there before.
pub async fn run(args: &WebhookArgs, global: &Global) -> Result<u8, Failure> {
    let mode = match (args.what, args.fail_open, args.off) {
        (What::Disable, true, _) => Some(Mode::FailOpen),
        (What::Disable, _, true) => Some(Mode::Off),
        (What::Disable, ..) => {
            return Err(usage(
                "say how: --fail-open lets everything in while the webhook does not answer; --off does not ask it at all",
            ));
        }
        (_, false, false) => None,
        _ => return Err(usage("--fail-open and --off go with disable")),
    };
    let cluster = change::cluster(global).await?;
    match (args.what, mode) {
        (What::Status, _) => {
            let standing = survey::survey(&cluster, configuration(&cluster).await?).await;
            match global.output {
                Some(form @ (Output::Json | Output::Yaml)) => output::machine(form, &json!(standing)),
                Some(Output::Name) => data!("{RESOURCE}"),
                _ => data!("{}", text::of(&standing).trim_end()),
            }
            standing.warnings.iter().for_each(|warning| output::warning(warning));
        }
        (_, Some(mode)) => disable(&cluster, mode, global).await?,
        _ => enable(&cluster, global).await?,
    }
    Ok(0)
}

async fn configuration(cluster: &Cluster) -> Result<Value, Failure> {
    cluster.call(&Call::get(path())).await.map_err(|error| {
        let mut told = failure::of_any_api(&error);
        if error.kind == Kind::NotFound {
            told.message =
                format!("there is no ValidatingWebhookConfiguration {CONFIGURATION}: the webhook is not installed");
            "install it: kubectl apply --server-side -k manifests/overlays/default".clone_into(&mut told.remedy);
        }
        told
    })
}

fn path() -> String {
    entries::path(CONFIGURATION)
}

async fn disable(cluster: &Cluster, mode: Mode, global: &Global) -> Result<(), Failure> {
    let object = configuration(cluster).await?;
    let by = cluster.who_am_i().await.unwrap_or_default();
    let steps = switch::disable(&object, mode, &by, Timestamp::now()).map_err(|e| unusable(&e))?;
    if steps.is_empty() {
        tell(&object, mode.state(), "already ", global);
        return Ok(());
    }
    if global.dry_run == DryRun::None && !global.yes {
        let question = format!("{}\nDisable the webhook?", mode.consequence());
        change::agreed(&question, "changed", |why| {
            usage(format!("the webhook would be disabled: {}; {why}", mode.consequence()))
        })?;
    }
    let now = write(cluster, &object, steps, global).await?;
    tell(&now, mode.state(), "", global);
    eprintln!("{}", mode.consequence());
    if let Some(tracker) = tracker_of(&now) {
        output::warning(&format!("{tracker} looks after this object and may set it back: suspend it there"));
    }
    if global.dry_run == DryRun::None {
        eprintln!("Bring it back: kubectl dbscale webhook enable");
    }
    Ok(())
}

async fn enable(cluster: &Cluster, global: &Global) -> Result<(), Failure> {
    let object = configuration(cluster).await?;
    let steps = switch::enable(&object).map_err(|e| unusable(&e))?;
    if steps.is_empty() {
        tell(&object, State::On, "already ", global);
        return Ok(());
    }
    let now = write(cluster, &object, steps, global).await?;
    // So that a later apply with other values finds nobody in its way.
    if let Some(steps) = switch::let_go(&now, &global.field_manager).filter(|_| global.dry_run == DryRun::None) {
        write(cluster, &now, steps, global).await?;
    }
    tell(&now, State::On, "", global);
    Ok(())
}

/// Applies a patch to what was read, or only tries it.
async fn write(cluster: &Cluster, object: &Value, mut steps: Vec<Value>, global: &Global) -> Result<Value, Failure> {
    if global.dry_run == DryRun::Client {
        return Ok(object.clone());
    }
    steps.insert(
        0,
        json!({"op": "test", "path": "/metadata/resourceVersion", "value": object["metadata"]["resourceVersion"]}),
    );
    let patch: json_patch::Patch = serde_json::from_value(json!(steps)).map_err(|e| unusable(&e.to_string()))?;
    let write = Write { dry_run: global.dry_run == DryRun::Server, field_manager: global.field_manager.clone() };
    let id = format!("webhook-{}", Timestamp::now().as_nanosecond());
    cluster.patch_guarded(&path(), &patch, &id, &write).await.map_err(|error| {
        let mut told = failure::of_any_api(&error);
        if error.kind == Kind::Conflict {
            told.message =
                format!("{RESOURCE} was changed by somebody else at the same moment; nothing was changed here");
        }
        told
    })
}

fn unusable(problem: &dyn std::fmt::Display) -> Failure {
    Failure {
        exit_code: EXIT_ERROR,
        message: format!("{RESOURCE}: {problem}"),
        remedy: "apply what is shipped: kubectl apply --server-side --force-conflicts -k manifests/overlays/default"
            .to_owned(),
        ..Failure::default()
    }
}

fn tell(object: &Value, state: State, already: &str, global: &Global) {
    let dry = match global.dry_run {
        DryRun::None => None,
        DryRun::Client => Some("client"),
        DryRun::Server => Some("server"),
    };
    match global.output {
        Some(form @ (Output::Json | Output::Yaml)) => {
            let mut value = json!({"name": object["metadata"]["name"], "state": state, "changed": already.is_empty()});
            if let Some(dry) = dry {
                value["dry_run"] = json!(dry);
            }
            output::machine(form, &value);
        }
        Some(Output::Name) => data!("{RESOURCE}"),
        _ => {
            let dry = dry.map(|dry| format!(" ({dry} dry run)")).unwrap_or_default();
            data!("{RESOURCE} {already}{}{dry}", state.word());
        }
    }
}

//! KubeDB, its definitions, and what is installed of dbscale.

use dbscale_cluster::lease;
use dbscale_cluster::{ApiFailure, Call, Cluster, Kind};
use dbscale_core::catalog::{Catalog, DATABASE_GROUP, Engine, Misfit, OPS_GROUP, misfits};
use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use serde_json::Value;

use super::{Check, Verdict, webhook};
use crate::commands::version::{Told, kubedb};
use crate::status::survey::Survey;
use crate::webhook::survey::policies as present_policies;

/// How many definitions are read at a time: each may have a megabyte.
const PARALLEL: usize = 4;
/// How many differences from the catalog are told one by one.
const TOLD: usize = 5;

/// How dbscale is installed.
pub(super) const INSTALL: &str = "kubectl apply --server-side -k manifests/overlays/default";

/// All checks, in the order in which they are told.
pub(super) async fn checks(
    cluster: &Cluster,
    engines: &[&'static Engine],
    survey: &Survey,
    namespace: Option<&str>,
) -> Vec<Check> {
    let (operator, definitions, webhook, policies, controller) = futures::join!(
        operator(cluster, engines),
        definitions(cluster, engines),
        webhook::check(cluster, engines, survey, namespace),
        policies(cluster),
        controller(cluster, namespace.unwrap_or(&cluster.default_namespace)),
    );
    let mut checks = vec![operator];
    checks.extend(definitions);
    checks.extend([webhook, policies, controller]);
    checks
}

async fn operator(cluster: &Cluster, engines: &[&'static Engine]) -> Check {
    if engines.is_empty() {
        return Check::new("KubeDB", Verdict::Broken, "it is not installed: the server has none of its databases")
            .next("install KubeDB, or name another cluster with --context");
    }
    let all = Catalog::builtin().engines().count();
    let version = match kubedb(cluster).await {
        Told::Is(version, _) => format!(", version {version}"),
        Told::NotInstalled | Told::Unknown(_) => String::new(),
    };
    Check::new("KubeDB", Verdict::Ok, format!("{} of {all} engines are switched on{version}", engines.len()))
}

/// The cluster's definitions beside the catalog, field by field.
async fn definitions(cluster: &Cluster, engines: &[&'static Engine]) -> Vec<Check> {
    let compare = |engine: &'static Engine| async move {
        let definition = |plural: String, group: &str| {
            Call::get(format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{group}"))
        };
        let database = cluster.call(&definition(engine.plural.clone(), DATABASE_GROUP)).await?;
        let operation = cluster.call(&definition(engine.ops_plural(), OPS_GROUP)).await?;
        Ok::<_, ApiFailure>((engine, misfits(engine, &database, &operation)))
    };
    let compared: Vec<_> = stream::iter(engines.iter().copied()).map(compare).buffered(PARALLEL).collect().await;
    let mut found: Vec<(&Engine, Misfit)> = Vec::new();
    for compared in compared {
        match compared {
            Ok((engine, misfits)) => found.extend(misfits.into_iter().map(|misfit| (engine, misfit))),
            Err(failure) => {
                let message = format!("the definitions could not be compared with the catalog: {}", failure.message);
                return vec![Check::new("Definitions", Verdict::Unknown, message)];
            }
        }
    }
    if found.is_empty() {
        let message = format!("those of {} engines are as the catalog has them", engines.len());
        return vec![Check::new("Definitions", Verdict::Ok, message)];
    }
    found.sort_by_key(|(_, misfit)| !misfit.breaks);
    let left = found.len().saturating_sub(TOLD);
    let told = found.iter().take(TOLD).map(|(engine, misfit)| {
        let verdict = if misfit.breaks { Verdict::Broken } else { Verdict::Warning };
        let next = format!("see what is asked of it: kubectl dbscale engines {}", engine.name);
        Check::new("Definitions", verdict, format!("{}: {}", engine.name, misfit.message)).next(next)
    });
    let more = (left > 0)
        .then(|| Check::new("Definitions", Verdict::Warning, format!("{left} more differences from the catalog")));
    told.chain(more).collect()
}

/// The policies that hold while the webhook is away.
async fn policies(cluster: &Cluster) -> Check {
    let area = "Policies";
    match present_policies(cluster).await {
        Err(failure) => Check::new(area, Verdict::Unknown, failure.message),
        Ok(policies) => match policies.missing.first() {
            None => Check::new(area, Verdict::Ok, format!("{} hold in the API server itself", policies.found)),
            Some(first) => {
                let count = policies.missing.len();
                let message = format!(
                    "{count} policies or bindings are missing, such as {first}: nothing holds there while the webhook is away"
                );
                Check::new(area, Verdict::Warning, message)
                    .next("kubectl apply --server-side -k manifests/base/policies")
            }
        },
    }
}

async fn controller(cluster: &Cluster, namespace: &str) -> Check {
    let area = "Controller";
    let away = "nobody keeps records, takes old OpsRequests away or grows late volumes";
    match lease::of_controller(cluster, namespace).await {
        Ok(lease) if lease::is_live(&lease, Timestamp::now()) => {
            let holder = lease.pointer("/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default();
            Check::new(area, Verdict::Ok, format!("{} is at work", holder.split('_').next().unwrap_or_default()))
        }
        Ok(lease) => {
            let renewed = lease.pointer("/spec/renewTime").and_then(Value::as_str).unwrap_or("a time that is not told");
            let namespace = lease.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or(lease::CONTROLLER.0);
            let next = format!("see why: kubectl get pods -n {namespace}");
            Check::new(area, Verdict::Broken, format!("it fell silent at {renewed}: {away}")).next(next)
        }
        Err(failure) if matches!(failure.kind, Kind::NotFound | Kind::NotInstalled) => {
            Check::new(area, Verdict::Warning, format!("it is not running: {away}")).next(INSTALL)
        }
        Err(failure) => Check::new(area, Verdict::Unknown, failure.message),
    }
}

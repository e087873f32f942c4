//! Reads what is around databases, for the checks before a change: one list a kind, all at the same time, and only what
//! the change needs. What may not be read is told, and is no error.

use std::collections::BTreeMap;

use dbscale_core::preflight::object::{Claim, Quota};
use dbscale_core::preflight::{Around, Autoscaler, Needs};
use futures::join;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call::{Call, Cluster};
use crate::error::{ApiFailure, Kind};

/// A list of a kind; of its items only what `T` has a place for is read.
#[derive(Deserialize)]
struct Page<T> {
    items: Option<Vec<T>>,
    #[serde(default)]
    metadata: PageMetadata,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PageMetadata {
    #[serde(rename = "continue")]
    next: String,
}

/// A kind that is listed.
#[derive(Debug, Clone, Copy)]
struct Listed {
    group: &'static str,
    plural: &'static str,
    /// What is not checked, or not whole, without it.
    serves: &'static str,
    /// Whether an answer that is some moments old will do. The server then gives it from memory, in one page.
    may_lag: bool,
    /// Which objects.
    fields: Option<&'static str>,
}

const fn listed(group: &'static str, plural: &'static str, serves: &'static str) -> Listed {
    Listed { group, plural, serves, may_lag: false, fields: None }
}

const NODES: Listed = Listed { may_lag: true, ..listed("/api/v1", "nodes", "node-fit") };
/// What has ended takes no room, and can be most of a cluster's pods.
const RUNNING: Option<&str> = Some("status.phase!=Succeeded,status.phase!=Failed");
const PODS: Listed = Listed { may_lag: true, fields: RUNNING, ..listed("/api/v1", "pods", "node-fit") };
const OWN_PODS: Listed =
    Listed { fields: RUNNING, ..listed("/api/v1", "pods", "quota, limit-range, disruption-budget and quorum") };
const VOLUMES: Listed =
    Listed { may_lag: true, ..listed("/api/v1", "persistentvolumes", "node-fit, as far as volumes go,") };
const CLAIMS: Listed = listed("/api/v1", "persistentvolumeclaims", "node-fit, as far as volumes go,");
const COUNTED: Listed = listed("/api/v1", "persistentvolumeclaims", "quota");
const QUOTAS: Listed = listed("/api/v1", "resourcequotas", "quota");
const LIMIT_RANGES: Listed = listed("/api/v1", "limitranges", "limit-range");
const BUDGETS: Listed = listed("/apis/policy/v1", "poddisruptionbudgets", "disruption-budget");

/// Karpenter's NodePools, in the versions that it serves.
const NODE_POOLS: [Listed; 2] = [
    listed("/apis/karpenter.sh/v1", "nodepools", AUTOSCALING),
    listed("/apis/karpenter.sh/v1beta1", "nodepools", AUTOSCALING),
];
/// Where the cluster autoscaler says how it is.
const AUTOSCALER_STATUS: &str = "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status";
const AUTOSCALING: &str = "node-fit, as far as nodes that may come go,";

/// What was missing on the way: by what is not checked for it, the reasons.
#[derive(Debug, Default)]
pub struct Lacking(BTreeMap<&'static str, Vec<String>>);

impl Cluster {
    /// Reads what the checks of a change need: of one namespace, or of all. Answers too what could not be read.
    pub async fn around(&self, namespace: Option<&str>, needs: Needs) -> (Around, Lacking) {
        let (nodes, pods, volumes, claims, quotas, limit_ranges, budgets) = join!(
            self.listed(NODES, None, needs.room),
            self.listed(PODS, None, needs.room),
            self.listed(VOLUMES, None, needs.room),
            self.listed(CLAIMS, namespace, needs.room),
            self.listed(QUOTAS, namespace, needs.bounds),
            self.listed(LIMIT_RANGES, namespace, needs.bounds),
            self.listed(BUDGETS, namespace, needs.budgets),
        );
        let mut lacking = Lacking::default();
        let mut around = Around {
            nodes: lacking.unless(NODES, None, nodes),
            pods: lacking.unless(PODS, None, pods),
            volumes: lacking.unless(VOLUMES, None, volumes),
            claims: lacking.unless(CLAIMS, namespace, claims),
            quotas: lacking.unless(QUOTAS, namespace, quotas),
            limit_ranges: lacking.unless(LIMIT_RANGES, namespace, limit_ranges),
            budgets: lacking.unless(BUDGETS, namespace, budgets),
            ..Around::default()
        };
        around.all_pods = around.pods.is_some();
        // Where only a part of the pods is needed, or may be seen.
        let counts = around.quotas.iter().flatten().any(Quota::is_new);
        if around.pods.is_none() && (needs.pods || counts) {
            let own = self.listed(OWN_PODS, namespace, true).await;
            around.pods = lacking.unless(OWN_PODS, namespace, own);
        }
        if counts && around.claims.is_none() {
            let claims: Option<Result<Vec<Claim>, ApiFailure>> = self.listed(COUNTED, namespace, !needs.room).await;
            around.claims = lacking.unless(COUNTED, namespace, claims);
        }
        (around, lacking)
    }

    /// What makes new nodes in this cluster: Karpenter's NodePools tell, or the status of the cluster autoscaler. What may
    /// not be read of them is added to what is lacking.
    pub async fn autoscaler(&self, lacking: &mut Lacking) -> Autoscaler {
        let mut hidden = None;
        for kind in NODE_POOLS {
            let pools = self.list(&crate::read::path(kind.group, None, kind.plural), None).await;
            let pools = match pools {
                Err(failure) if [Kind::NotInstalled, Kind::NotFound].contains(&failure.kind) => continue,
                Err(failure) => {
                    hidden.get_or_insert((kind, failure));
                    continue;
                }
                Ok(pools) => pools,
            };
            let names: Vec<&str> = pools.iter().filter_map(|p| p.pointer("/metadata/name")?.as_str()).collect();
            match names.as_slice() {
                [] => {}
                [one] => return Autoscaler::Seen(format!("Karpenter (NodePool {one})")),
                several => return Autoscaler::Seen(format!("Karpenter (NodePools {})", several.join(", "))),
            }
        }
        let status: Result<Value, ApiFailure> = self.call(&Call::get(AUTOSCALER_STATUS)).await;
        let mut told = Autoscaler::None;
        match status {
            Ok(_) => return Autoscaler::Seen("the cluster autoscaler".to_owned()),
            Err(failure) if failure.kind == Kind::NotFound => {}
            Err(failure) => {
                let reason = match failure.kind {
                    Kind::Forbidden => {
                        "you may not get configmap cluster-autoscaler-status in namespace kube-system".to_owned()
                    }
                    _ => format!("configmap cluster-autoscaler-status could not be read: {failure}"),
                };
                lacking.add(AUTOSCALING, reason);
                told = Autoscaler::Hidden;
            }
        }
        // Rights are looked at before it is known whether there is such a kind at all; what groups there are, everybody may see.
        if let Some((kind, failure)) = hidden {
            let group: Result<Value, ApiFailure> = self.call(&Call::get("/apis/karpenter.sh")).await;
            if !group.is_err_and(|failure| [Kind::NotInstalled, Kind::NotFound].contains(&failure.kind)) {
                lacking.unless::<Value>(kind, None, Some(Err(failure)));
                told = Autoscaler::Hidden;
            }
        }
        told
    }

    async fn listed<T: DeserializeOwned>(
        &self,
        kind: Listed,
        namespace: Option<&str>,
        needed: bool,
    ) -> Option<Result<Vec<T>, ApiFailure>> {
        if !needed {
            return None;
        }
        let path = crate::read::path(kind.group, namespace, kind.plural);
        let read = async {
            let mut items = Vec::new();
            let mut next = String::new();
            loop {
                let call = Call::get(path.as_str()).query("fieldSelector", kind.fields);
                let call = match (kind.may_lag, next.is_empty()) {
                    (true, true) => call.query("resourceVersion", Some("0")),
                    (_, first) => call
                        .query("limit", Some(crate::read::PAGE))
                        .query("continue", Some(next.as_str()).filter(|_| !first)),
                };
                let page: Page<T> = self.call_as(&call).await?;
                items.extend(page.items.unwrap_or_default());
                next = page.metadata.next;
                if next.is_empty() {
                    return Ok(items);
                }
            }
        };
        Some(read.await)
    }
}

impl Lacking {
    /// The list, where it was needed and could be read.
    fn unless<T>(
        &mut self,
        kind: Listed,
        namespace: Option<&str>,
        read: Option<Result<Vec<T>, ApiFailure>>,
    ) -> Option<Vec<T>> {
        let failure = match read? {
            Ok(list) => return Some(list),
            Err(failure) => failure,
        };
        let Listed { plural, group, serves, .. } = kind;
        let cluster_wide = ["nodes", "persistentvolumes", "nodepools"].contains(&plural);
        let place = match namespace {
            Some(namespace) => format!(" in namespace {namespace}"),
            None if cluster_wide => String::new(),
            None => " in all namespaces".to_owned(),
        };
        let reason = match failure.kind {
            Kind::Forbidden => format!("you may not list {plural}{place}"),
            Kind::NotInstalled | Kind::NotFound => {
                format!("the cluster has no {plural} of {}", group.trim_start_matches("/apis/"))
            }
            _ => format!("{plural}{place} could not be read: {failure}"),
        };
        self.add(serves, reason);
        None
    }

    fn add(&mut self, serves: &'static str, reason: String) {
        self.0.entry(serves).or_default().push(reason);
    }

    /// All of it in one sentence that names each right that is missing; `None` where nothing is lacking.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let told: Vec<String> =
            self.0.iter().map(|(serves, reasons)| format!("{serves} ({})", reasons.join("; "))).collect();
        (!told.is_empty()).then(|| format!("pre-checks that were left out: {}", told.join(", ")))
    }
}

#[cfg(test)]
#[path = "around_tests.rs"]
mod tests;

//! Reads what is around databases, for the checks before a change: all kinds at the same time, and only what the change
//! needs. Of nodes and pods at first those alone that the databases have, for all of a large cluster take seconds. What may not
//! be read is told, and is no error.

use std::collections::{BTreeMap, BTreeSet};

use dbscale_core::ownership::INSTANCE_LABEL;
use dbscale_core::preflight::object::{Claim, Metadata, Node, PersistentVolume, Pod, Quota};
use dbscale_core::preflight::{Around, Autoscaler, Needs, Reach};
use futures::future::try_join_all;
use futures::{join, try_join};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::call::{Call, Cluster};
use crate::error::{ApiFailure, Kind};

/// A list of a kind; of its items only what `T` has a place for is read.
#[derive(Deserialize)]
struct List<T> {
    items: Option<Vec<T>>,
}

/// A kind that is listed.
#[derive(Debug, Clone, Copy)]
struct Listed {
    group: &'static str,
    plural: &'static str,
    /// What is not checked, or not whole, without it.
    serves: &'static str,
    /// Which objects, by fields.
    fields: Option<&'static str>,
}

/// Which objects of a kind, beyond what its [`Listed`] says.
#[derive(Debug, Clone, Copy, Default)]
struct Which<'a> {
    namespace: Option<&'a str>,
    /// By labels.
    labels: Option<&'a str>,
    /// By fields.
    fields: Option<&'a str>,
}

/// More names than this are not looked up one by one: a list of all is then the smaller work.
const FEW: usize = 16;

const fn listed(group: &'static str, plural: &'static str, serves: &'static str) -> Listed {
    Listed { group, plural, serves, fields: None }
}

const NODES: Listed = listed("/api/v1", "nodes", "node-fit");
/// What has ended takes no room, and can be most of a cluster's pods.
const RUNNING: Option<&str> = Some("status.phase!=Succeeded,status.phase!=Failed");
const PODS: Listed = Listed { fields: RUNNING, ..listed("/api/v1", "pods", "node-fit") };
const OWN_PODS: Listed =
    Listed { fields: RUNNING, ..listed("/api/v1", "pods", "quota, limit-range, disruption-budget and quorum") };
const VOLUMES: Listed = listed("/api/v1", "persistentvolumes", "node-fit, as far as volumes go,");
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
    /// Reads what the checks of a change need: of one namespace, or of all. `instances` are the values of the instance label
    /// that the pods of the databases have. Where room is needed, the nodes of these pods are looked at alone if that can be:
    /// see [`Self::widen`]. Answers too what could not be read.
    pub async fn around(&self, namespace: Option<&str>, instances: &[String], needs: Needs) -> (Around, Lacking) {
        let own = (!instances.is_empty() && instances.len() <= FEW)
            .then(|| format!("{INSTANCE_LABEL} in ({})", instances.join(",")));
        let of = |labels| Which { namespace, labels, fields: None };
        let (pods, claims, quotas, limit_ranges, budgets) = join!(
            self.listed(OWN_PODS, of(own.as_deref()), own.is_some() && (needs.pods || needs.room)),
            self.listed(CLAIMS, of(None), needs.room),
            self.listed(QUOTAS, of(None), needs.bounds),
            self.listed(LIMIT_RANGES, of(None), needs.bounds),
            self.listed(BUDGETS, of(None), needs.budgets),
        );
        let mut lacking = Lacking::default();
        let mut around = Around {
            claims: lacking.unless(CLAIMS, namespace, claims),
            quotas: lacking.unless(QUOTAS, namespace, quotas),
            limit_ranges: lacking.unless(LIMIT_RANGES, namespace, limit_ranges),
            budgets: lacking.unless(BUDGETS, namespace, budgets),
            ..Around::default()
        };
        // A quota that nobody has counted yet is computed from all pods of its namespace.
        let counts = around.quotas.iter().flatten().any(Quota::is_new);
        if let Some(Ok(pods)) = pods.filter(|_| !counts) {
            if !needs.room {
                around.pods = Some(pods);
                return (around, lacking);
            }
            if self.near(&mut around, pods, instances).await {
                return (around, lacking);
            }
        }
        if needs.room {
            self.widen(&mut around, &mut lacking).await;
        }
        if around.pods.is_none() && (needs.pods || counts) {
            let own = self.listed(OWN_PODS, of(None), true).await;
            around.pods = lacking.unless(OWN_PODS, namespace, own);
        }
        if counts && around.claims.is_none() {
            let claims: Option<Result<Vec<Claim>, ApiFailure>> = self.listed(COUNTED, of(None), !needs.room).await;
            around.claims = lacking.unless(COUNTED, namespace, claims);
        }
        (around, lacking)
    }

    /// Looks at all nodes and pods of the cluster, where those of [`Reach::OwnNodes`] have not been enough. Whoever may not is
    /// left with what there was.
    pub async fn widen(&self, around: &mut Around, lacking: &mut Lacking) {
        let all = Which::default();
        let (nodes, pods, volumes) =
            join!(self.listed(NODES, all, true), self.listed(PODS, all, true), self.listed(VOLUMES, all, true));
        around.nodes = lacking.unless(NODES, None, nodes);
        around.volumes = lacking.unless(VOLUMES, None, volumes);
        let pods = lacking.unless(PODS, None, pods);
        around.reach = if pods.is_some() { Reach::Cluster } else { Reach::Own };
        around.pods = pods.or(around.pods.take());
    }

    /// Adds the nodes of these pods, all that runs on them, and the volumes of their claims, each by its name. Whether that could
    /// be: not where a pod is on no node, there are many, or one may not be read.
    async fn near(&self, around: &mut Around, own: Vec<Pod>, instances: &[String]) -> bool {
        let mut nodes: Vec<&str> = own.iter().map(|pod| pod.spec.node_name.as_str()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let Some(claims) = &around.claims else { return false };
        // A workload labels its claims as its pods; one without the label may be anybody's.
        let is_other =
            |claim: &&Claim| claim.metadata.labels.get(INSTANCE_LABEL).is_some_and(|label| !instances.contains(label));
        let names = claims.iter().filter(|claim| !is_other(claim)).map(|claim| claim.spec.volume_name.as_str());
        let volumes: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        if nodes.is_empty() || nodes.contains(&"") || nodes.len() > FEW {
            return false;
        }
        let read = try_join!(
            try_join_all(nodes.iter().map(|name| self.named::<Node>(NODES, "metadata.name", name))),
            try_join_all(nodes.iter().map(|name| self.named::<Pod>(PODS, "spec.nodeName", name))),
            self.volumes(&volumes),
        );
        let Ok((nodes, there, volumes)) = read else { return false };
        let mut pods = own;
        let key = |metadata: &Metadata| (metadata.namespace.clone(), metadata.name.clone());
        let known: BTreeSet<(String, String)> = pods.iter().map(|pod| key(&pod.metadata)).collect();
        pods.extend(there.into_iter().flatten().filter(|pod| !known.contains(&key(&pod.metadata))));
        around.nodes = Some(nodes.into_iter().flatten().collect());
        around.volumes = Some(volumes);
        around.pods = Some(pods);
        around.reach = Reach::OwnNodes;
        true
    }

    async fn volumes(&self, names: &[&str]) -> Result<Vec<PersistentVolume>, ApiFailure> {
        if names.len() > FEW {
            return self.all(VOLUMES, Which::default()).await;
        }
        let each = names.iter().map(|name| self.named(VOLUMES, "metadata.name", name));
        Ok(try_join_all(each).await?.into_iter().flatten().collect())
    }

    /// Those of a kind in which a field is so.
    async fn named<T: DeserializeOwned>(&self, kind: Listed, field: &str, value: &str) -> Result<Vec<T>, ApiFailure> {
        let fields = format!("{field}={value}");
        self.all(kind, Which { fields: Some(&fields), ..Which::default() }).await
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
        which: Which<'_>,
        needed: bool,
    ) -> Option<Result<Vec<T>, ApiFailure>> {
        if needed { Some(self.all(kind, which).await) } else { None }
    }

    /// All of a list, as the server has it in memory: the admission of quotas and the scheduler begin with that, too, and what is
    /// not a moment old may take a tenth of a second to come, for the server has to hear first that nothing newer is stored.
    async fn all<T: DeserializeOwned>(&self, kind: Listed, which: Which<'_>) -> Result<Vec<T>, ApiFailure> {
        let path = crate::read::path(kind.group, which.namespace, kind.plural);
        let fields: Vec<&str> = kind.fields.into_iter().chain(which.fields).collect();
        let fields = (!fields.is_empty()).then(|| fields.join(","));
        let call = Call::get(path)
            .query("fieldSelector", fields.as_deref())
            .query("labelSelector", which.labels)
            .query("resourceVersion", Some("0"));
        let list: List<T> = self.call_as(&call).await?;
        Ok(list.items.unwrap_or_default())
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

//! The part of KubeDB's PetSet controller: pods and claims of a workload. The decision is pure.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use dbscale_core::ownership::{claim_name, pod_ordinal};
use serde_json::{Value, json};

use super::api::Hands;
use super::json;
use super::operation::replicas;
use super::world::{Id, Kind};

/// How soon to look again at claims that are not bound yet.
const CLAIMS: Duration = Duration::from_millis(50);

/// What a workload lacks and has too much of.
#[derive(Debug, Default, PartialEq)]
struct Work {
    claims: Vec<Value>,
    pods: Vec<Value>,
    delete: Option<Arc<Value>>,
    waits: bool,
}

/// Looks at one PetSet.
///
/// # Errors
/// What the API server says; the look is repeated.
pub async fn reconcile(hands: &Hands, id: &Id) -> Result<Option<Duration>, kube::Error> {
    let Some(set) = hands.get(id).filter(|s| !json::is_deleting(s)) else { return Ok(None) };
    let work = {
        let world = hands.world();
        let pods = world.children(json::uid(&set), &[Kind::Pod]);
        work(&set, &pods, |kind, name| world.get(&id.beside(kind, name)))
    };
    for claim in &work.claims {
        hands.create(Kind::Claim, claim).await?;
    }
    for pod in &work.pods {
        hands.create(Kind::Pod, pod).await?;
    }
    if let Some(pod) = &work.delete {
        hands.delete(&Id::of(Kind::Pod, pod), json::uid(pod), false).await?;
    }
    let pods = hands.world().children(json::uid(&set), &[Kind::Pod]);
    let status = status(&set, &pods);
    if set.get("status") != Some(&status) {
        hands.patch(id, Some("status"), &json!({"status": status})).await?;
    }
    Ok((work.waits || !work.claims.is_empty()).then_some(CLAIMS))
}

fn work(set: &Value, pods: &[Arc<Value>], find: impl Fn(Kind, &str) -> Option<Arc<Value>>) -> Work {
    let (name, size) = (json::name(set), replicas(set));
    let templates = json::list(set, "/spec/volumeClaimTemplates");
    let mut work = Work::default();
    for ordinal in 0..size {
        let pod = format!("{name}-{ordinal}");
        let mut ready = true;
        for template in templates {
            let claim = claim_name(json::name(template), name, ordinal);
            match find(Kind::Claim, &claim) {
                None => {
                    work.claims.push(new_claim(set, template, &claim));
                    ready = false;
                }
                // The scheduler tries an unbound claim's pod again after a second at the earliest; waiting here is faster.
                Some(claim) => ready &= is_bound(&claim, &find),
            }
        }
        // A pod of this name that is another's (its workload is gone) has to go first.
        match find(Kind::Pod, &pod) {
            None if ready => work.pods.push(new_pod(set, ordinal)),
            None => work.waits = true,
            Some(other) if json::controller(&other) != Some(json::uid(set)) => work.waits = true,
            Some(_) => {}
        }
    }
    let ordinal = |p: &Arc<Value>| pod_ordinal(json::name(p), name).unwrap_or_default();
    let last = pods.iter().max_by_key(|p| ordinal(p)).filter(|p| ordinal(p) >= size);
    work.delete = last.filter(|p| !json::is_deleting(p)).cloned();
    work
}

fn is_bound(claim: &Value, find: &impl Fn(Kind, &str) -> Option<Arc<Value>>) -> bool {
    if json::text(claim, "/status/phase") == "Bound" {
        return true;
    }
    // A claim that is bound only once its pod is placed must not hold the pod up.
    let class = find(Kind::Class, json::text(claim, "/spec/storageClassName"));
    class.is_some_and(|c| c["volumeBindingMode"] == "WaitForFirstConsumer")
}

/// Source: `getPersistentVolumeClaims` of the PetSet controller; no owner, as its default retention is Retain.
fn new_claim(set: &Value, template: &Value, name: &str) -> Value {
    let mut labels = template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    for (key, value) in set.pointer("/spec/selector/matchLabels").and_then(Value::as_object).into_iter().flatten() {
        labels[key] = value.clone();
    }
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": set["metadata"]["namespace"],
            "labels": labels,
            "annotations": template.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({})),
        },
        "spec": template["spec"],
    })
}

fn new_pod(set: &Value, ordinal: i64) -> Value {
    let template = &set["spec"]["template"];
    let name = format!("{}-{ordinal}", json::name(set));
    let mut labels = template.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({}));
    labels["statefulset.kubernetes.io/pod-name"] = json!(name);
    labels["apps.kubernetes.io/pod-index"] = json!(ordinal.to_string());
    labels["controller-revision-hash"] = json!(revision(set));
    let mut spec = template["spec"].clone();
    let mut volumes = json::list(&spec, "/volumes").to_vec();
    volumes.extend(json::list(set, "/spec/volumeClaimTemplates").iter().map(|t| {
        let claim = claim_name(json::name(t), json::name(set), ordinal);
        json!({"name": json::name(t), "persistentVolumeClaim": {"claimName": claim}})
    }));
    spec["volumes"] = Value::from(volumes);
    spec["hostname"] = json!(name);
    spec["subdomain"] = set["spec"]["serviceName"].clone();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": set["metadata"]["namespace"],
            "labels": labels,
            "annotations": template.pointer("/metadata/annotations").cloned().unwrap_or_else(|| json!({})),
            "ownerReferences": [{
                "apiVersion": set["apiVersion"],
                "kind": set["kind"],
                "name": json::name(set),
                "uid": json::uid(set),
                "controller": true,
                "blockOwnerDeletion": true,
            }],
        },
        "spec": spec,
    })
}

/// The name of the pod template's state.
fn revision(set: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    set["spec"]["template"].to_string().hash(&mut hasher);
    format!("{}-{:010x}", json::name(set), hasher.finish() & 0xff_ffff_ffff)
}

fn status(set: &Value, pods: &[Arc<Value>]) -> Value {
    let revision = revision(set);
    let updated = |p: &&Arc<Value>| json::text(p, "/metadata/labels/controller-revision-hash") == revision;
    let ready = pods.iter().filter(|p| json::has_condition(p, "Ready")).count();
    let updated = pods.iter().filter(updated).count();
    let old = json::text(set, "/status/currentRevision");
    let current = if updated == pods.len() || old.is_empty() { revision.as_str() } else { old };
    json!({
        "observedGeneration": json::generation(set),
        "replicas": pods.len(),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "currentReplicas": if current == revision { updated } else { pods.len() - updated },
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": revision,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn look(replicas: i64, pods: &[&str], claims: &[(&str, &str)]) -> Work {
        let mut set = super::super::testing::present("1", &[]).sets.remove(0);
        change(&mut set, "/spec/replicas", json!(replicas));
        let owner = json!([{"uid": "set", "controller": true}]);
        let pod = |n: &&str| Arc::new(json!({"metadata": {"name": n, "uid": n, "ownerReferences": owner}}));
        let pods: Vec<_> = pods.iter().map(pod).collect();
        let claims: Vec<_> =
            claims.iter().map(|(n, p)| Arc::new(json!({"metadata": {"name": n}, "status": {"phase": p}}))).collect();
        work(&set, &pods, |kind, name| {
            let all = if kind == Kind::Pod { &pods } else { &claims };
            all.iter().find(|o| json::name(o) == name).cloned()
        })
    }

    #[test]
    fn claims_first_and_pods_once_they_are_bound() {
        let work = look(2, &[], &[("datadir-mg-0", "Bound"), ("datadir-mg-1", "Pending")]);
        assert!(work.claims.is_empty() && work.waits);
        let [pod] = &work.pods[..] else { panic!("one pod: {:?}", work.pods) };
        assert_eq!(json::name(pod), "mg-0");
        assert_eq!(pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"], "mg-0");
        assert_eq!(pod["metadata"]["labels"]["app.kubernetes.io/instance"], "mg");
        assert_eq!(pod["metadata"]["ownerReferences"][0]["kind"], "PetSet");
        assert_eq!(pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"], "datadir-mg-0");
    }

    #[test]
    fn claims_have_the_selector_s_labels_and_no_owner() {
        let work = look(1, &[], &[]);
        let claim = &work.claims[0];
        assert_eq!(json::name(claim), "datadir-mg-0");
        assert_eq!(claim["metadata"]["labels"]["app.kubernetes.io/name"], "mongodbs.kubedb.com");
        assert!(claim["metadata"].get("ownerReferences").is_none());
        assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "20Gi");
    }

    #[test]
    fn the_highest_ordinal_goes_first_and_claims_stay() {
        let claims: Vec<(String, &str)> = (0..11).map(|n| (format!("datadir-mg-{n}"), "Bound")).collect();
        let claims: Vec<(&str, &str)> = claims.iter().map(|(n, p)| (n.as_str(), *p)).collect();
        let pods: Vec<String> = (0..11).map(|n| format!("mg-{n}")).collect();
        let pods: Vec<&str> = pods.iter().map(String::as_str).collect();
        let work = look(3, &pods, &claims);
        assert_eq!(work.delete.map(|p| json::name(&p).to_owned()).as_deref(), Some("mg-10"));
        assert!(look(11, &pods, &claims).delete.is_none());
    }
}

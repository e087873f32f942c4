use std::time::Duration;

use serde_json::json;

use super::*;
use crate::mock::{Act, cluster, status};

const PATIENCE: Duration = Duration::from_secs(10);

fn list(items: &Value) -> Act {
    Act::Answer(200, json!({"items": items, "metadata": {}}))
}

fn forbidden(what: &str) -> Act {
    status(
        403,
        "Forbidden",
        &format!("{what} is forbidden: User \"jane\" cannot list resource \"{what}\" in API group \"\""),
    )
}

#[tokio::test]
async fn only_what_is_needed_is_listed_each_kind_once() {
    let (cluster, played) = cluster(PATIENCE, vec![list(&json!([{"metadata": {"name": "q"}}])), list(&json!(null))]);
    let (around, lacking) = cluster.around(Some("demo"), &[], Needs { bounds: true, ..Needs::default() }).await;
    assert_eq!((around.quotas.unwrap().len(), around.limit_ranges.unwrap().len(), lacking.sentence()), (1, 0, None));
    assert!(around.nodes.is_none() && around.pods.is_none());
    drop(cluster);
    let mut asked: Vec<String> = played.await.unwrap().into_iter().map(|asked| asked.line).collect();
    asked.sort();
    let list = |plural: &str| format!("GET /api/v1/namespaces/demo/{plural}?resourceVersion=0");
    assert_eq!(asked, [list("limitranges"), list("resourcequotas")]);
}

#[tokio::test]
async fn what_may_not_be_read_is_told_once_with_verb_and_resource() {
    let script =
        vec![list(&json!([])), forbidden("nodes"), forbidden("pods"), forbidden("persistentvolumes"), list(&json!([]))];
    let (cluster, played) = cluster(PATIENCE, script);
    let (around, lacking) =
        cluster.around(Some("demo"), &[], Needs { room: true, pods: true, ..Needs::default() }).await;
    assert_eq!(
        lacking.sentence().as_deref(),
        Some(
            "pre-checks that were left out: node-fit (you may not list nodes; you may not list pods in all namespaces), \
             node-fit, as far as volumes go, (you may not list persistentvolumes)"
        )
    );
    assert!(around.nodes.is_none() && around.reach == Reach::Own);
    assert_eq!(around.pods.map(|pods| pods.len()), Some(0), "those of the namespace");
    drop(cluster);
    let asked = played.await.unwrap();
    assert!(
        asked.iter().any(|asked| asked.line.starts_with("GET /api/v1/pods?fieldSelector=")
            && asked.line.ends_with("resourceVersion=0"))
    );
    assert!(asked.last().unwrap().line.starts_with("GET /api/v1/namespaces/demo/pods?"));
}

#[tokio::test]
async fn a_quota_without_status_brings_the_pods_and_claims() {
    let quota = json!([{"spec": {"hard": {"pods": "3"}}}]);
    let script = vec![list(&quota), list(&json!([])), list(&json!([])), list(&json!([]))];
    let (cluster, played) = cluster(PATIENCE, script);
    let (around, lacking) = cluster.around(Some("demo"), &[], Needs { bounds: true, ..Needs::default() }).await;
    assert!(around.pods.is_some() && around.claims.is_some() && lacking.sentence().is_none());
    drop(cluster);
    assert_eq!(played.await.unwrap().len(), 4);
}

/// A member on a node.
fn member(name: &str, node: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "demo"}, "spec": {"nodeName": node}})
}

/// What is asked for one database that needs room, and the names of the nodes and pods that are then known.
async fn near(script: Vec<Act>) -> (Vec<String>, Around, Lacking) {
    let (cluster, played) = cluster(PATIENCE, script);
    let needs = Needs { room: true, pods: true, ..Needs::default() };
    let (around, lacking) = cluster.around(Some("demo"), &["my-db".to_owned()], needs).await;
    drop(cluster);
    (played.await.unwrap().into_iter().map(|asked| asked.line).collect(), around, lacking)
}

fn names<'a>(all: impl IntoIterator<Item = &'a Metadata>) -> Vec<&'a str> {
    all.into_iter().map(|metadata| metadata.name.as_str()).collect()
}

#[tokio::test]
async fn at_first_only_the_nodes_of_the_database_are_looked_at() {
    let claim = json!({"metadata": {"name": "data-my-db-0", "namespace": "demo"}, "spec": {"volumeName": "pv-1"}});
    let labels = json!({"app.kubernetes.io/instance": "another"});
    let others = json!({"metadata": {"name": "data-another-0", "labels": labels}, "spec": {"volumeName": "pv-2"}});
    let script = vec![
        list(&json!([member("my-db-0", "n1")])),
        list(&json!([claim, others])),
        list(&json!([{"metadata": {"name": "n1"}}])),
        list(
            &json!([member("my-db-0", "n1"), {"metadata": {"name": "web", "namespace": "other"}, "spec": {"nodeName": "n1"}}]),
        ),
        list(&json!([{"metadata": {"name": "pv-1"}}])),
    ];
    let (asked, around, lacking) = near(script).await;
    assert_eq!((around.reach, lacking.sentence()), (Reach::OwnNodes, None));
    assert_eq!(names(around.pods.iter().flatten().map(|p| &p.metadata)), ["my-db-0", "web"], "each once");
    assert_eq!(names(around.nodes.iter().flatten().map(|n| &n.metadata)), ["n1"]);
    assert_eq!(names(around.volumes.iter().flatten().map(|v| &v.metadata)), ["pv-1"]);
    let running = "status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed";
    let wanted = [
        format!(
            "GET /api/v1/namespaces/demo/pods?fieldSelector={running}&labelSelector=app.kubernetes.io%2Finstance%20in%20%28my-db%29&resourceVersion=0"
        ),
        "GET /api/v1/namespaces/demo/persistentvolumeclaims?resourceVersion=0".to_owned(),
        "GET /api/v1/nodes?fieldSelector=metadata.name%3Dn1&resourceVersion=0".to_owned(),
        format!("GET /api/v1/pods?fieldSelector={running}%2Cspec.nodeName%3Dn1&resourceVersion=0"),
        "GET /api/v1/persistentvolumes?fieldSelector=metadata.name%3Dpv-1&resourceVersion=0".to_owned(),
    ];
    assert_eq!(asked, wanted);
}

/// What makes the whole cluster be looked at: a pod on no node, more nodes than a few, a node that may not be read.
#[rstest::rstest]
#[case::a_pod_that_waits(json!([member("my-db-0", "n1"), member("my-db-1", "")]), vec![])]
#[case::no_pod(json!([]), vec![])]
#[case::many_nodes(json!((0..17).map(|n| member(&format!("my-db-{n}"), &format!("n{n}"))).collect::<Vec<_>>()), vec![])]
#[case::a_node_that_may_not_be_read(json!([member("my-db-0", "n1")]), vec![forbidden("nodes")])]
#[tokio::test]
async fn the_whole_cluster_is_looked_at(#[case] own: Value, #[case] refused: Vec<Act>) {
    let mut script = vec![list(&own), list(&json!([]))];
    let cut = refused.len();
    script.extend(refused);
    // What is asked for beside what is refused is given up, and may have come.
    script.extend((0..cut).map(|_| list(&json!([]))));
    script.extend([
        list(&json!([{"metadata": {"name": "n1"}}, {"metadata": {"name": "n2"}}])),
        list(&json!([member("my-db-0", "n1"), member("web", "n2")])),
        list(&json!([])),
    ]);
    let (asked, around, lacking) = near(script).await;
    assert_eq!((around.reach, lacking.sentence()), (Reach::Cluster, None), "{asked:#?}");
    assert_eq!(names(around.pods.iter().flatten().map(|p| &p.metadata)), ["my-db-0", "web"]);
    assert_eq!(names(around.nodes.iter().flatten().map(|n| &n.metadata)), ["n1", "n2"]);
}

/// What plays out while something that makes nodes is looked for: what it is, and what is said to be lacking.
async fn autoscaler(script: Vec<Act>) -> (Autoscaler, Option<String>) {
    let acts = script.len();
    let (cluster, played) = cluster(PATIENCE, script);
    let mut lacking = Lacking::default();
    let seen = cluster.autoscaler(&mut lacking).await;
    drop(cluster);
    assert_eq!(played.await.unwrap().len(), acts, "every answer was asked for");
    (seen, lacking.sentence())
}

fn missing() -> Act {
    status(404, "NotFound", "the server could not find the requested resource")
}

#[tokio::test]
async fn what_makes_nodes_is_named() {
    let pools = json!([{"metadata": {"name": "general"}}, {"metadata": {"name": "gpu"}}]);
    let karpenter = Autoscaler::Seen("Karpenter (NodePools general, gpu)".to_owned());
    assert_eq!(autoscaler(vec![list(&pools)]).await, (karpenter, None));
    let status = Act::Answer(200, json!({}));
    let seen = Autoscaler::Seen("the cluster autoscaler".to_owned());
    assert_eq!(autoscaler(vec![missing(), missing(), status]).await, (seen, None));
    assert_eq!(autoscaler(vec![missing(), missing(), missing()]).await, (Autoscaler::None, None));
}

#[tokio::test]
async fn node_pools_that_may_not_be_seen_are_not_taken_for_none() {
    let group = Act::Answer(200, json!({"kind": "APIGroup", "name": "karpenter.sh"}));
    let found = autoscaler(vec![forbidden("nodepools"), missing(), missing(), group]).await;
    let told =
        "pre-checks that were left out: node-fit, as far as nodes that may come go, (you may not list nodepools)";
    assert_eq!(found, (Autoscaler::Hidden, Some(told.to_owned())));
    let without_karpenter = vec![forbidden("nodepools"), forbidden("nodepools"), missing(), missing()];
    assert_eq!(autoscaler(without_karpenter).await, (Autoscaler::None, None), "there is no such kind");
    let found = autoscaler(vec![missing(), missing(), forbidden("configmaps")]).await;
    let told = "pre-checks that were left out: node-fit, as far as nodes that may come go, (you may not get configmap \
                cluster-autoscaler-status in namespace kube-system)";
    assert_eq!(found, (Autoscaler::Hidden, Some(told.to_owned())));
}

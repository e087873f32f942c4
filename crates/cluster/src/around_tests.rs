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
    let (around, lacking) = cluster.around(Some("demo"), Needs { bounds: true, ..Needs::default() }).await;
    assert_eq!((around.quotas.unwrap().len(), around.limit_ranges.unwrap().len(), lacking), (1, 0, None));
    assert!(around.nodes.is_none() && around.pods.is_none());
    drop(cluster);
    let mut asked: Vec<String> = played.await.unwrap().into_iter().map(|asked| asked.line).collect();
    asked.sort();
    let list = |plural: &str| format!("GET /api/v1/namespaces/demo/{plural}?limit=500");
    assert_eq!(asked, [list("limitranges"), list("resourcequotas")]);
}

#[tokio::test]
async fn what_may_not_be_read_is_told_once_with_verb_and_resource() {
    let script =
        vec![forbidden("nodes"), forbidden("pods"), forbidden("persistentvolumes"), list(&json!([])), list(&json!([]))];
    let (cluster, played) = cluster(PATIENCE, script);
    let (around, lacking) = cluster.around(Some("demo"), Needs { room: true, pods: true, ..Needs::default() }).await;
    assert_eq!(
        lacking.as_deref(),
        Some(
            "pre-checks that were left out: node-fit (you may not list nodes; you may not list pods in all namespaces), \
             node-fit, as far as volumes go, (you may not list persistentvolumes)"
        )
    );
    assert!(around.nodes.is_none() && !around.all_pods);
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
    let (around, lacking) = cluster.around(Some("demo"), Needs { bounds: true, ..Needs::default() }).await;
    assert!(around.pods.is_some() && around.claims.is_some() && lacking.is_none());
    drop(cluster);
    assert_eq!(played.await.unwrap().len(), 4);
}

#[tokio::test]
async fn what_makes_nodes_is_named() {
    let missing = || status(404, "NotFound", "the server could not find the requested resource");
    let pools = json!([{"metadata": {"name": "general"}}, {"metadata": {"name": "gpu"}}]);
    let (karpenter, _) = cluster(PATIENCE, vec![list(&pools)]);
    assert_eq!(karpenter.autoscaler().await.as_deref(), Some("Karpenter (NodePools general, gpu)"));
    let (autoscaler, _) = cluster(PATIENCE, vec![missing(), missing(), Act::Answer(200, json!({}))]);
    assert_eq!(autoscaler.autoscaler().await.as_deref(), Some("the cluster autoscaler"));
    let (none, _) = cluster(PATIENCE, vec![missing(), missing(), missing()]);
    assert_eq!(none.autoscaler().await, None);
}

use dbscale_cluster::cache::Topic;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::testing::{
    DATABASES, KUBEDB, OPERATIONS, SIZE, World, create, database, horizontal, mongodb, request, review, update,
};

#[tokio::test]
async fn what_is_right_is_let_in_without_a_call() {
    let world = World::new().known(&[database()], &[]);
    let verdict = world.ask(&create(&horizontal("ask", 5))).await;
    assert!(verdict.judged && verdict.findings.is_empty(), "{:?}", verdict.findings);
    assert_eq!(world.calls(), 0);
}

#[rstest]
#[case::status(json!({"subResource": "status"}))]
#[case::deletion(json!({"operation": "DELETE"}))]
#[case::unknown_kind(json!({"kind": {"group": "kubedb.com", "kind": "Other"}}))]
#[case::being_deleted(json!({"object": {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}}))]
#[tokio::test]
async fn what_is_not_judged_passes_at_once(#[case] other: Value) {
    let world = World::new();
    let mut review = create(&horizontal("ask", 0));
    for (field, value) in other.as_object().unwrap() {
        match (field.as_str(), value.pointer("/metadata/deletionTimestamp")) {
            ("object", Some(time)) => review["request"]["object"]["metadata"]["deletionTimestamp"] = time.clone(),
            _ => review["request"][field] = value.clone(),
        }
    }
    let verdict = world.ask(&review).await;
    assert!(!verdict.judged && verdict.findings.is_empty());
    assert_eq!(world.calls(), 0);
}

#[rstest]
#[case::labels("/metadata/labels", json!({"a": "b"}), false, &[])]
#[case::spec("/spec/horizontalScaling/replicas", json!(7), true, &["request/immutable"])]
#[case::somebody_elses_name("/metadata/annotations", json!({"dbscale.dev/requested-by": "eve"}), true, &["audit/requested-by"])]
#[tokio::test]
async fn updates_of_requests(#[case] at: &str, #[case] value: Value, #[case] judged: bool, #[case] ids: &[&str]) {
    let world = World::new();
    let mut old = horizontal("ask", 0); // wrong from the beginning, which is nobody's business now
    old["metadata"]["labels"] = json!({});
    old["metadata"]["annotations"] = json!({});
    old["status"] = json!({"phase": "Successful"});
    let mut new = old.clone();
    *new.pointer_mut(at).unwrap() = value;
    let review = review("bob", &new, &old);
    assert_eq!(world.ask(&review).await.judged, judged);
    assert_eq!(world.ids(&review).await, ids);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn a_denial_that_needs_no_lookup_asks_nobody() {
    let world = World::new().known(&[database()], &[]);
    assert_eq!(world.ids(&create(&horizontal("ask", 0))).await, ["replicas/minimum"]);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn a_missing_database_is_looked_for_once_more_and_told_with_the_rest() {
    let world = World::new().known(&[], &[]);
    assert_eq!(world.ids(&create(&horizontal("ask", 0))).await, ["database/missing", "replicas/minimum"]);
    assert!(world.calls() > 0);
    world.serve(&format!("{DATABASES}/db"), database());
    assert_eq!(world.ids(&create(&horizontal("ask", 5))).await, [""; 0]);
}

#[tokio::test]
async fn a_stale_size_is_read_again_before_it_refuses() {
    let mut grown = database();
    *grown.pointer_mut(SIZE).unwrap() = json!("50Gi");
    let ask = request("ask", "VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": "20Gi"}}));
    let world = World::new().known(&[grown.clone()], &[]);
    world.serve(&format!("{DATABASES}/db"), database());
    assert_eq!(world.ids(&create(&ask)).await, [""; 0], "the object has 10Gi by now");
    let world = World::new().known(&[grown.clone()], &[]);
    world.serve(&format!("{DATABASES}/db"), grown);
    assert_eq!(world.ids(&create(&ask)).await, ["storage/no-shrink"]);
}

#[tokio::test]
async fn one_operation_of_a_type_at_a_time() {
    let mut running = horizontal("first", 4);
    running["status"] = json!({"phase": "Progressing"});
    let world = World::new().known(&[database()], &[running.clone()]);
    world.serve(&format!("{DATABASES}/db"), database());
    world.serve(OPERATIONS, json!({"items": [running]}));
    assert_eq!(world.ids(&create(&horizontal("ask", 5))).await, ["operation/active"]);
    let limits = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}});
    let other = request("ask", "VerticalScaling", json!({"verticalScaling": {"replicaSet": {"resources": limits}}}));
    assert_eq!(world.ids(&create(&other)).await, ["operation/active?"]);
    let mut autoscaled = horizontal("ask", 5);
    autoscaled["metadata"]["ownerReferences"] = json!([{"kind": "MongoDBAutoscaler", "name": "a", "controller": true}]);
    assert_eq!(world.ids(&create(&autoscaled)).await, [""; 0]);
    world.serve(OPERATIONS, json!({"items": []})); // it has ended and was deleted; the watch has not told yet
    world.judge.cache.retract(mongodb(), "demo", &Operation::of(&horizontal("ask", 5), "databaseRef"));
    assert_eq!(world.ids(&create(&horizontal("ask-2", 5))).await, [""; 0]);
}

#[tokio::test]
async fn of_two_that_come_at_once_one_is_let_in() {
    let world = World::new().known(&[database()], &[]);
    world.serve(&format!("{DATABASES}/db"), database());
    world.serve(OPERATIONS, json!({"items": [horizontal("a", 5)]}));
    let (first, second) = (create(&horizontal("a", 5)), create(&horizontal("b", 5)));
    let (first, second) = futures::future::join(world.ids(&first), world.ids(&second)).await;
    assert_eq!((first, second), (vec![], vec!["operation/active".to_owned()]));
    // The same once more is the same request: a create whose answer got lost.
    assert_eq!(world.ids(&create(&horizontal("a", 5))).await, [""; 0]);
}

#[tokio::test]
async fn one_that_was_let_in_and_never_came_stands_in_nobodys_way() {
    let world = World::new().known(&[database()], &[]);
    world.serve(&format!("{DATABASES}/db"), database());
    assert_eq!(world.ids(&create(&horizontal("a", 5))).await, [""; 0]);
    // Another webhook has refused it, say: the server does not have it, and after a while nobody waits for it.
    assert_eq!(world.ids(&create(&horizontal("b", 5))).await, [""; 0]);
}

#[tokio::test]
async fn a_dry_run_leaves_nothing_behind() {
    let world = World::new().known(&[database()], &[]);
    let mut dry = create(&horizontal("a", 5));
    dry["request"]["dryRun"] = json!(true);
    assert_eq!(world.ids(&dry).await, [""; 0]);
    assert_eq!(world.ids(&create(&horizontal("b", 5))).await, [""; 0]);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn what_the_cache_does_not_know_is_read() {
    let world = World::new();
    world.serve(&format!("{DATABASES}/db"), database());
    assert_eq!(world.ids(&create(&horizontal("ask", 5))).await, [""; 0]);
    assert_eq!(world.calls(), 2);
}

#[rstest]
#[case::deny(Severity::Deny, &["replicas/minimum", "lookup/failed"], &["lookup/failed"], &["storage/no-shrink"])]
#[case::warn(Severity::Warn, &["replicas/minimum", "lookup/failed?"], &["lookup/failed?"], &["storage/no-shrink?", "lookup/failed?"])]
#[tokio::test]
async fn when_nobody_can_be_asked(
    #[case] lookup_failure: Severity,
    #[case] wrong: &[&str],
    #[case] right: &[&str],
    #[case] doubtful: &[&str],
) {
    let silent = || {
        let mut world = World::new();
        world.judge.options.lookup_failure = lookup_failure;
        world.serve(OPERATIONS, Value::Null);
        world.serve(&format!("{DATABASES}/db"), Value::Null);
        world
    };
    let world = silent();
    assert_eq!(world.ids(&create(&horizontal("ask", 0))).await, wrong);
    assert_eq!(world.ids(&create(&horizontal("ask", 5))).await, right);
    // What is cached is used: what is right is let in, and what is not is refused as far as that may be.
    let world = silent().known(&[database()], &[]);
    let grow =
        |size| request("g", "VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": size}}));
    assert_eq!(world.ids(&create(&grow("20Gi"))).await, [""; 0]);
    assert_eq!(world.ids(&create(&grow("5Gi"))).await, doubtful);
}

#[rstest]
#[case::shrink("ann", SIZE, json!("5Gi"), &["storage/no-shrink"])]
#[case::grow("ann", SIZE, json!("20Gi"), &[])]
#[case::too_small("ann", SIZE, json!("1"), &["storage/minimum", "storage/no-shrink"])]
#[case::hangs_go("ann", SIZE, json!("1e999999999"), &["quantity/unreadable"])]
#[case::no_members("ann", "/spec/replicas", json!(0), &["replicas/minimum", "database/direct-edit?"])]
#[case::members("ann", "/spec/replicas", json!(5), &["database/direct-edit?"])]
#[case::members_by_kubedb(KUBEDB, "/spec/replicas", json!(5), &[])]
#[case::shrink_by_kubedb(KUBEDB, SIZE, json!("5Gi"), &["storage/no-shrink"])]
#[case::something_else("ann", "/spec/storageType", json!("Ephemeral"), &[])]
#[tokio::test]
async fn updates_of_databases(#[case] user: &str, #[case] at: &str, #[case] value: Value, #[case] ids: &[&str]) {
    let world = World::new().known(&[database()], &[]);
    world.serve(&format!("{DATABASES}/db"), database());
    for list in
        ["/apis/apps.k8s.appscode.com/v1/namespaces/demo/petsets", "/api/v1/namespaces/demo/persistentvolumeclaims"]
    {
        world.serve(list, json!({"items": []}));
    }
    assert_eq!(world.ids(&update(user, at, value)).await, ids);
}

#[tokio::test]
async fn direct_edits_may_be_refused() {
    let mut world = World::new().known(&[database()], &[]);
    world.judge.options.direct_edits = Severity::Deny;
    world.serve(OPERATIONS, json!({"items": []}));
    assert_eq!(world.ids(&update("ann", "/spec/replicas", json!(5))).await, ["database/direct-edit"]);
    assert_eq!(world.ids(&update(KUBEDB, "/spec/replicas", json!(5))).await, [""; 0]);
}

#[tokio::test]
async fn what_an_operation_wished_that_is_not_known_yet_is_no_direct_edit() {
    let mut world = World::new().known(&[database()], &[]);
    world.judge.options.direct_edits = Severity::Deny;
    let mut operation = horizontal("x", 5);
    operation["status"] = json!({"phase": "Progressing"});
    world.serve(OPERATIONS, json!({"items": [operation]}));
    assert_eq!(world.ids(&update("ann", "/spec/replicas", json!(5))).await, [""; 0]);
    assert_eq!(world.ids(&update("ann", "/spec/replicas", json!(7))).await, ["database/direct-edit"]);
}

/// Whoever writes it, with whatever account: what an OpsRequest wished is never judged, even where it would be refused.
#[rstest]
#[case::running("Progressing")]
#[case::ended_just_now("Successful")]
#[tokio::test]
async fn what_an_operation_wished_passes(#[case] phase: &str) {
    let mut operation =
        request("x", "VolumeExpansion", json!({"volumeExpansion": {"mode": "Online", "replicaSet": "5Gi"}}));
    operation["status"] = json!({"phase": phase});
    let world = World::new().known(&[database()], &[operation]);
    assert_eq!(world.ids(&update("ann", SIZE, json!("5120Mi"))).await, [""; 0]);
    assert_eq!(world.ids(&update(KUBEDB, SIZE, json!("5Gi"))).await, [""; 0]);
    assert_eq!(world.calls(), 0);
}

#[tokio::test]
async fn a_failed_expansion_may_go_back_to_what_the_claims_have() {
    let mut asked = database();
    *asked.pointer_mut(SIZE).unwrap() = json!("50Gi");
    let world = World::new().known(&[asked.clone()], &[]);
    world.serve(&format!("{DATABASES}/db"), asked.clone());
    let owner = json!([{"kind": "MongoDB", "name": "db", "uid": "u", "controller": true}]);
    let template = json!({"metadata": {"name": "datadir"}, "spec": {"resources": {"requests": {"storage": "10Gi"}}}});
    let set = json!({"metadata": {"name": "db", "ownerReferences": owner}, "spec": {
        "selector": {"matchLabels": {"app": "db"}}, "volumeClaimTemplates": [template]}});
    world.serve("/apis/apps.k8s.appscode.com/v1/namespaces/demo/petsets", json!({"items": [set]}));
    let claim = json!({"metadata": {"name": "datadir-db-0", "labels": {"app": "db"}},
        "spec": {"resources": {"requests": {"storage": "50Gi"}}},
        "status": {"capacity": {"storage": "10Gi"}, "allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"}}});
    world.serve("/api/v1/namespaces/demo/persistentvolumeclaims", json!({"items": [claim]}));
    let back = |size: &str| {
        let mut new = asked.clone();
        *new.pointer_mut(SIZE).unwrap() = json!(size);
        review("ann", &new, &asked)
    };
    assert_eq!(world.ids(&back("10Gi")).await, ["storage/no-shrink?"]);
    assert_eq!(world.ids(&back("5Gi")).await, ["storage/no-shrink"]);
}

#[tokio::test]
async fn a_patch_of_storage_beside_a_running_operation_is_refused() {
    let mut running = horizontal("x", 5);
    running["status"] = json!({"phase": "Progressing"});
    let world = World::new().known(&[database()], &[running.clone()]);
    world.serve(OPERATIONS, json!({"items": [running]}));
    assert_eq!(world.ids(&update("ann", SIZE, json!("20Gi"))).await, ["operation/active"]);
    assert_eq!(world.ids(&update(KUBEDB, SIZE, json!("20Gi"))).await, [""; 0]);
}

#[rstest]
#[case::few_members("/spec/replicas", json!(0), &["replicas/minimum"])]
#[case::little_storage(SIZE, json!("600Mi"), &["storage/minimum?"])]
#[case::fine("/spec/replicas", json!(1), &[])]
#[tokio::test]
async fn a_database_that_is_created_is_held_to_the_floors(
    #[case] at: &str,
    #[case] value: Value,
    #[case] ids: &[&str],
) {
    let world = World::new();
    let mut new = database();
    *new.pointer_mut(at).unwrap() = value;
    assert_eq!(world.ids(&create(&new)).await, ids);
    assert_eq!(world.calls(), 0);
}

#[rstest]
#[tokio::test]
async fn in_a_lenient_namespace_refusals_are_warnings(
    #[values(None, Some("warn"), Some("enforce"))] label: Option<&str>,
    #[values(Severity::Deny, Severity::Warn)] enforcement: Severity,
) {
    let mut world = World::new().known(&[database()], &[]);
    world.judge.options.enforcement = enforcement;
    if let Some(label) = label {
        let labels = json!({"dbscale.dev/enforcement": label});
        world.tell(Topic::Namespaces, &[json!({"metadata": {"name": "demo", "labels": labels}})]);
    }
    let lenient = label.map_or(enforcement == Severity::Warn, |label| label == "warn");
    let ids = world.ids(&create(&horizontal("ask", 0))).await;
    assert_eq!(ids, [if lenient { "replicas/minimum?" } else { "replicas/minimum" }]);
    let spared = world.ask(&create(&horizontal("ask", 0))).await.spared;
    assert_eq!(
        spared.iter().map(|rule| rule.0).collect::<Vec<_>>(),
        if lenient { vec!["replicas/minimum"] } else { vec![] }
    );
}

#[tokio::test]
async fn what_a_lenient_namespace_lets_in_takes_its_place() {
    let mut world = with_policy(&json!({"replicas": {"max": 5}}));
    world.judge.options.enforcement = Severity::Warn;
    assert_eq!(world.ids(&create(&horizontal("ask", 7))).await, ["policy/replicas?"]);
    let admitted = world.judge.cache.admitted(mongodb(), "demo", "db");
    assert_eq!(admitted.iter().map(|seen| seen.operation.name.as_str()).collect::<Vec<_>>(), ["ask"]);
}

const POLICIES: &str = "/apis/dbscale.dev/v1alpha1/scalingpolicies";

/// A world with a database and a policy, which the API server has too.
fn with_policy(spec: &Value) -> World {
    let world = World::new().known(&[database()], &[]);
    let policy = json!({"metadata": {"name": "gold"}, "spec": spec});
    world.tell(Topic::Policies, std::slice::from_ref(&policy));
    world.serve(POLICIES, json!({"items": [policy]}));
    world.serve(&format!("{DATABASES}/db"), database());
    world.serve("/api/v1/namespaces/demo", json!({"metadata": {"name": "demo", "labels": {"env": "prod"}}}));
    world
}

#[tokio::test]
async fn a_policy_refuses_what_it_does_not_allow_and_costs_no_call_where_it_does() {
    let world = with_policy(&json!({"replicas": {"max": 5}}));
    assert_eq!(world.ids(&create(&horizontal("ask", 5))).await, [""; 0]);
    assert_eq!(world.calls(), 0);
    let world = with_policy(&json!({"replicas": {"max": 5}}));
    assert_eq!(world.ids(&create(&horizontal("ask", 7))).await, ["policy/replicas"]);
    assert_eq!(
        world.ids(&update("ann", "/spec/replicas", json!(7))).await,
        ["policy/replicas", "database/direct-edit?"]
    );
    assert_eq!(
        world.ids(&update(KUBEDB, "/spec/replicas", json!(7))).await,
        [""; 0],
        "KubeDB carries out what was let in"
    );
}

#[tokio::test]
async fn a_policy_that_is_gone_or_covers_no_more_does_not_refuse() {
    let spec = json!({"namespaceSelector": {"matchLabels": {"env": "prod"}}, "replicas": {"max": 5}});
    let ask = create(&horizontal("ask", 7));
    let world = with_policy(&spec);
    assert_eq!(world.ids(&ask).await, [""; 0], "the cache does not know yet that the namespace has the label");
    let world = with_policy(&spec);
    let labelled = json!({"metadata": {"name": "demo", "labels": {"env": "prod"}}});
    world.tell(Topic::Namespaces, &[labelled]);
    assert_eq!(world.ids(&ask).await, ["policy/replicas"]);
    world.serve("/api/v1/namespaces/demo", json!({"metadata": {"name": "demo"}}));
    assert_eq!(world.ids(&ask).await, [""; 0], "the label was taken away");
    world.serve("/api/v1/namespaces/demo", json!({"metadata": {"name": "demo", "labels": {"env": "prod"}}}));
    world.serve(POLICIES, json!({"items": []}));
    assert_eq!(world.ids(&create(&horizontal("ask-2", 7))).await, [""; 0], "the policy is gone");
}

#[tokio::test]
async fn a_policy_that_is_not_understood_refuses_nothing_and_is_told() {
    let world = with_policy(&json!({"replicas": {"max": 5}, "newer": true}));
    assert_eq!(world.ids(&create(&horizontal("ask", 7))).await, ["policy/unreadable?"]);
    assert_eq!(world.ids(&update(KUBEDB, "/spec/replicas", json!(7))).await, [""; 0]);
}

#[tokio::test]
async fn a_policy_may_refuse_direct_edits_but_not_what_an_operation_wished() {
    let world = with_policy(&json!({"directEdits": "deny"}));
    let edit = update("ann", "/spec/replicas", json!(7));
    assert_eq!(world.ids(&edit).await, ["policy/direct-edits"]);
    // One that has just ended, and that no watch has told of.
    let mut ended = horizontal("ask", 7);
    ended["status"] = json!({"phase": "Successful"});
    world.serve(OPERATIONS, json!({"items": [ended]}));
    assert_eq!(world.ids(&edit).await, [""; 0]);
}

#[rstest]
#[case::in_the_namespace(json!({"operations": {"perNamespace": 1}}))]
#[case::in_the_cluster(json!({"operations": {"perCluster": 1}}))]
#[tokio::test]
async fn one_that_was_let_in_takes_a_place_at_once_and_a_dry_run_none(#[case] spec: Value) {
    let world = with_policy(&spec);
    let ask = |name: &str, database: &str| {
        let mut ask = horizontal(name, 5);
        ask["spec"]["databaseRef"]["name"] = json!(database);
        create(&ask)
    };
    let mut other = database();
    other["metadata"]["name"] = json!("other");
    world.tell(Topic::Engine("mongodb", dbscale_trim::shapes::Role::Database), &[database(), other.clone()]);
    world.serve(&format!("{DATABASES}/other"), other);
    let mut dry = ask("dry", "db");
    dry["request"]["dryRun"] = json!(true);
    assert_eq!(world.ids(&dry).await, [""; 0]);
    assert_eq!(world.ids(&ask("first", "db")).await, [""; 0]);
    assert_eq!(world.ids(&ask("second", "other")).await, ["policy/operations"]);
    assert_eq!(world.ids(&ask("first", "db")).await, [""; 0], "the same once more takes no second place");
    let restart = create(&request("restart", "Restart", json!({})));
    assert_eq!(world.ids(&restart).await, [""; 0], "it does not scale");
}

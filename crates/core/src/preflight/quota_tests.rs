use rstest::rstest;
use serde_json::{Value, json};

use super::super::testing::{Scene, ids, pod, read};
use super::CHECK;
use crate::facts::ClaimFact;
use crate::finding::Finding;
use crate::rules::testing::claim;

fn told(found: &[Finding]) -> Option<&str> {
    found.iter().find(|f| f.rule == CHECK.rule.id).map(|f| f.message.as_str())
}

#[rstest]
#[case::room("memory", "9Gi", "6Gi", "3Gi", None)]
#[case::none_for_the_second(
    "requests.memory",
    "7Gi",
    "6Gi",
    "3Gi",
    Some(
        "quota team-a has no room: requests.memory would come to 8Gi of 7Gi (6Gi are used now; pod my-db-1 takes 3Gi in place of 2Gi)"
    )
)]
#[case::of_limits(
    "limits.memory",
    "8Gi",
    "6Gi",
    "3Gi",
    Some("limits.memory would come to 9Gi of 8Gi (6Gi are used now; pod my-db-0 takes 3Gi in place of 2Gi)")
)]
#[case::of_another_thing("requests.cpu", "6", "6", "3Gi", None)]
#[case::smaller_pods_of_a_full_quota("memory", "6Gi", "6Gi", "1Gi", None)]
#[case::a_quota_that_was_made_smaller(
    "memory",
    "4Gi",
    "6Gi",
    "1Gi",
    Some("memory would come to 5Gi of 4Gi (6Gi are used now; pod my-db-2 takes 1Gi in place of 2Gi)")
)]
#[case::a_count_that_lags_behind("memory", "1Gi", "0", "3Gi", Some("memory would come to 3Gi of 1Gi (0 are used now"))]
#[case::as_many_pods_as_before("pods", "3", "3", "3Gi", None)]
fn a_rolling_restart(
    #[case] name: &str,
    #[case] hard: &str,
    #[case] used: &str,
    #[case] memory: &str,
    #[case] said: Option<&str>,
) {
    let mut scene = Scene::new();
    scene.quota(&json!({name: hard}), &json!({name: used}));
    let found = scene.memory(memory);
    match said {
        None => assert_eq!(told(&found), None),
        Some(said) => assert!(told(&found).is_some_and(|told| told.contains(said)), "{found:?}"),
    }
    assert_eq!(found.iter().any(Finding::refuses), said.is_some());
}

#[rstest]
#[case::pods(json!({"pods": 4}), json!({"pods": 3}), Some("pods would come to 5 of 4 (3 are used now; pod my-db-4 takes 1)"))]
#[case::objects(json!({"count/pods": 5}), json!({"count/pods": 3}), None)]
#[case::claims(json!({"persistentvolumeclaims": 4}), json!({"persistentvolumeclaims": 3}),
    Some("persistentvolumeclaims would come to 5 of 4"))]
#[case::volumes(json!({"requests.storage": "90Gi"}), json!({"requests.storage": "60Gi"}),
    Some("requests.storage would come to 100Gi of 90Gi (60Gi are used now; a new volume of replicaSet takes 20Gi)"))]
#[case::of_the_class(json!({"fast.storageclass.storage.k8s.io/requests.storage": "90Gi"}),
    json!({"fast.storageclass.storage.k8s.io/requests.storage": "60Gi"}), Some("would come to 100Gi of 90Gi"))]
#[case::of_another_class(json!({"slow.storageclass.storage.k8s.io/requests.storage": "0"}),
    json!({"slow.storageclass.storage.k8s.io/requests.storage": "0"}), None)]
fn two_more_members(#[case] hard: Value, #[case] used: Value, #[case] said: Option<&str>) {
    let mut scene = Scene::new();
    scene.facts.claims = vec![ClaimFact { class: Some("fast".to_owned()), ..claim("replicaSet", "20Gi") }];
    scene.quota(&hard, &used);
    let found = scene.replicas(5);
    assert_eq!(told(&found).is_some(), said.is_some(), "{found:?}");
    assert!(said.is_none_or(|said| told(&found).unwrap().contains(said)), "{found:?}");
}

#[test]
fn a_volume_that_a_member_left_behind_is_taken_again() {
    let mut scene = Scene::new();
    scene.facts.claims = vec![claim("replicaSet", "20Gi")];
    scene.quota(&json!({"persistentvolumeclaims": 4}), &json!({"persistentvolumeclaims": 4}));
    assert!(told(&scene.replicas(4)).unwrap().contains("persistentvolumeclaims would come to 5 of 4"));
    let left = json!({"metadata": {"name": "datadir-my-db-3", "namespace": "demo"}});
    scene.around.claims = Some(vec![read(left)]);
    assert_eq!(told(&scene.replicas(4)), None);
    assert!(told(&scene.replicas(5)).is_some(), "the one after it left none");
}

#[test]
fn a_quota_of_a_class_of_volumes_counts_no_others() {
    let mut scene = Scene::new();
    scene.facts.claims = vec![claim("replicaSet", "20Gi")];
    let gold = json!([{"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["gold"]}]);
    let quota = json!({"metadata": {"name": "q", "namespace": "demo"},
        "spec": {"hard": {"requests.storage": "10Gi"}, "scopeSelector": {"matchExpressions": gold}},
        "status": {"used": {"requests.storage": "0"}}});
    scene.around.quotas = Some(vec![read(quota)]);
    assert_eq!((told(&scene.replicas(4)), told(&scene.storage("50Gi"))), (None, None));
}

#[rstest]
#[case::of_none("", "In", false)]
#[case::of_this("gold", "In", true)]
#[case::of_another("silver", "In", false)]
#[case::on_its_way_from_one_to_the_other("silver,gold", "In", true)]
#[case::of_any("silver", "Exists", true)]
fn volumes_of_a_class_of_attributes_grow(#[case] classes: &str, #[case] operator: &str, #[case] counts: bool) {
    let mut scene = Scene::new();
    let attributes = classes.split(',').filter(|class| !class.is_empty()).map(str::to_owned).collect();
    scene.facts.claims = vec![ClaimFact { attributes, ..claim("replicaSet", "20Gi") }];
    let values = if operator == "In" { json!(["gold"]) } else { json!([]) };
    let gold = json!([{"scopeName": "VolumeAttributesClass", "operator": operator, "values": values}]);
    let quota = json!({"metadata": {"name": "q", "namespace": "demo"},
        "spec": {"hard": {"requests.storage": "40Gi"}, "scopeSelector": {"matchExpressions": gold}},
        "status": {"used": {"requests.storage": "20Gi"}}});
    scene.around.quotas = Some(vec![read(quota)]);
    assert_eq!(ids(&scene.storage("50Gi")).contains(&CHECK.rule.id.0), counts);
}

#[test]
fn volumes_that_grow_take_the_difference() {
    let mut scene = Scene::new();
    scene.facts.claims =
        vec![claim("replicaSet", "20Gi"), ClaimFact { name: "b".to_owned(), ..claim("replicaSet", "20Gi") }];
    scene.quota(&json!({"requests.storage": "99Gi"}), &json!({"requests.storage": "40Gi"}));
    assert_eq!(
        told(&scene.storage("50Gi")).unwrap(),
        "quota team-a has no room: requests.storage would come to 100Gi of 99Gi (40Gi are used now; claim b takes 50Gi in place of 20Gi)"
    );
}

#[rstest]
#[case::not_terminating(json!(["NotTerminating"]), json!([]), true)]
#[case::terminating(json!(["Terminating"]), json!([]), false)]
#[case::best_effort(json!(["BestEffort"]), json!([]), false)]
#[case::a_priority(json!([]), json!([{"scopeName": "PriorityClass", "operator": "In", "values": ["gold"]}]), true)]
#[case::another_priority(json!([]), json!([{"scopeName": "PriorityClass", "operator": "NotIn", "values": ["gold"]}]), false)]
#[case::one_that_nobody_knows(json!(["Future"]), json!([]), false)]
fn of_scopes(#[case] scopes: Value, #[case] selector: Value, #[case] counts: bool) {
    let mut scene = Scene::new();
    let mut pods: Vec<Value> = (0..3).map(pod).collect();
    for pod in &mut pods {
        pod["spec"]["priorityClassName"] = json!("gold");
    }
    scene.pods(&pods);
    let quota = json!({"metadata": {"name": "q", "namespace": "demo"}, "spec": {"hard": {"memory": "6Gi"}, "scopes": scopes,
        "scopeSelector": {"matchExpressions": selector}}, "status": {"used": {"memory": "6Gi"}}});
    scene.around.quotas = Some(vec![read(quota)]);
    assert_eq!(ids(&scene.memory("3Gi")).contains(&CHECK.rule.id.0), counts);
}

#[test]
fn a_quota_without_status_is_computed_from_the_pods() {
    let mut scene = Scene::new();
    scene.quota(&json!({"memory": "8Gi"}), &json!({}));
    assert_eq!(told(&scene.memory("3Gi")), None, "nobody can tell without the claims");
    scene.around.claims = Some(Vec::new());
    assert!(told(&scene.memory("3Gi")).unwrap().contains("memory would come to 9Gi of 8Gi (6Gi are used now"));
    assert_eq!(told(&scene.memory("2500Mi")), None);
}

#[test]
fn a_resize_in_place_takes_only_what_is_more() {
    let mut scene = Scene::new();
    scene.quota(&json!({"memory": "4Gi"}), &json!({"memory": "6Gi"}));
    assert_eq!(told(&scene.memory_in_place("1Gi")), None, "less is always let in");
    assert!(told(&scene.memory_in_place("3Gi")).is_some());
}

#[test]
fn a_container_that_does_not_say_what_the_quota_asks_for() {
    let mut scene = Scene::new();
    let mut pods: Vec<Value> = (0..3).map(pod).collect();
    for pod in &mut pods {
        pod["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "sidecar"}));
    }
    scene.pods(&pods);
    scene.quota(&json!({"limits.cpu": "99"}), &json!({"limits.cpu": "6"}));
    let found = scene.replicas(5);
    let mut with_default = scene;
    with_default.limits(&json!({"type": "Container", "default": {"cpu": "1"}}));
    assert_eq!(told(&with_default.replicas(5)), None, "what a limit range gives counts");
    assert_eq!(
        told(&found).unwrap(),
        "quota team-a asks every container for limits.cpu, and container sidecar of pod my-db-3 has none"
    );
}

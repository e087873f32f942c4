//! Several databases of one command: what they take together.

use rstest::rstest;
use serde_json::{Value, json};

use super::testing::{Scene, pod};
use super::{Mode, Taken};
use crate::finding::Finding;
use crate::plan::{Intent, Stamp, Step, plan};
use crate::rules::testing::{claim, facts, replica_set};

/// The replica set under another name, whose members share the nodes with the first one.
fn named(name: &str) -> (Value, Vec<Value>) {
    let renamed = |value: &Value| serde_json::from_str(&value.to_string().replace("my-db", name)).unwrap();
    (renamed(&replica_set()), (0..3).map(|n| renamed(&pod(n))).collect())
}

/// What the checks say of each of `names`, which all wish for the same; those of `refused` are refused for another reason.
fn together(scene: &mut Scene, names: &[&str], intent: &Intent, refused: &[&str]) -> Vec<Vec<Finding>> {
    let all: Vec<(Value, Vec<Value>)> = names.iter().map(|name| named(name)).collect();
    scene.around.pods.get_or_insert_default().clear();
    for (_, pods) in &all {
        scene.more_pods(pods);
    }
    let mut taken = Taken::default();
    let stamp = Stamp { unix_seconds: 1, request_id: String::new(), requested_by: None, name: None };
    let mut found = Vec::new();
    for (name, (object, _)) in names.iter().zip(&all) {
        let mut facts = facts(object);
        facts.claims = scene.facts.claims.clone();
        let plan = plan(&facts, intent, &stamp).unwrap();
        let changes: Vec<_> = plan.steps.iter().map(Step::change).collect();
        let refused = refused.contains(name);
        found.push(taken.judge(&facts, object, &changes, &scene.around, &scene.choice, refused));
    }
    found
}

fn memory(memory: &str) -> Intent {
    Intent { memory: memory.parse().ok(), ..Intent::default() }
}

fn messages(found: &[Vec<Finding>]) -> Vec<Vec<&str>> {
    found.iter().map(|of_one| of_one.iter().map(|finding| finding.message.as_str()).collect()).collect()
}

#[test]
fn a_quota_is_looked_at_with_their_sum() {
    let mut scene = Scene::new();
    // Each alone would come to 21Gi.
    scene.quota(&json!({"memory": "22Gi"}), &json!({"memory": "18Gi"}));
    let found = together(&mut scene, &["a", "b", "c"], &memory("3Gi"), &[]);
    let told = "quota team-a has no room: memory would come to 23Gi of 22Gi (18Gi are used now; the database before it in this \
                command takes 3Gi more; pod b-1 takes 3Gi in place of 2Gi)";
    assert!(found[0].is_empty(), "{found:?}");
    assert_eq!(messages(&found)[1], [told]);
    assert!(
        messages(&found)[2][0].contains("the database before it in this command takes 3Gi more; pod c-1"),
        "{found:?}"
    );
}

#[rstest]
#[case::refused_by_the_quota(Mode::Auto, &[], "4Gi", "the database before it in this command takes 6Gi more")]
#[case::only_warned(Mode::Warn, &[], "4Gi", "the 2 databases before it in this command take 12Gi more")]
#[case::one_is_refused_for_another_reason(Mode::Warn, &["a"], "4Gi", "the database before it in this command takes 6Gi more")]
fn only_what_is_let_in_counts(#[case] mode: Mode, #[case] refused: &[&str], #[case] size: &str, #[case] said: &str) {
    let mut scene = Scene::new();
    scene.choice.mode = mode;
    scene.quota(&json!({"memory": "25Gi"}), &json!({"memory": "18Gi"}));
    let found = together(&mut scene, &["a", "b", "c"], &memory(size), refused);
    assert!(messages(&found)[2][0].contains(said), "{found:?}");
}

#[test]
fn databases_of_other_namespaces_take_nothing_of_a_quota() {
    let mut scene = Scene::new();
    scene.quota(&json!({"memory": "3Gi"}), &json!({"memory": "0"}));
    let mut quota = scene.around.quotas.take().unwrap();
    quota[0].metadata.namespace = "elsewhere".to_owned();
    scene.around.quotas = Some(quota);
    assert!(together(&mut scene, &["a", "b"], &memory("3Gi"), &[]).iter().all(Vec::is_empty));
}

#[test]
fn volumes_that_grow_are_summed_up_too() {
    let mut scene = Scene::new();
    scene.facts.claims = vec![claim("replicaSet", "20Gi")];
    scene.quota(&json!({"requests.storage": "100Gi"}), &json!({"requests.storage": "40Gi"}));
    let intent = Intent { storage: "60Gi".parse().ok(), ..Intent::default() };
    let found = together(&mut scene, &["a", "b"], &intent, &[]);
    assert!(found[0].is_empty(), "{found:?}");
    assert!(
        messages(&found)[1][0].contains("would come to 120Gi of 100Gi (40Gi are used now; the database before it"),
        "{found:?}"
    );
}

#[test]
fn pods_find_the_nodes_as_the_databases_before_them_leave_them() {
    let mut scene = Scene::new();
    let found = together(&mut scene, &["a", "b"], &memory("6Gi"), &[]);
    assert!(found[0].is_empty(), "each may have the 6Gi that the other leaves: {found:?}");
    let told = &messages(&found)[1][0];
    assert!(told.contains(
        "pod b-2 of replicaSet with cpu 2, memory 6Gi fits on no node: of 3 nodes, 3 have too little memory"
    ));
    assert!(told.ends_with("; what the database before it in this command takes is counted"), "{told}");
}

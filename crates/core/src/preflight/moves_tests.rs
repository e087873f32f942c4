use rstest::rstest;
use serde_json::{Value, json};

use super::super::testing::{pod, read};
use super::*;
use crate::plan::{Intent, Stamp, Step, plan};
use crate::rules::testing::{facts, replica_set, sharded};

/// What becomes of the pods, a word each: `+my-db-3`, `-my-db-2`, `~my-db-1`, `=my-db-0` in place.
fn moves(object: &Value, pods: Vec<Value>, intent: &Intent) -> Vec<String> {
    let facts = facts(object);
    let stamp = Stamp { unix_seconds: 1, request_id: String::new(), requested_by: None, name: None };
    let plan = plan(&facts, intent, &stamp).unwrap();
    let changes: Vec<_> = plan.steps.iter().map(Step::change).collect();
    let pods: Vec<Pod> = pods.into_iter().map(read).collect();
    let moved = moved(facts.database.here().unwrap(), object, &changes, &pods);
    let word = |one: &Move| match one {
        Move::Comes { after } => format!("+{}", after.metadata.name),
        Move::Leaves { before } => format!("-{}", before.metadata.name),
        Move::Restarts { after, .. } => format!("~{}", after.metadata.name),
        Move::Resizes { after, .. } => format!("={}", after.metadata.name),
    };
    moved.iter().flat_map(|m| m.moves.iter().map(word)).collect()
}

#[rstest]
#[case::more(Intent { replicas: Some(5), ..Intent::default() }, &["+my-db-3", "+my-db-4"])]
#[case::less(Intent { replicas: Some(1), ..Intent::default() }, &["-my-db-2", "-my-db-1"])]
#[case::another_size(Intent { cpu: Some("4".parse().unwrap()), ..Intent::default() }, &["~my-db-2", "~my-db-1", "~my-db-0"])]
#[case::in_place(Intent { cpu: Some("4".parse().unwrap()), vertical_mode: Some("InPlace".to_owned()), ..Intent::default() },
    &["=my-db-2", "=my-db-1", "=my-db-0"])]
#[case::both(Intent { replicas: Some(4), cpu: Some("4".parse().unwrap()), ..Intent::default() },
    &["+my-db-3", "~my-db-3", "~my-db-2", "~my-db-1", "~my-db-0"])]
#[case::volumes(Intent { storage: Some("50Gi".parse().unwrap()), ..Intent::default() }, &[])]
fn of_a_replica_set(#[case] intent: Intent, #[case] wanted: &[&str]) {
    assert_eq!(moves(&replica_set(), (0..3).map(pod).collect(), &intent), wanted);
}

#[test]
fn without_a_pod_nobody_knows_what_one_looks_like() {
    let intent = Intent { replicas: Some(5), ..Intent::default() };
    assert!(moves(&replica_set(), Vec::new(), &intent).is_empty());
    let mut foreign = pod(0);
    foreign["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("another");
    assert!(moves(&replica_set(), vec![foreign], &intent).is_empty());
}

#[rstest]
#[case::members(Intent { replicas: Some(2), ..Intent::default() }, &["-my-db-shard0-2", "-my-db-shard1-2"])]
#[case::shards(Intent { shards: Some(3), ..Intent::default() }, &["+my-db-shard2-0", "+my-db-shard2-1", "+my-db-shard2-2"])]
#[case::a_shard_less(Intent { shards: Some(1), ..Intent::default() }, &["-my-db-shard1-2", "-my-db-shard1-1", "-my-db-shard1-0"])]
fn of_shards(#[case] intent: Intent, #[case] wanted: &[&str]) {
    let of_shard = |shard: usize, n: usize| {
        let mut pod = pod(n);
        pod["metadata"]["name"] = json!(format!("my-db-shard{shard}-{n}"));
        pod["metadata"]["ownerReferences"][0]["name"] = json!(format!("my-db-shard{shard}"));
        pod
    };
    let pods = (0..2).flat_map(|shard| (0..3).map(move |n| of_shard(shard, n))).collect();
    let intent = Intent { component: Some("shard".to_owned()), ..intent };
    assert_eq!(moves(&sharded(), pods, &intent), wanted);
}

#[test]
fn a_new_member_has_its_own_name_and_claims() {
    let object = replica_set();
    let facts = facts(&object);
    let stamp = Stamp { unix_seconds: 1, request_id: String::new(), requested_by: None, name: None };
    let plan = plan(&facts, &Intent { replicas: Some(4), ..Intent::default() }, &stamp).unwrap();
    let mut like = pod(0);
    like["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = json!("my-db-0");
    let shared = json!({"persistentVolumeClaim": {"claimName": "backups"}});
    like["spec"]["volumes"].as_array_mut().unwrap().push(shared);
    let pods: Vec<Pod> = vec![read(like)];
    let moved = moved(facts.database.here().unwrap(), &object, &[plan.steps[0].change()], &pods);
    let last = moved[0].moves.last().and_then(Move::after).unwrap();
    let label = |key: &str| last.metadata.labels[key].as_str();
    assert_eq!(last.metadata.name, "my-db-3");
    assert_eq!([label("statefulset.kubernetes.io/pod-name"), label("apps.kubernetes.io/pod-index")], ["my-db-3", "3"]);
    assert_eq!(last.claims().collect::<Vec<_>>(), ["datadir-my-db-3", "backups"]);
    assert_eq!(last.spec.node_name, "");
}

use rstest::rstest;
use serde_json::{Value, json};

use super::super::moves::Move;
use super::super::testing::read;
use super::super::walk::troubles;
use super::*;

/// Nodes a1, a2 in zone a, and b1 in zone b.
fn around(pods: &[Value]) -> Around {
    let node = |name: &str| {
        json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": &name[..1]}},
            "status": {"allocatable": {"cpu": "8", "memory": "8Gi", "pods": "9"}}})
    };
    Around {
        nodes: Some(["a1", "a2", "b1"].into_iter().map(|name| read(node(name))).collect()),
        pods: Some(pods.iter().cloned().map(read).collect()),
        reach: Reach::Cluster,
        ..Around::default()
    }
}

fn pod(name: &str, node: &str, spec: &Value) -> Value {
    let mut pod = json!({"metadata": {"name": name, "namespace": "demo", "labels": {"app": "db"}},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"memory": "1Gi"}}}]}});
    for (key, value) in spec.as_object().unwrap() {
        pod["spec"][key] = value.clone();
    }
    pod["spec"]["nodeName"] = json!(node);
    pod
}

/// The nodes that take the pods, one after the other, and why the last finds none.
fn placed(around: &Around, pods: usize, spec: &Value) -> (usize, Vec<Why>) {
    let mut floor = Floor::of(around).unwrap();
    for n in 0..pods {
        if let Err(misfit) = floor.place(&read(pod(&format!("new-{n}"), "", spec))) {
            return (n, misfit.whys.into_iter().map(|(why, _)| why).collect());
        }
    }
    (pods, Vec::new())
}

fn term(key: &str) -> Value {
    json!({"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": key})
}

fn anti(key: &str) -> Value {
    json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term(key)]}}})
}

#[rstest]
#[case::one_a_node(anti("kubernetes.io/hostname"), 3)]
#[case::one_a_zone(anti("zone"), 2)]
#[case::a_label_that_no_node_has(anti("rack"), 9)]
#[case::evenly(json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "db"}}}], "nodeSelector": {"zone": "a"}, "tolerations": []}), 9)]
#[case::only_if_it_can_be(json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "ScheduleAnyway",
    "labelSelector": {}}]}), 9)]
#[case::by_a_label_that_no_node_has(json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {}}]}), 0)]
#[case::too_few_places(json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
    "minDomains": 3, "labelSelector": {"matchLabels": {"app": "db"}}}]}), 2)]
#[case::the_first_of_friends(json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term("kubernetes.io/hostname")]}}}), 8)]
#[case::friends_that_are_not_there(json!({"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "zone"}]}}}), 0)]
#[case::a_port_of_the_node(json!({"containers": [{"name": "c", "ports": [{"hostPort": 80}]}]}), 3)]
#[case::by_name(json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b1"]}]}]}}}}), 8)]
fn how_many_of_nine_fit(#[case] spec: Value, #[case] fit: usize) {
    assert_eq!(placed(&around(&[]), 9, &spec).0, fit);
}

#[test]
fn where_the_first_of_friends_decides_every_place_must_do() {
    // Zone a has room for two of them, zone b for one.
    let spec = json!({"containers": [{"name": "c", "resources": {"requests": {"memory": "5Gi"}}}],
        "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term("zone")]}}});
    let around = around(&[]);
    let come = |n: usize| Move::Comes { after: Box::new(read(pod(&format!("new-{n}"), "", &spec))) };
    let (first, second) = (come(0), come(1));
    assert!(troubles(&mut Floor::of(&around).unwrap(), &[&first]).is_empty());
    let found = troubles(&mut Floor::of(&around).unwrap(), &[&first, &second]);
    assert_eq!(found.iter().map(|trouble| trouble.index).collect::<Vec<_>>(), [1]);
}

#[test]
fn one_that_is_there_keeps_others_away() {
    let around = around(&[pod("old", "a1", &anti("zone"))]);
    let (fit, whys) = placed(&around, 1, &json!({"nodeSelector": {"zone": "a"}}));
    assert_eq!(fit, 0);
    assert_eq!(whys, [Why::Apart("zone".to_owned()), Why::Apart("zone".to_owned()), Why::NotSelected]);
}

#[test]
fn a_skew_counts_only_nodes_that_the_pod_selects() {
    let spread = json!({"nodeSelector": {"zone": "a"}, "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"app": "db"}}}]});
    assert_eq!(placed(&around(&[]), 5, &spread).0, 5, "b1 stays empty, and is not counted");
    let mut all = spread;
    all["topologySpreadConstraints"][0]["nodeAffinityPolicy"] = json!("Ignore");
    assert_eq!(placed(&around(&[]), 5, &all).0, 2, "b1 stays empty, and is counted");
}

#[test]
fn pods_that_have_ended_take_nothing() {
    let mut ended = pod("old", "a1", &json!({}));
    ended["status"] = json!({"phase": "Succeeded"});
    let around = around(&[ended]);
    let mut floor = Floor::of(&around).unwrap();
    assert_eq!(floor.remove(&read(pod("old", "a1", &json!({})))), None);
}

#[test]
fn what_is_not_known_is_not_judged() {
    assert!(Floor::of(&Around { reach: Reach::OwnNodes, ..around(&[]) }).is_none());
    assert!(Floor::of(&Around { nodes: None, ..around(&[]) }).is_none());
}

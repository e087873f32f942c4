use rstest::rstest;
use serde_json::{Value, json};

use super::super::testing::{Scene, node, other};
use super::super::{Autoscaler, Choice, Mode};
use super::CHECK;
use crate::finding::Finding;

fn told(found: &[Finding]) -> Vec<&str> {
    found.iter().filter(|f| f.rule == CHECK.rule.id).map(|f| f.message.as_str()).collect()
}

#[rstest]
#[case::room("4Gi", None)]
#[case::the_room_of_the_pod_that_leaves("8Gi", None)]
#[case::larger_than_any_node(
    "9Gi",
    Some(
        "pod my-db-2 of replicaSet with cpu 2, memory 9Gi is larger than any node: none that it may be on has more memory than 8Gi, so waiting does not help"
    )
)]
fn a_restart(#[case] memory: &str, #[case] said: Option<&str>) {
    let found = Scene::new().memory(memory);
    assert_eq!(told(&found), said.into_iter().collect::<Vec<_>>());
    assert!(!found.iter().any(Finding::refuses));
}

#[test]
fn others_take_the_room() {
    let mut scene = Scene::new();
    scene.more_pods(&[other("a", "n0", "5Gi"), other("b", "n1", "5Gi"), other("c", "n2", "4Gi")]);
    assert_eq!(
        told(&scene.memory("5Gi")),
        [
            "pod my-db-2 of replicaSet with cpu 2, memory 5Gi fits on no node: of 3 nodes, 3 have too little memory (at most 4Gi of 8Gi free, on n2)"
        ]
    );
    assert_eq!(told(&scene.memory("4Gi")).len(), 1, "the second has nowhere to go: the first has taken n2");
    assert!(told(&scene.memory("3Gi")).is_empty());
}

#[test]
fn each_reason_is_told_with_the_number_of_nodes() {
    let mut scene = Scene::new();
    let mut nodes = vec![node("n0"), node("n1"), node("n2"), node("n3")];
    nodes[1]["spec"]["taints"] = json!([{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]);
    nodes[2]["spec"]["unschedulable"] = json!(true);
    nodes[3]["status"]["allocatable"]["pods"] = json!("0");
    scene.nodes(&nodes);
    scene.more_pods(&[other("a", "n0", "5Gi")]);
    assert_eq!(
        told(&scene.replicas(4)),
        [
            "pod my-db-3 of replicaSet with cpu 2, memory 2Gi fits on no node: of 4 nodes, 1 has too little memory (at most 1Gi of 8Gi free, on n0), \
          1 has the taint gpu=yes:NoSchedule, 1 is cordoned, 1 has all of 0 pods"
        ]
    );
}

#[rstest]
#[case::on_its_node("8Gi", &[])]
#[case::beside_another("7Gi", &["pod my-db-2 cannot be resized where it is: node n2 has too little memory (at most 6Gi of 8Gi free, on n2), and it is to have cpu 2, memory 7Gi; KubeDB then restarts it"])]
fn in_place(#[case] memory: &str, #[case] said: &[&str]) {
    let mut scene = Scene::new();
    if !said.is_empty() {
        scene.nodes(&[node("n0"), node("n1"), node("n2"), node("n3")]);
        scene.more_pods(&[other("a", "n2", "2Gi")]);
    }
    assert_eq!(told(&scene.memory_in_place(memory)), said);
}

#[rstest]
#[case::enforced(Mode::Enforce, Autoscaler::None, &[], true)]
#[case::automatic(Mode::Auto, Autoscaler::None, &[], false)]
#[case::forced(Mode::Enforce, Autoscaler::None, &["node-fit"], false)]
#[case::another_forced(Mode::Enforce, Autoscaler::None, &["quota"], true)]
#[case::nodes_may_come(Mode::Enforce, Autoscaler::Seen("Karpenter (NodePool general)".to_owned()), &[], false)]
#[case::nobody_may_see_whether_they_come(Mode::Enforce, Autoscaler::Hidden, &[], false)]
fn how_grave_it_is(#[case] mode: Mode, #[case] autoscaler: Autoscaler, #[case] forced: &[&str], #[case] refuses: bool) {
    let mut scene = Scene::new();
    let said = match &autoscaler {
        Autoscaler::None => "so waiting does not help",
        Autoscaler::Seen(_) => "; Karpenter (NodePool general) may add a node that has",
        Autoscaler::Hidden => "; whether something adds nodes here is not known",
    };
    scene.around.autoscaler = autoscaler;
    scene.choice = Choice { mode, forced: forced.iter().map(|f| (*f).to_owned()).collect() };
    let found = scene.memory("9Gi");
    assert_eq!(told(&found).len(), 1);
    assert_eq!(found.iter().any(Finding::refuses), refuses);
    assert!(told(&found)[0].ends_with(said), "{found:?}");
}

#[test]
fn switched_off_nothing_is_said() {
    let mut scene = Scene::new();
    scene.choice.mode = Mode::Off;
    assert!(scene.memory("9Gi").is_empty());
}

#[test]
fn volumes_keep_their_pods_where_they_are() {
    let mut scene = Scene::new();
    let claim = |n: usize| json!({"metadata": {"name": format!("datadir-my-db-{n}"), "namespace": "demo"}, "spec": {"volumeName": format!("pv-{n}")}});
    let volume = |n: usize| -> Value {
        let term = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": [format!("n{n}")]}]});
        json!({"metadata": {"name": format!("pv-{n}")}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}})
    };
    scene.nodes(&[node("n0"), node("n1"), node("n2"), node("n3")]);
    scene.more_pods(&[other("a", "n2", "5Gi")]);
    assert!(told(&scene.memory("4Gi")).is_empty(), "it may go to n3");
    scene.around.claims = Some((0..3).map(|n| super::super::testing::read(claim(n))).collect());
    scene.around.volumes = Some((0..3).map(|n| super::super::testing::read(volume(n))).collect());
    let found = scene.memory("4Gi");
    assert!(told(&found)[0].contains("of 4 nodes, 3 cannot reach its volume, 1 has too little memory"), "{found:?}");
}

#[test]
fn a_member_that_comes_back_goes_where_its_old_volume_is() {
    let mut scene = Scene::new();
    let mut far = node("n3");
    far["metadata"]["labels"]["zone"] = json!("b");
    far["spec"]["unschedulable"] = json!(true);
    scene.nodes(&[node("n0"), node("n1"), node("n2"), far]);
    let claim = json!({"metadata": {"name": "datadir-my-db-3", "namespace": "demo"}, "spec": {"volumeName": "pv-3"}});
    let term = json!({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]});
    let volume =
        json!({"metadata": {"name": "pv-3"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}});
    scene.around.volumes = Some(vec![super::super::testing::read(volume)]);
    assert!(told(&scene.replicas(4)).is_empty(), "without one it may go to any node");
    scene.around.claims = Some(vec![super::super::testing::read(claim)]);
    assert!(told(&scene.replicas(4))[0].contains("of 4 nodes, 3 cannot reach its volume, 1 is cordoned"));
    assert_eq!(told(&scene.replicas(5)).len(), 1, "the one after it left none");
}

#[test]
fn an_offline_expansion_restarts_every_pod() {
    let mut scene = Scene::new();
    let mut nodes = vec![node("n0"), node("n1"), node("n2")];
    for node in &mut nodes {
        node["spec"]["unschedulable"] = json!(true);
    }
    scene.nodes(&nodes);
    assert_eq!(told(&scene.offline("50Gi")).len(), 1);
    assert!(told(&scene.storage("50Gi")).is_empty());
}

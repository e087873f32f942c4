use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rstest::rstest;
use serde_json::{Value, json};

use super::super::testing::read;
use super::super::walk::troubles;
use super::super::{Around, Reach};
use super::*;

/// A node of 8Gi in a zone that its first letter names.
fn node(name: &str, more: &Value) -> Value {
    let mut node = json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": &name[..1]}},
        "status": {"allocatable": {"memory": "8Gi", "pods": "5"}}});
    node["spec"] = more.clone();
    node
}

fn pod(name: &str, app: &str, node: &str, memory: u32, more: &Value) -> Value {
    let mut pod = json!({"metadata": {"name": name, "namespace": "demo", "labels": {"app": app}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": {"memory": format!("{memory}Gi")}}}]}});
    for (key, value) in more.as_object().into_iter().flatten() {
        pod["spec"][key] = value.clone();
    }
    pod
}

fn near(nodes: &[Value], pods: &[Value]) -> Around {
    Around {
        nodes: Some(nodes.iter().cloned().map(read).collect()),
        pods: Some(pods.iter().cloned().map(read).collect()),
        reach: Reach::OwnNodes,
        ..Around::default()
    }
}

fn restarts(name: &str, node: &str, memory: [u32; 2], more: &Value) -> Move {
    let of = |memory| Box::new(read(pod(name, "db", node, memory, more)));
    Move::Restarts { before: of(memory[0]), after: of(memory[1]) }
}

fn anti(app: &str, key: &str) -> Value {
    json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        [{"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}]}}})
}

/// Two members with 1Gi, each on a node, that restart one after the other.
#[rstest]
#[case::both_fit_on_either_node(4, json!({}), json!({}), json!({}), true)]
#[case::both_fit_only_apart(5, json!({}), json!({}), json!({}), false)]
#[case::beside_a_pod_that_takes_little(3, json!({}), json!({}), pod("o", "other", "a1", 2, &json!({})), true)]
#[case::beside_a_pod_that_takes_much(4, json!({}), json!({}), pod("o", "other", "a1", 2, &json!({})), false)]
#[case::a_pod_that_must_be_alone(1, json!({}), json!({}), pod("o", "other", "a1", 1, &anti("db", "zone")), false)]
#[case::a_cordoned_node(1, json!({"unschedulable": true}), json!({}), json!({}), false)]
#[case::a_taint(1, json!({"taints": [{"key": "k", "effect": "NoSchedule"}]}), json!({}), json!({}), false)]
#[case::they_must_be_apart(1, json!({}), anti("db", "kubernetes.io/hostname"), json!({}), false)]
#[case::not_selected(1, json!({}), json!({"nodeSelector": {"zone": "c"}}), json!({}), false)]
#[case::spread(1, json!({}), json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]}),
    json!({}), false)]
#[case::spread_if_it_can_be(1, json!({}), json!({"topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]}),
    json!({}), true)]
#[case::a_port_of_the_node(1, json!({}), json!({"containers": [{"name": "c", "ports": [{"hostPort": 80}]}]}), json!({}), false)]
fn two_members(
    #[case] memory: u32,
    #[case] of_node: Value,
    #[case] of_pods: Value,
    #[case] other: Value,
    #[case] wanted: bool,
) {
    let nodes = [node("a1", &of_node), node("b1", &json!({}))];
    let mut pods = vec![pod("db-0", "db", "a1", 1, &of_pods), pod("db-1", "db", "b1", 1, &of_pods)];
    pods.extend(Some(other).filter(|other| other.get("spec").is_some()));
    let moves = [restarts("db-1", "b1", [1, memory], &of_pods), restarts("db-0", "a1", [1, memory], &of_pods)];
    assert_eq!(stay(&moves.iter().collect::<Vec<_>>(), &near(&nodes, &pods)), wanted);
}

#[test]
fn members_that_come_and_go() {
    let around = near(&[node("a1", &json!({}))], &[pod("db-0", "db", "a1", 2, &json!({}))]);
    let comes = |n: u32| Move::Comes { after: Box::new(read(pod(&format!("db-{n}"), "db", "", 2, &json!({})))) };
    let come = |number: u32| stay(&(1..=number).map(comes).collect::<Vec<_>>().iter().collect::<Vec<_>>(), &around);
    assert_eq!((come(3), come(4)), (true, false), "four of 2Gi beside one of 2Gi");
    let leaves = Move::Leaves { before: Box::new(read(pod("db-0", "db", "a1", 2, &json!({})))) };
    assert!(stay(&[&leaves], &around));
    assert!(!stay(&[&leaves], &Around { reach: Reach::Cluster, ..around }), "that is judged by other means");
}

/// A cluster as a scheduler may have left it, and what becomes of the database in it.
#[derive(Debug)]
struct World {
    nodes: Vec<Value>,
    pods: Vec<Value>,
    moves: Vec<Move>,
}

fn world() -> impl Strategy<Value = World> {
    let other = (0..5usize, 0..4u32, 0..4usize);
    let member = (0..5usize, 1..3u32, 0..5u32);
    (2..6usize, prop::collection::vec(other, 0..8), prop::collection::vec(member, 1..4), 0..3u32).prop_map(
        |(nodes, others, members, more)| {
            let name = |n: usize| ["a1", "a2", "b1", "b2", "c1"][n % nodes];
            let mut pods = Vec::new();
            let mut moves = Vec::new();
            for (n, (at, before, after)) in members.iter().enumerate() {
                pods.push(pod(&format!("db-{n}"), "db", name(*at), *before, &json!({})));
                if *after > 0 {
                    moves.push(restarts(&format!("db-{n}"), name(*at), [*before, *after], &json!({})));
                }
            }
            for n in 0..more {
                moves.push(Move::Comes { after: Box::new(read(pod(&format!("new-{n}"), "db", "", 1, &json!({})))) });
            }
            for (n, (at, memory, apart)) in others.iter().enumerate() {
                let place = name(*at);
                let lonely = |same: &dyn Fn(&str) -> bool| !members.iter().any(|(at, ..)| same(name(*at)));
                let apart = match apart {
                    1 if lonely(&|member| member == place) => anti("db", "kubernetes.io/hostname"),
                    2 if lonely(&|member| member[..1] == place[..1]) => anti("db", "zone"),
                    _ => json!({}),
                };
                pods.push(pod(&format!("other-{n}"), "other", place, *memory, &apart));
            }
            let nodes = (0..nodes).map(|n| node(name(n), &json!({}))).collect();
            World { nodes, pods, moves }
        },
    )
}

/// What surely fits by the own nodes alone fits, too, where the whole cluster is looked at.
#[test]
fn what_stays_is_placed() {
    let (mut runner, mut sure) = (TestRunner::default(), 0);
    for _ in 0..1000 {
        let world = world().new_tree(&mut runner).unwrap().current();
        let of = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let at = |pod: &Value| of(pod, "/spec/nodeName");
        let own: Vec<_> = world.pods.iter().filter(|p| p["metadata"]["labels"]["app"] == "db").map(at).collect();
        let nodes: Vec<Value> =
            world.nodes.iter().filter(|n| own.contains(&of(n, "/metadata/name"))).cloned().collect();
        let pods: Vec<Value> = world.pods.iter().filter(|p| own.contains(&at(p))).cloned().collect();
        let moves: Vec<&Move> = world.moves.iter().collect();
        if !moves.is_empty() && stay(&moves, &near(&nodes, &pods)) {
            let all = Around { reach: Reach::Cluster, ..near(&world.nodes, &world.pods) };
            let found = troubles(&mut Floor::of(&all).unwrap(), &moves);
            assert!(found.is_empty(), "{found:?} in {world:#?}");
            sure += 1;
        }
    }
    assert!(sure > 100, "{sure} of 1000: worlds that are never sure show nothing");
}

//! `manifests/overlays/namespaced`: the controller of a team that has no rights to the cluster.

use std::path::Path;

use dbscale_testbed::audit;
use dbscale_testbed::controller::{free_address, spawn};
use dbscale_testbed::shipped::{self, TEAM, account_of};
use serde_json::{Value, json};

use super::{Plane, bare, program, request};

/// Another team's.
const OTHERS: &str = "other-team";
/// Who installs it: the built-in role admin in the namespace, and there what KubeDB's own roles give to whoever has it.
const LEAD: &str = "lead";

fn overlay(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/overlays").join(path).display().to_string()
}

/// A thing of the tests, in another namespace.
fn within(namespace: &str, mut object: Value) -> Value {
    object["metadata"]["namespace"] = json!(namespace);
    object
}

/// What a team has without dbscale.
async fn teams(plane: &Plane) {
    let rules = json!([{"apiGroups": ["kubedb.com", "ops.kubedb.com"], "resources": ["*"], "verbs": ["*"]}]);
    let group = "rbac.authorization.k8s.io";
    let binding = |role: &str| {
        json!({"apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": {"name": role, "namespace": TEAM},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": LEAD}]})
    };
    let namespace = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    };
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "kubedb"}, "rules": rules});
    plane.create(vec![namespace(TEAM), namespace(OTHERS), role, binding("admin"), binding("kubedb")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_installs_a_controller_of_its_own_which_asks_for_nothing_of_others() {
    let plane = Plane::without_dbscale(true).await;
    teams(&plane).await;
    let apply = ["apply", "--server-side", "--validate=strict", "-k"];
    plane.kubectl(&[&apply[..], &[&overlay("namespaced/admin")]].concat()).await;
    // The built-in role takes a moment to have what was given to it.
    let can = ["auth", "can-i", "patch", "scalingrecords.dbscale.dev", "-n", TEAM, "--as", LEAD];
    plane.until_says(&can, "yes").await;
    let all = plane.kubectl(&[&apply[..], &[&overlay("namespaced"), "--as", LEAD, "-o", "name"]].concat()).await;
    let cluster_wide = ["clusterrole", "customresourcedefinition", "webhook", "policies", "namespace/"];
    assert!(all.contains("deployment.apps/dbscale-controller"), "{all}");
    assert!(cluster_wide.iter().all(|kind| !all.contains(kind)), "{all}");

    let control_plane = &plane.playground.plane;
    let kubeconfig = account_of(control_plane, TEAM, "dbscale-controller").await.unwrap();
    let mut arguments = shipped::arguments(control_plane, TEAM, "dbscale-controller").await.unwrap();
    assert!(arguments.contains(&format!("--namespace={TEAM}")), "{arguments:?}");
    // The port is the test's own; all else is as it is shipped.
    arguments.retain(|argument| !argument.starts_with("--metrics-address="));
    let address = free_address().unwrap();
    let controller = spawn(&program(), &kubeconfig, address, &arguments, &plane.log_file()).unwrap();

    // One that fails goes back where a controller looks after it, and one that does well is remembered.
    for namespace in [OTHERS, TEAM] {
        let (fails, well) = (request(0, 0, 1), request(1, 1, 1));
        plane.create([bare("db-0"), bare("db-1"), fails, well].map(|object| within(namespace, object)).into()).await;
    }
    let of = |namespace: &'static str| format!("--namespace={namespace}");
    for (name, outcome) in [("mongodb-db-0", "Failed"), ("mongodb-db-1", "Successful")] {
        let outcomes = "jsonpath={.status.history[-1:].outcome}";
        plane
            .until_says(&["get", &of(TEAM), "--ignore-not-found", "scalingrecord", name, "-o", outcomes], outcome)
            .await;
    }
    let count = "go-template={{len .items}}";
    plane.until_says(&["get", &of(TEAM), "mongodbopsrequests", "-o", count], "3").await;
    let phases = "jsonpath={.items[*].status.phase}";
    plane.until_says(&["get", &of(OTHERS), "mongodbopsrequests", "-o", phases], "Failed Successful").await;
    assert_eq!(plane.kubectl(&["get", &of(OTHERS), "scalingrecords", "-o", count]).await, "0");

    let asked = audit::read(&control_plane.audit_log()).unwrap();
    let own = format!("{TEAM}/dbscale-controller");
    assert!(asked.iter().all(|a| a.account == own), "{asked:?}");
    assert!(asked.iter().any(|a| a.verb == "watch" && a.resource == "mongodbs"), "{asked:?}");
    let refused = audit::refused(&asked);
    assert!(refused.is_empty(), "{refused:?}");
    // Beside the team's own, only what the server is asked of itself: which kinds there are.
    let elsewhere: Vec<_> =
        asked.iter().filter(|a| !a.resource.is_empty() && !a.uri.contains(&format!("/namespaces/{TEAM}/"))).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");

    // Whoever has no right to look for a controller of the cluster is told of the team's own.
    let doctor = plane.dbscale(&["doctor", &of(TEAM), "--as", LEAD]).await;
    assert!(doctor.contains("Controller   ok") && doctor.contains("is at work"), "{doctor}");
    drop(controller);
}

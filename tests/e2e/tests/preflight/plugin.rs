//! As a person meets the checks.

use std::collections::BTreeSet;

use dbscale_core::preflight::object::Pod;
use dbscale_core::preflight::{Needs, Reach};
use dbscale_e2e::{World, databases};
use serde_json::{Value, json};

/// A database `db` of three members with 200m and 256Mi, Ready.
fn world(name: &str) -> World {
    let world = World::new(name);
    world.create(&databases::mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    world
}

/// A quota that leaves no room for 512Mi a member, once it has counted.
fn with_quota(name: &str) -> World {
    let world = world(name);
    world.create(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team-a"},
        "spec": {"hard": {"limits.memory": "1Gi"}}}));
    world.until_counted("team-a", "limits.memory", "768Mi");
    world
}

#[test]
fn a_quota_without_room_refuses_before_anything_is_sent() {
    let world = with_quota("pre-quota");
    let refused = world.dbscale(&["vertical", "mg/db", "--memory", "512Mi"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (4, ""), "{}", refused.stderr);
    let told = "uota team-a has no room: limits.memory would come to 1280Mi of 1Gi (768Mi are used now; pod db-1 takes 512Mi \
                in place of 256Mi)";
    assert!(refused.stderr.contains("preflight/quota") && refused.stderr.contains(told), "{}", refused.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 0);

    let planned = world.dbscale(&["plan", "mg/db", "--memory", "512Mi"]);
    assert_eq!(planned.code, 4, "{}", planned.stderr);

    for flags in [["--force", "quota"], ["--preflight", "warn"], ["--force", "preflight/quota"]] {
        let forced = world.dbscale(
            &[&["vertical", "mg/db", "--memory", "512Mi", "--dry-run=server", "-o", "json"], &flags[..]].concat(),
        );
        assert_eq!(forced.code, 0, "{}", forced.stderr);
        assert!(forced.stderr.contains("warning: [preflight/quota] quota team-a has no room"), "{}", forced.stderr);
        let answer: Value = serde_json::from_str(&forced.stdout).unwrap();
        assert_eq!(answer["ops_type"], "VerticalScaling");
    }
    let silent = world.dbscale(&["vertical", "mg/db", "--memory", "512Mi", "--dry-run=server", "--preflight", "off"]);
    assert_eq!(silent.code, 0, "{}", silent.stderr);
    assert!(!silent.stderr.contains("preflight"), "{}", silent.stderr);
    let wrong = world.dbscale(&["vertical", "mg/db", "--memory", "512Mi", "--force", "qota"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("the checks are quota, limit-range, class, expansion"), "{}", wrong.stderr);
}

#[test]
fn databases_of_one_command_are_looked_at_with_their_sum() {
    let world = world("pre-sum");
    let mut other = databases::mongodb();
    other["metadata"]["name"] = json!("other");
    world.create(&other);
    world.until("mongodb/other", ".status.phase", "Ready");
    world.create(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team-a"},
        "spec": {"hard": {"requests.storage": "160Gi"}}}));
    world.until_counted("team-a", "requests.storage", "120Gi");
    for name in ["mg/db", "mg/other"] {
        let alone = world.dbscale(&["storage", name, "--to", "30Gi", "--dry-run=server"]);
        assert_eq!(alone.code, 0, "{name} has room: {}", alone.stderr);
    }
    let both = world.dbscale(&["storage", "mg/db", "mg/other", "--to", "30Gi", "--dry-run=server", "-o", "json"]);
    assert_eq!(both.code, 4, "{}", both.stderr);
    let answer = both.json();
    let found: Vec<(&Value, bool)> =
        answer["results"].as_array().unwrap().iter().map(|one| (&one["name"], one["error"].is_null())).collect();
    assert!(found.contains(&(&json!("db"), true)) && found.contains(&(&json!("other"), false)), "{answer:#}");
    let told = "requests.storage would come to 170Gi of 160Gi (120Gi are used now; the database before it in this command \
                takes 30Gi more; claim datadir-other-1 takes 30Gi in place of 20Gi)";
    assert!(answer.to_string().contains(told), "{answer:#}");
}

#[test]
fn what_is_sent_once_more_is_checked_too() {
    let world = world("pre-again");
    for (name, memory) in [("more", "320Mi"), ("less", "192Mi")] {
        let done = world.dbscale(&["vertical", "mg/db", "--memory", memory, "--name", name, "--wait"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    world.create(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team-a"},
        "spec": {"hard": {"limits.memory": "800Mi"}}}));
    world.until_counted("team-a", "limits.memory", "576Mi");
    let commands: [&[&str]; 3] = [&["rollback", "mg/db"], &["rollback", "mg/db", "--plan"], &["retry", "mgops/more"]];
    for command in commands {
        let refused = world.dbscale(command);
        assert_eq!(refused.code, 4, "{command:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("uota team-a has no room: limits.memory would come to 832Mi of 800Mi"),
            "{}",
            refused.stderr
        );
        let forced = world.dbscale(&[command, &["--dry-run=server", "--force", "quota"]].concat());
        assert_eq!(forced.code, 0, "{command:?}: {}", forced.stderr);
        let silent = world.dbscale(&[command, &["--dry-run=server", "--preflight", "off"]].concat());
        assert_eq!(silent.code, 0, "{command:?}: {}", silent.stderr);
        assert!(!format!("{}{}", silent.stderr, silent.stdout).contains("preflight/"), "{}", silent.stderr);
    }
    assert_eq!(world.count("mongodbopsrequests"), 2, "nothing was sent");
}

#[test]
fn a_pod_larger_than_any_node_is_told_in_a_plan_and_refused_where_that_is_asked() {
    let world = world("pre-fit");
    let plan = world.dbscale(&["plan", "mg/db", "--memory", "100Gi", "-o", "json"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let found = plan["findings"].as_array().unwrap().iter().find(|f| f["rule"] == "preflight/node-fit").unwrap();
    assert_eq!(found["severity"], "warn");
    let told = "pod db-2 of replicaSet with cpu 200m, memory 100Gi is larger than any node: none that it may be on has more \
                memory than 64Gi, so waiting does not help";
    assert_eq!(found["message"], told);
    let refused = world.dbscale(&["vertical", "mg/db", "--memory", "100Gi", "--preflight", "enforce"]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains(&told[1..]), "{}", refused.stderr);
    assert_eq!(world.count("mongodbopsrequests"), 0);
}

#[tokio::test]
async fn only_the_nodes_of_a_database_are_looked_at() {
    let world = world("pre-near");
    let path = "jsonpath={.items[*].spec.nodeName}";
    let answer = world.must(&["get", "pods", "-n", &world.namespace, "-o", path]);
    let own: BTreeSet<&str> = answer.split_whitespace().collect();
    let named = ["db".to_owned()];
    let (around, lacking) = super::cluster().await.around(Some(&world.namespace), &named, Needs::restart()).await;
    assert_eq!((around.reach, lacking.sentence()), (Reach::OwnNodes, None));
    let nodes: BTreeSet<&str> = around.nodes.iter().flatten().map(|node| node.metadata.name.as_str()).collect();
    assert_eq!(nodes, own);
    let pods: Vec<&Pod> = around.pods.iter().flatten().collect();
    assert!(pods.iter().all(|pod| own.contains(pod.spec.node_name.as_str())));
    let mine: BTreeSet<&str> = pods
        .iter()
        .filter(|pod| pod.metadata.namespace == world.namespace)
        .map(|pod| pod.metadata.name.as_str())
        .collect();
    assert_eq!(mine, BTreeSet::from(["db-0", "db-1", "db-2"]));
    assert_eq!(around.volumes.map(|volumes| volumes.len()), Some(3), "those of its claims");
}

#[test]
fn a_class_that_cannot_grow_is_a_check_too() {
    let world = World::unjudged("pre-class");
    let mut database = databases::mongodb();
    database["spec"]["storage"]["storageClassName"] = json!("rigid");
    world.create(&database);
    world.until("mongodb/db", ".status.phase", "Ready");
    let refused = world.dbscale(&["storage", "mg/db", "--to", "30Gi", "--dry-run=server"]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    let forced = world.dbscale(&["storage", "mg/db", "--to", "30Gi", "--dry-run=client", "--force", "class"]);
    assert_eq!(forced.code, 0, "{}", forced.stderr);
    assert!(forced.stderr.contains("warning: [storage-class/not-expandable]"), "{}", forced.stderr);
}

#[test]
fn what_may_not_be_read_is_left_out_with_one_warning_and_refuses_nothing() {
    let world = with_quota("pre-rights");
    let namespace = world.namespace.as_str();
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "scaler"}, "rules": [
        {"apiGroups": ["kubedb.com"], "resources": ["*"], "verbs": ["get", "list"]},
        {"apiGroups": ["ops.kubedb.com"], "resources": ["*"], "verbs": ["get", "list", "create"]}]});
    world.create(&role);
    let user = format!("scaler-{namespace}");
    world.must(&["create", "rolebinding", "scaler", "-n", namespace, "--role=scaler", &format!("--user={user}")]);
    let asked = world.dbscale(&["vertical", "mg/db", "--memory", "512Mi", "--dry-run=client", "--as", &user]);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    let left_out: Vec<&str> =
        asked.stderr.lines().filter(|line| line.contains("pre-checks that were left out")).collect();
    assert_eq!(left_out.len(), 1, "{}", asked.stderr);
    for right in [
        "node-fit (you may not list nodes; you may not list pods in all namespaces)".to_owned(),
        format!("quota (you may not list resourcequotas in namespace {namespace})"),
        format!("disruption-budget (you may not list poddisruptionbudgets in namespace {namespace})"),
    ] {
        assert!(left_out[0].contains(&right), "{right}: {}", left_out[0]);
    }
}

#[test]
fn describe_tells_whether_its_pods_would_come_back() {
    let world = world("pre-describe");
    let page = world.dbscale(&["describe", "mg/db"]);
    assert_eq!(page.code, 0, "{}", page.stderr);
    assert!(page.stdout.contains("A restart now\n  none\n"), "{}", page.stdout);
    world.create(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team-a"},
        "spec": {"hard": {"limits.memory": "512Mi"}}}));
    world.until_counted("team-a", "limits.memory", "768Mi");
    let described = world.dbscale(&["describe", "mg/db", "-o", "json"]);
    assert_eq!(described.code, 0, "{}", described.stderr);
    let described: Value = serde_json::from_str(&described.stdout).unwrap();
    assert_eq!(described["restart"][0]["rule"], "preflight/quota");
    assert_eq!(described["restart"][0]["severity"], "warn");
}

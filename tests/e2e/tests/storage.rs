//! Storage that grows by a direct patch: what stands in its way, what it takes along, and the way back.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use dbscale_e2e::{World, databases};
use serde_json::json;

const SIZE: &str = ".spec.storage.resources.requests.storage";

/// A role of this namespace for a user called as the namespace.
fn grant(world: &World, rules: &[(&str, &str)]) {
    for (index, (verbs, resources)) in rules.iter().enumerate() {
        let (name, namespace) = (format!("r{index}"), &world.namespace);
        let (verbs, resources) = (format!("--verb={verbs}"), format!("--resource={resources}"));
        world.must(&["create", "role", &name, "-n", namespace, &verbs, &resources]);
        let (role, user) = (format!("--role={name}"), format!("--user={namespace}"));
        world.must(&["create", "rolebinding", &name, "-n", namespace, &role, &user]);
    }
}

#[test]
fn without_rights_on_claims_nothing_is_written() {
    let world = World::new("rights");
    world.create(&databases::mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    let all = "mongodbs.kubedb.com,mongodbopsrequests.ops.kubedb.com,petsets.apps.k8s.appscode.com";
    grant(&world, &[("get,list,patch,create", all)]);
    let ask = |says: &str| {
        let refused = world.dbscale(&["storage", "mg/db", "--to", "50Gi", "--as", &world.namespace]);
        assert_eq!((refused.code, refused.stdout.as_str()), (4, ""), "{}", refused.stderr);
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
        assert_eq!(world.value("mongodb/db", SIZE), "20Gi");
    };
    ask("you may not list persistentvolumeclaims");
    let see = ["create", "role", "see", "-n", &world.namespace, "--verb=list,get", "--resource=persistentvolumeclaims"];
    world.must(&see);
    let user = format!("--user={}", world.namespace);
    world.must(&["create", "rolebinding", "see", "-n", &world.namespace, "--role=see", &user]);
    ask("you may not patch persistentvolumeclaims in namespace");
}

#[test]
fn a_class_that_does_not_expand_is_refused_before_anything_is_written() {
    let world = World::new("rigid");
    let mut object = databases::mongodb();
    object["spec"]["storage"]["storageClassName"] = json!("rigid");
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    let refused = world.dbscale(&["storage", "mg/db", "--to", "50Gi"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (4, ""), "{}", refused.stderr);
    assert!(refused.stderr.contains("storage-class/not-expandable"), "{}", refused.stderr);
    assert_eq!(world.value("mongodb/db", SIZE), "20Gi");
}

#[test]
fn members_that_come_with_the_same_command_get_the_new_size_too() {
    let world = World::new("late");
    world.create(&databases::mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    let done = world.dbscale(&["set", "mg/db", "--storage", "50Gi", "--replicas", "5", "--wait", "-o", "json"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.json()["warnings"].to_string().contains("storage/template-drift"), "{}", done.stdout);
    assert_eq!(done.json()["ops_requests"][0]["claims"].as_array().map(Vec::len), Some(5), "{}", done.stdout);
    for member in 0..5 {
        assert_eq!(world.value(&format!("pvc/datadir-db-{member}"), ".status.capacity.storage"), "50Gi");
    }
}

#[test]
fn an_expansion_goes_back_only_once_it_has_failed_and_only_to_what_the_volumes_have() {
    let world = World::new("back");
    let mut object = databases::mongodb();
    object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/no-resize": "true"});
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    let done = world.dbscale(&["storage", "mg/db", "--to", "50Gi"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let ask = |size: &str| world.dbscale(&["storage", "mg/db", "--to", size]);
    let early = ask("20Gi");
    assert_eq!(early.code, 3, "{}", early.stderr);
    assert!(early.stderr.contains("datadir-db-0 is still growing"), "{}", early.stderr);

    let failed = r#"{"status": {"conditions": [
        {"type": "ControllerResizeError", "status": "True", "message": "no space left"}]}}"#;
    for member in 0..3 {
        let claim = format!("pvc/datadir-db-{member}");
        world.must(&["patch", "-n", &world.namespace, &claim, "--subresource=status", "--type=merge", "-p", failed]);
    }
    let elsewhere = ask("30Gi");
    assert_eq!(elsewhere.code, 3, "{}", elsewhere.stderr);
    assert!(elsewhere.stderr.contains("go back to 20Gi"), "{}", elsewhere.stderr);

    let mark = || world.value("mongodb/db", ".metadata.annotations.dbscale\\.dev/revert-to");
    let step = |size: &str, marked: &str, claims: &str| {
        let done = ask(size);
        assert_eq!(done.code, 0, "{size}: {}", done.stderr);
        assert_eq!((world.value("mongodb/db", SIZE).as_str(), mark().as_str()), (size, marked));
        assert_eq!(world.value("pvc/datadir-db-0", ".spec.resources.requests.storage"), claims);
    };
    step("20Gi", "20Gi", "50Gi");
    // Once more, through the policies, which let the mark open the way down only where it changes.
    step("60Gi", "", "60Gi");
    step("20Gi", "20Gi", "60Gi");
}

#[test]
fn an_engine_with_stateful_sets_goes_back_as_well() {
    let world = World::new("back-hz");
    let mut object = databases::database(
        "Hazelcast",
        &json!({"version": "5.5.2", "replicas": 2, "storageType": "Durable",
        "storage": databases::storage("20Gi"), "podTemplate": databases::pods("hazelcast")}),
    );
    object["apiVersion"] = json!("kubedb.com/v1alpha2");
    object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/no-resize": "true"});
    world.create(&object);
    world.until("hazelcast/db", ".status.phase", "Ready");
    let ask = |size: &str| {
        let done = world.dbscale(&["storage", "hz/db", "--to", size]);
        assert_eq!(done.code, 0, "{size}: {}", done.stderr);
        assert_eq!(world.value("hazelcast/db", SIZE), size);
    };
    ask("50Gi");
    let claims = world.must(&["get", "-n", &world.namespace, "pvc", "-o", "name"]);
    assert_eq!(claims.lines().count(), 2, "{claims}");
    let failed = r#"{"status": {"conditions": [{"type": "ControllerResizeError", "status": "True"}]}}"#;
    for claim in claims.lines() {
        world.must(&["patch", "-n", &world.namespace, claim, "--subresource=status", "--type=merge", "-p", failed]);
    }
    ask("20Gi");
}

#[test]
fn a_claim_that_cannot_be_grown_is_told_with_those_that_were() {
    let world = World::new("partly");
    world.create(&databases::mongodb());
    world.until("mongodb/db", ".status.phase", "Ready");
    // Room for one of three: each claim grows by 30Gi.
    world.create(&json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "room"},
        "spec": {"hard": {"requests.storage": "95Gi"}}}));
    world.until_counted("room", "requests.storage", "60Gi");
    let foreseen = world.dbscale(&["set", "mg/db", "--storage", "50Gi", "--replicas", "5"]);
    assert_eq!((foreseen.code, world.value("mongodb/db", SIZE).as_str()), (4, "20Gi"), "{}", foreseen.stderr);
    let failed = world.dbscale(&["set", "mg/db", "--storage", "50Gi", "--replicas", "5", "--force", "quota"]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    for words in [
        "claim datadir-db-1 could not be grown",
        "exceeded quota",
        "not grown: datadir-db-1, datadir-db-2",
        "done: StoragePatch; not done: HorizontalScaling",
        &format!("kubectl dbscale storage mongodb/db -n {} --component replicaSet --to 50Gi", world.namespace),
    ] {
        assert!(failed.stderr.contains(words), "{words}: {}", failed.stderr);
    }
    assert_eq!(world.value("pvc/datadir-db-0", ".spec.resources.requests.storage"), "50Gi");
    assert_eq!(world.count("mongodbopsrequests"), 0);
}

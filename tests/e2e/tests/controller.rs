//! The controller at work in the playground: what each database's record says, step by step.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

/// A module, so that the suite can choose these tests by the beginning of their names.
mod controller {
    use dbscale_core::catalog::Catalog;
    use dbscale_core::database::Database;
    use dbscale_core::record::Request;
    use dbscale_core::rollback;
    use dbscale_e2e::World;
    use dbscale_e2e::databases;
    use rstest::rstest;
    use serde_json::{Value, json};

    const PHASE: &str = ".status.phase";
    const LAST: &str = ".status.last";

    /// A world with one database that is Ready and has its record.
    fn world(name: &str, object: &Value, annotations: &Value) -> (World, String) {
        let world = World::new(name);
        let mut object = object.clone();
        object["metadata"]["annotations"] = annotations.clone();
        world.create(&object);
        let engine = object["kind"].as_str().unwrap().to_lowercase();
        world.until(&format!("{engine}/db"), ".status.phase", "Ready");
        let record = format!("scalingrecord/{engine}-db");
        world.until(&record, PHASE, "Running");
        (world, record)
    }

    /// Asks for something that must be accepted; answers what was said.
    fn ask(world: &World, arguments: &[&str]) -> Value {
        let done = world.dbscale(&[arguments, &["-o", "json"]].concat());
        assert_eq!(done.code, 0, "{arguments:?}: {}", done.stderr);
        done.json()
    }

    /// The entry of the history for an OpsRequest or a type, as soon as it is there.
    fn past(world: &World, record: &str, field: &str, value: &str) -> Value {
        world.until(record, &format!(".status.history[?(@.{field}==\"{value}\")].outcome"), "Successful");
        let record = world.must(&["get", "-n", &world.namespace, record, "-o", "json"]);
        let record: Value = serde_json::from_str(&record).unwrap();
        let history = record["status"]["history"].as_array().unwrap();
        history.iter().find(|p| p[field] == value).unwrap().clone()
    }

    #[rstest]
    #[case::mongodb(databases::mongodb(), &["mongodb/db"], &["--replicas", "5"], "db-4", "datadir-db-4")]
    #[case::postgres(databases::postgres(), &["postgres/db"], &["--replicas", "5"], "db-4", "data-db-4")]
    #[case::redis_cluster(databases::redis_cluster(), &["redis/db"], &["--shards", "5"], "db-shard4-1", "data-db-shard4-1")]
    fn the_original_scenarios(
        #[case] object: Value,
        #[case] target: &[&str],
        #[case] more: &[&str],
        #[case] pod: &str,
        #[case] claim: &str,
    ) {
        let (world, record) = world("records", &object, &json!({"testbed.dbscale.dev/slow": "2s"}));

        let made = ask(&world, &[&["vertical"], target, &["--memory", "300Mi"]].concat());
        world.until(&record, PHASE, "Updating");
        world.until(&record, LAST, "VerticalScaling Progressing");
        let name = made["ops_request_name"].as_str().unwrap();
        let done = past(&world, &record, "name", name);
        world.until(&record, PHASE, "Running");
        assert_eq!(done["effect"], "Confirmed");
        assert_eq!((&done["changes"][0]["before"], &done["changes"][0]["after"]), (&json!("256Mi"), &json!("300Mi")));
        assert!(done["durationSeconds"].as_i64().is_some_and(|s| s >= 1), "{done}");
        assert_eq!(done["requestedBy"], "admin");

        let made = ask(&world, &[&["horizontal"], target, more].concat());
        world.until(&record, PHASE, "Scaling");
        let done = past(&world, &record, "name", made["ops_request_name"].as_str().unwrap());
        assert_eq!((&done["changes"][0]["after"], &done["effect"]), (&json!("5"), &json!("Confirmed")));
        world.until(&format!("pod/{pod}"), ".status.phase", "Running");

        ask(&world, &[&["storage"], target, &["--to", "50Gi"]].concat());
        let done = past(&world, &record, "type", "StoragePatch");
        assert_eq!((&done["changes"][0]["before"], &done["changes"][0]["after"]), (&json!("20Gi"), &json!("50Gi")));
        world.until(&format!("pvc/{claim}"), ".status.capacity.storage", "50Gi");

        let made = ask(&world, &[&["set"], target, &more[..1], &["6", "--cpu", "300m"]].concat());
        let both = ".status.operations[*].type";
        world.until(&record, both, "HorizontalScaling VerticalScaling");
        for request in made["ops_requests"].as_array().unwrap() {
            past(&world, &record, "name", request["ops_request_name"].as_str().unwrap());
        }
        world.until(&record, PHASE, "Running");
        world.until(&record, both, "");
        let events = world.must(&["get", "events", "-n", &world.namespace, "-o", "jsonpath={.items[*].reason}"]);
        assert_eq!(events.matches("OpsRequestSuccessful").count(), 4, "{events}");
    }

    #[test]
    fn a_failed_operation_is_told_with_its_reason_and_message() {
        let fail = json!({"testbed.dbscale.dev/fail": "no room on any node"});
        let (world, record) = world("record-failed", &databases::postgres(), &fail);
        let made = ask(&world, &["vertical", "pg/db", "--memory", "512Mi"]);
        world.until(&record, PHASE, "Failed");
        let name = made["ops_request_name"].as_str().unwrap();
        let said = format!("VerticalScaling {name} failed: no room on any node");
        world.until(&record, ".status.message", &said);
        world.until(&record, ".status.history[0].outcome", "Failed");
        let warning = "jsonpath={.items[?(@.reason==\"OpsRequestFailed\")].type}";
        assert_eq!(world.must(&["get", "events", "-n", &world.namespace, "-o", warning]), "Warning");
    }

    #[test]
    fn a_success_without_its_effect_is_a_failure_until_it_is_there() {
        let lie = json!({"testbed.dbscale.dev/lie": "true", "testbed.dbscale.dev/no-pods": "true"});
        let (world, record) = world("record-lie", &databases::mongodb(), &lie);
        let made = ask(&world, &["horizontal", "mg/db", "--replicas", "5"]);
        world.until(&record, ".status.reason", "EffectMissing");
        let name = made["ops_request_name"].as_str().unwrap();
        let said = format!("{name} ended Successful, but the object says 3 members of replicaSet, not 5");
        assert_eq!(world.value(&record, ".status.message"), said);

        // Another operation, on other values, neither hides it nor ends it.
        let size = ask(&world, &["vertical", "mg/db", "--memory", "300Mi"]);
        let of = |name: &Value, field: &str| format!(".status.history[?(@.name=={name})].{field}");
        world.until(&record, &of(&size["ops_request_name"], "outcome"), "Successful");
        world.until(&record, ".status.reason", "EffectMissing");
        let (missing, found) = (&made["ops_request_name"], &size["ops_request_name"]);
        world.until(&record, &of(missing, "effect"), "Missing: the object says 3 members of replicaSet, not 5");

        let put = r#"{"spec": {"replicas": 5, "podTemplate": {"spec": {"containers": [{"name": "mongodb",
            "resources": {"requests": {"cpu": "200m", "memory": "300Mi"}, "limits": {"cpu": "200m", "memory": "300Mi"}}}]}}}}"#;
        world.must(&["patch", "-n", &world.namespace, "mongodb/db", "--type=merge", "-p", put]);
        world.until(&record, &of(missing, "effect"), "Confirmed");
        world.until(&record, &of(found, "effect"), "Confirmed");
        world.until(&record, PHASE, "Running");
        let found = "jsonpath={.items[?(@.reason==\"OpsRequestEffectFound\")].type}";
        world.until_output(&["get", "events", "-n", &world.namespace, "-o", found], "Normal");
    }

    #[test]
    fn approval_is_waited_for_and_a_deleted_request_is_told_apart_from_a_skipped_one() {
        let wait = json!({"testbed.dbscale.dev/wait-for-approval": "true", "testbed.dbscale.dev/no-pods": "true"});
        let (world, record) = world("record-approval", &databases::mongodb(), &wait);
        let made = ask(&world, &["horizontal", "mg/db", "--replicas", "5"]);
        world.until(&record, ".status.reason", "WaitingForApproval");
        let name = made["ops_request_name"].as_str().unwrap().to_owned();
        world.must(&["delete", "-n", &world.namespace, "mongodbopsrequest", &name]);
        world.until(&record, LAST, "HorizontalScaling Deleted");
        world.until(&record, PHASE, "Running");
        let mut skipped = request("skipped", 4);
        skipped["metadata"]["annotations"] = json!({"testbed.dbscale.dev/skip": "true"});
        world.create(&skipped);
        world.until(&record, LAST, "HorizontalScaling Skipped");
        world.until(&record, PHASE, "Running");
        let history = |field: &str| world.value(&record, &format!(".status.history[*].{field}"));
        assert_eq!(history("name"), format!("skipped {name}"));
        assert_eq!((history("outcome").as_str(), history("effect").as_str()), ("Skipped Deleted", ""));
        let events = world.must(&["get", "events", "-n", &world.namespace, "-o", "jsonpath={.items[*].reason}"]);
        assert_eq!(
            (events.matches("OpsRequestNotRun").count(), events.matches("Successful").count()),
            (2, 0),
            "{events}"
        );
    }

    fn request(name: &str, replicas: i64) -> Value {
        json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest", "metadata": {"name": name},
            "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "db"}, "horizontalScaling": {"replicas": replicas}}})
    }

    #[test]
    fn three_of_six_stay_and_what_others_look_after_is_never_deleted() {
        let (world, record) =
            world("retention", &databases::mongodb(), &json!({"testbed.dbscale.dev/no-pods": "true"}));
        let mut tracked = request("in-git", 4);
        tracked["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "dbscale"});
        tracked["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": "shop:ops.kubedb.com/x"});
        world.create(&tracked);
        past(&world, &record, "name", "in-git");
        let mut owned = request("of-autoscaler", 5);
        owned["metadata"]["labels"] = json!({"app.kubernetes.io/managed-by": "dbscale"});
        let database_uid = world.must(&["get", "-n", &world.namespace, "mongodb/db", "-o", "jsonpath={.metadata.uid}"]);
        // The real kind is not installed here; the garbage collector must find an owner that lives.
        owned["metadata"]["ownerReferences"] = json!([{"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "name": "db", "uid": database_uid, "controller": true}]);
        world.create(&owned);
        past(&world, &record, "name", "of-autoscaler");
        world.create(&request("of-a-person", 4));
        past(&world, &record, "name", "of-a-person");

        let mut ours = Vec::new();
        for replicas in 5..11 {
            let made = ask(&world, &["horizontal", "mg/db", "--replicas", &replicas.to_string()]);
            let name = made["ops_request_name"].as_str().unwrap().to_owned();
            past(&world, &record, "name", &name);
            ours.push(name);
        }
        let mut stay: Vec<&str> = ours[3..].iter().map(String::as_str).collect();
        stay.extend(["in-git", "of-a-person", "of-autoscaler"]);
        stay.sort_unstable();
        let all = ["get", "-n", &world.namespace, "mongodbopsrequests", "-o", "jsonpath={.items[*].metadata.name}"];
        world.until_output(&all, &stay.join(" "));
        let history = world.value(&record, ".status.history[*].name");
        assert!(ours.iter().all(|name| history.contains(name.as_str())), "{history}");
        assert_eq!(history.split(' ').count(), 9, "{history}");
    }

    #[test]
    fn a_failed_scaling_goes_back_where_that_was_asked_for_and_only_once() {
        let (world, record) = world("rollback", &databases::mongodb(), &json!({}));
        let mut failing = request("grow", 5);
        failing["metadata"]["annotations"] = json!({
            "testbed.dbscale.dev/fail": "no room", "testbed.dbscale.dev/fail-after": "1",
            "dbscale.dev/rollback": "on-failure", "dbscale.dev/before": r#"{"component": "replicaSet", "replicas": 3}"#});
        world.create(&failing);
        world.until(&record, ".status.history[?(@.name==\"grow\")].outcome", "Failed");
        world.until(&record, ".status.history[?(@.name==\"grow\")].rollback.state", "Requested");
        let name = world.value(&record, ".status.history[?(@.name==\"grow\")].rollback.name");
        let done = past(&world, &record, "name", &name);
        assert_eq!(done["changes"][0]["after"], "3");
        let back = world.value(&format!("mongodbopsrequest/{name}"), ".metadata.annotations.dbscale\\.dev/rollback-of");
        assert_eq!(back, "grow");
        world.until(&record, PHASE, "Running");
        assert_eq!(world.count("mongodbopsrequests"), 2);
    }

    #[test]
    fn a_way_back_whose_name_is_taken_is_declined() {
        let (world, record) = world("rollback-taken", &databases::mongodb(), &json!({}));
        let mut other = databases::mongodb();
        other["metadata"] = json!({"name": "other", "annotations": {"testbed.dbscale.dev/no-pods": "true"}});
        world.create(&other);
        let mut failing = request("grow", 5);
        failing["metadata"]["annotations"] = json!({
            "testbed.dbscale.dev/wait-for-approval": "true", "testbed.dbscale.dev/fail": "no room",
            "testbed.dbscale.dev/fail-after": "1", "dbscale.dev/rollback": "on-failure",
            "dbscale.dev/before": r#"{"component": "replicaSet", "replicas": 3}"#});
        world.create(&failing);
        let get = |object: &str| -> Value {
            serde_json::from_str(&world.must(&["get", "-n", &world.namespace, object, "-o", "json"])).unwrap()
        };
        let engine = Catalog::builtin().find("mongodb").unwrap();
        let failing = Request::of(engine, &get("mongodbopsrequest/grow")).unwrap();
        let alone = rollback::Around { requests: &[&failing], noted_before: &[] };
        let name = rollback::decide(&Database::of(engine, &get("mongodb/db")), &failing, alone).name;
        let mut taken = request(&name, 4);
        taken["spec"]["databaseRef"]["name"] = json!("other");
        world.until("mongodb/other", PHASE, "Ready");
        world.create(&taken);
        world.until("mongodbopsrequest/grow", PHASE, "WaitingForApproval");
        let approved = r#"{"status": {"phase": "Approved"}}"#;
        let patch = ["mongodbopsrequest/grow", "--subresource=status", "--type=merge", "-p", approved];
        world.must(&[&["patch", "-n", &world.namespace][..], &patch].concat());
        let of_grow = |field: &str| format!(".status.history[?(@.name==\"grow\")].rollback.{field}");
        world.until(&record, &of_grow("state"), "Declined");
        world.until(&record, &of_grow("message"), &format!("another OpsRequest is called {name}"));
        assert_eq!(world.count("mongodbopsrequests"), 2);
    }

    #[test]
    fn a_claim_that_no_pod_uses_grows_only_when_one_does_again() {
        let (world, record) = world("left-over", &databases::mongodb(), &json!({}));
        let scale = |replicas: &str| {
            let made = ask(&world, &["horizontal", "mg/db", "--replicas", replicas]);
            past(&world, &record, "name", made["ops_request_name"].as_str().unwrap());
        };
        scale("4");
        scale("3");
        ask(&world, &["storage", "mg/db", "--to", "50Gi"]);
        let grown = past(&world, &record, "type", "StoragePatch");
        assert_eq!(grown["changes"][0]["after"], "50Gi");
        world.until(&record, PHASE, "Running");
        let (asked, has) = (".spec.resources.requests.storage", ".status.capacity.storage");
        assert_eq!(world.value("pvc/datadir-db-2", has), "50Gi");
        assert_eq!(world.value("pvc/datadir-db-3", asked), "20Gi");
        scale("4");
        world.until("pvc/datadir-db-3", has, "50Gi");
    }

    #[test]
    fn a_kind_that_goes_and_comes_is_picked_up_again() {
        let world = World::new("record-crd");
        let kinds = ["crd", "ignites.kubedb.com", "igniteopsrequests.ops.kubedb.com"];
        let definitions = world.must(&[&["get"][..], &kinds, &["-o", "json"]].concat());
        world.must(&[&["delete"][..], &kinds].concat());
        let file = world.write("ignite", &definitions);
        world.must(&["create", "-f", &file]);
        world.must(&["wait", "--for=condition=Established", "crd/ignites.kubedb.com", "--timeout=60s"]);
        let mut object = databases::database("Ignite", &json!({"version": "2.17.0", "replicas": 3}));
        object["apiVersion"] = json!("kubedb.com/v1alpha2");
        world.create(&object);
        world.until("scalingrecord/ignite-db", PHASE, "Running");
    }
}

//! The operator's day where the controller keeps records.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

/// A module, so that the suite can choose these tests by the beginning of their names.
mod controller {
    use dbscale_e2e::{World, databases, settled};
    use serde_json::json;

    const RECORD: &str = "scalingrecord/mongodb-db";

    /// A database with its record, whose operations take three seconds.
    fn world(name: &str) -> World {
        let world = World::new(name);
        let mut object = databases::mongodb();
        object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/slow": "3s"});
        world.create(&object);
        world.until("mongodb/db", ".status.phase", "Ready");
        world.until(RECORD, ".status.phase", "Running");
        world
    }

    fn recorded(world: &World, name: &str) {
        world.until(RECORD, &format!(".status.history[?(@.name==\"{name}\")].outcome"), "Successful");
    }

    #[test]
    fn a_record_tells_how_long_it_took_and_outlives_the_request() {
        let world = world("day-history");
        let made = world.dbscale(&["vertical", "mg/db", "--memory", "512Mi", "--name", "first", "--wait"]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        assert!(!made.stderr.contains("usually"), "{}", made.stderr);
        recorded(&world, "first");
        let again = world.dbscale(&["vertical", "mg/db", "--memory", "1Gi", "--name", "second", "--wait"]);
        let usual = again.stderr.lines().find(|line| line.contains("Progressing")).unwrap_or_default();
        assert!(usual.contains("  (usually ") && usual.ends_with("s)"), "{}", again.stderr);
        recorded(&world, "second");

        world.must(&["delete", "-n", &world.namespace, "mongodbopsrequest", "first", "second"]);
        let told = world.dbscale(&["history", "mg/db"]);
        let wanted = "\
AGE  OPERATION  CHANGE  OUTCOME  TOOK
TIME  second  memory 512Mi → 1Gi  Successful  TIME
TIME  first  memory 256Mi → 512Mi  Successful  TIME
";
        assert_eq!((told.code, settled(&told.stdout).as_str(), told.stderr.as_str()), (0, wanted, ""));
        let value = world.dbscale(&["history", "mg/db", "-o", "json"]).json();
        assert_eq!(value["source"], "record");
        assert!(value["history"][0]["durationSeconds"].as_i64().is_some_and(|s| s >= 2), "{value}");
        let page = settled(&world.dbscale(&["describe", "mg/db"]).stdout);
        assert!(page.contains("  Record  Running\n") && page.contains("TIME  first  memory 256Mi → 512Mi  "), "{page}");

        // Its request is gone, and the record still knows the values from before.
        let back = world.dbscale(&["rollback", "mg/db", "--to", "first", "--name", "back"]);
        assert_eq!(
            (back.code, back.stdout.as_str()),
            (0, "mongodbopsrequest.ops.kubedb.com/back created\n"),
            "{}",
            back.stderr
        );
        let memory = ".spec.verticalScaling.replicaSet.resources.limits.memory";
        assert_eq!(world.value("mongodbopsrequest/back", memory), "256Mi");
        recorded(&world, "back");
        world.until(RECORD, ".status.history[?(@.name==\"first\")].rollback.name", "back");
        let history = world.dbscale(&["history", "mg/db"]).stdout;
        assert!(history.contains("\n  it goes back from first\n"), "{history}");
        assert!(history.contains("\n  back goes back from it\n"), "{history}");
    }

    #[test]
    fn the_status_says_what_no_operation_does() {
        let world = World::new("day-remark");
        let mut object = databases::mongodb();
        object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/lie": "true"});
        world.create(&object);
        world.until("mongodb/db", ".status.phase", "Ready");
        world.until(RECORD, ".status.phase", "Running");
        let made = world.dbscale(&["vertical", "mg/db", "--memory", "512Mi", "--name", "ask", "--wait"]);
        assert_eq!(made.code, 0, "{}", made.stderr);
        world.until(RECORD, ".status.reason", "EffectMissing");
        let told = world.dbscale(&["status", "mg/db"]).stdout;
        let last = told.lines().last().unwrap_or_default();
        assert!(last.starts_with("  EffectMissing  ask ended Successful, but "), "{told}");
        let value = world.dbscale(&["status", "mg/db", "-o", "json"]).json();
        assert_eq!(value["record"]["reason"], "EffectMissing");
    }

    #[test]
    fn what_was_asked_for_by_hand_can_be_taken_back() {
        let world = world("day-by-hand");
        world.create(&json!({"apiVersion": "ops.kubedb.com/v1alpha1", "kind": "MongoDBOpsRequest",
            "metadata": {"name": "of-hand", "namespace": world.namespace},
            "spec": {"type": "HorizontalScaling", "databaseRef": {"name": "db"}, "horizontalScaling": {"replicas": 5}}}));
        recorded(&world, "of-hand");
        let back = world.dbscale(&["rollback", "mg/db", "--wait", "-o", "json"]);
        assert_eq!(back.code, 0, "{}", back.stderr);
        assert_eq!(back.json()["replicas"], 3);
    }

    #[test]
    fn the_doctor_and_the_version_see_it() {
        let world = world("day-doctor");
        let told = settled(&world.dbscale(&["doctor", "mg/db"]).stdout);
        let line = told.lines().find(|line| line.starts_with("Controller")).unwrap();
        assert!(line.starts_with("Controller  ok  ") && line.ends_with(" is at work"), "{line}");
        let version = world.dbscale(&["version", "-o", "json"]).json();
        assert_eq!(version["controller"], json!({"version": env!("CARGO_PKG_VERSION")}));
    }
}

//! Plans for one database each: the steps, the objects, and what is refused.

use rstest::rstest;
use serde_json::{Value, json};

use super::{BEFORE, Intent, Plan, PlanError, REQUEST_ID, REVERT_TO, Stamp, Step, StorageVia, plan};
use crate::catalog::Catalog;
use crate::database::Database;
use crate::facts::{ClaimFact, Facts};
use crate::status::{Operation, Phase};

fn storage(size: &str) -> Value {
    json!({"resources": {"requests": {"storage": size}}})
}

fn replica_set() -> Value {
    let resources = json!({"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "2Gi", "example.com/gpu": "1"}});
    json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "my-db", "namespace": "demo"},
        "spec": {"replicaSet": {"name": "rs0"}, "replicas": 3, "storage": storage("20Gi"),
            "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources}]}}}})
}

fn sharded() -> Value {
    json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB", "metadata": {"name": "my-db", "namespace": "demo"},
    "spec": {"shardTopology": {
        "shard": {"shards": 2, "replicas": 3, "storage": storage("20Gi")},
        "configServer": {"replicas": 3, "storage": storage("5Gi")},
        "mongos": {"replicas": 2},
    }}})
}

fn facts(object: &Value) -> Facts {
    let engine = Catalog::builtin().of_kind(object["kind"].as_str().unwrap()).unwrap();
    Facts { database: Database::of(engine, object).into(), ..Facts::default() }
}

fn planned(facts: &Facts, intent: &Intent) -> Result<Plan, PlanError> {
    let stamp = Stamp {
        unix_seconds: 1_763_937_600,
        request_id: "id".to_owned(),
        requested_by: Some("ann".to_owned()),
        name: None,
    };
    plan(facts, intent, &stamp)
}

fn requests(plan: &Plan) -> Vec<&Value> {
    let objects = plan.steps.iter().filter_map(|step| match step {
        Step::Request(request) => Some(&request.object),
        Step::Patch(_) => None,
    });
    objects.collect()
}

#[test]
fn storage_goes_first_then_members_then_size() {
    let intent =
        Intent { replicas: Some(5), memory: "4Gi".parse().ok(), storage: "50Gi".parse().ok(), ..Intent::default() };
    let plan = planned(&facts(&replica_set()), &intent).unwrap();
    assert!(matches!(plan.steps[0], Step::Patch(_)));
    let types: Vec<&Value> = requests(&plan).into_iter().map(|o| &o["spec"]["type"]).collect();
    assert_eq!(types, ["HorizontalScaling", "VerticalScaling"]);
    let names: Vec<&Value> = requests(&plan).into_iter().map(|o| &o["metadata"]["name"]).collect();
    assert_eq!(names, ["my-db-scale-1763937601", "my-db-scale-1763937602"]);
    assert!(!plan.is_refused(), "{:?}", plan.findings);
}

#[test]
fn a_vertical_request_keeps_what_was_not_given() {
    let plan = planned(&facts(&replica_set()), &Intent { memory: "4Gi".parse().ok(), ..Intent::default() }).unwrap();
    let object = requests(&plan)[0];
    assert_eq!(
        object["spec"]["verticalScaling"]["replicaSet"]["resources"],
        json!({"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "4Gi", "example.com/gpu": "1"}})
    );
    let annotations = &object["metadata"]["annotations"];
    assert_eq!(annotations[REQUEST_ID], "id-1");
    assert_eq!(annotations["dbscale.dev/requested-by"], "ann");
    let before: Value = serde_json::from_str(annotations[BEFORE].as_str().unwrap()).unwrap();
    assert_eq!(before["component"], "replicaSet");
    assert_eq!(object["metadata"]["labels"], json!({"app.kubernetes.io/managed-by": "dbscale"}));
}

#[test]
fn a_shard_number_takes_the_other_from_the_object_and_picks_the_only_component_that_has_shards() {
    let plan = planned(&facts(&sharded()), &Intent { shards: Some(4), ..Intent::default() }).unwrap();
    assert_eq!(requests(&plan)[0]["spec"]["horizontalScaling"], json!({"shard": {"shards": 4, "replicas": 3}}));
}

#[rstest]
#[case::several_could_be_meant(Intent { replicas: Some(4), ..Intent::default() }, &["shard", "configServer", "mongos"])]
#[case::only_those_with_volumes(Intent { storage: "50Gi".parse().ok(), ..Intent::default() }, &["shard", "configServer"])]
fn a_choice_lists_those_that_can(#[case] intent: Intent, #[case] names: &[&str]) {
    let Err(PlanError::Choose(choice)) = planned(&facts(&sharded()), &intent) else { panic!("a choice") };
    assert_eq!(choice.candidates.iter().map(|c| c.component.as_str()).collect::<Vec<_>>(), names);
}

#[rstest]
#[case::members(Intent { replicas: Some(3), ..Intent::default() })]
#[case::memory_in_another_spelling(Intent { memory: "2048Mi".parse().ok(), ..Intent::default() })]
#[case::storage(Intent { storage: "20480Mi".parse().ok(), ..Intent::default() })]
fn what_is_there_takes_no_step(#[case] intent: Intent) {
    assert!(planned(&facts(&replica_set()), &intent).unwrap().steps.is_empty());
}

#[test]
fn the_size_of_an_empty_container_needs_both() {
    let mut object = replica_set();
    object["spec"]["podTemplate"] = Value::Null;
    let answer = planned(&facts(&object), &Intent { cpu: "2".parse().ok(), ..Intent::default() });
    assert!(matches!(answer, Err(PlanError::Incomplete { missing: "memory", .. })));
}

#[test]
fn a_patch_tests_what_was_read_before_it_writes() {
    let plan = planned(&facts(&replica_set()), &Intent { storage: "50Gi".parse().ok(), ..Intent::default() }).unwrap();
    let Step::Patch(step) = &plan.steps[0] else { panic!("a patch") };
    let path = "/spec/storage/resources/requests/storage";
    let sent = serde_json::to_value(&step.patch).unwrap();
    assert_eq!(sent[0], json!({"op": "test", "path": path, "value": "20Gi"}));
    assert_eq!(sent[1], json!({"op": "test", "path": "/metadata/annotations", "value": null}));
    assert_eq!(sent[2], json!({"op": "replace", "path": path, "value": "50Gi"}));
    assert_eq!(sent[3]["path"], "/metadata/annotations");
}

/// A database of 20Gi whose volume has 10Gi, and does not get more.
fn failed_expansion(object: &Value) -> Facts {
    let mut facts = facts(object);
    facts.claims.push(ClaimFact {
        name: "datadir-my-db-0".to_owned(),
        component: "replicaSet".to_owned(),
        class: None,
        attributes: Vec::new(),
        requested: "20Gi".parse().unwrap(),
        capacity: "10Gi".parse().ok(),
        failed: Some("ControllerResizeError: no space".to_owned()),
        idle: false,
    });
    facts
}

#[test]
fn a_failed_expansion_goes_back_with_a_mark_and_leaves_the_claims_alone() {
    let facts = failed_expansion(&replica_set());
    let plan = planned(&facts, &Intent { storage: "10Gi".parse().ok(), ..Intent::default() }).unwrap();
    let Step::Patch(step) = &plan.steps[0] else { panic!("a patch") };
    assert!(step.reverts && step.claims.is_empty());
    let sent = serde_json::to_value(&step.patch).unwrap();
    assert_eq!(sent[3]["value"][REVERT_TO], "10Gi");
    assert!(!plan.is_refused());
}

/// The mark has to change for the way down to be open: a growth takes it away, and where another has grown the size since,
/// the same size is spelled otherwise.
#[rstest]
#[case::growth("50Gi", "50Gi", json!({"op": "remove", "path": REVERT_TO_AT}))]
#[case::back_after_anothers_growth("10Gi", "10737418240", json!({"op": "add", "path": REVERT_TO_AT, "value": "10737418240"}))]
fn a_mark_from_before_does_not_stay(#[case] to: &str, #[case] size: &str, #[case] last: Value) {
    let mut object = replica_set();
    object["metadata"]["annotations"] = json!({REVERT_TO: "10Gi"});
    let plan = planned(&failed_expansion(&object), &Intent { storage: to.parse().ok(), ..Intent::default() }).unwrap();
    let Step::Patch(step) = &plan.steps[0] else { panic!("a patch") };
    let sent = serde_json::to_value(&step.patch).unwrap();
    let sent = sent.as_array().unwrap();
    let at = "/spec/storage/resources/requests/storage";
    assert!(sent.contains(&json!({"op": "replace", "path": at, "value": size})), "{sent:?}");
    assert_eq!(sent.last(), Some(&last));
    let tested = json!({"op": "test", "path": REVERT_TO_AT, "value": "10Gi"});
    assert_eq!(sent.contains(&tested), last["op"] == "remove", "what is taken away is what was read");
}

const REVERT_TO_AT: &str = "/metadata/annotations/dbscale.dev~1revert-to";

#[test]
fn the_single_request_holds_both_wishes_and_its_own_rule_would_refuse_it() {
    let facts = facts(&replica_set());
    let intent = Intent { replicas: Some(5), memory: "4Gi".parse().ok(), ..Intent::default() };
    let plan = planned(&facts, &intent).unwrap();
    let single = plan.single(facts.database.here().unwrap()).unwrap();
    assert_eq!(single.object["spec"]["horizontalScaling"]["replicas"], 5);
    assert!(single.object["spec"]["verticalScaling"]["replicaSet"].is_object());
    let case = crate::facts::Case { change: &single.change, facts: &facts };
    let ids: Vec<&str> = crate::rules::judge(&case).iter().filter(|f| f.refuses()).map(|f| f.rule.0).collect();
    assert_eq!(ids, ["stanza/ignored"]);
}

#[test]
fn kubedbs_own_expansion_names_its_mode() {
    let intent = Intent { storage: "50Gi".parse().ok(), via: StorageVia::OpsRequest, ..Intent::default() };
    let plan = planned(&facts(&replica_set()), &intent).unwrap();
    assert_eq!(requests(&plan)[0]["spec"]["volumeExpansion"], json!({"mode": "Online", "replicaSet": "50Gi"}));
}

#[test]
fn a_second_command_within_one_second_is_another_request_and_is_refused() {
    let mut facts = facts(&replica_set());
    for second in [1_763_937_600, 1_763_937_601] {
        facts.operations.push(Operation {
            name: format!("my-db-scale-{second}"),
            database: "my-db".to_owned(),
            ops_type: "HorizontalScaling".to_owned(),
            phase: Phase::Pending,
            created: String::new(),
            deleting: false,
            controller: None,
            reason: String::new(),
            follows: false,
        });
    }
    let plan = planned(&facts, &Intent { replicas: Some(5), ..Intent::default() }).unwrap();
    assert_eq!(requests(&plan)[0]["metadata"]["name"], "my-db-scale-1763937602");
    let refusals: Vec<&str> = plan.findings.iter().filter(|f| f.refuses()).map(|f| f.rule.0).collect();
    assert_eq!(refusals, ["operation/active", "operation/active"]);
}

#[test]
fn a_size_that_is_written_as_a_number_is_tested_as_a_number() {
    let mut object = replica_set();
    object["spec"]["storage"]["resources"]["requests"]["storage"] = json!(21_474_836_480_i64);
    let plan = planned(&facts(&object), &Intent { storage: "50Gi".parse().ok(), ..Intent::default() }).unwrap();
    let Step::Patch(step) = &plan.steps[0] else { panic!("a patch") };
    let sent = serde_json::to_value(&step.patch).unwrap();
    assert_eq!(sent[0]["value"], json!(21_474_836_480_i64));
}

#[test]
fn a_database_without_volumes_is_not_patched() {
    let mut object = replica_set();
    object["spec"]["storage"] = Value::Null;
    let refused = planned(&facts(&object), &Intent { storage: "50Gi".parse().ok(), ..Intent::default() });
    let Err(PlanError::Findings(findings)) = refused else { panic!("{refused:?}") };
    assert_eq!(findings.iter().map(|f| f.rule.0).collect::<Vec<_>>(), ["storage/ephemeral"]);
}

#[test]
fn members_that_come_after_a_patch_start_with_the_old_size_and_the_plan_says_so() {
    let mut facts = facts(&replica_set());
    facts.templates.insert("replicaSet".to_owned(), "20Gi".parse().unwrap());
    let both = Intent { storage: "50Gi".parse().ok(), replicas: Some(5), ..Intent::default() };
    let warned = |intent: &Intent| {
        let plan = planned(&facts, intent).unwrap();
        plan.findings.iter().map(|f| f.rule.0).collect::<Vec<_>>()
    };
    assert_eq!(warned(&both), ["storage/template-drift"]);
    assert!(warned(&Intent { replicas: Some(5), ..Intent::default() }).is_empty());
}

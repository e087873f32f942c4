mod status;

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::change::Change;
use crate::facts::Facts;
use crate::rules::judge;

/// A MongoDB of three members, 2 CPU, 2Gi and 20Gi, labelled `tier: gold`.
fn database() -> Value {
    let resources = json!({"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}});
    json!({"apiVersion": "kubedb.com/v1", "kind": "MongoDB",
        "metadata": {"name": "my-db", "namespace": "demo", "labels": {"tier": "gold"}},
        "spec": {"replicaSet": {"name": "rs0"}, "replicas": 3,
            "storage": {"resources": {"requests": {"storage": "20Gi"}}},
            "podTemplate": {"spec": {"containers": [{"name": "mongodb", "resources": resources}]}}},
        "status": {"phase": "Ready"}})
}

fn policy(name: &str, spec: &Value) -> PolicyFact {
    let object = json!({"metadata": {"name": name}, "spec": spec});
    let policy = ScalingPolicy::of(&object).unwrap();
    PolicyFact { policy: Arc::new(policy), running: Some(Running { namespace: 2, cluster: 4 }) }
}

/// What policies say of a request: the id and message of each finding of theirs.
fn said(spec: &Value, policies: &[(&str, Value)]) -> Vec<String> {
    let engine = Catalog::builtin().find("mongodb").unwrap();
    let stanza = [("horizontalScaling", "HorizontalScaling"), ("volumeExpansion", "VolumeExpansion")];
    let ops_type = stanza.iter().find(|(s, _)| spec.get(s).is_some()).map_or("VerticalScaling", |(_, t)| t);
    let mut ask = json!({"kind": "MongoDBOpsRequest", "metadata": {"name": "ask", "namespace": "demo"}, "spec": spec});
    ask["spec"]["type"] = json!(ops_type);
    ask["spec"]["databaseRef"] = json!({"name": "my-db"});
    let here = Database::of(engine, &database());
    let facts = Facts {
        database: here.into(),
        policies: policies.iter().map(|(name, spec)| policy(name, spec)).collect(),
        ..Facts::default()
    };
    let change = Change::of_request(engine, &ask, facts.database.here());
    told(&judge(&Case { change: &change, facts: &facts }))
}

fn told(findings: &[crate::finding::Finding]) -> Vec<String> {
    findings.iter().filter(|f| f.rule.0.starts_with(crate::rules::OF_POLICIES)).map(ToString::to_string).collect()
}

fn members(n: i64) -> Value {
    json!({"horizontalScaling": {"replicas": n}})
}

fn volumes(size: &str) -> Value {
    json!({"volumeExpansion": {"mode": "Online", "replicaSet": size}})
}

fn resources(requests: &Value, limits: &Value) -> Value {
    json!({"verticalScaling": {"replicaSet": {"resources": {"requests": requests, "limits": limits}}}})
}

/// Request and limit alike.
fn sized(cpu: &str, memory: &str) -> Value {
    let amounts = json!({"cpu": cpu, "memory": memory});
    resources(&amounts, &amounts)
}

#[rstest]
#[case::within(members(5), json!({"replicas": {"min": 3, "max": 5}}), None)]
#[case::too_many(members(6), json!({"replicas": {"max": 5}}),
    Some("[policy/replicas] 6 members of replicaSet: ScalingPolicy a allows 5 at most (spec.replicas.max); ask for 5 or less"))]
#[case::too_few(members(2), json!({"replicas": {"min": 3}}),
    Some("[policy/replicas] 2 members of replicaSet: ScalingPolicy a allows 3 at least (spec.replicas.min); ask for 3 or more"))]
#[case::too_many_already_and_fewer_of_them(members(2), json!({"replicas": {"max": 1}}), None)]
#[case::too_few_already_and_more_of_them(members(4), json!({"replicas": {"min": 7}}), None)]
#[case::a_step_up(members(5), json!({"replicas": {"maxStep": 2}}), None)]
#[case::too_large_a_step_up(members(6), json!({"replicas": {"maxStep": 2}}),
    Some("[policy/replicas] 3 → 6 members of replicaSet: ScalingPolicy a allows steps of 2 at most (spec.replicas.maxStep); ask for 5 first"))]
#[case::too_large_a_step_down(members(1), json!({"replicas": {"maxStep": 1}}),
    Some("[policy/replicas] 3 → 1 members of replicaSet: ScalingPolicy a allows steps of 1 at most (spec.replicas.maxStep); ask for 2 first"))]
#[case::volumes_within(volumes("50Gi"), json!({"storage": {"max": "50Gi", "maxStep": "30Gi"}}), None)]
#[case::volumes_too_large(volumes("50Gi"), json!({"storage": {"max": "50G"}}),
    Some("[policy/storage] 50Gi for a volume of replicaSet: ScalingPolicy a allows 50G at most (spec.storage.max); ask for 50G or less"))]
#[case::volumes_too_small(volumes("30Gi"), json!({"storage": {"min": "100Gi"}}), None)]
#[case::volumes_too_large_a_step(volumes("50Gi"), json!({"storage": {"maxStep": "20Gi"}}),
    Some("[policy/storage] 20Gi → 50Gi for a volume of replicaSet: ScalingPolicy a allows steps of 20Gi at most (spec.storage.maxStep); ask for 40Gi first"))]
#[case::cpu_within(sized("4", "2Gi"), json!({"cpu": {"min": 1, "max": 4}}), None)]
#[case::too_much_cpu(sized("8", "2Gi"), json!({"cpu": {"max": "4"}}),
    Some("[policy/cpu] 8 of cpu for replicaSet: ScalingPolicy a allows 4 at most (spec.cpu.max); ask for 4 or less"))]
#[case::too_little_cpu(sized("500m", "2Gi"), json!({"cpu": {"min": "1"}}),
    Some("[policy/cpu] 500m of cpu for replicaSet: ScalingPolicy a allows 1 at least (spec.cpu.min); ask for 1 or more"))]
#[case::the_limit_counts(resources(&json!({"memory": "2Gi"}), &json!({"memory": "8Gi"})), json!({"memory": {"max": "4Gi"}}),
    Some("[policy/memory] 8Gi of memory for replicaSet: ScalingPolicy a allows 4Gi at most (spec.memory.max); ask for 4Gi or less"))]
#[case::the_request_counts(resources(&json!({"memory": "1Gi"}), &json!({"memory": "8Gi"})), json!({"memory": {"min": "2Gi"}}),
    Some("[policy/memory] 1Gi of memory for replicaSet: ScalingPolicy a allows 2Gi at least (spec.memory.min); ask for 2Gi or more"))]
#[case::too_much_already_and_less_of_it(sized("2", "1Gi"), json!({"memory": {"max": "512Mi"}}), None)]
#[case::a_container_beside_the_database(
    json!({"verticalScaling": {"exporter": {"resources": {"limits": {"memory": "64Mi"}}}}}), json!({"memory": {"min": "1Gi"}}), None)]
#[case::a_class(sized("2", "4Gi"), json!({"sizes": {"allowed": ["db.t3.micro", "db.t3.medium"]}}), None)]
#[case::a_class_with_what_is_there(resources(&json!({}), &json!({"memory": "4Gi"})), json!({"sizes": {"allowed": ["db.t3.medium"]}}), None)]
#[case::no_class(sized("2", "3Gi"), json!({"sizes": {"allowed": ["db.t3.medium"]}}),
    Some("[policy/size] 2 CPU and 3Gi of memory for replicaSet are no size that ScalingPolicy a allows (spec.sizes.allowed); ask for db.t3.medium (2 CPU, 4Gi) by --size, request and limit alike"))]
#[case::no_class_and_no_change(sized("2000m", "2048Mi"), json!({"sizes": {"allowed": ["db.t3.medium"]}}), None)]
#[case::no_class_and_half_of_it_repeated(resources(&json!({}), &json!({"memory": "2Gi"})), json!({"sizes": {"allowed": ["db.t3.medium"]}}), None)]
#[case::half_a_class(resources(&json!({"cpu": "2", "memory": "2Gi"}), &json!({"cpu": "2", "memory": "4Gi"})), json!({"sizes": {"allowed": ["db.t3.medium"]}}),
    Some("[policy/size] 2 CPU and 2Gi to 4Gi of memory for replicaSet are no size that ScalingPolicy a allows (spec.sizes.allowed); ask for db.t3.medium (2 CPU, 4Gi) by --size, request and limit alike"))]
#[case::an_own_class(sized("3", "3Gi"), json!({"sizes": {"allowed": ["team.odd"], "own": {"team.odd": {"cpu": 3, "memory": "3Gi"}}}}), None)]
#[case::no_class_at_all(sized("2", "4Gi"), json!({"sizes": {"allowed": ["db.t3.meduim"]}}),
    Some("[policy/size] 2 CPU and 4Gi of memory for replicaSet are no size that ScalingPolicy a allows (spec.sizes.allowed); its names are no size classes (db.t3.meduim): have the policy changed"))]
#[case::room_for_one_more(members(5), json!({"operations": {"perNamespace": 3, "perCluster": 5}}), None)]
#[case::too_many_here(members(5), json!({"operations": {"perNamespace": 2}}),
    Some("[policy/operations] 2 operations are active in namespace demo: ScalingPolicy a allows 2 at once (spec.operations.perNamespace); wait until one has ended: kubectl dbscale status -n demo"))]
#[case::too_many_anywhere(members(5), json!({"operations": {"perCluster": 4}}),
    Some("[policy/operations] 4 operations are active in the cluster: ScalingPolicy a allows 4 at once (spec.operations.perCluster); wait until one has ended: kubectl dbscale status -A"))]
#[case::a_request_is_no_direct_edit(members(5), json!({"directEdits": "deny"}), None)]
#[case::of_another_tier(members(9), json!({"selector": {"matchLabels": {"tier": "silver"}}, "replicas": {"max": 5}}), None)]
fn a_request(#[case] ask: Value, #[case] spec: Value, #[case] says: Option<&str>) {
    assert_eq!(said(&ask, &[("a", spec)]), says.into_iter().collect::<Vec<_>>());
}

#[test]
fn of_several_the_strictest_bound_counts_each_for_itself() {
    let policies = [
        ("wide", json!({"replicas": {"min": 1, "max": 9, "maxStep": 3}})),
        ("narrow", json!({"replicas": {"max": 6, "maxStep": 9}})),
    ];
    assert_eq!(
        said(&members(8), &policies),
        [
            "[policy/replicas] 8 members of replicaSet: ScalingPolicy narrow allows 6 at most (spec.replicas.max); ask for 6 or less",
            "[policy/replicas] 3 → 8 members of replicaSet: ScalingPolicy wide allows steps of 3 at most (spec.replicas.maxStep); ask for 6 first",
        ]
    );
}

#[test]
fn the_next_step_is_one_that_the_bounds_allow() {
    let policies = [("a", json!({"replicas": {"max": 4, "maxStep": 2}}))];
    assert_eq!(
        said(&members(8), &policies),
        [
            "[policy/replicas] 8 members of replicaSet: ScalingPolicy a allows 4 at most (spec.replicas.max); ask for 4 or less",
            "[policy/replicas] 3 → 8 members of replicaSet: ScalingPolicy a allows steps of 2 at most (spec.replicas.maxStep); ask for 4 first",
        ]
    );
    let policies = [("a", json!({"replicas": {"min": 2, "maxStep": 1}}))];
    assert_eq!(said(&members(1), &policies).len(), 2);
}

#[test]
fn where_no_value_fits_both_are_named() {
    let policies = [("few", json!({"replicas": {"max": 3}})), ("many", json!({"replicas": {"min": 5}}))];
    let said = said(&members(4), &policies);
    assert_eq!(
        said,
        ["[policy/replicas] 4 members of replicaSet: ScalingPolicy few allows 3 at most (spec.replicas.max); \
          no value fits both ScalingPolicies many and few: have one of them changed"]
    );
}

#[rstest]
#[case::refused("deny", "/spec/replicas", json!(5), Some("policy/direct-edits"))]
#[case::warned_of_elsewhere("warn", "/spec/replicas", json!(5), None)]
#[case::storage_is_patched("deny", "/spec/storage/resources/requests/storage", json!("30Gi"), None)]
#[case::labels_alone("deny", "/metadata/labels", json!({}), None)]
#[case::a_bound("warn", "/spec/replicas", json!(8), Some("policy/replicas"))]
#[case::a_bound_of_volumes("warn", "/spec/storage/resources/requests/storage", json!("300Gi"), Some("policy/storage"))]
fn a_direct_edit(#[case] taken: &str, #[case] at: &str, #[case] value: Value, #[case] rule: Option<&str>) {
    let engine = Catalog::builtin().find("mongodb").unwrap();
    let (old, mut new) = (database(), database());
    *new.pointer_mut(at).unwrap() = value;
    let old = Database::of(engine, &old);
    let change = Change::of_update(&old, Database::of(engine, &new));
    let spec = json!({"selector": {"matchLabels": {"tier": "gold"}}, "directEdits": taken,
        "replicas": {"max": 5}, "storage": {"max": "100Gi"}});
    let policies = vec![policy("a", &spec)];
    let facts = Facts { database: old.into(), policies, ..Facts::default() };
    let found = told(&judge(&Case { change: &change, facts: &facts }));
    let ids: Vec<&str> = found.iter().filter_map(|f| f.split_once(']')?.0.strip_prefix('[')).collect();
    assert_eq!(ids, rule.into_iter().collect::<Vec<_>>());
}

#[rstest]
#[case::something_else("ephemeral-storage", "5Gi", 0)]
#[case::memory("memory", "3Gi", 1)]
fn a_direct_edit_of_a_container_that_is_no_class(#[case] name: &str, #[case] amount: &str, #[case] findings: usize) {
    let engine = Catalog::builtin().find("mongodb").unwrap();
    let (old, mut new) = (database(), database());
    let resources = new.pointer_mut("/spec/podTemplate/spec/containers/0/resources").unwrap();
    for side in ["requests", "limits"] {
        resources[side][name] = json!(amount);
    }
    let old = Database::of(engine, &old);
    let change = Change::of_update(&old, Database::of(engine, &new));
    assert_eq!(change.wishes.len(), 1);
    let policies = vec![policy("a", &json!({"sizes": {"allowed": ["db.t3.medium"]}}))];
    let facts = Facts { database: old.into(), policies, ..Facts::default() };
    assert_eq!(told(&judge(&Case { change: &change, facts: &facts })).len(), findings);
}

#[test]
fn an_update_that_takes_the_label_away_is_held_to_the_policy_all_the_same() {
    let engine = Catalog::builtin().find("mongodb").unwrap();
    let (old, mut new) = (database(), database());
    new["spec"]["replicas"] = json!(9);
    new["metadata"]["labels"] = json!({});
    let old = Database::of(engine, &old);
    let change = Change::of_update(&old, Database::of(engine, &new));
    let spec = json!({"selector": {"matchLabels": {"tier": "gold"}}, "replicas": {"max": 5}});
    let facts = Facts { database: old.into(), policies: vec![policy("a", &spec)], ..Facts::default() };
    assert_eq!(told(&judge(&Case { change: &change, facts: &facts })).len(), 1);
}

#[rstest]
#[case::a_field(json!({"replica": {}}), "unknown field `replica`")]
#[case::a_field_below(json!({"replicas": {"most": 5}}), "unknown field `most`")]
#[case::a_word(json!({"directEdits": "refuse"}), "unknown variant `refuse`")]
#[case::an_amount(json!({"memory": {"max": "4GB"}}), "4GB")]
#[case::a_duration(json!({"monitoringTimeout": "10 parsecs"}), "no duration longer than nothing")]
#[case::no_time_at_all(json!({"retention": {"age": "0s"}}), "no duration longer than nothing")]
#[case::a_way_back(json!({"rollback": "Always"}), "unknown variant `Always`")]
#[case::an_operator(json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}), "unknown variant `Like`")]
fn what_is_not_understood_makes_the_policy_unreadable(#[case] spec: Value, #[case] why: &str) {
    let unreadable = ScalingPolicy::of(&json!({"metadata": {"name": "a"}, "spec": spec})).unwrap_err();
    assert!(unreadable.name == "a" && unreadable.why.contains(why), "{}", unreadable.why);
}

#[rstest]
#[case::all(json!({}), true)]
#[case::one(json!({"matchLabels": {"tier": "gold"}}), true)]
#[case::another(json!({"matchLabels": {"tier": "gold", "team": "shop"}}), false)]
#[case::one_of(json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "silver"]}]}), true)]
#[case::none_of(json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["gold"]}]}), false)]
#[case::not_there_is_none_of(json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["shop"]}]}), true)]
#[case::there(json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}), true)]
#[case::not_there(json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), false)]
fn selectors(#[case] selector: Value, #[case] matches: bool) {
    let selector: Selector = serde_json::from_value(selector).unwrap();
    assert_eq!(selector.matches(&labels_of(&database())), matches);
}

#[rstest]
#[case::any(json!({}), true)]
#[case::by_name(json!({"engines": ["mysql", "mongodb"]}), true)]
#[case::by_short_name(json!({"engines": ["mg"]}), true)]
#[case::another_engine(json!({"engines": ["mysql"]}), false)]
#[case::its_namespace(json!({"namespaceSelector": {"matchLabels": {"env": "prod"}}}), true)]
#[case::another_namespace(json!({"namespaceSelector": {"matchLabels": {"env": "test"}}}), false)]
fn reach(#[case] spec: Value, #[case] reaches: bool) {
    let labels = Labels::from([("env".to_owned(), "prod".to_owned())]);
    assert_eq!(policy("a", &spec).policy.reaches(Catalog::builtin().find("mongodb").unwrap(), &labels), reaches);
}

#[rstest]
#[case::all(json!({}), Ok("it covers every database"))]
#[case::by_all_it_can(
    json!({"engines": ["mongodb"], "namespaceSelector": {"matchLabels": {"env": "prod"}}, "selector": {"matchExpressions": [
        {"key": "tier", "operator": "In", "values": ["gold", "silver"]}, {"key": "team", "operator": "DoesNotExist"}]}}),
    Ok("mongodb is among the engines mongodb, its namespace has env=prod, it has tier in (gold, silver), no team"))]
#[case::another_engine(json!({"engines": ["mysql", "redis"]}), Err("mongodb is not among the engines mysql, redis"))]
#[case::another_namespace(json!({"namespaceSelector": {"matchLabels": {"env": "test"}}}), Err("its namespace does not have env=test"))]
#[case::another_tier(json!({"selector": {"matchLabels": {"tier": "silver"}}}), Err("it does not have tier=silver"))]
fn why_it_covers(#[case] spec: Value, #[case] why: Result<&str, &str>) {
    let namespace = Labels::from([("env".to_owned(), "prod".to_owned())]);
    let fact = policy("a", &spec);
    let told = fact.policy.why(Catalog::builtin().find("mongodb").unwrap(), &namespace, &labels_of(&database()));
    assert_eq!(told, why.map(str::to_owned).map_err(str::to_owned));
}

#[test]
fn what_it_asks_in_words() {
    let spec = json!({"replicas": {"min": 3, "max": 7, "maxStep": 2}, "storage": {"maxStep": "1Ti"}, "cpu": {"min": 1},
        "memory": {"max": "64Gi"}, "sizes": {"allowed": ["db.t3.large", "odd"], "own": {"odd": {"cpu": 3, "memory": "3Gi"}}},
        "operations": {"perNamespace": 2, "perCluster": 10}, "directEdits": "deny",
        "retention": {"count": 5, "age": "720h"}, "monitoringTimeout": "90s", "rollback": "Never"});
    assert_eq!(
        policy("a", &spec).policy.spec.asks(),
        [
            "replicas 3 to 7, steps of 2",
            "storage steps of 1Ti",
            "cpu 1 at least",
            "memory 64Gi at most",
            "sizes db.t3.large, odd",
            "odd = 3 CPU, 3Gi",
            "operations 2 at once in a namespace, 10 at once in the cluster",
            "no direct edits",
            "finished OpsRequests 5 at most, none older than 720h",
            "overdue after 1m30s",
            "no rollback"
        ]
    );
}

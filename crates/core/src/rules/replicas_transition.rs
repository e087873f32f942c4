//! `replicas/transition`: not every way from one number of members to another is open.
//!
//! What an engine does not allow is a named predicate here; a flag of the same name in the engine's file switches it on.

use serde_json::Value;

use super::{EXIT_REFUSED, Rule};
use crate::change::{Request, Source, What, Wish};
use crate::database::{ComponentView, Database};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::status::Phase;

/// Refuses a way from the present numbers to the wanted ones that the engine, or KubeDB's check of it, does not go.
pub const RULE: Rule = Rule {
    id: RuleId("replicas/transition"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "Some engines cannot become a cluster, or cease to be one, by adding or removing members; some grow in one direction only. KubeDB finds some of this out half way.",
    source: "KubeDB's validators of HorizontalScaling (Neo4j, Redis, ClickHouse, Cassandra, standalone databases) and of databases (Memcached)",
    refused: "# a standalone Redis\nhorizontalScaling:\n  replicas: 3",
    right: "# a Redis with mode: Sentinel\nhorizontalScaling:\n  replicas: 3",
    fix: "Go the way that the message names. To make a cluster of a standalone database, restore a backup into one.",
    check,
};

/// A step from the present numbers of a component to the wanted ones.
struct Step<'a> {
    request: Option<&'a Request>,
    view: &'a ComponentView,
    marks: &'a [&'static str],
    /// Present and wanted members.
    replicas: (i64, i64),
    /// Present and wanted shards; `None` where the component has none, or the present number is not known.
    shards: Option<(i64, i64)>,
}

/// Why a step cannot be taken, and what to do instead.
type Refusal = (String, &'static str);
/// A condition that a step has to meet.
type Predicate = fn(&Step) -> Option<Refusal>;

/// Every predicate under the name of its flag.
const PREDICATES: [(&str, Predicate); 10] = [
    ("no-single-to-cluster", no_single_to_cluster),
    ("no-pair", no_pair),
    ("no-cluster-to-single", no_cluster_to_single),
    ("must-differ", must_differ),
    ("reallocate-on-scale-in", reallocate_on_scale_in),
    ("shards-only-grow", shards_only_grow),
    ("no-mixed-directions", no_mixed_directions),
    ("announce-endpoints", announce_endpoints),
    ("two-in-all", two_in_all),
    ("one-stays-one", one_stays_one),
];

/// Neo4j: one server is no cluster, and does not become one by adding servers.
fn no_single_to_cluster(step: &Step) -> Option<Refusal> {
    let (present, wanted) = step.replicas;
    (present == 1 && wanted > 1).then(|| {
        let message = format!("1 → {wanted}: a single server does not become a cluster by adding servers");
        (message, "restore a backup into a database that begins with 3 or more")
    })
}

/// Neo4j: two servers cannot outvote each other, so a cluster does not shrink to them.
fn no_pair(step: &Step) -> Option<Refusal> {
    let (present, wanted) = step.replicas;
    (present > 2 && wanted == 2)
        .then(|| (format!("{present} → 2: two servers have no majority without each other"), "keep 3 or more"))
}

/// Neo4j: a cluster does not become a single server.
fn no_cluster_to_single(step: &Step) -> Option<Refusal> {
    let (present, wanted) = step.replicas;
    (present >= 3 && wanted == 1).then(|| {
        let message = format!("{present} → 1: a cluster does not become a single server by removing servers");
        (message, "keep 3 or more, or restore a backup into a database of 1")
    })
}

/// Neo4j: KubeDB refuses a pending request for the present number.
fn must_differ(step: &Step) -> Option<Refusal> {
    let (present, wanted) = step.replicas;
    (step.request.is_some() && present == wanted)
        .then(|| (format!("{wanted} is the present number"), "ask for another number, or leave the request out"))
}

/// Neo4j: servers that go must hand their data over first.
fn reallocate_on_scale_in(step: &Step) -> Option<Refusal> {
    let (present, wanted) = step.replicas;
    let strategy = option(step.request?, "reallocate.strategy")?.as_str()?;
    (wanted < present && strategy == "none").then(|| {
        let message =
            format!("{present} → {wanted} with reallocate.strategy none: what the servers hold would be lost");
        (message, "set reallocate.strategy to incremental or full")
    })
}

/// ClickHouse: a shard holds rows that no other has.
fn shards_only_grow(step: &Step) -> Option<Refusal> {
    let (present, wanted) = step.shards?;
    (wanted < present).then(|| {
        let message = format!("shards {present} → {wanted}: a shard that goes takes its rows with it");
        (message, "keep the shards, or restore a backup into a database with fewer")
    })
}

/// Redis: one request does not add members and take shards away, or the other way round.
fn no_mixed_directions(step: &Step) -> Option<Refusal> {
    let ((r, replicas), (s, shards)) = (step.replicas, step.shards?);
    let opposite = replicas.cmp(&r) == s.cmp(&shards) && replicas != r;
    opposite.then(|| {
        let message =
            format!("replicas {r} → {replicas} with shards {s} → {shards}: one grows while the other shrinks");
        (message, "make two requests, the growing one first")
    })
}

/// Redis: where members are announced under addresses of their own, each new member needs one.
///
/// Every shard that gets new members, in order, needs an entry with exactly as many endpoints: an old shard the
/// difference of replicas, a new one all of them.
fn announce_endpoints(step: &Step) -> Option<Refusal> {
    const REMEDY: &str =
        "list under spec.horizontalScaling.announce.shards, for each shard that gets new members, their endpoints";
    let ((r, replicas), (s, shards)) = (step.replicas, step.shards?);
    if !step.marks.contains(&"announced") || replicas <= r && shards <= s || shards < s {
        return None;
    }
    let given = option(step.request?, "announce.shards").and_then(Value::as_array);
    let endpoints =
        given.into_iter().flatten().map(|s| s.get("endpoints").and_then(Value::as_array).map_or(0, Vec::len));
    let given: Vec<usize> = endpoints.collect();
    // The numbers come from anybody: shards are counted in ranges, never one by one.
    let (old, new) = (if replicas > r { s } else { 0 }, shards.saturating_sub(s));
    let needed =
        |index: usize| if i64::try_from(index).is_ok_and(|i| i < old) { replicas.saturating_sub(r) } else { replicas };
    let entries = usize::try_from(old.saturating_add(new)).unwrap_or(usize::MAX);
    if given.len() < entries {
        let message = format!(
            "the database announces its members: {entries} shards get new ones, and endpoints are given for {}",
            given.len()
        );
        return Some((message, REMEDY));
    }
    let wrong = given.iter().take(entries).enumerate().find(|(i, n)| i64::try_from(**n) != Ok(needed(*i)));
    wrong.map(|(i, n)| {
        let message = format!("announce.shards[{i}] has {n} endpoints, and {} members are new there", needed(i));
        (message, REMEDY)
    })
}

/// Cassandra: the racks together keep two members.
fn two_in_all(step: &Step) -> Option<Refusal> {
    let racks = i64::try_from(step.view.places.len()).unwrap_or(i64::MAX);
    let all = match step.request {
        Some(_) => racks.saturating_mul(step.replicas.1), // one number for every rack
        None => step.view.places.iter().filter_map(|p| p.replicas).fold(0, i64::saturating_add),
    };
    let in_racks = step.view.places.iter().all(|p| p.item.is_some());
    (in_racks && all < 2).then(|| (format!("{all} in all racks together is fewer than 2"), "ask for 2 or more"))
}

/// Memcached: KubeDB refuses to write a number from or to 1 into the object, at the end of the operation.
fn one_stays_one(step: &Step) -> Option<Refusal> {
    let (present, wanted) = step.replicas;
    (present != wanted && (present == 1 || wanted == 1)).then(|| {
        let message = format!("{present} → {wanted}: KubeDB refuses to write this number into the database at the end");
        (message, "make a new database with the number of members that is needed, or keep 2 or more")
    })
}

/// An option of the horizontal stanza.
fn option<'r>(request: &'r Request, field: &str) -> Option<&'r Value> {
    let is = |path: &str| path.strip_prefix("spec.horizontalScaling.") == Some(field);
    request.options.iter().find(|(path, _)| is(path)).map(|(_, value)| value)
}

fn check(case: &Case) -> Vec<Finding> {
    let Some(database) = case.database() else { return Vec::new() };
    let request = match &case.change.source {
        // Once it has begun, the present numbers may be the wanted ones already.
        Source::Request(request) if request.phase == Phase::Pending => Some(&**request),
        Source::Update(_) => None,
        _ => return Vec::new(),
    };
    let counts = || case.change.wishes.iter().filter(|w| matches!(w.what, What::Replicas(_) | What::Shards(_)));
    if counts().next().is_none() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if request.is_some() {
        findings.extend(counts().filter(|wish| of_standalone(wish, database)).map(|wish| standalone(wish, database)));
    }
    if case.change.engine.flags.is_empty() {
        return findings;
    }
    let Some(after) = case.afterwards() else { return findings };
    for view in &after.components {
        let Some((step, path)) = step(case, request, after, view) else { continue };
        for (flag, predicate) in PREDICATES {
            if case.change.engine.flags.iter().any(|f| f == flag)
                && let Some((message, remedy)) = predicate(&step)
            {
                findings.push(Finding::deny(RULE.id, path, message).remedy(remedy));
            }
        }
    }
    findings
}

/// The step that the wishes mean for one component, and where the first of them stands.
fn step<'a>(
    case: &Case<'a>,
    request: Option<&'a Request>,
    after: &'a Database,
    view: &'a ComponentView,
) -> Option<(Step<'a>, &'a str)> {
    let mut step = Step {
        request,
        view,
        marks: &after.marks,
        replicas: (view.replicas()?, view.replicas()?),
        shards: view.shards().map(|n| (n, n)),
    };
    let mut path = None;
    for wish in case.change.wishes.iter().filter(|w| w.component == view.key && w.item == view.item) {
        match &wish.what {
            What::Replicas(n) => step.replicas = (case.present_number(wish)?, *n),
            What::Shards(n) => step.shards = case.present_number(wish).map(|present| (present, *n)),
            What::Resources(_) | What::Storage(_) => continue,
        }
        path.get_or_insert(wish.path.as_str());
    }
    // Fewer than one is told by replicas/minimum.
    let enough = step.replicas.1 >= 1 && step.shards.is_none_or(|(_, n)| n >= 1);
    path.filter(|_| enough).map(|path| (step, path))
}

/// Whether a wish for a number of members meets a database that stays at one: its main component has no such field.
pub(super) fn of_standalone(wish: &Wish, database: &Database) -> bool {
    matches!(wish.what, What::Replicas(_) | What::Shards(_))
        && wish.view(database).is_none()
        && single(database).is_some()
}

/// The note of the main component, where no OpsRequest changes its number.
fn single(database: &Database) -> Option<&'static str> {
    let main = database.engine.components.get(database.topology?.main.as_ref()?)?;
    let fixed = [&main.replicas, &main.shards].into_iter().flatten().all(|c| c.ask.is_none());
    main.note.as_deref().filter(|_| fixed)
}

fn standalone(wish: &Wish, database: &Database) -> Finding {
    let topology = database.topology.map_or("unknown topology", |t| t.title.as_str());
    let note = single(database).unwrap_or_default();
    let message = format!("{} ({topology}) does not scale out: {}", database.target(), note.trim_end_matches('.'));
    Finding::deny(RULE.id, &wish.path, message).remedy("restore a backup into a database of another topology")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::super::testing::verdict;
    use super::{PREDICATES, RULE};
    use crate::catalog::Catalog;

    fn refused(database: &Value, stanza: &Value) -> bool {
        let spec = json!({"type": "HorizontalScaling", "horizontalScaling": stanza});
        verdict(database, &spec).iter().any(|f| f.rule == RULE.id)
    }

    #[rstest]
    #[case::single_to_cluster(1, json!({"server": 3}), true)]
    #[case::cluster_grows(3, json!({"server": 4}), false)]
    #[case::cluster_shrinks(5, json!({"server": 3}), false)]
    #[case::to_a_pair(3, json!({"server": 2}), true)]
    #[case::cluster_to_single(3, json!({"server": 1}), true)]
    #[case::pair_to_single(2, json!({"server": 1}), false)]
    #[case::the_same(3, json!({"server": 3}), true)]
    #[case::losing_data(5, json!({"server": 3, "reallocate": {"strategy": "none"}}), true)]
    #[case::handing_over(5, json!({"server": 3, "reallocate": {"strategy": "full"}}), false)]
    #[case::growing_without_handing_over(3, json!({"server": 5, "reallocate": {"strategy": "none"}}), false)]
    fn neo4j(#[case] present: i64, #[case] stanza: Value, #[case] expected: bool) {
        assert_eq!(refused(&json!({"kind": "Neo4j", "spec": {"replicas": present}}), &stanza), expected);
    }

    #[rstest]
    #[case::shards_not_known(json!({"replicas": 3}), json!({"shards": 3, "replicas": 2}), false)]
    #[case::shards_of_the_older_version(json!({"master": 5, "replicas": 3}), json!({"shards": 3, "replicas": 4}), true)]
    #[case::a_number_beyond_all_sense(json!({"shards": 3, "replicas": i64::MIN}), json!({"shards": 4, "replicas": 5}), false)]
    fn redis_numbers_as_objects_have_them(#[case] cluster: Value, #[case] stanza: Value, #[case] expected: bool) {
        let database = json!({"kind": "Redis", "spec": {"mode": "Cluster", "cluster": cluster}});
        assert_eq!(refused(&database, &stanza), expected);
    }

    #[rstest]
    #[case::more_shards(json!({"shards": 3}), false)]
    #[case::the_same(json!({"shards": 2}), false)]
    #[case::fewer_shards(json!({"shards": 1}), true)]
    #[case::fewer_replicas(json!({"replicas": 1}), false)]
    fn clickhouse(#[case] stanza: Value, #[case] expected: bool) {
        let cluster = json!({"cluster": {"shards": 2, "replicas": 2}});
        assert_eq!(refused(&json!({"kind": "ClickHouse", "spec": {"clusterTopology": cluster}}), &stanza), expected);
    }

    #[rstest]
    #[case::both_grow(json!({"shards": 4, "replicas": 3}), false)]
    #[case::both_shrink(json!({"shards": 3, "replicas": 2}), false)]
    #[case::one_grows(json!({"shards": 5}), false)]
    #[case::mixed(json!({"shards": 5, "replicas": 2}), true)]
    #[case::mixed_the_other_way(json!({"shards": 3, "replicas": 4}), true)]
    fn redis_directions(#[case] stanza: Value, #[case] expected: bool) {
        let mut database = redis(4, 3);
        database["spec"]["cluster"].as_object_mut().unwrap().remove("announce");
        // The case `both_grow` keeps its shards: 4 is the present number.
        assert_eq!(refused(&database, &stanza), expected);
    }

    fn redis(shards: i64, replicas: i64) -> Value {
        let cluster = json!({"shards": shards, "replicas": replicas, "announce": {"type": "hostname", "shards": []}});
        json!({"kind": "Redis", "spec": {"mode": "Cluster", "cluster": cluster}})
    }

    #[rstest]
    #[case::none_given(json!({"shards": 4, "replicas": 3}), true)]
    #[case::as_kubedb_wants_them(json!({"shards": 4, "replicas": 3, "announce": {"shards": [["a"], ["b"], ["c"], ["d", "e", "f"]]}}), false)]
    #[case::one_shard_too_few(json!({"shards": 4, "replicas": 3, "announce": {"shards": [["a"], ["b"], ["c"]]}}), true)]
    #[case::one_endpoint_too_few(json!({"shards": 4, "replicas": 3, "announce": {"shards": [["a"], ["b"], ["c"], ["d", "e"]]}}), true)]
    #[case::only_a_new_shard(json!({"shards": 4, "announce": {"shards": [["a", "b"]]}}), false)]
    #[case::only_new_replicas(json!({"replicas": 3, "announce": {"shards": [["a"], ["b"], ["c"]]}}), false)]
    #[case::nobody_new(json!({"shards": 3, "replicas": 2}), false)]
    #[case::more_shards_than_anybody_counts(json!({"shards": 2_000_000_000, "replicas": 2}), true)]
    fn redis_announces(#[case] mut stanza: Value, #[case] expected: bool) {
        if let Some(shards) = stanza.pointer_mut("/announce/shards") {
            let each = shards.as_array().unwrap().iter().map(|endpoints| json!({"endpoints": endpoints}));
            *shards = each.collect();
        }
        assert_eq!(refused(&redis(3, 2), &stanza), expected);
    }

    #[rstest]
    #[case::one_rack_of_one(1, 1, true)]
    #[case::one_rack_of_two(1, 2, false)]
    #[case::two_racks_of_one(2, 1, false)]
    fn cassandra(#[case] racks: usize, #[case] wanted: i64, #[case] expected: bool) {
        let racks: Vec<Value> = (0..racks).map(|i| json!({"name": format!("r{i}"), "replicas": 3})).collect();
        let database = json!({"kind": "Cassandra", "spec": {"topology": {"rack": racks}}});
        assert_eq!(refused(&database, &json!({"node": wanted})), expected);
    }

    #[rstest]
    #[case::from_one(1, 3, true)]
    #[case::to_one(3, 1, true)]
    #[case::above_one(3, 2, false)]
    #[case::the_same(1, 1, false)]
    fn memcached(#[case] present: i64, #[case] wanted: i64, #[case] expected: bool) {
        let database = json!({"kind": "Memcached", "spec": {"replicas": present}});
        assert_eq!(refused(&database, &json!({"replicas": wanted})), expected);
    }

    #[rstest]
    #[case::mongodb("MongoDB", json!({"replicas": 3}))]
    #[case::mysql("MySQL", json!({"member": 3}))]
    #[case::mariadb("MariaDB", json!({"member": 3}))]
    #[case::redis("Redis", json!({"replicas": 3}))]
    #[case::mssqlserver("MSSQLServer", json!({"replicas": 3}))]
    #[case::cassandra("Cassandra", json!({"node": 3}))]
    #[case::clickhouse("ClickHouse", json!({"shards": 3}))]
    #[case::qdrant("Qdrant", json!({"node": 3}))]
    #[case::singlestore("Singlestore", json!({"leaf": 3}))]
    #[case::milvus("Milvus", json!({"topology": {"proxy": 3}}))]
    fn a_standalone_does_not_scale_out(#[case] kind: &str, #[case] stanza: Value) {
        let found = verdict(
            &json!({"kind": kind, "spec": {}}),
            &json!({"type": "HorizontalScaling", "horizontalScaling": stanza}),
        );
        let denied: Vec<&str> = found.iter().filter(|f| f.refuses()).map(|f| f.rule.0).collect();
        assert_eq!(denied, [RULE.id.0], "{found:?}");
    }

    #[test]
    fn every_flag_has_its_predicate_or_rule_and_every_predicate_its_engine() {
        let used: BTreeSet<&str> =
            Catalog::builtin().engines().flat_map(|e| e.flags.iter().map(String::as_str)).collect();
        let mut known: BTreeSet<&str> = PREDICATES.iter().map(|(flag, _)| *flag).collect();
        known.insert(super::super::resources_in_place::FLAG);
        assert_eq!(used, known);
    }
}

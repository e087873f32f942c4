//! The policies that hold ScalingPolicies in the API server itself, as far as CEL can say them: each ScalingPolicy is a
//! parameter, and all of them have to agree.
//!
//! Of a request nothing is known but itself. So a ScalingPolicy that selects databases by their labels is left to the webhook
//! there, and so is what asks for the present value; docs/policies.md tells all of it. An update brings the old object along.

use super::object::{Policy, Validation};
use super::{cel, database, request};
use crate::catalog::{Component, Engine, Node, Pointer};
use crate::finding::RuleId;
use crate::record::GROUP;
use crate::rules::{POLICY_CPU, POLICY_DIRECT_EDITS, POLICY_MEMORY, POLICY_REPLICAS, POLICY_STORAGE};
use crate::scaling_policy::{KIND, VERSION};

/// The policies for an engine's OpsRequests and databases.
pub(super) fn policies(engine: &Engine) -> [Policy; 2] {
    let compared = Some((format!("{GROUP}/{VERSION}"), KIND.to_owned()));
    // Parameters are looked up before any condition: where the definition of ScalingPolicies is missing, KubeDB could write
    // nothing either. What is too large to be judged is refused by the policies beside these.
    let failure = "Ignore";
    [
        Policy { compared: compared.clone(), failure, ..of_requests(engine) },
        Policy { compared, failure, ..of_databases(engine) },
    ]
}

fn of_requests(engine: &Engine) -> Policy {
    let mut conditions = request::conditions();
    // Before any ScalingPolicy is looked at.
    conditions.push(("scales", request::scales()));
    let named = engine.components.values().collect::<Vec<_>>();
    let is_sidecar = |index: &usize| named.get(*index).is_some_and(|c: &&Component| c.sidecar_of.is_some());
    let leaves = engine.form().leaves();
    let of = |wanted: &dyn Fn(&Node) -> bool| -> Vec<&Pointer> {
        leaves.iter().filter(|(_, node)| wanted(node)).map(|(at, _)| at).collect()
    };
    let members = of(&|node| match node {
        Node::Count(askers) => askers.iter().any(|a| a.with.is_empty()) && askers.iter().all(|a| !a.shards),
        _ => false,
    });
    let sizes = of(&|node| matches!(node, Node::Amount(_)));
    let blocks = of(&|node| matches!(node, Node::Resources(components) if !components.iter().any(is_sidecar)));
    let all = |places: Vec<&Pointer>, list: fn(&Pointer) -> String| {
        cel::joined(&places.into_iter().map(list).collect::<Vec<_>>())
    };
    let readable = cel::readable("s.new");
    let resources = cel::joined(&blocks.into_iter().flat_map(request::both_sides).collect::<Vec<_>>());
    let amounts = |name: &str| {
        format!(
            "variables.resources.filter(r, '{name}' in r.amounts)\n\
             .map(r, {{'at': string(r.at) + '.{name}', 'new': string(r.amounts['{name}'])}})\n.filter(s, {readable})"
        )
    };
    let mut variables = vec![
        ("labels", "namespaceObject.metadata.?labels.orValue({})".to_owned()),
        ("covers", format!("{} && {}", names_no_labels(), reaches(engine))),
        ("members", format!("({}).filter(s, s.new != '')", all(members, request::size))),
        ("sizes", format!("({}).filter(s, s.new != '' && {readable})", all(sizes, request::size))),
        ("resources", resources),
        ("cpu", amounts("cpu")),
        ("memory", amounts("memory")),
    ];
    variables.extend([
        ("few", beyond("replicas", "min", &filter("members", "int(s.new) < b"))),
        ("many", beyond("replicas", "max", &filter("members", "int(s.new) > b"))),
        ("large", beyond("storage", "max", &amount("sizes", "s.new", "> 0"))),
        ("little_cpu", beyond("cpu", "min", &amount("cpu", "s.new", "< 0"))),
        ("much_cpu", beyond("cpu", "max", &amount("cpu", "s.new", "> 0"))),
        ("little_memory", beyond("memory", "min", &amount("memory", "s.new", "< 0"))),
        ("much_memory", beyond("memory", "max", &amount("memory", "s.new", "> 0"))),
    ]);
    Policy {
        name: format!("dbscale-{}-request-scaling", engine.name),
        operations: &["CREATE"],
        conditions,
        variables,
        // A volume only grows: below the least size it comes nearer to it, which is let in.
        validations: vec![
            at_least(POLICY_REPLICAS.id, "few", "replicas", "members"),
            at_most(POLICY_REPLICAS.id, "many", "replicas", "members"),
            at_most(POLICY_STORAGE.id, "large", "storage", "for a volume"),
            at_least(POLICY_CPU.id, "little_cpu", "cpu", "of cpu"),
            at_most(POLICY_CPU.id, "much_cpu", "cpu", "of cpu"),
            at_least(POLICY_MEMORY.id, "little_memory", "memory", "of memory"),
            at_most(POLICY_MEMORY.id, "much_memory", "memory", "of memory"),
        ],
        ..request::policy(engine)
    }
}

fn of_databases(engine: &Engine) -> Policy {
    let beside = database::policy(engine);
    let selected = |root: &str| selects("selector", &format!("{root}.metadata.?labels.orValue({{}})"));
    // As the webhook has it: who takes a label away is held to the policy all the same.
    let covers = format!("({} || {}) && {}", selected("object"), selected("oldObject"), reaches(engine));
    let mut variables = vec![("labels", "namespaceObject.metadata.?labels.orValue({})".to_owned()), ("covers", covers)];
    let used = ["topology", "before", "sizes", "counts", "changed", "wished"];
    variables.extend(beside.variables.into_iter().filter(|(name, _)| used.contains(name)));
    let (old, compared) = (cel::readable("s.old"), "quantity(s.new).compareTo(quantity(s.old))");
    let nearer = |how: &str| format!("(s.old == '' || !{old} || {compared} {how} 0)");
    let step = "quantity(s.new).sub(quantity(s.old))";
    variables.extend([
        ("edited", "variables.counts.filter(s, s.new != '' && s.new != s.old)".to_owned()),
        ("members", "variables.edited.filter(s, s.of == 'members')".to_owned()),
        ("few", beyond("replicas", "min", &filter("members", "int(s.new) < b && (s.old == '' || int(s.new) < int(s.old))"))),
        ("many", beyond("replicas", "max", &filter("members", "int(s.new) > b && (s.old == '' || int(s.new) > int(s.old))"))),
        (
            "far",
            beyond(
                "replicas",
                "maxStep",
                &filter("members", "s.old != '' && (int(s.new) - int(s.old) > b || int(s.old) - int(s.new) > b)"),
            ),
        ),
        ("small", beyond("storage", "min", &amount("wished", "s.new", &format!("< 0 && {}", nearer("<"))))),
        ("large", beyond("storage", "max", &amount("wished", "s.new", &format!("> 0 && {}", nearer(">"))))),
        (
            "leaps",
            beyond(
                "storage",
                "maxStep",
                &bounded(&format!(
                    "variables.wished.filter(s, s.old != '' && {old} && {compared} > 0\n&& {step}.compareTo(quantity(string(b))) > 0)"
                )),
            ),
        ),
    ]);
    let mut validations = vec![direct_edits(engine)];
    validations.extend([
        at_least(POLICY_REPLICAS.id, "few", "replicas", "members"),
        at_most(POLICY_REPLICAS.id, "many", "replicas", "members"),
        in_steps(POLICY_REPLICAS.id, "far", "replicas", "members"),
        at_least(POLICY_STORAGE.id, "small", "storage", "for a volume"),
        at_most(POLICY_STORAGE.id, "large", "storage", "for a volume"),
        in_steps(POLICY_STORAGE.id, "leaps", "storage", "for a volume"),
    ]);
    Policy {
        name: format!("dbscale-{}-database-scaling", engine.name),
        // A policy is about scaling: a database that is created is not judged.
        operations: &["UPDATE"],
        variables,
        validations,
        ..database::policy(engine)
    }
}

/// Whether the ScalingPolicy is about the engine and the namespace.
fn reaches(engine: &Engine) -> String {
    let engines = "params.spec.?engines.orValue([])";
    let name = cel::quoted(&engine.name);
    format!("({engines}.size() == 0 || {name} in {engines})\n&& {}", selects("namespaceSelector", "variables.labels"))
}

/// Whether the ScalingPolicy is about databases whatever their labels.
fn names_no_labels() -> String {
    let part = |field: &str, none: &str| format!("params.spec.?selector.?{field}.orValue({none}).size() == 0");
    format!("{} && {}", part("matchLabels", "{}"), part("matchExpressions", "[]"))
}

/// Whether a selector of the ScalingPolicy matches labels.
///
/// Source: k8s.io/apimachinery, `meta/v1.LabelSelectorAsSelector`.
fn selects(selector: &str, labels: &str) -> String {
    let at = format!("params.spec.?{selector}");
    let one_of = format!("(e.key in {labels} && {labels}[e.key] in e.?values.orValue([]))");
    format!(
        "({at}.?matchLabels.orValue({{}}).all(k, k in {labels} && {labels}[k] == params.spec.{selector}.matchLabels[k])\n\
         && {at}.?matchExpressions.orValue([]).all(e, e.operator == 'In' ? {one_of} :\n\
         e.operator == 'NotIn' ? !{one_of} : (e.operator == 'Exists') == (e.key in {labels})))"
    )
}

/// Those of `list` for which `test` holds of `s` and the bound `b`.
fn filter(list: &str, test: &str) -> String {
    format!("variables.{list}.filter(s, {test})")
}

/// Those of `list` whose amount `text` compares with the bound `b` as `how` says.
fn amount(list: &str, text: &str, how: &str) -> String {
    bounded(&filter(list, &format!("quantity({text}).compareTo(quantity(string(b))) {how}")))
}

/// A list that is worked out only where the bound `b` is an amount.
fn bounded(list: &str) -> String {
    format!("!{} ? [] :\n{list}", cel::readable("string(b)"))
}

/// What breaks the bound `b` that the ScalingPolicy sets at `spec.FIELD.KEY`; nothing where it sets none, or is not about it.
fn beyond(field: &str, key: &str, list: &str) -> String {
    format!("!variables.covers ? [] :\nparams.spec.?{field}.?{key}.optMap(b, {list}).orValue([])")
}

fn at_least(rule: RuleId, broken: &'static str, field: &str, of: &str) -> Validation {
    says(rule, broken, field, "min", of, ["", " at least"], " or more")
}

fn at_most(rule: RuleId, broken: &'static str, field: &str, of: &str) -> Validation {
    says(rule, broken, field, "max", of, ["", " at most"], " or less")
}

fn in_steps(rule: RuleId, broken: &'static str, field: &str, of: &str) -> Validation {
    says(rule, broken, field, "maxStep", of, ["steps of ", " at most"], " at a time")
}

/// `9 members: ScalingPolicy production allows 7 at most (spec.replicas.max); ask for 7 or less (spec.horizontalScaling.…)`
fn says(
    rule: RuleId,
    broken: &'static str,
    field: &str,
    key: &str,
    of: &str,
    [before, after]: [&str; 2],
    remedy: &str,
) -> Validation {
    let bound = format!("string(params.spec.{field}.{key})");
    let first = |part: &str| format!("variables.{broken}[0].{part}");
    let asked = cel::short(&first("new"));
    let asked = if key == "maxStep" { format!("{} + ' → ' + {asked}", cel::short(&first("old"))) } else { asked };
    Validation {
        rule,
        holds: format!("variables.{broken}.size() == 0"),
        says: format!(
            "{asked} + ' {of}: ScalingPolicy ' + params.metadata.name + ' allows {before}' + {bound} + \
             '{after} (spec.{field}.{key}); ask for ' + {bound} + '{remedy} (' + {} + ')'",
            first("at")
        ),
    }
}

fn direct_edits(engine: &Engine) -> Validation {
    Validation {
        rule: POLICY_DIRECT_EDITS.id,
        holds: "!(variables.covers && params.spec.?directEdits.orValue('') == 'deny') || variables.edited.size() == 0"
            .to_owned(),
        says: format!(
            "'the ' + variables.edited[0].of + ' of {engine}/' + object.metadata.name + ' are edited directly, and \
             ScalingPolicy ' + params.metadata.name + ' refuses direct edits (spec.directEdits); use kubectl dbscale \
             horizontal {engine}/' + object.metadata.name + ' (' + variables.edited[0].at + ')'",
            engine = engine.name
        ),
    }
}

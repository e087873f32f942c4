//! The policy for a kind of OpsRequest where there is no webhook: the rules that need to know nothing but the request.

use super::object::{Policy, Validation};
use super::{cel, request};
use crate::catalog::{Engine, Node, Pointer, STANZAS, Segment, Stanza};
use crate::quantity::Quantity;
use crate::rules::{
    NEEDED, REPLICAS_MINIMUM, RESOURCES_INVALID, RESOURCES_REQUEST_ABOVE_LIMIT, STANZA_EMPTY, STANZA_IGNORED,
    STANZA_INCOMPLETE, STANZA_MISSING, STORAGE_MINIMUM,
};

/// The policy for the engine's OpsRequests.
pub(super) fn policy(engine: &Engine) -> Policy {
    let beside = request::policy(engine);
    let mut variables = beside.variables;
    variables.extend(values(engine));
    let mut validations = beside.validations;
    validations.extend(stanzas(engine));
    validations.extend(numbers());
    validations.extend(ignored(engine));
    Policy { variables, validations, ..beside }
}

/// The stanzas that the engine has, with their forms.
fn stanzas_of(engine: &Engine) -> impl Iterator<Item = &'static Stanza> {
    STANZAS.into_iter().filter(|s| engine.form().stanza(s).is_some())
}

fn values(engine: &Engine) -> Vec<(&'static str, String)> {
    let leaves = engine.form().leaves();
    let numbers = leaves.iter().filter(|(_, node)| is_number(node));
    let numbers: Vec<String> = numbers.map(|(at, _)| request::size(at)).collect();
    let blocks: Vec<String> =
        leaves.iter().filter(|(_, n)| matches!(n, Node::Resources(_))).map(|(at, _)| block(at)).collect();
    let (amount, limit) = ("string(r.amounts[k])", "string(b.limits[k])");
    let request = "string(b.requests[k])";
    let readable = |texts: [&str; 2]| texts.map(cel::readable).join(" && ");
    let first = "filter(l, l.size() > 0).map(l, l[0])";
    vec![
        ("type", "object.?spec.?type.orValue('')".to_owned()),
        ("numbers", format!("!variables.scales ? [] :\n{}", cel::joined(&numbers))),
        ("blocks", format!("!variables.scales || variables.crowded.size() > 0 ? [] :\n{}", cel::joined(&blocks))),
        ("few", "variables.numbers.filter(c, c.new != '' && int(c.new) < 1)".to_owned()),
        (
            "small",
            format!(
                "variables.sizes.filter(s, s.new != '' && {}\n&& quantity(s.new).compareTo(quantity('{}')) < 0)",
                cel::readable("s.new"),
                Quantity::GIGABYTE
            ),
        ),
        ("bare", "variables.blocks.filter(b, b.there && b.requests.size() + b.limits.size() == 0)".to_owned()),
        (
            "nothing",
            format!(
                "variables.crowded.size() > 0 ? [] :\nvariables.resources.map(r, r.amounts.filter(k, {}\n\
                 && (sign(quantity({amount})) < 0 || (k in {} && sign(quantity({amount})) == 0)))\n\
                 .map(k, {{'at': string(r.at) + '.' + k, 'new': {amount}}})).{first}",
                cel::readable(amount),
                cel::list(NEEDED)
            ),
        ),
        (
            "above",
            format!(
                "variables.blocks.map(b, b.requests.filter(k, k in b.limits && {}\n\
                 && quantity({request}).compareTo(quantity({limit})) > 0)\n\
                 .map(k, {{'at': string(b.at) + '.requests.' + k, 'new': {request}, 'limit': {limit}}})).{first}",
                readable([request, limit])
            ),
        ),
    ]
}

/// A number that is some component's, whatever else the request holds.
fn is_number(node: &Node) -> bool {
    matches!(node, Node::Count(askers) if askers.iter().any(|a| a.with.is_empty()))
}

/// A list of the map `{at, there, requests, limits}` of a container's resources.
fn block(pointer: &Pointer) -> String {
    cel::maps(pointer, |at, value| {
        format!(
            "{{'at': dyn({at}), 'there': dyn({value}.hasValue()),\n'requests': dyn({value}.?requests.orValue({{}})), \
             'limits': dyn({value}.?limits.orValue({{}}))}}"
        )
    })
}

fn stanzas(engine: &Engine) -> Vec<Validation> {
    let named = |stanza: &Stanza| format!("variables.type == '{}'", stanza.ops_type);
    let mut all = Vec::new();
    for stanza in stanzas_of(engine) {
        all.push(Validation {
            rule: STANZA_MISSING.id,
            holds: unless(&format!("{} && !{}", named(stanza), there(stanza))),
            says: cel::quoted(&format!(
                "spec.type is {}, but there is no spec.{field}; add spec.{field}",
                stanza.ops_type,
                field = stanza.field
            )),
        });
    }
    for stanza in stanzas_of(engine) {
        let fields: Vec<String> =
            engine.form().leaves().iter().filter(|(at, node)| is_in(at, stanza) && node.asks()).map(asked).collect();
        let filled = if fields.is_empty() { "false".to_owned() } else { fields.join("\n|| ") };
        all.push(Validation {
            rule: STANZA_EMPTY.id,
            holds: unless(&format!("{} && {} && !(\n{filled})", named(stanza), there(stanza))),
            says: cel::quoted(&format!(
                "spec.{} asks for nothing that {} knows; its fields: kubectl dbscale engines {}",
                stanza.field,
                engine.ops_kind(),
                engine.name
            )),
        });
    }
    for (at, node) in engine.form().leaves() {
        if matches!(node, Node::Count(askers) if askers.iter().any(|a| a.together)) && !at.is_list() {
            let way = at.segments();
            let (above, number) = (cel::optional("object", &way[..way.len() - 1]), cel::optional("object", way));
            all.push(Validation {
                rule: STANZA_INCOMPLETE.id,
                holds: unless(&format!("{above}.hasValue() && !{number}.hasValue()")),
                says: cel::quoted(&format!(
                    "{} is missing: KubeDB takes it for 0; send it along; the present number if it shall stay",
                    at.dotted()
                )),
            });
        }
    }
    all
}

/// Told last: a client that hears of nothing else may make two requests of one.
fn ignored(engine: &Engine) -> impl Iterator<Item = Validation> {
    stanzas_of(engine).map(|stanza| {
        let says = format!(
            "'spec.type is ' + variables.type + ': KubeDB would drop spec.{} without a word; make a request of its own, of \
             type {}, for it'",
            stanza.field, stanza.ops_type
        );
        let there = format!("variables.type != '{}' && {}", stanza.ops_type, there(stanza));
        Validation { rule: STANZA_IGNORED.id, holds: unless(&there), says }
    })
}

/// Whether a request has a stanza.
fn there(stanza: &Stanza) -> String {
    format!("object.?spec.?{}.hasValue()", stanza.field)
}

/// What must not be of a request that is created and scales.
fn unless(wrong: &str) -> String {
    format!("!(variables.scales && {wrong})")
}

fn is_in(at: &Pointer, stanza: &Stanza) -> bool {
    matches!(at.segments().get(1), Some(Segment::Field(field)) if field == stanza.field)
}

/// Whether something is there at a place, or in any item of a list.
fn asked((at, _): &(Pointer, &Node)) -> String {
    match cel::split(at) {
        None => format!("{}.hasValue()", cel::optional("object", at.segments())),
        Some((list, _, rest)) => format!(
            "{}.orValue([]).exists(i, {}.hasValue())",
            cel::optional("object", &list),
            cel::optional("i", &rest)
        ),
    }
}

fn numbers() -> Vec<Validation> {
    let none = |variable: &str| format!("variables.{variable}.size() == 0");
    let at = |variable: &str| format!("' (' + variables.{variable}[0].at + ')'");
    let new = |variable: &str| cel::short(&format!("variables.{variable}[0].new"));
    let floor = Quantity::GIGABYTE;
    vec![
        Validation {
            rule: REPLICAS_MINIMUM.id,
            holds: none("few"),
            says: format!(
                "{} + ' is too few: at least 1 must stay; ask for 1 or more; to stop the database, set spec.halted on it' + {}",
                new("few"),
                at("few")
            ),
        },
        Validation {
            rule: RESOURCES_INVALID.id,
            holds: none("bare"),
            says: "'no resources are given; give requests and limits of cpu and memory (' + \
                   string(variables.bare[0].at) + ')'"
                .to_owned(),
        },
        Validation {
            rule: RESOURCES_INVALID.id,
            holds: none("nothing"),
            says: format!("{} + ' is not more than nothing; ask for more than 0' + {}", new("nothing"), at("nothing")),
        },
        Validation {
            rule: RESOURCES_REQUEST_ABOVE_LIMIT.id,
            holds: none("above"),
            says: format!(
                "'the request of ' + {} + ' is above the limit of ' + {} + '; raise the limit or lower the request' + {}",
                new("above"),
                cel::short("variables.above[0].limit"),
                at("above")
            ),
        },
        Validation {
            rule: STORAGE_MINIMUM.id,
            holds: none("small"),
            says: format!(
                "{} + ' is below the least size of a volume, {floor} (10^9 bytes); ask for {floor} or more' + {}",
                new("small"),
                at("small")
            ),
        },
    ]
}

//! The policy for a kind of OpsRequest that stands beside the webhook: amounts that nobody should compute, and the spec that
//! never changes. All else is the webhook's, which tells everything at once.

use super::cel;
use super::object::{Policy, Validation};
use crate::amount::Side;
use crate::catalog::{Engine, Node, OPS_GROUP, OPS_VERSION, Pointer, STANZAS};
use crate::rules::{QUANTITY_UNREADABLE, REQUEST_IMMUTABLE};

/// The most amounts that one block of resources may hold. Kubernetes knows a dozen; each costs the API server time.
const MOST_AMOUNTS: usize = 100;

/// The policy for the engine's OpsRequests.
pub(super) fn policy(engine: &Engine) -> Policy {
    Policy {
        name: format!("dbscale-{}-request", engine.name),
        group: OPS_GROUP,
        versions: vec![OPS_VERSION.to_owned()],
        resource: engine.ops_plural(),
        operations: &["CREATE", "UPDATE"],
        compared: None,
        failure: "Fail",
        conditions: conditions(),
        variables: amounts(engine),
        validations: validations(engine),
    }
}

/// What is the same of all policies for OpsRequests.
pub(super) fn conditions() -> Vec<(&'static str, String)> {
    vec![
        ("spec-changes", "oldObject == null || object.?spec != oldObject.?spec".to_owned()),
        ("is-not-being-deleted", "!has(object.metadata.deletionTimestamp)".to_owned()),
    ]
}

/// Whether the request is created and scales: the stanzas of other types are nobody's business.
pub(super) fn scales() -> String {
    format!("oldObject == null && object.?spec.?type.orValue('') in {}", cel::list(STANZAS.map(|s| s.ops_type)))
}

/// The variables `scales`, `sizes`, `resources`, and what is unreadable among them.
pub(super) fn amounts(engine: &Engine) -> Vec<(&'static str, String)> {
    let leaves = engine.form().leaves();
    let of = |wanted: fn(&Node) -> bool| leaves.iter().filter(move |(_, n)| wanted(n)).map(|(p, _)| p);
    let sizes: Vec<String> = of(|n| matches!(n, Node::Amount(_))).map(size).collect();
    let resources: Vec<String> = of(|n| matches!(n, Node::Resources(_))).flat_map(both_sides).collect();
    vec![
        ("scales", scales()),
        ("sizes", format!("!variables.scales ? [] :\n{}", cel::joined(&sizes))),
        ("resources", format!("!variables.scales ? [] :\n{}", cel::joined(&resources))),
        ("crowded", format!("variables.resources.filter(r, r.amounts.size() > {MOST_AMOUNTS})")),
        ("unreadable", unreadable()),
    ]
}

/// Sizes that are unreadable, and of each block of resources the first amount that is.
fn unreadable() -> String {
    let (size, amount) = (cel::readable("s.new"), cel::readable("string(r.amounts[k])"));
    format!(
        "variables.sizes.filter(s, s.new != '' && !{size})\n\
         + (variables.crowded.size() > 0 ? [] : variables.resources.map(r, r.amounts.filter(k, !{amount})\n\
         .map(k, {{'at': string(r.at) + '.' + k, 'new': string(r.amounts[k])}}))\n\
         .filter(l, l.size() > 0).map(l, l[0]))"
    )
}

/// A list of the map `{at, new}` of a number or a size.
pub(super) fn size(pointer: &Pointer) -> String {
    cel::maps(pointer, |at, value| format!("{{'at': {at}, 'new': {}}}", cel::text(value)))
}

/// The lists of both sides of a container's resources.
pub(super) fn both_sides(block: &Pointer) -> [String; 2] {
    Side::ALL.map(|side| side_of(&block.field(side.field())))
}

/// A list of the map `{at, amounts}` of the requests or the limits of a container.
fn side_of(pointer: &Pointer) -> String {
    cel::maps(pointer, |at, value| format!("{{'at': dyn({at}), 'amounts': dyn({value}.orValue({{}}))}}"))
}

pub(super) fn validations(engine: &Engine) -> Vec<Validation> {
    vec![
        Validation {
            rule: REQUEST_IMMUTABLE.id,
            holds: "oldObject == null || object.?spec == oldObject.?spec".to_owned(),
            says: cel::quoted(&format!(
                "the spec of a {} never changes; make a new request, and delete this one if it has not begun",
                engine.ops_kind()
            )),
        },
        Validation {
            rule: QUANTITY_UNREADABLE.id,
            holds: "variables.unreadable.size() == 0".to_owned(),
            says: format!(
                "{} + ' is no amount, or one beyond all sense; write a number and a unit, such as 50Gi (' + \
                 variables.unreadable[0].at + ')'",
                cel::short("variables.unreadable[0].new")
            ),
        },
        Validation {
            rule: QUANTITY_UNREADABLE.id,
            holds: "variables.crowded.size() == 0".to_owned(),
            says: format!("'more than {MOST_AMOUNTS} amounts are in ' + variables.crowded[0].at"),
        },
    ]
}

//! The policy that compares the sizes of an OpsRequest with the live database, where there is no webhook.
//!
//! Each database of the namespace is a parameter, and all of them must agree: so those that the request does not name agree
//! with anything, and that the named one is missing cannot be said.

use super::database::{Users, applies};
use super::object::{Policy, Validation};
use super::{cel, request};
use crate::catalog::{Component, DATABASE_GROUP, Engine, Node, Pointer, VOLUME};
use crate::rules::{STORAGE_NO_SHRINK, STORAGE_NOT_GREATER};

/// The policy for the engine's OpsRequests; `None` where no request changes a size.
pub(super) fn policy(engine: &Engine) -> Option<Policy> {
    let leaves = engine.form().leaves();
    let wishes: Vec<String> = leaves
        .iter()
        .filter_map(|(at, node)| match node {
            Node::Amount(components) => Some(wish(engine, at, components)),
            _ => None,
        })
        .collect();
    let mut conditions = request::conditions();
    conditions.push(("grows-volumes", format!("object.?spec.?type.orValue('') == '{}'", VOLUME.ops_type)));
    Some(Policy {
        name: format!("dbscale-{}-request-live", engine.name),
        operations: &["CREATE"],
        compared: Some((format!("{DATABASE_GROUP}/{}", engine.versions.first()?), engine.kind.clone())),
        conditions,
        variables: variables(engine, &wishes),
        validations: validations(),
        ..request::policy(engine)
    })
    .filter(|_| !wishes.is_empty())
}

fn variables(engine: &Engine, wishes: &[String]) -> Vec<(&'static str, String)> {
    let named = format!("object.?spec.?{}.?name.orValue('') == params.metadata.name", engine.reference);
    let compares = |how: &str| {
        format!(
            "w.now.exists(n, n != '' && {}\n&& quantity(string(w.new)).compareTo(quantity(string(n))) {how} 0)",
            cel::readable("string(n)")
        )
    };
    let readable = cel::readable("string(w.new)");
    vec![
        ("topology", cel::topology(engine, "params")),
        ("wishes", format!("!({named}) ? [] :\n{}", cel::joined(wishes))),
        ("smaller", format!("variables.wishes.filter(w, w.new != '' && {readable}\n&& {})", compares("<"))),
        (
            "equal",
            format!(
                "variables.wishes.filter(w, w.new != '' && {readable}\n&& !{}\n&& {})",
                compares("<"),
                compares("==")
            ),
        ),
    ]
}

/// A list of the map `{at, new, now}`, `now` being the sizes that the component has.
fn wish(engine: &Engine, at: &Pointer, components: &[usize]) -> String {
    let all = components.iter().filter_map(|index| engine.components.get_index(*index));
    let now: Vec<String> = all.map(|(key, component)| sizes(engine, key, component)).collect();
    let now = cel::joined(&now);
    cel::maps(at, |at, value| format!("{{'at': dyn({at}), 'new': dyn({}),\n'now': dyn({now})}}", cel::text(value)))
}

/// The sizes that a component of the database has; an empty list where it is not there.
fn sizes(engine: &Engine, key: &str, component: &Component) -> String {
    let Some(size) = component.storage.as_ref().filter(|s| s.at.is_some()).map(|s| &s.size) else {
        return "[]".to_owned();
    };
    let with_it = engine.topologies.iter().filter(|t| t.components.iter().any(|c| c == key));
    let users: Users = with_it.map(|t| (t.name.as_str(), component.exists.as_ref())).collect();
    let here = applies("variables.topology", Some("params"), &users);
    let values = match cel::split(size) {
        None => format!("[{}]", cel::text(&cel::optional("params", size.segments()))),
        Some((list, _, rest)) => {
            format!("{}.orValue([]).map(o, {})", cel::optional("params", &list), cel::text(&cel::optional("o", &rest)))
        }
    };
    format!("({here} ? {values} : [])")
}

fn validations() -> Vec<Validation> {
    let new = |variable: &str| cel::short(&format!("string(variables.{variable}[0].new)"));
    let now = |variable: &str| format!("variables.{variable}[0].now.filter(n, n != '').map(n, string(n)).join(', ')");
    let at = |variable: &str| format!("' (' + string(variables.{variable}[0].at) + ')'");
    vec![
        Validation {
            rule: STORAGE_NO_SHRINK.id,
            holds: "variables.smaller.size() == 0".to_owned(),
            says: format!(
                "{} + ' is less than the present ' + {} + ': volumes only grow; ask for more, or restore a backup into a \
                 smaller database' + {}",
                new("smaller"),
                now("smaller"),
                at("smaller")
            ),
        },
        Validation {
            rule: STORAGE_NOT_GREATER.id,
            holds: "variables.equal.size() == 0".to_owned(),
            says: format!(
                "{} + ' is the present size; ask for more than ' + {} + {}",
                new("equal"),
                now("equal"),
                at("equal")
            ),
        },
    ]
}

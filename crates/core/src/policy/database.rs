//! The policy for a kind of database: volumes only grow and have a floor, a component keeps a member.

use indexmap::IndexMap;

use super::object::{Policy, Validation};
use super::{OPERATORS, cel};
use crate::catalog::{Component, Count, DATABASE_GROUP, Engine, Pointer, Segment};
use crate::plan::REVERT_TO;
use crate::quantity::Quantity;
use crate::rules::{QUANTITY_UNREADABLE, REPLICAS_MINIMUM, STORAGE_MINIMUM, STORAGE_NO_SHRINK};

/// The policy for the engine's databases.
pub(super) fn policy(engine: &Engine) -> Policy {
    Policy {
        name: format!("dbscale-{}-database", engine.name),
        group: DATABASE_GROUP,
        versions: engine.versions.clone(),
        resource: engine.plural.clone(),
        operations: &["CREATE", "UPDATE"],
        compared: None,
        failure: "Fail",
        conditions: conditions(),
        variables: variables(engine),
        validations: validations(),
    }
}

fn conditions() -> Vec<(&'static str, String)> {
    let is = |name: &&str| match name.strip_suffix('*') {
        Some(beginning) => format!("request.userInfo.username.startsWith({})", cel::quoted(beginning)),
        None => format!("request.userInfo.username == {}", cel::quoted(name)),
    };
    let operator = OPERATORS.iter().map(is).collect::<Vec<_>>().join(" || ");
    vec![
        ("spec-changes", "oldObject == null || object.?spec != oldObject.?spec".to_owned()),
        ("is-not-being-deleted", "!has(object.metadata.deletionTimestamp)".to_owned()),
        ("is-not-written-by-kubedb", format!("!({operator})")),
    ]
}

/// Where one value stands, and the components that it is of: (topology, the place without which it does not exist).
pub(super) type Users<'e> = Vec<(&'e str, Option<&'e Pointer>)>;

fn variables(engine: &Engine) -> Vec<(&'static str, String)> {
    let size = |c: &'_ Component| c.storage.as_ref().filter(|s| s.at.is_some()).map(|s| s.size.clone());
    let count = |count: &Option<Count>| count.as_ref().and_then(|c| c.at.clone());
    let sizes = places(engine, "", size);
    let mut counts = places(engine, "members", |c| count(&c.replicas));
    counts.extend(places(engine, "shards", |c| count(&c.shards)));
    let (new, old) = (cel::readable("s.new"), cel::readable("s.old"));
    let compared = "quantity(s.new).compareTo(quantity(s.old))";
    let floor = Quantity::GIGABYTE;
    let revert = cel::quoted(REVERT_TO);
    let annotation = |root: &str| format!("{root}.metadata.?annotations[?{revert}].orValue('')");
    vec![
        ("topology", cel::topology(engine, "object")),
        ("before", format!("oldObject == null ? '' :\n{}", cel::topology(engine, "oldObject"))),
        ("sizes", cel::joined(&sizes)),
        ("counts", cel::joined(&counts)),
        ("changed", "variables.sizes.filter(s, s.new != s.old)".to_owned()),
        ("unreadable", format!("variables.changed.filter(s, s.new != '' && !{new})")),
        // Another spelling of the same amount is no wish.
        (
            "wished",
            format!("variables.changed.filter(s, s.new != '' && {new}\n&& (s.old == '' || !{old} || {compared} != 0))"),
        ),
        ("lost", "variables.changed.filter(s, s.new == '')".to_owned()),
        // The way back from a failed expansion: the same update says so. The webhook, which is asked then, looks at the claims.
        (
            "revert",
            format!(
                "oldObject != null && {} != {} ? {} : ''",
                annotation("object"),
                annotation("oldObject"),
                annotation("object")
            ),
        ),
        (
            "smaller",
            format!("variables.wished.filter(s, s.old != '' && s.new != variables.revert && {old}\n&& {compared} < 0)"),
        ),
        // Of a database that is created a small volume is only warned of, which is the webhook's to do.
        (
            "small",
            format!(
                "oldObject == null ? [] : variables.wished.filter(s, quantity(s.new).compareTo(quantity('{floor}')) < 0)"
            ),
        ),
        ("few", "variables.counts.filter(c, c.new != '' && c.new != c.old && int(c.new) < 1)".to_owned()),
    ]
}

/// One expression a place: a list of maps `{at, new, old}`, with `of` where there is a unit. What is not there is empty.
fn places(engine: &Engine, unit: &str, at: impl Fn(&Component) -> Option<Pointer>) -> Vec<String> {
    let mut places: IndexMap<Pointer, Users> = IndexMap::new();
    for topology in &engine.topologies {
        for component in engine.components_of(topology) {
            if let Some(pointer) = at(component) {
                let user = (topology.name.as_str(), component.exists.as_ref());
                let users = places.entry(pointer).or_default();
                if !users.contains(&user) {
                    users.push(user);
                }
            }
        }
    }
    places.iter().map(|(pointer, users)| place(pointer, users, unit)).collect()
}

fn value(root: &str, way: &[Segment]) -> String {
    cel::text(&cel::optional(root, way))
}

fn place(pointer: &Pointer, users: &Users, unit: &str) -> String {
    let here = applies("variables.topology", Some("object"), users);
    let before = applies("variables.before", None, users);
    let unit = if unit.is_empty() { String::new() } else { format!(", 'of': {}", cel::quoted(unit)) };
    match cel::split(pointer) {
        None => {
            let (at, way) = (cel::quoted(&pointer.dotted()), pointer.segments());
            let (new, old) = (value("object", way), value("oldObject", way));
            format!("({here} ? [{{'at': {at},\n'new': {new},\n'old': {before} ? {old} : ''{unit}}}] : [])")
        }
        Some((list, key, rest)) => {
            let name = |item: &str| format!("{item}.?{key}.orValue('')");
            let at = cel::place_of_item(pointer, key, &name("i"));
            let (new, old) = (value("i", &rest), value("o", &rest));
            let items = |root: &str| format!("{}.orValue([])", cel::optional(root, &list));
            let (all, then) = (items("object"), items("oldObject"));
            // The item of the same name, or an empty text.
            let same = format!("({then}.filter(o, {} == {}).map(o, {old}) + [''])[0]", name("o"), name("i"));
            format!("({here} ? {all}.map(i, {{'at': {at},\n'new': {new},\n'old': {before} ? {same} : ''{unit}}}) : [])")
        }
    }
}

/// Whether one of the components is there: in which topologies, and, where `root` is given, with the place that makes it.
pub(super) fn applies(topology: &str, root: Option<&str>, users: &Users) -> String {
    let mut groups: IndexMap<Option<&Pointer>, Vec<&str>> = IndexMap::new();
    for (name, exists) in users {
        groups.entry(exists.filter(|_| root.is_some())).or_default().push(name);
    }
    let test = |(exists, names): (Option<&Pointer>, Vec<&str>)| {
        let within = format!("{topology} in {}", cel::list(&names));
        match (exists, root) {
            (Some(exists), Some(root)) => {
                format!("({within} && {}.hasValue())", cel::optional(root, exists.segments()))
            }
            _ => within,
        }
    };
    let tests: Vec<String> = groups.into_iter().map(test).collect();
    if tests.len() == 1 { tests.concat() } else { format!("({})", tests.join(" || ")) }
}

fn validations() -> Vec<Validation> {
    let none = |variable: &str| format!("variables.{variable}.size() == 0");
    let first = |variable: &str, field: &str| format!("variables.{variable}[0].{field}");
    let at = |variable: &str| format!("' (' + {} + ')'", first(variable, "at"));
    vec![
        Validation {
            rule: QUANTITY_UNREADABLE.id,
            holds: none("unreadable"),
            says: format!(
                "{} + ' is no amount, or one beyond all sense; write a number and a unit, such as 50Gi' + {}",
                cel::short(&first("unreadable", "new")),
                at("unreadable")
            ),
        },
        Validation {
            rule: STORAGE_NO_SHRINK.id,
            holds: none("lost"),
            says: format!(
                "'the size ' + {old} + ' is taken away: volumes stay as they are; leave ' + {old} + ' there' + {}",
                at("lost"),
                old = cel::short(&first("lost", "old")),
            ),
        },
        Validation {
            rule: STORAGE_NO_SHRINK.id,
            holds: none("smaller"),
            says: format!(
                "{} + ' is less than the present ' + {old} + ': volumes only grow; ask for more than ' + {old} + ', or \
                 restore a backup into a smaller database' + {}",
                cel::short(&first("smaller", "new")),
                at("smaller"),
                old = cel::short(&first("smaller", "old")),
            ),
        },
        Validation {
            rule: STORAGE_MINIMUM.id,
            holds: none("small"),
            says: format!(
                "{} + ' is below the least size of a volume, {} (10^9 bytes); ask for {} or more' + {}",
                cel::short(&first("small", "new")),
                Quantity::GIGABYTE,
                Quantity::GIGABYTE,
                at("small")
            ),
        },
        Validation {
            rule: REPLICAS_MINIMUM.id,
            holds: none("few"),
            says: format!(
                "{} + ' ' + {} + ' is too few: at least 1 must stay; ask for 1 or more; to stop the database, set \
                 spec.halted on it' + {}",
                first("few", "new"),
                first("few", "of"),
                at("few")
            ),
        },
    ]
}

//! Limits of operations that more are active than: several webhooks that are asked in one moment may let in one more each, and
//! one that is away lets in whatever comes.

use std::collections::BTreeMap;

use super::Operations;

/// The operations that count against the limits of a policy: by their namespaces, `mongodbopsrequest/ask`.
pub type Active = BTreeMap<String, Vec<String>>;

/// How many namespaces are told of, of more than one.
const MOST_NAMESPACES: usize = 5;
/// How many operations of a place are named.
const MOST_OPERATIONS: usize = 10;

impl Operations {
    /// The limits that are exceeded, in words.
    #[must_use]
    pub fn exceeded(&self, active: &Active) -> Vec<String> {
        let count = |names: &Vec<String>| u32::try_from(names.len()).unwrap_or(u32::MAX);
        let mut told = Vec::new();
        if let Some(limit) = self.per_namespace {
            let mut over = active.iter().filter(|(_, names)| count(names) > limit);
            let first = over.by_ref().take(MOST_NAMESPACES).map(|(namespace, names)| {
                let place = format!("namespace {namespace}");
                sentence(names.len(), &place, limit, "perNamespace", names.iter().cloned())
            });
            told.extend(first);
            match over.count() {
                0 => {}
                more => told.push(format!("and in {more} more namespaces")),
            }
        }
        let all = active.values().map(Vec::len).sum::<usize>();
        if let Some(limit) = self.per_cluster.filter(|limit| u32::try_from(all).unwrap_or(u32::MAX) > *limit) {
            let names =
                active.iter().flat_map(|(place, names)| names.iter().map(move |name| format!("{place}/{name}")));
            told.push(sentence(all, "the cluster", limit, "perCluster", names));
        }
        told
    }
}

/// `3 operations are active in namespace demo, and 2 are allowed (spec.operations.perNamespace): a, b, c`.
fn sentence(active: usize, place: &str, limit: u32, field: &str, names: impl Iterator<Item = String>) -> String {
    let are = if active == 1 { "operation is" } else { "operations are" };
    let mut names: Vec<String> = names.take(MOST_OPERATIONS + 1).collect();
    if names.len() > MOST_OPERATIONS {
        names.truncate(MOST_OPERATIONS);
        names.push(format!("{} more", active - MOST_OPERATIONS));
    }
    let names = names.join(", ");
    format!("{active} {are} active in {place}, {limit} allowed (spec.operations.{field}): {names}")
}

//! Checks of the surroundings: whether an operation that begins can also end.
//!
//! They are rules that see more: nodes, pods, quotas, limit ranges and budgets, as they were read just before. Nothing is
//! looked up here; what is not in [`Around`] is not known, and is not judged.

pub mod amounts;
mod disruption_budget;
mod expansion;
mod limit_range;
pub mod misfit;
pub mod moves;
mod node_fit;
pub mod object;
pub mod place;
mod quorum;
mod quota;
pub mod selector;
pub mod stay;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod together_tests;
pub mod usage;
pub mod walk;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::change::{Change, What};
use crate::database::{ComponentView, Database};
use crate::facts::Facts;
use crate::finding::{Finding, RuleId, Severity};
use crate::rules::Rule;
use moves::{Move, Moved};
use object::{Budget, Claim, LimitRange, Metadata, Node, PersistentVolume, Pod, Quota};

/// What is around a database. `None`: nobody looked, or it may not be read.
#[derive(Debug, Default)]
pub struct Around {
    /// Nodes.
    pub nodes: Option<Vec<Node>>,
    /// The pods that have not ended.
    pub pods: Option<Vec<Pod>>,
    /// Which pods and nodes these are.
    pub reach: Reach,
    /// Quotas, those of the database's namespace among them.
    pub quotas: Option<Vec<Quota>>,
    /// Limit ranges, likewise.
    pub limit_ranges: Option<Vec<LimitRange>>,
    /// Budgets, likewise.
    pub budgets: Option<Vec<Budget>>,
    /// Claims, likewise.
    pub claims: Option<Vec<Claim>>,
    /// Volumes: those of the cluster, or those of the claims.
    pub volumes: Option<Vec<PersistentVolume>>,
    /// What makes new nodes where there is no room.
    pub autoscaler: Autoscaler,
}

/// Which nodes and pods are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// Pods of the databases, or of their namespaces, and no nodes.
    #[default]
    Own,
    /// The nodes where pods of the databases are, and all pods on them.
    OwnNodes,
    /// All nodes, and the pods of all namespaces.
    Cluster,
}

/// What makes new nodes where there is no room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Autoscaler {
    /// Nothing does, or nobody looked.
    #[default]
    None,
    /// Something does: `Karpenter (NodePool general)`.
    Seen(String),
    /// Whether something does may not be seen.
    Hidden,
}

/// How the checks are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// What cannot pass refuses; what may pass warns.
    #[default]
    Auto,
    /// All of them refuse, but for a database that is not Ready.
    Enforce,
    /// All of them warn.
    Warn,
    /// Nothing is checked.
    Off,
}

/// How the checks are taken, and which of them refuse nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// For all of them.
    pub mode: Mode,
    /// The names of checks that only warn.
    pub forced: Vec<String>,
}

/// The names of the checks, each with the rules that speak for it. A storage class that cannot grow, and a database that is
/// not Ready, can be told without looking around: those are rules of every client.
pub const NAMES: [(&str, &[RuleId]); 8] = [
    ("quota", &[quota::CHECK.rule.id]),
    ("limit-range", &[limit_range::CHECK.rule.id]),
    ("class", &[RuleId("storage-class/missing"), RuleId("storage-class/not-expandable")]),
    ("expansion", &[expansion::CHECK.rule.id]),
    ("node-fit", &[node_fit::CHECK.rule.id]),
    ("disruption-budget", &[disruption_budget::CHECK.rule.id]),
    ("quorum", &[quorum::CHECK.rule.id]),
    ("not-ready", &[RuleId("database/not-ready")]),
];

/// The check that pods find a node.
pub const NODE_FIT: RuleId = node_fit::CHECK.rule.id;

/// A check: what a person wants to know of it, and what it finds.
#[derive(Debug)]
pub struct Check {
    /// Its name and words. Its own `check` sees too little, and finds nothing.
    pub rule: Rule,
    /// What it finds, after what other databases of the command have taken; it adds what this one takes.
    check: for<'w> fn(&Situation<'_, 'w>, &mut Taken<'w>) -> Vec<Finding>,
}

/// Every check that looks around, in the order of `explain` and of the findings.
pub const CHECKS: &[&Check] = &[
    &quota::CHECK,
    &limit_range::CHECK,
    &expansion::CHECK,
    &node_fit::CHECK,
    &disruption_budget::CHECK,
    &quorum::CHECK,
];

/// What databases of a command take of their surroundings, that are judged before others of it.
#[derive(Debug, Clone, Default)]
pub struct Taken<'w> {
    /// Of the nodes.
    nodes: Option<node_fit::Occupied<'w>>,
    /// Of each quota that they take of, by its index.
    quotas: BTreeMap<usize, quota::Used>,
}

/// `the database before it in this command takes`, `the 2 databases before it in this command take`
fn before_it(databases: usize) -> String {
    match databases {
        1 => "the database before it in this command takes".to_owned(),
        several => format!("the {several} databases before it in this command take"),
    }
}

/// A change with all that is known of its surroundings.
#[derive(Debug)]
pub struct Situation<'a, 'w> {
    /// The database.
    pub database: &'a Database,
    /// What the rules know.
    pub facts: &'a Facts,
    /// The changes, in the order in which they are made.
    pub changes: &'a [&'a Change],
    /// What is around.
    pub around: &'w Around,
    /// What becomes of the pods.
    pub moved: &'a [Moved],
    /// Whether all of the checks refuse.
    enforced: bool,
}

impl Situation<'_, '_> {
    /// The moves of all components, in order, each with its component.
    pub fn moves(&self) -> impl Iterator<Item = (&Moved, &Move)> {
        self.moved.iter().flat_map(|moved| moved.moves.iter().map(move |one| (moved, one)))
    }

    /// Whether something is in the database's namespace.
    fn is_near(&self, metadata: &Metadata) -> bool {
        metadata.namespace == self.database.namespace
    }

    /// A finding of a check, as grave as it is, or as all of them are to be.
    fn say(&self, check: &Check, path: &str, message: String) -> Finding {
        let refuses = self.enforced || check.rule.severity == Severity::Deny;
        if refuses { Finding::deny(check.rule.id, path, message) } else { Finding::warn(check.rule.id, path, message) }
    }
}

/// What has to be known of the surroundings to judge a change.
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// The pods of the databases.
    pub pods: bool,
    /// Where pods find room: nodes, the pods on them, claims and volumes.
    pub room: bool,
    /// The budgets.
    pub budgets: bool,
    /// Quotas and limit ranges.
    pub bounds: bool,
}

impl Needs {
    /// What is needed for changes of a database.
    #[must_use]
    pub fn of(database: &Database, changes: &[&Change]) -> Self {
        let mut needs = Self::default();
        for change in changes {
            let mode = change.request().map_or("", |request| request.mode.as_str());
            for wish in &change.wishes {
                let view = wish.view(database);
                match &wish.what {
                    What::Resources(_) => needs = needs.and(Self::restart()),
                    What::Storage(_) if mode == "Offline" => needs = needs.and(Self::restart()),
                    What::Storage(_) => needs.bounds = true,
                    What::Replicas(n) => needs = needs.and(Self::number(*n, view.and_then(ComponentView::replicas))),
                    What::Shards(n) => needs = needs.and(Self::number(*n, view.and_then(ComponentView::shards))),
                }
            }
        }
        needs
    }

    fn number(wanted: i64, now: Option<i64>) -> Self {
        let more = now.is_none_or(|now| wanted > now);
        Self { pods: true, room: more, budgets: false, bounds: more }
    }

    /// What is needed for a restart of its pods.
    #[must_use]
    pub fn restart() -> Self {
        Self { pods: true, room: true, budgets: true, bounds: true }
    }

    /// What either needs.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            pods: self.pods || other.pods,
            room: self.room || other.room,
            budgets: self.budgets || other.budgets,
            bounds: self.bounds || other.bounds,
        }
    }
}

/// What the checks say of changes that are made in this order. `object` is the database as it was read.
#[must_use]
pub fn judge(facts: &Facts, object: &Value, changes: &[&Change], around: &Around, choice: &Choice) -> Vec<Finding> {
    Taken::default().judge(facts, object, changes, around, choice, false)
}

impl<'w> Taken<'w> {
    /// What the checks say of a database of a command, after what those before it take. What it takes itself is added, but for
    /// one that is refused: by a check, or for another reason, which `refused` says.
    pub fn judge(
        &mut self,
        facts: &Facts,
        object: &Value,
        changes: &[&Change],
        around: &'w Around,
        choice: &Choice,
        refused: bool,
    ) -> Vec<Finding> {
        let Some(database) = facts.database.here() else { return Vec::new() };
        let mut moved = moves::moved(database, object, changes, around.pods.as_deref().unwrap_or_default());
        let mut then = self.clone();
        let findings = found(database, facts, changes, around, &mut moved, choice, &mut then);
        if !refused && !findings.iter().any(Finding::refuses) {
            *self = then;
        }
        findings
    }
}

/// What the checks would say of a restart of all pods of a database as it is. Nothing is asked for, so that all only warns.
#[must_use]
pub fn standing(facts: &Facts, object: &Value, around: &Around) -> Vec<Finding> {
    let Some(database) = facts.database.here() else { return Vec::new() };
    let mut moved = moves::restart(database, object, around.pods.as_deref().unwrap_or_default());
    let choice = Choice { mode: Mode::Warn, forced: Vec::new() };
    found(database, facts, &[], around, &mut moved, &choice, &mut Taken::default())
}

fn found<'w>(
    database: &Database,
    facts: &Facts,
    changes: &[&Change],
    around: &'w Around,
    moved: &mut [Moved],
    choice: &Choice,
    taken: &mut Taken<'w>,
) -> Vec<Finding> {
    if choice.mode == Mode::Off {
        return Vec::new();
    }
    let enforced = choice.mode == Mode::Enforce;
    limit_range::give_defaults(moved, around.limit_ranges.as_deref().unwrap_or_default(), &database.namespace);
    let situation = Situation { database, facts, changes, around, moved, enforced };
    choice.weighed(CHECKS.iter().flat_map(|check| (check.check)(&situation, taken)).collect())
}

impl Choice {
    /// Findings as this choice takes them: what is forced only warns, and so do the rules that speak for a check. Those of
    /// all other rules stay.
    #[must_use]
    pub fn weighed(&self, mut findings: Vec<Finding>) -> Vec<Finding> {
        let of =
            |finding: &Finding| NAMES.iter().find(|(_, rules)| rules.contains(&finding.rule)).map(|(name, _)| *name);
        if self.mode == Mode::Off {
            findings.retain(|finding| of(finding).is_none());
        }
        for finding in &mut findings {
            let Some(name) = of(finding) else { continue };
            if self.mode == Mode::Warn || self.forced.iter().any(|forced| forced == name) {
                finding.severity = Severity::Warn;
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::rules;

    #[test]
    fn each_check_has_a_name_and_each_name_speaks_for_rules_that_exist() {
        for check in CHECKS {
            let name = check.rule.id.0.strip_prefix("preflight/").unwrap();
            assert!(NAMES.iter().any(|(known, ids)| *known == name && ids.contains(&check.rule.id)), "{name}");
            assert_eq!(check.rule.exit, rules::EXIT_PRECHECK);
        }
        for (name, ids) in NAMES {
            assert!(ids.iter().all(|id| rules::find(id.0).is_some()), "{name}");
        }
    }

    #[rstest]
    #[case::automatic(Mode::Auto, &[], Some(Severity::Deny))]
    #[case::enforced(Mode::Enforce, &[], Some(Severity::Deny))]
    #[case::only_warned(Mode::Warn, &[], Some(Severity::Warn))]
    #[case::forced(Mode::Auto, &["class"], Some(Severity::Warn))]
    #[case::another_forced(Mode::Auto, &["quota"], Some(Severity::Deny))]
    #[case::switched_off(Mode::Off, &[], None)]
    fn a_class_that_cannot_grow(#[case] mode: Mode, #[case] forced: &[&str], #[case] said: Option<Severity>) {
        let choice = Choice { mode, forced: forced.iter().map(|f| (*f).to_owned()).collect() };
        let class = Finding::deny(RuleId("storage-class/not-expandable"), "", "");
        let shrink = Finding::deny(RuleId("storage/no-shrink"), "", "");
        let weighed = choice.weighed(vec![class.clone(), shrink.clone()]);
        assert_eq!(weighed.iter().find(|f| f.rule == class.rule).map(|f| f.severity), said);
        assert!(weighed.contains(&shrink), "no other rule is touched");
    }

    #[test]
    fn a_database_that_is_not_ready_never_refuses() {
        let waits = Finding::warn(RuleId("database/not-ready"), "", "");
        let choice = Choice { mode: Mode::Enforce, forced: Vec::new() };
        assert_eq!(choice.weighed(vec![waits.clone()]), [waits]);
    }
}

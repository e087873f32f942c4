//! The rules: pure functions over a [`Case`], one file each. All of them run, and all findings are told together.

mod audit_requested_by;
mod change_none;
mod component_duplicate;
mod component_exclusive;
mod component_not_in_topology;
mod component_unknown;
mod database_direct_edit;
mod database_missing;
mod database_not_ready;
mod database_ref_empty;
mod engine_unsupported;
mod gitops_tracked;
mod lookup_failed;
mod operation_active;
mod policy_cpu;
mod policy_direct_edits;
mod policy_memory;
mod policy_operations;
mod policy_replicas;
mod policy_size;
mod policy_storage;
mod policy_unreadable;
mod quantity_unreadable;
mod reference;
mod replicas_engine_bounds;
mod replicas_implausible;
mod replicas_minimum;
mod replicas_quorum;
mod replicas_scale_in;
mod replicas_transition;
mod request_immutable;
mod request_retries;
mod request_schema;
mod request_timeout;
mod request_type;
mod resources_implausible;
mod resources_in_place;
mod resources_invalid;
mod resources_request_above_limit;
mod resources_unknown_name;
mod stanza_empty;
mod stanza_ignored;
mod stanza_incomplete;
mod stanza_missing;
mod storage_class_missing;
mod storage_class_not_expandable;
mod storage_ephemeral;
mod storage_implausible;
mod storage_minimum;
mod storage_no_shrink;
mod storage_not_greater;
mod storage_template_drift;
#[cfg(test)]
pub(crate) mod testing;

pub use component_unknown::unknown_component;
pub use database_direct_edit::RULE as DIRECT_EDIT;
pub use database_missing::missing_database;
pub use engine_unsupported::{no_such_field, unknown_topology};
pub use lookup_failed::lookup_failed;
pub(crate) use policy_cpu::RULE as POLICY_CPU;
pub use policy_direct_edits::RULE as POLICY_DIRECT_EDITS;
pub(crate) use policy_memory::RULE as POLICY_MEMORY;
pub(crate) use policy_replicas::RULE as POLICY_REPLICAS;
pub(crate) use policy_storage::RULE as POLICY_STORAGE;
pub use quantity_unreadable::unreadable;
pub use reference::markdown;
pub use request_schema::{RULE as REQUEST_SCHEMA, undecodable};
pub(crate) use request_timeout::nanoseconds;
pub use storage_class_missing::missing_classes;
pub use storage_ephemeral::no_volume;

pub(crate) use quantity_unreadable::RULE as QUANTITY_UNREADABLE;
pub(crate) use replicas_minimum::RULE as REPLICAS_MINIMUM;
pub(crate) use request_immutable::RULE as REQUEST_IMMUTABLE;
pub(crate) use resources_invalid::{NEEDED, RULE as RESOURCES_INVALID};
pub(crate) use resources_request_above_limit::RULE as RESOURCES_REQUEST_ABOVE_LIMIT;
pub(crate) use stanza_empty::RULE as STANZA_EMPTY;
pub(crate) use stanza_ignored::RULE as STANZA_IGNORED;
pub(crate) use stanza_incomplete::RULE as STANZA_INCOMPLETE;
pub(crate) use stanza_missing::RULE as STANZA_MISSING;
pub(crate) use storage_minimum::RULE as STORAGE_MINIMUM;
pub(crate) use storage_no_shrink::RULE as STORAGE_NO_SHRINK;
pub(crate) use storage_not_greater::RULE as STORAGE_NOT_GREATER;

use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::preflight;

/// A rule and all that a person wants to know of it. `kubectl dbscale explain` prints it.
#[derive(Debug)]
pub struct Rule {
    /// Its stable name.
    pub id: RuleId,
    /// The gravest that it can say.
    pub severity: Severity,
    /// The plugin's exit code where it refuses.
    pub exit: u8,
    /// Why it exists.
    pub reason: &'static str,
    /// Where the fact behind it is written.
    pub source: &'static str,
    /// Something that it finds fault with.
    pub refused: &'static str,
    /// The same, done right.
    pub right: &'static str,
    /// How to mend it.
    pub fix: &'static str,
    /// What it finds in a case.
    pub check: fn(&Case) -> Vec<Finding>,
}

/// The exit code of a value, a name or a flag that cannot be used.
pub const EXIT_USAGE: u8 = 2;
/// The exit code of a refusal.
pub const EXIT_REFUSED: u8 = 3;
/// The exit code of a failed check of the surroundings.
pub const EXIT_PRECHECK: u8 = 4;
/// The exit code of a database that is busy.
pub const EXIT_ACTIVE: u8 = 5;

/// What the ids of the rules begin with that speak for a ScalingPolicy.
pub const OF_POLICIES: &str = "policy/";

/// Every rule that [`judge`] runs, in the order of `explain` and of the findings.
pub const RULES: &[&Rule] = &[
    &request_schema::RULE,
    &request_type::RULE,
    &request_immutable::RULE,
    &request_timeout::RULE,
    &request_retries::RULE,
    &database_ref_empty::RULE,
    &database_missing::RULE,
    &engine_unsupported::RULE,
    &quantity_unreadable::RULE,
    &component_unknown::RULE,
    &component_not_in_topology::RULE,
    &component_exclusive::RULE,
    &component_duplicate::RULE,
    &stanza_missing::RULE,
    &stanza_empty::RULE,
    &stanza_incomplete::RULE,
    &stanza_ignored::RULE,
    &replicas_minimum::RULE,
    &replicas_engine_bounds::RULE,
    &replicas_transition::RULE,
    &replicas_scale_in::RULE,
    &replicas_quorum::RULE,
    &replicas_implausible::RULE,
    &resources_unknown_name::RULE,
    &resources_invalid::RULE,
    &resources_request_above_limit::RULE,
    &resources_implausible::RULE,
    &resources_in_place::RULE,
    &storage_minimum::RULE,
    &storage_no_shrink::RULE,
    &storage_not_greater::RULE,
    &storage_implausible::RULE,
    &storage_ephemeral::RULE,
    &storage_template_drift::RULE,
    &storage_class_missing::RULE,
    &storage_class_not_expandable::RULE,
    &operation_active::RULE,
    &policy_replicas::RULE,
    &policy_storage::RULE,
    &policy_cpu::RULE,
    &policy_memory::RULE,
    &policy_size::RULE,
    &policy_operations::RULE,
    &policy_direct_edits::RULE,
    &policy_unreadable::RULE,
    &audit_requested_by::RULE,
    &database_not_ready::RULE,
    &gitops_tracked::RULE,
    &change_none::RULE,
];

/// Those that the webhook alone speaks of, and how gravely is its operator's choice: nobody else sees an edit of a live
/// database, or has to answer where the present cannot be read.
pub const OF_WEBHOOK: &[&Rule] = &[&database_direct_edit::RULE, &lookup_failed::RULE];

/// Every rule there is, in the order of `explain`; the checks of the surroundings are among them.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().chain(OF_WEBHOOK).copied().chain(preflight::CHECKS.iter().map(|check| &check.rule))
}

/// The rule called `id`.
#[must_use]
pub fn find(id: &str) -> Option<&'static Rule> {
    all().find(|r| r.id.0.eq_ignore_ascii_case(id))
}

/// Runs every rule on a case.
#[must_use]
pub fn judge(case: &Case) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| (rule.check)(case)).collect()
}

/// The exit code of a set of findings: the largest of those that refuse, 0 where none does.
#[must_use]
pub fn exit_code(findings: &[Finding]) -> u8 {
    let refusing = findings.iter().filter(|f| f.refuses());
    refusing.map(|f| find(f.rule.0).map_or(EXIT_REFUSED, |r| r.exit)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_every_rule_explains_itself() {
        let ids: BTreeSet<_> = all().map(|r| r.id).collect();
        assert_eq!(ids.len(), all().count());
        for rule in all() {
            for (field, text) in [
                ("reason", rule.reason),
                ("source", rule.source),
                ("refused", rule.refused),
                ("right", rule.right),
                ("fix", rule.fix),
            ] {
                assert!(!text.trim().is_empty(), "{} has no {field}", rule.id);
            }
            assert!(matches!(rule.exit, EXIT_USAGE..=EXIT_ACTIVE), "{} exits with {}", rule.id, rule.exit);
        }
    }
}

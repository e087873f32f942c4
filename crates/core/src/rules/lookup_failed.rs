//! `lookup/failed`: the webhook could not find out what is there, so it has not judged all.

use super::{EXIT_REFUSED, Rule};
use crate::finding::{Finding, RuleId, Severity};

/// Says that the present could not be read. It comes with a failed read, not with a case: [`lookup_failed`].
pub const RULE: Rule = Rule {
    id: RuleId("lookup/failed"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "Whether a size shrinks or a database is there cannot be judged while the API server does not answer the webhook. The webhook then refuses; with `--lookup-failure warn` it lets the change in, and says so.",
    source: "docs/webhook.md, \"What it knows, and when it asks\"",
    refused: "volumeExpansion:\n  mode: Online\n  replicaSet: 50Gi   # and the database cannot be read",
    right: "volumeExpansion:\n  mode: Online\n  replicaSet: 50Gi   # asked again once the API server answers",
    fix: "Try again in a moment. Where it stays, look at the webhook's log and at its rights: kubectl dbscale webhook status.",
    check: |_| Vec::new(),
};

/// The finding for a read that failed for the reason `why`, of the severity that the webhook was told.
#[must_use]
pub fn lookup_failed(severity: Severity, why: &str) -> Finding {
    let message = format!("the present could not be looked up, so not every rule was judged: {why}");
    Finding { severity, ..Finding::warn(RULE.id, "", message).remedy("try again in a moment") }
}

//! What a rule says: which rule, how grave, where, why, and what to do instead.

use std::fmt;

use serde::Serialize;

/// The stable name of a rule: `storage/no-shrink`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RuleId(pub &'static str);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

/// Whether a finding refuses the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The change goes on, with a word to the caller.
    Warn,
    /// The change is refused.
    Deny,
}

/// One thing that a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: RuleId,
    /// Whether it refuses.
    pub severity: Severity,
    /// The place in the judged object, as the API server writes it: `spec.horizontalScaling.replicas`. Empty: the whole.
    pub path: String,
    /// What is wrong, with the values in it; a sentence without its full stop.
    pub message: String,
    /// What to do instead; a sentence without its full stop. May be empty.
    pub remedy: String,
}

impl Finding {
    /// A refusal.
    pub fn deny(rule: RuleId, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { rule, severity: Severity::Deny, path: path.into(), message: message.into(), remedy: String::new() }
    }

    /// A warning.
    pub fn warn(rule: RuleId, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warn, ..Self::deny(rule, path, message) }
    }

    /// The same with what to do instead.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// Whether it refuses.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.severity == Severity::Deny
    }
}

impl fmt::Display for Finding {
    /// `[storage/no-shrink] 10Gi is less than the present 50Gi: volumes only grow; ask for …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.rule, self.message)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

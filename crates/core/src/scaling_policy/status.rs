//! `status` of a policy: how many databases it covers, and which are outside of its bounds today.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Outside, Standing, Unreadable};
use crate::record::cut;

/// How many databases are named that are outside of a policy's bounds.
pub const MOST_NAMED: usize = 20;
/// The condition that tells whether the policy is understood, and so held.
pub const UNDERSTOOD: &str = "Understood";
/// The condition that tells whether more operations are active than the policy allows.
pub const OPERATIONS_EXCEEDED: &str = "OperationsExceeded";

/// The longest message of a condition, in bytes.
const LONGEST_MESSAGE: usize = 1024;

/// `status` of a policy. The controller alone writes it. The numbers are absent where the policy is not understood.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// `metadata.generation` of the policy that this is about.
    pub observed_generation: i64,
    /// How many databases it covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covers: Option<u32>,
    /// How many of them are outside of its bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<u32>,
    /// The first [`MOST_NAMED`] of those, by engine, namespace and name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases_outside: Vec<Outside>,
    /// What else is to be said.
    pub conditions: Vec<Condition>,
}

/// A condition, as Kubernetes has them (`meta/v1.Condition`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True` or `False`.
    pub status: String,
    /// Why, in one word for programs.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// When `status` changed last.
    pub last_transition_time: Timestamp,
}

impl Status {
    /// What it says next. `previous` is what it says now: a condition that stays as it is keeps its time.
    #[must_use]
    pub fn next(standing: Result<&Standing, &Unreadable>, generation: i64, previous: &Self, now: Timestamp) -> Self {
        let mut next = Self { observed_generation: generation, ..Self::default() };
        match standing {
            Ok(standing) => {
                next.covers = Some(standing.covers);
                next.outside = Some(standing.outside);
                next.databases_outside.clone_from(&standing.named);
                next.databases_outside.truncate(MOST_NAMED);
                next.tell(previous, (UNDERSTOOD, true), "Understood", "it is held", now);
                if let Some(exceeded) = &standing.exceeded {
                    let told = ("LimitExceeded", exceeded.join("; "));
                    let within = ("WithinLimits", "no limit of operations is exceeded".to_owned());
                    let (reason, message) = if exceeded.is_empty() { within } else { told };
                    next.tell(previous, (OPERATIONS_EXCEEDED, !exceeded.is_empty()), reason, &message, now);
                }
            }
            Err(unreadable) => {
                let message = format!("it is not held: {}", unreadable.why);
                next.tell(previous, (UNDERSTOOD, false), "Unreadable", &message, now);
            }
        }
        next
    }

    /// Whether more operations are active than the policy allows.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.condition(OPERATIONS_EXCEEDED).is_some_and(|condition| condition.status == "True")
    }

    /// A condition that it has.
    #[must_use]
    pub fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    fn tell(&mut self, previous: &Self, (kind, holds): (&str, bool), reason: &str, message: &str, now: Timestamp) {
        let status = if holds { "True" } else { "False" };
        let before = previous.condition(kind).filter(|before| before.status == status);
        let mut message = message.to_owned();
        cut(&mut message, LONGEST_MESSAGE);
        self.conditions.push(Condition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: before.map_or(now, |before| before.last_transition_time),
        });
    }
}

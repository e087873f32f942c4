//! What policies ask of the controller: which finished OpsRequests stay, when an operation is overdue, whether there is a way
//! back from one that failed.

use jiff::SignedDuration;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use super::{ScalingPolicy, Spec};
use crate::{record, retention};

/// Which finished OpsRequests of a database stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// How many stay, the newest.
    pub count: Option<u32>,
    /// Those that ended longer ago than this go too.
    pub age: Option<Period>,
}

/// A duration that is longer than nothing: `10m`, `1h30m`, `90s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub SignedDuration);

/// A text that is no [`Period`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no duration longer than nothing; write it like 90s, 10m or 1h30m")]
pub struct PeriodError(String);

impl std::str::FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = text.parse::<SignedDuration>().ok().filter(SignedDuration::is_positive);
        read.map(Self).ok_or_else(|| PeriodError(text.to_owned()))
    }
}

impl std::fmt::Display for Period {
    /// As Kubernetes writes it, without what is nothing: `1h30m`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        for (count, unit) in [(seconds / 3600, 'h'), (seconds / 60 % 60, 'm'), (seconds % 60, 's')] {
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Whether failed operations are followed by one that asks for the values from before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WayBack {
    /// None is, whatever it asks for itself.
    Never,
    /// Those are that do not say otherwise themselves.
    OnFailure,
}

/// What policies ask of the controller for one database: of several the strictest of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// The least of the numbers that stay.
    pub count: Option<u32>,
    /// The shortest of the ages.
    pub age: Option<Period>,
    /// The shortest of the timeouts.
    pub timeout: Option<Period>,
    /// `Never` before `OnFailure`, and the policy that says so.
    pub way_back: Option<(WayBack, String)>,
}

impl Spec {
    /// Whether it asks anything of the controller.
    #[must_use]
    pub fn asks_upkeep(&self) -> bool {
        self.retention.is_some() || self.monitoring_timeout.is_some() || self.rollback.is_some()
    }
}

impl Upkeep {
    /// What the policies ask that cover a database.
    #[must_use]
    pub fn of<'p>(covering: impl IntoIterator<Item = &'p ScalingPolicy>) -> Self {
        let mut upkeep = Self::default();
        for policy in covering {
            let spec = &policy.spec;
            let retention = spec.retention.unwrap_or_default();
            upkeep.count = least(upkeep.count, retention.count);
            upkeep.age = least(upkeep.age, retention.age);
            upkeep.timeout = least(upkeep.timeout, spec.monitoring_timeout);
            let decided = matches!(upkeep.way_back, Some((WayBack::Never, _)));
            match spec.rollback {
                Some(way_back) if upkeep.way_back.is_none() || way_back == WayBack::Never && !decided => {
                    upkeep.way_back = Some((way_back, policy.name.clone()));
                }
                _ => {}
            }
        }
        upkeep
    }

    /// How a record is kept: what no policy says is as `usual`.
    #[must_use]
    pub fn record(&self, usual: record::Settings) -> record::Settings {
        record::Settings { timeout: self.timeout.map_or(usual.timeout, |timeout| timeout.0), ..usual }
    }

    /// Which finished OpsRequests stay: what no policy says is as `usual`. Whose are counted, and whether anything is deleted
    /// at all, is not a policy's to say.
    #[must_use]
    pub fn retention(&self, usual: retention::Policy) -> retention::Policy {
        retention::Policy {
            keep: self.count.map_or(usual.keep, |count| usize::try_from(count).unwrap_or(usize::MAX)),
            age: self.age.map_or(usual.age, |age| Some(age.0)),
            ..usual
        }
    }
}

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}

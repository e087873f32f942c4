//! The strictest of the bounds that several policies set, and what breaks them.

use std::fmt::Display;

use super::{Range, ScalingPolicy, Spec};
use crate::finding::{Finding, RuleId};
use crate::quantity::Quantity;

/// A value that is bounded: members, or an amount.
pub(crate) trait Unit: Copy + Ord + Display {
    /// Whether a way down has steps, too. Volumes go down only where their growth has failed, and then all the way.
    const STEPS_DOWN: bool;
    /// The sum; the first where it cannot be said.
    fn plus(self, other: Self) -> Self;
    /// The difference; the first where it cannot be said.
    fn minus(self, other: Self) -> Self;
}

impl Unit for i64 {
    const STEPS_DOWN: bool = true;

    fn plus(self, other: Self) -> Self {
        self.saturating_add(other)
    }

    fn minus(self, other: Self) -> Self {
        self.saturating_sub(other)
    }
}

impl Unit for Quantity {
    const STEPS_DOWN: bool = false;

    fn plus(self, other: Self) -> Self {
        self.checked_add(other).unwrap_or(self)
    }

    fn minus(self, other: Self) -> Self {
        self.checked_sub(other).unwrap_or(self)
    }
}

/// A bound, and the policy that sets it.
#[derive(Debug, Clone, Copy)]
struct Bound<'p, T> {
    value: T,
    policy: &'p str,
}

/// The strictest bounds of several policies, each for itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits<'p, T> {
    rule: RuleId,
    field: &'static str,
    min: Option<Bound<'p, T>>,
    max: Option<Bound<'p, T>>,
    step: Option<Bound<'p, T>>,
}

impl<'p, T: Unit> Limits<'p, T> {
    /// Those that `pick` finds in policies at `field`, for findings of `rule`.
    pub(crate) fn of(
        rule: RuleId,
        field: &'static str,
        policies: impl Iterator<Item = &'p ScalingPolicy>,
        pick: impl Fn(&Spec) -> Option<Range<T>>,
    ) -> Self {
        let mut limits = Self { rule, field, min: None, max: None, step: None };
        for policy in policies {
            let Some(range) = pick(&policy.spec) else { continue };
            let bound = |value| Bound { value, policy: policy.name.as_str() };
            let stricter = |kept: &mut Option<Bound<'p, T>>, new: Option<T>, is: fn(&T, &T) -> bool| {
                if let Some(new) = new.filter(|new| kept.as_ref().is_none_or(|kept| is(new, &kept.value))) {
                    *kept = Some(bound(new));
                }
            };
            stricter(&mut limits.min, range.min, T::gt);
            stricter(&mut limits.max, range.max, T::lt);
            stricter(&mut limits.step, range.max_step, T::lt);
        }
        limits
    }

    /// The least, where a value is below it.
    fn below(&self, value: T) -> Option<Bound<'p, T>> {
        self.min.filter(|min| value < min.value)
    }

    /// The most, where a value is above it.
    fn above(&self, value: T) -> Option<Bound<'p, T>> {
        self.max.filter(|max| value > max.value)
    }

    /// The ends that present values are outside of: the key of each, the value and the end.
    pub(crate) fn outside(&self, lowest: T, highest: T) -> impl Iterator<Item = (&'static str, T, T)> {
        let below = self.below(lowest).map(|min| ("min", lowest, min.value));
        let above = self.above(highest).map(|max| ("max", highest, max.value));
        below.into_iter().chain(above)
    }

    /// What a change at `path` breaks. `lowest` and `highest` are what is asked, with the present value of each; they differ
    /// where a request and a limit do. A value that breaks a bound already may come nearer to it.
    pub(crate) fn broken(&self, path: &str, lowest: (Option<T>, T), highest: (Option<T>, T), of: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add = |bound: &Bound<'p, T>, asked: String, allows: String, key: &str, remedy: String| {
            let (policy, field) = (bound.policy, self.field);
            let message = format!("{asked} {of}: ScalingPolicy {policy} allows {allows} (spec.{field}.{key})");
            findings.push(Finding::deny(self.rule, path, message).remedy(remedy));
        };
        let nothing_fits = self.min.zip(self.max).filter(|(min, max)| min.value > max.value).map(|(min, max)| {
            format!("no value fits both ScalingPolicies {} and {}: have one of them changed", min.policy, max.policy)
        });
        let remedy = |usual: String| nothing_fits.clone().unwrap_or(usual);
        let (old, new) = lowest;
        if let Some(min) = self.below(new).filter(|_| old.is_none_or(|old| new < old)) {
            let least = min.value;
            add(&min, new.to_string(), format!("{least} at least"), "min", remedy(format!("ask for {least} or more")));
        }
        let (old, new) = highest;
        if let Some(max) = self.above(new).filter(|_| old.is_none_or(|old| new > old)) {
            let most = max.value;
            add(&max, new.to_string(), format!("{most} at most"), "max", remedy(format!("ask for {most} or less")));
        }
        if let (Some(step), Some(old)) = (self.step, old.filter(|old| T::STEPS_DOWN || new > *old)) {
            // No further than the other bounds let it come.
            let (distance, next) = if new >= old {
                let next = old.plus(step.value);
                let most = self.max.map(|max| max.value).filter(|most| *most > old && *most < next);
                (new.minus(old), most.unwrap_or(next))
            } else {
                let next = old.minus(step.value);
                let least = self.min.map(|min| min.value).filter(|least| *least < old && *least > next);
                (old.minus(new), least.unwrap_or(next))
            };
            if distance > step.value {
                let asked = format!("{old} → {new}");
                add(
                    &step,
                    asked,
                    format!("steps of {} at most", step.value),
                    "maxStep",
                    format!("ask for {next} first"),
                );
            }
        }
        findings
    }
}

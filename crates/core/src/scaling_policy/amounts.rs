//! CPU and memory against the bounds of policies.

use super::{Limits, Span, Spec, covering};
use crate::amount::{Amount, ResourceSet, Side};
use crate::change::{What, Wish};
use crate::facts::Case;
use crate::finding::{Finding, RuleId};
use crate::quantity::Quantity;

/// What breaks the bounds that `pick` finds in the policies, for the resource `name` of the containers that run the database.
/// The request has to keep to them as the limit has: the smaller to the least, the larger to the most.
pub(crate) fn amounts(
    case: &Case,
    rule: RuleId,
    name: &'static str,
    pick: impl Fn(&Spec) -> Option<Span>,
) -> Vec<Finding> {
    // With many items each wish is looked up in as many: not where nobody asks.
    if case.facts.policies.is_empty() {
        return Vec::new();
    }
    let policies = covering(case).map(|fact| &*fact.policy);
    let limits = Limits::of(rule, name, policies, |spec| pick(spec).map(Span::range));
    let judge = |wish: &Wish| {
        let What::Resources(set) = &wish.what else { return Vec::new() };
        if wish.component_of(case.change.engine).sidecar_of.is_some() {
            return Vec::new();
        }
        let present = match &wish.before {
            Some(What::Resources(before)) => Some(before),
            _ => case.database().and_then(|d| wish.view(d)?.resources()),
        };
        let (Some(low), Some(high)) = (of(set, name).min(), of(set, name).max()) else { return Vec::new() };
        let lowest = (present.and_then(|set| of(set, name).min()), low);
        let highest = (present.and_then(|set| of(set, name).max()), high);
        let component = wish.component_name(case.change.engine);
        limits.broken(&wish.path, lowest, highest, &format!("of {name} for {component}"))
    };
    case.change.wishes.iter().flat_map(judge).collect()
}

/// Request and limit of a resource, as far as they are there and can be read.
pub(super) fn of(set: &ResourceSet, name: &str) -> impl Iterator<Item = Quantity> {
    Side::ALL.into_iter().filter_map(move |side| set.amount(side, name).and_then(Amount::quantity))
}

//! The size classes of policies.

use super::ScalingPolicy;
use crate::quantity::Quantity;
use crate::size::{SizeClass, Sizes};

impl ScalingPolicy {
    /// The size classes as this policy has them: those of `known`, and its own.
    #[must_use]
    pub fn sizes(&self, known: &Sizes) -> Sizes {
        let own = self.spec.sizes.iter().flat_map(|s| &s.own);
        known.with(own.map(|(name, class)| SizeClass {
            name: name.clone(),
            cpu: class.cpu,
            memory: class.memory,
            confirmed: true,
        }))
    }

    /// The classes that a container may have; `None` where it may have any amounts. A name that is no class's is left out.
    #[must_use]
    pub fn allowed_classes(&self) -> Option<Vec<SizeClass>> {
        let allowed = &self.spec.sizes.as_ref().filter(|sizes| !sizes.allowed.is_empty())?.allowed;
        let sizes = self.sizes(Sizes::built_in());
        Some(allowed.iter().filter_map(|name| sizes.find(name).ok().cloned()).collect())
    }
}

/// Whether amounts of CPU and of memory are those of a class, request and limit alike.
pub(crate) fn is_of(class: &SizeClass, amounts: &[Vec<Quantity>; 2]) -> bool {
    let has = |amounts: &Vec<Quantity>, amount| !amounts.is_empty() && amounts.iter().all(|a| *a == amount);
    has(&amounts[0], class.cpu) && has(&amounts[1], class.memory)
}

/// Request and limit in words: `2`, `1 to 2`, `none`.
pub(crate) fn span(amounts: &[Quantity]) -> String {
    let (Some(first), Some(last)) = (amounts.first(), amounts.last()) else { return "none".to_owned() };
    if first == last { first.to_string() } else { format!("{first} to {last}") }
}

//! Why a pod fits nowhere, in words.

use std::fmt;

use super::amounts::Amounts;
use crate::quantity::Quantity;

/// Why a node will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The pod's `nodeSelector` or node affinity does not select it.
    NotSelected,
    /// A taint that the pod does not bear.
    Taint(String),
    /// A volume of the pod cannot be reached from it.
    Volume,
    /// It is cordoned.
    Cordoned,
    /// A port of it is taken.
    Port(i64),
    /// It has as many pods as it may have.
    Full(Quantity),
    /// It has too little of something left.
    Lacks {
        /// The resource.
        resource: String,
        /// What is left.
        free: Quantity,
        /// Of how much.
        of: Quantity,
    },
    /// There would be too many in one place, of which this node label tells.
    Spread(String),
    /// A pod is there that must not be beside it; the node label that tells what is beside.
    Apart(String),
    /// No pod is there that it must be beside.
    Beside(String),
}

/// A pod that fits nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// What it asks for.
    pub asked: Amounts,
    /// Why each node will not do, with its name.
    pub whys: Vec<(Why, String)>,
    /// How many nodes there are.
    pub nodes: usize,
    /// The resource of which it asks for more than any node has that it could be on, and the most that one has.
    pub largest: Option<(String, Quantity)>,
}

impl fmt::Display for Misfit {
    /// `of 3 nodes, 2 have too little memory (at most 7Gi of 16Gi free, on node-2), 1 is cordoned`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups: Vec<(String, usize)> = Vec::new();
        for (why, _) in &self.whys {
            let text = self.told(why);
            match groups.iter_mut().find(|(known, _)| *known == text) {
                Some((_, count)) => *count += 1,
                None => groups.push((text, 1)),
            }
        }
        groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let told: Vec<String> = groups
            .into_iter()
            .map(|(text, count)| {
                let (is, has) = if count == 1 { ("is", "has") } else { ("are", "have") };
                format!("{count} {}", text.replace("{is}", is).replace("{has}", has))
            })
            .collect();
        let nodes = if self.nodes == 1 { "1 node".to_owned() } else { format!("{} nodes", self.nodes) };
        if told.is_empty() { write!(f, "there is no node") } else { write!(f, "of {nodes}, {}", told.join(", ")) }
    }
}

impl Misfit {
    /// What one node says: `has too little memory (at most 7Gi of 16Gi free, on node-2)`.
    #[must_use]
    pub fn words(&self, why: &Why) -> String {
        self.told(why).replace("{is}", "is").replace("{has}", "has")
    }

    fn told(&self, why: &Why) -> String {
        match why {
            Why::NotSelected => "{is} not selected by it".to_owned(),
            Why::Taint(taint) => format!("{{has}} the taint {taint}"),
            Why::Volume => "cannot reach its volume".to_owned(),
            Why::Cordoned => "{is} cordoned".to_owned(),
            Why::Port(port) => format!("{{has}} its port {port} taken"),
            Why::Full(most) => format!("{{has}} all of {most} pods"),
            Why::Lacks { resource, .. } => {
                let lacking = self.whys.iter().filter_map(|(why, node)| match why {
                    Why::Lacks { resource: other, free, of } if other == resource => Some((*free, *of, node)),
                    _ => None,
                });
                let best = lacking.max_by_key(|(free, ..)| *free);
                let most = best.map(|(free, of, node)| format!(" (at most {free} of {of} free, on {node})"));
                format!("{{has}} too little {resource}{}", most.unwrap_or_default())
            }
            Why::Spread(key) => format!("would have too many of them by {key}"),
            Why::Apart(key) => format!("{{has}} a pod that must be apart by {key}"),
            Why::Beside(key) => format!("{{has}} none of the pods that it must be beside by {key}"),
        }
    }
}

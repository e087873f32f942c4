//! `policy/size`: the size classes that a ScalingPolicy allows.

use super::{EXIT_REFUSED, Rule};
use crate::amount::{Amount, ResourceSet, Side};
use crate::change::{What, Wish};
use crate::facts::Case;
use crate::finding::{Finding, RuleId, Severity};
use crate::quantity::Quantity;
use crate::scaling_policy::{ScalingPolicy, covering, is_of, span};

/// Refuses amounts of CPU and memory that are no size class of the policies that cover the database.
pub const RULE: Rule = Rule {
    id: RuleId("policy/size"),
    severity: Severity::Deny,
    exit: EXIT_REFUSED,
    reason: "An administrator has named the size classes that the container of the database may have in a ScalingPolicy that covers it. The amounts count, not the way in which they are asked for: request and limit of CPU and memory have to be those of one class. Every policy that names classes has to allow it.",
    source: "the policy that the message names: kubectl get scalingpolicy NAME -o yaml",
    refused: "# ScalingPolicy gold: sizes: {allowed: [db.t3.medium]}, that is 2 CPU and 4Gi\nresources:\n  limits: {cpu: 2, memory: 8Gi}",
    right: "resources:\n  requests: {cpu: 2, memory: 4Gi}\n  limits: {cpu: 2, memory: 4Gi}",
    fix: "Ask for one of the classes that the message names, with --size, or have the policy changed.",
    check,
};

/// How many classes a message names.
const NAMED: usize = 6;

fn check(case: &Case) -> Vec<Finding> {
    // With many items each wish is looked up in as many: not where nobody asks.
    if case.facts.policies.is_empty() {
        return Vec::new();
    }
    let judge = |wish: &Wish| {
        let What::Resources(set) = &wish.what else { return Vec::new() };
        if wish.component_of(case.change.engine).sidecar_of.is_some() {
            return Vec::new();
        }
        let present = case.database().and_then(|d| wish.view(d)?.resources());
        if present.is_some_and(|present| ["cpu", "memory"].iter().all(|name| stays(set, present, name))) {
            return Vec::new();
        }
        let wanted = ["cpu", "memory"].map(|name| wanted(set, present, name));
        let not_of = |policy: &ScalingPolicy| refusal(case, wish, policy, &wanted);
        covering(case).filter_map(|fact| not_of(&fact.policy)).collect()
    };
    case.change.wishes.iter().flat_map(judge).collect()
}

/// All amounts of a resource that the container has afterwards: those that are asked for, else the present ones. KubeDB fills
/// in a side that a request leaves out from the other one.
fn wanted(set: &ResourceSet, present: Option<&ResourceSet>, name: &str) -> Vec<Quantity> {
    let of = |set: &ResourceSet| -> Vec<Quantity> {
        Side::ALL.into_iter().filter_map(|side| set.amount(side, name).and_then(Amount::quantity)).collect()
    };
    let asked = of(set);
    if asked.is_empty() { present.map(of).unwrap_or_default() } else { asked }
}

/// Whether a resource is not asked for, or as it is: each amount of its own side, and a side that is left out, which KubeDB
/// fills in, too.
fn stays(set: &ResourceSet, present: &ResourceSet, name: &str) -> bool {
    let of = |set: &ResourceSet| Side::ALL.map(|side| set.amount(side, name).map(Amount::quantity));
    let asked = of(set);
    let Some(filled) = asked[0].or(asked[1]) else { return true };
    asked.iter().zip(of(present)).all(|(asked, present)| match asked {
        Some(asked) => asked.is_some() && present == Some(*asked),
        None => present.is_none_or(|present| present == filled),
    })
}

fn refusal(case: &Case, wish: &Wish, policy: &ScalingPolicy, wanted: &[Vec<Quantity>; 2]) -> Option<Finding> {
    let classes = policy.allowed_classes()?;
    if classes.iter().any(|class| is_of(class, wanted)) {
        return None;
    }
    let allowed = policy.spec.sizes.iter().flat_map(|sizes| &sizes.allowed);
    let mut names: Vec<String> =
        classes.iter().take(NAMED).map(|c| format!("{} ({} CPU, {})", c.name, c.cpu, c.memory)).collect();
    if classes.len() > NAMED {
        names.push(format!("{} more", classes.len() - NAMED));
    }
    let [cpu, memory] = wanted.each_ref().map(|amounts| span(amounts));
    let component = wish.component_name(case.change.engine);
    let message = format!(
        "{cpu} CPU and {memory} of memory for {component} are no size that ScalingPolicy {} allows (spec.sizes.allowed)",
        policy.name
    );
    let remedy = if names.is_empty() {
        let names = allowed.map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("its names are no size classes ({names}): have the policy changed")
    } else {
        format!("ask for {} by --size, request and limit alike", names.join(", "))
    };
    Some(Finding::deny(RULE.id, &wish.path, message).remedy(remedy))
}

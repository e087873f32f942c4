//! `preflight/node-fit`: every pod that the change makes must find a node.

use std::collections::BTreeSet;

use super::misfit::Misfit;
use super::moves::{Move, Moved};
use super::object::Pod;
use super::place::Floor;
use super::walk::troubles;
use super::{Autoscaler, Check, Situation, Taken, before_it};
use crate::finding::{Finding, RuleId, Severity};
use crate::rules::{EXIT_PRECHECK, Rule};

/// Warns of pods that no node has room for. Pods are placed one at a time, as a rolling restart does it: the old one leaves,
/// and the new one comes. What others start or end in the meantime, nobody knows, so that it only warns.
pub(super) const CHECK: Check = Check {
    rule: Rule {
        id: RuleId("preflight/node-fit"),
        severity: Severity::Warn,
        exit: EXIT_PRECHECK,
        reason: "KubeDB evicts a pod, and the new one waits for a node with room for it: the database runs with a member less until somebody makes room. A pod larger than every node waits for ever.",
        source: "the filters of Kubernetes' scheduler, which a test compares with the scheduler itself",
        refused: "# the largest node has 16Gi\nresources:\n  requests: {memory: 32Gi}",
        right: "# a node with 64Gi has 40Gi free\nresources:\n  requests: {memory: 32Gi}",
        fix: "Ask for less, make room, or add a node. Which nodes are too small, and why, stands in the message.",
        check: |_| Vec::new(),
    },
    check,
};

/// The nodes as other databases of the command leave them.
#[derive(Debug, Clone)]
pub(super) struct Occupied<'w> {
    floor: Floor<'w>,
    /// How many of them have moved pods.
    databases: usize,
}

fn check<'w>(situation: &Situation<'_, 'w>, taken: &mut Taken<'w>) -> Vec<Finding> {
    let fresh = || Some(Occupied { floor: Floor::of(situation.around)?, databases: 0 });
    let Some(Occupied { mut floor, databases }) = taken.nodes.take().or_else(fresh) else { return Vec::new() };
    let steps: Vec<(&Moved, &Move)> = situation.moves().collect();
    let mut findings = Vec::new();
    let mut told: BTreeSet<(&str, bool)> = BTreeSet::new();
    for trouble in troubles(&mut floor, &steps.iter().map(|(_, one)| *one).collect::<Vec<_>>()) {
        let (moved, one) = steps[trouble.index];
        // What does not fit is told once for a component: the others are like it.
        let Some(pod) = one.after().filter(|_| told.insert((&moved.path, trouble.in_place))) else { continue };
        findings.push(if trouble.in_place {
            in_place(situation, moved, pod, &trouble.misfit)
        } else {
            nowhere(situation, moved, pod, &trouble.misfit, databases)
        });
    }
    taken.nodes = Some(Occupied { floor, databases: databases + usize::from(!steps.is_empty()) });
    findings
}

fn in_place(situation: &Situation, moved: &Moved, pod: &Pod, misfit: &Misfit) -> Finding {
    let (name, node) = (&pod.metadata.name, &pod.spec.node_name);
    let lack = misfit.whys.first().map(|(why, _)| misfit.words(why)).unwrap_or_default();
    let message = format!(
        "pod {name} cannot be resized where it is: node {node} {lack}, and it is to have {}; KubeDB then restarts it",
        misfit.asked
    );
    let remedy = "nothing is to be done where a restart will do; else make room on that node, or ask for less";
    // It goes on all the same, so it never refuses.
    let mut finding = situation.say(&CHECK, &moved.path, message).remedy(remedy);
    finding.severity = Severity::Warn;
    finding
}

fn nowhere(situation: &Situation, moved: &Moved, pod: &Pod, misfit: &Misfit, databases: usize) -> Finding {
    let name = &pod.metadata.name;
    let asked = &misfit.asked;
    let (message, remedy) = match &misfit.largest {
        Some((resource, most)) => (
            format!(
                "pod {name} of {} with {asked} is larger than any node: none that it may be on has more {resource} than {most}, so waiting does not help",
                moved.component
            ),
            format!("ask for less {resource} than {most}, or add a larger node"),
        ),
        None => (
            format!("pod {name} of {} with {asked} fits on no node: {misfit}{}", moved.component, counted(databases)),
            "make room, add a node, or ask for less".to_owned(),
        ),
    };
    // What will be made, nobody can tell from here.
    let hope = match &situation.around.autoscaler {
        Autoscaler::None => return situation.say(&CHECK, &moved.path, message).remedy(remedy),
        Autoscaler::Seen(name) => format!("{name} may add a node that has"),
        Autoscaler::Hidden => "whether something adds nodes here is not known".to_owned(),
    };
    let mut finding = situation.say(&CHECK, &moved.path, format!("{message}; {hope}")).remedy(remedy);
    finding.severity = Severity::Warn;
    finding
}

/// `; what the 2 databases before it in this command take is counted`
fn counted(databases: usize) -> String {
    if databases == 0 { String::new() } else { format!("; what {} is counted", before_it(databases)) }
}

#[cfg(test)]
#[path = "node_fit_tests.rs"]
mod tests;

//! `preflight/node-fit`: every pod that the change makes must find a node.

use std::collections::BTreeSet;

use super::misfit::Misfit;
use super::moves::{Move, Moved};
use super::object::Pod;
use super::place::Floor;
use super::walk::troubles;
use super::{Check, Situation};
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

fn check(situation: &Situation) -> Vec<Finding> {
    let Some(floor) = Floor::of(situation.around) else { return Vec::new() };
    let steps: Vec<(&Moved, &Move)> = situation.moves().collect();
    let mut findings = Vec::new();
    let mut told: BTreeSet<(&str, bool)> = BTreeSet::new();
    for trouble in troubles(floor, &steps.iter().map(|(_, one)| *one).collect::<Vec<_>>()) {
        let (moved, one) = steps[trouble.index];
        // What does not fit is told once for a component: the others are like it.
        let Some(pod) = one.after().filter(|_| told.insert((&moved.path, trouble.in_place))) else { continue };
        findings.push(if trouble.in_place {
            in_place(situation, moved, pod, &trouble.misfit)
        } else {
            nowhere(situation, moved, pod, &trouble.misfit)
        });
    }
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

fn nowhere(situation: &Situation, moved: &Moved, pod: &Pod, misfit: &Misfit) -> Finding {
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
            format!("pod {name} of {} with {asked} fits on no node: {misfit}", moved.component),
            "make room, add a node, or ask for less".to_owned(),
        ),
    };
    match &situation.around.autoscaler {
        // What it will make, nobody can tell from here.
        Some(autoscaler) => {
            let message = format!("{message}; {autoscaler} may add a node that has");
            let mut finding = situation.say(&CHECK, &moved.path, message).remedy(remedy);
            finding.severity = Severity::Warn;
            finding
        }
        None => situation.say(&CHECK, &moved.path, message).remedy(remedy),
    }
}

#[cfg(test)]
#[path = "node_fit_tests.rs"]
mod tests;

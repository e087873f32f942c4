//! `preflight/quorum`: a member that restarts or goes must leave a majority.

use super::moves::{Move, Moved};
use super::object::Pod;
use super::{Check, Situation, Taken};
use crate::finding::{Finding, RuleId, Severity};
use crate::rules::{EXIT_PRECHECK, Rule};

/// Warns of a change that takes away the majority of members that decide by one.
pub(super) const CHECK: Check = Check {
    rule: Rule {
        id: RuleId("preflight/quorum"),
        severity: Severity::Warn,
        exit: EXIT_PRECHECK,
        reason: "Members that decide by majority stop writing as soon as fewer are there. A restart takes one away at a time: where one is away already, the next may be one too many.",
        source: "Raft, ZAB, Paxos and the elections of MongoDB and Galera all decide by majority; who votes stands in the engine's file",
        refused: "# of three members one is not ready, and another is restarted",
        right: "# all three members are ready, and one is restarted",
        fix: "Mend the member that is not ready first: kubectl dbscale describe TARGET.",
        check: |_| Vec::new(),
    },
    check,
};

fn check(situation: &Situation, _: &mut Taken) -> Vec<Finding> {
    let voting = situation.moved.iter().filter_map(|moved| Some((moved, moved.voters?)));
    voting.filter_map(|(moved, who)| of_component(situation, moved, who)).collect()
}

fn of_component(situation: &Situation, moved: &Moved, who: &str) -> Option<Finding> {
    moved.members.iter().find_map(|(workload, members)| {
        let of_workload = |pod: &Pod| pod.workload() == Some(workload.as_str());
        let restarts = moved.moves.iter().any(|m| matches!(m, Move::Restarts { before, .. } if of_workload(before)));
        let gone: Vec<&str> = moved
            .moves
            .iter()
            .filter_map(|m| match m {
                Move::Leaves { before } if of_workload(before) => Some(before.metadata.name.as_str()),
                _ => None,
            })
            .collect();
        let wanted = moved.wanted.get(workload).copied().unwrap_or(members.len());
        if wanted == 0 || wanted == 1 && restarts {
            return None; // a shard that goes as a whole; one that has no majority to lose
        }
        let stays: Vec<&Pod> = members.iter().filter(|pod| !gone.contains(&pod.metadata.name.as_str())).collect();
        let is_up = |pod: &&Pod| pod.is_ready() && !pod.is_leaving();
        let (up, away): (Vec<&Pod>, Vec<&Pod>) = stays.iter().partition(|pod| is_up(pod));
        // New members are not up yet; that is no loss while all of the old ones are.
        if away.is_empty() && !restarts {
            return None;
        }
        let majority = wanted / 2 + 1;
        // A member that is away already is restarted before one that is up is missed.
        let left = if restarts { up.len().saturating_sub(1) } else { up.len() };
        if left >= majority || up.len() < majority && restarts {
            // Without a majority now there is none to lose; the database then is not Ready, and that is told.
            return None;
        }
        let names: Vec<&str> = away.iter().map(|pod| pod.metadata.name.as_str()).collect();
        let away = if names.is_empty() { String::new() } else { format!(" ({} not ready)", names.join(", ")) };
        let message = if restarts {
            format!("of {wanted} {who} {} are ready{away}: while one restarts {left} are left, and a majority is {majority}", up.len())
        } else {
            format!("of {wanted} {who} that there are to be, {left} are ready{away}, and a majority is {majority}")
        };
        let remedy = if names.is_empty() {
            "expect that nothing is written while a member restarts, or have three members first".to_owned()
        } else {
            format!("mend {} first: kubectl dbscale describe {} -n {}", names.join(", "), situation.database.target(), situation.database.namespace)
        };
        Some(situation.say(&CHECK, &moved.path, message).remedy(remedy))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::testing::{Scene, ids};
    use super::CHECK;
    use crate::plan::Intent;

    #[rstest]
    #[case::all_are_up(&[true, true, true], false)]
    #[case::one_is_away(&[true, false, true], true)]
    #[case::no_majority_to_lose(&[true, false, false], false)]
    #[case::a_pair(&[true, true], true)]
    #[case::one(&[true], false)]
    #[case::of_five_one_is_away(&[true, true, true, true, false], false)]
    fn of_a_restart(#[case] ready: &[bool], #[case] said: bool) {
        let scene = Scene::of_members(ready);
        let found = scene.memory("3Gi");
        assert_eq!(ids(&found).contains(&CHECK.rule.id.0), said, "{found:?}");
    }

    #[test]
    fn members_that_come_first_are_up_when_all_restart() {
        let intent = Intent { replicas: Some(5), memory: "3Gi".parse().ok(), ..Intent::default() };
        assert!(!ids(&Scene::new().wish(&intent)).contains(&CHECK.rule.id.0));
    }

    #[rstest]
    #[case::fewer_all_up(&[true, true, true, true, true], 3, false)]
    #[case::fewer_and_those_that_stay_are_away(&[true, false, false, true, true], 3, true)]
    #[case::fewer_and_those_that_go_are_away(&[true, true, true, false, false], 3, false)]
    #[case::more(&[true], 3, false)]
    #[case::more_with_one_away(&[true, true, false], 5, true)]
    fn of_members_that_come_and_go(#[case] ready: &[bool], #[case] wanted: i64, #[case] said: bool) {
        let scene = Scene::of_members(ready);
        let found = scene.replicas(wanted);
        assert_eq!(ids(&found).contains(&CHECK.rule.id.0), said, "{found:?}");
    }
}

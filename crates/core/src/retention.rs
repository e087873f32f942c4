//! Which finished OpsRequests may go: three stay, as far as dbscale made them and the record holds the others.

use jiff::{SignedDuration, Timestamp};

use crate::record::{Request, RollbackState, Status};

/// How many stay, and whose.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How many finished OpsRequests of a database stay, the newest.
    pub keep: usize,
    /// Those that ended longer ago than this go too; `None` = age does not matter.
    pub age: Option<SignedDuration>,
    /// Whose are counted and deleted.
    pub scope: Scope,
}

/// Whose OpsRequests are counted and deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those that dbscale made.
    Managed,
    /// Everybody's.
    All,
    /// Nobody's: nothing is deleted.
    Off,
}

impl Default for Policy {
    fn default() -> Self {
        Self { keep: 3, age: None, scope: Scope::Managed }
    }
}

/// The OpsRequests that may be deleted. `recorded` is the record as the API server has it, not as it is to be written.
///
/// One that a GitOps tool or a controller looks after is neither counted nor deleted: whoever made it would make it again,
/// and it would run again.
#[must_use]
pub fn deletable<'r>(requests: &[&'r Request], recorded: &Status, policy: &Policy, now: Timestamp) -> Vec<&'r Request> {
    let goes_back = |r: &Request| {
        let past = recorded.history.iter().find(|p| *p.uid == *r.uid);
        past.and_then(|p| p.rollback.as_ref()).is_some_and(|b| b.state == RollbackState::Planned)
            || past.is_some_and(|p| r.asks_rollback == Some(true) && p.outcome == "Failed" && p.rollback.is_none())
    };
    // It is looked at until its effect is there, and what it was to do stands in it alone.
    let is_missed = |r: &Request| recorded.history.iter().any(|p| *p.uid == *r.uid && p.missing().is_some());
    let mut finished = superfluous(requests, policy, now);
    finished.retain(|r| recorded.holds(r) && !goes_back(r) && !is_missed(r));
    finished
}

/// The finished OpsRequests that need not stay, whether or not a record holds them, the newest first: for where nobody
/// keeps one.
#[must_use]
pub fn superfluous<'r>(requests: &[&'r Request], policy: &Policy, now: Timestamp) -> Vec<&'r Request> {
    let mut finished: Vec<&Request> = in_scope(requests, policy).collect();
    finished.sort_by(|a, b| (ended(b), b.age()).cmp(&(ended(a), a.age())));
    let too_old = |r: &Request| policy.age.is_some_and(|age| now.duration_since(ended(r)) > age);
    let mut rank = 0;
    finished.retain(|request| {
        rank += 1;
        rank > policy.keep || too_old(request)
    });
    finished.retain(|r| !r.deleting);
    finished
}

/// When the next finished OpsRequest gets too old to stay; `None` where age does not matter or none is left to get old.
#[must_use]
pub fn next_too_old(requests: &[&Request], policy: &Policy, now: Timestamp) -> Option<Timestamp> {
    let age = policy.age?.checked_add(SignedDuration::from_secs(1))?;
    let due = in_scope(requests, policy).filter_map(|r| ended(r).checked_add(age).ok());
    due.filter(|at| *at > now).min()
}

/// The finished OpsRequests that are counted.
fn in_scope<'r>(requests: &[&'r Request], policy: &Policy) -> impl Iterator<Item = &'r Request> {
    let ours = |r: &&Request| match policy.scope {
        Scope::Managed => r.managed,
        Scope::All => true,
        Scope::Off => false,
    };
    requests.iter().copied().filter(|r| r.phase.is_finished() && r.claimed_by.is_none()).filter(ours)
}

fn ended(request: &Request) -> Timestamp {
    request.changed.unwrap_or(request.created)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::catalog::Catalog;
    use crate::record::{Past, Rollback};

    /// Five that ended one minute after the other, `r0` first; `change` alters one before it is read.
    fn five(which: usize, change: impl Fn(&mut Value)) -> Vec<Request> {
        let engine = Catalog::builtin().find("mongodb").unwrap();
        let one = |index: usize| {
            let mut object = json!({
                "metadata": {"name": format!("r{index}"), "uid": format!("u{index}"), "creationTimestamp": format!("2026-01-01T00:0{index}:00Z"),
                    "labels": {"app.kubernetes.io/managed-by": "dbscale"}},
                "spec": {"type": "VerticalScaling", "databaseRef": {"name": "db"}},
                "status": {"phase": "Successful", "conditions": [{"lastTransitionTime": format!("2026-01-01T00:1{index}:00Z")}]},
            });
            if index == which {
                change(&mut object);
            }
            Request::of(engine, &object).unwrap()
        };
        (0..5).map(one).collect()
    }

    fn recorded(uids: &[&str]) -> Status {
        let past = |uid: &&str| Past { uid: (*uid).to_owned(), ..Past::default() };
        Status { history: uids.iter().map(past).collect(), ..Status::default() }
    }

    fn names(requests: &[Request], recorded: &Status, policy: &Policy) -> Vec<String> {
        let all: Vec<&Request> = requests.iter().collect();
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        deletable(&all, recorded, policy, now).iter().map(|r| r.name.to_string()).collect()
    }

    #[rstest]
    #[case::three_stay(|_: &mut Value| {}, &["r1", "r0"])]
    #[case::active(|o: &mut Value| o["status"]["phase"] = json!("Progressing"), &["r1"])]
    #[case::somebody_elses(|o: &mut Value| o["metadata"]["labels"] = json!({}), &["r1"])]
    #[case::argo_cd(|o: &mut Value| o["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": "app:x"}), &["r1"])]
    #[case::flux(|o: &mut Value| o["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"] = json!("apps"), &["r1"])]
    #[case::argo_cd_of_old(|o: &mut Value| o["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("apps"), &["r1"])]
    #[case::autoscaler(|o: &mut Value| o["metadata"]["ownerReferences"] = json!([{"kind": "MongoDBAutoscaler", "name": "a", "controller": true}]), &["r1"])]
    #[case::going_already(|o: &mut Value| o["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:20:00Z"), &["r1"])]
    #[case::failed_ones_count_too(|o: &mut Value| o["status"]["phase"] = json!("Failed"), &["r1", "r0"])]
    fn of_five(#[case] change: impl Fn(&mut Value), #[case] wanted: &[&str]) {
        let requests = five(0, change);
        assert_eq!(names(&requests, &recorded(&["u0", "u1", "u2", "u3", "u4"]), &Policy::default()), wanted);
    }

    #[test]
    fn the_next_that_gets_too_old_is_waited_for() {
        let requests = five(0, |o| o["metadata"]["labels"] = json!({}));
        let all: Vec<&Request> = requests.iter().collect();
        let policy = Policy { age: Some(SignedDuration::from_mins(30)), ..Policy::default() };
        let next = |now: &str| next_too_old(&all, &policy, now.parse().unwrap()).map(|at| at.to_string());
        // `r0` is somebody else's, and `r1` ended at 00:11.
        assert_eq!(next("2026-01-01T00:20:00Z").as_deref(), Some("2026-01-01T00:41:01Z"));
        assert_eq!(next("2026-01-01T00:41:01Z").as_deref(), Some("2026-01-01T00:42:01Z"));
        assert_eq!(next("2026-01-01T01:00:00Z"), None);
        assert_eq!(next_too_old(&all, &Policy::default(), Timestamp::default()), None);
        let due = "2026-01-01T00:41:01Z".parse().unwrap();
        assert!(superfluous(&all, &policy, due).iter().any(|r| *r.name == *"r1"), "and then it goes");
    }

    #[test]
    fn without_a_record_all_that_need_not_stay_are_superfluous() {
        let requests = five(9, |_| {});
        let all: Vec<&Request> = requests.iter().collect();
        let found = superfluous(&all, &Policy::default(), "2026-01-01T01:00:00Z".parse().unwrap());
        assert_eq!(found.iter().map(|r| &*r.name).collect::<Vec<_>>(), ["r1", "r0"]);
    }

    #[test]
    fn what_the_record_does_not_hold_stays() {
        assert_eq!(names(&five(9, |_| {}), &recorded(&["u1", "u2"]), &Policy::default()), ["r1"]);
    }

    #[test]
    fn what_the_history_has_dropped_is_held_by_the_log() {
        let ended_at = "2026-01-01T00:12:30Z".parse().unwrap();
        let past = Past { uid: "u3".to_owned(), ended_at, ..Past::default() };
        let status = Status { history: vec![past], history_dropped: 3, ..Status::default() };
        assert_eq!(names(&five(9, |_| {}), &status, &Policy::default()), ["r1", "r0"]);
    }

    #[test]
    fn one_that_is_still_to_be_rolled_back_stays() {
        let mut status = recorded(&["u0", "u1", "u2", "u3", "u4"]);
        status.history[0].rollback = Some(Rollback::default());
        assert_eq!(names(&five(9, |_| {}), &status, &Policy::default()), ["r1"]);
    }

    #[rstest]
    #[case::missing("Missing: replicaSet has 3 of 5 pods", &["r1"])]
    #[case::superseded("Superseded: replicaSet has 3 of 5 pods", &["r1", "r0"])]
    fn one_whose_effect_is_missing_stays(#[case] effect: &str, #[case] wanted: &[&str]) {
        let mut status = recorded(&["u0", "u1", "u2", "u3", "u4"]);
        status.history[0].effect = Some(effect.to_owned());
        assert_eq!(names(&five(9, |_| {}), &status, &Policy::default()), wanted);
    }

    #[rstest]
    #[case::none_kept(Policy { keep: 0, ..Policy::default() }, 5)]
    #[case::old_ones_go_too(Policy { age: Some(SignedDuration::from_mins(47)), ..Policy::default() }, 3)]
    #[case::off(Policy { scope: Scope::Off, keep: 0, ..Policy::default() }, 0)]
    #[case::everybodys(Policy { scope: Scope::All, keep: 0, ..Policy::default() }, 5)]
    fn policies(#[case] policy: Policy, #[case] wanted: usize) {
        let requests = five(9, |_| {});
        assert_eq!(names(&requests, &recorded(&["u0", "u1", "u2", "u3", "u4"]), &policy).len(), wanted);
    }
}

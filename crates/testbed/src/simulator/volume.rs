//! Volume expansion: the claims ask for more while the database runs, or after its pods were taken away. Pure.
//!
//! Online leaves the workload's claim template as it is, so claims that come later have the old size. Offline deletes the
//! workload and makes it anew, as KubeDB's own output shows, and so its template has the new size.

use std::sync::Arc;

use dbscale_core::amount::Written;
use dbscale_core::change::What;
use dbscale_core::quantity::Quantity;
use serde_json::Value;

use super::json;
use super::layout::Set;
use super::operation::{Goal, Leave, Move, Next, Present, Touch};
use super::volumes::PENDING;

/// The next moves.
pub fn next(goal: &Goal, before: &[Set], after: &[Set], present: &Present) -> Next {
    let offline = goal.mode == "Offline";
    let mut waits = false;
    for touch in &goal.touches {
        let What::Storage(Written { value: Ok(size), text, .. }) = &touch.what else { continue };
        for set in before.iter().filter(|s| touch.is(s)) {
            match one(set, touch, present, (*size, text), offline, after) {
                Next::Act(moves) => return Next::Act(moves),
                Next::Wait => waits = true,
                Next::Done => {}
            }
        }
    }
    if waits { Next::Wait } else { Next::Done }
}

/// The next moves for one workload.
fn one(set: &Set, touch: &Touch, present: &Present, wanted: (Quantity, &str), offline: bool, after: &[Set]) -> Next {
    let (size, text) = wanted;
    let live = present.set(&set.name);
    let claims: Vec<&Arc<Value>> = present.claims_of(live.map_or(&set.object, |l| l)).collect();
    let below = |claim: &&&Arc<Value>, pointer: &str| amount(claim, pointer).is_none_or(|present| present < size);
    let to_ask: Vec<_> = claims.iter().filter(|c| below(c, "/spec/resources/requests/storage")).collect();
    let small: Vec<_> = claims.iter().filter(|c| below(c, "/status/capacity/storage")).collect();
    // What no pod mounts grows no further than that.
    let waits_for_pod = |c: &&&Arc<Value>| offline && json::has_condition(c, PENDING);
    let growing = !to_ask.is_empty() || !small.iter().all(waits_for_pod);
    if offline && growing {
        match live {
            Some(live) if json::is_deleting(live) => return Next::Wait,
            Some(live) => {
                let uid = json::uid(live).to_owned();
                return Next::Act(vec![Move::DeleteSet(set.kind, set.name.clone(), uid, Leave::Pods)]);
            }
            None => {}
        }
        let pods = present.pods_of(&set.name);
        if !pods.is_empty() {
            let gone = |p: &&Arc<Value>| Move::DeletePod(json::name(p).to_owned(), json::uid(p).to_owned());
            return Next::Act(pods.iter().map(gone).collect());
        }
    }
    if !to_ask.is_empty() {
        let grow = |c: &&&Arc<Value>| Move::GrowClaim(json::name(c).to_owned(), text.to_owned());
        return Next::Act(to_ask.iter().map(grow).collect());
    }
    if growing {
        return Next::Wait;
    }
    let again = after.iter().find(|s| s.name == set.name && touch.is(s));
    match (live, again) {
        (None, Some(again)) if offline => Next::Act(vec![Move::CreateSet(again.kind, again.object.clone())]),
        _ if offline && !present.is_complete(&set.name) => Next::Wait,
        _ if !small.is_empty() => Next::Wait,
        _ => Next::Done,
    }
}

fn amount(claim: &Value, pointer: &str) -> Option<Quantity> {
    Written::of(claim.pointer(pointer)?)?.quantity()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::super::testing::*;
    use super::*;

    fn look(mode: &str, present: &Present) -> Next {
        let goal =
            goal_of(&json!({"type": "VolumeExpansion", "volumeExpansion": {"mode": mode, "replicaSet": "50Gi"}}));
        goal.next(&sets_of(&database()), &sets_of(&goal.database), present, &HashSet::new())
    }

    fn grow() -> Next {
        let claims = ["datadir-mg-0", "datadir-mg-1"];
        Next::Act(claims.map(|c| Move::GrowClaim(c.to_owned(), "50Gi".to_owned())).to_vec())
    }

    fn all_claims(present: &mut Present, pointer: &str) {
        present.claims.iter_mut().for_each(|c| change(c, pointer, json!("50Gi")));
    }

    #[test]
    fn online_asks_and_waits_for_the_volumes() {
        let mut present = present("1", &["1", "1"]);
        assert_eq!(look("Online", &present), grow());
        all_claims(&mut present, "/spec/resources/requests/storage");
        assert_eq!(look("Online", &present), Next::Wait);
        all_claims(&mut present, "/status/capacity/storage");
        assert_eq!(look("Online", &present), Next::Done);
    }

    #[test]
    fn offline_takes_the_workload_and_the_pods_away_first_and_makes_them_anew() {
        let mut present = present("1", &["1", "1"]);
        let Next::Act(moves) = look("Offline", &present) else { panic!("it acts") };
        assert!(matches!(&moves[..], [Move::DeleteSet(_, name, _, Leave::Pods)] if name == "mg"), "{moves:?}");
        let set = present.sets.remove(0);
        let Next::Act(moves) = look("Offline", &present) else { panic!("it acts") };
        assert_eq!(moves.iter().map(Move::step).collect::<Vec<_>>(), [("EvictPod", "mg-0"), ("EvictPod", "mg-1")]);
        let pods = std::mem::take(&mut present.pods);
        assert_eq!(look("Offline", &present), grow());
        all_claims(&mut present, "/spec/resources/requests/storage");
        assert_eq!(look("Offline", &present), Next::Wait);
        let pending = json!([{"type": PENDING, "status": "True"}]);
        present.claims.iter_mut().for_each(|c| Arc::make_mut(c)["status"]["conditions"] = pending.clone());
        let Next::Act(moves) = look("Offline", &present) else { panic!("it acts") };
        let [Move::CreateSet(_, made)] = &moves[..] else { panic!("one workload: {moves:?}") };
        assert_eq!(made["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"], "50Gi");
        present.sets.push(set);
        assert_eq!(look("Offline", &present), Next::Wait);
        present.pods = pods;
        assert_eq!(look("Offline", &present), Next::Wait);
        all_claims(&mut present, "/status/capacity/storage");
        assert_eq!(look("Offline", &present), Next::Done);
    }
}

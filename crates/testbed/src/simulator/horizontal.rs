//! Horizontal scaling: more or fewer pods in a workload, more or fewer workloads where there is one a shard. Pure.

use serde_json::json;

use super::json;
use super::layout::Set;
use super::operation::{Goal, Leave, Move, Next, Present, replicas};
use super::world::Kind;

/// The next moves. New workloads first, then those too many, the last first, each emptied before it goes.
pub fn next(goal: &Goal, after: &[Set], present: &Present) -> Next {
    let missing = after.iter().filter(|s| present.set(&s.name).is_none());
    let create: Vec<Move> = missing.map(|s| Move::CreateSet(s.kind, s.object.clone())).collect();
    if !create.is_empty() {
        return Next::Act(create);
    }
    let mut surplus: Vec<_> = present.sets.iter().filter(|s| !after.iter().any(|a| a.name == json::name(s))).collect();
    // `x-shard10` comes after `x-shard9`.
    surplus.sort_by_key(|s| (json::name(s).len(), json::name(s).to_owned()));
    if let Some(last) = surplus.pop() {
        let (kind, name) = (kind_of(json::text(last, "/kind")), json::name(last).to_owned());
        return if json::is_deleting(last) {
            Next::Wait
        } else if replicas(last) > 0 {
            Next::Act(vec![Move::PatchSet(kind, name, json!({"spec": {"replicas": 0}}))])
        } else if present.pods_of(&name).is_empty() {
            Next::Act(vec![Move::DeleteSet(kind, name, json::uid(last).to_owned(), Leave::Nothing)])
        } else {
            Next::Wait
        };
    }
    let touched: Vec<&Set> = after.iter().filter(|s| goal.touches.iter().any(|t| t.is(s))).collect();
    let other_size = |set: &&&Set| present.set(&set.name).is_some_and(|live| replicas(live) != set.replicas);
    let resize = |set: &&Set| Move::PatchSet(set.kind, set.name.clone(), json!({"spec": {"replicas": set.replicas}}));
    let moves: Vec<Move> = touched.iter().filter(other_size).map(resize).collect();
    if !moves.is_empty() {
        return Next::Act(moves);
    }
    if touched.iter().all(|s| present.is_complete(&s.name)) { Next::Done } else { Next::Wait }
}

fn kind_of(kind: &str) -> Kind {
    if kind == "StatefulSet" { Kind::StatefulSet } else { Kind::PetSet }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rstest::rstest;
    use serde_json::Value;

    use super::super::testing::*;
    use super::*;

    fn look(spec: &Value, object: &Value, present: &Present) -> Next {
        let goal = goal_on(spec, object);
        goal.next(&sets_of(object), &sets_of(&goal.database), present, &HashSet::new())
    }

    fn replicas_patch(name: &str, replicas: i64) -> Next {
        Next::Act(vec![Move::PatchSet(Kind::PetSet, name.to_owned(), json!({"spec": {"replicas": replicas}}))])
    }

    #[rstest]
    #[case::up(5, replicas_patch("mg", 5))]
    #[case::down(1, replicas_patch("mg", 1))]
    #[case::there(3, Next::Done)]
    fn members(#[case] wanted: i64, #[case] next: Next) {
        let spec = json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": wanted}});
        assert_eq!(look(&spec, &database(), &present("1", &["1", "1", "1"])), next);
    }

    #[test]
    fn waits_for_the_pods() {
        let spec = json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": 3}});
        let mut present = present("1", &["1", "1", "1"]);
        unready(&mut present, 2);
        assert_eq!(look(&spec, &database(), &present), Next::Wait);
    }

    #[test]
    fn a_workload_too_many_is_emptied_then_deleted() {
        let spec = json!({"type": "HorizontalScaling", "horizontalScaling": {"replicas": 3}});
        let mut present = present("1", &["1", "1", "1"]);
        let mut extra = Value::clone(&present.sets[0]);
        extra["metadata"]["name"] = json!("mg-shard9");
        let mut last = extra.clone();
        last["metadata"]["name"] = json!("mg-shard10");
        present.sets.extend([last.into(), extra.into()]);
        assert_eq!(look(&spec, &database(), &present), replicas_patch("mg-shard10", 0));
        change(&mut present.sets[1], "/spec/replicas", json!(0));
        let Next::Act(moves) = look(&spec, &database(), &present) else { panic!("it acts") };
        assert!(
            matches!(&moves[..], [Move::DeleteSet(_, name, _, Leave::Nothing)] if name == "mg-shard10"),
            "{moves:?}"
        );
    }
}

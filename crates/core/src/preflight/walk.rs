//! The moves of a change, made one after the other on the floor of the nodes.

use super::misfit::Misfit;
use super::moves::Move;
use super::object::Pod;
use super::place::Floor;

/// A pod that does not come to be where it should.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// The index of its move.
    pub index: usize,
    /// Why.
    pub misfit: Misfit,
    /// Whether it is only that the pod cannot be resized on its node.
    pub in_place: bool,
}

/// How many ways are gone at most, where it is open to which place a pod comes.
const WAYS: usize = 64;

/// Makes moves one after the other, and answers those that do not succeed. Where there are several ways, one with a pod that
/// fits nowhere is told.
pub fn troubles(floor: &mut Floor, moves: &[&Move]) -> Vec<Trouble> {
    walk(floor, moves, 0, &mut WAYS.clone())
}

fn walk(floor: &mut Floor, moves: &[&Move], from: usize, ways: &mut usize) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    for (index, one) in moves.iter().enumerate().skip(from) {
        let comes = match one {
            Move::Leaves { before } => {
                floor.remove(before);
                continue;
            }
            Move::Comes { after } => after,
            Move::Restarts { before, after } => {
                floor.remove(before);
                after
            }
            Move::Resizes { before, after } => match floor.resize(before, after) {
                Ok(()) => continue,
                Err(misfit) => {
                    troubles.push(Trouble { index, misfit, in_place: true });
                    floor.remove(before);
                    after
                }
            },
        };
        let pod = moving(comes);
        match floor.candidates(&pod) {
            Err(misfit) => troubles.push(Trouble { index, misfit, in_place: false }),
            Ok(nodes) => {
                for node in &nodes[1..] {
                    if *ways == 0 {
                        break;
                    }
                    *ways -= 1;
                    let mut other = floor.clone();
                    other.put(pod.clone().into(), *node);
                    let found = walk(&mut other, moves, index + 1, ways);
                    if found.iter().any(|trouble| !trouble.in_place) {
                        troubles.extend(found);
                        *floor = other;
                        return troubles;
                    }
                }
                floor.put(pod.into(), nodes[0]);
            }
        }
    }
    troubles
}

/// A pod that is to be placed anew.
fn moving(pod: &Pod) -> Pod {
    let mut pod = pod.clone();
    pod.spec.node_name.clear();
    pod.metadata.deletion_timestamp = None;
    pod
}

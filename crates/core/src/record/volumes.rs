//! How growing volumes are remembered.

use jiff::Timestamp;

use super::{CONFIRMED, Delta, Growth, Past, Present, STORAGE_PATCH, SUPERSEDED, Status};
use crate::growth::Volumes;
use crate::quantity::Quantity;
use crate::status::Phase;

/// Notes how volumes grow; a growth that has ended, or that another took the place of, goes into the history.
pub(super) fn grow(
    present: &Present<'_>,
    previous: &Status,
    history: &mut Vec<Past>,
    now: Timestamp,
) -> Option<Growth> {
    let before = previous.storage.as_ref();
    match &present.volumes {
        Volumes::Unknown => before.cloned(),
        Volumes::Growing(growth) => {
            let differs =
                |b: &&Growth| unlike(&b.changes, |of| growth.changes.iter().find(|c| c.component == of)?.size());
            let same = before.filter(|b| b.request_id == growth.request_id && differs(b).is_none());
            if let Some(earlier) = before.filter(|_| same.is_none()) {
                let why = differs(&earlier).unwrap_or_else(|| "another change took its place".to_owned());
                close(history, earlier, Some(why), now);
            }
            let started_at = same.map_or(now, |b| b.started_at);
            // What was smaller at first stays the value before, also while the last volume grows.
            let mut changes = same.map_or_else(Vec::new, |b| b.changes.clone());
            for change in &growth.changes {
                if !changes.iter().any(|b| b.component == change.component) {
                    changes.push(change.clone());
                }
            }
            Some(Growth { started_at, changes, ..growth.clone() })
        }
        Volumes::Settled(sizes) => {
            if let Some(done) = before {
                close(history, done, unlike(&done.changes, |of| sizes.get(of).copied()), now);
            }
            None
        }
        Volumes::Left => {
            if let Some(left) = before {
                close(history, left, Some("nobody grows its volumes any more".to_owned()), now);
            }
            None
        }
    }
}

/// What another size than a growth's is wanted for now, for people; `None` while it still is that size. `sizes` tells it
/// by the component's name, where it is known.
fn unlike(changes: &[Delta], sizes: impl Fn(&str) -> Option<Quantity>) -> Option<String> {
    let other = |change: &Delta| sizes(&change.component).filter(|size| Some(*size) != change.size());
    let (change, size) = changes.iter().find_map(|c| Some((c, other(c)?)))?;
    Some(format!("the database asks for {size} now, and not every volume had {} by then", change.after))
}

/// Puts a growth that is over into the history; `why_not` tells why it was not done.
fn close(history: &mut Vec<Past>, growth: &Growth, why_not: Option<String>, now: Timestamp) {
    // The id may be the database's, and a volume that comes later grows because of the same change.
    if history.iter().any(|p| p.uid == growth.request_id && p.changes == growth.changes) {
        return;
    }
    let done = why_not.is_none();
    history.push(Past {
        name: growth.request_id.clone(),
        uid: growth.request_id.clone(),
        ops_type: STORAGE_PATCH.to_owned(),
        outcome: if done { Phase::Successful.word() } else { SUPERSEDED }.to_owned(),
        message: why_not.unwrap_or_default(),
        requested_by: growth.requested_by.clone(),
        created_at: growth.started_at,
        started_at: Some(growth.started_at),
        ended_at: now,
        duration_seconds: Some(now.duration_since(growth.started_at).as_secs()),
        changes: growth.changes.clone(),
        effect: done.then(|| CONFIRMED.to_owned()),
        ..Past::default()
    });
}

impl Delta {
    /// The wanted value as a size.
    fn size(&self) -> Option<Quantity> {
        self.after.parse().ok()
    }
}

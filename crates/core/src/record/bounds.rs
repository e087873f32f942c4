//! A record stays small enough to be stored, whatever stands in the OpsRequests: an API server takes 1.5 MB, and one that
//! could not be written would say nothing any more.

use serde::Serialize;

use super::{Delta, Past, Request, Status};
use crate::status::Phase;

/// The longest text for people, in characters.
const LONGEST: usize = 1000;
/// The longest value of a change, and the longest name of whoever asked.
const LONGEST_VALUE: usize = 200;
/// The most changes of one operation.
const MOST_CHANGES: usize = 20;
/// The most operations that are followed in one moment; of more, those that run and the oldest.
const MOST_OPERATIONS: usize = 100;
/// The largest status, in bytes of JSON.
const LARGEST: usize = 1_000_000;

/// Cuts what is too long, but for the verdict, which follows from the rest.
pub(super) fn cut_parts(status: &mut Status) {
    for operation in &mut status.operations {
        if let Some(overdue) = &mut operation.overdue {
            cut(&mut overdue.message, LONGEST);
        }
        cut_all(operation.requested_by.as_mut(), &mut operation.changes);
    }
    for past in &mut status.history {
        cut(&mut past.reason, LONGEST_VALUE);
        cut(&mut past.message, LONGEST);
        if let Some(effect) = &mut past.effect {
            cut(effect, LONGEST);
        }
        if let Some(rollback) = &mut past.rollback {
            cut(&mut rollback.message, LONGEST);
        }
        cut_all(past.requested_by.as_mut(), &mut past.changes);
    }
    if let Some(growth) = &mut status.storage {
        cut(&mut growth.message, LONGEST);
        cut_all(growth.requested_by.as_mut(), &mut growth.changes);
    }
}

/// Cuts the verdict.
pub(super) fn cut_verdict(status: &mut Status) {
    cut(&mut status.message, LONGEST);
}

/// Takes the oldest out of the history as long as all of it is too large.
pub(super) fn archive_what_is_too_large(status: &mut Status) -> Vec<Past> {
    let mut size = size_of(status);
    let mut archived = Vec::new();
    while size > LARGEST
        && let Some(oldest) = status.history.pop()
    {
        size -= size_of(&oldest);
        status.history_dropped += 1;
        archived.push(oldest);
    }
    archived
}

fn size_of(part: &impl Serialize) -> usize {
    serde_json::to_vec(part).map_or(0, |text| text.len())
}

/// The active requests that are followed, the oldest first.
pub(super) fn followed<'r>(requests: &[&'r Request], previous: &Status) -> Vec<&'r Request> {
    let mut active: Vec<&Request> = requests.iter().copied().filter(|r| r.phase.is_active()).collect();
    if active.len() > MOST_OPERATIONS {
        let is_known = |r: &Request| previous.operations.iter().any(|o| *o.uid == *r.uid);
        active.sort_by_key(|r| (r.phase != Phase::Progressing, !is_known(r), r.age()));
        active.truncate(MOST_OPERATIONS);
        active.sort_by_key(|r| r.age());
    }
    active
}

fn cut_all(requested_by: Option<&mut String>, changes: &mut Vec<Delta>) {
    if let Some(name) = requested_by {
        cut(name, LONGEST_VALUE);
    }
    changes.truncate(MOST_CHANGES);
    for change in changes {
        cut(&mut change.component, LONGEST_VALUE);
        cut(&mut change.after, LONGEST_VALUE);
        if let Some(before) = &mut change.before {
            cut(before, LONGEST_VALUE);
        }
    }
}

fn cut(text: &mut String, longest: usize) {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
        // The last character makes place for the mark, so that a text that was cut is not cut again.
        text.pop();
        text.push('…');
    }
}

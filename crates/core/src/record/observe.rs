//! From what was remembered and what is seen now to what is remembered next. Pure: the time comes in as a value.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::bounds;
use super::deltas::deltas;
use super::effects::Effects;
use super::judge::{self, overdue};
use super::volumes::grow;
use super::{DELETED, Past, Request, Rollback, RollbackState, Status, Tracked};
use crate::database::Database;
use crate::growth::Volumes;
use crate::rollback;
use crate::scaling_policy::WayBack;
use crate::status::Phase;

/// What is seen of a database now.
#[derive(Debug, Clone)]
pub struct Present<'a> {
    /// The database.
    pub database: &'a Database,
    /// All its OpsRequests.
    pub requests: Vec<&'a Request>,
    /// What an independent look at the effects found, by the request's UID, where one was taken.
    pub looks: BTreeMap<String, Look>,
    /// How its volumes stand.
    pub volumes: Volumes,
    /// What came of rollbacks since the record was written, by the failed request's UID.
    pub rollbacks: BTreeMap<String, Rollback>,
    /// What a policy says of ways back, and its name; `None` = each operation says it itself.
    pub way_back: Option<(WayBack, String)>,
}

/// What a look at the effects of one operation found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// What is not as wanted; empty = all is there.
    pub missing: Vec<String>,
    /// What stands in the way, the likeliest alone.
    pub cause: Option<String>,
}

/// What is a matter of choice.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long an operation may be Progressing, or not begin.
    pub timeout: SignedDuration,
    /// How many operations the history holds.
    pub history: usize,
    /// How long the effects of a successful operation may take to show.
    pub grace: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { timeout: SignedDuration::from_mins(10), history: 20, grace: SignedDuration::from_secs(30) }
    }
}

/// What follows.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The record's next status; equal to the last one where nothing changed.
    pub status: Status,
    /// What is told once, when the status has been written.
    pub told: Vec<Told>,
    /// What no longer fits into the history.
    pub archived: Vec<Past>,
    /// The UIDs of the requests whose effects are to be looked at: those that have just ended well, those whose effects were
    /// missing, and those that are overdue. With the looks in [`Present::looks`], ask again.
    pub looks: Vec<String>,
    /// When to look again though nothing changes.
    pub recheck: Option<Timestamp>,
}

/// One thing to tell: a log line, an Event, a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What happened.
    pub notice: Notice,
    /// The OpsRequest's name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// `spec.type`.
    pub ops_type: String,
    /// Its phase.
    pub phase: String,
    /// Why, in one word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// Seconds from its first Progressing to its end.
    pub duration_s: Option<i64>,
}

/// What can happen to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
    /// It ended well.
    Successful,
    /// It ended with an error.
    Failed,
    /// It ended without having run: skipped, denied, deleted.
    NotRun,
    /// It should have ended or begun by now.
    Overdue,
    /// It ended well, and what it was to do is not there.
    EffectMissing,
    /// What was missing is there after all.
    EffectFound,
    /// It failed, and a way back was decided or declined.
    Rollback,
}

/// What the record says next.
#[must_use]
pub fn observe(present: &Present<'_>, previous: &Status, settings: &Settings, now: Timestamp) -> Observation {
    let mut requests = present.requests.clone();
    requests.sort_by(|a, b| a.age().cmp(&b.age()));
    let mut told = Vec::new();
    let operations = track(present, &requests, previous, settings, now, &mut told);
    let mut history = previous.history.clone();
    let mut news = BTreeSet::new();
    for past in ended(present, &requests, previous, now) {
        // Those that ended before anybody watched are remembered, not told.
        let watched = previous.operations.iter().any(|o| o.uid == past.uid);
        if watched || now.duration_since(past.ended_at) < settings.timeout {
            told.push(Told::of(&past));
            news.insert(past.uid.clone());
        }
        history.push(past);
    }
    let effects = Effects { present, requests: &requests, previous, settings, now };
    effects.note(&mut history, &mut told);
    note_ways_back(&requests, &mut history);
    roll_back(present, (&requests, previous), &news, &mut history, &mut told);
    let storage = grow(present, previous, &mut history, now);

    // Times have whole seconds: of two that ended within one, the later made is the newer, then the one noted later. The
    // notes are in order, oldest first, but for the history's own, which are reversed.
    history[..previous.history.len()].reverse();
    history.reverse();
    history.sort_by_key(|p| Reverse((p.ended_at, p.created_at)));
    let mut archived = history.split_off(settings.history.min(history.len()));
    let mut status = Status {
        operations,
        history,
        history_dropped: previous.history_dropped + u64::try_from(archived.len()).unwrap_or(0),
        storage,
        observed_at: previous.observed_at,
        ..Status::default()
    };
    bounds::cut_parts(&mut status);
    judge::judge(present.database, &requests, &mut status);
    bounds::cut_verdict(&mut status);
    // One that was never written has no time, and so differs from what it says first: a record may be left without a status
    // by whoever was killed after making it.
    if status != *previous || previous.observed_at.is_none() {
        status.observed_at = Some(now);
        archived.extend(bounds::archive_what_is_too_large(&mut status));
    }
    let ended = effects.due(&status.history).map(|(past, _)| past.uid.clone());
    let overdue = status.operations.iter().filter(|o| o.overdue.is_some()).map(|o| o.uid.clone());
    let looks = ended.chain(overdue).filter(|uid| !present.looks.contains_key(uid)).collect();
    let recheck = judge::recheck(&status, &effects);
    Observation { status, told, archived, looks, recheck }
}

fn track(
    present: &Present<'_>,
    requests: &[&Request],
    previous: &Status,
    settings: &Settings,
    now: Timestamp,
    told: &mut Vec<Told>,
) -> Vec<Tracked> {
    let mut operations = Vec::new();
    for request in bounds::followed(requests, previous) {
        let before = previous.operations.iter().find(|o| *o.uid == *request.uid);
        let progressing = request.phase == Phase::Progressing;
        let behind = requests.iter().any(|r| r.uid != request.uid && r.phase == Phase::Progressing);
        let blocked = progressing || behind || request.phase == Phase::WaitingForApproval;
        let mut tracked = Tracked {
            name: request.name.to_string(),
            uid: request.uid.to_string(),
            ops_type: request.ops_type.to_string(),
            phase: request.phase.word().to_owned(),
            created_at: request.created,
            started_at: before.and_then(|b| b.started_at).or(progressing.then_some(now)),
            waiting_from: match before {
                _ if blocked => None,
                Some(before) => before.waiting_from.or(Some(now)),
                None => Some(request.created),
            },
            overdue: None,
            requested_by: request.requested_by.as_deref().map(str::to_owned),
            changes: before.map_or_else(|| deltas(request, present.database, true), |b| b.changes.clone()),
        };
        let last = before.and_then(|b| b.overdue.as_ref());
        tracked.overdue = overdue(present, request, &tracked, last, settings, now);
        if let (None, Some(overdue)) = (last, &tracked.overdue) {
            told.push(Told {
                notice: Notice::Overdue,
                name: tracked.name.clone(),
                uid: tracked.uid.clone(),
                ops_type: tracked.ops_type.clone(),
                phase: tracked.phase.clone(),
                reason: overdue.reason.clone(),
                message: overdue.message.clone(),
                duration_s: None,
            });
        }
        operations.push(tracked);
    }
    operations
}

/// The operations that have ended and are not in the history yet.
fn ended(present: &Present<'_>, requests: &[&Request], previous: &Status, now: Timestamp) -> Vec<Past> {
    let mut all = Vec::new();
    for request in requests.iter().filter(|r| r.phase.is_finished() && !previous.holds(r)) {
        let tracked = previous.operations.iter().find(|o| *o.uid == *request.uid);
        let at = request.ended_at().unwrap_or(if tracked.is_some() { now } else { request.created });
        let started_at = tracked.and_then(|t| t.started_at);
        let failed = request.phase == Phase::Failed || request.phase == Phase::Denied;
        let (reason, message) = request.failure.as_deref().filter(|_| failed).cloned().unwrap_or_default();
        all.push(Past {
            name: request.name.to_string(),
            uid: request.uid.to_string(),
            ops_type: request.ops_type.to_string(),
            outcome: request.phase.word().to_owned(),
            reason,
            message,
            requested_by: request.requested_by.as_deref().map(str::to_owned),
            created_at: request.created,
            started_at,
            ended_at: at,
            duration_seconds: started_at.map(|began| at.duration_since(began).as_secs().max(0)),
            changes: tracked.map_or_else(|| deltas(request, present.database, false), |t| t.changes.clone()),
            effect: None,
            rollback: None,
        });
    }
    let gone = |t: &&Tracked| !requests.iter().any(|r| *r.uid == t.uid);
    for tracked in previous.operations.iter().filter(gone) {
        all.push(Past {
            name: tracked.name.clone(),
            uid: tracked.uid.clone(),
            ops_type: tracked.ops_type.clone(),
            outcome: DELETED.to_owned(),
            message: format!("it was deleted while it was {}", tracked.phase),
            requested_by: tracked.requested_by.clone(),
            created_at: tracked.created_at,
            started_at: tracked.started_at,
            ended_at: now,
            changes: tracked.changes.clone(),
            ..Past::default()
        });
    }
    all
}

/// Notes the ways back that a person has asked for, be it where none was to be made: the newest that was not turned away.
/// They are told as the operations that they are.
fn note_ways_back(requests: &[&Request], history: &mut [Past]) {
    for at in 0..history.len() {
        let past = &history[at];
        if past.rollback.as_ref().is_some_and(|r| r.state == RollbackState::Planned) {
            continue;
        }
        let is_back = |r: &&&Request| {
            // Of several operations with one name it is the last that was there before.
            let of_a_later =
                |p: &Past| p.name == past.name && p.created_at > past.created_at && p.created_at <= r.created;
            r.rollback_of.as_deref() == Some(past.name.as_str())
                && r.created >= past.created_at
                && !matches!(r.phase, Phase::Skipped | Phase::Denied)
                && !history.iter().any(of_a_later)
        };
        let Some(name) = requests.iter().rfind(is_back).map(|back| back.name.to_string()) else { continue };
        if past.rollback.as_ref().is_none_or(|r| r.name != name) {
            history[at].rollback = Some(Rollback { name, state: RollbackState::Requested, message: String::new() });
        }
    }
}

/// Decides on ways back, and notes what became of those that were decided. `news` are the operations that have just ended:
/// what a policy asks for is none for those that failed before.
fn roll_back(
    present: &Present<'_>,
    (requests, previous): (&[&Request], &Status),
    news: &BTreeSet<String>,
    history: &mut [Past],
    told: &mut Vec<Told>,
) {
    for past in history.iter_mut().filter(|p| p.outcome == Phase::Failed.word()) {
        let next = match &past.rollback {
            None => {
                let Some(failed) = requests.iter().find(|r| *r.uid == past.uid) else { continue };
                let noted_before = previous.noted_before(&past.uid);
                let around = rollback::Around { requests, noted_before: &noted_before };
                match &present.way_back {
                    Some((WayBack::Never, policy)) if failed.asks_rollback == Some(true) => rollback::forbidden(policy),
                    Some((WayBack::Never, _)) => continue,
                    Some((WayBack::OnFailure, _)) if news.contains(&past.uid) && rollback::may_go_back(failed) => {
                        rollback::decide(present.database, failed, around)
                    }
                    _ if failed.asks_rollback == Some(true) => rollback::decide(present.database, failed, around),
                    _ => continue,
                }
            }
            Some(now) if now.state == RollbackState::Planned => {
                let made = requests.iter().any(|r| *r.name == now.name);
                let there = requests.iter().any(|r| *r.uid == past.uid);
                let noted = present.rollbacks.get(&past.uid).cloned();
                noted.unwrap_or_else(|| {
                    if made || there { rollback::follow(now, made) } else { rollback::gone(&past.name) }
                })
            }
            Some(_) => continue,
        };
        if past.rollback.as_ref() != Some(&next) {
            let message = match next.state {
                RollbackState::Planned => format!("{} will go back from it", next.name),
                RollbackState::Requested => format!("{} goes back from it", next.name),
                RollbackState::Declined => format!("nothing goes back from it: {}", next.message),
            };
            if next.state != RollbackState::Planned {
                told.push(Told { notice: Notice::Rollback, reason: "Rollback".to_owned(), message, ..Told::of(past) });
            }
            past.rollback = Some(next);
        }
    }
}

impl Request {
    /// When it ended, as far as its conditions tell.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.changed.filter(|at| *at >= self.created)
    }
}

impl Status {
    /// Whether a request that has ended is in the history, or was and has been archived since.
    #[must_use]
    pub fn holds(&self, request: &Request) -> bool {
        let known = self.history.iter().any(|p| *p.uid == *request.uid);
        let oldest = self.history.last().filter(|_| self.history_dropped > 0);
        let watched = self.operations.iter().any(|o| *o.uid == *request.uid);
        known || !watched && oldest.is_some_and(|o| request.ended_at().unwrap_or(request.created) <= o.ended_at)
    }

    /// The uids of what the history noted as ended before it noted so of one: all of it, where it does not hold that one.
    #[must_use]
    pub fn noted_before(&self, uid: &str) -> Vec<&str> {
        let from = self.history.iter().position(|p| p.uid == uid).map_or(0, |at| at + 1);
        self.history[from..].iter().map(|p| p.uid.as_str()).collect()
    }
}

impl Told {
    pub(super) fn of(past: &Past) -> Self {
        let notice = if past.outcome == Phase::Successful.word() {
            Notice::Successful
        } else if past.outcome == Phase::Failed.word() {
            Notice::Failed
        } else {
            Notice::NotRun
        };
        Self {
            notice,
            name: past.name.clone(),
            uid: past.uid.clone(),
            ops_type: past.ops_type.clone(),
            phase: past.outcome.clone(),
            reason: past.reason.clone(),
            message: past.message.clone(),
            duration_s: past.duration_seconds,
        }
    }
}

//! The verdict: which operation is followed, what the database is doing, and what counts as overdue.

use jiff::{SignedDuration, Timestamp};

use super::effects::Effects;
use super::{Delta, Overdue, Past, Present, Request, RollbackState, Settings, State, Status, Tracked};
use crate::change::HORIZONTAL;
use crate::database::Database;
use crate::status::Phase;

/// Progressing for too long.
pub const MONITORING_TIMEOUT: &str = "MonitoringTimeout";
/// Not begun for too long, though nothing else ran.
pub const NEVER_STARTED: &str = "NeverStarted";
/// Progressing for too long, and something stands in the way.
pub const STUCK: &str = "Stuck";
/// All that it was to do is there, and it still says Progressing.
pub const DONE_BUT_NOT_REPORTED: &str = "DoneButNotReported";
/// It says Successful, and what it was to do is not there.
pub const EFFECT_MISSING: &str = "EffectMissing";

/// A direct change of the object whose volumes do not follow, for a reason that is known.
pub const VOLUMES_NOT_GROWN: &str = "VolumesNotGrown";

/// The verdicts that no OpsRequest tells.
const BEYOND: [&str; 6] =
    [MONITORING_TIMEOUT, NEVER_STARTED, STUCK, DONE_BUT_NOT_REPORTED, EFFECT_MISSING, VOLUMES_NOT_GROWN];

/// How often the effects of an operation are looked at again that is overdue, or whose effects are missing.
pub(super) const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// How often a rollback that waits for another operation is tried again.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// Fills in phase, reason, message and last from what the status holds already.
pub(super) fn judge(database: &Database, requests: &[&Request], status: &mut Status) {
    status.last = newest(status).unwrap_or_default();
    let verdict = if let Some(operation) = followed(&status.operations) {
        of_operation(database, requests, operation)
    } else if let Some(growth) = &status.storage {
        let (phase, reason, because) = if growth.message.is_empty() {
            (State::Updating, "VolumesGrowing", String::new())
        } else {
            (State::Failed, VOLUMES_NOT_GROWN, format!(": {}", growth.message))
        };
        let words = words(&growth.changes);
        (phase, reason.to_owned(), format!("{words}, {} of {} volumes done{because}", growth.grown, growth.volumes))
    } else {
        of_past(requests, &status.history)
    };
    (status.phase, status.reason, status.message) = verdict;
}

impl Status {
    /// Whether it says what none of the OpsRequests does: that one takes too long, that nothing came of it.
    #[must_use]
    pub fn says_more(&self) -> bool {
        BEYOND.contains(&self.reason.as_str())
    }

    /// Whether it has seen all of these requests as they are. One that has not speaks of what was before.
    #[must_use]
    pub fn knows(&self, requests: &[Request]) -> bool {
        let tracks = |r: &Request| self.operations.iter().any(|o| *o.uid == *r.uid && o.phase == r.phase.word());
        requests.iter().all(|r| if r.phase.is_finished() { self.holds(r) } else { tracks(r) })
    }
}

/// The operation that a record follows: the one that is Progressing, of several the one that began first, else the newest.
fn followed(operations: &[Tracked]) -> Option<&Tracked> {
    let progressing = operations.iter().filter(|o| o.phase == Phase::Progressing.word());
    progressing.min_by_key(|o| o.started_at).or_else(|| operations.last())
}

fn of_operation(database: &Database, requests: &[&Request], operation: &Tracked) -> (State, String, String) {
    if let Some(overdue) = &operation.overdue {
        return (State::Failed, overdue.reason.clone(), overdue.message.clone());
    }
    let scales = operation.ops_type == HORIZONTAL.ops_type;
    let phase = if scales { State::Scaling } else { State::Updating };
    let name = &operation.name;
    let what = match words(&operation.changes) {
        words if words.is_empty() => String::new(),
        words => format!(": {words}"),
    };
    let request = requests.iter().find(|r| *r.uid == *operation.uid);
    let waits_for_ready = !database.is_ready() && request.and_then(|r| r.apply()).as_deref() != Some("Always");
    let message = match request.map_or(Phase::Pending, |r| r.phase) {
        Phase::Progressing => format!("{name} runs{what}"),
        Phase::WaitingForApproval => format!("{name} waits for approval{what}"),
        _ if waits_for_ready && !database.phase.is_empty() => {
            format!("{name} waits until the database is Ready; it is {} now{what}", database.phase)
        }
        _ => format!("{name} waits for KubeDB to begin{what}"),
    };
    (phase, operation.phase.clone(), message)
}

/// The verdict where nothing is under way: of the newest operation that ran, and then of what is missing. Skipped, denied and
/// deleted ones changed nothing. Whoever deletes an OpsRequest whose effect is missing has seen it.
fn of_past(requests: &[&Request], history: &[Past]) -> (State, String, String) {
    let ran = |p: &&Past| [Phase::Successful.word(), Phase::Failed.word()].contains(&p.outcome.as_str());
    let Some(past) = history.iter().find(ran) else {
        return (State::Running, history.first().map(|p| p.outcome.clone()).unwrap_or_default(), String::new());
    };
    if past.outcome == Phase::Failed.word() {
        let because = if past.message.is_empty() { "it does not say why" } else { past.message.as_str() };
        let reason = if past.reason.is_empty() { "OpsRequestFailed".to_owned() } else { past.reason.clone() };
        return (State::Failed, reason, format!("{} {} failed: {because}", past.ops_type, past.name));
    }
    let is_there = |p: &Past| requests.iter().any(|r| *r.uid == p.uid);
    match history.iter().filter(|p| is_there(p)).find_map(|p| Some((&p.name, p.missing()?))) {
        Some((name, missing)) => {
            let message = format!("{name} ended Successful, but {missing}");
            (State::Failed, EFFECT_MISSING.to_owned(), message)
        }
        None => (State::Running, past.outcome.clone(), String::new()),
    }
}

/// `replicas 3 → 5`, with the component where there are several.
#[must_use]
pub fn words(changes: &[Delta]) -> String {
    let several = changes.iter().any(|c| c.component != changes[0].component);
    let each = changes.iter().map(|c| {
        let component = if several { format!("{} ", c.component) } else { String::new() };
        let before = c.before.as_ref().map(|b| format!("{b} → ")).unwrap_or_default();
        format!("{component}{} {before}{}", c.field, c.after)
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The newest operation and how it stands.
fn newest(status: &Status) -> Option<String> {
    let active = followed(&status.operations).map(|o| format!("{} {}", o.ops_type, o.phase));
    active.or_else(|| status.history.first().map(|p| format!("{} {}", p.ops_type, p.outcome)))
}

/// Whether an operation should have ended or begun by now, and why it has not. `last` is what was said before.
pub(super) fn overdue(
    present: &Present<'_>,
    request: &Request,
    tracked: &Tracked,
    last: Option<&Overdue>,
    settings: &Settings,
    now: Timestamp,
) -> Option<Overdue> {
    let since = since(tracked)?;
    if now.duration_since(since) < settings.timeout {
        return None;
    }
    let time = match settings.timeout.as_secs() {
        seconds if seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} s"),
    };
    let look = present.looks.get(&*request.uid);
    let name = &request.name;
    let said = |reason: &str, message: String| Some(Overdue { reason: reason.to_owned(), message });
    if request.phase != Phase::Progressing {
        let because = if present.database.is_ready() || request.apply().as_deref() == Some("Always") {
            "KubeDB has not begun it".to_owned()
        } else {
            format!("the database is {}, and KubeDB waits until it is Ready", present.database.phase)
        };
        return said(NEVER_STARTED, format!("{name} has not begun within {time}: {because}"));
    }
    match look {
        None if last.is_some() => last.cloned(),
        Some(look) if look.missing.is_empty() => {
            let message = format!("all that {name} was to do is there, but it still says Progressing");
            said(DONE_BUT_NOT_REPORTED, message)
        }
        Some(look) if look.cause.is_some() => {
            let cause = look.cause.as_deref().unwrap_or_default();
            said(STUCK, format!("{name} has not ended within {time}: {cause}"))
        }
        _ => said(MONITORING_TIMEOUT, format!("{name} has not ended within {time}")),
    }
}

/// From when on its time counts; `None` while it does not.
fn since(tracked: &Tracked) -> Option<Timestamp> {
    if tracked.phase == Phase::Progressing.word() { tracked.started_at } else { tracked.waiting_from }
}

/// When to look again though nothing changes.
pub(super) fn recheck(status: &Status, effects: &Effects<'_>) -> Option<Timestamp> {
    let (settings, now) = (effects.settings, effects.now);
    let after = |from: Timestamp, by: SignedDuration| from.checked_add(by).ok();
    let operations = status.operations.iter().filter_map(|o| {
        let due = after(since(o)?, settings.timeout)?;
        if due > now { Some(due) } else { after(now, LOOK_AGAIN) }
    });
    let goes_back = |p: &Past| p.rollback.as_ref().is_some_and(|r| r.state == RollbackState::Planned);
    let rollbacks = status.history.iter().any(goes_back).then(|| after(now, ASK_AGAIN)).flatten();
    operations.chain(effects.due(&status.history).map(|(_, again)| again)).chain(rollbacks).min()
}

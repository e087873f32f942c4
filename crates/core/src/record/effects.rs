//! Whether what ended well is really there: looked at again until it is, or until something newer wants other values.

use std::mem::discriminant;

use jiff::{SignedDuration, Timestamp};

use super::deltas::present_value;
use super::{CONFIRMED, Delta, Look, Notice, Past, Present, Request, SUPERSEDED, Settings, Status, Told, judge};
use crate::change::{Change, STANZAS, Wish};
use crate::database::Database;
use crate::quantity::Quantity;
use crate::status::Phase;

/// How `effect` begins where something is not there.
const MISSING: &str = "Missing: ";
/// How often the effects of an operation that has just ended are looked at until its grace is over.
const SOON: SignedDuration = SignedDuration::from_secs(5);
/// For how long after its end an operation that was watched is looked at, if nobody could before.
const LATELY: SignedDuration = SignedDuration::from_hours(24);

impl Past {
    /// What a look did not find, and nobody has found or overridden since.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        self.effect.as_deref()?.strip_prefix(MISSING)
    }

    /// Whether its effects are of interest: it ended well, and nobody has found them yet.
    fn wants_look(&self) -> bool {
        let unknown = self.effect.is_none() || self.missing().is_some();
        unknown
            && self.outcome == Phase::Successful.word()
            && STANZAS.iter().any(|stanza| stanza.ops_type == self.ops_type)
    }

    /// Whether it may have changed something.
    fn ran(&self) -> bool {
        let ended = [Phase::Successful.word(), Phase::Failed.word()].contains(&self.outcome.as_str());
        ended || self.started_at.is_some()
    }
}

/// What the effects of past operations are judged by.
pub(super) struct Effects<'a> {
    pub(super) present: &'a Present<'a>,
    /// All OpsRequests, the oldest first.
    pub(super) requests: &'a [&'a Request],
    pub(super) previous: &'a Status,
    pub(super) settings: &'a Settings,
    pub(super) now: Timestamp,
}

impl Effects<'_> {
    /// Notes what the looks have found, and what newer operations and hands have overridden.
    pub(super) fn note(&self, history: &mut [Past], told: &mut Vec<Told>) {
        for at in 0..history.len() {
            let past = &history[at];
            let Some(request) = self.request(past).filter(|_| past.wants_look()) else { continue };
            let (look, before) = (self.present.looks.get(&past.uid), past.missing());
            if look.is_none() && before.is_none() {
                continue; // thousands of these are read at a start
            }
            let (effect, notice) = if self.is_overridden(past, request, history) {
                // What was never missed is not worth a word.
                (before.map(|missing| format!("{SUPERSEDED}: {missing}")), None)
            } else {
                match look {
                    None => continue,
                    Some(look) if look.missing.is_empty() => {
                        let found = before.map(|missing| format!("it is there now; before, {missing}"));
                        (Some(CONFIRMED.to_owned()), found.map(|found| (Notice::EffectFound, "EffectFound", found)))
                    }
                    Some(_) if self.quiet(past, history) < self.settings.grace => continue,
                    Some(Look { missing, .. }) => {
                        let missing = format!("{MISSING}{}", missing.join("; "));
                        let notice = (Notice::EffectMissing, judge::EFFECT_MISSING, missing.clone());
                        (Some(missing), before.is_none().then_some(notice))
                    }
                }
            };
            if let Some((notice, reason, message)) = notice {
                // Its time was told when it ended.
                told.push(Told { notice, reason: reason.to_owned(), message, duration_s: None, ..Told::of(past) });
            }
            history[at].effect = effect;
        }
    }

    /// The operations whose effects are to be looked at now, and when again.
    ///
    /// What somebody watched is looked at when nothing runs any more, for a run moves the pods, and for a day, for whoever
    /// watches may be away for a while. What ended before anybody watched may have been changed in many ways since: it is
    /// looked at only while it is new.
    pub(super) fn due<'s>(&'s self, history: &'s [Past]) -> impl Iterator<Item = (&'s Past, Timestamp)> {
        let runs = self.requests.iter().any(|r| r.phase == Phase::Progressing);
        history.iter().filter(move |past| !runs && past.wants_look()).filter_map(|past| {
            let missed = past.missing().is_some();
            let ends_now = self.previous.operations.iter().any(|o| o.uid == past.uid);
            let fresh = self.quiet(past, history) < self.settings.grace + judge::LOOK_AGAIN;
            let watched_lately = past.started_at.is_some() && self.now.duration_since(past.ended_at) < LATELY;
            let request = self.request(past).filter(|_| missed || ends_now || fresh || watched_lately)?;
            if self.is_overridden(past, request, history) {
                return None;
            }
            let again = if missed || !fresh { judge::LOOK_AGAIN } else { SOON };
            Some((past, self.now.checked_add(again).ok()?))
        })
    }

    fn request(&self, past: &Past) -> Option<&Request> {
        self.requests.iter().copied().find(|r| *r.uid == past.uid)
    }

    /// For how long nothing has run, as far as this operation is concerned.
    fn quiet(&self, past: &Past, history: &[Past]) -> SignedDuration {
        let watched = past.started_at.is_some();
        let last = history.iter().filter(|p| watched && p.ran()).map(|p| p.ended_at).max();
        self.now.duration_since(last.unwrap_or(past.ended_at))
    }

    /// Whether a newer operation or a direct change wants other values for the same parts, so that these need not be there.
    fn is_overridden(&self, past: &Past, request: &Request, history: &[Past]) -> bool {
        let database = self.present.database;
        let change = request.change(database);
        let begun = |r: &Request| matches!(r.phase, Phase::Progressing | Phase::Successful | Phase::Failed);
        let newer = self.requests.iter().filter(|r| r.age() > request.age() && r.ops_type == request.ops_type);
        let by_request = newer.filter(|r| begun(r)).any(|r| overlap(&change, &r.change(database)));
        by_request
            || history.iter().filter(|p| p.created_at > past.created_at && p.ran()).any(|p| p.overlaps(past))
            || past.is_edited(database, history)
    }
}

/// Whether two changes of one type want something for the same part.
fn overlap(one: &Change, other: &Change) -> bool {
    let same = |a: &Wish, b: &Wish| {
        let items = a.item.is_none() || b.item.is_none() || a.item == b.item;
        a.component == b.component && items && discriminant(&a.what) == discriminant(&b.what)
    };
    one.wishes.iter().any(|a| other.wishes.iter().any(|b| same(a, b)))
}

impl Past {
    /// Whether both changed the same value.
    fn overlaps(&self, other: &Self) -> bool {
        self.changes.iter().any(|a| other.changes.iter().any(|b| a.component == b.component && a.field == b.field))
    }

    /// Whether the object has neither the value from before nor the wanted one, nor one that an operation made earlier has
    /// set, so that somebody else has set it.
    fn is_edited(&self, database: &Database, history: &[Self]) -> bool {
        let is = |has: Quantity, text: &str| text.parse::<Quantity>().is_ok_and(|value| value == has);
        // What waited behind another noted the value from before that one, too.
        let earlier = || history.iter().filter(|p| p.uid != self.uid && p.created_at <= self.created_at && p.ran());
        let set_before = |of: &Delta, has: Quantity| {
            let changes = earlier().flat_map(|p| &p.changes);
            changes.filter(|c| c.component == of.component && c.field == of.field).any(|c| is(has, &c.after))
        };
        self.changes.iter().any(|change| {
            let has = present_value(database, &change.component, &change.field);
            let of_hands = |has, before| !is(has, before) && !is(has, &change.after) && !set_before(change, has);
            has.zip(change.before.as_deref()).is_some_and(|(has, before)| of_hands(has, before))
        })
    }
}

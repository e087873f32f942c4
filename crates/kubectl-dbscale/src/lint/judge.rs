//! From an object and the facts to a verdict.

use std::sync::Arc;

use dbscale_core::catalog::Engine;
use dbscale_core::change::{Change, Source};
use dbscale_core::facts::{Case, Facts, Known};
use dbscale_core::finding::Finding;
use dbscale_core::rules;
use dbscale_core::status::Phase;
use serde_json::Value;

use super::context::{Context, Present};

/// What is judged by.
#[derive(Debug, Default)]
pub struct Judge {
    /// The files.
    pub files: Context,
    /// What was there before: `--old`.
    pub old: Context,
    /// Whether what is not among the files is not there.
    pub strict: bool,
}

/// What came of an object.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What the rules found.
    pub findings: Vec<Finding>,
    /// Whether an OpsRequest was judged without its database, and nobody minds.
    pub alone: bool,
}

impl Judge {
    /// Judges an OpsRequest: as one that is created, and as an update of each that was there before by its name. One that was
    /// there with the same spec is no new wish: its database may have the values since.
    #[must_use]
    pub fn request(&self, engine: &'static Engine, object: &Value) -> Verdict {
        let alone = Change::of_request(engine, object, None);
        let own_name = alone.request().map(|r| r.name.as_str()).unwrap_or_default();
        let mut updates = Vec::new();
        for old in self.old.requests(engine, &alone.namespace, own_name) {
            let update = Change::of_request_update(engine, old, object);
            let findings = judge(&update, &Facts::default());
            if matches!(&update.source, Source::RequestUpdate(update) if update.changed.is_empty()) {
                return Verdict { findings, alone: false };
            }
            updates.push(findings);
        }
        // Without a name of its own, it is another one each time that it is sent.
        if own_name.is_empty() {
            updates.clear();
        }
        let verdict = self.created(&alone, object);
        Verdict { findings: together(verdict.findings, gentlest(updates.into_iter())), ..verdict }
    }

    /// Judges a request against each database that it may mean; the one that it goes best with counts.
    fn created(&self, alone: &Change, object: &Value) -> Verdict {
        let (engine, namespace, name) = (alone.engine, alone.namespace.as_str(), alone.database.as_str());
        // What has begun is writing its values into the database, or has: comparing the two would refuse it for its success.
        if alone.request().is_some_and(|r| r.phase == Phase::Progressing || r.phase.is_finished()) {
            return Verdict { findings: judge(alone, &Facts::default()), alone: false };
        }
        let against = |present: &Arc<Present>| {
            let facts = self.facts(engine, namespace, name, &Known::Here(Arc::clone(present)));
            judge(&Change::of_request(engine, object, Some(&present.database)), &facts)
        };
        // What was there comes first: a commit may hold the wish and, for GitOps, the database as it will be.
        for context in [&self.old, &self.files] {
            let mut databases = context.databases(engine, namespace, name).peekable();
            if databases.peek().is_some() {
                return Verdict { findings: gentlest(databases.map(against)), alone: false };
            }
        }
        let missing = if self.strict { Known::Missing } else { Known::Unknown };
        let facts = self.facts(engine, namespace, name, &missing);
        Verdict { findings: judge(alone, &facts), alone: !self.strict && !name.is_empty() }
    }

    /// Judges a database, as one that is created and, where it was there before, as an update of each that it may have been.
    #[must_use]
    pub fn database(&self, present: &Arc<Present>) -> Verdict {
        let new = &present.database;
        let classes = self.files.classes(new, &[]);
        let facts = Facts { classes, all_classes: self.strict, on_file: true, ..Facts::default() };
        let mut findings = judge(&Change::of_create(new), &facts);
        findings.extend(rules::missing_classes(new, &facts));
        let updates = self.old.databases(new.engine, &new.namespace, &new.name).map(|old| {
            let facts = self.facts(new.engine, &new.namespace, &new.name, &Known::Here(Arc::clone(old)));
            judge(&Change::of_update(&old.database, Arc::clone(new)), &facts)
        });
        Verdict { findings: together(findings, gentlest(updates)), alone: false }
    }

    fn facts(&self, engine: &'static Engine, namespace: &str, name: &str, present: &Known<Present>) -> Facts {
        Facts { all_classes: self.strict, ..self.files.facts(engine, namespace, name, present) }
    }
}

fn judge(change: &Change, facts: &Facts) -> Vec<Finding> {
    rules::judge(&Case { change, facts })
}

/// Both, and what both say of a place once: the graver of the two.
fn together(mut findings: Vec<Finding>, more: Vec<Finding>) -> Vec<Finding> {
    for finding in more {
        match findings.iter_mut().find(|f| f.rule == finding.rule && f.path == finding.path) {
            Some(same) if same.severity < finding.severity => *same = finding,
            Some(_) => {}
            None => findings.push(finding),
        }
    }
    findings
}

/// The findings that refuse least: what goes with one of several databases is not refused. The first of those that are alike.
fn gentlest(verdicts: impl Iterator<Item = Vec<Finding>>) -> Vec<Finding> {
    let mut best: Option<(usize, Vec<Finding>)> = None;
    for findings in verdicts {
        let denials = findings.iter().filter(|f| f.refuses()).count();
        if best.as_ref().is_none_or(|(least, _)| denials < *least) {
            best = Some((denials, findings));
        }
        if denials == 0 {
            break;
        }
    }
    best.map(|(_, findings)| findings).unwrap_or_default()
}

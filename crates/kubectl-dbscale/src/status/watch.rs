//! What is new at a look, beside what was told before.

use std::collections::{HashMap, HashSet};

use dbscale_core::catalog::Engine;

use super::survey::Survey;
use super::view::Status;
use crate::outcome::Failure;

/// A database: its namespace, engine and name.
type Key = (String, String, String);

/// What was told so far.
pub(super) struct Told {
    seen: HashMap<Key, Status>,
    /// What could not be read at the last look, in words.
    problems: HashSet<String>,
    /// Whether the last look got no answer.
    is_lost: bool,
}

/// What is new.
#[derive(Default)]
pub(super) struct News {
    /// All databases that were seen now.
    pub(super) all: Vec<Status>,
    /// Which of them have changed.
    pub(super) changed: Vec<bool>,
    /// Those that are there no longer.
    pub(super) gone: Vec<Status>,
    /// What could not be read, and could be before.
    pub(super) failures: Vec<Failure>,
    /// What is left out for that.
    pub(super) warnings: Vec<String>,
    /// Whether the server answers.
    pub(super) words: Vec<String>,
}

impl Told {
    /// After the first look.
    pub(super) fn new(survey: &Survey, all: Vec<Status>) -> Self {
        let seen = all.into_iter().map(|status| (key(&status), status)).collect();
        Self { seen, problems: problems(survey).collect(), is_lost: false }
    }

    /// Whether there was no database so far.
    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// What is new at this look; it counts as told from now on.
    pub(super) fn compare(&mut self, survey: &Survey, all: Vec<Status>) -> News {
        let mut news = News::default();
        // What is seen while the server comes and goes is seen in part: neither a change nor an end can be told from it.
        if let Some(silence) = &survey.silence {
            if !std::mem::replace(&mut self.is_lost, true) {
                news.words.push(format!("The API server does not answer ({silence}); it is asked on."));
            }
            return news;
        }
        if std::mem::take(&mut self.is_lost) {
            news.words.push("The API server answers again.".to_owned());
        }
        let is_new = |text: &String| !self.problems.contains(text);
        news.warnings = survey.warnings.iter().filter(|text| is_new(text)).cloned().collect();
        // One that is missing was so from the beginning, or is told as gone.
        let of_reading = survey.failures.iter().filter(|failure| failure.findings.is_empty());
        news.failures = of_reading.filter(|failure| is_new(&failure.message)).cloned().collect();
        self.problems = problems(survey).collect();

        news.changed = all.iter().map(|status| self.seen.get(&key(status)) != Some(status)).collect();
        let present: HashSet<Key> = all.iter().map(key).collect();
        let is_gone = |status: &Status| !present.contains(&key(status)) && !is_unread(&survey.unread, status);
        news.gone = self.seen.extract_if(|_, status| is_gone(status)).map(|(_, status)| status).collect();
        news.gone.sort_by_key(key);
        self.seen.extend(all.iter().map(|status| (key(status), status.clone())));
        news.all = all;
        news
    }
}

fn key(status: &Status) -> Key {
    (status.namespace.clone(), status.engine.clone(), status.name.clone())
}

fn is_unread(unread: &[&Engine], status: &Status) -> bool {
    unread.iter().any(|engine| engine.name == status.engine)
}

fn problems(survey: &Survey) -> impl Iterator<Item = String> {
    survey.warnings.iter().chain(survey.failures.iter().map(|failure| &failure.message)).cloned()
}

#[cfg(test)]
mod tests {
    use dbscale_cluster::ApiFailure;
    use dbscale_core::catalog::Catalog;

    use super::*;

    fn status(name: &str, phase: &str) -> Status {
        Status {
            engine: "mongodb".to_owned(),
            namespace: "demo".to_owned(),
            name: name.to_owned(),
            topology: None,
            phase: phase.to_owned(),
            created: String::new(),
            components: Vec::new(),
            operations: Vec::new(),
            last_failure: None,
            record: None,
        }
    }

    fn failed(message: &str) -> Survey {
        let failure = Failure { message: message.to_owned(), ..Failure::default() };
        Survey {
            failures: vec![failure],
            unread: vec![Catalog::builtin().find("mongodb").unwrap()],
            ..Survey::default()
        }
    }

    #[test]
    fn what_changes_comes_and_goes_is_told_once() {
        let mut told = Told::new(&Survey::default(), vec![status("a", "Ready"), status("b", "Ready")]);
        let now = || vec![status("a", "NotReady"), status("c", "Ready")];
        let news = told.compare(&Survey::default(), now());
        assert_eq!((news.changed, news.gone), (vec![true, true], vec![status("b", "Ready")]));
        let news = told.compare(&Survey::default(), now());
        assert_eq!((news.changed, news.gone), (vec![false, false], vec![]));
    }

    #[test]
    fn a_failure_is_told_when_it_begins_and_takes_nothing_for_gone() {
        let mut told = Told::new(&failed("was there"), vec![status("a", "Ready")]);
        let mut messages = |survey: &Survey| {
            let news = told.compare(survey, Vec::new());
            assert_eq!(news.gone, []);
            news.failures.into_iter().map(|failure| failure.message).collect::<Vec<_>>()
        };
        assert!(messages(&failed("was there")).is_empty());
        assert_eq!(messages(&failed("came later")), ["came later"]);
        assert!(messages(&failed("came later")).is_empty());
    }

    #[test]
    fn an_outage_is_told_at_its_beginning_and_at_its_end() {
        let mut told = Told::new(&Survey::default(), vec![status("a", "Ready")]);
        let silence = Some(ApiFailure::unreachable("GET /apis", "connection refused".to_owned()));
        let away = Survey { silence, ..failed("connection refused") };
        let began = "The API server does not answer (GET /apis: connection refused); it is asked on.";
        for wanted in [&[began][..], &[]] {
            let news = told.compare(&away, Vec::new());
            assert_eq!(news.words, wanted);
            assert!(news.failures.is_empty() && news.gone.is_empty());
        }
        let news = told.compare(&Survey::default(), vec![status("a", "Ready")]);
        assert_eq!((news.words, news.changed), (vec!["The API server answers again.".to_owned()], vec![false]));
    }
}

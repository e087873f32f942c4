//! Where operations are told while they run: on a terminal a line each that is rewritten in place, elsewhere a line a change.

use std::io::IsTerminal as _;

use anstream::{AutoStream, ColorChoice, eprintln};
use console::Term;
use dbscale_core::progress::Progress;
use dbscale_core::status::Phase;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use crate::output::{GREEN, RED};
use crate::times::elapsed;

/// How many cells the bar has.
const CELLS: usize = 10;

/// All lines of a command, on stderr.
#[derive(Debug, Clone)]
pub struct Board(Option<MultiProgress>);

/// The line of one operation. It stays as it was told last.
#[derive(Debug)]
pub struct Line {
    bar: Option<ProgressBar>,
    told: String,
}

/// How an operation stands.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The OpsRequest's name, or the database's for a direct patch.
    pub name: String,
    /// `VerticalScaling`, `StoragePatch`.
    pub ops_type: String,
    /// Its phase.
    pub phase: Phase,
    /// The step that it is at.
    pub step: Option<String>,
    /// How many pods or claims are done.
    pub progress: Option<Progress>,
    /// When it began; since when it has been there, where it has not.
    pub since: Option<Timestamp>,
    /// When it ended.
    pub until: Option<Timestamp>,
    /// How many seconds such operations took before, counted from when they began.
    pub usual: Option<i64>,
}

impl Board {
    /// Stderr: rewritten in place where it is a terminal that can do that.
    #[must_use]
    pub fn of_stderr() -> Self {
        let simple = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let live = std::io::stderr().is_terminal() && !simple;
        Self(live.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr())))
    }

    /// A new line, below those that are there.
    #[must_use]
    pub fn line(&self) -> Line {
        let bar = self.0.as_ref().map(|all| {
            let bar = all.add(ProgressBar::no_length());
            // Where the template could not be read, the bar would look otherwise and say the same.
            if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        Line { bar, told: String::new() }
    }

    /// Does what writes to the terminal without tearing the lines that are rewritten there.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(all) => all.suspend(write),
            None => write(),
        }
    }
}

impl Line {
    /// Tells how the operation stands now.
    pub fn tell(&mut self, standing: &Standing) {
        match &self.bar {
            Some(bar) if standing.phase.is_finished() => bar.finish_with_message(standing.live(colours(), width())),
            Some(bar) => bar.set_message(standing.live(false, width())),
            None => {
                let text = standing.text();
                if text != self.told {
                    eprintln!("{text}{}{}", standing.elapsed(), standing.usually());
                    self.told = text;
                }
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // One that is followed no longer stays on the screen as it was.
        if let Some(bar) = self.bar.as_ref().filter(|bar| !bar.is_finished()) {
            bar.abandon();
        }
    }
}

impl Standing {
    /// Without what changes at every look.
    fn text(&self) -> String {
        let (step, progress) = self.moves();
        let count = progress.map(|p| p.to_string());
        let cells = [Some(self.name.as_str()), Some(&self.ops_type), Some(self.phase.word()), step, count.as_deref()];
        cells.into_iter().flatten().collect::<Vec<_>>().join("  ")
    }

    /// On a terminal of so many columns: what matters least is left out first where all would not fit.
    fn live(&self, colours: bool, width: usize) -> String {
        let style = if self.phase == Phase::Successful { GREEN } else { RED };
        let (step, progress) = self.moves();
        let line = |with_bar: bool, with_type: bool, with_usual: bool| {
            let ops_type = if with_type { format!("  {}", self.ops_type) } else { String::new() };
            let phase = if colours { format!("{style}{}{style:#}", self.phase) } else { self.phase.to_string() };
            let step = step.map(|s| format!("  {s}")).unwrap_or_default();
            let bar = progress.filter(|_| with_bar).map(|p| format!("  {}", bar(p))).unwrap_or_default();
            let count = progress.map(|p| format!("  {p}")).unwrap_or_default();
            let usual = if with_usual { self.usually() } else { String::new() };
            format!("{}{ops_type}  {phase}{step}{bar}{count}{}{usual}", self.name, self.elapsed())
        };
        let fits = |line: &String| anstream::adapter::strip_str(line).to_string().chars().count() <= width;
        let with_usual = self.usual.map(|_| [(true, true, true), (false, true, true), (false, false, true)]);
        let without = [(true, true, false), (false, true, false), (true, false, false)];
        let shown = with_usual.into_iter().flatten().chain(without);
        let mut lines = shown.map(|(bar, ops_type, usual)| line(bar, ops_type, usual));
        lines.find(fits).unwrap_or_else(|| line(false, false, false))
    }

    /// The step and the count; before its start and after its end an operation has neither.
    fn moves(&self) -> (Option<&str>, Option<Progress>) {
        if self.phase == Phase::Progressing { (self.step.as_deref(), self.progress) } else { (None, None) }
    }

    /// How long such operations took; only while it runs.
    fn usually(&self) -> String {
        let usual = self.usual.filter(|_| self.phase == Phase::Progressing);
        usual.map(|seconds| format!("  (usually {})", elapsed(seconds))).unwrap_or_default()
    }

    fn elapsed(&self) -> String {
        let until = self.until.unwrap_or_else(Timestamp::now);
        self.since.map(|t| format!("  {}", elapsed(until.as_second() - t.as_second()))).unwrap_or_default()
    }
}

/// `███████░░░`
fn bar(progress: Progress) -> String {
    let full = (progress.done * CELLS).checked_div(progress.all).unwrap_or(0).min(CELLS);
    "█".repeat(full) + &"░".repeat(CELLS - full)
}

fn width() -> usize {
    usize::from(Term::stderr().size().1)
}

fn colours() -> bool {
    AutoStream::choice(&std::io::stderr()) != ColorChoice::Never
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::some(2, 3, "██████░░░░")]
    #[case::all(3, 3, "██████████")]
    #[case::none_to_be(0, 0, "░░░░░░░░░░")]
    fn bars(#[case] done: usize, #[case] all: usize, #[case] told: &str) {
        assert_eq!(bar(Progress { done, all, of: "pods" }), told);
    }

    #[rstest]
    #[case::wide(100, "my-db-scale-1763937600  VerticalScaling  Progressing  EvictPod  ██████░░░░  2 of 3 pods")]
    #[case::usual(80, "my-db-scale-1763937600  VerticalScaling  Progressing  EvictPod  2 of 3 pods")]
    #[case::narrow(72, "my-db-scale-1763937600  Progressing  EvictPod  ██████░░░░  2 of 3 pods")]
    #[case::narrowest(40, "my-db-scale-1763937600  Progressing  EvictPod  2 of 3 pods")]
    fn a_line_leaves_out_what_matters_least(#[case] width: usize, #[case] told: &str) {
        let standing = Standing {
            name: "my-db-scale-1763937600".to_owned(),
            ops_type: "VerticalScaling".to_owned(),
            phase: Phase::Progressing,
            step: Some("EvictPod".to_owned()),
            progress: Some(Progress { done: 2, all: 3, of: "pods" }),
            since: None,
            until: None,
            usual: None,
        };
        assert_eq!(standing.live(false, width), told);
        let usual = Standing { usual: Some(150), ..standing.clone() };
        let with = usual.live(false, width);
        assert!(with.chars().count() <= width.max(told.chars().count()), "{with}");
        assert_eq!(with.ends_with("  (usually 2m30s)"), width > 72, "{with}");
        let waiting = Standing { phase: Phase::Pending, ..standing };
        assert_eq!(waiting.text(), "my-db-scale-1763937600  VerticalScaling  Pending");
    }
}

//! Completion through kubectl's own protocol: words of the command line in, candidates out, a line each with a tab before
//! what it means, and at the end `:` with a number that tells the shell how to take them.
//!
//! Source: cobra's `ShellCompDirective`; kubectl calls `kubectl_complete-dbscale` with the words after `dbscale`.
//! Whatever goes wrong gives no candidates, and no words either: nobody asked for an answer.

mod live;
mod scan;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{Command, CommandFactory as _};
use dbscale_core::catalog::Catalog;
use dbscale_core::size::Sizes;
use dbscale_core::{preflight, rules};

use crate::cli::Cli;
use crate::commands::completion::COMPLETER;
use crate::output::line_out;
use scan::{Last, Scan, scan};

/// The shell may name files.
const FILES: u8 = 0;
/// The shell puts no blank behind the word: it is not whole.
const NO_SPACE: u8 = 2;
/// The shell names no files.
const NO_FILES: u8 = 4;

/// What may stand there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    /// The words, each with what it means; that may be empty.
    candidates: Vec<(String, String)>,
    /// How the shell takes them.
    directive: u8,
}

/// The words that are to be completed, where a shell asks for that: by the name that kubectl looks for, or the first word.
#[must_use]
pub fn asked_for(arguments: impl IntoIterator<Item = OsString>) -> Option<Vec<String>> {
    let mut arguments = arguments.into_iter();
    let called = arguments.next()?;
    let mut words = arguments.map(|word| word.to_string_lossy().into_owned()).peekable();
    if Path::new(&called).file_stem() != Some(OsStr::new(COMPLETER)) {
        words.next_if(|word| word == "__complete")?;
    }
    Some(words.collect())
}

/// Completes the last of the words, and prints what may stand there.
pub fn run(words: &[String]) {
    let mut root = Cli::command();
    root.build();
    let answer = answer(&root, words);
    for (word, meaning) in &answer.candidates {
        line_out(&if meaning.is_empty() { word.clone() } else { format!("{word}\t{meaning}") });
    }
    line_out(&format!(":{}", answer.directive));
}

fn answer(root: &Command, words: &[String]) -> Answer {
    let scan = scan(root, words);
    let (begun, answer) = match &scan.last {
        Last::Flag(begun) => (begun.clone(), flags(scan.command.unwrap_or(root))),
        Last::Value(flag, before, begun) => {
            let mut answer = value(flag, &scan);
            for (word, _) in &mut answer.candidates {
                *word = format!("{before}{word}");
            }
            (format!("{before}{begun}"), answer)
        }
        Last::Word(begun) => (begun.clone(), word(root, begun, &scan)),
    };
    let candidates = answer.candidates.into_iter().filter(|(word, _)| word.starts_with(&begun)).collect();
    Answer { candidates, directive: answer.directive }
}

fn words_of(words: impl IntoIterator<Item = String>) -> Answer {
    Answer { candidates: words.into_iter().map(|word| (word, String::new())).collect(), directive: NO_FILES }
}

fn commands(root: &Command) -> Answer {
    let about = |c: &Command| c.get_about().map(ToString::to_string).unwrap_or_default();
    let shown = root.get_subcommands().filter(|c| !c.is_hide_set());
    Answer { candidates: shown.map(|c| (c.get_name().to_owned(), about(c))).collect(), directive: NO_FILES }
}

fn flags(command: &Command) -> Answer {
    let named = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let flag = |arg: &clap::Arg| {
        Some((format!("--{}", arg.get_long()?), arg.get_help().map(ToString::to_string).unwrap_or_default()))
    };
    Answer { candidates: named.filter_map(flag).collect(), directive: NO_FILES }
}

fn value(flag: &clap::Arg, scan: &Scan<'_>) -> Answer {
    let known = flag.get_possible_values();
    if !known.is_empty() {
        return words_of(known.iter().map(|value| value.get_name().to_owned()));
    }
    match flag.get_id().as_str() {
        "size" => sizes(),
        "component" => components(scan),
        "force" => words_of(preflight::NAMES.map(|(name, _)| name.to_owned())),
        "namespace" => words_of(live::namespaces(&scan.flags)),
        "to" if scan.command.is_some_and(|command| command.get_name() == "rollback") => {
            words_of(live::requests(&scan.flags))
        }
        "goal" => words_of(["done".to_owned(), "phase=Progressing".to_owned(), "phase=Successful".to_owned()]),
        "files" | "old" | "kubeconfig" | "sizes" | "out" => Answer { directive: FILES, ..Answer::default() },
        _ => words_of([]),
    }
}

fn word(root: &Command, begun: &str, scan: &Scan<'_>) -> Answer {
    let Some(command) = scan.command else { return commands(root) };
    let Some(argument) = positional(command, scan.words.len()) else { return words_of([]) };
    let known = argument.get_possible_values();
    match argument.get_id().as_str() {
        _ if !known.is_empty() => words_of(known.iter().map(|value| value.get_name().to_owned())),
        "engine" => words_of(Catalog::builtin().engines().map(|e| e.name.clone())),
        "file" => Answer { directive: FILES, ..Answer::default() },
        "rule" => words_of(rules::all().map(|rule| rule.id.to_string())),
        "targets"
            if argument.get_value_names().is_some_and(|names| names.iter().any(|name| name.contains("OPSREQUEST"))) =>
        {
            targets_and_requests(begun, scan)
        }
        "targets" => targets(begun, scan),
        _ => words_of([]),
    }
}

/// What a word is to a command, behind so many others: each argument takes one word, but for one that takes all that follow.
fn positional(command: &Command, words: usize) -> Option<&clap::Arg> {
    let takes_all = |argument: &clap::Arg| argument.get_num_args().is_some_and(|words| words.max_values() > 1);
    command.get_positionals().enumerate().find(|(at, argument)| *at == words || takes_all(argument)).map(|(_, it)| it)
}

/// Databases as [`targets`] has them, and the OpsRequests whose names begin so.
fn targets_and_requests(begun: &str, scan: &Scan<'_>) -> Answer {
    let after_engine = scan.words.last().and_then(|word| Catalog::builtin().find(word)).is_some();
    if begun.is_empty() || begun.contains('/') || after_engine {
        return targets(begun, scan);
    }
    let mut requests = live::requests(&scan.flags);
    requests.retain(|name| name.starts_with(begun));
    if requests.is_empty() { targets(begun, scan) } else { words_of(requests) }
}

/// Engines first; once one is chosen, its databases.
fn targets(begun: &str, scan: &Scan<'_>) -> Answer {
    let catalog = Catalog::builtin();
    let after_engine = scan.words.last().and_then(|word| catalog.find(word));
    if let Some(engine) = after_engine {
        return words_of(live::databases(engine, &scan.flags));
    }
    if let Some((name, _)) = begun.split_once('/') {
        let databases = catalog.find(name).map(|engine| live::databases(engine, &scan.flags)).unwrap_or_default();
        return words_of(databases.into_iter().map(|database| format!("{name}/{database}")));
    }
    let engines = live::engines(&scan.flags).into_iter();
    let candidates = engines.map(|engine| (format!("{}/", engine.name), engine.kind.clone())).collect();
    Answer { candidates, directive: NO_SPACE | NO_FILES }
}

fn sizes() -> Answer {
    let class = |c: &dbscale_core::size::SizeClass| (c.name.clone(), format!("cpu {}, memory {}", c.cpu, c.memory));
    Answer { candidates: Sizes::built_in().iter().map(class).collect(), directive: NO_FILES }
}

/// Those of the engine that is named.
fn components(scan: &Scan<'_>) -> Answer {
    let name = |word: &String| word.split_once('/').map_or(word.clone(), |(engine, _)| engine.to_owned());
    let engine = scan.words.iter().find_map(|word| Catalog::builtin().find(&name(word)));
    let mut names: Vec<String> =
        engine.into_iter().flat_map(|e| e.components.values()).map(|c| c.name.clone()).collect();
    names.sort();
    names.dedup();
    words_of(names)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn told(words: &[&str]) -> (Vec<String>, u8) {
        let mut root = Cli::command();
        root.build();
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let answer = answer(&root, &words);
        (answer.candidates.into_iter().map(|(word, _)| word).collect(), answer.directive)
    }

    #[rstest]
    #[case::command(&["ver"], &["vertical", "version"])]
    #[case::behind_a_flag(&["-n", "demo", "vert"], &["vertical"])]
    #[case::flag(&["vertical", "--si"], &["--size", "--sizes"])]
    #[case::flag_of_all(&["vertical", "--names"], &["--namespace"])]
    #[case::size(&["vertical", "mongodb/x", "--size", "db.t3.m"], &["db.t3.micro", "db.t3.medium"])]
    #[case::size_in_one_word(&["vertical", "--size=db.t3.me"], &["--size=db.t3.medium"])]
    #[case::words_of_a_flag(&["vertical", "--mode", ""], &["Restart", "InPlace"])]
    #[case::component(&["vertical", "mg/x", "--component", "sh"], &["shard"])]
    #[case::engine(&["engines", "mongo"], &["mongodb"])]
    #[case::rule(&["explain", "storage/no-"], &["storage/no-shrink"])]
    #[case::shell(&["completion", "b"], &["bash"])]
    #[case::what_of_a_policy(&["policy", "ch"], &["check"])]
    #[case::no_more_words(&["explain", "storage/no-shrink", "storage/"], &[])]
    #[case::of_the_webhook(&["webhook", ""], &["status", "disable", "enable"])]
    #[case::nothing(&["version", ""], &[])]
    fn without_a_cluster(#[case] words: &[&str], #[case] wanted: &[&str]) {
        let wanted: Vec<String> = wanted.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(told(words), (wanted, NO_FILES));
    }

    #[rstest]
    #[case::by_kubectl(&["/bin/kubectl_complete-dbscale", "vertical", ""], Some(&["vertical", ""][..]))]
    #[case::by_a_script(&["kubectl-dbscale", "__complete", "ver"], Some(&["ver"][..]))]
    #[case::a_command(&["kubectl-dbscale", "version"], None)]
    fn completion_is_asked_for(#[case] arguments: &[&str], #[case] words: Option<&[&str]>) {
        let asked = asked_for(arguments.iter().map(OsString::from));
        assert_eq!(asked, words.map(|words| words.iter().map(|w| (*w).to_owned()).collect()));
    }

    #[test]
    fn files_are_the_shells() {
        assert_eq!(told(&["lint", "-f", ""]), (Vec::new(), FILES));
    }
}

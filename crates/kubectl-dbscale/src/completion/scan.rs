//! Reads a command line that is not finished: which command, which flags, and what the last word is to be.

use clap::{Arg, Command};

/// What has been typed, up to the word that is to be completed.
#[derive(Debug)]
pub struct Scan<'c> {
    /// The command, where one is chosen.
    pub command: Option<&'c Command>,
    /// Flags with their values: (id, value).
    pub flags: Vec<(String, String)>,
    /// The words that are no flags.
    pub words: Vec<String>,
    /// What the last word is.
    pub last: Last<'c>,
}

/// The word that is to be completed.
#[derive(Debug)]
pub enum Last<'c> {
    /// A command's name, or an argument that is no flag.
    Word(String),
    /// A flag's name.
    Flag(String),
    /// A flag's value; the text before it in the same word stays: `--size=`.
    Value(&'c Arg, String, String),
}

/// Reads the words; the last one is to be completed and may be empty. `root` is built, so that flags of all commands stand
/// in each.
#[must_use]
pub fn scan<'c>(root: &'c Command, words: &[String]) -> Scan<'c> {
    let (last, before) = words.split_last().map_or((String::new(), &[][..]), |(last, before)| (last.clone(), before));
    let mut scan = Scan { command: None, flags: Vec::new(), words: Vec::new(), last: Last::Word(String::new()) };
    let mut pending: Option<&Arg> = None;
    for word in before {
        if let Some(flag) = pending.take() {
            scan.flags.push((flag.get_id().to_string(), word.clone()));
        } else if let Some((flag, value)) = flag_of(scan.command.unwrap_or(root), word) {
            match value {
                Some(value) => scan.flags.push((flag.get_id().to_string(), value)),
                None => pending = takes_next(flag).then_some(flag),
            }
        } else if word.starts_with('-') {
            // No flag that is known: what follows it is anybody's guess.
        } else if scan.command.is_none() {
            scan.command = root.find_subcommand(word);
        } else {
            scan.words.push(word.clone());
        }
    }
    let inline = || last.split_once('=').filter(|_| last.starts_with("--"));
    scan.last = if let Some(flag) = pending {
        Last::Value(flag, String::new(), last)
    } else if let Some((name, value)) = inline() {
        match flag_of(scan.command.unwrap_or(root), name) {
            Some((flag, _)) => Last::Value(flag, format!("{name}="), value.to_owned()),
            None => Last::Flag(last),
        }
    } else if last.starts_with('-') {
        Last::Flag(last)
    } else {
        Last::Word(last)
    };
    scan
}

/// The flag that a word is, and the value within it: `--size=x`, `-nx`.
fn flag_of<'c>(command: &'c Command, word: &str) -> Option<(&'c Arg, Option<String>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
        let flag = command.get_arguments().find(|arg| arg.get_long() == Some(name))?;
        return Some((flag, value));
    }
    let mut letters = word.strip_prefix('-')?.chars();
    let short = letters.next()?;
    let flag = command.get_arguments().find(|arg| arg.get_short() == Some(short))?;
    let rest = letters.as_str();
    Some((flag, (!rest.is_empty() && takes_next(flag)).then(|| rest.to_owned())))
}

/// Whether the next word is the flag's value.
fn takes_next(flag: &Arg) -> bool {
    flag.get_action().takes_values() && !flag.is_require_equals_set()
}

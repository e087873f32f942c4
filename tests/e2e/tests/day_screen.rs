//! What the day's commands print: in the width of a terminal, coloured where that is asked for, and plain elsewhere.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests explain themselves, and unwrapping is how one fails")]

use dbscale_e2e::screen::{Screen, without_escapes};
use dbscale_e2e::{Answer, World, databases, settled};
use serde_json::json;

const COLUMNS: u16 = 80;
const WHY: &str = "no node of the four has room for a pod of this size beside all that runs there already, and none will be \
    added before the quota of the project grows";

/// The commands, how each ends, and a word that is coloured in what it prints.
const COMMANDS: [(&[&str], i32, &str); 6] = [
    (&["status"], 0, "\u{1b}[31mFailed\u{1b}[0m"),
    (&["history", "mg/db"], 0, "\u{1b}[31mFailed\u{1b}[0m"),
    (&["describe", "mg/db"], 0, "\u{1b}[31mFailed\u{1b}[0m"),
    (&["doctor", "mg/db"], 0, "\u{1b}[33mwarning\u{1b}[0m"),
    (&["plan", "mg/db", "--replicas", "5", "--apply", "Always"], 0, "\u{1b}[32m5\u{1b}[0m"),
    (&["wait", "ask"], 6, "\u{1b}[31merror\u{1b}[0m"),
];

/// A database with an operation that has failed for a long reason, and volumes that its object has left behind.
fn world() -> World {
    let world = World::new("screen");
    let mut object = databases::mongodb();
    object["metadata"]["annotations"] = json!({"testbed.dbscale.dev/fail": WHY});
    world.create(&object);
    world.until("mongodb/db", ".status.phase", "Ready");
    let made = world.dbscale(&["vertical", "mg/db", "--memory", "512Mi", "--name", "ask"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    world.until("mongodbopsrequest/ask", ".status.phase", "Failed");
    let larger = r#"{"spec":{"storage":{"resources":{"requests":{"storage":"30Gi"}}}}}"#;
    world.must(&["patch", "-n", &world.namespace, "mongodb", "db", "--type=merge", "-p", larger]);
    world
}

/// The words in no order: the two streams come in any, and where a line is broken is not their matter.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = settled(text).split_whitespace().map(str::to_owned).collect();
    words.sort_unstable();
    words
}

/// The lines of a screen. A line that is rewritten in place is filled with blanks to the edge, and what comes next stands on
/// the next one without a line's end between them.
fn lines(screen: &str) -> String {
    let line = |line: &str| match line.char_indices().nth(usize::from(COLUMNS)) {
        Some((edge, _)) if line[..edge].ends_with("  ") => format!("{}\n{}\n", line[..edge].trim_end(), &line[edge..]),
        _ => line.to_owned() + "\n",
    };
    screen.lines().map(line).collect()
}

#[test]
fn every_command_keeps_to_the_screen_and_colours_only_where_that_is_asked_for() {
    let world = world();
    for (arguments, code, coloured) in COMMANDS {
        let name = arguments[0];
        let all = [&["dbscale"], arguments, &["-n", &world.namespace]].concat();
        let plain = world.kubectl(&all);
        assert_eq!(plain.code, code, "{name}: {}{}", plain.stdout, plain.stderr);
        let plain = plain.stdout + &plain.stderr;
        assert!(!plain.contains(['\u{1b}', '\r']), "{name}: {plain:?}");

        let forced = Answer::of(&World::command(&all).env("CLICOLOR_FORCE", "1").output().unwrap());
        let forced = forced.stdout + &forced.stderr;
        assert!(forced.contains(coloured), "{name}: {forced:?}");
        assert_eq!(settled(&without_escapes(&forced)), settled(&plain), "{name}");

        for (variable, value, is_coloured) in [("TERM", "xterm", true), ("NO_COLOR", "1", false)] {
            let mut command = World::command(&all);
            let (mut running, screen) = Screen::start(command.env("TERM", "xterm").env(variable, value), COLUMNS);
            let screen = screen.to_end();
            assert_eq!(running.wait().unwrap().code(), Some(code), "{name}: {screen}");
            assert_eq!(screen.contains(coloured), is_coloured, "{name} with {variable}={value}: {screen:?}");
            let told = lines(&without_escapes(&screen));
            let too_long = |line: &&str| line.chars().count() > usize::from(COLUMNS);
            // A command is one piece, so that it can be copied.
            let mut long = told.lines().filter(too_long).filter(|line| !line.trim_start().starts_with("kubectl "));
            assert_eq!(long.next(), None, "{name} at {COLUMNS} columns:\n{told}");
            assert_eq!(words(&told), words(&plain), "{name}");
        }
    }
}

//! Breaks long lines between words, for a terminal of a width. Elsewhere a line stays a line, for `grep`.

use std::io::IsTerminal as _;

use console::Term;

/// How wide stdout is; `None` where it is no terminal.
#[must_use]
pub fn width_of_stdout() -> Option<usize> {
    std::io::stdout().is_terminal().then(|| usize::from(Term::stdout().size().1))
}

/// How wide stderr is; `None` where it is no terminal.
#[must_use]
pub fn width_of_stderr() -> Option<usize> {
    std::io::stderr().is_terminal().then(|| usize::from(Term::stderr().size().1))
}

/// How many columns the last one must have at least to be broken, or half of the width: below that, hardly a word a line is left.
const NARROW: usize = 20;

/// The text with its long lines broken. What is broken is the last column of a line, two blanks behind the others, and it
/// goes on below its own beginning. A command stays whole, so that it can be copied.
#[must_use]
pub fn fold(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    text.split_inclusive('\n').map(|line| line_of(line, width)).collect()
}

fn line_of(line: &str, width: usize) -> String {
    let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
    if columns(line) <= width {
        return format!("{line}{end}");
    }
    let cell = line.rfind("  ").map_or(0, |at| at + 2);
    let (before, cell) = line.split_at(cell);
    let indent = columns(before);
    if indent > 0 && indent + NARROW.min(width / 2) > width {
        return format!("{line}{end}");
    }
    let mut folded = before.to_owned();
    let mut at = indent;
    for (index, piece) in pieces(cell).enumerate() {
        let long = columns(piece);
        if index > 0 && at + 1 + long > width {
            folded.push('\n');
            folded.push_str(&" ".repeat(indent));
            at = indent;
        } else if index > 0 {
            folded.push(' ');
            at += 1;
        }
        folded.push_str(piece);
        at += long;
    }
    folded + end
}

/// The words of a text; a command and what follows it are one.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (piece, after) = match text.split_once(' ') {
            Some((word, after)) if word != "kubectl" => (word, Some(after)),
            Some(_) | None => (text, None),
        };
        rest = after;
        Some(piece)
    })
}

/// How many columns a text takes; colours take none.
fn columns(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn a_line_whose_last_column_has_hardly_any_room_stays_whole() {
        let line = |indent: usize| format!("{}  one two three four five six\n", "a".repeat(indent - 2));
        assert_eq!(fold(&line(61), Some(80)), line(61));
        assert_eq!(fold(&line(100), Some(80)), line(100));
        let broken = format!("{}  one two three four\n{}five six\n", "a".repeat(58), " ".repeat(60));
        assert_eq!(fold(&line(60), Some(80)), broken);
    }

    #[rstest]
    #[case::short("all is well\n", "all is well\n")]
    #[case::prose("one two three four five six\n", "one two three four\nfive six\n")]
    #[case::below_its_column("AGE  ab cdefgh ijkl mnop\n", "AGE  ab cdefgh ijkl\n     mnop\n")]
    #[case::a_command("do it: kubectl get pods -n demo", "do it:\nkubectl get pods -n demo")]
    #[case::a_long_word("aaaaaaaaaaaaaaaaaaaaaaaaa b", "aaaaaaaaaaaaaaaaaaaaaaaaa\nb")]
    #[case::colours("\u{1b}[31mone\u{1b}[0m two three four", "\u{1b}[31mone\u{1b}[0m two three four")]
    #[case::each_line("a b c d e f g h i j k\n  short\n", "a b c d e f g h i j\nk\n  short\n")]
    fn lines_of_twenty(#[case] text: &str, #[case] told: &str) {
        assert_eq!(fold(text, Some(20)), told);
        assert_eq!(fold(text, None), text);
    }
}

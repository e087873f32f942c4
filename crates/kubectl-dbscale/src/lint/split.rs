//! Where one document of a file ends and the next begins.
//!
//! A line that begins with `---` is a document's start wherever it stands, even inside a quoted text (YAML 1.2, rule
//! `c-forbidden`). So the documents of a file can be told apart before any of them is parsed, as kubectl does it, and one
//! that is broken does not hide the others.

/// A piece of a file with one document in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'t> {
    /// The line in the file that it begins on, from 1.
    pub line: usize,
    /// The bytes.
    pub bytes: &'t [u8],
}

/// The documents of a file. Pieces with nothing but blanks, comments and directives are left out.
pub fn documents(bytes: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = bytes;
    let mut line = 1;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let piece = first(rest);
            let (begins, lines) = (line, piece.bytes.split_inclusive(|b| *b == b'\n').count());
            rest = &rest[piece.bytes.len()..];
            line += lines;
            if piece.has_content {
                return Some(Piece { line: begins, bytes: piece.bytes });
            }
        }
        None
    })
}

struct First<'t> {
    bytes: &'t [u8],
    has_content: bool,
}

/// The lines up to the next marker, or to the end.
fn first(bytes: &[u8]) -> First<'_> {
    let (mut taken, mut has_content) = (0, false);
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let begins = is_marker(line, *b"---");
        if begins && taken > 0 {
            break;
        }
        taken += line.len();
        if is_marker(line, *b"...") {
            break;
        }
        has_content |= says_something(if begins { &line[3..] } else { line });
    }
    First { bytes: &bytes[..taken], has_content }
}

fn is_marker(line: &[u8], marker: [u8; 3]) -> bool {
    line.strip_prefix(&marker).is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// Whether a line is more than blanks, a comment or a directive.
fn says_something(line: &[u8]) -> bool {
    let text = line.trim_ascii();
    !(text.is_empty() || text.starts_with(b"#") || line.starts_with(b"%"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::one("a: 1\n", &[(1, "a: 1\n")])]
    #[case::two("a: 1\n---\nb: 2\n", &[(1, "a: 1\n"), (2, "---\nb: 2\n")])]
    #[case::the_first_marker_too("---\na: 1\n---\nb: 2", &[(1, "---\na: 1\n"), (3, "---\nb: 2")])]
    #[case::content_beside_the_marker("--- {a: 1}\n", &[(1, "--- {a: 1}\n")])]
    #[case::empty_ones_are_left_out("---\n# only a comment\n---\n\n---\nb: 2\n---\n", &[(5, "---\nb: 2\n")])]
    #[case::the_end_marker("a: 1\n...\nb: 2\n", &[(1, "a: 1\n...\n"), (3, "b: 2\n")])]
    #[case::directives("%YAML 1.2\n---\na: 1\n", &[(2, "---\na: 1\n")])]
    #[case::windows("a: 1\r\n---\r\nb: 2\r\n", &[(1, "a: 1\r\n"), (2, "---\r\nb: 2\r\n")])]
    #[case::no_marker("a: 1\n----\nb: ---\n ---\n", &[(1, "a: 1\n----\nb: ---\n ---\n")])]
    #[case::nothing("", &[])]
    fn pieces(#[case] text: &str, #[case] wanted: &[(usize, &str)]) {
        let found: Vec<(usize, &str)> =
            documents(text.as_bytes()).map(|p| (p.line, std::str::from_utf8(p.bytes).unwrap())).collect();
        assert_eq!(found, wanted);
    }
}

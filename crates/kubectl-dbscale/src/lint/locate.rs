//! The line on which a place of a document stands.
//!
//! Only a document with findings is read a second time for this; what is in order costs nothing.

use serde_saphyr::granit_parser::{Event, Parser, Span};

use super::value::MAX_DEPTH;

/// The lines of a document's values.
#[derive(Debug, Default)]
pub struct Lines {
    root: Option<Node>,
}

#[derive(Debug)]
struct Node {
    /// From 1.
    line: usize,
    below: Below,
}

#[derive(Debug)]
enum Below {
    Fields(Vec<Field>),
    Items(Vec<Node>),
    Text(String),
}

#[derive(Debug)]
struct Field {
    key: String,
    /// The key's line, which is the one that a person looks for.
    line: usize,
    node: Node,
}

/// A collection whose end has not come yet.
struct Open {
    line: usize,
    is_map: bool,
    nodes: Vec<Node>,
}

impl Lines {
    /// Reads the lines of a text, as far as it can be read.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let options = serde_saphyr::granit_parser::options! {
            flow_nesting_limit: MAX_DEPTH + 1,
            block_nesting_limit: MAX_DEPTH + 1,
        };
        let mut open: Vec<Open> = Vec::new();
        for event in Parser::new_from_str_with_options(text, options) {
            let Ok((event, span)) = event else { break };
            let node = match event {
                Event::MappingStart(..) | Event::SequenceStart(..) => {
                    let is_map = matches!(event, Event::MappingStart(..));
                    open.push(Open { line: span.start.line(), is_map, nodes: Vec::new() });
                    continue;
                }
                Event::MappingEnd | Event::SequenceEnd => match open.pop() {
                    Some(done) => done.close(),
                    None => continue,
                },
                Event::Scalar(text, ..) => leaf(&span, text.into_owned()),
                Event::Alias(_) => leaf(&span, String::new()),
                _ => continue,
            };
            match open.last_mut() {
                Some(parent) => parent.nodes.push(node),
                None => return Self { root: Some(node) },
            }
        }
        // A text that breaks off still has the lines that came before.
        while let Some(done) = open.pop() {
            let node = done.close();
            match open.last_mut() {
                Some(parent) => parent.nodes.push(node),
                None => return Self { root: Some(node) },
            }
        }
        Self::default()
    }

    /// The line of a path as findings write it (`spec.list[name=x].replicas`, `items[3].spec`), else of the nearest part of
    /// it that is there. The first line where nothing is.
    #[must_use]
    pub fn line(&self, path: &str) -> usize {
        let Some(root) = &self.root else { return 1 };
        let (mut node, mut line, mut rest) = (root, root.line, path);
        while let Some((next, at, left)) = node.step(rest) {
            (node, line, rest) = (next, at, left);
        }
        line
    }
}

impl Node {
    /// One step down: the node, its line, and what is left of the path.
    fn step<'n, 'p>(&'n self, path: &'p str) -> Option<(&'n Node, usize, &'p str)> {
        match &self.below {
            Below::Text(_) => None,
            Below::Fields(fields) => {
                let (field, left) =
                    fields.iter().filter_map(|f| Some((f, f.begins(path)?))).min_by_key(|(_, l)| l.len())?;
                Some((&field.node, field.line, left))
            }
            Below::Items(items) => {
                let (selector, left) = path.strip_prefix('[')?.split_once(']')?;
                let item = match selector.split_once('=') {
                    Some((key, value)) => items.iter().find(|i| i.text_of(key) == Some(value))?,
                    None => items.get(selector.parse::<usize>().ok()?)?,
                };
                Some((item, item.line, left))
            }
        }
    }

    fn text_of(&self, key: &str) -> Option<&str> {
        let Below::Fields(fields) = &self.below else { return None };
        match &fields.iter().find(|f| f.key == key)?.node.below {
            Below::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Field {
    /// What is left of a path that begins with this field. Keys may have dots in them: `metadata.annotations.dbscale.dev/x`.
    fn begins<'p>(&self, path: &'p str) -> Option<&'p str> {
        let left = path.strip_prefix('.').unwrap_or(path).strip_prefix(self.key.as_str())?;
        (left.is_empty() || left.starts_with(['.', '['])).then_some(left)
    }
}

impl Open {
    fn close(self) -> Node {
        if !self.is_map {
            return Node { line: self.line, below: Below::Items(self.nodes) };
        }
        let mut fields = Vec::with_capacity(self.nodes.len() / 2);
        let mut nodes = self.nodes.into_iter();
        while let (Some(key), Some(node)) = (nodes.next(), nodes.next()) {
            if let Below::Text(text) = key.below {
                fields.push(Field { key: text, line: key.line, node });
            }
        }
        Node { line: self.line, below: Below::Fields(fields) }
    }
}

fn leaf(span: &Span, text: String) -> Node {
    Node { line: span.start.line(), below: Below::Text(text) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TEXT: &str = "# a comment\n\
        kind: MongoDB\n\
        metadata:\n  annotations:\n    dbscale.dev/size: x\n\
        spec:\n  replicas:\n    3\n  list:\n  - name: a\n    cpu: 1\n  - name: b\n    cpu: 2\n  flow: {x: 1,\n    y: 2}\n";

    #[rstest]
    #[case::root("", 2)]
    #[case::field("kind", 2)]
    #[case::key_before_its_value("spec.replicas", 7)]
    #[case::key_with_dots("metadata.annotations.dbscale.dev/size", 5)]
    #[case::item_by_name("spec.list[name=b].cpu", 13)]
    #[case::item_by_index("spec.list[0].cpu", 11)]
    #[case::flow("spec.flow.y", 15)]
    #[case::the_nearest_that_is_there("spec.list[name=b].memory.limit", 12)]
    #[case::no_such_item("spec.list[name=c].cpu", 9)]
    #[case::not_a_part_of_a_word("spec.replicasX", 6)]
    #[case::nothing("status.phase", 2)]
    fn lines(#[case] path: &str, #[case] line: usize) {
        assert_eq!(Lines::of(TEXT).line(path), line);
    }

    #[test]
    fn json_has_lines_too() {
        assert_eq!(Lines::of("{\n\"spec\": {\n\"replicas\": 0}}").line("spec.replicas"), 3);
    }

    #[test]
    fn a_text_that_breaks_off_has_the_lines_before() {
        assert_eq!(Lines::of("a: 1\nspec:\n  replicas: [\n").line("spec.replicas"), 3);
        assert_eq!(Lines::of("").line("spec"), 1);
    }
}

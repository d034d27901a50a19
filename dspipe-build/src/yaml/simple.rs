//! The YAML that most workflows are written in, read in one pass: block and flow collections and scalars of
//! one line. It takes a tenth of the time that the full parser takes.
//!
//! Whatever is unusual (anchors, tags, scalars of several lines) or may be wrong is left to the full parser,
//! which is also the only one that reports. So this one never says why it gave up.

mod scalars;

use std::collections::HashSet;

use super::node::{Key, Kind, Node};
use super::parse::MAX_DEPTH;
use crate::source::{FileId, Span};
use scalars::{Scalar, is_control};

/// Longer keys may have to be marked with a `?`.
const LONGEST_KEY: usize = 500;
/// From so many keys on, a set finds a duplicate faster than comparing.
const MANY_KEYS: usize = 32;

/// The document, as the full parser would give it. `None`: ask that one.
pub(super) fn parse(text: &str, file: FileId) -> Option<Node> {
    if !text.is_ascii() && !text.chars().all(is_ordinary) {
        return None;
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        file,
        at: 0,
        line: 0,
        depth: 0,
    };
    reader.skip_lines()?;
    let column = reader.column();
    let root = match reader.peek() {
        b'[' | b'{' => return None,
        _ => reader.block(column)?,
    };
    // A scalar may go on, on the next line.
    let is_whole = reader.at == reader.bytes.len() && !matches!(root.kind, Kind::Scalar { .. });
    is_whole.then_some(root)
}

/// Letters and punctuation of most languages; not the line breaks and marks outside of ASCII.
fn is_ordinary(c: char) -> bool {
    c.is_ascii()
        || (!c.is_control()
            && !matches!(
                c,
                '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
            ))
}

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    file: FileId,
    at: usize,
    /// Where the line starts that `at` is in.
    line: usize,
    depth: usize,
}

impl Reader<'_> {
    /// The byte at hand; a line break behind the end.
    fn peek(&self) -> u8 {
        self.byte(self.at)
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(b'\n')
    }

    fn column(&self) -> usize {
        self.at - self.line
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span {
            file: self.file,
            start,
            end,
        }
    }

    fn skip_spaces(&mut self) {
        while self.peek() == b' ' {
            self.at += 1;
        }
    }

    /// To the end of the line, if there is nothing but a comment on the rest of it.
    fn skip_rest(&mut self) -> Option<()> {
        let start = self.at;
        self.skip_spaces();
        match self.peek() {
            b'\n' => Some(()),
            b'#' if self.at > start || self.at == self.line => {
                let rest = &self.bytes[self.at..];
                // Control characters are for the full parser to refuse.
                let length = rest.iter().position(|byte| is_control(*byte));
                self.at += length.unwrap_or(rest.len());
                (self.peek() == b'\n').then_some(())
            }
            _ => None,
        }
    }

    /// From the end of a line, or the start of the text, to the next line with something on it.
    fn skip_lines(&mut self) -> Option<()> {
        while self.at < self.bytes.len() {
            let start = self.at;
            if self.skip_rest().is_none() {
                // Something is there; the spaces before it have been skipped.
                let marks = &self.bytes[self.line..];
                let is_mark = marks.starts_with(b"---") || marks.starts_with(b"...");
                let starts_line = start == self.line;
                return (starts_line && !is_mark && self.peek() != b'%').then_some(());
            }
            if self.at < self.bytes.len() {
                self.at += 1;
                self.line = self.at;
            }
        }
        Some(())
    }

    /// What starts here, in a block: at the start of a line or behind a `- `.
    fn block(&mut self, column: usize) -> Option<Node> {
        self.depth += 1;
        if self.depth >= MAX_DEPTH {
            return None;
        }
        let node = if self.is_item() {
            self.items(column)
        } else if matches!(self.peek(), b'[' | b'{') {
            let node = self.flow()?;
            self.end_of_value()?;
            Some(node)
        } else {
            let start = self.at;
            let scalar = self.scalar(false)?;
            if self.is_colon() && self.at - start < LONGEST_KEY {
                self.entries(column, scalar)
            } else {
                self.end_of_value()?;
                Some(scalar.into_node())
            }
        };
        self.depth -= 1;
        node
    }

    fn is_item(&self) -> bool {
        self.peek() == b'-' && matches!(self.byte(self.at + 1), b' ' | b'\n')
    }

    fn is_colon(&self) -> bool {
        self.peek() == b':' && matches!(self.byte(self.at + 1), b' ' | b'\n')
    }

    fn end_of_value(&mut self) -> Option<()> {
        self.skip_rest()?;
        self.skip_lines()
    }

    /// A list, from its first dash.
    fn items(&mut self, column: usize) -> Option<Node> {
        let start = self.at;
        let mut items = Vec::new();
        while self.at < self.bytes.len() && self.column() == column && self.is_item() {
            self.at += 1;
            items.push(self.value(column)?);
        }
        self.is_left(column)?;
        let end = items.last()?.span.end;
        Some(Node {
            span: self.span(start, end),
            kind: Kind::List(items),
        })
    }

    /// A mapping, from the colon behind its first key.
    fn entries(&mut self, column: usize, first: Scalar) -> Option<Node> {
        let start = first.span.start;
        let mut entries: Vec<(Key, Node)> = Vec::with_capacity(4);
        let mut seen = HashSet::new();
        let mut key = first;
        loop {
            let key_of_entry = new_key(key, &entries, &mut seen)?;
            self.at += 1;
            let before = self.at;
            self.skip_spaces();
            let on_this_line = self.peek() != b'\n' && self.peek() != b'#';
            self.at = before;
            let value = if on_this_line {
                self.inline()?
            } else {
                self.end_of_value()?;
                // The items of a list may stand below their key.
                if self.at < self.bytes.len() && self.column() == column && self.is_item() {
                    self.depth += 1;
                    if self.depth >= MAX_DEPTH {
                        return None;
                    }
                    let mut list = self.items(column)?;
                    if let Kind::List(items) = &list.kind {
                        // The full parser sees such a list start behind its first dash.
                        let first = items.first()?.span.start;
                        if self.text[list.span.start..first].contains('\n') {
                            return None;
                        }
                        list.span.start = first;
                    }
                    self.depth -= 1;
                    list
                } else {
                    self.below(column)?
                }
            };
            entries.push((key_of_entry, value));
            if self.at == self.bytes.len() || self.column() != column || self.is_item() {
                break;
            }
            let at = self.at;
            key = self.scalar(false)?;
            if !self.is_colon() || self.at - at >= LONGEST_KEY {
                return None;
            }
        }
        self.is_left(column)?;
        let end = entries.last()?.1.span.end;
        Some(Node {
            span: self.span(start, end),
            kind: Kind::Map(entries),
        })
    }

    /// Whether what comes next can stand behind a collection: it is further to the left, or the next key
    /// behind a list that stands at the column of its own key.
    fn is_left(&self, column: usize) -> Option<()> {
        let next = self.column();
        let is_left = next < column || next == column && !self.is_item();
        (self.at == self.bytes.len() || is_left).then_some(())
    }

    /// What follows a dash.
    fn value(&mut self, column: usize) -> Option<Node> {
        let dash = self.at;
        self.skip_spaces();
        if !matches!(self.peek(), b'\n' | b'#') {
            let column = self.column();
            return self.block(column);
        }
        self.at = dash;
        self.end_of_value()?;
        self.below(column)
    }

    /// A value on the lines below, further to the right.
    fn below(&mut self, column: usize) -> Option<Node> {
        let inner = self.column();
        if self.at == self.bytes.len() || inner <= column {
            return None;
        }
        self.block(inner)
    }

    /// A value on the line of its key.
    fn inline(&mut self) -> Option<Node> {
        self.skip_spaces();
        if self.is_item() {
            return None;
        }
        let node = match self.peek() {
            b'[' | b'{' => self.flow()?,
            _ => self.scalar(false)?.into_node(),
        };
        self.end_of_value()?;
        Some(node)
    }

    /// A collection in brackets, on one line.
    fn flow(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth >= MAX_DEPTH {
            return None;
        }
        let start = self.at;
        let is_map = self.peek() == b'{';
        let close = if is_map { b'}' } else { b']' };
        self.at += 1;
        self.skip_spaces();
        let mut items = Vec::new();
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        let mut is_open = self.peek() != close;
        while is_open {
            if is_map {
                let key = self.scalar(true)?;
                if !self.is_colon() || key.span.end - key.span.start >= LONGEST_KEY {
                    return None;
                }
                self.at += 1;
                self.skip_spaces();
                let key = new_key(key, &entries, &mut seen)?;
                entries.push((key, self.flow_value()?));
            } else {
                items.push(self.flow_value()?);
            }
            self.skip_spaces();
            match self.peek() {
                b',' => {
                    self.at += 1;
                    self.skip_spaces();
                }
                byte if byte == close => is_open = false,
                _ => return None,
            }
        }
        self.at += 1;
        self.depth -= 1;
        let kind = if is_map {
            Kind::Map(entries)
        } else {
            Kind::List(items)
        };
        Some(Node {
            span: self.span(start, self.at),
            kind,
        })
    }

    fn flow_value(&mut self) -> Option<Node> {
        match self.peek() {
            b'[' | b'{' => self.flow(),
            _ => Some(self.scalar(true)?.into_node()),
        }
    }
}

/// A key that is there once, and is none of the special ones.
fn new_key(key: Scalar, entries: &[(Key, Node)], seen: &mut HashSet<String>) -> Option<Key> {
    let is_new = if entries.len() < MANY_KEYS {
        entries.iter().all(|(known, _)| known.text != key.text)
    } else {
        if seen.is_empty() {
            seen.extend(entries.iter().map(|(key, _)| key.text.clone()));
        }
        seen.insert(key.text.clone())
    };
    let is_merge = key.plain && key.text == "<<";
    (is_new && !is_merge).then_some(Key {
        text: key.text,
        span: key.span,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::parse::parse_fully;
    use super::*;
    use crate::diag::Diagnostics;
    use crate::source::Sources;

    /// Whether the text was read; if so, as the full parser reads it.
    fn agrees(text: &str) -> bool {
        let mut sources = Sources::default();
        let file = sources.add("t.yaml", text);
        let Some(node) = parse(text, file) else {
            return false;
        };
        let mut diagnostics = Diagnostics::default();
        let full = parse_fully(&sources, file, &mut diagnostics);
        let reported = diagnostics.into_sorted();
        assert!(reported.is_empty(), "{text:?}: {reported:?}");
        assert_eq!(format!("{:?}", Some(node)), format!("{full:?}"), "{text:?}");
        true
    }

    #[test]
    fn reads_what_workflows_are_made_of() {
        for text in [
            "a: 1\n",
            "# c\n\na: # c\n  b: x y # c\n  c:\n    d: e\n\nf: g",
            "a:\n- 1\n- b: c\n  d: e\n-\n  f\ng: -1\n",
            "- - a\n  - b\n-   c: d\n    e: f\n",
            "a: {b: [c, \"d\", 'it''s'], \"e\": {}, f: []}\n",
            "a: \"x \\\"y\\\" \\\\ \\n \\t {{z}}\"\n'b': \"ä € 漢\"\nü: ö\n",
            "a: b:c#d, [e] http://x/?y=z\n$ref: ./a.yaml#/types/B\n",
        ] {
            assert!(agrees(text), "{text:?}");
        }
    }

    #[test]
    fn leaves_the_unusual_to_the_full_parser() {
        for text in [
            "",
            "a",
            "a: b\n  c\n",
            "a: \"b\n  c\"\n",
            "a: |\n  b\n",
            "a: &b c\n",
            "a: *b\n",
            "a: !b c\n",
            "a:\n",
            "a: 1\na: 2\n",
            "<<: {}\n",
            "a:\tb\n",
            "a: b\r\n",
            "---\na: b\n",
            "a: b\n---\n",
            "a: b: c\n",
            "a: [b\n",
            "a: [b,]\n",
            "a: 1\n  b: 2\n",
            "a: 1\n- b\n",
        ] {
            assert!(!agrees(text), "{text:?}");
        }
    }

    #[test]
    fn agrees_on_the_workflows_of_the_project() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut read = 0;
        for directory in ["tests/workflows", "dspipe-build/tests/diagnostics"] {
            for entry in fs::read_dir(root.join(directory)).unwrap() {
                let path = entry.unwrap().path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == "yaml")
                    && let Ok(text) = fs::read_to_string(path)
                {
                    read += usize::from(agrees(&text));
                    // Cut off anywhere, and with a byte missing anywhere.
                    for (at, c) in text.char_indices().step_by(11) {
                        agrees(&text[..at]);
                        agrees(&[&text[..at], &text[at + c.len_utf8()..]].concat());
                    }
                }
            }
        }
        assert!(read > 10, "{read}");
    }

    /// Texts that are nearly YAML.
    fn texts() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "a", "b", "key", "- ", "-", "- a", "- b: c", "a: ", "b:", "c: d", "a : b", "{", "}",
            "[", "]", ", ", ",", ": ", ":", " # c", "#", "\"", "\"x\"", "'", "'y'", "''", "\\",
            "\\n", "{a: b}", "[a, b]", "[]", "{}", "|", ">", "&a ", "*a", "!t ", "? ", "%", "@",
            "`", "~", "-1", "1.5", "---", "...", "<<: ", "\n", "\n", "\n  ", "\n  ", "\n    ",
            "\n- ", "\n  - ", "\n\n", " ", "  ", "\t", "\r\n", "é", "\u{2028}",
        ]);
        prop::collection::vec(word, 0..16).prop_map(|words| words.concat())
    }

    /// Lines that are nearly entries.
    fn lines() -> impl Strategy<Value = String> {
        let content = prop::sample::select(vec![
            "a:",
            "b:",
            "c: d",
            "d: [e, f]",
            "e: {f: g}",
            "- a",
            "- b: c",
            "-",
            "- - a",
            "- [a]",
            "# c",
            "",
            "x",
            "f: \"g\" # c",
            "\"g\": 'h'",
            "h: [a, {b: c}, \"d\"]",
            "- \"a\"",
            "- {a: b}",
            "i: a b ",
            "j: - a",
        ]);
        let line = (0_usize..4, content)
            .prop_map(|(indent, content)| format!("{}{content}\n", "  ".repeat(indent)));
        prop::collection::vec(line, 0..8).prop_map(|lines| lines.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn agrees_on_any_text(text in prop_oneof![texts(), lines()]) {
            agrees(&text);
        }
    }
}

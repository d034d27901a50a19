//! Texts between longer marks than one: fences, three quotation marks, escaped ones.

use super::{Kind, Scanner};
use crate::read::tree::{Form, Node, NodeKind, Text};

/// As many fences may stand in code, its own end among them, and as often may that be missing.
const MOST_FENCES: u32 = 8;

impl Scanner<'_> {
    /// Code in a fence that stands where a value should.
    pub(super) fn code(&mut self) -> Option<Node> {
        let start = self.at;
        let inner = self
            .rest()
            .strip_prefix("```")
            .filter(|_| !self.strict && self.shared.endless.get() < MOST_FENCES)?;
        let line = inner.find('\n')?;
        let label = &inner[..line];
        if label.contains(['`', '"', '}', ']']) {
            return None;
        }
        let inner = &inner[line..];
        let mut from = 0;
        // Where none of the next fences ends it, it has no end.
        for _ in 0..MOST_FENCES {
            let end = from
                + inner[from..].find("\n```").or_else(|| {
                    self.shared.endless.set(self.shared.endless.get() + 1);
                    self.shared.step(inner.len() - from);
                    None
                })?;
            self.shared.step(end + 4 - from);
            let after = inner[end + 4..].trim_start();
            let brackets = after.trim_start_matches(['}', ']', ' ', '\n', '\r', '\t']);
            let is_end = after.starts_with(',')
                || after.starts_with(['}', ']'])
                    && (brackets.is_empty() || brackets.starts_with([',', '`']));
            let here = self.text.len() - after.len();
            if is_end || self.key_at(here) {
                let text = dedent(&inner[..end]);
                self.at = self.text.len() - inner.len() + end + 4;
                self.note(Kind::Quotes, start);
                return Some(self.node(
                    start,
                    NodeKind::Text(Text {
                        text,
                        form: Form::Quoted,
                        cut: false,
                    }),
                ));
            }
            from = end + 4;
        }
        None
    }

    /// A text between three quotation marks, as in Python.
    pub(super) fn long(&mut self, mark: &str) -> Text {
        let start = self.at;
        self.at += mark.len();
        let rest = self.rest();
        let (length, found) = match rest.find(mark) {
            Some(end) => (end, true),
            None => (rest.len(), false),
        };
        self.shared.step(length);
        let inner = &rest[..length];
        self.at += length;
        if found {
            self.at += mark.len();
            self.note(Kind::Quotes, start);
        } else {
            self.note(Kind::Unfinished, start);
        }
        Text {
            text: dedent(inner),
            form: Form::Quoted,
            cut: !found,
        }
    }

    /// A text between `\"` and `\"`: JSON that was escaped for a text it does not stand in.
    pub(super) fn escaped(&mut self) -> Text {
        let start = self.at;
        self.at += 2;
        let inner = self.at;
        let mut end = self.text.len();
        // The next `\"`; what is escaped inside has more bars in front.
        let mut bars = 0_usize;
        for (at, byte) in self.rest().bytes().enumerate() {
            match byte {
                b'\\' => bars += 1,
                b'"' if bars < 2 => {
                    end = inner + at - bars;
                    break;
                }
                _ => bars = 0,
            }
        }
        self.shared.step(end - inner);
        let raw = &self.text[inner..end];
        let rest = &self.text[end..];
        let cut = rest.is_empty();
        self.at = end
            + if rest.starts_with('\\') {
                2
            } else {
                1 - usize::from(cut)
            };
        self.note(if cut { Kind::Unfinished } else { Kind::Encoded }, start);
        Text {
            text: decoded_twice(raw),
            form: Form::Quoted,
            cut,
        }
    }
}

/// A text that was escaped, and escaped again.
fn decoded_twice(raw: &str) -> String {
    let once = decoded(raw);
    decoded(&once)
}

/// A text with its escapes taken in; those that are none stay as they are.
fn decoded(raw: &str) -> String {
    let whole = format!("\"{}\"", raw.replace('\n', "\\n"));
    if let Ok(text) = serde_json::from_str(&whole) {
        return text;
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some(c @ ('"' | '\\' | '/' | '\'')) => text.push(c),
            Some(c) => text.extend(['\\', c]),
            None => text.push('\\'),
        }
    }
    text
}

/// A text of several lines without the indentation that all of them have, nor its first and last line break.
fn dedent(text: &str) -> String {
    let Some(lines) = text
        .strip_prefix('\n')
        .or_else(|| text.strip_prefix("\r\n"))
    else {
        return text.to_owned();
    };
    let lines: Vec<&str> = lines.trim_end().lines().collect();
    let indent = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.get(indent..).unwrap_or_default())
        .collect();
    lines.join("\n")
}

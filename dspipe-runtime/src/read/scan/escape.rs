//! Escapes in texts, and backslashes that are none.

use std::ops::Range;

use super::{Kind, Scanner};

/// The escapes of a text.
#[derive(Debug, Default)]
pub(super) struct Escapes {
    /// Those that JSON has, and that can as well be the beginning of a word: where they stand in the text, and the letter.
    known: Vec<(usize, char)>,
    /// Whether there was one with a letter that JSON does not have.
    pub(super) unknown: bool,
    /// Whether backslashes mean themselves, as in Python's `r"…"`.
    pub(super) raw: bool,
}

/// Words of TeX that begin as an escape of JSON does.
const TEX: [&str; 17] = [
    "nu", "neq", "nabla", "neg", "not", "notin", "newline", "theta", "times", "tau", "text",
    "textbf", "textit", "to", "tilde", "top", "triangle",
];

impl Escapes {
    /// Where backslashes were not escaped, `\t` in a path and `\f` in a formula are no escapes either.
    pub(super) fn put_back(&self, text: &mut String) {
        let path = path(text);
        let mut whole = String::with_capacity(text.len() + self.known.len());
        let mut from = 0;
        for &(at, letter) in &self.known {
            let (Some(before), Some(c)) = (
                text.get(from..at),
                text.get(at..).and_then(|rest| rest.chars().next()),
            ) else {
                continue;
            };
            if !c.is_control() {
                continue;
            }
            let after = &text[at + 1..];
            let word = after
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(after.len())
                .min(16);
            let word = format!("{letter}{}", after.get(..word).unwrap_or_default());
            let in_path = path.contains(&at);
            let is_word = match letter {
                'n' | 't' => in_path || TEX.contains(&word.as_str()),
                _ => word.len() > 1,
            };
            if is_word && (word.len() > 1 || in_path) {
                whole.push_str(before);
                whole.push('\\');
                whole.push(letter);
                from = at + 1;
            }
        }
        if from > 0 {
            whole.push_str(&text[from..]);
            *text = whole;
        }
    }
}

/// The part of a text that is a path of Windows.
fn path(text: &str) -> Range<usize> {
    let marks = [":\\", ":\t", ":\n"];
    let colon = marks.iter().filter_map(|mark| text.find(mark)).min();
    let drive = colon.filter(|at| {
        text[..*at]
            .chars()
            .next_back()
            .is_some_and(|letter| letter.is_ascii_alphabetic())
    });
    match drive {
        Some(start) => {
            let end = text[start..].find([' ', ';', ',']);
            start..end.map_or(text.len(), |end| start + end)
        }
        None => 0..0,
    }
}

impl Scanner<'_> {
    /// An escape, which begins here.
    pub(super) fn escape(&mut self, text: &mut String) {
        let from = self.at;
        self.bump('\\');
        let Some(c) = self.peek() else {
            // Cut off.
            self.note(Kind::Unfinished, from);
            return;
        };
        if self.escapes.raw && c != '"' && c != '\'' {
            text.push('\\');
            return;
        }
        self.bump(c);
        match c {
            '"' | '\\' | '/' => text.push(c),
            'b' | 'f' | 'n' | 'r' | 't' => {
                if !self.strict {
                    self.escapes.known.push((text.len(), c));
                }
                text.push(match c {
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    _ => '\t',
                });
            }
            'u' => self.unicode(from, text),
            '\'' | '`' | '“' | '”' | '‘' | '’' => {
                self.note(Kind::Escape, from);
                text.push(c);
            }
            '\n' => {
                // A line that goes on, as in JavaScript.
                self.note(Kind::Escape, from);
            }
            _ => {
                // A path or a formula more likely than a letter with a bar.
                self.note(Kind::Escape, from);
                self.escapes.unknown |= c.is_ascii_alphabetic();
                text.push('\\');
                text.push(c);
            }
        }
    }

    fn unicode(&mut self, from: usize, text: &mut String) {
        let Some(first) = self.hex() else {
            if self.rest().len() < 4 && self.rest().bytes().all(|c| c.is_ascii_hexdigit()) {
                self.at = self.text.len();
                self.note(Kind::Unfinished, from);
            } else {
                self.note(Kind::Escape, from);
                self.escapes.unknown = true;
                text.push_str("\\u");
            }
            return;
        };
        let code = match first {
            0xD800..=0xDBFF if self.rest().starts_with("\\u") => {
                let back = self.at;
                self.at += 2;
                match self.hex() {
                    Some(second @ 0xDC00..=0xDFFF) => {
                        0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                    }
                    _ => {
                        self.at = back;
                        first
                    }
                }
            }
            _ => first,
        };
        match char::from_u32(code) {
            Some(c) => text.push(c),
            None if self.rest().is_empty() || "\\u".starts_with(self.rest()) => {
                // Cut off in the middle of a pair.
                self.note(Kind::Unfinished, from);
            }
            None => {
                self.note(Kind::Escape, from);
                text.push('\u{fffd}');
            }
        }
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        if !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

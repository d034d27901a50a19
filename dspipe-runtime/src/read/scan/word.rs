//! Values without quotation marks: numbers, literals, and texts.

use serde_json::Number;

use super::look::{comment, is_comment, window};
use super::text::closing;
use super::{Kind, Place, Scanner};
use crate::read::tree::{Form, Node, NodeKind, Text};

impl Scanner<'_> {
    /// What is not a text in quotation marks, an object or a list.
    pub(super) fn word(&mut self, place: Place) -> Option<Node> {
        let start = self.at;
        if self.strict {
            return self.strict_word(start);
        }
        self.pass_word(place);
        let raw = self.span_text(start..self.at).trim_end();
        self.at = start + raw.len();
        if raw.is_empty() {
            return None;
        }
        let is_last = self.rest().trim().is_empty();
        if let Some(inner) = argument(raw) {
            self.note(Kind::Literal, start);
            return Some(self.node(start, inner));
        }
        let (kind, slip) = classify(raw, is_last);
        if let Some(slip) = slip {
            self.note(slip, start);
        }
        if is_last && place != Place::Top && matches!(kind, NodeKind::Number(..)) {
            // Whether it is whole, nobody knows; that a bracket is missing is likelier.
            self.note(Kind::Unfinished, start);
        }
        Some(self.node(start, kind))
    }

    fn strict_word(&mut self, start: usize) -> Option<Node> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| matches!(c, ',' | '}' | ']') || c.is_whitespace())
            .unwrap_or(rest.len());
        let raw = &rest[..end];
        let kind = match raw {
            "true" => NodeKind::Boolean(true),
            "false" => NodeKind::Boolean(false),
            "null" => NodeKind::Null,
            _ => match number(raw) {
                Some(number) => written(number, raw),
                None => {
                    self.failed = true;
                    return None;
                }
            },
        };
        self.at += end;
        Some(self.node(start, kind))
    }

    /// Goes to where a value without quotation marks ends.
    fn pass_word(&mut self, place: Place) {
        let mut open = 0_usize;
        let mut parentheses = 0_usize;
        let mut before = ' ';
        let start = self.at;
        while let Some(c) = self.peek() {
            match c {
                '(' => parentheses += 1,
                ')' => parentheses = parentheses.saturating_sub(1),
                _ => {}
            }
            let ends = match c {
                // `[{"a": 1{"a": 2}]`
                '{' if self.lists > 0 && self.is_literal(start) && self.object_follows(self.at) => {
                    true
                }
                '{' | '[' | '(' => {
                    open += 1;
                    false
                }
                ';' => match place {
                    Place::Top => false,
                    Place::List => {
                        is_number(self.span_text(start..self.at).trim_end()) || self.separates()
                    }
                    Place::Object => self.ends_at_comma(start, ';'),
                },
                // `[1 2]`
                c if c.is_whitespace() && c != '\n' && place == Place::List => {
                    self.is_next_number(start)
                }
                c if c.is_whitespace() && c != '\n' && place == Place::Object => {
                    self.is_before_key(start)
                }
                ')' if open == 0 => is_number(self.span_text(start..self.at).trim_end()),
                ')' => {
                    open = open.saturating_sub(1);
                    false
                }
                '}' | ']' if open > 0 => {
                    open -= 1;
                    false
                }
                '}' => self.objects > 0 || place == Place::Top,
                ']' => {
                    self.lists > 0
                        || place == Place::Top
                        || self.is_literal(start) && self.ends_here()
                }
                ',' | '，' if parentheses > 0 && self.is_enclosed() => false,
                ',' | '，' => match place {
                    Place::Object => self.ends_at_comma(start, c),
                    _ => open == 0 && (before == '"' || !self.closes_later(c)),
                },
                '\n' => self.ends_at_line(start, place),
                '/' | '#' if before.is_whitespace() => is_comment(self.rest()),
                '/' if self.rest().starts_with("/*") => self.is_literal(start),
                '"' if before.is_whitespace() => place == Place::List || self.key_at(self.at),
                '\'' if before.is_whitespace() && place == Place::List => {
                    is_number(self.span_text(start..self.at).trim_end())
                }
                '`' => self.rest().starts_with("```") && before == '\n',
                _ => false,
            };
            if ends {
                return;
            }
            self.shared.step(1);
            before = c;
            self.bump(c);
        }
    }

    /// Whether the semicolon here stands for a comma: there is none in the list.
    fn separates(&self) -> bool {
        let window = window(self.text, self.at);
        let end = window.find(']').unwrap_or(window.len());
        !window[..end].contains(',')
    }

    /// Whether a literal was passed, and a key follows behind the space here: the comma is missing.
    fn is_before_key(&self, start: usize) -> bool {
        let window = window(self.text, self.at);
        let after = window.trim_start();
        let here = self.at + window.len() - after.len();
        let is_marked = after.chars().next().and_then(closing).is_some();
        self.is_literal(start)
            && (self.known_key(here)
                || self
                    .key_seen(here)
                    .is_some_and(|key| is_marked || self.keys.knows(key)))
    }

    /// Whether the parenthesis that is open is closed on this line.
    fn is_enclosed(&self) -> bool {
        let mut open = 1_usize;
        for c in window(self.text, self.at).chars() {
            match c {
                '(' => open += 1,
                ')' => open -= 1,
                '\n' => return false,
                _ => {}
            }
            if open == 0 {
                return true;
            }
        }
        false
    }

    /// Whether what was passed is a number, and another follows behind the space here.
    fn is_next_number(&self, start: usize) -> bool {
        let so_far = self.span_text(start..self.at);
        let after = window(self.text, self.at).trim_start();
        let end = after
            .find(|c: char| matches!(c, ',' | ']' | '}') || c.is_whitespace())
            .unwrap_or(after.len());
        let next = &after[..end];
        // Groups of three digits may be one number.
        let is_group = next.len() == 3 && next.bytes().all(|c| c.is_ascii_digit());
        is_number(so_far) && is_number(next) && !is_group
    }

    /// Whether what was passed is a value of its own.
    fn is_literal(&self, start: usize) -> bool {
        let so_far = self.span_text(start..self.at).trim_end();
        matches!(
            so_far,
            "true" | "false" | "null" | "True" | "False" | "None"
        ) || is_number(so_far)
    }

    /// Whether nothing but brackets follows.
    fn ends_here(&self) -> bool {
        let after =
            window(self.text, self.at).trim_start_matches(['}', ']', ' ', '\n', '\r', '\t']);
        after.is_empty() || after.starts_with("```") || after.starts_with(',')
    }

    /// Whether a mark follows that closes a text and was never opened: then the comma is a part of the text.
    fn closes_later(&self, comma: char) -> bool {
        let window = window(self.text, self.at + comma.len_utf8());
        let mut before = ' ';
        for (at, c) in window.char_indices() {
            if c == '"' && before != '\\' {
                let after = window[at + 1..].trim_start();
                return !before.is_whitespace()
                    && !matches!(before, ',' | '[')
                    && after.starts_with([',', ']']);
            }
            if matches!(c, '[' | ']' | '{' | '}' | '\n') {
                return false;
            }
            before = c;
        }
        false
    }

    /// Whether a comma here ends the value: a key follows, or the end.
    fn ends_at_comma(&self, start: usize, comma: char) -> bool {
        let so_far = self.span_text(start..self.at);
        if matches!(
            so_far,
            "true" | "false" | "null" | "True" | "False" | "None"
        ) {
            return true;
        }
        let window = window(self.text, self.at + comma.len_utf8());
        if is_number(so_far.trim_end()) && !window.starts_with(|c: char| c.is_ascii_digit()) {
            return true;
        }
        let mut after = window.trim_start();
        while comment(after) > 0 {
            after = after[comment(after)..].trim_start();
        }
        let here = self.at + comma.len_utf8() + (window.len() - after.len());
        after.is_empty()
            || after.starts_with(['}', ']', ','])
            || after.starts_with("...")
            || self.key_at(here)
            || self.known_key(here)
    }

    /// Whether a line break here ends the value.
    fn ends_at_line(&self, start: usize, place: Place) -> bool {
        if place == Place::List || place == Place::Object && self.is_literal(start) {
            return true;
        }
        let window = window(self.text, self.at + 1);
        let after = window.trim_start();
        let here = self.at + 1 + (window.len() - after.len());
        after.is_empty()
            || after.starts_with(['}', ']', ','])
            || after.starts_with("```")
            || self.key_at(here)
    }
}

/// Functions of Python, JavaScript and `MongoDB` that print as a call around a plain value.
const CALLS: [&str; 17] = [
    "ObjectId",
    "ISODate",
    "NumberLong",
    "NumberInt",
    "NumberDecimal",
    "UUID",
    "Decimal",
    "Date",
    "Timestamp",
    "Path",
    "PosixPath",
    "SecretStr",
    "str",
    "String",
    "int",
    "float",
    "bool",
];

/// The value in a call that stands for it: `Decimal('4.50')`, `new Date("2024-05-01")`.
fn argument(raw: &str) -> Option<NodeKind> {
    let (name, inner) = raw.strip_suffix(')')?.split_once('(')?;
    let name = name.strip_prefix("new ").unwrap_or(name).trim();
    if !CALLS.iter().any(|call| call.eq_ignore_ascii_case(name)) {
        return None;
    }
    let inner = inner.trim();
    for mark in ['"', '\''] {
        let text = inner
            .strip_prefix(mark)
            .and_then(|inner| inner.strip_suffix(mark));
        if let Some(text) = text {
            return (!text.contains([mark, '\\'])).then(|| {
                NodeKind::Text(Text {
                    text: text.to_owned(),
                    form: Form::Quoted,
                    cut: false,
                })
            });
        }
    }
    match inner {
        "true" | "True" => Some(NodeKind::Boolean(true)),
        "false" | "False" => Some(NodeKind::Boolean(false)),
        _ => number(inner).map(|number| written(number, inner)),
    }
}

/// Whether a text is a number as JSON writes it. It is looked at again and again while a word grows, so long ones are not.
fn is_number(text: &str) -> bool {
    text.len() <= 40 && number(text).is_some()
}

/// What a value without quotation marks is, and the slip that it is one.
fn classify(raw: &str, is_last: bool) -> (NodeKind, Option<Kind>) {
    let literal = |kind| (kind, Some(Kind::Literal));
    match raw {
        "true" => return (NodeKind::Boolean(true), None),
        "false" => return (NodeKind::Boolean(false), None),
        "null" => return (NodeKind::Null, None),
        "True" | "TRUE" => return literal(NodeKind::Boolean(true)),
        "False" | "FALSE" => return literal(NodeKind::Boolean(false)),
        "None" | "NULL" | "Null" | "nil" | "NIL" | "Nil" => return literal(NodeKind::Null),
        "undefined" => return literal(NodeKind::Nothing("undefined")),
        "NaN" | "nan" | "-NaN" => return literal(NodeKind::Nothing("NaN")),
        "Infinity" | "+Infinity" | "inf" | "Inf" => return literal(NodeKind::Nothing("Infinity")),
        "-Infinity" | "-inf" => return literal(NodeKind::Nothing("-Infinity")),
        _ => {}
    }
    if let Some(number) = number(raw) {
        return (written(number, raw), None);
    }
    if let Some(number) = loose_number(raw, is_last) {
        return (written(number, raw), Some(Kind::Number));
    }
    if is_last {
        // Cut off: nothing else begins like this.
        for (word, kind) in [
            ("true", NodeKind::Boolean(true)),
            ("false", NodeKind::Boolean(false)),
            ("null", NodeKind::Null),
        ] {
            if word.starts_with(raw) {
                return (kind, Some(Kind::Unfinished));
            }
        }
    }
    // `text"`: the first mark is missing.
    let mut text = raw;
    let last = raw.chars().next_back();
    let mut unescaped = None;
    if let Some(mark) = last.filter(|c| closing(*c).is_some())
        && raw.matches(mark).count()
            - raw
                .matches("\\\"")
                .count()
                .min(raw.matches(mark).count() - 1)
            == 1
        && mark != '\''
    {
        text = raw[..raw.len() - mark.len_utf8()].trim_end();
        unescaped = serde_json::from_str::<String>(&format!("\"{text}\"")).ok();
    }
    let text = Text {
        text: unescaped.unwrap_or_else(|| text.to_owned()),
        form: Form::Bare,
        cut: is_last,
    };
    (NodeKind::Text(text), Some(Kind::Unquoted))
}

fn written(number: Number, raw: &str) -> NodeKind {
    let other = number.to_string() != raw;
    NodeKind::Number(number, other.then(|| raw.into()))
}

/// A number exactly as JSON writes it.
pub(in crate::read) fn number(raw: &str) -> Option<Number> {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if digits.contains(['.', 'e', 'E']) {
        // Exact to the last digit, which `serde_json` is not by default.
        serde_json::from_str::<serde::de::IgnoredAny>(raw).ok()?;
        return Number::from_f64(raw.parse().ok()?);
    }
    serde_json::from_str(raw).ok()
}

/// A number as other languages write it: `+1`, `.5`, `5.`, `007`, `1_000`, `0x1F`.
pub(in crate::read) fn loose_number(raw: &str, is_last: bool) -> Option<Number> {
    let (sign, digits) = match raw.strip_prefix(['-', '−']) {
        Some(digits) => ("-", digits),
        None => ("", raw.strip_prefix('+').unwrap_or(raw)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    for (mark, radix) in [("0x", 16), ("0X", 16), ("0b", 2), ("0o", 8)] {
        if let Some(digits) = digits.strip_prefix(mark) {
            let value = i64::from_str_radix(digits, radix).ok()?;
            return Some(Number::from(if sign.is_empty() { value } else { -value }));
        }
    }
    let mut plain = String::from(sign);
    let mut before = ' ';
    for c in digits.chars() {
        match c {
            '_' if before.is_ascii_digit() => {}
            '.' if !before.is_ascii_digit() => plain.push_str("0."),
            _ => plain.push(c),
        }
        before = c;
    }
    if before == '_' {
        return None;
    }
    if is_last
        && (plain.ends_with(['.', 'e', 'E']) || plain.ends_with("e+") || plain.ends_with("e-"))
    {
        // Cut off inside: what it would have been is unknown.
        return None;
    }
    if plain.ends_with('.') {
        plain.push('0');
    }
    // Zeros in front.
    let start = sign.len();
    let whole = plain[start..]
        .find(['.', 'e', 'E'])
        .unwrap_or(plain.len() - start);
    let zeros = plain[start..start + whole]
        .bytes()
        .take(whole.saturating_sub(1))
        .take_while(|c| *c == b'0')
        .count();
    plain.replace_range(start..start + zeros, "");
    number(&plain)
}

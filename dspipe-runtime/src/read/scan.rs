//! JSON as LMs write it when they slip: read in one pass, with every slip noted.
//!
//! The scanner never goes back and looks ahead by a bounded distance, so it takes linear time on any text.
//! It repairs the form only; whether the values are right is for the schema to say.

mod escape;
mod key;
mod list;
mod long;
mod look;
mod object;
mod open;
mod text;
mod word;

use std::cell::Cell;
use std::ops::Range;

use super::repair::RepairKind as Kind;
use super::schema::Keys;
use super::tree::{Node, NodeKind, Slip};
use look::{comment, goes_on, is_tag, window};

pub(super) use word::{loose_number, number};

/// Deeper values than this are refused, so that reading may recurse.
pub(super) const MAX_DEPTH: usize = 128;

/// How far it is looked ahead to find out what something is, in bytes.
const LOOK_AHEAD: usize = 160;

/// What all scanners of a reply share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    ids: Cell<u32>,
    /// Characters looked at, for tests of the time that reading takes.
    pub(super) steps: Cell<u64>,
    /// Where reading can go on behind what was too deep; 0 if nothing was.
    pub(super) too_deep: Cell<usize>,
    /// After so many steps, nothing more is looked for: only replies that are made for it take as many.
    limit: u64,
    /// How often the end of code in a fence was looked for in vain.
    endless: Cell<u32>,
}

impl Shared {
    pub(super) fn of(reply: &str) -> Self {
        Self {
            limit: 100_000 + 40 * reply.len() as u64,
            ..Self::default()
        }
    }

    pub(super) fn is_worn(&self) -> bool {
        self.steps.get() > self.limit
    }

    pub(super) fn id(&self) -> u32 {
        self.ids.replace(self.ids.get().wrapping_add(1))
    }

    pub(super) fn step(&self, count: usize) {
        self.steps.set(self.steps.get() + count as u64);
    }
}

/// A value that was found in a text.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) node: Node,
    pub(super) slips: Vec<Slip>,
    pub(super) end: usize,
}

/// Reads the value that begins at a position, if one does: strictly if that works, or else tolerantly.
/// `base` is added to all positions.
pub(super) fn value_at(
    text: &str,
    start: usize,
    base: usize,
    keys: &Keys,
    shared: &Shared,
) -> Option<Scanned> {
    let scanned = scan(text, start, base, keys, shared, true);
    // `{"a": 1}, "b": 2}` is right up to a bracket too many.
    scanned
        .filter(|scanned| !goes_on(&text[scanned.end..]))
        .or_else(|| scan(text, start, base, keys, shared, false))
}

/// Reads the entries that begin at a position: an object without its first bracket, or, after a parenthesis, the named
/// arguments of a call.
pub(super) fn entries_at(
    text: &str,
    start: usize,
    keys: &Keys,
    shared: &Shared,
) -> Option<Scanned> {
    let mut scanner = Scanner::new(text, start, 0, keys, shared, false);
    if !scanner.key_seen(start).is_some_and(|key| keys.knows(key)) {
        return None;
    }
    scanner.objects = 1;
    scanner.call = text[..start].ends_with('(').then_some(')');
    scanner.note(Kind::Bracket, start);
    let mut entries = Vec::new();
    let cut = scanner.entries(0, &mut entries)?;
    let node = scanner.node(start, NodeKind::Object(entries));
    shared.step(scanner.at - start);
    Some(Scanned {
        node: Node { cut, ..node },
        slips: scanner.slips,
        end: scanner.at,
    })
}

/// Reads the value that begins at a position, if it is JSON.
pub(super) fn json_at(text: &str, start: usize, keys: &Keys, shared: &Shared) -> Option<Scanned> {
    scan(text, start, 0, keys, shared, true)
}

/// Reads a text that is JSON and nothing else.
pub(super) fn strict(text: &str, keys: &Keys, shared: &Shared) -> Option<Node> {
    let scanned = scan(text, 0, 0, keys, shared, true)?;
    text[scanned.end..]
        .bytes()
        .all(|c| matches!(c, b' ' | b'\n' | b'\r' | b'\t'))
        .then_some(scanned.node)
}

fn scan(
    text: &str,
    start: usize,
    base: usize,
    keys: &Keys,
    shared: &Shared,
    strict: bool,
) -> Option<Scanned> {
    let mut scanner = Scanner::new(text, start, base, keys, shared, strict);
    let node = scanner.value(0, Place::Top)?;
    if scanner.failed {
        return None;
    }
    scanner.shared.step(scanner.at - start);
    Some(Scanned {
        node,
        slips: scanner.slips,
        end: scanner.at,
    })
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Top,
    List,
    Object,
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    base: usize,
    keys: &'t Keys,
    shared: &'t Shared,
    /// Whether any slip is the end of it.
    strict: bool,
    slips: Vec<Slip>,
    failed: bool,
    /// Lists and objects that are open.
    lists: usize,
    objects: usize,
    /// Which of them is the innermost.
    inside: Place,
    /// What closes the outermost object, where that is written as a call.
    call: Option<char>,
    escapes: escape::Escapes,
}

impl<'t> Scanner<'t> {
    fn new(
        text: &'t str,
        at: usize,
        base: usize,
        keys: &'t Keys,
        shared: &'t Shared,
        strict: bool,
    ) -> Self {
        Self {
            text,
            at,
            base,
            keys,
            shared,
            strict,
            slips: Vec::new(),
            failed: false,
            lists: 0,
            objects: 0,
            inside: Place::Top,
            call: None,
            escapes: escape::Escapes::default(),
        }
    }

    fn note(&mut self, kind: Kind, from: usize) {
        if self.strict {
            self.failed = true;
            return;
        }
        let span = self.base + from..self.base + self.at.max(from);
        // One for a run of the same.
        if let Some(last) = self.slips.last_mut()
            && last.kind == kind
            && last.span.end == span.start
        {
            last.span.end = span.end;
            return;
        }
        self.slips.push(Slip { kind, span });
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self, c: char) {
        self.at += c.len_utf8();
    }

    fn node(&self, start: usize, kind: NodeKind) -> Node {
        Node {
            id: self.shared.id(),
            span: self.base + start..self.base + self.at,
            kind,
            cut: false,
        }
    }

    /// Whether the text is at its end, or a fence closes here.
    fn is_end(&self) -> bool {
        let rest = self.rest();
        rest.is_empty() || !self.strict && rest.starts_with("```")
    }

    /// White space and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = if self.strict {
                rest.trim_start_matches([' ', '\n', '\r', '\t'])
            } else {
                rest.trim_start_matches(|c: char| {
                    c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}'
                })
            };
            self.at += rest.len() - trimmed.len();
            if self.strict {
                return;
            }
            let from = self.at;
            if self.inside == Place::List && is_tag(trimmed) {
                return;
            }
            if trimmed.starts_with("\\n")
                || trimmed.starts_with("\\t")
                || trimmed.starts_with("\\r")
            {
                // White space that was escaped with all the rest.
                self.at += 2;
                self.note(Kind::Encoded, from);
                continue;
            }
            let length = comment(trimmed);
            if length == 0 {
                return;
            }
            self.at += length;
            self.note(Kind::Comment, from);
        }
    }

    /// `None`: nothing here, or too deep.
    fn value(&mut self, depth: usize, place: Place) -> Option<Node> {
        if depth >= MAX_DEPTH {
            self.failed = true;
            self.shared.too_deep.set(self.base + self.at);
        }
        if self.failed {
            return None;
        }
        if !is_tag(self.rest().trim_start()) {
            self.skip();
        }
        if self.is_end() {
            return None;
        }
        self.prefix();
        match self.peek()? {
            '{' if self.is_set() => self.list(depth, '{', '}'),
            '{' => self.object(depth),
            '[' => self.list(depth, '[', ']'),
            '(' if self.is_tuple() => self.list(depth, '(', ')'),
            _ => match self.text(place) {
                Some(node) => Some(node),
                None => self.word(place),
            },
        }
    }

    /// Passes over dots that stand for more of the same.
    fn dots(&mut self) -> bool {
        let rest = self.rest();
        let found = !self.strict && (rest.starts_with("...") || rest.starts_with('…'));
        if found {
            let from = self.at;
            self.at += "...".len();
            self.note(Kind::Skipped, from);
        }
        found
    }

    /// Passes over the letters that Python puts before a text: `u'…'`, `b"…"`.
    fn prefix(&mut self) {
        self.escapes.raw = false;
        let length = self.prefix_length();
        if length > 0 {
            let from = self.at;
            self.escapes.raw = self.rest()[..length].contains(['r', 'R']);
            self.at += length;
            self.note(Kind::Quotes, from);
        }
    }

    /// The length of a prefix of Python's here; 0 if there is none.
    fn prefix_length(&self) -> usize {
        let rest = window(self.text, self.at);
        let inner = rest.trim_start_matches(['u', 'U', 'b', 'B', 'f', 'F', 'r', 'R']);
        let length = rest.len() - inner.len();
        let Some(mark) = inner.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            return 0;
        };
        if self.strict || !(1..=2).contains(&length) {
            return 0;
        }
        // A word whose first mark is missing looks the same: `b", "c"`.
        let closed = inner[1..].find(mark).is_some_and(|end| {
            let after = inner[end + 2..].trim_start();
            after.starts_with([',', ':', '}', ']', ')'])
                && !inner[1..=end]
                    .trim_start()
                    .starts_with([',', ']', '}', ':'])
        });
        if closed { length } else { 0 }
    }

    /// Takes commas; how many.
    fn commas(&mut self) -> usize {
        let mut count = 0;
        loop {
            self.skip();
            match self.peek() {
                Some(',') => {
                    self.bump(',');
                    count += 1;
                }
                // Other scripts' commas.
                Some(c @ ('，' | '、' | '،')) if !self.strict => {
                    let from = self.at;
                    self.bump(c);
                    self.note(Kind::Comma, from);
                    count += 1;
                }
                Some(';') if !self.strict && self.objects + self.lists > 0 => {
                    let from = self.at;
                    self.bump(';');
                    self.note(Kind::Comma, from);
                    count += 1;
                }
                _ => return count,
            }
        }
    }

    fn colon(&mut self) {
        self.skip();
        let from = self.at;
        let rest = self.rest();
        let length = [":=", "=>", "->", "==", "：", ":", "="]
            .into_iter()
            .find(|mark| rest.starts_with(mark))
            .map_or(0, str::len);
        self.at += length;
        if &rest[..length] != ":" {
            self.note(Kind::Colon, from);
        }
        if !self.strict && length == 1 && rest.starts_with("::") {
            self.at += 1;
            self.note(Kind::Colon, from);
        }
    }

    /// Passes over something that is neither a key nor a value, to the next comma, line, key or bracket.
    fn junk(&mut self, from: usize) {
        let mut first = true;
        while let Some(c) = self.peek() {
            let stops = matches!(c, ',' | '}' | ']' | '\n')
                || !first && self.key_at(self.at)
                || self.is_end();
            if stops && !(first && c == '\n') {
                break;
            }
            self.shared.step(1);
            first = false;
            self.bump(c);
        }
        self.note(Kind::Skipped, from);
    }

    /// A span of the text at hand, without the base.
    fn span_text(&self, span: Range<usize>) -> &'t str {
        &self.text[span]
    }
}

//! JSON as LMs write it when they slip: read in one pass, with every slip noted.
//!
//! The scanner never goes back and looks ahead by a bounded distance, so it takes linear time on any text.
//! It repairs the form only; whether the values are right is for the schema to say.

mod escape;
mod key;
mod long;
mod text;
mod word;

use std::cell::Cell;
use std::ops::Range;

use super::repair::RepairKind as Kind;
use super::schema::Keys;
use super::tree::{Entry, Form, Node, NodeKind, Slip, Text};

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

/// Whether an object that was just closed goes on: a comma and a key follow.
fn goes_on(rest: &str) -> bool {
    let inside = || {
        let after = rest.trim_start().strip_prefix(',')?.trim_start();
        let after = window(after, 0).strip_prefix(['"', '\''])?;
        let (_, after) = after.split_once(['"', '\'', '\n'])?;
        Some(after.trim_start().starts_with(':'))
    };
    inside().unwrap_or(false)
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
            '(' if place != Place::Top && self.is_tuple() => self.list(depth, '(', ')'),
            _ => match self.text(place) {
                Some(node) => Some(node),
                None => self.word(place),
            },
        }
    }

    fn object(&mut self, depth: usize) -> Option<Node> {
        let start = self.at;
        self.bump('{');
        self.objects += 1;
        let inside = std::mem::replace(&mut self.inside, Place::Object);
        let mut entries = Vec::new();
        let cut = self.entries(depth, &mut entries)?;
        self.objects -= 1;
        self.inside = inside;
        let node = self.node(start, NodeKind::Object(entries));
        Some(Node { cut, ..node })
    }

    /// The entries of an object, and its end; whether that is missing.
    #[expect(
        clippy::too_many_lines,
        reason = "one loop over all that may stand between entries"
    )]
    fn entries(&mut self, depth: usize, entries: &mut Vec<Entry>) -> Option<bool> {
        let mut needs_comma = false;
        loop {
            let from = self.at;
            let commas = self.commas();
            if self.failed {
                return None;
            }
            let ends = matches!(self.peek(), Some('}' | ']')) || self.is_end();
            if commas > usize::from(needs_comma && !ends) {
                self.note(Kind::Comma, from);
            }
            match self.peek() {
                _ if self.is_end() => {
                    self.note(Kind::Unfinished, self.at);
                    return Some(true);
                }
                Some('}') => {
                    self.bump('}');
                    if depth == 0 && !self.strict && goes_on(self.rest()) {
                        // Closed too early: `{"a": 1}, "b": 2}`.
                        self.note(Kind::Bracket, self.at - 1);
                        needs_comma = true;
                        continue;
                    }
                    return Some(false);
                }
                Some(c) if depth == 0 && self.call == Some(c) => {
                    self.bump(c);
                    return Some(false);
                }
                Some(']') if self.lists > 0 && self.item_follows() => {
                    // The wrong bracket: another object of the list follows.
                    let from = self.at;
                    self.bump(']');
                    self.note(Kind::Bracket, from);
                    return Some(false);
                }
                Some(']') if self.lists > 0 => {
                    // The list around it is closed.
                    self.note(Kind::Bracket, self.at);
                    return Some(false);
                }
                Some(c @ (']' | ')' | ';')) => {
                    let from = self.at;
                    self.bump(c);
                    self.note(Kind::Bracket, from);
                    continue;
                }
                Some('{') if self.lists > 0 && needs_comma && self.object_follows(self.at) => {
                    // Its end is missing: another object of the list begins.
                    self.note(Kind::Bracket, self.at);
                    return Some(false);
                }
                _ => {}
            }
            if self.dots() {
                needs_comma = false;
                continue;
            }
            if needs_comma && commas == 0 {
                self.note(Kind::Comma, self.at);
            }
            let key_start = self.at;
            let Some(key) = self.key() else {
                if entries.is_empty() && depth == 0 || self.failed {
                    // Not an object, but a brace in prose.
                    return None;
                }
                if self.is_end() {
                    self.note(Kind::Unfinished, key_start);
                    return Some(true);
                }
                self.junk(key_start);
                needs_comma = true;
                continue;
            };
            let key_span = self.base + key_start..self.base + self.at;
            self.colon();
            self.skip();
            let code = self.code();
            match self.peek() {
                _ if code.is_some() => {}
                _ if self.is_end() => {
                    // What the key stands for was cut off.
                    self.note(Kind::Unfinished, key_start);
                    return Some(true);
                }
                Some(',' | '}' | ']') => {
                    // It was left out.
                    self.note(Kind::Skipped, key_start);
                    needs_comma = true;
                    continue;
                }
                _ => {}
            }
            let node = match code.or_else(|| self.value(depth + 1, Place::Object)) {
                Some(node) => self.rest_of_list(node, depth),
                None if self.is_end() && !self.failed => {
                    self.note(Kind::Unfinished, key_start);
                    return Some(true);
                }
                None => return None,
            };
            entries.push(Entry {
                key,
                key_span,
                node,
            });
            if self.strict && self.failed {
                return None;
            }
            needs_comma = true;
        }
    }

    /// Whether an object follows the bracket and the comma here.
    fn item_follows(&self) -> bool {
        let after = window(self.text, self.at + 1).trim_start();
        after
            .strip_prefix(',')
            .is_some_and(|after| after.trim_start().starts_with('{'))
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

    /// Whether an object with a key stands at a position.
    fn object_follows(&self, at: usize) -> bool {
        let inside = window(self.text, at);
        inside.strip_prefix('{').is_some_and(|inside| {
            let key = inside.trim_start();
            self.key_at(at + inside.len() + 1 - key.len())
        })
    }

    /// The list that a text begins whose first bracket is missing: `"a", "b"]`.
    fn rest_of_list(&mut self, first: Node, depth: usize) -> Node {
        let is_text = matches!(&first.kind, NodeKind::Text(text) if !text.cut);
        let after = window(self.text, self.at).trim_start();
        if self.strict || self.lists > 0 || !is_text || !after.starts_with(',') {
            return first;
        }
        let inner = &after[1..];
        let here = self.at + window(self.text, self.at).len() - inner.len();
        if !self.ends_list(here) {
            return first;
        }
        let span = first.span.start - self.base;
        self.note(Kind::Bracket, span);
        self.lists += 1;
        let mut items = vec![first];
        self.at = here;
        let ended = self.items(depth, &mut items, ']');
        self.lists -= 1;
        let node = self.node(span, NodeKind::List(items));
        Node {
            cut: ended != Some(false),
            ..node
        }
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

    /// Whether a brace opens a set, as in Python: `{"a", "b"}`.
    fn is_set(&self) -> bool {
        if self.strict {
            return false;
        }
        let numbers = window(self.text, self.at + 1).trim_start();
        let rest = numbers
            .trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
        if rest.len() < numbers.len() && rest.trim_start().starts_with(',') {
            return true;
        }
        let inside = || {
            let after = window(self.text, self.at + 1)
                .trim_start()
                .strip_prefix(['"', '\''])?;
            let (_, after) = after.split_once(['"', '\''])?;
            Some(after.trim_start().starts_with([',', '}']))
        };
        inside().unwrap_or(false)
    }

    /// Whether a bracket opens a tuple, as in Python: `("a", 1)`.
    fn is_tuple(&self) -> bool {
        let window = window(self.text, self.at + 1).trim_start();
        let is_value = window.starts_with(['"', '\'', '[', '{'])
            || window.starts_with(|c: char| c.is_ascii_digit());
        !self.strict
            && is_value
            && window
                .find(',')
                .is_some_and(|comma| !window[..comma].contains([')', '\n']))
    }

    fn list(&mut self, depth: usize, open: char, close: char) -> Option<Node> {
        let start = self.at;
        self.bump(open);
        if open != '[' {
            self.note(Kind::Bracket, start);
        }
        self.lists += 1;
        // A set ends as an object does.
        self.objects += usize::from(open == '{');
        let inside = std::mem::replace(&mut self.inside, Place::List);
        let mut items = Vec::new();
        let cut = self.items(depth, &mut items, close)?;
        self.lists -= 1;
        self.objects -= usize::from(open == '{');
        self.inside = inside;
        let node = self.node(start, NodeKind::List(items));
        Some(Node { cut, ..node })
    }

    fn items(&mut self, depth: usize, items: &mut Vec<Node>, close: char) -> Option<bool> {
        let mut needs_comma = false;
        loop {
            let from = self.at;
            let commas = self.commas();
            if self.failed {
                return None;
            }
            let ends = matches!(self.peek(), Some('}' | ']')) || self.is_end();
            if commas > usize::from(needs_comma && !ends) {
                self.note(Kind::Comma, from);
            }
            match self.peek() {
                _ if self.is_end() => {
                    self.note(Kind::Unfinished, self.at);
                    return Some(true);
                }
                Some(c) if c == close || c == ']' => {
                    self.bump(c);
                    return Some(false);
                }
                Some('}') if window(self.text, self.at + 1).trim_start().starts_with(']') => {
                    // One too many.
                    let from = self.at;
                    self.bump('}');
                    self.note(Kind::Bracket, from);
                    continue;
                }
                Some('}') if self.objects > 0 && goes_on(&self.rest()[1..]) => {
                    // The wrong bracket: another key of the object around the list follows.
                    let from = self.at;
                    self.bump('}');
                    self.note(Kind::Bracket, from);
                    return Some(false);
                }
                Some('}') if self.objects > 0 => {
                    // The object around it is closed.
                    self.note(Kind::Bracket, self.at);
                    return Some(false);
                }
                Some(c @ ('}' | ')' | ';' | ':')) => {
                    let from = self.at;
                    self.bump(c);
                    self.note(Kind::Bracket, from);
                    continue;
                }
                _ => {}
            }
            if self.dots() {
                continue;
            }
            if needs_comma && commas == 0 {
                self.note(Kind::Comma, self.at);
            }
            // A key here belongs to an object whose bracket is missing.
            if !self.strict && self.key_at(self.at) && self.objects + self.lists > 0 {
                let start = self.at;
                let scalars = !items.is_empty()
                    && items
                        .iter()
                        .all(|item| !matches!(item.kind, NodeKind::Object(_)));
                if scalars && self.objects > 0 {
                    // It belongs to the object around the list, whose end is missing.
                    self.note(Kind::Bracket, start);
                    return Some(false);
                }
                self.note(Kind::Bracket, start);
                if depth + 1 >= MAX_DEPTH {
                    self.failed = true;
                    return None;
                }
                self.objects += 1;
                self.inside = Place::Object;
                let mut entries = Vec::new();
                self.entries(depth + 1, &mut entries)?;
                self.objects -= 1;
                self.inside = Place::List;
                items.push(self.node(start, NodeKind::Object(entries)));
                needs_comma = true;
                continue;
            }
            let before = self.at;
            match self.value(depth + 1, Place::List) {
                Some(item) => items.push(item),
                None if self.is_end() && !self.failed => {}
                None => return None,
            }
            if self.failed || depth == 0 && items.len() == 1 && self.is_prose(&items[0]) {
                return None;
            }
            if self.at == before {
                // Nothing was taken; never stand still.
                match self.peek() {
                    Some(c) => self.bump(c),
                    None => return Some(false),
                }
            }
            needs_comma = true;
        }
    }

    /// Whether the first item shows that a bracket in prose was taken for a list: `[see below: …`.
    fn is_prose(&self, first: &Node) -> bool {
        match &first.kind {
            NodeKind::Text(Text {
                form: Form::Bare, ..
            }) => !matches!(self.rest().trim_start().chars().next(), Some(',' | ']')),
            _ => false,
        }
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

    /// Whether a key and a colon stand at a position.
    fn key_at(&self, at: usize) -> bool {
        self.key_seen(at).is_some()
    }

    /// The key at a position, if one and a colon stand there.
    fn key_seen(&self, at: usize) -> Option<&'t str> {
        let mut rest = window(self.text, at);
        if rest.starts_with(['u', 'b']) && rest[1..].starts_with(['"', '\'']) {
            // As in Python.
            rest = &rest[1..];
        }
        let first = rest.chars().next()?;
        let (key, after) = match text::closing(first) {
            Some(close) => {
                let inner = &rest[first.len_utf8()..];
                // One mark too many.
                let inner = inner
                    .strip_prefix('"')
                    .filter(|_| first == '"')
                    .unwrap_or(inner);
                let end = inner
                    .find(|c| text::closes(c, close) || c == '\n' || c == '”' && close == '"')?;
                let mark = inner[end..].chars().next()?;
                if mark == '\n' || end == 0 {
                    return None;
                }
                (&inner[..end], &inner[end + mark.len_utf8()..])
            }
            None => {
                let mut end = rest.find(|c: char| !is_key_char(c))?;
                if rest[end..].starts_with(' ') {
                    // Several words are a key only if they are known.
                    let words = rest.find(|c: char| !(is_key_char(c) || c == ' '));
                    let all = words.map_or(rest, |end| &rest[..end]).trim_end();
                    if self.keys.knows(all) {
                        end = all.len();
                    }
                }
                if end == 0 || first.is_ascii_digit() && !self.keys.may_be(&rest[..end]) {
                    return None;
                }
                (&rest[..end], &rest[end..])
            }
        };
        self.shared.step(rest.len() - after.len());
        let after = text::skip_comments(after.trim_start_matches([' ', '\t']), false);
        let is_colon = after.starts_with([':', '：'])
            || after.starts_with("=>")
            || after.starts_with('=')
                && (text::closing(first).is_some()
                    || after.starts_with("= ")
                    || self.keys.knows(key) && !after.starts_with("=="));
        // Not an URL.
        (is_colon && !after.starts_with("://")).then_some(key)
    }

    /// A span of the text at hand, without the base.
    fn span_text(&self, span: Range<usize>) -> &'t str {
        &self.text[span]
    }
}

/// Whether a word with a hash in front stands for itself, as a colour or a topic does: no comment ends before a comma
/// or a bracket.
fn is_tag(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|word| {
        let rest = window(word, 0)
            .trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
        rest.len() < word.len() && rest.trim_start_matches(' ').starts_with([',', ']', '}'])
    })
}

/// The length of the comment that a text begins with.
fn comment(text: &str) -> usize {
    if text.starts_with("//") || text.starts_with('#') {
        text.find('\n').unwrap_or(text.len())
    } else if text.starts_with("/*") {
        text.find("*/").map_or(text.len(), |end| end + 2)
    } else if text.starts_with("<!--") {
        text.find("-->").map_or(text.len(), |end| end + 3)
    } else {
        0
    }
}

fn is_key_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '.' | '@')
}

/// The next bytes of a text, as far as it is looked ahead.
fn window(text: &str, at: usize) -> &str {
    let rest = &text[at..];
    if rest.len() <= LOOK_AHEAD {
        return rest;
    }
    let mut end = LOOK_AHEAD;
    while !rest.is_char_boundary(end) {
        end -= 1;
    }
    &rest[..end]
}

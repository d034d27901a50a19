//! Reads a reply while it comes: each character once, wherever the parts are split.
//!
//! Only JSON that is right as it is gives pieces, also after prose, a fence or reasoning. What is not right
//! ends the pieces, not the reply: its whole text is read and repaired as any other.

use super::part::{Event, Kind, Part, Step};
use crate::read::THINKING;

/// Deeper values give no pieces; none of the readers takes them.
const MAX_DEPTH: usize = 128;

/// Takes in a piece of the field with this name; whether it fits.
pub(super) type Tell<'t> = dyn FnMut(&str, Part<'_>) -> bool + 't;

/// A reply so far, and where its reader stands.
#[derive(Debug)]
pub(super) struct Scanner {
    text: String,
    at: usize,
    state: State,
    open: Vec<Open>,
    path: Vec<Step>,
    /// Whether the object has had a field that is known.
    fits: bool,
    #[cfg(test)]
    pub(super) steps: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the object of the reply.
    Prose,
    /// Inside reasoning, under this tag.
    Reasoning(&'static str),
    /// Before a key, or the end of the object.
    Key,
    /// In a key, which begins here.
    InKey(usize),
    Colon,
    Value,
    /// In a text, which begins here.
    InText(usize),
    /// In a number or a word, which begins here.
    InScalar(usize),
    /// Behind a value.
    Behind,
    /// There is nothing more to be told.
    Ended,
}

/// A list or an object that is not whole.
#[derive(Clone, Copy, Debug)]
struct Open {
    is_list: bool,
    start: usize,
}

/// What came of a step of the reader.
enum Next {
    On,
    /// More of the reply is needed.
    Wait,
    /// It is not JSON.
    Wrong,
}

impl Scanner {
    pub(super) fn new() -> Self {
        Self {
            text: String::new(),
            at: 0,
            state: State::Prose,
            open: Vec::new(),
            path: Vec::new(),
            fits: false,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// For the JSON of one field.
    pub(super) fn of_field(name: &str) -> Self {
        Self {
            state: State::Value,
            path: vec![Step::Key(name.to_owned())],
            fits: true,
            ..Self::new()
        }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Goes on with the reply; whether any piece fits.
    pub(super) fn push(&mut self, more: &str, tell: &mut Tell<'_>) -> bool {
        self.text.push_str(more);
        let mut changed = false;
        while self.state != State::Ended {
            #[cfg(test)]
            {
                self.steps += 1;
            }
            match self.step(tell, &mut changed) {
                Next::On => {}
                Next::Wait => break,
                Next::Wrong if self.fits || changed => self.state = State::Ended,
                Next::Wrong => self.prose(),
            }
        }
        self.fits |= changed;
        changed
    }

    /// Looks for another object.
    fn prose(&mut self) {
        self.open.clear();
        self.path.clear();
        self.state = State::Prose;
    }

    fn step(&mut self, tell: &mut Tell<'_>, changed: &mut bool) -> Next {
        match self.state {
            State::Prose => self.before(),
            State::Reasoning(name) => self.reasoning(name),
            State::InKey(start) => self.key(start),
            State::InText(start) => self.in_text(start, tell, changed),
            State::InScalar(start) => self.in_scalar(start, tell, changed),
            State::Ended => Next::Wait,
            State::Key | State::Colon | State::Value | State::Behind => {
                self.pass(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
                match self.byte() {
                    Some(byte) => self.mark(byte, tell, changed),
                    None => Next::Wait,
                }
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn pass(&mut self, is_passed: impl Fn(u8) -> bool) {
        let rest = &self.text.as_bytes()[self.at..];
        let passed = rest.iter().position(|byte| !is_passed(*byte));
        let passed = passed.unwrap_or(rest.len());
        self.at += passed;
        #[cfg(test)]
        {
            self.steps += passed;
        }
    }

    fn before(&mut self) -> Next {
        self.pass(|byte| !matches!(byte, b'{' | b'<'));
        match self.byte() {
            None => return Next::Wait,
            Some(b'{') => {
                self.open(false);
                return Next::On;
            }
            Some(_) => {}
        }
        let mut may_be = false;
        for name in THINKING {
            match tag(&self.text[self.at..], "<", name) {
                Tag::Is(length) => {
                    self.at += length;
                    self.state = State::Reasoning(name);
                    return Next::On;
                }
                Tag::MayBe => may_be = true,
                Tag::IsNot => {}
            }
        }
        if may_be {
            return Next::Wait;
        }
        self.at += 1;
        Next::On
    }

    fn reasoning(&mut self, name: &str) -> Next {
        self.pass(|byte| byte != b'<');
        match tag(&self.text[self.at..], "</", name) {
            Tag::Is(length) => {
                self.at += length;
                self.state = State::Prose;
            }
            Tag::MayBe => return Next::Wait,
            Tag::IsNot => self.at += 1,
        }
        Next::On
    }

    /// A character between the values.
    fn mark(&mut self, byte: u8, tell: &mut Tell<'_>, changed: &mut bool) -> Next {
        let is_list = self.open.last().is_some_and(|open| open.is_list);
        match (self.state, byte) {
            (State::Key, b'"') => {
                self.at += 1;
                self.state = State::InKey(self.at - 1);
            }
            (State::Colon, b':') => {
                self.at += 1;
                self.state = State::Value;
            }
            (State::Value, b'"') => {
                self.state = State::InText(self.at);
                self.at += 1;
                *changed |= self.tell(Event::Begin(Kind::Text), tell);
            }
            (State::Value, b'{') => {
                *changed |= self.tell(Event::Begin(Kind::Object), tell);
                self.open(false);
            }
            (State::Value, b'[') => {
                *changed |= self.tell(Event::Begin(Kind::List), tell);
                self.open(true);
            }
            (State::Value, b'-' | b'0'..=b'9' | b'a'..=b'z') => {
                self.state = State::InScalar(self.at);
            }
            (State::Behind, b',') => {
                self.at += 1;
                self.state = if is_list { State::Value } else { State::Key };
                if let Some(Step::Item(index)) = self.path.last_mut()
                    && is_list
                {
                    *index += 1;
                }
            }
            // Also behind a comma, which says as little as in the whole reply.
            (State::Behind | State::Key, b'}') if !is_list => self.close(tell, changed),
            (State::Behind | State::Value, b']') if is_list => self.close(tell, changed),
            _ => return Next::Wrong,
        }
        if self.open.len() > MAX_DEPTH {
            return Next::Wrong;
        }
        Next::On
    }

    fn open(&mut self, is_list: bool) {
        let start = self.at;
        self.open.push(Open { is_list, start });
        self.at += 1;
        if is_list {
            self.path.push(Step::Item(0));
            self.state = State::Value;
        } else {
            self.state = State::Key;
        }
    }

    fn close(&mut self, tell: &mut Tell<'_>, changed: &mut bool) {
        self.at += 1;
        let Some(Open { is_list, start }) = self.open.pop() else {
            return;
        };
        if is_list {
            self.path.pop();
        }
        if self.open.is_empty() && self.path.is_empty() {
            // One without any known field was part of the prose.
            if self.fits || *changed {
                self.state = State::Ended;
            } else {
                self.prose();
            }
        } else {
            *changed |= self.end(start, tell);
        }
    }

    fn key(&mut self, start: usize) -> Next {
        loop {
            self.pass(|byte| byte != b'"' && byte != b'\\');
            match self.byte() {
                Some(b'"') => break,
                Some(_) if self.at + 1 < self.text.len() => self.at += 2,
                _ => return Next::Wait,
            }
            // Behind a backslash may stand a character of several bytes.
            while !self.text.is_char_boundary(self.at) {
                self.at += 1;
            }
        }
        self.at += 1;
        match serde_json::from_str(&self.text[start..self.at]) {
            Ok(key) => {
                self.path.push(Step::Key(key));
                self.state = State::Colon;
                Next::On
            }
            Err(_) => Next::Wrong,
        }
    }

    fn in_text(&mut self, start: usize, tell: &mut Tell<'_>, changed: &mut bool) -> Next {
        let mut text = String::new();
        let next = loop {
            let from = self.at;
            self.pass(|byte| byte != b'"' && byte != b'\\');
            text.push_str(&self.text[from..self.at]);
            match self.byte() {
                None => break Next::Wait,
                Some(b'"') => {
                    self.at += 1;
                    break Next::On;
                }
                Some(_) => match escape(&self.text[self.at..]) {
                    Escape::Of(c, length) => {
                        text.push(c);
                        self.at += length;
                    }
                    Escape::Unfinished => break Next::Wait,
                    Escape::Wrong => break Next::Wrong,
                },
            }
        };
        if !text.is_empty() {
            *changed |= self.tell(Event::Text(&text), tell);
        }
        if matches!(next, Next::On) {
            *changed |= self.end(start, tell);
        }
        next
    }

    fn in_scalar(&mut self, start: usize, tell: &mut Tell<'_>, changed: &mut bool) -> Next {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        self.pass(is_part);
        if self.byte().is_none() {
            return Next::Wait;
        }
        *changed |= self.tell(Event::Scalar(&self.text[start..self.at]), tell);
        self.behind();
        Next::On
    }

    /// The end of what begins here.
    fn end(&mut self, start: usize, tell: &mut Tell<'_>) -> bool {
        let changed = self.tell(Event::End(&self.text[start..self.at]), tell);
        self.behind();
        changed
    }

    fn behind(&mut self) {
        self.state = State::Behind;
        if let Some(Step::Key(_)) = self.path.last() {
            self.path.pop();
        }
    }

    fn tell(&self, event: Event<'_>, tell: &mut Tell<'_>) -> bool {
        match &*self.path {
            [Step::Key(field), path @ ..] => tell(field, Part { path, event }),
            _ => false,
        }
    }
}

/// Whether a text starts with a tag.
enum Tag {
    /// With its length.
    Is(usize),
    /// The text ends too early.
    MayBe,
    IsNot,
}

fn tag(text: &str, begin: &str, name: &str) -> Tag {
    let mut rest = text;
    for part in [begin, name, ">"] {
        match rest.strip_prefix(part) {
            Some(after) => rest = after,
            None if part.starts_with(rest) => return Tag::MayBe,
            None => return Tag::IsNot,
        }
    }
    Tag::Is(text.len() - rest.len())
}

enum Escape {
    /// A character, and the length of its escape.
    Of(char, usize),
    Unfinished,
    Wrong,
}

/// The escape at the start of a text.
fn escape(text: &str) -> Escape {
    let bytes = text.as_bytes();
    let c = match bytes.get(1) {
        None => return Escape::Unfinished,
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(c @ (b'"' | b'\\' | b'/')) => char::from(*c),
        Some(b'u') => return unicode(text),
        Some(_) => return Escape::Wrong,
    };
    Escape::Of(c, 2)
}

fn unicode(text: &str) -> Escape {
    let unit = |from: usize| -> Result<u16, Escape> {
        let bytes = text.as_bytes();
        let digits = bytes.get(from..bytes.len().min(from + 4));
        let digits = digits.unwrap_or_default();
        match str::from_utf8(digits) {
            Ok(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                if digits.len() < 4 {
                    return Err(Escape::Unfinished);
                }
                u16::from_str_radix(digits, 16).map_err(|_| Escape::Wrong)
            }
            _ => Err(Escape::Wrong),
        }
    };
    let first = match unit(2) {
        Ok(first) => first,
        Err(other) => return other,
    };
    if let Some(c) = char::from_u32(first.into()) {
        return Escape::Of(c, 6);
    }
    let rest = &text[6..];
    if rest.len() < 2 && "\\u".starts_with(rest) {
        return Escape::Unfinished;
    }
    if !rest.starts_with("\\u") {
        return Escape::Wrong;
    }
    match unit(8) {
        Ok(second) => match char::decode_utf16([first, second]).next() {
            Some(Ok(c)) => Escape::Of(c, 12),
            _ => Escape::Wrong,
        },
        Err(other) => other,
    }
}

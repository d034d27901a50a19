//! JSON out of whatever an LM wrote, as `json_repair` (0.64), which DSPy reads replies with, finds it.
//!
//! Text outside brackets is skipped; inside, quotation marks, commas, colons and brackets may be missing or
//! of another kind. What is guessed in deeply broken texts is not always what `json_repair` guesses: the
//! vectors and `python/tools/dspy_vectors.py` measure how often. Left out are its guesses about code
//! fences, brackets and regular expressions inside of texts, and about rows of tables.

use std::cell::Cell;

use super::json;
use super::repair_text::Text;
use super::text::is_space;
use super::value::{PyDict, PyValue};

/// Deeper values are refused, so that reading may recurse.
const MAX_DEPTH: usize = 128;

/// Steps that any text may take, each worth a few characters of looking ahead: less than a second.
const FUEL: usize = 2_000_000;

/// A text that cannot be read: it is nested too deeply, or made to take forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

pub(super) type Result<T> = std::result::Result<T, Unreadable>;

/// `json_repair.loads`: an empty text where there is nothing to be found.
pub(super) fn loads(text: &str) -> Result<PyValue> {
    match json::read(text) {
        Ok(value) => Ok(value),
        Err(_) => Parser::new(text).top(),
    }
}

/// What surrounds the current position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    Key,
    Value,
    Array,
}

pub(super) struct Parser {
    pub(super) chars: Vec<char>,
    pub(super) at: usize,
    pub(super) context: Vec<Context>,
    /// Contexts for the next value: `json_repair` leaves one behind after a set.
    deferred: usize,
    tried_suffix: bool,
    depth: usize,
    /// How much may still be done: looking ahead from every quotation mark must not take forever.
    pub(super) fuel: Cell<usize>,
}

impl Parser {
    fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        Self {
            fuel: Cell::new(FUEL + chars.len() * 64),
            chars,
            at: 0,
            context: Vec::new(),
            deferred: 0,
            tried_suffix: false,
            depth: 0,
        }
    }

    /// One more step. The reader ends where there is nothing left for it.
    pub(super) fn step(&self) -> Result<()> {
        let left = self.fuel.get().checked_sub(1).ok_or(Unreadable)?;
        self.fuel.set(left);
        Ok(())
    }

    /// All values of the text: one, or a list of several.
    fn top(&mut self) -> Result<PyValue> {
        let mut values = vec![self.value()?];
        if self.at >= self.chars.len() {
            return Ok(values.swap_remove(0));
        }
        while self.at < self.chars.len() {
            self.step()?;
            self.context.clear();
            self.deferred = 0;
            let after_comma = self.next_is_after_comma();
            let value = self.value()?;
            if !is_true(&value) {
                self.at += 1;
                continue;
            }
            if let Some(last) = values.last() {
                // An object of the same form is taken for a correction.
                let corrects = !after_comma && has_same_form(last, &value);
                if corrects || !is_true(last) {
                    values.pop();
                }
            }
            values.push(value);
        }
        Ok(if values.len() == 1 {
            values.swap_remove(0)
        } else {
            PyValue::List(values)
        })
    }

    fn next_is_after_comma(&self) -> bool {
        if self.peek(self.spaces(0)) == Some(',') {
            return true;
        }
        let before = &self.chars[..self.at.min(self.chars.len())];
        before.iter().rev().find(|c| !is_space(**c)) == Some(&',')
    }

    pub(super) fn value(&mut self) -> Result<PyValue> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unreadable);
        }
        let deferred = std::mem::take(&mut self.deferred);
        self.context
            .extend(std::iter::repeat_n(Context::Key, deferred));
        let value = self.undeferred_value();
        for _ in 0..deferred {
            self.context.pop();
        }
        self.depth -= 1;
        value
    }

    fn undeferred_value(&mut self) -> Result<PyValue> {
        let mut may_lack_brace = self.at == 0 && self.context.is_empty();
        while let Some(c) = self.peek(0) {
            self.step()?;
            let inside = !self.context.is_empty();
            match c {
                '{' | '[' => {
                    if let Some(value) = self.valid_value() {
                        return Ok(value);
                    }
                    self.at += 1;
                    return if c == '{' {
                        self.object()
                    } else {
                        self.array(']')
                    };
                }
                '(' if inside || self.starts_tuple() => return self.tuple(),
                _ if inside && (is_quote(c) || c.is_alphabetic()) => return self.string(),
                _ if inside && (c.is_numeric() || c == '-' || c == '.') => return self.number(),
                '#' | '/' => {
                    self.skip_comment();
                    if inside {
                        return Ok(PyValue::from(""));
                    }
                    may_lack_brace = false;
                }
                _ => {
                    if is_quote(c) && may_lack_brace {
                        may_lack_brace = false;
                        if let Some(value) = self.without_brace() {
                            return Ok(value);
                        }
                    }
                    self.at += 1;
                }
            }
        }
        Ok(PyValue::from(""))
    }

    /// The first value, if it is valid and something other than a comma follows or it is not at the start.
    fn valid_value(&mut self) -> Option<PyValue> {
        if self.tried_suffix || !self.context.is_empty() || !self.has_trailer() {
            return None;
        }
        self.tried_suffix = true;
        let rest: String = self.chars[self.at..].iter().collect();
        let (value, length) = json::read_prefix(&rest).ok()?;
        self.at += rest[..length].chars().count();
        Some(value)
    }

    fn has_trailer(&self) -> bool {
        if self.at != 0 {
            return true;
        }
        let mut open = Vec::new();
        let (mut quoted, mut escaped) = (false, false);
        for (index, c) in self.chars.iter().enumerate() {
            if quoted {
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '"' => quoted = false,
                    _ => {}
                }
                continue;
            }
            match c {
                '"' => quoted = true,
                '{' => open.push('}'),
                '[' => open.push(']'),
                '}' | ']' => {
                    if open.pop() != Some(*c) {
                        return false;
                    }
                    if open.is_empty() {
                        let rest = &self.chars[index + 1..];
                        let next = rest.iter().find(|c| !is_space(**c));
                        return next.is_some_and(|c| *c != ',');
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// An object whose first brace is missing, but nothing else.
    fn without_brace(&mut self) -> Option<PyValue> {
        let text: String = self.chars.iter().collect();
        if !text.trim_end_matches(is_space).ends_with('}') {
            return None;
        }
        let value = json::read(&format!("{{{text}")).ok()?;
        self.at = self.chars.len();
        Some(value)
    }

    pub(super) fn array(&mut self, end: char) -> Result<PyValue> {
        let is_value = self.context.last() == Some(&Context::Value);
        self.context.push(Context::Array);
        let mut items: Vec<PyValue> = Vec::new();
        loop {
            self.step()?;
            self.skip_spaces_and_comments();
            let Some(c) = self.peek(0).filter(|c| *c != end && *c != '}') else {
                self.at += 1;
                break;
            };
            if c == ',' {
                self.at += 1;
                continue;
            }
            let value = if is_quote(c) {
                let after = self.spaces(self.find(&[c], 1) + 1);
                if self.peek(after) == Some(':') {
                    let is_scalar =
                        |item: &PyValue| !matches!(item, PyValue::List(_) | PyValue::Dict(_));
                    if is_value && !items.is_empty() && items.iter().all(is_scalar) {
                        break;
                    }
                    self.nested(Self::object)?
                } else {
                    self.string()?
                }
            } else {
                self.value()?
            };
            if is_empty(&value) && !matches!(self.peek(0), Some(c) if c == end || c == ',') {
                self.at += 1;
            } else if !(value.as_str() == Some("...") && self.before(1) == Some('.')) {
                items.push(value);
            }
        }
        self.context.pop();
        Ok(PyValue::List(items))
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<PyValue>) -> Result<PyValue> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Unreadable);
        }
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// What follows a brace.
    fn object(&mut self) -> Result<PyValue> {
        let mut object = PyDict::new();
        let start = self.at;
        let is_value = self.context.last() == Some(&Context::Value);
        loop {
            self.step()?;
            self.skip_spaces_and_comments();
            match self.peek(0) {
                None | Some('}') => break,
                Some(',') => {
                    self.at += 1;
                    continue;
                }
                Some(':') => self.at += 1,
                _ => {}
            }
            let (key, key_start) = self.key()?;
            if self.context.contains(&Context::Array)
                && object.contains_key(&key)
                && !is_value
                && self.starts_another(key_start)
            {
                // A brace is missing before the key.
                self.at = key_start.saturating_sub(1);
                let place = (self.at + 1).min(self.chars.len());
                self.chars.insert(place, '{');
                break;
            }
            self.skip_spaces_and_comments();
            if matches!(self.peek(0), None | Some('}')) {
                continue;
            }
            self.at += 1;
            let value = self.member()?;
            object.insert(key, value);
            if matches!(self.peek(0), Some(',' | '\'' | '"')) {
                self.at += 1;
            }
            if self.peek(0) == Some(']') && self.context.contains(&Context::Array) {
                self.at = self.at.saturating_sub(1);
                break;
            }
        }
        self.at += 1;
        if let Some(array) = self.set(&object, start)? {
            return Ok(array);
        }
        self.end_object(object)
    }

    /// A key, and where it was looked for.
    fn key(&mut self) -> Result<(String, usize)> {
        self.context.push(Context::Key);
        let mut key = String::new();
        let mut start = self.at;
        while self.peek(0).is_some() {
            self.step()?;
            start = self.at;
            key = match self.string()? {
                PyValue::Str(text) => text,
                _ => String::new(),
            };
            if !key.is_empty() {
                break;
            }
            self.skip_spaces_and_comments();
            if matches!(self.peek(0), Some(':' | '}')) {
                break;
            }
        }
        self.context.pop();
        Ok((key, start))
    }

    fn member(&mut self) -> Result<PyValue> {
        self.context.push(Context::Value);
        self.skip_spaces_and_comments();
        let value = match self.peek(0) {
            Some(',' | '}') => Ok(PyValue::from("")),
            _ => self.value(),
        };
        self.context.pop();
        value
    }

    /// Whether a key that the object has already begins the next object of a list.
    fn starts_another(&self, key_start: usize) -> bool {
        let before = &self.chars[..key_start.min(self.chars.len())];
        let previous = before.iter().rev().find(|c| !is_space(**c));
        let is_normal = self.chars.get(key_start).is_some_and(|c| is_quote(*c))
            && previous == Some(&',')
            && self.peek(self.spaces(0)) == Some(':');
        !is_normal
    }

    /// Braces around values without keys: a set in Python, a list here.
    fn set(&mut self, object: &PyDict, start: usize) -> Result<Option<PyValue>> {
        if !object.is_empty() || self.at.saturating_sub(start) <= 2 {
            return Ok(None);
        }
        let end = self.at.min(self.chars.len());
        let body = &self.chars[start.min(end)..end];
        let body = body.strip_suffix(&['}']).unwrap_or(body);
        let mut bare = body.iter().copied().skip_while(|c| is_space(*c)).peekable();
        if bare.peek().is_none() || has_colon(bare) {
            return Ok(None);
        }
        self.at = start;
        self.context.push(Context::Key);
        let array = self.array(']');
        self.context.pop();
        self.deferred += 1;
        array.map(Some)
    }

    fn end_object(&mut self, mut object: PyDict) -> Result<PyValue> {
        match self.context.last() {
            Some(Context::Array) => {
                if self.peek(0) == Some('}') {
                    self.at += 1;
                }
            }
            Some(_) => {}
            None => {
                // More members after the object's end belong to it.
                self.skip_spaces();
                if self.peek(0) == Some(',') {
                    self.at += 1;
                    self.skip_spaces();
                    if self.peek(0).is_some_and(is_quote)
                        && let PyValue::Dict(more) = self.nested(Self::object)?
                    {
                        object.extend(more);
                    }
                }
            }
        }
        Ok(PyValue::Dict(object))
    }

    fn number(&mut self) -> Result<PyValue> {
        let start = self.at;
        let in_array = self.context.last() == Some(&Context::Array);
        let mut text = String::new();
        while let Some(c) = self.peek(0) {
            let fits = matches!(c, '0'..='9' | '-' | '.' | 'e' | 'E' | '/' | ',' | '_')
                || (c == '+' && text.ends_with(['e', 'E']));
            if !fits || (in_array && c == ',') {
                break;
            }
            if c != '_' {
                text.push(c);
            }
            self.at += 1;
        }
        if self.peek(0).is_some_and(char::is_alphabetic) {
            self.at = start;
            return self.string();
        }
        if text.ends_with(['+', '-', 'e', 'E', '/', ',']) {
            text.pop();
            self.at -= 1;
        }
        let number = if text.contains(',') {
            None
        } else if text.contains(['.', 'e', 'E']) {
            text.parse().ok().map(PyValue::Float)
        } else {
            text.parse().ok().map(PyValue::Int)
        };
        if self.at == start {
            // Nothing was taken, as of a digit of another script.
            self.at += 1;
        }
        Ok(number.unwrap_or(PyValue::Str(text)))
    }

    fn tuple(&mut self) -> Result<PyValue> {
        let is_tuple = self.is_tuple();
        self.at += 1;
        let array = self.nested(|parser| parser.array(')'))?;
        match array {
            PyValue::List(mut items) if !is_tuple && items.len() == 1 => Ok(items.swap_remove(0)),
            array => Ok(array),
        }
    }
}

pub(super) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '”')
}

/// Whether there is a colon outside of texts.
fn has_colon(chars: impl Iterator<Item = char>) -> bool {
    let (mut quoted, mut escaped) = (None, false);
    for c in chars {
        match (c, quoted) {
            ('\\', _) => {
                escaped = !escaped;
                continue;
            }
            (_, Some(quote)) if c == quote && !escaped => quoted = None,
            (_, None) if is_quote(c) && !escaped => quoted = Some(c),
            (':', None) if !escaped => return true,
            _ => {}
        }
        escaped = false;
    }
    false
}

/// Whether Python takes it for true.
fn is_true(value: &PyValue) -> bool {
    match value {
        PyValue::None => false,
        PyValue::Bool(value) => *value,
        PyValue::Int(value) => *value != 0,
        PyValue::Float(value) => *value != 0.0,
        other => !is_empty(other),
    }
}

fn is_empty(value: &PyValue) -> bool {
    match value {
        PyValue::Str(text) => text.is_empty(),
        PyValue::List(items) => items.is_empty(),
        PyValue::Dict(dict) => dict.is_empty(),
        _ => false,
    }
}

/// Of the same types all the way down.
fn has_same_form(a: &PyValue, b: &PyValue) -> bool {
    match (a, b) {
        (PyValue::Dict(a), PyValue::Dict(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| has_same_form(a, b)))
        }
        (PyValue::List(a), PyValue::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| has_same_form(a, b))
        }
        _ => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}

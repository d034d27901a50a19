//! JSON that is right as it is, read straight into types.
//!
//! Nothing is kept but where the reader stands, and the keys of objects that are open: a field that does not
//! come in the order of its type is passed over and found again. Whatever is wrong ends the reading;
//! what it is, the slower readers say.

use std::ops::Range;

/// Deeper values than this are refused, as `serde_json` does, so that reading may recurse.
const MAX_DEPTH: u32 = 128;

/// Objects with more keys than this are left to the slower readers: finding one takes a search.
const MAX_KEYS: usize = 64;

/// A text, and where its reader stands.
#[derive(Debug, Default)]
pub(super) struct Json {
    text: Box<str>,
    at: usize,
    depth: u32,
    keys: Vec<Key>,
    failed: bool,
}

/// Where a field was found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// It is not there.
    Nowhere,
    /// It is the next one.
    Here,
    /// It was passed over; behind it, reading goes on at `back`.
    Before { back: usize },
}

/// A key that was seen in an open object.
#[derive(Debug)]
struct Key {
    name: Range<usize>,
    /// Where its value begins; `None` if that was read.
    value: Option<usize>,
}

impl Json {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            keys: Vec::with_capacity(16),
            ..Self::default()
        }
    }

    /// Ends the reading.
    #[inline]
    pub(super) fn fail<T>(&mut self) -> Option<T> {
        self.failed = true;
        None
    }

    #[inline]
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Whether the text was read to its end, without an error.
    pub(super) fn is_complete(&mut self) -> bool {
        self.space();
        !self.failed && self.at == self.text.len()
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    #[inline]
    fn take(&mut self, expected: u8) -> bool {
        let found = self.byte() == Some(expected);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn word(&mut self, word: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        if found {
            self.at += word.len();
        }
        found
    }

    /// Takes a null, if one is here.
    #[inline]
    pub(super) fn null(&mut self) -> bool {
        self.space();
        self.word("null")
    }

    #[inline]
    pub(super) fn boolean(&mut self) -> Option<bool> {
        self.space();
        if self.word("true") {
            Some(true)
        } else if self.word("false") {
            Some(false)
        } else {
            self.fail()
        }
    }

    /// A text without escapes, where it stands; `Err` with its beginning if it has escapes.
    #[inline]
    fn raw_text(&mut self) -> Option<Result<Range<usize>, usize>> {
        self.space();
        if !self.take(b'"') {
            return self.fail();
        }
        let start = self.at;
        self.at = plain_end(self.text.as_bytes(), start);
        match self.byte() {
            Some(b'"') => {
                self.at += 1;
                Some(Ok(start..self.at - 1))
            }
            Some(b'\\') => {
                self.pass_text()?;
                Some(Err(start - 1))
            }
            _ => self.fail(),
        }
    }

    /// Goes behind the end of a text that was begun.
    fn pass_text(&mut self) -> Option<()> {
        loop {
            self.at = plain_end(self.text.as_bytes(), self.at);
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Some(());
                }
                Some(b'\\') => self.at = (self.at + 2).min(self.text.len()),
                _ => return self.fail(),
            }
        }
    }

    #[inline]
    pub(super) fn text(&mut self) -> Option<String> {
        match self.raw_text()? {
            Ok(range) => Some(self.text[range].to_owned()),
            Err(start) => match unescaped(&self.text[start + 1..self.at - 1]) {
                Some(text) => Some(text),
                None => match serde_json::from_str(&self.text[start..self.at]) {
                    Ok(text) => Some(text),
                    Err(_) => self.fail(),
                },
            },
        }
    }

    /// The one of these texts that is here.
    #[inline]
    pub(super) fn one_of<T: Copy>(&mut self, choices: &[(&'static str, T)]) -> Option<T> {
        let Ok(range) = self.raw_text()? else {
            return self.fail();
        };
        let found = &self.text[range];
        match choices.iter().find(|(text, _)| *text == found) {
            Some((_, choice)) => Some(*choice),
            None => self.fail(),
        }
    }

    /// A number as it is written, and whether it has neither a fraction nor an exponent.
    #[inline]
    fn number(&mut self) -> Option<(Range<usize>, bool)> {
        self.space();
        let start = self.at;
        self.take(b'-');
        let whole = self.at;
        self.digits();
        let is_right = match self.at - whole {
            0 => false,
            1 => true,
            _ => self.text.as_bytes()[whole] != b'0',
        };
        if !is_right {
            return self.fail();
        }
        let mut is_integer = true;
        if self.take(b'.') {
            is_integer = false;
            let fraction = self.at;
            self.digits();
            if self.at == fraction {
                return self.fail();
            }
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            is_integer = false;
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            let exponent = self.at;
            self.digits();
            if self.at == exponent {
                return self.fail();
            }
        }
        Some((start..self.at, is_integer))
    }

    #[inline]
    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
    }

    #[inline]
    pub(super) fn integer(&mut self) -> Option<i64> {
        let (range, is_integer) = self.number()?;
        // What is written as a fraction is left to the slower readers.
        match self.text[range].parse() {
            Ok(value) if is_integer => Some(value),
            _ => self.fail(),
        }
    }

    #[inline]
    pub(super) fn float(&mut self) -> Option<f64> {
        let (range, _) = self.number()?;
        match self.text[range].parse::<f64>() {
            Ok(value) if value.is_finite() => Some(value),
            _ => self.fail(),
        }
    }

    /// Any value.
    pub(super) fn value<T: serde::de::DeserializeOwned>(&mut self) -> Option<T> {
        self.space();
        let start = self.at;
        self.pass()?;
        match serde_json::from_str(&self.text[start..self.at]) {
            Ok(value) => Some(value),
            Err(_) => self.fail(),
        }
    }

    /// Begins a list or an object.
    #[inline]
    pub(super) fn open(&mut self, bracket: u8) -> Option<()> {
        self.space();
        if self.depth >= MAX_DEPTH || !self.take(bracket) {
            return self.fail();
        }
        self.depth += 1;
        Some(())
    }

    /// Whether another item follows the comma here, or the first bracket; takes the last bracket.
    #[inline]
    pub(super) fn more(&mut self, close: u8, first: bool) -> Option<bool> {
        self.space();
        if self.take(close) {
            self.depth -= 1;
            return Some(false);
        }
        if !first {
            if !self.take(b',') {
                return self.fail();
            }
            self.space();
            if self.byte() == Some(close) {
                return self.fail();
            }
        }
        Some(true)
    }

    /// A key and its colon.
    pub(super) fn key(&mut self) -> Option<String> {
        let key = self.text()?;
        self.colon()?;
        Some(key)
    }

    #[inline]
    fn colon(&mut self) -> Option<()> {
        self.space();
        if self.take(b':') {
            Some(())
        } else {
            self.fail()
        }
    }

    /// How many keys are known of the objects that are open.
    #[inline]
    pub(super) fn mark(&self) -> usize {
        self.keys.len()
    }

    #[inline]
    pub(super) fn forget(&mut self, mark: usize) {
        self.keys.truncate(mark);
    }

    /// Notes the key that is here, of the object whose keys begin at `mark`; whether it is this one.
    #[inline]
    fn seen(&mut self, mark: usize, wanted: &str) -> Option<bool> {
        let Ok(name) = self.raw_text()? else {
            return self.fail();
        };
        let key = &self.text[name.clone()];
        let known = &self.keys[mark..];
        if known.len() >= MAX_KEYS
            || known
                .iter()
                .any(|known| &self.text[known.name.clone()] == key)
        {
            // Twice: which one is meant?
            return self.fail();
        }
        let is_wanted = key == wanted;
        self.colon()?;
        self.space();
        self.keys.push(Key {
            name,
            value: (!is_wanted).then_some(self.at),
        });
        Some(is_wanted)
    }

    /// Goes to the value of a field, if there is one.
    #[inline]
    pub(super) fn field(&mut self, mark: usize, name: &str, ended: &mut bool) -> Option<Place> {
        let text = &self.text;
        let known = self.keys[mark..]
            .iter_mut()
            .find(|key| key.value.is_some() && &text[key.name.clone()] == name);
        if let Some(at) = known.and_then(|key| key.value.take()) {
            let back = std::mem::replace(&mut self.at, at);
            return Some(Place::Before { back });
        }
        while !*ended {
            if !self.more(b'}', self.keys.len() == mark)? {
                *ended = true;
                break;
            }
            if self.seen(mark, name)? {
                return Some(Place::Here);
            }
            self.pass()?;
        }
        Some(Place::Nowhere)
    }

    #[inline]
    pub(super) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// Goes behind a value. What is in it is checked only where it is read.
    fn pass(&mut self) -> Option<()> {
        self.space();
        let start = self.at;
        match self.byte() {
            Some(b'"') => {
                self.at += 1;
                self.pass_text()?;
            }
            Some(b'{' | b'[') => {
                let mut open = 0_u32;
                loop {
                    match self.byte() {
                        Some(b'{' | b'[') => open += 1,
                        Some(b'}' | b']') => open -= 1,
                        Some(b'"') => {
                            self.at += 1;
                            self.pass_text()?;
                            continue;
                        }
                        Some(_) => {}
                        None => return self.fail(),
                    }
                    self.at += 1;
                    if open == 0 {
                        break;
                    }
                }
            }
            _ => {
                while !matches!(
                    self.byte(),
                    None | Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')
                ) {
                    self.at += 1;
                }
            }
        }
        if self.at == start {
            self.fail()
        } else {
            Some(())
        }
    }

    /// Passes over what is left of an object: keys that nobody asked for.
    #[inline]
    pub(super) fn finish(&mut self, mark: usize, ended: bool) {
        let mut ended = ended;
        while !ended && !self.failed {
            match self.more(b'}', self.keys.len() == mark) {
                Some(false) => ended = true,
                Some(true) => {
                    let passed = self.seen(mark, "").and_then(|_| self.pass());
                    self.failed |= passed.is_none();
                }
                None => {}
            }
        }
        // What was passed over and never read has to be JSON, too.
        for index in mark..self.keys.len() {
            if let Some(at) = self.keys[index].value.filter(|_| !self.failed) {
                let back = std::mem::replace(&mut self.at, at);
                let _: Option<serde::de::IgnoredAny> = self.value();
                self.at = back;
            }
        }
        self.forget(mark);
    }
}

/// A text whose escapes are all of one character.
pub(crate) fn unescaped(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    loop {
        let at = plain_end(rest.as_bytes(), 0);
        text.push_str(&rest[..at]);
        text.push(match &rest.as_bytes()[at..] {
            [] => return Some(text),
            [b'\\', b'"', ..] => '"',
            [b'\\', b'\\', ..] => '\\',
            [b'\\', b'/', ..] => '/',
            [b'\\', b'n', ..] => '\n',
            [b'\\', b't', ..] => '\t',
            [b'\\', b'r', ..] => '\r',
            [b'\\', b'b', ..] => '\u{8}',
            [b'\\', b'f', ..] => '\u{c}',
            _ => return None,
        });
        rest = &rest[at + 2..];
    }
}

/// Where a run of characters ends that stand for themselves in a text.
#[inline]
pub(crate) fn plain_end(text: &[u8], start: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = start;
    // Eight at a time: the highest bit of each byte that is a control character, `"` or `\`.
    while let Some(chunk) = text
        .get(at..at + 8)
        .and_then(|chunk| <[u8; 8]>::try_from(chunk).ok())
    {
        let word = u64::from_le_bytes(chunk);
        let is = |byte: u8| {
            let differ = word ^ (ONES * u64::from(byte));
            differ.wrapping_sub(ONES) & !differ
        };
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (control | is(b'"') | is(b'\\')) & HIGHS;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = text.get(at) {
        if *byte < 0x20 || matches!(byte, b'"' | b'\\') {
            return at;
        }
        at += 1;
    }
    at
}

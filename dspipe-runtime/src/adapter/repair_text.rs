//! Looking around in a broken text, and reading the texts in it: where one ends whose quotation marks are
//! missing or stand inside of it.

use super::repair::{Context, Parser, Result, Unreadable, is_quote};
use super::text::is_space;
use super::value::PyValue;

/// Moving and looking ahead. Offsets count from the current position.
pub(super) trait Text {
    /// The character at an offset.
    fn peek(&self, offset: usize) -> Option<char>;
    /// The character that many places before.
    fn before(&self, count: usize) -> Option<char>;
    /// The offset of the first character from an offset on that is not white space.
    fn spaces(&self, offset: usize) -> usize;
    /// The offset of the first of some characters that no backslash escapes, or of the end.
    fn find(&self, targets: &[char], offset: usize) -> usize;
}

impl Text for Parser {
    fn peek(&self, offset: usize) -> Option<char> {
        self.chars.get(self.at + offset).copied()
    }

    fn before(&self, count: usize) -> Option<char> {
        self.chars.get(self.at.checked_sub(count)?).copied()
    }

    fn spaces(&self, mut offset: usize) -> usize {
        while self.peek(offset).is_some_and(is_space) {
            offset += 1;
        }
        offset
    }

    fn find(&self, targets: &[char], mut offset: usize) -> usize {
        let mut escaped = false;
        let start = offset;
        while let Some(c) = self.peek(offset) {
            if c == '\\' {
                escaped = !escaped;
            } else if targets.contains(&c) && !escaped {
                self.used(offset - start);
                return offset;
            } else {
                escaped = false;
            }
            offset += 1;
        }
        self.used(offset - start);
        self.chars.len().saturating_sub(self.at)
    }
}

/// A text that is being read.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a guess of its own about the text"
)]
struct Scan {
    text: String,
    open: char,
    close: char,
    /// There is no quotation mark before it.
    bare: bool,
    doubled: bool,
    unmatched: bool,
    /// Braces in it that are not closed.
    braces: usize,
    /// There is no quotation mark after the current position.
    no_quote_follows: bool,
}

impl Scan {
    fn push(&mut self, c: char) {
        match c {
            '{' => self.braces += 1,
            '}' => self.braces = self.braces.saturating_sub(1),
            _ => {}
        }
        self.text.push(c);
    }

    fn ends_with(&self, c: char) -> bool {
        self.text.ends_with(c)
    }
}

/// What a quotation mark in a text is.
enum Mark {
    /// A part of the text.
    Inside,
    /// Its end.
    End,
    /// To be decided by whether the loop goes on.
    Open,
}

impl Parser {
    /// That many characters were looked at.
    fn used(&self, characters: usize) {
        let fuel = self.fuel.get();
        self.fuel.set(fuel.saturating_sub(1 + characters / 16));
    }

    pub(super) fn skip_spaces(&mut self) {
        self.at += self.spaces(0);
    }

    pub(super) fn skip_spaces_and_comments(&mut self) {
        loop {
            self.skip_spaces();
            match (self.peek(0), self.peek(1)) {
                (Some('#'), _) | (Some('/'), Some('/' | '*')) => self.skip_comment(),
                _ => return,
            }
        }
    }

    pub(super) fn skip_comment(&mut self) {
        let is_line = self.peek(0) == Some('#') || self.peek(1) == Some('/');
        if is_line {
            let hash = self.peek(0) == Some('#');
            let ends = |c: char| {
                matches!(c, '\n' | '\r')
                    || (hash
                        && match c {
                            ']' => self.context.contains(&Context::Array),
                            '}' => self.context.contains(&Context::Value),
                            ':' => self.context.contains(&Context::Key),
                            _ => false,
                        })
            };
            let length = self.chars[self.at..]
                .iter()
                .take_while(|c| !ends(**c))
                .count();
            self.at += length;
        } else if self.peek(1) == Some('*') {
            self.at += 2;
            while self.at < self.chars.len() {
                self.at += 1;
                if self.before(1) == Some('/') && self.before(2) == Some('*') {
                    break;
                }
            }
        } else {
            self.at += 1;
        }
    }

    fn current(&self) -> Option<Context> {
        self.context.last().copied()
    }

    /// A text, or a word that stands for a value.
    pub(super) fn string(&mut self) -> Result<PyValue> {
        if matches!(self.peek(0), Some('#' | '/')) {
            self.skip_comment();
            return Ok(PyValue::from(""));
        }
        while let Some(c) = self.peek(0)
            && !is_quote(c)
            && !c.is_alphanumeric()
        {
            self.at += 1;
        }
        let Some(first) = self.peek(0) else {
            return Ok(PyValue::from(""));
        };
        if let Some(text) = self.plain_text() {
            return Ok(PyValue::Str(text));
        }
        let (open, close) = match first {
            '\'' => ('\'', '\''),
            '“' => ('“', '”'),
            _ => ('"', '"'),
        };
        let bare = !is_quote(first);
        if bare
            && self.current() != Some(Context::Key)
            && let Some(value) = self.literal()
        {
            return Ok(value);
        }
        let mut scan = Scan {
            text: String::new(),
            open,
            close,
            bare,
            doubled: false,
            unmatched: false,
            braces: 0,
            no_quote_follows: false,
        };
        if !bare {
            self.at += 1;
        }
        if self.starts_with("```json") {
            let fence = self.find(&['`'], 7);
            if (0..3).all(|index| self.peek(fence + index) == Some('`')) {
                self.at += 7;
                return self.value();
            }
        }
        if self.peek(0) == Some(open)
            && let Some(value) = self.doubled_quote(&mut scan)
        {
            return Ok(value);
        }
        let end = self.scan(&mut scan)?;
        Ok(PyValue::Str(self.finish(scan, end)))
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(index, c)| self.peek(index) == Some(c))
    }

    /// A text in quotation marks without anything special, if what follows it is what may.
    fn plain_text(&mut self) -> Option<String> {
        if self.peek(0) != Some('"') {
            return None;
        }
        let rest = &self.chars[self.at + 1..];
        let length = rest.iter().position(|c| *c == '"')?;
        if rest[..length]
            .iter()
            .any(|c| matches!(c, '\\' | '\n' | '\r'))
        {
            return None;
        }
        let next = self.peek(self.spaces(length + 2));
        let fits = match self.current() {
            Some(Context::Key) => next == Some(':'),
            Some(Context::Value) => matches!(next, None | Some(',' | '}')),
            Some(Context::Array) => matches!(next, None | Some(',' | ']')),
            None => next.is_none(),
        };
        if !fits {
            return None;
        }
        let text = rest[..length].iter().collect();
        self.at += length + 2;
        Some(text)
    }

    /// `true`, `None` and their like.
    fn literal(&mut self) -> Option<PyValue> {
        for (word, value) in [
            ("true", PyValue::Bool(true)),
            ("false", PyValue::Bool(false)),
            ("null", PyValue::None),
            ("none", PyValue::None),
        ] {
            let is_here = word.chars().enumerate().all(|(index, c)| {
                self.peek(index)
                    .is_some_and(|found| found.eq_ignore_ascii_case(&c))
            });
            let ends = |c: char| is_space(c) || matches!(c, ',' | ')' | ']' | '}');
            if is_here && self.peek(word.len()).is_none_or(ends) {
                self.at += word.len();
                return Some(value);
            }
        }
        None
    }

    /// Two quotation marks at the start: an empty text, a doubled mark, or one too many.
    fn doubled_quote(&mut self, scan: &mut Scan) -> Option<PyValue> {
        let next = self.peek(1);
        let is_empty = match self.current() {
            Some(Context::Key) => next == Some(':'),
            Some(Context::Value) => matches!(next, Some(',' | '}')),
            Some(Context::Array) => matches!(next, Some(',' | ']')),
            None => false,
        };
        if is_empty {
            self.at += 1;
            return Some(PyValue::from(""));
        }
        if next == Some(scan.open) {
            return Some(PyValue::from(""));
        }
        let end = self.find(&[scan.close], 1);
        if self.peek(end + 1) == Some(scan.close) {
            scan.doubled = true;
            self.at += 1;
            return None;
        }
        if self.peek(end) == Some(scan.close) && self.current() == Some(Context::Value) {
            let outer = self.find(&[scan.close], end + 1);
            let after = self.peek(self.spaces(outer + 1));
            if !self.is_blank(1, end)
                && self.peek(outer) == Some(scan.close)
                && matches!(after, None | Some(',' | '}'))
            {
                scan.push(scan.open);
                scan.unmatched = true;
                self.at += 1;
                return None;
            }
        }
        match self.peek(self.spaces(1)) {
            Some(c) if is_quote(c) || c == '{' || c == '[' => {
                self.at += 1;
                Some(PyValue::from(""))
            }
            Some(',' | ']' | '}') => None,
            _ => {
                self.at += 1;
                None
            }
        }
    }

    fn is_blank(&self, from: usize, to: usize) -> bool {
        (from..to).all(|offset| self.peek(offset).is_none_or(is_space))
    }

    /// Reads up to the end of a text; the character there.
    fn scan(&mut self, scan: &mut Scan) -> Result<Option<char>> {
        while let Some(c) = self.peek(0) {
            self.step()?;
            if c == scan.close || self.ends_before(scan, c) {
                return Ok(Some(c));
            }
            if c == ',' && self.current() == Some(Context::Value) {
                if !scan.no_quote_follows && self.starts_member(scan) {
                    return Ok(Some(c));
                }
                scan.push(c);
                self.at += 1;
                continue;
            }
            if c == '}' && self.current() == Some(Context::Value) && scan.braces > 0 {
                scan.push(c);
                self.at += 1;
                continue;
            }
            scan.push(c);
            self.at += 1;
            if self.peek(0).is_some() && scan.ends_with('\\') && self.escape(scan)? {
                continue;
            }
            let Some(c) = self.peek(0) else {
                return Ok(None);
            };
            if c == ':' && !scan.bare && self.current() == Some(Context::Key) && self.ends_key(scan)
            {
                return Ok(Some(c));
            }
            if c == scan.close && !scan.text.is_empty() && !scan.ends_with('\\') {
                match self.mark(scan) {
                    Mark::Inside => {
                        scan.push(c);
                        self.at += 1;
                    }
                    Mark::End => return Ok(self.peek(0)),
                    Mark::Open => {}
                }
            }
        }
        Ok(None)
    }

    /// Whether a text without its last quotation mark ends before a character.
    fn ends_before(&mut self, scan: &Scan, c: char) -> bool {
        let current = self.current();
        if scan.bare {
            match current {
                Some(Context::Key) if c == ':' || is_space(c) => return true,
                Some(Context::Array) if c == ']' || c == ',' => return true,
                _ => {}
            }
        }
        if current == Some(Context::Value)
            && c == '}'
            && scan.braces == 0
            && !scan.ends_with(scan.close)
            && self.quote_is_missing(scan)
        {
            return true;
        }
        if c == ']'
            && self.context.contains(&Context::Array)
            && !scan.ends_with(scan.close)
            && self.peek(self.find(&[scan.close], 0)).is_none()
        {
            return true;
        }
        if current == Some(Context::Value) && c == '}' && scan.braces == 0 {
            let next = self.spaces(1);
            let fence = (0..3).all(|index| self.peek(next + index) == Some('`'));
            return fence || self.peek(next).is_none();
        }
        false
    }

    /// Whether the quotation mark before a closing brace is missing.
    fn quote_is_missing(&self, scan: &Scan) -> bool {
        let quote = self.find(&[scan.close], 1);
        if self.peek(quote).is_none() {
            if self.peek(self.find(&[':'], 1)).is_some() {
                return true;
            }
            let next = self.spaces(1);
            return self.peek(1) != Some('\\') && self.find(&['}'], next) <= next + 1;
        }
        if self.peek(1) == Some('\\') {
            return false;
        }
        let after = self.spaces(quote + 1);
        if matches!(self.peek(after), None | Some(',' | '}')) {
            return false;
        }
        let open = self.find(&[scan.open], after);
        if self.peek(open).is_none() {
            return false;
        }
        matches!(self.peek(self.spaces(open + 1)), None | Some(':'))
    }

    /// Whether the next member follows a comma.
    fn starts_member(&self, scan: &mut Scan) -> bool {
        let next = self.spaces(1);
        let ends_key = |parser: &Self, quote: char, from: usize| {
            let end = parser.find(&[quote], from);
            parser.peek(end).is_some() && parser.peek(parser.spaces(end + 1)) == Some(':')
        };
        match self.peek(next) {
            None | Some('}') => return true,
            Some(c) if is_quote(c) => return ends_key(self, c, next + 1),
            Some('`') => return self.word_end(next + 1).is_some(),
            Some('{' | '[') => return false,
            Some(c) if c.is_alphanumeric() || c == '_' => {
                if let Some(colon) = self.word_end(next)
                    && self.has_value(colon + 1)
                {
                    return true;
                }
            }
            _ => {}
        }
        let special = self.find(&['"', '\'', '“', '”', '{', '['], next);
        match self.peek(special) {
            None => {
                scan.no_quote_follows = true;
                false
            }
            Some('{' | '[') => false,
            Some(quote) => ends_key(self, quote, special + 1),
        }
    }

    /// Where the colon after a bare word is.
    fn word_end(&self, mut offset: usize) -> Option<usize> {
        while self
            .peek(offset)
            .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-')
        {
            offset += 1;
        }
        let colon = self.spaces(offset);
        (self.peek(colon) == Some(':')).then_some(colon)
    }

    /// Whether a value follows, rather than prose.
    fn has_value(&self, offset: usize) -> bool {
        let start = self.spaces(offset);
        match self.peek(start) {
            Some(c) if is_quote(c) || c.is_numeric() || matches!(c, '{' | '[' | '-') => {
                return true;
            }
            _ => {}
        }
        for word in ["true", "false", "null"] {
            let is_here = word
                .chars()
                .enumerate()
                .all(|(index, c)| self.peek(start + index) == Some(c));
            let ends = |c: char| is_space(c) || matches!(c, ',' | '}' | ']');
            if is_here && self.peek(start + word.len()).is_none_or(ends) {
                return true;
            }
        }
        let end = self.find(&['"', '\'', '“', '”', '}'], start);
        self.peek(end) == Some('}')
    }

    /// The character after a backslash. Whether it was an escape. Surrogates in broken JSON are not put
    /// together by `json_repair`, and what is left of them is no text.
    fn escape(&mut self, scan: &mut Scan) -> Result<bool> {
        let Some(c) = self.peek(0) else {
            return Ok(false);
        };
        if c == '\\' {
            let rest = &self.chars[self.at..];
            let run = rest.iter().take_while(|c| **c == '\\').count() + 1;
            let next = self.peek(run - 1);
            let after = self.peek(self.spaces(run));
            if run % 2 == 0
                && (next != Some(scan.close) || matches!(after, None | Some(',' | ':' | '}' | ']')))
            {
                scan.text.pop();
                scan.text.extend(std::iter::repeat_n('\\', run / 2));
                self.at += run - 1;
                return Ok(true);
            }
        }
        let plain = match c {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'b' => '\u{8}',
            'u' | 'x' => {
                let count = if c == 'u' { 4 } else { 2 };
                let digits: String = (1..=count).filter_map(|index| self.peek(index)).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| {
                    digits.len() == count && digits.bytes().all(|b| b.is_ascii_hexdigit())
                });
                let Some(code) = code else {
                    return Ok(false);
                };
                let decoded = char::from_u32(code).ok_or(Unreadable)?;
                scan.text.pop();
                scan.push(decoded);
                self.at += 1 + count;
                return Ok(true);
            }
            '\\' | '„' => c,
            _ if is_quote(c) => c,
            _ => return Ok(false),
        };
        scan.text.pop();
        scan.push(plain);
        self.at += 1;
        if c == scan.close || !is_quote(c) && c != '„' {
            while let Some(next) = self
                .peek(0)
                .filter(|next| *next == scan.close || *next == '\\')
                && scan.ends_with('\\')
            {
                scan.text.pop();
                scan.push(next);
                self.at += 1;
            }
        }
        Ok(true)
    }

    /// Whether a key without its last quotation mark ends at a colon.
    fn ends_key(&self, scan: &Scan) -> bool {
        let open = self.find(&[scan.open], 1);
        if self.peek(open).is_none() {
            return true;
        }
        let close = self.find(&[scan.close], open + 1);
        self.peek(close).is_some() && matches!(self.peek(self.spaces(close + 1)), Some(',' | '}'))
    }

    /// What the quotation mark here is.
    fn mark(&mut self, scan: &mut Scan) -> Mark {
        let current = self.current();
        if scan.doubled && self.peek(1) == Some(scan.close) {
            self.at += 1;
            return Mark::Open;
        }
        let is_mark = |c: char| c == scan.close || c == scan.open;
        let next_mark = |parser: &Self| {
            let end = parser.chars.len() + 1;
            (1..end).find(|offset| parser.peek(*offset).is_none_or(is_mark))
        };
        if scan.bare && current == Some(Context::Value) {
            let next = next_mark(self).unwrap_or(1);
            if self.peek(next).is_some() && self.peek(self.spaces(next + 1)) == Some(':') {
                self.at -= 1;
                return Mark::End;
            }
            return Mark::Open;
        }
        if scan.unmatched {
            scan.unmatched = false;
            return Mark::Inside;
        }
        let mut offset = 1;
        let mut may_be_comma = true;
        while let Some(c) = self.peek(offset).filter(|c| !is_mark(*c)) {
            may_be_comma &= !c.is_alphabetic();
            let stops = |context: Context| self.context.contains(&context);
            if (stops(Context::Key) && matches!(c, ':' | '}'))
                || (stops(Context::Value) && c == '}')
                || (stops(Context::Array) && matches!(c, ']' | ','))
                || (may_be_comma && current == Some(Context::Value) && c == ',')
            {
                break;
            }
            offset += 1;
        }
        self.used(offset);
        let next = self.peek(offset);
        if next == Some(',') && current == Some(Context::Value) {
            let quote = self.find(&[scan.close], offset + 1);
            let after = self.peek(self.spaces(quote + 1));
            return match after {
                Some('}' | ',') => Mark::Inside,
                _ => Mark::Open,
            };
        }
        if next != Some(scan.close) || self.peek(offset - 1) == Some('\\') {
            return Mark::Open;
        }
        let is_value = current == Some(Context::Value);
        let member_follows = is_value && self.member_follows(offset);
        if self.is_blank(1, offset) && !member_follows {
            return Mark::End;
        }
        match current {
            Some(Context::Value) => {
                if member_follows || !self.colon_follows(scan, offset) {
                    scan.unmatched = !member_follows;
                    return Mark::Inside;
                }
                Mark::Open
            }
            Some(Context::Array) => {
                if self.marks_are_even(scan, offset) {
                    scan.unmatched = true;
                    Mark::Inside
                } else {
                    Mark::End
                }
            }
            Some(Context::Key) => Mark::Inside,
            None => Mark::Open,
        }
    }

    /// Whether after a quotation mark come a comma and the next member.
    fn member_follows(&self, quote: usize) -> bool {
        let comma = self.spaces(quote + 1);
        if self.peek(comma) != Some(',') {
            return false;
        }
        let next = self.spaces(comma + 1);
        match self.peek(next) {
            Some(c) if is_quote(c) => {
                let close = if c == '“' { '”' } else { c };
                let end = self.find(&[close], next + 1);
                self.peek(end) == Some(close) && self.peek(self.spaces(end + 1)) == Some(':')
            }
            Some(c) if c.is_alphanumeric() || c == '_' => self.word_end(next).is_some(),
            _ => false,
        }
    }

    /// Whether the quotation mark after the next one ends a key.
    fn colon_follows(&self, scan: &Scan, offset: usize) -> bool {
        let mut offset = self.find(&[scan.close], offset + 1) + 1;
        while let Some(c) = self.peek(offset) {
            let is_end = c == scan.close && self.peek(offset - 1) != Some('\\');
            if matches!(c, ':' | ',' | ']' | '}') || is_end {
                break;
            }
            offset += 1;
        }
        self.peek(offset) == Some(':')
    }

    /// Whether the quotation marks up to the list's end come in pairs.
    fn marks_are_even(&self, scan: &Scan, mut offset: usize) -> bool {
        let ends = [scan.close, ']'];
        loop {
            offset = self.find(&ends, offset + 1);
            if self.peek(offset) != Some(scan.close) {
                return false;
            }
            offset = self.find(&ends, offset + 1);
            if self.peek(offset) != Some(scan.close) {
                return true;
            }
        }
    }

    fn finish(&mut self, mut scan: Scan, end: Option<char>) -> String {
        if let Some(c) = end
            && scan.bare
            && self.current() == Some(Context::Key)
            && is_space(c)
        {
            self.skip_spaces();
            if !matches!(self.peek(0), Some(':' | ',')) {
                return String::new();
            }
        }
        if end == Some(scan.close) {
            self.at += 1;
        }
        if end != Some(scan.close) || scan.bare || scan.ends_with('\n') {
            let length = scan.text.trim_end_matches(is_space).len();
            scan.text.truncate(length);
        }
        scan.text
    }
}

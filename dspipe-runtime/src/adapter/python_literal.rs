//! Values as Python's source code has them.

use super::value::PyValue;

/// Deeper values are refused, so that reading may recurse.
const MAX_DEPTH: usize = 96;

/// A text in quotation marks at the start of `source`, and how many bytes of source it takes.
pub(super) fn quoted(source: &str, quote: char) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = source.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Some((out, at + c.len_utf8()));
        }
        if c == '\n' {
            return None;
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        let (_, escaped) = chars.next()?;
        let digits = match escaped {
            'n' => push(&mut out, '\n'),
            'r' => push(&mut out, '\r'),
            't' => push(&mut out, '\t'),
            'a' => push(&mut out, '\u{7}'),
            'b' => push(&mut out, '\u{8}'),
            'f' => push(&mut out, '\u{c}'),
            'v' => push(&mut out, '\u{b}'),
            '\n' => 0,
            '\\' | '\'' | '"' => push(&mut out, escaped),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            '0'..='7' => {
                // Up to three octal digits.
                let mut code = escaped.to_digit(8)?;
                for _ in 0..2 {
                    let mut ahead = chars.clone();
                    match ahead.next().and_then(|(_, c)| c.to_digit(8)) {
                        Some(digit) => {
                            code = code * 8 + digit;
                            chars = ahead;
                        }
                        None => break,
                    }
                }
                push(&mut out, char::from_u32(code)?)
            }
            other => {
                out.push('\\');
                push(&mut out, other)
            }
        };
        if digits > 0 {
            let mut code = 0;
            for _ in 0..digits {
                code = code * 16 + chars.next()?.1.to_digit(16)?;
            }
            out.push(char::from_u32(code)?);
        }
    }
    None
}

/// Pushes a character; no digits follow.
fn push(out: &mut String, c: char) -> usize {
    out.push(c);
    0
}

/// `ast.literal_eval`, for what is a value here: numbers, texts, words, lists and tuples of them. Sets and
/// dictionaries are read before as broken JSON; bytes and complex numbers are not read.
pub(super) fn eval(source: &str) -> Option<PyValue> {
    let mut reader = Reader {
        rest: source.trim_start_matches([' ', '\t']),
        open: 0,
    };
    if reader.rest.starts_with(['\n', '\r']) {
        return None;
    }
    let value = reader.tuple()?;
    reader.open = 1;
    reader.space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a str,
    /// How many brackets are open: inside of them, lines may end.
    open: usize,
}

impl Reader<'_> {
    fn space(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\u{c}']);
            if self.rest.starts_with('#') {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.rest = &self.rest[end..];
            }
            match self.rest.strip_prefix(['\n', '\r']) {
                Some(rest) if self.open > 0 => self.rest = rest,
                _ => return,
            }
        }
    }

    fn take(&mut self, token: char) -> bool {
        self.space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A value, or several with commas between them.
    fn tuple(&mut self) -> Option<PyValue> {
        let first = self.value()?;
        if !self.take(',') {
            return Some(first);
        }
        let mut items = vec![first];
        loop {
            self.space();
            if self.rest.is_empty() || self.rest.starts_with([')', '\n', '\r']) {
                return Some(PyValue::List(items));
            }
            items.push(self.value()?);
            if !self.take(',') {
                return Some(PyValue::List(items));
            }
        }
    }

    fn value(&mut self) -> Option<PyValue> {
        if self.open > MAX_DEPTH {
            return None;
        }
        self.space();
        let first = self.rest.chars().next()?;
        match first {
            '\'' | '"' => self.texts(first),
            '(' => {
                self.open += 1;
                self.rest = &self.rest[1..];
                let value = if self.take(')') {
                    self.open -= 1;
                    return Some(PyValue::List(Vec::new()));
                } else {
                    self.tuple()?
                };
                let closed = self.take(')');
                self.open -= 1;
                closed.then_some(value)
            }
            '[' => {
                self.open += 1;
                self.rest = &self.rest[1..];
                let mut items = Vec::new();
                while !self.take(']') {
                    items.push(self.value()?);
                    if !self.take(',') {
                        if !self.take(']') {
                            return None;
                        }
                        break;
                    }
                }
                self.open -= 1;
                Some(PyValue::List(items))
            }
            '+' | '-' => {
                self.rest = &self.rest[1..];
                self.space();
                let value = self.number()?;
                Some(match (first, value) {
                    ('-', PyValue::Int(value)) => PyValue::Int(-value),
                    ('-', PyValue::Float(value)) => PyValue::Float(-value),
                    (_, value) => value,
                })
            }
            '0'..='9' | '.' => self.number(),
            _ => {
                let end = self
                    .rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .unwrap_or(self.rest.len());
                let (word, rest) = self.rest.split_at(end);
                if matches!(word, "u" | "U") && rest.starts_with(['\'', '"']) {
                    self.rest = rest;
                    return self.texts(rest.chars().next()?);
                }
                let value = match word {
                    "True" => PyValue::Bool(true),
                    "False" => PyValue::Bool(false),
                    "None" => PyValue::None,
                    _ => return None,
                };
                self.rest = rest;
                Some(value)
            }
        }
    }

    /// Texts that stand side by side are one.
    fn texts(&mut self, quote: char) -> Option<PyValue> {
        let mut all = String::new();
        let mut quote = quote;
        loop {
            let triple: String = std::iter::repeat_n(quote, 3).collect();
            if self.rest.starts_with(&triple) {
                let inner = &self.rest[3..];
                let end = inner.find(&triple)?;
                if inner[..end].contains('\\') {
                    return None;
                }
                all.push_str(&inner[..end]);
                self.rest = &inner[end + 3..];
            } else {
                let (text, length) = quoted(self.rest, quote)?;
                all.push_str(&text);
                self.rest = &self.rest[length..];
            }
            self.space();
            quote = match self.rest.chars().next() {
                Some(next @ ('\'' | '"')) => next,
                _ => return Some(PyValue::Str(all)),
            };
        }
    }

    fn number(&mut self) -> Option<PyValue> {
        let bytes = self.rest.as_bytes();
        let radix = match bytes.get(..2).map(<[u8]>::to_ascii_lowercase).as_deref() {
            Some(b"0x") => 16,
            Some(b"0o") => 8,
            Some(b"0b") => 2,
            _ => 10,
        };
        let mut end = 0;
        let mut last = 0;
        while let Some(&byte) = bytes.get(end) {
            let is_sign = matches!(byte, b'+' | b'-') && radix == 10 && matches!(last, b'e' | b'E');
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || is_sign) {
                break;
            }
            last = byte;
            end += 1;
        }
        let (text, rest) = self.rest.split_at(end);
        // Underscores stand between digits only.
        let inside = |at: usize| at > 0 && !text[at - 1..].starts_with('_') && at + 1 < text.len();
        if text.match_indices('_').any(|(at, _)| !inside(at)) {
            return None;
        }
        let plain = text.replace('_', "");
        let value = if radix != 10 {
            PyValue::Int(i128::from_str_radix(&plain[2..], radix).ok()?)
        } else if plain.bytes().all(|byte| byte.is_ascii_digit()) {
            // `007` is not a number, `000` is.
            if plain.starts_with('0') && plain.bytes().any(|byte| byte != b'0') {
                return None;
            }
            PyValue::Int(plain.parse().ok()?)
        } else if plain.bytes().any(|byte| byte.is_ascii_digit())
            && plain.bytes().all(|byte| {
                byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')
            })
        {
            PyValue::Float(plain.parse().ok()?)
        } else {
            return None;
        };
        self.rest = rest;
        Some(value)
    }
}

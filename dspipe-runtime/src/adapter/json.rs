//! JSON as Python's `json.loads` reads it: whole numbers stay whole, `NaN` and `Infinity` are floats, the
//! last of equal keys counts.

use super::value::{PyDict, PyValue};

/// Deeper values are refused, so that reading may recurse.
const MAX_DEPTH: usize = 128;

/// A text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line}, column {column}")]
pub struct JsonError {
    message: &'static str,
    line: usize,
    column: usize,
}

/// Reads a value at the start of a text, and how many bytes it takes.
pub(super) fn read_prefix(text: &str) -> Result<(PyValue, usize)> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    Ok((value, reader.at))
}

/// Reads the whole text.
pub(super) fn read(text: &str) -> Result<PyValue, JsonError> {
    let mut reader = Reader { text, at: 0 };
    let result = reader.value(0).and_then(|value| {
        reader.space();
        if reader.at == text.len() {
            Ok(value)
        } else {
            Err("something follows the value")
        }
    });
    result.map_err(|message| {
        let before = &text[..reader.at];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        JsonError {
            message,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

type Result<T, E = &'static str> = std::result::Result<T, E>;

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<PyValue> {
        if depth > MAX_DEPTH {
            return Err("values are nested too deeply");
        }
        self.space();
        for (word, value) in [
            ("null", PyValue::None),
            ("true", PyValue::Bool(true)),
            ("false", PyValue::Bool(false)),
            ("NaN", PyValue::Float(f64::NAN)),
            ("Infinity", PyValue::Float(f64::INFINITY)),
            ("-Infinity", PyValue::Float(f64::NEG_INFINITY)),
        ] {
            if self.take(word) {
                return Ok(value);
            }
        }
        match self.rest().as_bytes().first() {
            Some(b'"') => self.string().map(PyValue::Str),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.dict(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err("a value is missing"),
            None => Err("the text ends too early"),
        }
    }

    fn list(&mut self, depth: usize) -> Result<PyValue> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take("]") {
            return Ok(PyValue::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take("]") {
                return Ok(PyValue::List(items));
            }
            if !self.take(",") {
                return Err("`,` or `]` is missing");
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Result<PyValue> {
        self.at += 1;
        let mut dict = PyDict::new();
        self.space();
        if self.take("}") {
            return Ok(PyValue::Dict(dict));
        }
        loop {
            self.space();
            if !self.rest().starts_with('"') {
                return Err("a key in quotation marks is missing");
            }
            let key = self.string()?;
            self.space();
            if !self.take(":") {
                return Err("`:` is missing");
            }
            let value = self.value(depth + 1)?;
            dict.insert(key, value);
            self.space();
            if self.take("}") {
                return Ok(PyValue::Dict(dict));
            }
            if !self.take(",") {
                return Err("`,` or `}` is missing");
            }
        }
    }

    fn number(&mut self) -> Result<PyValue> {
        let bytes = self.rest().as_bytes();
        let digits = |from: usize| {
            bytes[from..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count()
        };
        let start = usize::from(bytes.starts_with(b"-"));
        let whole = match bytes.get(start) {
            Some(b'0') => 1,
            _ => digits(start),
        };
        if whole == 0 {
            return Err("a number is missing");
        }
        let mut end = start + whole;
        let mut is_float = false;
        if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
            end += 1 + digits(end + 1);
            is_float = true;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let count = digits(end + 1 + sign);
            if count > 0 {
                end += 1 + sign + count;
                is_float = true;
            }
        }
        let text = &self.rest()[..end];
        let value = if is_float {
            PyValue::Float(text.parse().map_err(|_| "a number is missing")?)
        } else {
            PyValue::Int(text.parse().map_err(|_| "a number has too many digits")?)
        };
        self.at += end;
        Ok(value)
    }

    fn string(&mut self) -> Result<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let plain = rest
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .ok_or("a text does not end")?;
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.rest().as_bytes().first() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err("a control character is not escaped"),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let c = match self.rest().as_bytes().get(1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err("an escape is not known"),
        };
        self.at += 2;
        Ok(c)
    }

    fn unicode(&mut self) -> Result<char> {
        const LONE: &str = "half of a surrogate pair";
        let first = self.hex()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(LONE);
        }
        if first >= 0xdc00 || !self.rest().starts_with("\\u") {
            return Err(LONE);
        }
        let second = self.hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(LONE);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(LONE)
    }

    /// `\uXXXX`.
    fn hex(&mut self) -> Result<u32> {
        let digits = self.rest().get(2..6).ok_or("an escape needs four digits")?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("an escape needs four digits");
        }
        self.at += 6;
        u32::from_str_radix(digits, 16).map_err(|_| "an escape needs four digits")
    }
}

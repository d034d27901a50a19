//! JSON as LMs write it when they slip: read in one pass, with every slip noted.
//!
//! The reader never looks back and looks ahead by a bounded distance, so it takes linear time on any text.
//! It repairs the form only; whether the values are right is for the types to say.

use std::fmt;

use serde_json::{Map, Number, Value};

/// Deeper values than this are refused, so that reading may recurse.
const MAX_DEPTH: usize = 96;

/// How far behind a quotation mark it is looked whether the text ends there.
const LOOK_AHEAD: usize = 64;

/// What was wrong with the form of a reply, and was put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Repair {
    /// Text around the answer, such as a fence or prose.
    Surroundings,
    /// Texts in other quotation marks than `"`.
    Quotes,
    /// Texts or keys without quotation marks.
    Unquoted,
    /// A comma that is missing, or one too many.
    Comma,
    /// `=` or `=>` for `:`, or nothing.
    Colon,
    /// `True`, `None`, `undefined`, `NaN` and their like.
    Literal,
    /// A comment.
    Comment,
    /// A line break or a quotation mark inside a text that was not escaped.
    Escape,
    /// A bracket that was closed by another kind.
    Bracket,
    /// The end is missing: brackets or a text are not closed.
    Unfinished,
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Surroundings => "text around the answer",
            Self::Quotes => "other quotation marks",
            Self::Unquoted => "texts without quotation marks",
            Self::Comma => "missing or doubled commas",
            Self::Colon => "missing colons",
            Self::Literal => "literals of another language",
            Self::Comment => "comments",
            Self::Escape => "unescaped characters",
            Self::Bracket => "mismatched brackets",
            Self::Unfinished => "a missing end",
        })
    }
}

/// A value that was read, and what had to be repaired for it, each kind once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Repaired {
    pub(super) value: Value,
    pub(super) repairs: Vec<Repair>,
}

/// The objects in a text that are not inside another, in their order.
pub(super) fn objects(text: &str) -> Vec<Repaired> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find('{') {
        let start = at + start;
        let mut reader = Reader {
            text,
            at: start,
            repairs: Vec::new(),
        };
        let Some(value) = reader.value(0) else {
            at = start + 1;
            continue;
        };
        let around = !text[..start].trim().is_empty() || !text[reader.at..].trim().is_empty();
        if around {
            reader.note(Repair::Surroundings);
        }
        at = reader.at;
        reader.repairs.sort_unstable();
        found.push(Repaired {
            value,
            repairs: reader.repairs,
        });
    }
    found
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    repairs: Vec<Repair>,
}

impl<'t> Reader<'t> {
    fn note(&mut self, repair: Repair) {
        if !self.repairs.contains(&repair) {
            self.repairs.push(repair);
        }
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

    /// White space and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            let length = if trimmed.starts_with("//") || trimmed.starts_with('#') {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if trimmed.starts_with("/*") {
                trimmed.find("*/").map_or(trimmed.len(), |end| end + 2)
            } else {
                return;
            };
            self.note(Repair::Comment);
            self.at += length;
        }
    }

    /// `None`: nothing here, or too deep.
    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip();
        match self.peek()? {
            '{' => self.object(depth),
            '[' => self.list(depth),
            c => match closing_quote(c) {
                Some(close) => {
                    if c != '"' {
                        self.note(Repair::Quotes);
                    }
                    self.bump(c);
                    Some(Value::String(self.quoted(close, false)))
                }
                None => Some(self.bare()),
            },
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.bump('{');
        let mut map = Map::new();
        let mut first = true;
        while self.more('}', &mut first) {
            let key = self.key()?;
            self.colon();
            self.skip();
            let value = match self.peek() {
                // Cut off, or left out.
                None | Some(',' | '}' | ']') => {
                    self.note(Repair::Unfinished);
                    Value::Null
                }
                _ => self.value(depth + 1)?,
            };
            map.insert(key, value);
        }
        Some(Value::Object(map))
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        self.bump('[');
        let mut items = Vec::new();
        let mut first = true;
        while self.more(']', &mut first) {
            items.push(self.value(depth + 1)?);
        }
        Some(Value::Array(items))
    }

    /// Whether another item follows; takes the comma before it, or the end.
    fn more(&mut self, close: char, first: &mut bool) -> bool {
        let mut commas = 0;
        loop {
            self.skip();
            match self.peek() {
                None => {
                    self.note(Repair::Unfinished);
                    return false;
                }
                Some(',') => {
                    self.bump(',');
                    commas += 1;
                }
                Some(c @ ('}' | ']')) => {
                    if commas > 0 {
                        self.note(Repair::Comma);
                    }
                    if c == close {
                        self.bump(c);
                    } else {
                        // Perhaps the end of what this stands in: it is left there.
                        self.note(Repair::Bracket);
                    }
                    return false;
                }
                Some(_) => {
                    let expected = usize::from(!*first);
                    if commas != expected {
                        self.note(Repair::Comma);
                    }
                    *first = false;
                    return true;
                }
            }
        }
    }

    /// `None`: what stands here cannot be a key.
    fn key(&mut self) -> Option<String> {
        let c = self.peek()?;
        if let Some(close) = closing_quote(c) {
            if c != '"' {
                self.note(Repair::Quotes);
            }
            self.bump(c);
            return Some(self.quoted(close, true));
        }
        let rest = self.rest();
        let length = rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '$')))
            .unwrap_or(rest.len());
        if length == 0 {
            return None;
        }
        self.note(Repair::Unquoted);
        self.at += length;
        Some(rest[..length].to_owned())
    }

    fn colon(&mut self) {
        self.skip();
        let rest = self.rest();
        let (length, clean) = if rest.starts_with(':') {
            (1, true)
        } else if rest.starts_with("=>") {
            (2, false)
        } else {
            (usize::from(rest.starts_with('=')), false)
        };
        self.at += length;
        if !clean {
            self.note(Repair::Colon);
        }
    }

    /// The rest of a text, its opening mark taken.
    fn quoted(&mut self, close: char, is_key: bool) -> String {
        let mut value = String::new();
        while let Some(c) = self.peek() {
            self.bump(c);
            match c {
                '\\' => self.escape(&mut value),
                c if c == close && self.ends_here(is_key) => return value,
                c if c == close || c == '\n' || c == '\r' || c == '\t' => {
                    self.note(Repair::Escape);
                    value.push(c);
                }
                c => value.push(c),
            }
        }
        self.note(Repair::Unfinished);
        value
    }

    /// Whether what follows a quotation mark can follow a whole text.
    fn ends_here(&self, is_key: bool) -> bool {
        let mut rest = self.rest().trim_start();
        let mut chars = rest.chars();
        match chars.next() {
            None | Some('}' | ']') => true,
            Some(':' | '=') => is_key,
            Some('/' | '#') => !is_key,
            Some(',') if is_key => false,
            Some(',') => {
                // A key, or a value of a list, follows; in a sentence, words do.
                rest = chars.as_str().trim_start();
                let ahead: String = rest.chars().take(LOOK_AHEAD).collect();
                match ahead.chars().next() {
                    None | Some('{' | '[' | '}' | ']' | '-' | '/' | '#' | ',') => true,
                    Some(c) if closing_quote(c).is_some() || c.is_ascii_digit() => true,
                    Some(_) => {
                        let word = ahead
                            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
                            .unwrap_or(ahead.len());
                        let after = ahead[word..].trim_start();
                        after.starts_with([':', '=']) || literal(&ahead[..word]).is_some()
                    }
                }
            }
            // A comma may be missing: then a key or a value follows on its own line.
            Some(c) => {
                let gap = &self.rest()[..self.rest().len() - rest.len()];
                gap.contains('\n') && (closing_quote(c).is_some() || c == '{' || c == '[')
            }
        }
    }

    fn escape(&mut self, value: &mut String) {
        let Some(c) = self.peek() else {
            self.note(Repair::Unfinished);
            return;
        };
        self.bump(c);
        match c {
            '"' | '\\' | '/' => value.push(c),
            '\'' => {
                self.note(Repair::Escape);
                value.push(c);
            }
            'b' => value.push('\u{8}'),
            'f' => value.push('\u{c}'),
            'n' => value.push('\n'),
            'r' => value.push('\r'),
            't' => value.push('\t'),
            'u' => match self.unicode() {
                Some(c) => value.push(c),
                None => {
                    self.note(Repair::Escape);
                    value.push_str("\\u");
                }
            },
            other => {
                // As in a regular expression that was not escaped twice.
                self.note(Repair::Escape);
                value.push('\\');
                value.push(other);
            }
        }
    }

    /// The character of `\uXXXX`, or of a surrogate pair.
    fn unicode(&mut self) -> Option<char> {
        let unit = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
        let first = unit(self.rest())?;
        if let Some(c) = char::from_u32(first) {
            self.at += 4;
            return Some(c);
        }
        let second = unit(self.rest().get(4..)?.strip_prefix("\\u")?)?;
        let high = first.checked_sub(0xD800)?;
        let low = second.checked_sub(0xDC00)?;
        let c = char::from_u32(0x1_0000 + (high << 10) + low)?;
        self.at += 10;
        Some(c)
    }

    /// A number, a literal, or a text without marks, up to the next comma, bracket or line.
    fn bare(&mut self) -> Value {
        let rest = self.rest();
        let end = rest.find([',', '}', ']', '\n', '\r']).unwrap_or(rest.len());
        if end == rest.len() {
            self.note(Repair::Unfinished);
        }
        let end = scalar_before_mark(&rest[..end]).unwrap_or(end);
        let word = rest[..end].trim_end();
        // A stray closing mark must not be looked at again and again.
        self.at += end.max(rest.chars().next().map_or(0, char::len_utf8));
        if let Some(value) = json_scalar(word) {
            return value;
        }
        if let Some(value) = literal(word) {
            self.note(Repair::Literal);
            return value;
        }
        self.note(Repair::Unquoted);
        Value::String(word.trim_end_matches(['"', '\'']).to_owned())
    }
}

/// Where a number or literal ends that a text follows without a comma between them.
fn scalar_before_mark(line: &str) -> Option<usize> {
    let length = line.find(char::is_whitespace)?;
    let next = line[length..].trim_start().chars().next()?;
    let is_scalar = json_scalar(&line[..length]).is_some() || literal(&line[..length]).is_some();
    (is_scalar && closing_quote(next).is_some()).then_some(length)
}

/// The mark that closes a text that this one opens.
fn closing_quote(open: char) -> Option<char> {
    match open {
        '"' | '\'' | '`' => Some(open),
        '“' | '„' => Some('”'),
        '‘' | '‚' => Some('’'),
        '«' => Some('»'),
        _ => None,
    }
}

fn json_scalar(word: &str) -> Option<Value> {
    match word {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        "null" => Some(Value::Null),
        _ => word.parse::<Number>().ok().map(Value::Number),
    }
}

/// What Python, JavaScript and people write for JSON's literals.
fn literal(word: &str) -> Option<Value> {
    match word {
        "true" | "True" | "TRUE" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => Some(Value::Bool(false)),
        "null" | "None" | "NULL" | "Null" | "nil" | "undefined" | "NaN" | "nan" | "Infinity" => {
            Some(Value::Null)
        }
        _ => {
            let digits = word.strip_prefix('+').unwrap_or(word);
            let padded = match digits.strip_prefix('.') {
                Some(fraction) => format!("0.{fraction}"),
                None => digits.trim_end_matches('.').to_owned(),
            };
            (padded != word && padded.starts_with(|c: char| c.is_ascii_digit()))
                .then(|| padded.parse::<Number>().ok().map(Value::Number))
                .flatten()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn one(text: &str) -> (Value, Vec<Repair>) {
        let mut all = objects(text);
        assert_eq!(all.len(), 1, "{text}: {all:#?}");
        let Repaired { value, repairs } = all.remove(0);
        (value, repairs)
    }

    #[test]
    fn slips_are_repaired_and_named() {
        use Repair as R;
        let cases: &[(&str, Value, &[Repair])] = &[
            (r#"{"a": 1}"#, json!({"a": 1}), &[]),
            ("{'a': 'b'}", json!({"a": "b"}), &[R::Quotes]),
            ("{“a”: “it's”}", json!({"a": "it's"}), &[R::Quotes]),
            (
                "{'a': 'it's fine'}",
                json!({"a": "it's fine"}),
                &[R::Quotes, R::Escape],
            ),
            (
                "{a: high, b: 2}",
                json!({"a": "high", "b": 2}),
                &[R::Unquoted],
            ),
            (r#"{"a": 1 "b": 2}"#, json!({"a": 1, "b": 2}), &[R::Comma]),
            ("{\"a\": [1,, 2,]}", json!({"a": [1, 2]}), &[R::Comma]),
            (
                "{\"a\": \"x\"\n \"b\": \"y\"}",
                json!({"a": "x", "b": "y"}),
                &[R::Comma],
            ),
            (
                r#"{"a": True, "b": None, "c": NaN}"#,
                json!({"a": true, "b": null, "c": null}),
                &[R::Literal],
            ),
            (
                r#"{"a": .5, "b": 5., "c": +1}"#,
                json!({"a": 0.5, "b": 5, "c": 1}),
                &[R::Literal],
            ),
            (
                "{\"a\": 1, // one\n /* two */ \"b\": 2}",
                json!({"a": 1, "b": 2}),
                &[R::Comment],
            ),
            (
                "{\"a\": \"two\nlines\"}",
                json!({"a": "two\nlines"}),
                &[R::Escape],
            ),
            (
                r#"{"a": "say "yes" now"}"#,
                json!({"a": "say \"yes\" now"}),
                &[R::Escape],
            ),
            (
                r#"{"a": "he said "no", then left", "b": 1}"#,
                json!({"a": "he said \"no\", then left", "b": 1}),
                &[R::Escape],
            ),
            (r#"{"a": "\d+"}"#, json!({"a": "\\d+"}), &[R::Escape]),
            (
                r#"{"a" = 1, "b" => 2}"#,
                json!({"a": 1, "b": 2}),
                &[R::Colon],
            ),
            (r#"{"a": [1, 2}"#, json!({"a": [1, 2]}), &[R::Bracket]),
            (
                r#"{"a": {"b": [1, 2"#,
                json!({"a": {"b": [1, 2]}}),
                &[R::Unfinished],
            ),
            (r#"{"a": "cut o"#, json!({"a": "cut o"}), &[R::Unfinished]),
            (r#"{"a":"#, json!({"a": null}), &[R::Unfinished]),
            (
                "Sure:\n```json\n{\"a\": 1}\n```",
                json!({"a": 1}),
                &[R::Surroundings],
            ),
            (r#"{"a": "😀 é"}"#, json!({"a": "😀 é"}), &[]),
        ];
        for (text, value, repairs) in cases {
            assert_eq!(one(text), (value.clone(), repairs.to_vec()), "{text}");
        }
    }

    #[test]
    fn several_answers_are_all_found() {
        let values: Vec<Value> = objects("{\"a\": 1} or {'a': 2} {")
            .into_iter()
            .map(|r| r.value)
            .collect();
        assert_eq!(values, [json!({"a": 1}), json!({"a": 2}), json!({})]);
        assert_eq!(objects("no object"), []);
    }

    #[test]
    fn depth_and_length_have_limits() {
        for text in [
            "{".repeat(100_000),
            "{\"a\":".repeat(100_000),
            format!("{{\"a\": {}", "[".repeat(100_000)),
            format!("{{\"a\": \"{}", "\",".repeat(100_000)),
            format!("{{{}", "a ".repeat(100_000)),
        ] {
            objects(&text);
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        let inner = leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        proptest::collection::btree_map("[a-z]{1,5}", inner, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn clean_json_needs_no_repair(value in values()) {
            let text = value.to_string();
            let all = objects(&text);
            prop_assert_eq!(&all[0].value, &value, "{}", text);
            prop_assert_eq!(&all[0].repairs, &[]);
        }

        #[test]
        fn a_cut_anywhere_is_no_reason_to_panic(value in values(), cut in 0..200_usize) {
            let text = value.to_string();
            let end = text.char_indices().map(|(at, _)| at).take(cut).last().unwrap_or(0);
            objects(&text[..end]);
        }

        #[test]
        fn any_text_is_read(text in r#"([{}\[\]:,'"“”`=#/*\\ \n]|true|None|[a-z0-9.-]|é){0,60}"#) {
            objects(&text);
        }
    }
}

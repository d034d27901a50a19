//! JSON and JSON Lines with the place of every value.
//!
//! Not the YAML parser, although YAML claims to contain JSON: it refuses surrogate pairs
//! (`\ud83d\ude00`), which is how much JSON writes everything beyond the basic plane.

use super::Malformed;
use crate::source::{FileId, Span};
use crate::yaml::{Key, Kind, Node};

/// As in YAML files: later stages may recurse.
const MAX_DEPTH: usize = 64;

/// Reads a list of records, or `{examples: […]}`, one at a time. Records before a
/// mistake in the text are still handed out.
pub(super) fn records(
    text: &str,
    file: FileId,
    found: &mut dyn FnMut(Node),
) -> Result<(), Malformed> {
    let mut reader = Reader::new(text, file, 0);
    match reader.peek() {
        None => return Ok(()),
        Some(b'[') => reader.list(1, &mut |node| found(node))?,
        Some(b'{') => reader.examples(found)?,
        Some(_) => {
            return Err(reader.problem("expected a list of records, or `{\"examples\": […]}`"));
        }
    }
    reader.end()
}

/// Reads one record a line; blank lines are none.
pub(super) fn lines(text: &str, file: FileId, found: &mut dyn FnMut(Result<Node, Malformed>)) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        if !line.trim().is_empty() {
            let mut reader = Reader::new(text.get(..end).unwrap_or(text), file, start);
            let record = reader.value(0);
            found(record.and_then(|node| reader.end().map(|()| node)));
        }
        start = end;
    }
}

/// One JSON text that is a part of a file: a cell of a CSV table.
pub(super) fn value(text: &str) -> Option<Kind> {
    // Places inside the part are of no use to the caller.
    let mut reader = Reader::new(text, FileId::default(), 0);
    let node = reader.value(0).ok()?;
    reader.end().ok()?;
    Some(node.kind)
}

struct Reader<'t> {
    text: &'t str,
    file: FileId,
    at: usize,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, file: FileId, at: usize) -> Self {
        // Some Windows programs begin files so.
        let at = match text.get(at..) {
            Some(rest) if at == 0 && rest.starts_with('\u{feff}') => '\u{feff}'.len_utf8(),
            _ => at,
        };
        Self { text, file, at }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let blank = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
            .count();
        self.at += blank;
        rest.get(blank).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), Malformed> {
        if self.eat(byte) {
            return Ok(());
        }
        Err(self.problem(what))
    }

    fn end(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.problem("expected nothing more")),
        }
    }

    fn problem(&self, text: impl Into<String>) -> Malformed {
        let text = if self.at >= self.text.len() {
            format!("{}, but the text ends", text.into())
        } else {
            text.into()
        };
        Malformed {
            at: self.at.min(self.text.len()),
            problem: text,
        }
    }

    fn span(&self, start: usize) -> Span {
        Span {
            file: self.file,
            start,
            end: self.at,
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, Malformed> {
        if depth >= MAX_DEPTH {
            return Err(self.problem(format!("nested more than {MAX_DEPTH} levels deep")));
        }
        let next = self.peek();
        let start = self.at;
        let kind = match next {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => {
                let mut items = Vec::new();
                self.list(depth + 1, &mut |node| items.push(node))?;
                Kind::List(items)
            }
            Some(b'"') => Kind::Scalar {
                text: self.string()?,
                plain: false,
            },
            Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => self.word()?,
            _ => return Err(self.problem("expected a JSON value")),
        };
        Ok(Node {
            span: self.span(start),
            kind,
        })
    }

    fn list(&mut self, depth: usize, found: &mut dyn FnMut(Node)) -> Result<(), Malformed> {
        self.expect(b'[', "expected `[`")?;
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            found(self.value(depth)?);
            if self.eat(b']') {
                return Ok(());
            }
            self.expect(b',', "expected `,` or `]`")?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Kind, Malformed> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        self.expect(b'{', "expected `{`")?;
        if self.eat(b'}') {
            return Ok(Kind::Map(entries));
        }
        loop {
            let key = self.key()?;
            if !seen.insert(key.text.clone()) {
                return Err(Malformed {
                    at: key.span.start,
                    problem: format!("the key `{}` is there twice", key.text),
                });
            }
            let value = self.value(depth + 1)?;
            entries.push((key, value));
            if self.eat(b'}') {
                return Ok(Kind::Map(entries));
            }
            self.expect(b',', "expected `,` or `}`")?;
        }
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<Key, Malformed> {
        if self.peek() != Some(b'"') {
            return Err(self.problem("expected a key in double quotes"));
        }
        let start = self.at;
        let text = self.string()?;
        // Without the quotes, as names are suggested.
        let span = Span {
            start: start + 1,
            end: self.at - 1,
            ..self.span(start)
        };
        self.expect(b':', "expected `:`")?;
        Ok(Key { text, span })
    }

    /// `{"examples": […]}`, its records handed out as they are read.
    fn examples(&mut self, found: &mut dyn FnMut(Node)) -> Result<(), Malformed> {
        let start = self.at;
        self.expect(b'{', "expected `{`")?;
        let key = match self.peek() {
            Some(b'"') => Some(self.key()?),
            _ => None,
        };
        match key {
            Some(key) if key.text == "examples" => {
                self.list(2, found)?;
                self.expect(b'}', "expected `}`: nothing stands beside `examples`")
            }
            _ => Err(Malformed {
                at: start,
                problem: "expected a list of records, or `{\"examples\": […]}`".to_owned(),
            }),
        }
    }

    fn word(&mut self) -> Result<Kind, Malformed> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.'))
            .count();
        let word = rest.get(..length).unwrap_or_default();
        let known = matches!(word, "true" | "false" | "null")
            || serde_json::from_str::<serde_json::Number>(word).is_ok();
        if !known {
            return Err(self.problem("expected a JSON value"));
        }
        self.at += length;
        Ok(Kind::Scalar {
            text: word.to_owned(),
            plain: true,
        })
    }

    fn string(&mut self) -> Result<String, Malformed> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(b'\n') | None => {
                    return Err(Malformed {
                        at: start,
                        problem: "a text whose quote is never closed".to_owned(),
                    });
                }
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        let literal = self.text.get(start..self.at).unwrap_or_default();
        // Escapes and surrogates are serde_json's business.
        serde_json::from_str(literal).map_err(|error| Malformed {
            at: start,
            problem: format!("a text that JSON cannot hold: {}", without_place(&error)),
        })
    }
}

/// The reason of `serde_json` without its own line and column, which count from the text's start.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (Vec<serde_json::Value>, Option<Malformed>) {
        let mut nodes = Vec::new();
        let error = records(text, FileId::default(), &mut |node| {
            nodes.push(node.to_json());
        })
        .err();
        (nodes, error)
    }

    #[test]
    fn lists_and_examples() {
        let expected = vec![serde_json::json!({"a": "\u{1f600}", "b": [1, -2.5, null, true]})];
        let record = r#"{"a": "\ud83d\ude00", "b": [1, -2.5, null, true]}"#;
        for text in [
            format!("[{record}]"),
            format!("\u{feff} [\n{record} ]\n"),
            format!("{{\"examples\": [{record}]}}"),
        ] {
            let (nodes, error) = read(&text);
            assert!(error.is_none(), "{text}: {error:?}");
            assert_eq!(nodes, expected);
        }
    }

    #[test]
    fn mistakes_have_places() {
        for (text, at, wanted) in [
            ("[1,]", 3, "expected a JSON value"),
            ("[1 2]", 3, "expected `,` or `]`"),
            ("[1", 2, "the text ends"),
            ("[{\"a\": 1, \"a\": 2}]", 11, "twice"),
            ("[{a: 1}]", 2, "double quotes"),
            ("[\"\\x\"]", 1, "escape"),
            ("[\"\\", 1, "never closed"),
            ("[01]", 1, "expected a JSON value"),
            ("7", 0, "a list of records"),
            ("{\"records\": []}", 0, "`{\"examples\": […]}`"),
            ("[] x", 3, "nothing more"),
        ] {
            let error = read(text).1.unwrap();
            assert_eq!(error.at, at, "{text}: {error:?}");
            assert!(error.problem.contains(wanted), "{text}: {error:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(read(&deep).1.unwrap().problem.contains("nested"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[\\[\\]{}\",:\\\\a-c0-9é \n.-]*") {
            let valid = serde_json::from_str::<serde_json::Value>(&text);
            if let Some(error) = read(&text).1 {
                prop_assert!(text.is_char_boundary(error.at));
            } else {
                prop_assert!(text.trim().is_empty() || valid.is_ok());
            }
            lines(&text, FileId::default(), &mut |_| {});
        }

        #[test]
        fn agrees_with_serde_json(items in proptest::collection::vec((".*", any::<i64>()), 0..5)) {
            let list = serde_json::json!(
                items.iter().map(|(text, n)| serde_json::json!({"t": text, "n": n})).collect::<Vec<_>>()
            );
            let (nodes, error) = read(&list.to_string());
            prop_assert!(error.is_none());
            prop_assert_eq!(serde_json::Value::Array(nodes), list);
        }
    }
}

//! Keys of objects, with quotation marks or without.

use super::look::{is_key_char, window};
use super::text::{closes, closing, skip_comments};
use super::{Kind, LOOK_AHEAD, Place, Scanner};

impl Scanner<'_> {
    /// A key with or without quotation marks; `None` if there is none.
    pub(super) fn key(&mut self) -> Option<String> {
        let start = self.at;
        let rest = self.rest();
        let first = self.peek()?;
        if self.strict {
            if first != '"' {
                self.failed = true;
                return None;
            }
            self.bump('"');
            let text = self.quoted('"', Place::Object);
            return (!text.cut && !self.failed).then_some(text.text);
        }
        if self.prefix_length() > 0 {
            self.prefix();
            return self.key();
        }
        self.escapes.raw = false;
        let doubled = rest.starts_with("\"\"") && rest[2..].starts_with(char::is_alphanumeric);
        let closed = window(self.text, start);
        let closed = doubled
            && closed[2..]
                .find('"')
                .is_some_and(|end| closed[2 + end..].starts_with("\"\""));
        if doubled && !closed {
            // `""key"`: one mark too many.
            self.bump(first);
            self.note(Kind::Quotes, start);
            return self.quoted_key(start + 1, first, '"');
        }
        let opens_long = rest.starts_with("\"\"\"") || doubled;
        if opens_long || rest.starts_with("\\\"") {
            let text = self.one_text(Place::Object)?;
            return (!text.cut).then_some(text.text);
        }
        if let Some(close) = closing(first) {
            return self.quoted_key(start, first, close);
        }
        let window = window(self.text, start);
        let end = window
            .find(|c: char| !(is_key_char(c) || c == ' ' || c == '\t'))
            .unwrap_or(window.len());
        let key = window[..end].trim_end();
        let after = window[end..].chars().next();
        match after {
            Some(':' | '=' | '：') if !key.is_empty() => {
                self.at = start + key.len();
                self.note(Kind::Unquoted, start);
                Some(key.to_owned())
            }
            // `key": 1`
            Some(c) if closing(c).is_some() && !key.is_empty() => {
                let behind = window[end + c.len_utf8()..].trim_start();
                if behind.starts_with(':') {
                    self.at = start + end + c.len_utf8();
                    self.note(Kind::Quotes, start);
                    return Some(key.to_owned());
                }
                // `key "value"`
                (key.len() < end && self.keys.knows(key)).then(|| {
                    self.at = start + key.len();
                    self.note(Kind::Unquoted, start);
                    key.to_owned()
                })
            }
            None if self.text.len() == start + window.len() => {
                // Cut off.
                self.at = self.text.len();
                None
            }
            _ => None,
        }
    }

    fn quoted_key(&mut self, start: usize, open: char, close: char) -> Option<String> {
        self.bump(open);
        if open != '"' {
            self.note(Kind::Quotes, start);
        }
        let mut key = String::new();
        // The first colon in it, in the key and in the reply: there it may have ended.
        let mut unsure: Option<(usize, usize)> = None;
        loop {
            let plain = self.plain(close);
            self.shared.step(plain.len() + 1);
            if unsure.is_none()
                && let Some(colon) = plain.find(':')
            {
                unsure = Some((key.len() + colon, self.at - plain.len() + colon));
            }
            key.push_str(plain);
            let at = self.at;
            let next = self.peek();
            match next {
                None => {
                    return match unsure {
                        Some((length, back)) if key.len() < LOOK_AHEAD => {
                            self.left_open(key, length, back, start)
                        }
                        _ => None,
                    };
                }
                Some('\\') => self.escape(&mut key),
                Some(c)
                    if closes(c, close)
                        && let Some((length, back)) = unsure
                        && self.keys.knows(&key[..length])
                        && !self.keys.knows(&key) =>
                {
                    // `"key: 7}, {"other": 8`
                    return self.left_open(key, length, back, start);
                }
                Some(c) if closes(c, close) => {
                    self.bump(c);
                    let mut after = skip_comments(window(self.text, self.at), true);
                    if after
                        .strip_prefix('"')
                        .is_some_and(|rest| rest.trim_start().starts_with(':'))
                    {
                        // `"key"":`
                        let from = self.at;
                        self.bump('"');
                        self.note(Kind::Quotes, from);
                        after = after[1..].trim_start();
                    }
                    if after.starts_with([':', '=', '：']) || after.starts_with("->") {
                        return Some(key);
                    }
                    // `"key: "value"`
                    if let Some(colon) = key.rfind(':').filter(|at| key[at + 1..].trim().is_empty())
                    {
                        let back = at - (key.len() - colon);
                        return self.left_open(key, colon, back, start);
                    }
                    if after.is_empty() || !after.starts_with(|c: char| c.is_alphanumeric()) {
                        // A colon is missing behind it, or all of the value.
                        let has_value = after.starts_with(['"', '\'', '{', '[', '“'])
                            || after
                                .trim_start_matches(['+', '-', '.'])
                                .starts_with(|c: char| c.is_ascii_digit());
                        return has_value.then_some(key);
                    }
                    if after.starts_with(|c: char| c.is_ascii_digit())
                        || is_literal(after)
                        || self.keys.knows(&key)
                    {
                        return Some(key);
                    }
                    self.note(Kind::Escape, at);
                    key.push(c);
                }
                Some(c) => {
                    // A line break in a key.
                    if let Some((length, back)) = unsure {
                        return self.left_open(key, length, back, start);
                    }
                    self.bump(c);
                    if c == '”'
                        && close == '"'
                        && window(self.text, self.at).trim_start().starts_with(':')
                    {
                        self.note(Kind::Quotes, at);
                        return Some(key);
                    }
                    if c >= ' ' {
                        key.push(c);
                        continue;
                    }
                    self.note(Kind::Escape, at);
                    key.push(c);
                }
            }
            if key.len() > LOOK_AHEAD * 4 || self.failed {
                return None;
            }
        }
    }

    /// A key whose second mark is missing: it ends before the colon at `back`.
    fn left_open(
        &mut self,
        mut key: String,
        length: usize,
        back: usize,
        start: usize,
    ) -> Option<String> {
        key.truncate(length);
        self.at = back.min(self.at);
        if !self.rest().starts_with(':') {
            return None;
        }
        self.note(Kind::Quotes, start);
        // It may end in a mark of another kind: `"key':`.
        let key = key.trim();
        let inner = key.trim_end_matches(|c| closing(c).is_some());
        Some(if inner.is_empty() { key } else { inner }.to_owned())
    }
}

/// Whether a text begins with a literal.
fn is_literal(text: &str) -> bool {
    ["true", "false", "null", "True", "False", "None"]
        .iter()
        .filter_map(|word| text.strip_prefix(word))
        .any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"'))
}

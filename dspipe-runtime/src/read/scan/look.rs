//! Looking ahead: what follows, without taking it.

use super::{LOOK_AHEAD, Scanner, text};

impl<'t> Scanner<'t> {
    /// Whether an object follows the bracket and the comma here.
    pub(super) fn item_follows(&self) -> bool {
        let after = window(self.text, self.at + 1).trim_start();
        after
            .strip_prefix(',')
            .is_some_and(|after| after.trim_start().starts_with('{'))
    }

    /// Whether an object with a key stands at a position.
    pub(super) fn object_follows(&self, at: usize) -> bool {
        let inside = window(self.text, at);
        inside.strip_prefix('{').is_some_and(|inside| {
            let key = inside.trim_start();
            self.key_at(at + inside.len() + 1 - key.len())
        })
    }

    /// Whether a key and a colon stand at a position.
    pub(super) fn key_at(&self, at: usize) -> bool {
        self.key_seen(at).is_some()
    }

    /// The key at a position, if one and a colon stand there.
    pub(super) fn key_seen(&self, at: usize) -> Option<&'t str> {
        self.plain_key(at).or_else(|| self.mixed_key(at))
    }

    /// A key of the schema between marks of two kinds: `"key':`.
    fn mixed_key(&self, at: usize) -> Option<&'t str> {
        let rest = window(self.text, at);
        let (inner, other) = match rest.strip_prefix('"') {
            Some(inner) => (inner, '\''),
            None => (rest.strip_prefix('\'')?, '"'),
        };
        let (key, after) = inner.split_once(other)?;
        (after.trim_start().starts_with(':') && self.keys.knows(key)).then_some(key)
    }

    fn plain_key(&self, at: usize) -> Option<&'t str> {
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
}

/// Whether an object that was just closed goes on: a comma and a key follow.
pub(super) fn goes_on(rest: &str) -> bool {
    let inside = || {
        let after = rest.trim_start().strip_prefix(',')?.trim_start();
        let after = window(after, 0).strip_prefix(['"', '\''])?;
        let (_, after) = after.split_once(['"', '\'', '\n'])?;
        Some(after.trim_start().starts_with(':'))
    };
    inside().unwrap_or(false)
}

/// Whether a word with a hash in front stands for itself, as a colour or a topic does: no comment ends before a comma
/// or a bracket.
pub(super) fn is_tag(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|word| {
        let rest = window(word, 0)
            .trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
        rest.len() < word.len() && rest.trim_start_matches(' ').starts_with([',', ']', '}'])
    })
}

/// Whether a text begins with a comment.
pub(super) fn is_comment(text: &str) -> bool {
    ["//", "#", "/*", "<!--"]
        .iter()
        .any(|mark| text.starts_with(mark))
}

/// The length of the comment that a text begins with.
pub(super) fn comment(text: &str) -> usize {
    let end = if text.starts_with("//") || text.starts_with('#') {
        // On the last line, it leaves the brackets that are still to be closed.
        let brackets = || text.find(['}', ']']).filter(|_| text.len() < LAST_LINE);
        text.find('\n').or_else(brackets)
    } else if text.starts_with("/*") {
        text.find("*/").map(|end| end + 2)
    } else if text.starts_with("<!--") {
        text.find("-->").map(|end| end + 3)
    } else {
        Some(0)
    };
    end.unwrap_or(text.len())
}

/// A longer last line than this, in bytes, is a comment to its end: to look for its end again and again takes long.
const LAST_LINE: usize = 400;

pub(super) fn is_key_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '.' | '@')
}

/// The next bytes of a text, as far as it is looked ahead.
pub(super) fn window(text: &str, at: usize) -> &str {
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

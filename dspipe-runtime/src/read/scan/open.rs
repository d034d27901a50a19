//! Texts whose last mark is missing: where they should have ended.

use super::look::{is_key_char, window};
use super::text::{closing_marks, drop_other_mark};
use super::{Kind, LOOK_AHEAD, Place, Scanner};

impl Scanner<'_> {
    /// Whether the text ended before the last comma or line: `"a": "text, "b": 1`. Puts it right.
    pub(super) fn was_closed(&mut self, at: usize, text: &mut String, place: Place) -> bool {
        if place == Place::Object
            && let Some(key) = self.bare_key(text)
        {
            // `"a": "text, b: "`
            let back = at - (text.len() - key);
            if self.text.get(back..at) == text.get(key..) {
                text.truncate(key);
                self.at = back;
                self.end_before(text);
                self.note(Kind::Quotes, self.at);
                return true;
            }
        }
        let trimmed = before_comment(text);
        let by_line = text[trimmed.len()..].contains('\n');
        let known = match place {
            Place::Top => false,
            // Where any key may be, a word behind a comma is one.
            Place::Object => self.key_seen(at).is_some_and(|key| {
                let is_word = || trimmed.ends_with(',') && key.chars().all(is_key_char);
                self.keys.knows(key) || self.keys.may_be(key) && is_word()
            }),
            Place::List => trimmed.ends_with([',', ';']) && self.is_whole_text(at),
        };
        if !known || !(trimmed.ends_with([',', ';']) || by_line) {
            return false;
        }
        self.at = at;
        self.end_before(text);
        self.note(Kind::Quotes, self.at);
        true
    }

    /// Where a key of the schema begins that a text ends with: `text, key: `.
    fn bare_key(&self, text: &str) -> Option<usize> {
        let head = text.trim_end().strip_suffix(':')?;
        let key = head.trim_end_matches(is_key_char).len();
        let before = head[..key].trim_end();
        (before.ends_with([',', ';']) && self.keys.knows(&head[key..])).then_some(key)
    }

    /// Whether a text should have ended before this line: a key that is known, or brackets to the end.
    pub(super) fn is_left_open(&mut self, text: &mut String, begin: usize, place: Place) -> bool {
        if place == Place::Top {
            return false;
        }
        let window = window(self.text, self.at);
        let after = window.trim_start();
        let here = self.here(after, window);
        let ends_in_comma = before_comment(text).ends_with([',', ';']);
        let known = place == Place::Object
            && ends_in_comma
            && !after.starts_with(closing_marks)
            && self.key_seen(here).is_some_and(|key| self.keys.knows(key));
        let brackets = after.trim_start_matches(['}', ']', ' ', '\n', '\r', '\t', ',']);
        let closed = after.len() - brackets.len() > 0
            && after.starts_with(['}', ']'])
            && (brackets.is_empty() || brackets.starts_with("```"))
            && !self.text[begin..self.at].trim_end().is_empty();
        let next_item = place == Place::List
            && ends_in_comma
            && after.starts_with('"')
            && after[1..].find(['"', '\n']).is_some_and(|end| {
                after[1 + end..].starts_with('"')
                    && after[2 + end..].trim_start().starts_with([',', ']'])
            });
        if !(known || closed || next_item) {
            return false;
        }
        self.end_before(text);
        true
    }

    /// Takes off a text what is behind its end: commas, a comment, and brackets that are not open in it. These are
    /// read again.
    fn end_before(&mut self, text: &mut String) {
        let kept = before_comment(text).trim_end_matches([',', ';']).trim_end();
        let inner = kept.trim_end_matches(['}', ']', ',', ' ', '\n', '\r', '\t']);
        let count = |marks: [char; 2]| inner.matches(marks).count();
        let behind = &text[inner.len()..];
        let start = self.at.saturating_sub(behind.len());
        if kept.len() > inner.len()
            && kept[inner.len()..].contains(['}', ']'])
            && count(['{', '[']) <= count(['}', ']'])
            && self.text.get(start..self.at) == Some(behind)
        {
            let length = inner.len();
            text.truncate(length);
            self.at = start;
        } else {
            let length = kept.len();
            text.truncate(length);
        }
        drop_other_mark(text);
    }
}

/// A text without the comments that stand behind a comma at its end, if they are not long.
fn before_comment(text: &str) -> &str {
    let trimmed = text.trim_end();
    let mut start = trimmed.len().saturating_sub(LOOK_AHEAD);
    while !trimmed.is_char_boundary(start) {
        start += 1;
    }
    let mut near = &trimmed[start..];
    loop {
        let comment = if near.ends_with("*/") {
            near.rfind("/*")
        } else {
            let line = near.rfind('\n').map_or(0, |at| at + 1);
            let starts = |at: &usize| {
                let before = near[..*at].trim_end();
                let is_comment = near[*at..].starts_with('#') || near[*at..].starts_with("//");
                is_comment && (before.ends_with(',') || before.ends_with("*/"))
            };
            let marks = near[line..].match_indices(['/', '#']);
            let mut places = marks.map(|(at, _)| line + at);
            places.find(starts)
        };
        let Some(before) = comment.map(|at| near[..at].trim_end()) else {
            return trimmed;
        };
        if before.ends_with(',') {
            return &trimmed[..start + before.len()];
        }
        near = before;
    }
}

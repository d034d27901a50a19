//! Quoted texts, and where they end when quotation marks inside are not escaped.

use super::look::{comment, is_key_char, window};
use super::{Kind, LOOK_AHEAD, Place, Scanner};
use crate::read::tree::{Form, Node, NodeKind, Text};

/// The mark that closes a text, by the one that opens it.
pub(super) fn closing(open: char) -> Option<char> {
    Some(match open {
        '"' | '\'' => open,
        '“' | '”' | '„' | '‟' => '”',
        '‘' | '’' | '‚' | '‛' => '’',
        '«' => '»',
        '「' => '」',
        '`' => '`',
        '´' => '´',
        '＂' => '＂',
        _ => return None,
    })
}

/// Whether a mark closes what should be closed by another: models mix them.
pub(super) fn closes(c: char, close: char) -> bool {
    match close {
        '”' => matches!(c, '”' | '“' | '"'),
        '’' => matches!(c, '’' | '‘' | '\''),
        '`' => matches!(c, '`' | '´' | '\''),
        _ => c == close,
    }
}

impl<'t> Scanner<'t> {
    /// A quoted text, if one begins here.
    pub(super) fn text(&mut self, place: Place) -> Option<Node> {
        let start = self.at;
        let mut whole = self.one_text(place)?;
        // `"a" + "b"`
        while !self.strict && !whole.cut {
            let window = window(self.text, self.at);
            let Some(after) = skip_comments(window, true).strip_prefix('+') else {
                break;
            };
            let after = skip_comments(after, true);
            if after.is_empty() || after.chars().next().and_then(closing).is_none() {
                break;
            }
            let from = self.at;
            self.at += window.len() - after.len();
            self.note(Kind::Skipped, from);
            let Some(part) = self.one_text(place) else {
                break;
            };
            whole.text.push_str(&part.text);
            whole.cut = part.cut;
        }
        Some(self.node(start, NodeKind::Text(whole)))
    }

    pub(super) fn one_text(&mut self, place: Place) -> Option<Text> {
        let start = self.at;
        let rest = self.rest();
        let open = self.peek()?;
        if !self.strict {
            for mark in ["\"\"\"", "'''"] {
                if rest.starts_with(mark) {
                    return Some(self.long(mark));
                }
            }
            if rest.starts_with("\\\"") || rest.starts_with("\\'") {
                return Some(self.escaped());
            }
            // `""key""`
            let doubled = ["\"\"", "\'\'"].into_iter().find(|mark| {
                rest.strip_prefix(mark)
                    .is_some_and(|inner| inner.starts_with(char::is_alphanumeric))
            });
            if let Some(mark) = doubled {
                let window = window(self.text, start + 2);
                if let Some(end) = window.find(&mark[..1])
                    && window[end..].starts_with(mark)
                {
                    let text = window[..end].to_owned();
                    self.at = start + 2 + end + 2;
                    self.note(Kind::Quotes, start);
                    return Some(Text {
                        text,
                        form: Form::Quoted,
                        cut: false,
                    });
                }
            }
        }
        let close = closing(open)?;
        if open == '"' {
            self.bump('"');
        } else {
            if self.strict {
                self.failed = true;
                return None;
            }
            self.at += open.len_utf8();
            self.note(Kind::Quotes, start);
        }
        Some(self.quoted(close, place))
    }

    /// What stands between quotation marks, after the first.
    pub(super) fn quoted(&mut self, close: char, place: Place) -> Text {
        let outer = std::mem::take(&mut self.escapes);
        self.escapes.raw = outer.raw;
        let mut text = self.quoted_inner(close, place);
        let escapes = std::mem::replace(&mut self.escapes, outer);
        if escapes.unknown {
            escapes.put_back(&mut text.text);
        }
        text
    }

    fn quoted_inner(&mut self, close: char, place: Place) -> Text {
        let mut text = String::new();
        // Curly marks that are open inside.
        let mut curly = 0_usize;
        // The last mark that was escaped: in the text, and behind it in the reply.
        let mut escaped: Option<(usize, usize)> = None;
        // Brackets that are open inside the text: an object in it may have keys of its own.
        let mut open = 0_usize;
        let begin = self.at;
        // The last mark that was taken for a part of the text: in the text, and in the reply.
        let mut last: Option<(usize, usize)> = None;
        let mut marks = 0_usize;
        loop {
            let plain = self.plain(close);
            self.shared.step(plain.len() + 1);
            open = plain.bytes().fold(open, |open, c| match c {
                b'{' | b'[' => open + 1,
                b'}' | b']' => open.saturating_sub(1),
                _ => open,
            });
            text.push_str(plain);
            let Some(c) = self.peek() else {
                break;
            };
            let at = self.at;
            if c == '\\' {
                let length = text.len();
                self.escape(&mut text);
                if text[length..] == *"\"" {
                    escaped = Some((length, self.at));
                }
            } else if matches!(c, '“' | '”') && close == '"' {
                self.bump(c);
                // A curly mark closes what a straight one opened, if it closes no other.
                if c == '”'
                    && curly == 0
                    && open == 0
                    && self.is_closing(close, place, open, marks % 2 == 1)
                {
                    self.note(Kind::Quotes, at);
                    return whole(text);
                }
                curly = if c == '“' {
                    curly + 1
                } else {
                    curly.saturating_sub(1)
                };
                text.push(c);
            } else if c == '"' && close == '\'' {
                self.bump(c);
                // `'text"`: marks of two kinds.
                if open == 0 && place != Place::Top && !text.contains('"') && self.ends_for_sure() {
                    self.note(Kind::Quotes, at);
                    return whole(text);
                }
                text.push(c);
            } else if closes(c, close) {
                self.bump(c);
                if self.strict || self.is_closing(close, place, open, marks % 2 == 1) {
                    if marks == 1 && last.is_some_and(|(first, _)| first == 0) && text.len() > 1 {
                        // `""value"`: one mark too many.
                        text.remove(0);
                    }
                    return whole(text);
                }
                if marks.is_multiple_of(2) && self.rest().starts_with(c) && !closes_twice(c) {
                    // `"text""`: one mark too many.
                    let back = self.at;
                    self.bump(c);
                    if self.is_closing(close, place, open, false) {
                        self.note(Kind::Quotes, back);
                        return whole(text);
                    }
                    self.at = back;
                }
                if open == 0 && self.was_closed(at, &mut text, place) {
                    if escaped.is_some_and(|(length, _)| length + 1 == text.len()) {
                        // `"C:\tmp\",`: it was the mark that closes, and the backslash is one of the text.
                        text.truncate(text.len() - 1);
                        text.push('\\');
                    }
                    return whole(text);
                }
                self.note(Kind::Escape, at);
                last = Some((text.len(), self.at));
                marks += 1;
                text.push(c);
            } else {
                // A control character.
                self.bump(c);
                self.note(Kind::Escape, at);
                text.push(c);
                if c == '\n' && open == 0 && self.is_left_open(&mut text, begin, place) {
                    self.note(Kind::Quotes, at);
                    return whole(text);
                }
            }
            if self.failed {
                break;
            }
        }
        let last = last.filter(|_| marks % 2 == 1);
        self.at_the_end(text, place, open, escaped, last)
    }

    /// A text in which the reply ends. `escaped` and `last` are marks that may have closed it: where they stand in the
    /// text, and behind them in the reply.
    fn at_the_end(
        &mut self,
        mut text: String,
        place: Place,
        open: usize,
        escaped: Option<(usize, usize)>,
        last: Option<(usize, usize)>,
    ) -> Text {
        if place != Place::Top
            && let Some((length, after)) = escaped
            && self.text[after..].contains(['}', ']'])
            && self.text[after..]
                .trim_end_matches('`')
                .chars()
                .all(|c| matches!(c, '}' | ']') || c.is_whitespace())
        {
            // `{"a": "C:\tmp\"}`
            text.truncate(length);
            text.push('\\');
            self.at = after;
            self.note(Kind::Escape, after - 2);
            return whole(text);
        }
        if place != Place::Top
            && let Some((length, after)) = last
            && text[length..]
                .trim_end_matches([' ', '\n', '`'])
                .ends_with(['}', ']'])
        {
            // The brackets behind it are closed, so this was the end, and the rest belongs nowhere.
            text.truncate(length);
            self.at = after;
            return whole(text);
        }
        self.note(Kind::Unfinished, self.at);
        let length = text.len();
        if place != Place::Top {
            trim_cut(&mut text, open);
        }
        // What stood behind the text was its end, so that only the mark was missing.
        let cut = text.len() == length;
        if !cut {
            drop_other_mark(&mut text);
        }
        Text {
            text,
            form: Form::Quoted,
            cut,
        }
    }

    /// Characters that mean themselves.
    pub(super) fn plain(&mut self, close: char) -> &'t str {
        let rest = self.rest();
        let strict_stop = |c: char| c == '\\' || c == '"' || c < ' ';
        let end = if close == '"' && self.strict {
            rest.find(strict_stop)
        } else if close == '"' {
            rest.find(|c: char| strict_stop(c) || matches!(c, '“' | '”'))
        } else if close == '\'' {
            rest.find(|c: char| matches!(c, '\\' | '\'' | '"') || c < ' ')
        } else {
            rest.find(|c: char| c == '\\' || c < ' ' || closes(c, close))
        };
        let end = end.unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Whether the mark that was just passed ends the text: what follows is what follows a text here. `paired` tells
    /// whether it closes one inside the text.
    fn is_closing(&self, close: char, place: Place, open: usize, paired: bool) -> bool {
        let window = window(self.text, self.at);
        self.shared.step(1);
        let after = skip_comments(window, true);
        let Some(next) = after.chars().next() else {
            return true;
        };
        if after.starts_with("```") {
            return true;
        }
        let here = self.at + (window.len() - after.len());
        let line_break = window[..window.len() - after.len()].contains('\n');
        match (place, next) {
            (Place::Top, _) => self.rest().trim().is_empty(),
            (_, ']') if self.lists > 0 => self.is_structural(here + 1, open),
            (_, '}') if self.objects > 0 => self.is_structural(here + 1, open),
            // One too many.
            (_, ']' | '}') => open == 0,
            (Place::Object, ',' | ';' | '，' | '、') => {
                let mut after = skip_comments(&after[next.len_utf8()..], true);
                while let Some(next) = after.strip_prefix(',') {
                    after = skip_comments(next, true);
                }
                if after.is_empty() || after.starts_with(['}', ']']) {
                    return true;
                }
                let key = self.here(after, window);
                if open == 0 && self.lists > 0 && self.object_follows(key) {
                    // The object ends with the text; its bracket is missing.
                    return true;
                }
                // In an object that is written in the text, only a key of the schema tells its end.
                self.is_cut_key(key)
                    || self
                        .key_seen(key)
                        .is_some_and(|key| open == 0 || self.keys.knows(key))
                    || after.starts_with("...")
                    || open == 0
                        && (self.long_key(key)
                            || self.known_key(key)
                            || self.ends_list(key)
                            || self.known_behind_word(key))
            }
            (Place::List, ',' | ';' | '，' | '、') => {
                let after = skip_comments(&after[next.len_utf8()..], true);
                let mut following = after.chars();
                match following.next() {
                    None | Some(']' | '}' | '[' | '{' | '-' | '0'..='9' | ',') => true,
                    Some('…' | '.') => after.starts_with("...") || after.starts_with('…'),
                    Some(c) if closing(c).is_some() => {
                        c != '\'' && c != '’' || close == '\'' || close == '’'
                    }
                    Some(c) if !paired && open == 0 && c.is_alphanumeric() => true,
                    Some(_) => ["true", "false", "null", "None", "True", "False"]
                        .iter()
                        .any(|word| after.starts_with(word)),
                }
            }
            (Place::Object, c) if closing(c).is_some() || line_break => {
                self.key_at(here) && open == 0
            }
            // `"text" key: …`
            (Place::Object, c) if c.is_alphabetic() && window.starts_with(' ') => {
                open == 0 && self.key_seen(here).is_some_and(|key| self.keys.knows(key))
            }
            (Place::List, c) if closes(c, close) && closing(c).is_some() => {
                // The next text, with no comma between.
                let inner = &after[c.len_utf8()..];
                open == 0
                    && !inner.trim_start().starts_with([',', ']', '}'])
                    && inner.contains(|c| closes(c, close))
                    && (line_break || window.starts_with(' '))
            }
            (Place::List, '0'..='9' | '-' | '{' | '[') => {
                open == 0 && window.starts_with([' ', '\n'])
            }
            (Place::List, ')') => skip_comments(&after[1..], true)
                .chars()
                .next()
                .is_none_or(|c| matches!(c, ',' | '}' | ']')),
            (_, '+') => true,
            _ => false,
        }
    }

    /// Whether a key of the schema follows a comma here, or brackets to the end.
    fn ends_for_sure(&self) -> bool {
        let window = window(self.text, self.at);
        let after = window.trim_start();
        let rest = after.trim_start_matches(['}', ']', ' ', '\n', '\r', '\t']);
        if let Some(next) = rest.strip_prefix(',') {
            let next = next.trim_start();
            return self
                .key_seen(self.here(next, window))
                .is_some_and(|key| self.keys.knows(key));
        }
        rest.len() < after.len() && (rest.is_empty() || rest.starts_with("```"))
    }

    /// The position of a part of the window.
    pub(super) fn here(&self, part: &str, window: &str) -> usize {
        self.at + (window.len() - part.len())
    }

    /// Whether a bracket before `at` can be one of the structure: what follows it is.
    fn is_structural(&self, at: usize, open: usize) -> bool {
        if open == 0 {
            return true;
        }
        // Inside brackets of the text itself, all that is open around it must be closed here.
        let after = window(self.text, at);
        let closed = after.trim_start();
        let rest = closed.trim_start_matches(['}', ']', ' ', '\n', '\r', '\t']);
        let brackets = closed.len() - rest.len();
        brackets + 1 >= self.lists + self.objects && (rest.is_empty() || rest.starts_with("```"))
            || rest.starts_with(',') && self.key_after(at, after, rest)
    }

    fn key_after(&self, at: usize, window: &str, rest: &str) -> bool {
        let after = rest[1..].trim_start();
        self.key_at(at + window.len() - after.len())
    }

    /// Whether a whole text in quotation marks stands at a position of a list.
    pub(super) fn is_whole_text(&self, at: usize) -> bool {
        let inside = || {
            let text = window(self.text, at).strip_prefix('"')?;
            let is_mark =
                |at: &usize| text[*at..].starts_with(['"', '\n']) && !text[..*at].ends_with('\\');
            let end = text.char_indices().map(|(at, _)| at).find(is_mark)?;
            Some(text[end + 1..].trim_start().starts_with([',', ']']))
        };
        inside().unwrap_or(false)
    }

    /// Whether texts and the end of a list follow, though no list is open: its first bracket is missing.
    pub(super) fn ends_list(&self, at: usize) -> bool {
        let mut rest = window(self.text, at);
        loop {
            let text = rest
                .trim_start()
                .strip_prefix('"')
                .and_then(|inner| inner.split_once(['"', '\n']));
            let Some((_, after)) = text else {
                return false;
            };
            let after = after.trim_start();
            if after.starts_with(']') {
                return self.lists == 0;
            }
            let Some(after) = after.strip_prefix(',') else {
                return false;
            };
            rest = after;
        }
    }

    /// A key that the end of the reply cuts off.
    fn is_cut_key(&self, at: usize) -> bool {
        let window = window(self.text, at);
        at + window.len() == self.text.len()
            && window.strip_prefix(['"', '\'']).is_some_and(|key| {
                // Its second mark may be there.
                let key = key.strip_suffix(['"', '\'']).unwrap_or(key);
                !key.contains(['"', '\'', ':', '\n', '}', ']'])
            })
    }

    /// A key of the schema, though a mark or the colon behind it is missing.
    pub(super) fn known_key(&self, at: usize) -> bool {
        let window = window(self.text, at);
        let first = window.chars().next();
        if let Some((open, close)) = first.and_then(|open| Some((open, closing(open)?))) {
            let inner = &window[open.len_utf8()..];
            if inner
                .find(|c| closes(c, close))
                .is_some_and(|end| self.keys.knows(&inner[..end]))
            {
                return true;
            }
        }
        let inner = window.strip_prefix('"').unwrap_or(window);
        let end = inner.find(|c: char| !is_key_char(c)).unwrap_or(inner.len());
        let opened = inner.len() < window.len();
        let closed = inner[end..].starts_with('"');
        let after = inner[end..].trim_start_matches(['"', ' ']);
        let key = &inner[..end];
        // `b":` is a key wherever one may be.
        let is_key = self.keys.knows(key) || closed && !key.is_empty() && self.keys.may_be(key);
        is_key && (opened || closed) && after.starts_with(':')
    }

    /// A key of the schema behind a word that belongs nowhere: `COMMENT "key": …`.
    fn known_behind_word(&self, at: usize) -> bool {
        let window = window(self.text, at);
        let rest = window.trim_start_matches(|c: char| c.is_alphabetic() || c == '_');
        let after = rest.trim_start_matches(' ');
        rest.len() < window.len()
            && after.len() < rest.len()
            && after.starts_with('"')
            && self
                .key_seen(at + window.len() - after.len())
                .is_some_and(|key| self.keys.knows(key))
    }

    /// A key that is longer than it is looked ahead otherwise.
    fn long_key(&self, at: usize) -> bool {
        let window = window(self.text, at);
        window.len() + 4 >= LOOK_AHEAD
            && window.starts_with('"')
            && !window[1..].contains(['"', '\n'])
    }
}

/// Takes off the mark of another kind that was to close a text: `"text'`.
pub(super) fn drop_other_mark(text: &mut String) {
    // Of a pair in the text, the second is a part of it; apostrophes are no marks.
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    for mark in ['\'', '"', '’', '`'] {
        let is_mark = |(at, _): &(usize, &str)| {
            let before = text[..*at].chars().next_back();
            let after = text[*at..].chars().nth(1);
            !(is_letter(before) && is_letter(after))
        };
        if text.ends_with(mark) && text.match_indices(mark).filter(is_mark).count() % 2 == 1 {
            text.pop();
            return;
        }
    }
}

/// A text that ends with its mark.
fn whole(text: String) -> Text {
    Text {
        text,
        form: Form::Quoted,
        cut: false,
    }
}

/// Whether two of a mark are a mark of their own.
fn closes_twice(c: char) -> bool {
    c == '`'
}

pub(super) fn closing_marks(c: char) -> bool {
    closing(c).is_some()
}

/// A text behind its comments, and behind all white space before and between them, or that of the line.
pub(super) fn skip_comments(text: &str, lines: bool) -> &str {
    let skip = |text: &'_ str| {
        if lines {
            text.len() - text.trim_start().len()
        } else {
            text.len() - text.trim_start_matches([' ', '\t']).len()
        }
    };
    let mut at = skip(text);
    loop {
        let length = comment(&text[at..]);
        if length == 0 {
            return &text[at..];
        }
        at += length;
        at += skip(&text[at..]);
    }
}

/// Takes off what closed the reply, where only the closing mark of its last text is missing:
/// a fence, and brackets that are not open in the text.
fn trim_cut(text: &mut String, open: usize) {
    let trimmed = text.trim_end();
    let mut rest = match trimmed.strip_suffix("```") {
        Some(rest) => rest.trim_end(),
        None => trimmed,
    };
    if open == 0 {
        let opened = rest.matches(['{', '[']).count();
        let mut closed = rest.matches(['}', ']']).count();
        while closed > opened && rest.ends_with(['}', ']']) {
            rest = rest[..rest.len() - 1].trim_end();
            closed -= 1;
        }
    }
    if rest.len() < trimmed.len() {
        let length = rest.len();
        text.truncate(length);
    }
}

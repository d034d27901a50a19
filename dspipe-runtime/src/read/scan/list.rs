//! Lists, also as Python writes them, and lists that lack their first bracket.

use super::look::{goes_on, window};
use super::{Kind, MAX_DEPTH, Place, Scanner};
use crate::read::tree::{Form, Node, NodeKind, Text};

impl Scanner<'_> {
    pub(super) fn list(&mut self, depth: usize, open: char, close: char) -> Option<Node> {
        let start = self.at;
        self.bump(open);
        if open != '[' {
            self.note(Kind::Bracket, start);
        }
        self.lists += 1;
        // A set ends as an object does.
        self.objects += usize::from(open == '{');
        let inside = std::mem::replace(&mut self.inside, Place::List);
        let mut items = Vec::new();
        let cut = self.items(depth, &mut items, close)?;
        self.lists -= 1;
        self.objects -= usize::from(open == '{');
        self.inside = inside;
        let node = self.node(start, NodeKind::List(items));
        Some(Node { cut, ..node })
    }

    pub(super) fn items(
        &mut self,
        depth: usize,
        items: &mut Vec<Node>,
        close: char,
    ) -> Option<bool> {
        let mut needs_comma = false;
        loop {
            let from = self.at;
            let commas = self.commas();
            if self.failed {
                return None;
            }
            let ends = matches!(self.peek(), Some('}' | ']')) || self.is_end();
            if commas > usize::from(needs_comma && !ends) {
                self.note(Kind::Comma, from);
            }
            match self.peek() {
                _ if self.is_end() => {
                    self.note(Kind::Unfinished, self.at);
                    return Some(true);
                }
                Some(c) if c == close || c == ']' => {
                    self.bump(c);
                    return Some(false);
                }
                Some('}') if window(self.text, self.at + 1).trim_start().starts_with(']') => {
                    // One too many.
                    let from = self.at;
                    self.bump('}');
                    self.note(Kind::Bracket, from);
                    continue;
                }
                Some('}') if self.objects > 0 && goes_on(&self.rest()[1..]) => {
                    // The wrong bracket: another key of the object around the list follows.
                    let from = self.at;
                    self.bump('}');
                    self.note(Kind::Bracket, from);
                    return Some(false);
                }
                Some('}') if self.objects > 0 => {
                    // The object around it is closed.
                    self.note(Kind::Bracket, self.at);
                    return Some(false);
                }
                Some(c @ ('}' | ')' | ';' | ':')) => {
                    let from = self.at;
                    self.bump(c);
                    self.note(Kind::Bracket, from);
                    continue;
                }
                _ => {}
            }
            if self.dots() {
                continue;
            }
            if needs_comma && commas == 0 {
                self.note(Kind::Comma, self.at);
            }
            // A key here belongs to an object whose bracket is missing.
            if !self.strict && self.key_at(self.at) && self.objects + self.lists > 0 {
                let start = self.at;
                let scalars = !items.is_empty()
                    && items
                        .iter()
                        .all(|item| !matches!(item.kind, NodeKind::Object(_)));
                if scalars && self.objects > 0 {
                    // It belongs to the object around the list, whose end is missing.
                    self.note(Kind::Bracket, start);
                    return Some(false);
                }
                self.note(Kind::Bracket, start);
                if depth + 1 >= MAX_DEPTH {
                    self.failed = true;
                    self.shared.too_deep.set(self.base + self.at);
                    return None;
                }
                self.objects += 1;
                self.inside = Place::Object;
                let mut entries = Vec::new();
                self.entries(depth + 1, &mut entries)?;
                self.objects -= 1;
                self.inside = Place::List;
                items.push(self.node(start, NodeKind::Object(entries)));
                needs_comma = true;
                continue;
            }
            let before = self.at;
            match self.value(depth + 1, Place::List) {
                Some(item) => items.push(item),
                None if self.is_end() && !self.failed => {}
                None => return None,
            }
            if self.failed || depth == 0 && items.len() == 1 && self.is_prose(&items[0]) {
                return None;
            }
            if self.at == before {
                // Nothing was taken; never stand still.
                match self.peek() {
                    Some(c) => self.bump(c),
                    None => return Some(false),
                }
            }
            needs_comma = true;
        }
    }

    /// Whether the first item shows that a bracket in prose was taken for a list: `[see below: …`.
    pub(super) fn is_prose(&self, first: &Node) -> bool {
        match &first.kind {
            NodeKind::Text(Text {
                form: Form::Bare, ..
            }) => !matches!(
                self.rest().trim_start().chars().next(),
                Some(',' | ';' | ']')
            ),
            _ => false,
        }
    }

    /// The list that a text begins whose first bracket is missing: `"a", "b"]`.
    pub(super) fn rest_of_list(&mut self, first: Node, depth: usize) -> Node {
        let is_text = matches!(&first.kind, NodeKind::Text(text) if !text.cut);
        let after = window(self.text, self.at).trim_start();
        if self.strict || self.lists > 0 || !is_text || !after.starts_with(',') {
            return first;
        }
        let inner = &after[1..];
        let here = self.at + window(self.text, self.at).len() - inner.len();
        if !self.ends_list(here) {
            return first;
        }
        let span = first.span.start - self.base;
        self.note(Kind::Bracket, span);
        self.lists += 1;
        let mut items = vec![first];
        self.at = here;
        let ended = self.items(depth, &mut items, ']');
        self.lists -= 1;
        let node = self.node(span, NodeKind::List(items));
        Node {
            cut: ended != Some(false),
            ..node
        }
    }

    /// Whether a brace opens a set, as in Python: `{"a", "b"}`.
    pub(super) fn is_set(&self) -> bool {
        if self.strict {
            return false;
        }
        let numbers = window(self.text, self.at + 1).trim_start();
        let rest = numbers
            .trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
        if rest.len() < numbers.len() && rest.trim_start().starts_with(',') {
            return true;
        }
        let inside = || {
            let after = window(self.text, self.at + 1)
                .trim_start()
                .strip_prefix(['"', '\''])?;
            let (_, after) = after.split_once(['"', '\''])?;
            Some(after.trim_start().starts_with([',', '}']))
        };
        inside().unwrap_or(false)
    }

    /// Whether a bracket opens a tuple, as in Python: `("a", 1)`.
    pub(super) fn is_tuple(&self) -> bool {
        let window = window(self.text, self.at + 1).trim_start();
        let is_value = window.starts_with(['"', '\'', '[', '{'])
            || window.starts_with(|c: char| c.is_ascii_digit());
        !self.strict
            && is_value
            && window
                .find(',')
                .is_some_and(|comma| !window[..comma].contains([')', '\n']))
    }
}

//! Objects: their entries, and what may stand between them.

use super::look::goes_on;
use super::{Kind, Place, Scanner};
use crate::read::tree::{Entry, Node, NodeKind};

impl Scanner<'_> {
    pub(super) fn object(&mut self, depth: usize) -> Option<Node> {
        let start = self.at;
        self.bump('{');
        self.objects += 1;
        let inside = std::mem::replace(&mut self.inside, Place::Object);
        let mut entries = Vec::new();
        let cut = self.entries(depth, &mut entries)?;
        self.objects -= 1;
        self.inside = inside;
        let node = self.node(start, NodeKind::Object(entries));
        Some(Node { cut, ..node })
    }

    /// The entries of an object, and its end; whether that is missing.
    #[expect(
        clippy::too_many_lines,
        reason = "one loop over all that may stand between entries"
    )]
    pub(super) fn entries(&mut self, depth: usize, entries: &mut Vec<Entry>) -> Option<bool> {
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
                Some('}') => {
                    self.bump('}');
                    if depth == 0 && !self.strict && goes_on(self.rest()) {
                        // Closed too early: `{"a": 1}, "b": 2}`.
                        self.note(Kind::Bracket, self.at - 1);
                        needs_comma = true;
                        continue;
                    }
                    return Some(false);
                }
                Some(c) if depth == 0 && self.call == Some(c) => {
                    self.bump(c);
                    return Some(false);
                }
                Some(']') if self.lists > 0 && self.item_follows() => {
                    // The wrong bracket: another object of the list follows.
                    let from = self.at;
                    self.bump(']');
                    self.note(Kind::Bracket, from);
                    return Some(false);
                }
                Some(']') if self.lists > 0 => {
                    // The list around it is closed.
                    self.note(Kind::Bracket, self.at);
                    return Some(false);
                }
                Some(c @ (']' | ')' | ';')) => {
                    let from = self.at;
                    self.bump(c);
                    self.note(Kind::Bracket, from);
                    continue;
                }
                Some('{') if self.lists > 0 && needs_comma && self.object_follows(self.at) => {
                    // Its end is missing: another object of the list begins.
                    self.note(Kind::Bracket, self.at);
                    return Some(false);
                }
                _ => {}
            }
            if self.dots() {
                needs_comma = false;
                continue;
            }
            if needs_comma && commas == 0 {
                self.note(Kind::Comma, self.at);
            }
            let key_start = self.at;
            let Some(key) = self.key() else {
                if entries.is_empty() && depth == 0 || self.failed {
                    // Not an object, but a brace in prose.
                    return None;
                }
                if self.is_end() {
                    self.note(Kind::Unfinished, key_start);
                    return Some(true);
                }
                self.junk(key_start);
                needs_comma = true;
                continue;
            };
            let key_span = self.base + key_start..self.base + self.at;
            self.colon();
            self.skip();
            let code = self.code();
            match self.peek() {
                _ if code.is_some() => {}
                _ if self.is_end() => {
                    // What the key stands for was cut off.
                    self.note(Kind::Unfinished, key_start);
                    return Some(true);
                }
                Some(',' | '}' | ']') => {
                    // It was left out.
                    self.note(Kind::Skipped, key_start);
                    needs_comma = true;
                    continue;
                }
                _ => {}
            }
            let node = match code.or_else(|| self.value(depth + 1, Place::Object)) {
                Some(node) => self.rest_of_list(node, depth),
                None if self.is_end() && !self.failed => {
                    self.note(Kind::Unfinished, key_start);
                    return Some(true);
                }
                None => return None,
            };
            entries.push(Entry {
                key,
                key_span,
                node,
            });
            if self.strict && self.failed {
                return None;
            }
            needs_comma = true;
        }
    }
}

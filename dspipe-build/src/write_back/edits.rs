//! Edits of byte ranges, and where in a text of YAML they go.

use crate::yaml::{Key, Kind, Node};

/// What is to change in a text. Lines are inserted at the end of the line before, so that a last line without
/// a break needs no care.
pub(super) struct Edits<'t> {
    pub(super) text: &'t str,
    edits: Vec<(usize, usize, String)>,
    eol: &'static str,
}

/// Where the value of a key is written.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// After the colon, or the anchor, before the value.
    pub(super) lead: usize,
    pub(super) start: usize,
}

impl<'t> Edits<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let eol = match text.find('\n') {
            Some(at) if text[..at].ends_with('\r') => "\r\n",
            _ => "\n",
        };
        Self {
            text,
            edits: Vec::new(),
            eol,
        }
    }

    pub(super) fn replace(&mut self, start: usize, end: usize, text: impl Into<String>) {
        self.edits.push((start, end, text.into()));
    }

    /// Puts lines below the one that this byte is in.
    pub(super) fn insert_lines(&mut self, below: usize, lines: &[String]) {
        let at = self.line_end(below);
        self.replace_lines(at, at, lines);
    }

    /// Puts lines in place of what is between the ends of two lines.
    pub(super) fn replace_lines(&mut self, start: usize, end: usize, lines: &[String]) {
        let lines = lines.iter().map(|line| format!("{}{line}", self.eol));
        let text = lines.collect();
        self.edits.push((start, end, text));
    }

    pub(super) fn apply(mut self) -> String {
        // From the end, so that what is before an edit stays where it is. Of two at one place the one that takes
        // something away goes first, and then the one that was asked for last.
        let mut edits: Vec<(usize, (usize, usize, String))> =
            self.edits.drain(..).enumerate().collect();
        edits.sort_by_key(|(index, (start, end, _))| (*start, *end, *index));
        let mut text = self.text.to_owned();
        for (_, (start, end, new)) in edits.into_iter().rev() {
            text.replace_range(start..end, &new);
        }
        text
    }

    pub(super) fn starts_with(&self, at: usize, wanted: char) -> bool {
        self.text
            .get(at..)
            .is_some_and(|rest| rest.starts_with(wanted))
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |at| at + 1)
    }

    /// Before the break of the line.
    pub(super) fn line_end(&self, at: usize) -> usize {
        let rest = &self.text[at..];
        let line = rest.split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        at + line.len()
    }

    /// How far from the start of its line a key is.
    pub(super) fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at].chars().count()
    }

    /// Where a node ends. The spans of block scalars reach to the next token, those of aliases are elsewhere.
    pub(super) fn end(&self, node: &Node) -> usize {
        match &node.kind {
            Kind::Map(entries) if !self.is_flow(node) => match entries.last() {
                Some((key, value)) => self.value_end(key, value),
                None => node.span.end,
            },
            _ => {
                let blank = [' ', '\t', '\r', '\n'];
                let text = &self.text[node.span.start..node.span.end];
                node.span.start + text.trim_end_matches(blank).len()
            }
        }
    }

    fn value_end(&self, key: &Key, value: &Node) -> usize {
        match self.value_of(key.span.end) {
            Some(place) if self.starts_with(place.start, '*') => self.token_end(place.start),
            Some(place) if self.keeps_breaks(place.start) => {
                let last = self.line_start(value.span.end).saturating_sub(1);
                let end = self.line_end(self.line_start(last));
                end.max(self.end(value))
            }
            _ => self.end(value),
        }
    }

    /// Whether a block scalar with `+` starts here: the empty lines at its end are a part of it.
    fn keeps_breaks(&self, at: usize) -> bool {
        (self.starts_with(at, '|') || self.starts_with(at, '>'))
            && self.text[at..self.token_end(at)].contains('+')
    }

    /// Whether a collection is written in brackets.
    pub(super) fn is_flow(&self, node: &Node) -> bool {
        self.starts_with(node.span.start, '{') || self.starts_with(node.span.start, '[')
    }

    /// Where the value of the key that ends here is written; `None` if that cannot be seen.
    pub(super) fn value_of(&self, key_end: usize) -> Option<Place> {
        let colon = self.skip_blank(key_end);
        self.starts_with(colon, ':').then_some(())?;
        let mut lead = colon + 1;
        loop {
            let start = self.skip_blank(lead);
            if !self.starts_with(start, '&') && !self.starts_with(start, '!') {
                return Some(Place { lead, start });
            }
            lead = self.token_end(start);
        }
    }

    /// The end of an anchor or alias.
    pub(super) fn token_end(&self, at: usize) -> usize {
        let rest = &self.text[at..];
        let end = rest.find(|c: char| c.is_ascii_whitespace() || matches!(c, ',' | ']' | '}'));
        at + end.unwrap_or(rest.len())
    }

    /// Behind white space and comments.
    fn skip_blank(&self, mut at: usize) -> usize {
        loop {
            let rest = &self.text[at..];
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
            at += blank;
            if !self.starts_with(at, '#') {
                return at;
            }
            at = self.line_end(at);
        }
    }
}

//! Where in a reply the answer can be.

use std::ops::Range;

use super::coerce::unfenced;
use super::layout::{self, Names, key_line};
use super::repair::RepairKind;
use super::scan::{self, Scanned, Shared};
use super::schema::Schema;
use super::tree::{Form, Node, NodeKind, Slip, Text};

/// Something in a reply that can be the answer.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) node: Node,
    pub(super) slips: Vec<Slip>,
    /// The part of the reply that it takes up.
    pub(super) range: Range<usize>,
    pub(super) place: Place,
}

/// Where a candidate stands; the earlier, the likelier it is meant as the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// It is the whole reply.
    Whole,
    /// In a fence.
    Fence,
    /// Among other text.
    Prose,
    /// The text without anything that marks it.
    Bare,
}

/// A reply, taken apart.
#[derive(Debug)]
pub(super) struct Reply<'t> {
    text: &'t str,
    /// Reasoning before the answer.
    pub(super) thinking: Vec<Range<usize>>,
    /// Whether the reasoning does not end, so that the answer can only be the last of it.
    unclosed: bool,
    /// Whether something in it is nested too deep to be read.
    pub(super) too_deep: bool,
    /// JSON, or something like it, outside the reasoning.
    pub(super) json: Vec<Candidate>,
}

/// Tags of reasoning.
pub(crate) const THINKING: [&str; 10] = [
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reflection",
    "scratchpad",
    "analysis",
    "inner_monologue",
    "chain_of_thought",
];

/// What stands around reasoning, other than a tag and its end.
const BLOCKS: [(&str, &str); 11] = [
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("<|think|>", "<|/think|>"),
    ("<seed:think>", "</seed:think>"),
    ("<unused94>thought", "<unused95>"),
    ("```thinking\n", "\n```"),
    ("```reasoning\n", "\n```"),
    ("```thought\n", "\n```"),
];

/// Tags of the answer, where that is not an object.
const ANSWER: [&str; 7] = [
    "answer",
    "final_answer",
    "result",
    "output",
    "response",
    "value",
    "solution",
];

impl<'t> Reply<'t> {
    /// `lists` tells whether brackets are looked at, besides braces.
    pub(super) fn new(text: &'t str, schema: &Schema, shared: &Shared, lists: bool) -> Self {
        let mut reply = Self {
            text,
            thinking: Vec::new(),
            unclosed: false,
            too_deep: false,
            json: Vec::new(),
        };
        reply.find(schema, shared, lists);
        reply
    }

    fn find(&mut self, schema: &Schema, shared: &Shared, lists: bool) {
        let keys = schema.keys();
        let names = Names::all(schema.objects(schema.root()).into_iter());
        let text = self.text;
        let mut at = 0;
        let mut fenced = false;
        let wants_list = schema.is_list(schema.root());
        shared.step(text.len());
        while let Some(found) = text[at..].find(['{', '[', '`', '<', '"', '(', '◁']) {
            let here = at + found;
            let rest = &text[here..];
            if shared.is_worn() {
                return;
            }
            if let Some(next) = self.block(here) {
                at = next;
                continue;
            }
            at = here + rest.chars().next().map_or(1, char::len_utf8);
            match rest.as_bytes()[0] {
                b'`' if rest.starts_with("```") => {
                    fenced = !fenced;
                    at = here + rest.len() - rest.trim_start_matches('`').len();
                }
                b'<' => {
                    if let Some(next) = self.reasoning(here, &names) {
                        at = next;
                    }
                }
                b'[' if layout::marker(rest).is_some() => {
                    at = here + layout::marker(rest).map_or(1, |(_, length)| length);
                }
                b'[' if !lists => {}
                b'{' | b'[' => match scan::value_at(text, here, 0, keys, shared) {
                    Some(scanned) => {
                        at = scanned.end.max(at);
                        self.add(here, scanned, fenced, wants_list);
                    }
                    None if shared.too_deep.take() > 0 => {
                        // What is inside it is not the answer.
                        self.too_deep = true;
                        at = closed_at(text, here);
                    }
                    None => {}
                },
                b'(' if text[..here].ends_with(|c: char| c.is_alphanumeric() || c == '_')
                    && let Some(scanned) = scan::entries_at(text, here + 1, keys, shared) =>
                {
                    at = scanned.end.max(at);
                    self.add(here + 1, scanned, fenced, wants_list);
                }
                b'"' if self.begins_line(here)
                    && !rest[1..].trim_start().starts_with(['{', '['])
                    && self.json.is_empty()
                    && let Some(scanned) = scan::entries_at(text, here, keys, shared) =>
                {
                    at = scanned.end.max(at);
                    self.add(here, scanned, fenced, wants_list);
                }
                b'"' if self.begins_line(here)
                    && rest[1..].starts_with(['{', '['])
                    && let Some(scanned) = scan::json_at(text, here, keys, shared)
                    && text[..scanned.end - 1].trim_end().ends_with(['}', ']']) =>
                {
                    // An object that was made a text, on a line of its own.
                    at = scanned.end.max(at);
                    self.add(here, scanned, fenced, wants_list);
                }
                b'"' if text[..here].trim().is_empty() => {
                    // The whole reply as a text.
                    if let Some(scanned) = scan::value_at(text, here, 0, keys, shared) {
                        let closed = matches!(&scanned.node.kind, NodeKind::Text(text) if !text.cut)
                            || rest.starts_with("\"{\\\"");
                        if closed && text[scanned.end..].trim().is_empty() {
                            if scanned.slips.is_empty() {
                                at = scanned.end.max(at);
                            }
                            // Otherwise what is in it may be the answer, too.
                            self.add(here, scanned, fenced, wants_list);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn begins_line(&self, at: usize) -> bool {
        let before = self.text[..at].trim_end_matches([' ', '\t']);
        before.is_empty() || before.ends_with('\n')
    }

    fn add(&mut self, start: usize, scanned: Scanned, fenced: bool, wants_list: bool) {
        let range = start..scanned.end;
        if self.unclosed {
            // Only what is last and stands apart is no part of the reasoning.
            let after =
                self.text[scanned.end..].trim_matches(|c: char| c.is_whitespace() || c == '`');
            if !after.is_empty() || !self.begins_line(start) {
                return;
            }
        }
        let whole = self.text[..start].trim_matches(is_blank).is_empty()
            && self.text[scanned.end..].trim_matches(is_blank).is_empty();
        let place = match (whole, fenced) {
            (true, _) => Place::Whole,
            (_, true) => Place::Fence,
            _ => Place::Prose,
        };
        // A bracket too many in front, or in prose, must not hide the objects behind it.
        if let NodeKind::List(items) = &scanned.node.kind
            && (scanned.node.cut || items.len() > 1)
            && !wants_list
        {
            let objects = items
                .iter()
                .filter(|item| matches!(item.kind, NodeKind::Object(_)));
            for item in objects {
                let within = |slip: &&Slip| item.span.contains(&slip.span.start);
                self.json.push(Candidate {
                    node: item.clone(),
                    slips: scanned.slips.iter().filter(within).cloned().collect(),
                    range: item.span.clone(),
                    place: Place::Prose,
                });
            }
        }
        self.json.push(Candidate {
            node: scanned.node,
            slips: scanned.slips,
            range,
            place,
        });
    }

    /// As [`reasoning`](Self::reasoning), where it has other marks than tags.
    fn block(&mut self, here: usize) -> Option<usize> {
        let rest = &self.text[here..];
        for (open, close) in BLOCKS {
            if let Some(inner) = rest.strip_prefix(open).filter(|_| !self.unclosed) {
                let end = inner.find(close).map(|end| open.len() + end + close.len());
                self.unclosed |= end.is_none();
                let end = here + end.unwrap_or(open.len());
                self.thinking.push(here..end);
                return Some(end);
            }
            if rest.starts_with(close) && !close.contains('`') {
                let end = here + close.len();
                self.thinking.push(0..end);
                self.json.clear();
                return Some(end);
            }
        }
        None
    }

    /// Passes over reasoning that begins here, or takes what came before for reasoning if it ends here.
    fn reasoning(&mut self, here: usize, names: &Names) -> Option<usize> {
        let rest = &self.text[here..];
        if rest.starts_with("<|channel|>final") {
            // Harmony's name for the answer; what came before is none.
            self.thinking.push(0..here);
            self.json.clear();
            return None;
        }
        let is_known = |name: &str| {
            THINKING
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
                && !names.has(name)
        };
        if let Some(tag) = rest.strip_prefix("</") {
            let end = tag.find('>')?;
            if !is_known(tag[..end].trim()) {
                return None;
            }
            // All before it, though its beginning is missing.
            let end = here + 2 + end + 1;
            self.thinking.push(0..end);
            self.json.clear();
            return Some(end);
        }
        let (name, length) = layout::opening_tag(rest)?;
        // Once the end of one is missing, so is that of others; looking again would take long.
        if !is_known(name) || self.unclosed {
            return None;
        }
        let inner = here + length;
        match layout::closing_tag(&self.text[inner..], name) {
            Some((end, close)) => {
                let end = inner + end + close;
                self.thinking.push(here..end);
                Some(end)
            }
            None => {
                // The answer may follow without the closing tag.
                self.thinking.push(here..inner);
                self.unclosed = true;
                None
            }
        }
    }

    /// What is not reasoning, if it is in one piece at the end.
    pub(super) fn answer(&self) -> Range<usize> {
        let start = self
            .thinking
            .iter()
            .map(|range| range.end)
            .max()
            .unwrap_or(0);
        start..self.text.len()
    }

    /// Fields in another layout than JSON, but for lines.
    pub(super) fn fields(&self, schema: &Schema, shared: &Shared) -> Vec<Candidate> {
        let names = Names::all(schema.objects(schema.root()).into_iter());
        let range = self.answer();
        let text = &self.text[range.clone()];
        if names.is_empty() {
            return Vec::new();
        }
        let found = [
            layout::markers(text, range.start, shared),
            layout::tags(text, range.start, &names, shared),
        ];
        found
            .into_iter()
            .flatten()
            .map(|inside| self.candidate(inside.node, inside.slips))
            .collect()
    }

    /// Fields on lines. There are none where there is an object as JSON, but as the value of a line.
    pub(super) fn lines(&self, schema: &Schema, shared: &Shared) -> Option<Candidate> {
        let names = Names::all(schema.objects(schema.root()).into_iter());
        let range = self.answer();
        let text = unfenced(self.text[range.clone()].trim());
        if names.is_empty() || self.unclosed || text.starts_with(['{', '[']) {
            return None;
        }
        let inside_line = |candidate: &Candidate| {
            let before = &self.text[..candidate.range.start];
            let line = before.rfind('\n').map_or(0, |at| at + 1);
            key_line(&before[line..]).is_some_and(|key| names.has(key.name))
        };
        if self.objects().any(|candidate| !inside_line(candidate)) {
            return None;
        }
        let base = range.start + (self.text[range].find(text).unwrap_or(0));
        if !text.contains('\n')
            && let Some(scanned) = scan::entries_at(self.text, base, schema.keys(), shared)
            && let NodeKind::Object(entries) = &scanned.node.kind
            && scanned.end >= base + text.len()
            && entries.len() > 1
            && entries.iter().all(|entry| names.has(&entry.key))
        {
            // `name: Ann, age: 30`
            return Some(self.candidate(scanned.node, scanned.slips));
        }
        let inside = layout::lines(text, base, &names, shared)?;
        Some(self.candidate(inside.node, inside.slips))
    }

    /// The text itself as the answer, or for a scalar the one part of it that is marked. Nothing that looks like
    /// broken JSON is taken so.
    pub(super) fn bare(&self, is_scalar: bool, shared: &Shared) -> Option<Candidate> {
        if self.unclosed {
            return None;
        }
        let mut range = self.answer();
        if is_scalar && let Some(marked) = marked(&self.text[range.clone()]) {
            range = range.start + marked.start..range.start + marked.end;
        }
        let text = self.text[range.clone()].trim();
        let inner = unfenced(text).trim();
        if inner.is_empty()
            || inner.starts_with(['{', '['])
            || is_cut_off(inner)
            || self.objects().next().is_some()
            || text.starts_with("```json") && !is_scalar
        {
            return None;
        }
        let whole = &self.text[range.clone()];
        let start = range.start + (whole.len() - whole.trim_start().len());
        let span = start..start + text.len();
        // A mark that is opened and never closed.
        let opened = text
            .strip_prefix(['"', '“'])
            .filter(|rest| !rest.contains(['"', '”']));
        let node = Node {
            id: shared.id(),
            span: span.clone(),
            kind: NodeKind::Text(Text {
                text: opened.unwrap_or(text).to_owned(),
                form: Form::Block,
                cut: opened.is_some(),
            }),
            cut: false,
        };
        let slip = opened.map(|_| Slip {
            kind: RepairKind::Unfinished,
            span: span.clone(),
        });
        Some(Candidate {
            range: span,
            node,
            slips: slip.into_iter().collect(),
            place: Place::Bare,
        })
    }

    /// Objects with at least one entry.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Candidate> {
        self.json
            .iter()
            .filter(|candidate| match &candidate.node.kind {
                NodeKind::Object(entries) => !entries.is_empty(),
                NodeKind::List(items) => items
                    .iter()
                    .any(|item| matches!(item.kind, NodeKind::Object(_))),
                _ => false,
            })
    }

    fn candidate(&self, node: Node, slips: Vec<Slip>) -> Candidate {
        let range = node.span.clone();
        let whole =
            self.text[..range.start].trim().is_empty() && self.text[range.end..].trim().is_empty();
        Candidate {
            node,
            slips,
            range,
            place: if whole { Place::Whole } else { Place::Fence },
        }
    }
}

/// Whether a text ends inside JSON, a fence, a tag or a marker that has just begun.
fn is_cut_off(text: &str) -> bool {
    let opens = text.rfind('{').is_some_and(|at| !text[at..].contains('}'));
    let tag = text.rfind('<').is_some_and(|at| {
        let name = &text[at + 1..];
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '/'))
    });
    let fence = text.starts_with('`') && !text.trim_start_matches('`').contains(['`', '\n']);
    opens || tag || fence
}

/// The content of the one tag for an answer in a text, or of its one fence.
fn marked(text: &str) -> Option<Range<usize>> {
    let mut found: Option<Range<usize>> = None;
    for name in ANSWER {
        let open = format!("<{name}>");
        let Some(start) = text.find(&open) else {
            continue;
        };
        let inner = start + open.len();
        let (end, length) = layout::closing_tag(&text[inner..], name)?;
        if found.is_some() || text[inner + end + length..].contains(&open) {
            return None;
        }
        found = Some(inner..inner + end);
    }
    if found.is_some() {
        return found;
    }
    let mut fences = text.match_indices("```");
    let (Some((open, _)), Some((close, _)), None) = (fences.next(), fences.next(), fences.next())
    else {
        return None;
    };
    let line = text[open..close].find('\n')?;
    (text[..open].trim().len() + text[close + 3..].trim().len() > 0).then_some(open + line..close)
}

/// Where the bracket at a position is closed; at the end, if it is not.
fn closed_at(text: &str, start: usize) -> usize {
    let mut open = 0_usize;
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => continue,
        }
        if open == 0 {
            return at + 1;
        }
    }
    text.len()
}

pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

//! What can be inside a text: JSON, fields in another layout, or a list of lines.

use std::ops::Range;

use super::coerce::unfenced;
use super::layout::{self, Names};
use super::repair::RepairKind;
use super::scan::{self, Shared};
use super::schema::{ObjectType, Schema};
use super::tree::{Node, NodeKind, Slip};

/// A text that may hold more than itself.
pub(super) struct Embedded<'t> {
    text: &'t str,
    base: usize,
    schema: &'t Schema,
    shared: &'t Shared,
}

/// Something that was found in a text.
pub(super) struct Inside {
    pub(super) node: Node,
    pub(super) slips: Vec<Slip>,
}

/// A text without the line that opens a fence, where nothing closes it.
fn unopened(text: &str) -> &str {
    let inner = text.strip_prefix("```").and_then(|inner| {
        let (label, inner) = inner.split_once('\n')?;
        (!inner.contains("```") && !label.trim().contains(' ')).then_some(inner)
    });
    inner.unwrap_or(text)
}

impl<'t> Embedded<'t> {
    pub(super) fn new(
        text: &'t str,
        span: Range<usize>,
        schema: &'t Schema,
        shared: &'t Shared,
    ) -> Self {
        let trimmed = text.trim();
        shared.step(text.len());
        Self {
            text: unopened(unfenced(trimmed)),
            base: span.start,
            schema,
            shared,
        }
    }

    /// The JSON value that the whole text is.
    pub(super) fn exactly(&self) -> Option<Node> {
        scan::strict(self.text, self.schema.keys(), self.shared)
    }

    /// The object that the text is, as JSON or in another layout.
    pub(super) fn object(&self, ty: &ObjectType) -> Option<Inside> {
        if let Some(inside) = self.json('{') {
            return Some(inside);
        }
        let names = Names::of(ty);
        layout::tags(self.text, self.base, &names, self.shared)
            .or_else(|| layout::lines(self.text, self.base, &names, self.shared))
    }

    /// The list that the text is, as JSON or as tags.
    pub(super) fn list(&self) -> Option<Inside> {
        self.json('[')
            .or_else(|| self.json('('))
            .or_else(|| layout::siblings(self.text, self.base, self.shared))
    }

    /// The lines of a list, without their bullets.
    pub(super) fn bullets(&self, prose: bool) -> Option<Vec<Node>> {
        layout::bullets(self.text, self.base, prose, self.shared)
    }

    fn json(&self, open: char) -> Option<Inside> {
        if !self.text.starts_with(open) {
            return None;
        }
        let scanned = scan::value_at(self.text, 0, self.base, self.schema.keys(), self.shared)?;
        let mut slips = scanned.slips;
        let rest = self.text[scanned.end..].trim();
        if !rest.is_empty() {
            if !rest
                .chars()
                .all(|c| matches!(c, '}' | ']') || c.is_whitespace())
            {
                return None;
            }
            slips.push(Slip {
                kind: RepairKind::Bracket,
                span: self.base + scanned.end..self.base + self.text.len(),
            });
        }
        matches!(scanned.node.kind, NodeKind::Object(_) | NodeKind::List(_)).then_some(Inside {
            node: scanned.node,
            slips,
        })
    }
}

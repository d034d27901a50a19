//! What can be inside a text: JSON, fields in another layout, or a list of lines.

use std::ops::Range;

use super::coerce::unfenced;
use super::layout::{self, Names};
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
            text: unfenced(trimmed),
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
        if !self.text[scanned.end..].trim().is_empty() {
            return None;
        }
        matches!(scanned.node.kind, NodeKind::Object(_) | NodeKind::List(_)).then_some(Inside {
            node: scanned.node,
            slips: scanned.slips,
        })
    }
}

//! Fields that are not JSON: markers of `DSPy`'s chat format, tags as in XML, and lines as in YAML or markdown.
//!
//! What is a field is known from the schema; everything else is text.

mod bullets;
mod lines;
mod markers;
mod tags;

use std::collections::HashSet;
use std::ops::Range;

use super::embedded::Inside;
use super::fold::fold;
use super::repair::RepairKind;
use super::scan::Shared;
use super::schema::ObjectType;
use super::tree::{Entry, Form, Node, NodeKind, Slip, Text};

pub(super) use bullets::bullets;
pub(super) use lines::{key_line, lines};
pub(super) use markers::{marker, markers};
pub(super) use tags::{closing_tag, opening_tag, siblings, tags};

/// The names of the fields that are looked for, folded.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: HashSet<String>,
    /// Whether any name is one.
    open: bool,
}

impl Names {
    pub(super) fn of(ty: &ObjectType) -> Self {
        Self {
            open: ty.is_open(),
            ..Self::all(std::iter::once(ty))
        }
    }

    pub(super) fn all<'o>(types: impl Iterator<Item = &'o ObjectType>) -> Self {
        let names = types.flat_map(|ty| &ty.properties);
        Self {
            names: names.map(|property| fold(&property.name)).collect(),
            open: false,
        }
    }

    pub(super) fn words(words: &[&str]) -> Self {
        Self {
            names: words.iter().map(|word| fold(word)).collect(),
            open: false,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let name = fold(name);
        !name.is_empty() && (self.open || self.names.contains(&name))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether a text is the beginning of a name, or all of it, and nothing else.
    fn begins(&self, text: &str) -> bool {
        let name = fold(text);
        let is_word = text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        is_word && !name.is_empty() && self.names.iter().any(|known| known.starts_with(&name))
    }
}

fn entry(
    text: &str,
    base: usize,
    name: &str,
    key: Range<usize>,
    content: Range<usize>,
    shared: &Shared,
) -> Entry {
    Entry {
        key: name.to_owned(),
        key_span: base + key.start..base + key.end,
        node: block(text, base, content, shared),
    }
}

/// A text that stands for itself, without the space around it.
fn block(text: &str, base: usize, content: Range<usize>, shared: &Shared) -> Node {
    let raw = &text[content.clone()];
    let trimmed = raw.trim();
    let start = content.start + (raw.len() - raw.trim_start().len());
    let inner = trimmed
        .strip_prefix("<![CDATA[")
        .and_then(|inner| inner.strip_suffix("]]>"))
        .unwrap_or(trimmed);
    Node {
        id: shared.id(),
        span: base + start..base + start + trimmed.len(),
        kind: NodeKind::Text(Text {
            text: inner.to_owned(),
            form: Form::Block,
            cut: false,
        }),
        cut: false,
    }
}

fn fields(entries: Vec<Entry>, base: usize, length: usize, shared: &Shared) -> Inside {
    let span = match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => {
            first.key_span.start..last.node.span.end.max(last.key_span.end)
        }
        _ => base..base + length,
    };
    let node = Node {
        id: shared.id(),
        span,
        kind: NodeKind::Object(entries),
        cut: false,
    };
    Inside {
        slips: vec![slip(&node)],
        node,
    }
}

fn slip(node: &Node) -> Slip {
    Slip {
        kind: RepairKind::Layout,
        span: node.span.clone(),
    }
}

fn unfinished(at: usize) -> Slip {
    Slip {
        kind: RepairKind::Unfinished,
        span: at..at,
    }
}

//! When a step runs: an expression, or a tree of them.

use crate::diag::Diagnostics;
use crate::source::{Span, Spanned};
use crate::yaml::{self, Kind, MapReader, Node};

/// Deeper trees than this are not written by people.
const MAX_DEPTH: usize = 32;

/// A condition as written.
#[derive(Debug)]
pub(crate) enum Condition {
    /// The text of an expression.
    Expression(Spanned<String>),
    /// A list, or `and:`.
    All(Span, Vec<Condition>),
    /// `or:`
    Any(Span, Vec<Condition>),
    /// `not:`
    Not(Span, Box<Condition>),
}

impl Condition {
    pub(crate) fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        Self::read_at(node, 0, diagnostics)
    }

    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Expression(text) => text.span,
            Self::All(span, _) | Self::Any(span, _) | Self::Not(span, _) => *span,
        }
    }

    /// As one expression, on one line.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Expression(text) => text.value.split_whitespace().collect::<Vec<_>>().join(" "),
            Self::All(_, parts) => joined(parts, " and "),
            Self::Any(_, parts) => joined(parts, " or "),
            Self::Not(_, inner) => format!("not ({})", inner.text()),
        }
    }

    fn read_at(node: &Node, depth: usize, diagnostics: &mut Diagnostics) -> Option<Self> {
        if depth > MAX_DEPTH {
            diagnostics
                .error(
                    crate::diag::Code::TooLarge,
                    node.span,
                    "a condition that is nested too deeply",
                )
                .label("write it as an expression");
            return None;
        }
        match &node.kind {
            Kind::Scalar { .. } => {
                yaml::text(node, "`condition`", diagnostics).map(Self::Expression)
            }
            Kind::List(_) => Some(Self::All(
                node.span,
                Self::parts(node, "a condition", depth, diagnostics)?,
            )),
            Kind::Map(_) => Self::tree(node, depth, diagnostics),
        }
    }

    fn tree(node: &Node, depth: usize, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(node, "a condition", diagnostics)?;
        let all = map.optional("and");
        let any = map.optional("or");
        let not = map.optional("not");
        let unknown = map.has_more();
        map.finish(diagnostics);
        let mut parts = Vec::new();
        if let Some(all) = all {
            let conditions = Self::parts(all, "`and`", depth, diagnostics)?;
            parts.push(Self::All(all.span, conditions));
        }
        if let Some(any) = any {
            let conditions = Self::parts(any, "`or`", depth, diagnostics)?;
            parts.push(Self::Any(any.span, conditions));
        }
        if let Some(not) = not {
            let condition = Self::read_at(not, depth + 1, diagnostics)?;
            parts.push(Self::Not(not.span, Box::new(condition)));
        }
        if parts.is_empty() && unknown {
            return None;
        }
        if parts.is_empty() {
            diagnostics
                .error(
                    crate::diag::Code::MissingKey,
                    node.span,
                    "a condition of nothing",
                )
                .label("add `and: […]`, `or: […]` or `not: …`");
            return None;
        }
        Some(Self::All(node.span, parts))
    }

    fn parts(
        node: &Node,
        what: &str,
        depth: usize,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<Self>> {
        let items = yaml::list(node, what, diagnostics)?;
        if items.is_empty() {
            diagnostics
                .error(
                    crate::diag::Code::MissingKey,
                    node.span,
                    format!("{what} of nothing"),
                )
                .label("list at least one condition");
            return None;
        }
        let read: Vec<Option<Self>> = items
            .iter()
            .map(|item| Self::read_at(item, depth + 1, diagnostics))
            .collect();
        read.into_iter().collect()
    }
}

fn joined(parts: &[Condition], between: &str) -> String {
    let parts: Vec<String> = parts
        .iter()
        .map(|part| match part {
            Condition::All(_, inner) | Condition::Any(_, inner) if inner.len() > 1 => {
                format!("({})", part.text())
            }
            _ => part.text(),
        })
        .collect();
    parts.join(between)
}

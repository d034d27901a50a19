//! `checks` of a step: what should hold for its output.

use super::optional_text;
use crate::diag::{Code, Diagnostics};
use crate::source::Spanned;
use crate::yaml::{self, MapReader, Node};

/// A check or an assert as written.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) expression: Spanned<String>,
    /// By `assert` instead of `check`.
    pub(crate) is_assert: bool,
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) message: Option<Spanned<String>>,
}

impl Check {
    /// Reads `checks` of a step.
    pub(super) fn read_all(map: &mut MapReader<'_>, diagnostics: &mut Diagnostics) -> Vec<Self> {
        let items = map
            .optional("checks")
            .and_then(|node| yaml::list(node, "`checks`", diagnostics));
        items
            .unwrap_or_default()
            .iter()
            .filter_map(|node| Self::read(node, diagnostics))
            .collect()
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut map = MapReader::new(node, "a check", diagnostics)?;
        let (check, assert) = (map.optional("check"), map.optional("assert"));
        let name = optional_text(&mut map, "name", diagnostics);
        let message = optional_text(&mut map, "message", diagnostics);
        let has_more = map.has_more();
        map.finish(diagnostics);
        let (node, is_assert) = match (check, assert) {
            (Some(node), None) => (node, false),
            (None, Some(node)) => (node, true),
            (Some(_), Some(node)) => {
                diagnostics
                    .error(
                        Code::Duplicate,
                        node.span,
                        "one item has a `check` and an `assert`",
                    )
                    .label("make it two items")
                    .help(
                        "a `check` is only reported; without its `assert` a reply cannot be used",
                    );
                return None;
            }
            (None, None) => {
                // A key with a slip in it is reported already.
                if !has_more {
                    diagnostics
                        .error(
                            Code::MissingKey,
                            node.span,
                            "an item of `checks` without an expression",
                        )
                        .label("`check` or `assert` is missing here");
                }
                return None;
            }
        };
        let key = if is_assert { "`assert`" } else { "`check`" };
        Some(Self {
            expression: yaml::text(node, key, diagnostics)?,
            is_assert,
            name,
            message,
        })
    }
}

//! Reading a tree by hand, with every problem recorded and none fatal.

use std::fmt::{self, Display};

use super::node::{Key, Kind, Node, core_float, core_integer};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::source::{Span, Spanned};

/// What a mapping is, for messages: ``step `classify` ``. It is put into words when there is something to say.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What<'n> {
    Text(&'n str),
    Pieces(fmt::Arguments<'n>),
}

impl<'n> From<&'n str> for What<'n> {
    fn from(text: &'n str) -> Self {
        Self::Text(text)
    }
}

impl<'n> From<&'n String> for What<'n> {
    fn from(text: &'n String) -> Self {
        Self::Text(text)
    }
}

impl<'n> From<fmt::Arguments<'n>> for What<'n> {
    fn from(pieces: fmt::Arguments<'n>) -> Self {
        Self::Pieces(pieces)
    }
}

impl Display for What<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Pieces(pieces) => f.write_fmt(*pieces),
        }
    }
}

/// Reads a mapping key by key and knows in the end which keys nobody asked for.
pub(crate) struct MapReader<'n> {
    what: What<'n>,
    /// Where to point when a key is missing.
    span: Span,
    entries: Vec<(&'n Key, &'n Node)>,
    asked: Vec<&'static str>,
}

impl<'n> MapReader<'n> {
    /// `None`, and a diagnostic, when the node is not a mapping.
    pub(crate) fn new(
        node: &'n Node,
        what: impl Into<What<'n>>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let what = what.into();
        let Kind::Map(entries) = &node.kind else {
            wrong_kind(node, what, "a mapping (`key: value`)", diagnostics);
            return None;
        };
        Some(Self {
            what,
            span: node.span,
            entries: entries.iter().map(|(key, node)| (key, node)).collect(),
            asked: Vec::with_capacity(32),
        })
    }

    /// From now on, call the mapping this.
    pub(crate) fn rename(&mut self, what: impl Into<What<'n>>) {
        self.what = what.into();
    }

    /// Point here when a key is missing.
    pub(crate) fn point_at(&mut self, span: Span) {
        self.span = span;
    }

    pub(crate) fn what(&self) -> What<'n> {
        self.what
    }

    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// Leaves keys out of the suggestions for unknown ones.
    pub(crate) fn forget(&mut self, keys: &[&str]) {
        self.asked.retain(|key| !keys.contains(key));
    }

    /// The value of a key, and that it is known.
    pub(crate) fn optional(&mut self, key: &'static str) -> Option<&'n Node> {
        self.entry(key).map(|(_, node)| node)
    }

    /// The value of a key with the place of the key itself.
    pub(crate) fn entry(&mut self, key: &'static str) -> Option<(Span, &'n Node)> {
        if self.entries.is_empty() {
            // Nothing is left to be found, or to be unknown in the end.
            return None;
        }
        self.asked.push(key);
        let at = self.entries.iter().position(|(k, _)| k.text == key)?;
        let (key, node) = self.entries.remove(at);
        Some((key.span, node))
    }

    /// Whether a key is there that nobody asked for yet.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(k, _)| k.text == key)
    }

    /// The value of a key that must be there.
    pub(crate) fn required(
        &mut self,
        key: &'static str,
        diagnostics: &mut Diagnostics,
    ) -> Option<&'n Node> {
        let found = self.optional(key);
        if found.is_none() {
            // The key may be there with a slip in it: then that is the problem to report.
            let slip = self
                .entries
                .iter()
                .any(|(k, _)| crate::diag::nearest(&k.text, [key]).is_some());
            if !slip {
                diagnostics
                    .error(
                        Code::MissingKey,
                        self.span,
                        format!("{} has no `{key}`", self.what),
                    )
                    .label(format!("`{key}` is missing here"));
            }
        }
        found
    }

    /// Whether there are keys that nobody asked for.
    pub(crate) fn has_more(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self, diagnostics: &mut Diagnostics) {
        for (key, _) in &self.entries {
            diagnostics
                .error(
                    Code::UnknownKey,
                    key.span,
                    format!("unknown key `{}` in {}", key.text, self.what),
                )
                .label("unknown key")
                .meant(key.span, &key.text, self.asked.iter().copied());
        }
    }
}

/// Reports a value of another kind than its key asks for.
pub(crate) fn wrong_kind<'d>(
    node: &Node,
    what: impl Display,
    wanted: &str,
    diagnostics: &'d mut Diagnostics,
) -> &'d mut Diagnostic {
    diagnostics
        .error(
            Code::WrongKind,
            node.span,
            format!("{what} must be {wanted}, not {}", node.describe()),
        )
        .label(format!("expected {wanted}"))
}

/// Any scalar as the text that was written.
pub(crate) fn text(
    node: &Node,
    what: impl Display,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<String>> {
    match &node.kind {
        Kind::Scalar { text, .. } if !node.is_null() => Some(Spanned::new(text.clone(), node.span)),
        _ => {
            wrong_kind(node, what, "text", diagnostics);
            None
        }
    }
}

/// `true` or `false`.
pub(crate) fn boolean(
    node: &Node,
    what: impl Display,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<bool>> {
    let Kind::Scalar { text, plain: true } = &node.kind else {
        wrong_kind(node, what, "`true` or `false`", diagnostics);
        return None;
    };
    match text.as_str() {
        "true" | "True" | "TRUE" => Some(Spanned::new(true, node.span)),
        "false" | "False" | "FALSE" => Some(Spanned::new(false, node.span)),
        text => {
            let diagnostic = wrong_kind(node, what, "`true` or `false`", diagnostics);
            let meant = match text.to_ascii_lowercase().as_str() {
                "yes" | "y" | "on" => "true",
                "no" | "n" | "off" => "false",
                _ => return None,
            };
            diagnostic.suggest("this is a text in YAML 1.2", node.span, meant);
            None
        }
    }
}

/// A whole number.
pub(crate) fn integer(
    node: &Node,
    what: impl Display,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<i64>> {
    scalar(node, what, "a whole number", diagnostics, core_integer)
}

/// A whole number that counts something.
pub(crate) fn size(
    node: &Node,
    what: impl Display,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<u32>> {
    scalar(node, what, "a whole number from 0", diagnostics, |text| {
        core_integer(text).and_then(|number| u32::try_from(number).ok())
    })
}

/// A finite number.
pub(crate) fn number(
    node: &Node,
    what: impl Display,
    diagnostics: &mut Diagnostics,
) -> Option<Spanned<f64>> {
    scalar(node, what, "a number", diagnostics, core_float)
}

fn scalar<T>(
    node: &Node,
    what: impl Display,
    wanted: &str,
    diagnostics: &mut Diagnostics,
    read: impl Fn(&str) -> Option<T>,
) -> Option<Spanned<T>> {
    let value = match &node.kind {
        Kind::Scalar { text, plain: true } => read(text),
        _ => None,
    };
    if value.is_none() {
        wrong_kind(node, what, wanted, diagnostics);
    }
    value.map(|value| Spanned::new(value, node.span))
}

/// The items of a list.
pub(crate) fn list<'n>(
    node: &'n Node,
    what: impl Display,
    diagnostics: &mut Diagnostics,
) -> Option<&'n [Node]> {
    match &node.kind {
        Kind::List(items) => Some(items),
        _ => {
            wrong_kind(node, what, "a list (`- item`)", diagnostics);
            None
        }
    }
}

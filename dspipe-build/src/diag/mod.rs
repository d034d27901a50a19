//! Diagnostics: what is wrong, where, and what to do about it.

mod code;
mod json;
mod render;
mod suggest;

pub use code::{Code, UnknownCode};
pub(crate) use json::json;
pub(crate) use render::{render, render_line};
pub(crate) use suggest::nearest;

use crate::source::{Sources, Span, boundary};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The workflow cannot be compiled.
    Error,
    /// The workflow compiles; something in it is probably not meant.
    Warning,
}

/// A place in a source file with a word on its part in the problem.
#[derive(Debug, Clone)]
pub(crate) struct Label {
    pub(crate) span: Span,
    pub(crate) text: String,
}

/// A replacement that would mend the problem.
#[derive(Debug, Clone)]
pub(crate) struct Suggestion {
    pub(crate) message: String,
    pub(crate) span: Span,
    pub(crate) replacement: String,
}

/// One problem.
#[derive(Debug, Clone)]
pub(crate) struct Diagnostic {
    pub(crate) severity: Severity,
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) primary: Label,
    pub(crate) secondary: Vec<Label>,
    pub(crate) suggestion: Option<Suggestion>,
    pub(crate) help: Option<String>,
}

impl Diagnostic {
    /// The text under the marked place.
    pub(crate) fn label(&mut self, text: impl Into<String>) -> &mut Self {
        self.primary.text = shortened(text.into());
        self
    }

    /// Another place that has a part in the problem.
    pub(crate) fn also(&mut self, span: Span, text: impl Into<String>) -> &mut Self {
        self.secondary.push(Label {
            span,
            text: shortened(text.into()),
        });
        self
    }

    /// What to do about it.
    pub(crate) fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(shortened(text.into()));
        self
    }

    /// What to write instead.
    pub(crate) fn suggest(
        &mut self,
        message: impl Into<String>,
        span: Span,
        replacement: impl Into<String>,
    ) -> &mut Self {
        self.suggestion = Some(Suggestion {
            message: shortened(message.into()),
            span,
            replacement: replacement.into(),
        });
        self
    }

    /// The name that was probably meant, if one of `known` is near; otherwise all of them.
    pub(crate) fn meant<'a>(
        &mut self,
        span: Span,
        written: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> &mut Self {
        let known: Vec<&str> = known.into_iter().collect();
        match nearest(written, known.iter().copied()) {
            Some(name) => _ = self.suggest("a similar name exists", span, name),
            None if known.is_empty() => {}
            None => self.help = Some(format!("known here: {}", list(&known))),
        }
        self
    }

    /// Like [`Self::meant`] for a name that is a part of what `span` covers.
    pub(crate) fn meant_in<'a>(
        &mut self,
        sources: &Sources,
        span: Span,
        written: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> &mut Self {
        let start = span.start + sources.slice(span).find(written).unwrap_or(0);
        let part = Span {
            start,
            end: (start + written.len()).min(span.end),
            ..span
        };
        self.meant(part, written, known)
    }

    /// A help text where nothing better is known.
    pub(crate) fn help_if_none(&mut self, text: &str) -> &mut Self {
        if self.help.is_none() && self.suggestion.is_none() {
            self.help = Some(text.to_owned());
        }
        self
    }
}

/// Longer texts than this, in bytes, are not read by people.
const LONGEST: usize = 2000;

/// A text with a part of a file in it, which may be of any length.
fn shortened(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let start = boundary(&text, LONGEST / 4);
    let end = boundary(&text, text.len() - LONGEST / 4);
    [&text[..start], " … ", &text[end..]].concat()
}

/// Names in backticks, comma-separated.
pub(crate) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Collects the problems of one compilation.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    all: Vec<Diagnostic>,
}

impl Diagnostics {
    pub(crate) fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Error, code, span, shortened(message.into()))
    }

    pub(crate) fn warning(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.push(Severity::Warning, code, span, shortened(message.into()))
    }

    fn push(
        &mut self,
        severity: Severity,
        code: Code,
        span: Span,
        message: String,
    ) -> &mut Diagnostic {
        self.all.push(Diagnostic {
            severity,
            code,
            message,
            primary: Label {
                span,
                text: String::new(),
            },
            secondary: Vec::new(),
            suggestion: None,
            help: None,
        });
        // Just pushed, so there is a last one.
        let last = self.all.len() - 1;
        &mut self.all[last]
    }

    /// Adds what was collected apart.
    pub(crate) fn append(&mut self, more: Self) {
        self.all.extend(more.all);
    }

    /// Adds what was collected apart, `room` diagnostics at most; the places of the others.
    pub(crate) fn append_up_to(&mut self, room: usize, more: Self) -> Vec<Span> {
        let mut more = more.all.into_iter();
        self.all.extend(more.by_ref().take(room));
        more.map(|diagnostic| diagnostic.primary.span).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn warnings_to_errors(&mut self) {
        self.raise(|_| true);
    }

    pub(crate) fn code_to_errors(&mut self, code: Code) {
        self.raise(|found| found == code);
    }

    fn raise(&mut self, which: impl Fn(Code) -> bool) {
        for diagnostic in &mut self.all {
            if which(diagnostic.code) {
                diagnostic.severity = Severity::Error;
            }
        }
    }

    /// Keeps errors only.
    pub(crate) fn drop_warnings(&mut self) {
        self.all.retain(|it| it.severity == Severity::Error);
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.all
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// In the order of the source, each once.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.all.sort_by(|a, b| {
            (a.primary.span, a.code, &a.message).cmp(&(b.primary.span, b.code, &b.message))
        });
        self.all.dedup_by(|a, b| {
            (a.primary.span, a.code, &a.message) == (b.primary.span, b.code, &b.message)
        });
        self.all
    }
}

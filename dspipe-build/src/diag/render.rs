//! Diagnostics as text. The only user of annotate-snippets.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet};

use super::{Code, Diagnostic, Label, Severity};
use crate::source::{FileId, Sources, Span, boundary};

/// One diagnostic as rustc would print it, without colours.
pub(crate) fn render(sources: &Sources, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(
        level
            .primary_title(diagnostic.message.as_str())
            .id(diagnostic.code.as_str()),
    );
    for part in parts(sources, diagnostic) {
        let source = sources.file(part.file);
        if diagnostic.code == Code::SecretInFile {
            // The line has the secret in it.
            let (line, column) = source.line_column(part.labels[0].0.span.start);
            let origin = Origin::path(source.path.as_str());
            group = group.element(origin.line(line).char_column(column));
            continue;
        }
        let window = window(sources, &part);
        let mut snippet = Snippet::source(window.text).line_start(window.line);
        if window.cut {
            // The column in the snippet would be counted from the cut.
            let (line, column) = source.line_column(part.labels[0].0.span.start);
            let origin = Origin::path(source.path.as_str());
            group = group.element(origin.line(line).char_column(column));
        } else {
            snippet = snippet.path(source.path.as_str());
        }
        for (label, kind) in &part.labels {
            let text = &label.text;
            let range = visible(sources, label.span);
            let range = range.start - window.start
                ..range.end.min(window.start + window.text.len()) - window.start;
            snippet = snippet.annotation(
                kind.span(range)
                    .label((!text.is_empty()).then_some(text.as_str())),
            );
        }
        group = group.element(snippet);
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let mut report = vec![group];
    if let Some(suggestion) = &diagnostic.suggestion {
        let source = sources.file(suggestion.span.file);
        let place = Label {
            span: suggestion.span,
            text: String::new(),
        };
        let window = window(sources, &Part::of(&place, AnnotationKind::Primary));
        let patch = Patch::new(
            suggestion.span.start - window.start..suggestion.span.end - window.start,
            suggestion.replacement.as_str(),
        );
        let help = Level::HELP.secondary_title(suggestion.message.as_str());
        report.push(
            help.element(
                Snippet::source(window.text)
                    .line_start(window.line)
                    .path(source.path.as_str())
                    .patch(patch),
            ),
        );
    }
    Renderer::plain().render(&report)
}

/// Larger files are shown in parts: the renderer goes through all the text it is given.
const WHOLE: usize = 64 << 10;
/// Longer lines are cut around the label.
const LINE: usize = 2 << 10;

/// Labels that are shown in one piece of text.
struct Part<'d> {
    file: FileId,
    labels: Vec<(&'d Label, AnnotationKind)>,
}

impl<'d> Part<'d> {
    fn of(label: &'d Label, kind: AnnotationKind) -> Self {
        Self {
            file: label.span.file,
            labels: vec![(label, kind)],
        }
    }
}

/// The labels of a small file together, those of a large one each by itself.
fn parts<'d>(sources: &Sources, diagnostic: &'d Diagnostic) -> Vec<Part<'d>> {
    let mut parts = vec![Part::of(&diagnostic.primary, AnnotationKind::Primary)];
    for label in &diagnostic.secondary {
        let small = sources.file(label.span.file).text.len() <= WHOLE;
        match parts.iter_mut().find(|part| part.file == label.span.file) {
            Some(part) if small => part.labels.push((label, AnnotationKind::Context)),
            _ => parts.push(Part::of(label, AnnotationKind::Context)),
        }
    }
    parts
}

/// The text around labels.
struct Window<'s> {
    text: &'s str,
    start: usize,
    line: usize,
    /// It begins or ends inside a line.
    cut: bool,
}

fn window<'s>(sources: &'s Sources, part: &Part<'_>) -> Window<'s> {
    let source = sources.file(part.file);
    let text = source.text.as_str();
    let whole = Window {
        text,
        start: 0,
        line: 1,
        cut: false,
    };
    let [(label, _)] = part.labels.as_slice() else {
        return whole;
    };
    if text.len() <= WHOLE {
        return whole;
    }
    let place = visible(sources, label.span);
    let (before, after) = (
        text.get(..place.start).unwrap_or_default(),
        text.get(place.start..).unwrap_or_default(),
    );
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let end = after.find('\n').map_or(text.len(), |at| place.start + at);
    let cut = end - start > LINE;
    let (start, end) = if cut {
        let from = start.max(place.start.saturating_sub(40));
        let to = end.min(place.start + 100);
        (boundary(text, from), boundary(text, to))
    } else {
        (start, end)
    };
    Window {
        text: text
            .get(start..end)
            .unwrap_or_default()
            .trim_end_matches('\r'),
        start,
        line: source.line_column(start).0,
        cut,
    }
}

/// One diagnostic on one line: `path:line:col: message [code]`.
pub(crate) fn render_line(sources: &Sources, diagnostic: &Diagnostic) -> String {
    let file = sources.file(diagnostic.primary.span.file);
    let (line, column) = file.line_column(diagnostic.primary.span.start);
    let Diagnostic { message, code, .. } = diagnostic;
    format!("{}:{line}:{column}: {message} [{code}]", file.path)
}

/// More of a line is not marked, in bytes.
const MARKED: usize = 200;

/// The part of a span worth marking: the beginning of its first line. A whole block underlined
/// says no more than its beginning and hides the text.
fn visible(sources: &Sources, span: Span) -> std::ops::Range<usize> {
    let text = sources.slice(span);
    let first = text.lines().next().unwrap_or_default().trim_end();
    span.start..span.start + boundary(first, MARKED)
}

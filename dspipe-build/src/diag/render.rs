//! Diagnostics as text. The only user of annotate-snippets.

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};

use super::{Diagnostic, Severity};
use crate::source::{FileId, Sources, Span};

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
    let primary_file = diagnostic.primary.span.file;
    let mut files: Vec<FileId> = vec![primary_file];
    for label in &diagnostic.secondary {
        if !files.contains(&label.span.file) {
            files.push(label.span.file);
        }
    }
    for file in files {
        let source = sources.file(file);
        let mut snippet = Snippet::source(source.text.as_str()).path(source.path.as_str());
        if file == primary_file {
            let text = &diagnostic.primary.text;
            snippet = snippet.annotation(
                AnnotationKind::Primary
                    .span(visible(sources, diagnostic.primary.span))
                    .label((!text.is_empty()).then_some(text.as_str())),
            );
        }
        for label in diagnostic.secondary.iter().filter(|l| l.span.file == file) {
            snippet = snippet.annotation(
                AnnotationKind::Context
                    .span(visible(sources, label.span))
                    .label(label.text.as_str()),
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
        report.push(
            Level::HELP
                .secondary_title(suggestion.message.as_str())
                .element(
                    Snippet::source(source.text.as_str())
                        .path(source.path.as_str())
                        .patch(Patch::new(
                            suggestion.span.start..suggestion.span.end,
                            suggestion.replacement.as_str(),
                        )),
                ),
        );
    }
    Renderer::plain().render(&report)
}

/// One diagnostic on one line: `path:line:col: message [code]`.
pub(crate) fn render_line(sources: &Sources, diagnostic: &Diagnostic) -> String {
    let file = sources.file(diagnostic.primary.span.file);
    let (line, column) = file.line_column(diagnostic.primary.span.start);
    let Diagnostic { message, code, .. } = diagnostic;
    format!("{}:{line}:{column}: {message} [{code}]", file.path)
}

/// The part of a span worth marking: its first line. A whole block underlined
/// says no more than its beginning and hides the text.
fn visible(sources: &Sources, span: Span) -> std::ops::Range<usize> {
    let text = sources.slice(span);
    let first = text.lines().next().unwrap_or_default();
    span.start..span.start + first.trim_end().len()
}

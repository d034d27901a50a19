//! Diagnostics as JSON, for tools.

use serde_json::{Value, json};

use super::{Diagnostic, Severity, render};
use crate::source::{Sources, Span};

/// The version of the object.
const VERSION: u32 = 1;

/// Everything as one object.
pub(crate) fn json(sources: &Sources, diagnostics: &[&Diagnostic]) -> Value {
    let count = |severity| {
        diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    };
    let all: Vec<Value> = diagnostics
        .iter()
        .map(|diagnostic| one(sources, diagnostic))
        .collect();
    json!({
        "version": VERSION,
        "errors": count(Severity::Error),
        "warnings": count(Severity::Warning),
        "diagnostics": all,
    })
}

fn one(sources: &Sources, diagnostic: &Diagnostic) -> Value {
    let labels: Vec<Value> = std::iter::once(&diagnostic.primary)
        .chain(&diagnostic.secondary)
        .enumerate()
        .map(|(index, label)| {
            let mut place = place(sources, label.span);
            place["text"] = json!(label.text);
            place["primary"] = json!(index == 0);
            place
        })
        .collect();
    let suggestion = diagnostic.suggestion.as_ref().map(|suggestion| {
        let mut place = place(sources, suggestion.span);
        place["message"] = json!(suggestion.message);
        place["replacement"] = json!(suggestion.replacement);
        place
    });
    json!({
        "severity": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "code": diagnostic.code.as_str(),
        "message": diagnostic.message,
        "labels": labels,
        "help": diagnostic.help,
        "suggestion": suggestion,
        "rendered": render(sources, diagnostic),
    })
}

fn place(sources: &Sources, span: Span) -> Value {
    let file = sources.file(span.file);
    let position = |offset: usize| {
        let (line, column) = file.line_column(offset);
        json!({"line": line, "column": column, "offset": offset})
    };
    json!({
        "file": file.path,
        "start": position(span.start),
        "end": position(span.end),
    })
}

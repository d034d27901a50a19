//! What the YAML parser cannot read, and what to do about it.

use granit_parser::{ErrorKind, ScanError};

use crate::diag::{Code, Diagnostics};
use crate::source::{FileId, Span};

/// Reports the error that ended the parser's work.
pub(super) fn report(file: FileId, text: &str, error: &ScanError, diagnostics: &mut Diagnostics) {
    let marked = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let (start, help) = advice(text, marked, error.kind());
    let width = text
        .get(start..)
        .and_then(|rest| rest.chars().next())
        .filter(|c| *c != '\n')
        .map_or(0, char::len_utf8);
    let span = Span {
        file,
        start,
        end: start + width,
    };
    let message = format!("the YAML cannot be parsed: {}", error.info());
    let diagnostic = diagnostics.error(Code::Syntax, span, message);
    if let Some(help) = help {
        diagnostic.help(help);
    }
}

/// The place to show, which is not always where the parser gave up, and what usually helps.
fn advice(text: &str, marked: usize, kind: &ErrorKind) -> (usize, Option<&'static str>) {
    let (before, after) = text.split_at_checked(marked).unwrap_or((text, ""));
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let help = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => {
            let tab = after.find('\t').map_or(marked, |at| marked + at);
            return (tab, Some(NO_TABS));
        }
        _ if after.starts_with('\t') => NO_TABS,
        _ if has_bare_placeholder(text.get(line..marked).unwrap_or_default()) => {
            "quote a text that starts with `{{`: `\"{{ … }} …\"`"
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "quote a text that has `: ` in it; the keys of one mapping start in one column"
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::InvalidIndentation
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey => {
            "the keys of one mapping start in one column, and so do the dashes of one list"
        }
        ErrorKind::UnclosedQuotedScalar => {
            "close it; in a text with quotes of one kind, use those of the other"
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar => {
            "a `'` inside of single quotes is written twice: `''`"
        }
        ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            "a `\"` inside of double quotes is written `\\\"`"
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            let at = unknown_escape(after).map_or(marked, |at| marked + at);
            let help =
                "in double quotes, a `\\` is written `\\\\`; in single quotes it stands for itself";
            return (at, Some(help));
        }
        ErrorKind::UnexpectedCharacter {
            character: '`' | '@' | '%',
        } => "quote a text that starts with this character",
        _ => return (marked, None),
    };
    (marked, Some(help))
}

const NO_TABS: &str = "indent with spaces; YAML does not take tabs";

/// The first backslash with something behind it that has no meaning there.
fn unknown_escape(text: &str) -> Option<usize> {
    const KNOWN: &str = "0abt\tnvfre \"/\\N_LPxuU\r\n";
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && !KNOWN.contains(chars.next()?.1) {
            return Some(at);
        }
    }
    None
}

/// Whether a value that starts with `{{` stands in a line without quotes.
fn has_bare_placeholder(line: &str) -> bool {
    let value = line.trim_start().trim_start_matches("- ");
    value.starts_with("{{") || value.contains(": {{")
}

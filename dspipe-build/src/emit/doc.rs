//! Doc comments.

use super::printer::{Printer, Text};
use crate::ir::{Guard, Name};

/// Doc lines, empty ones between paragraphs.
pub(super) fn lines(paragraphs: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in paragraphs.iter().filter(|p| !p.is_empty()) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push((*paragraph).to_owned());
    }
    lines
}

/// The docs of an item that stands in the workflow file.
pub(super) fn item(fallback: &str, description: &str, source: &str) -> Vec<String> {
    let description = escape(description);
    let first = if description.is_empty() {
        fallback
    } else {
        &description
    };
    lines(&[first, &["Defined at `", source, "`."].concat()])
}

/// The section on what a function fails with, to stand below other docs.
pub(super) fn errors(text: impl Text, out: &mut Printer) {
    out.doc("");
    out.doc("# Errors");
    out.doc("");
    out.doc(text);
}

/// The docs of a field: its description, if it has one.
pub(super) fn field(name: &str, description: &str) -> Vec<String> {
    let description = escape(description);
    if description.is_empty() {
        vec![["`", name, "`."].concat()]
    } else {
        vec![description]
    }
}

/// The docs of a variant: what it is called, and what it means.
pub(super) fn variant(text: &str, description: &str) -> Vec<String> {
    let description = escape(description);
    vec![if description.is_empty() {
        code(text)
    } else {
        [&code(text), ": ", &description].concat()
    }]
}

/// The docs of a step's place in `Outputs`.
pub(super) fn output(name: &Name, guard: Option<&Guard>) -> Vec<String> {
    let what = format!("The output of `{}`.", name.text);
    match guard {
        None => lines(&[&what]),
        Some(guard) => lines(&[
            &what,
            &format!("Absent unless this holds: {}", code(&guard.text)),
        ]),
    }
}

/// Foreign text as code: in more backticks than it has in a row.
fn code(text: &str) -> String {
    if text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'`')
        && !text.is_empty()
    {
        return ["`", text, "`"].concat();
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest + 1);
    if longest == 0 {
        format!("`{text}`")
    } else {
        format!("{ticks} {text} {ticks}")
    }
}

/// Foreign text as one paragraph: no links, code blocks or HTML can come of it, so
/// nothing in it becomes a doctest or a broken link.
fn escape(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b" .,:;!?()'\"-_/".contains(&byte);
    if text.bytes().all(is_plain) && !text.contains("  ") {
        return text.trim_matches(' ').to_owned();
    }
    let mut escaped = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !escaped.is_empty() {
            escaped.push(' ');
        }
        for c in word.chars() {
            if matches!(c, '[' | ']' | '<' | '>' | '`' | '\\' | '*') {
                escaped.push('\\');
            }
            // A mark of text direction in a comment is an error of rustc's.
            if !super::printer::is_unseen(c) && !c.is_control() {
                escaped.push(c);
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn foreign_text_is_plain() {
        assert_eq!(
            escape("a [b] <c>\n\n```rust\nx\n```"),
            "a \\[b\\] \\<c\\> \\`\\`\\`rust x \\`\\`\\`"
        );
        assert_eq!(escape("  plain text. "), "plain text.");
    }
}

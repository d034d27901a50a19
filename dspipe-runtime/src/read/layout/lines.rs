//! Fields on lines, as in YAML or markdown.

use std::ops::Range;

use super::{Names, entry, fields, unfinished};
use crate::read::embedded::Inside;
use crate::read::repair::RepairKind;
use crate::read::scan::Shared;
use crate::read::tree::{Entry, Form, NodeKind, Slip};

/// Fields on lines: `name: value`, `**Name:** value`, `## Name`, `| name | value |`.
pub(in crate::read) fn lines(
    text: &str,
    base: usize,
    names: &Names,
    shared: &Shared,
) -> Option<Inside> {
    let mut entries = Vec::new();
    let mut slips = Vec::new();
    let mut open: Option<(&str, Range<usize>, usize, usize)> = None;
    let mut at = 0;
    shared.step(text.len());
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if matches!(line.trim(), "---" | "***" | "___") {
            // A rule ends a field.
            if let Some((name, range, from, _)) = open.take() {
                entries.push(field(
                    text,
                    base,
                    name,
                    range,
                    from..start,
                    shared,
                    &mut slips,
                ));
            }
            continue;
        }
        let Some(key) = key_line(line).filter(|key| names.has(key.name)) else {
            if names.open && !line.trim().is_empty() && !line.starts_with([' ', '\t', '-']) {
                // Where any key may be, prose must not pass for one.
                return None;
            }
            continue;
        };
        // What is indented deeper is a part of the value before.
        if open
            .as_ref()
            .is_some_and(|(_, _, _, indent)| key.indent > *indent)
        {
            continue;
        }
        if let Some((name, range, from, _)) = open.take() {
            entries.push(field(
                text,
                base,
                name,
                range,
                from..start,
                shared,
                &mut slips,
            ));
        }
        open = Some((
            key.name,
            start..start + key.value,
            start + key.value,
            key.indent,
        ));
    }
    if let Some((name, range, from, _)) = open.take() {
        let mut end = end_of_last(text, from);
        // A last line that is on its way to the name of a field.
        let last = text[from..end].rfind('\n').map(|at| from + at);
        if let Some(last) =
            last.filter(|_| end == text.len() && names.begins(&text[last_line(text)..]))
        {
            slips.push(unfinished(base + text.len()));
            end = last;
        }
        entries.push(field(
            text,
            base,
            name,
            range,
            from..end,
            shared,
            &mut slips,
        ));
    }
    if entries.is_empty() {
        return None;
    }
    let mut inside = fields(entries, base, text.len(), shared);
    inside.slips.extend(slips);
    Some(inside)
}

/// Where the last line of a text begins.
fn last_line(text: &str) -> usize {
    text.rfind('\n').map_or(0, |at| at + 1)
}

/// The last field ends at an empty line: what follows is said to the reader.
fn end_of_last(text: &str, from: usize) -> usize {
    let rest = &text[from..];
    let begin = rest.len() - rest.trim_start().len();
    rest[begin..]
        .find("\n\n")
        .map_or(text.len(), |end| from + begin + end)
}

/// A line that begins with a key.
pub(in crate::read) struct KeyLine<'t> {
    pub(in crate::read) name: &'t str,
    /// Where the value begins in the line.
    value: usize,
    indent: usize,
}

pub(in crate::read) fn key_line(line: &str) -> Option<KeyLine<'_>> {
    let trimmed = line.trim_start();
    let indent = line.len() - trimmed.len();
    let heading = trimmed.starts_with('#');
    let row = trimmed.starts_with('|');
    let start =
        trimmed.trim_start_matches(['#', '-', '*', '•', '+', '_', '`', '"', '\'', '|', ' ', '\t']);
    // `1. Name:`
    let digits = start.trim_start_matches(|c: char| c.is_ascii_digit());
    let start = match digits.strip_prefix(['.', ')']) {
        Some(rest) if digits.len() < start.len() => {
            rest.trim_start_matches(['*', '_', '`', '"', ' '])
        }
        _ => start,
    };
    let prefix = &trimmed[..trimmed.len() - start.len()];
    let bold = prefix.contains("**") || prefix.contains("__");
    let end = start
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.')))
        .unwrap_or(start.len());
    let name = start[..end].trim_end();
    if name.is_empty() || name.len() > 80 {
        return None;
    }
    let after = start[end..].trim_start_matches(['*', '_', '`', '"', '\'', ' ']);
    let behind = |mark: usize| {
        let rest = &after[mark..];
        // `**Name:** value`
        let rest = match rest.strip_prefix("**").or_else(|| rest.strip_prefix("__")) {
            Some(rest) if bold => rest,
            _ => rest,
        };
        line.len() - rest.len()
    };
    let value = if after.starts_with(':') && !after.starts_with("://") {
        behind(1)
    } else if after.starts_with('：') {
        behind('：'.len_utf8())
    } else if after.starts_with('=') && !after.starts_with("==") && !after.starts_with("=>")
        || after.starts_with('|') && row
    {
        behind(1)
    } else if after.starts_with("->") || after.starts_with("=>") {
        behind(2)
    } else if bold && after.starts_with(['-', '–', '—']) && start[end..].contains(' ') {
        behind(after.chars().next().map_or(0, char::len_utf8))
    } else if after.starts_with('→') {
        behind('→'.len_utf8())
    } else if (heading || bold) && after.trim().is_empty() {
        line.len()
    } else {
        return None;
    };
    Some(KeyLine {
        name,
        value,
        indent,
    })
}

/// A field of lines: what `|` and `>` mean in YAML is taken in, and a row's end is taken off.
fn field(
    text: &str,
    base: usize,
    name: &str,
    key: Range<usize>,
    content: Range<usize>,
    shared: &Shared,
    slips: &mut Vec<Slip>,
) -> Entry {
    let is_plain = text[key.clone()]
        .trim_start()
        .starts_with(|c: char| c.is_alphanumeric() || matches!(c, '"' | '_'));
    let raw = &text[content.clone()];
    let (first, rest) = raw.split_once('\n').unwrap_or((raw, ""));
    let mark = first.trim();
    let mut entry = entry(text, base, name, key, content, shared);
    let NodeKind::Text(value) = &mut entry.node.kind else {
        return entry;
    };
    if is_plain && let Some(inner) = without_comments(&value.text) {
        let end = entry.node.span.end;
        slips.push(Slip {
            kind: RepairKind::Comment,
            span: entry.node.span.start + inner.len()..end,
        });
        value.text = inner.to_owned();
    }
    if matches!(mark, "|" | "|-" | "|+" | ">" | ">-" | ">+") {
        let lines = dedented(rest);
        value.text = if mark.starts_with('|') {
            lines
        } else {
            folded(&lines)
        };
        value.form = Form::Quoted;
    } else if value.text.ends_with('|')
        && text[..entry.key_span.end - base]
            .lines()
            .last()
            .is_some_and(|line| line.trim_start().starts_with('|'))
    {
        value.text = value.text.trim_end_matches('|').trim().to_owned();
    } else {
        let inner = value.text.as_str();
        let bold = inner
            .strip_prefix("**")
            .and_then(|inner| inner.strip_suffix("**"));
        let code = inner
            .strip_prefix('`')
            .and_then(|inner| inner.strip_suffix('`'));
        if let Some(inner) = bold.or(code).filter(|inner| !inner.contains(['*', '`'])) {
            value.text = inner.to_owned();
        } else if first.trim().is_empty() {
            value.text = dedented(rest);
        }
    }
    entry
}

/// A value of one line without the comment behind it and those on the lines below, as YAML has them.
fn without_comments(value: &str) -> Option<&str> {
    let (first, rest) = value.split_once('\n').unwrap_or((value, ""));
    let is_comment = |line: &str| {
        let line = line.trim();
        line.is_empty() || line == "#" || line.starts_with("# ")
    };
    if !rest.lines().all(is_comment) {
        return None;
    }
    let is_behind = |at: &usize| first[*at..].trim_start().starts_with("# ");
    let end = match first.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        // A hash between the marks is a part of the text.
        Some(mark) => first[1..]
            .match_indices(mark)
            .map(|(at, _)| at + 2)
            .find(is_behind),
        None => first
            .match_indices([' ', '\t'])
            .map(|(at, _)| at)
            .find(is_behind),
    };
    let kept = first[..end.unwrap_or(first.len())].trim_end();
    (!kept.is_empty() && kept.len() < value.trim_end().len()).then_some(kept)
}

pub(super) fn dedented(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let indents = lines.iter().filter(|line| !line.trim().is_empty());
    let indent = indents
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = lines
        .iter()
        .map(|line| line.get(indent..).unwrap_or_default())
        .collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// Lines in one, paragraphs kept.
fn folded(text: &str) -> String {
    let paragraphs = text.split("\n\n");
    let paragraphs: Vec<String> = paragraphs
        .map(|paragraph| paragraph.replace('\n', " "))
        .collect();
    paragraphs.join("\n")
}

//! Fields that are not JSON: markers of `DSPy`'s chat format, tags as in XML, and lines as in YAML or markdown.
//!
//! What is a field is known from the schema; everything else is text.

use std::collections::HashSet;
use std::ops::Range;

use super::embedded::Inside;
use super::fold::fold;
use super::repair::RepairKind;
use super::scan::Shared;
use super::schema::{ObjectType, Others};
use super::tree::{Entry, Form, Node, NodeKind, Slip, Text};

/// The names of the fields that are looked for, folded.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: HashSet<String>,
    /// Whether any name is one.
    open: bool,
}

impl Names {
    pub(super) fn of(ty: &ObjectType) -> Self {
        Self {
            open: matches!(ty.others, Others::Of(_)),
            ..Self::all(std::iter::once(ty))
        }
    }

    pub(super) fn all<'o>(types: impl Iterator<Item = &'o ObjectType>) -> Self {
        let names = types.flat_map(|ty| &ty.properties);
        Self {
            names: names.map(|property| fold(&property.name)).collect(),
            open: false,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        let name = fold(name);
        !name.is_empty() && (self.open || self.names.contains(&name))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether a text is the beginning of a name, or all of it, and nothing else.
    fn begins(&self, text: &str) -> bool {
        let name = fold(text);
        let is_word = text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        is_word && !name.is_empty() && self.names.iter().any(|known| known.starts_with(&name))
    }
}

/// Fields between markers: `[[ ## name ## ]]`.
pub(super) fn markers(text: &str, base: usize, shared: &Shared) -> Option<Inside> {
    let mut found: Vec<(Range<usize>, &str)> = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find("[[") {
        let start = at + start;
        match marker(&text[start..]) {
            Some((name, length)) => {
                found.push((start..start + length, name));
                at = start + length;
            }
            None => {
                // The last marker, cut off.
                let rest = &text[start + 2..];
                let line = window(rest).trim_start();
                if rest.len() <= LONGEST_MARKER
                    && (line.starts_with("##") || "##".starts_with(line.trim_end()))
                    && !line.contains('\n')
                    && !line.contains("]]")
                {
                    found.push((start..text.len(), "completed"));
                }
                at = start + 2;
            }
        }
    }
    shared.step(text.len());
    if found.is_empty() {
        return None;
    }
    let mut entries = Vec::new();
    for (index, (range, name)) in found.iter().enumerate() {
        if fold(name) == "completed" {
            break;
        }
        let end = found
            .get(index + 1)
            .map_or(text.len(), |(next, _)| next.start);
        entries.push(entry(
            text,
            base,
            name,
            range.clone(),
            range.end..end,
            shared,
        ));
    }
    Some(fields(entries, base, text.len(), shared))
}

/// Markers are no longer than this, in bytes.
const LONGEST_MARKER: usize = 200;

/// The beginning of a text, in which a marker must end.
fn window(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_MARKER);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The name in a marker that a text begins with, and the marker's length.
pub(super) fn marker(text: &str) -> Option<(&str, usize)> {
    let rest = window(text.strip_prefix("[[")?)
        .trim_start()
        .strip_prefix("##")?;
    let line = rest.lines().next()?;
    let skipped = 2 + window(&text[2..]).len() - rest.len();
    let end = line.find("##")?;
    let name = line[..end].trim();
    let close = line[end + 2..].trim_start_matches([' ', '#']);
    let close = close
        .strip_prefix("]]")
        .or_else(|| close.strip_prefix(']'))?;
    let length = skipped + (line.len() - close.len());
    (!name.is_empty()).then_some((name, length))
}

/// Fields between tags: `<name>…</name>`.
pub(super) fn tags(text: &str, base: usize, names: &Names, shared: &Shared) -> Option<Inside> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut slips = Vec::new();
    let mut unclosed: HashSet<&str> = HashSet::new();
    let mut at = 0;
    shared.step(text.len());
    while let Some(start) = text[at..].find('<') {
        let start = at + start;
        let Some((name, length)) = opening_tag(&text[start..]) else {
            at = start + 1;
            continue;
        };
        if !names.has(name) {
            at = start + length;
            continue;
        }
        let inner = start + length;
        let close = if unclosed.contains(name) {
            None
        } else {
            let close = closing_tag(&text[inner..], name);
            shared.step(close.map_or(text.len() - inner, |(end, _)| end));
            close
        };
        let (end, next) = match close {
            Some((end, length)) => (inner + end, inner + end + length),
            None => {
                unclosed.insert(name);
                // To the next field.
                let next = next_tag(&text[inner..], names).map_or(text.len(), |next| inner + next);
                slips.push(Slip {
                    kind: RepairKind::Unfinished,
                    span: base + start..base + next,
                });
                (next, next)
            }
        };
        let mut entry = entry(text, base, name, start..inner, inner..end, shared);
        entry.node.unescape();
        entries.push(entry);
        at = next;
    }
    if entries.is_empty() {
        return None;
    }
    let mut inside = fields(gathered(entries, shared), base, text.len(), shared);
    inside.slips.extend(slips);
    Some(inside)
}

/// A list of tags that are all the same: `<item>a</item><item>b</item>`.
pub(super) fn siblings(text: &str, base: usize, shared: &Shared) -> Option<Inside> {
    let mut items = Vec::new();
    let mut slips = Vec::new();
    let mut rest = text.trim();
    let mut known: Option<&str> = None;
    while !rest.is_empty() {
        let tag = opening_tag(rest);
        if tag.is_none() && !items.is_empty() && is_partial_tag(rest) {
            // Cut off.
            slips.push(unfinished(base + text.len()));
            break;
        }
        let (name, length) = tag?;
        if known.is_some_and(|known| known != name) {
            return None;
        }
        known = Some(name);
        let start =
            text.len() - text.trim_start().len() + (text.trim().len() - rest.len()) + length;
        let (end, close) = match closing_tag(&rest[length..], name) {
            Some(found) => found,
            None if !items.is_empty() => {
                // Cut off; so may be the tag that should close it.
                slips.push(unfinished(base + text.len()));
                let inner = &rest[length..];
                let tag = inner.rfind('<').filter(|at| is_partial_tag(&inner[*at..]));
                let end = tag.unwrap_or(inner.len());
                (end, inner.len() - end)
            }
            None => return None,
        };
        let content = start..start + end;
        let mut item = block(text, base, content, shared);
        item.unescape();
        items.push(item);
        rest = rest[length + end + close..].trim_start();
    }
    if items.is_empty() {
        return None;
    }
    let node = Node {
        id: shared.id(),
        span: base..base + text.len(),
        kind: NodeKind::List(items),
        cut: false,
    };
    slips.insert(0, slip(&node));
    Some(Inside { node, slips })
}

fn unfinished(at: usize) -> Slip {
    Slip {
        kind: RepairKind::Unfinished,
        span: at..at,
    }
}

/// Whether a text is the beginning of a tag, and nothing behind it.
fn is_partial_tag(text: &str) -> bool {
    text.strip_prefix('<').is_some_and(|name| {
        name.chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '/' | '_' | '-'))
    })
}

/// Entries of the same name as one list.
fn gathered(entries: Vec<Entry>, shared: &Shared) -> Vec<Entry> {
    let mut all: Vec<Entry> = Vec::new();
    for entry in entries {
        let Some(known) = all.iter_mut().find(|known| known.key == entry.key) else {
            all.push(entry);
            continue;
        };
        known.node.span.end = entry.node.span.end;
        if let NodeKind::List(items) = &mut known.node.kind {
            items.push(entry.node);
        } else {
            let first = Node {
                id: shared.id(),
                span: known.node.span.clone(),
                kind: std::mem::replace(&mut known.node.kind, NodeKind::Null),
                cut: false,
            };
            known.node.kind = NodeKind::List(vec![first, entry.node]);
        }
    }
    all
}

fn next_tag(text: &str, names: &Names) -> Option<usize> {
    let mut at = 0;
    // Tags that are open inside the field.
    let mut open: Vec<&str> = Vec::new();
    while let Some(start) = text[at..].find('<') {
        let start = at + start;
        let tag = &text[start..];
        if let Some(end) = tag.strip_prefix("</") {
            match open.pop() {
                Some(name) if end.starts_with(name) => {}
                _ => return Some(start),
            }
        }
        match opening_tag(tag) {
            Some((name, _)) if names.has(name) => return Some(start),
            Some((name, _)) => open.push(name),
            None => {}
        }
        at = start + 1;
    }
    None
}

/// The name of the tag that a text begins with, and the tag's length.
pub(super) fn opening_tag(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix('<')?;
    let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))?;
    if end == 0 || end > 64 {
        return None;
    }
    let after = &rest[end..];
    let close = if after.starts_with('>') {
        0
    } else if after.starts_with(' ') {
        // Attributes.
        after
            .find(['>', '<', '\n'])
            .filter(|at| after[*at..].starts_with('>'))?
    } else {
        return None;
    };
    Some((&rest[..end], 1 + end + close + 1))
}

/// Where the tag that closes a name stands in a text, and its length.
pub(super) fn closing_tag(text: &str, name: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    while let Some(start) = text[at..].find("</") {
        let start = at + start;
        let rest = text[start + 2..].trim_start();
        if let Some(found) = rest.get(..name.len())
            && found.eq_ignore_ascii_case(name)
            && let Some(after) = rest[name.len()..].trim_start().strip_prefix('>')
        {
            return Some((start, text.len() - start - after.len()));
        }
        at = start + 2;
    }
    None
}

/// Fields on lines: `name: value`, `**Name:** value`, `## Name`, `| name | value |`.
pub(super) fn lines(text: &str, base: usize, names: &Names, shared: &Shared) -> Option<Inside> {
    let mut entries = Vec::new();
    let mut open: Option<(&str, Range<usize>, usize, usize)> = None;
    let mut at = 0;
    shared.step(text.len());
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if matches!(line.trim(), "---" | "***" | "___") {
            // A rule ends a field.
            if let Some((name, range, from, _)) = open.take() {
                entries.push(field(text, base, name, range, from..start, shared));
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
            entries.push(field(text, base, name, range, from..start, shared));
        }
        open = Some((
            key.name,
            start..start + key.value,
            start + key.value,
            key.indent,
        ));
    }
    let mut cut = None;
    if let Some((name, range, from, _)) = open.take() {
        let mut end = end_of_last(text, from);
        // A last line that is on its way to the name of a field.
        let last = text[from..end].rfind('\n').map(|at| from + at);
        if let Some(last) =
            last.filter(|_| end == text.len() && names.begins(&text[last_line(text)..]))
        {
            cut = Some(unfinished(base + text.len()));
            end = last;
        }
        entries.push(field(text, base, name, range, from..end, shared));
    }
    if entries.is_empty() {
        return None;
    }
    let mut inside = fields(entries, base, text.len(), shared);
    inside.slips.extend(cut);
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
pub(super) struct KeyLine<'t> {
    pub(super) name: &'t str,
    /// Where the value begins in the line.
    value: usize,
    indent: usize,
}

pub(super) fn key_line(line: &str) -> Option<KeyLine<'_>> {
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
) -> Entry {
    let raw = &text[content.clone()];
    let (first, rest) = raw.split_once('\n').unwrap_or((raw, ""));
    let mark = first.trim();
    let mut entry = entry(text, base, name, key, content, shared);
    let NodeKind::Text(value) = &mut entry.node.kind else {
        return entry;
    };
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

fn dedented(text: &str) -> String {
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

/// The items of a list that is written with bullets or numbers, one a line. `prose` may stand around it.
pub(super) fn bullets(text: &str, base: usize, prose: bool, shared: &Shared) -> Option<Vec<Node>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    let mut indent = 0;
    let mut ended = false;
    shared.step(text.len());
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let trimmed = line.trim_start();
        if trimmed.is_empty() {
            continue;
        }
        let here = line.len() - trimmed.len();
        match bullet(trimmed) {
            // A second list.
            Some(_) if ended => return None,
            Some(length) if items.is_empty() || here <= indent => {
                indent = here;
                items.push(start + here + length..at);
            }
            _ => match items.last_mut() {
                // The item goes on.
                Some(item) if here > indent && !ended => item.end = at,
                _ if !prose => return None,
                Some(_) => ended = true,
                None => {}
            },
        }
    }
    if items.is_empty() {
        return None;
    }
    let item = |range: Range<usize>| {
        let mut node = block(text, base, range.clone(), shared);
        if let NodeKind::Text(item) = &mut node.kind
            && let Some((first, rest)) = text[range].split_once('\n')
            && !rest.trim().is_empty()
        {
            // What the bullet stands before is indented by it.
            item.text = format!("{}\n{}", first.trim(), dedented(rest));
        }
        node
    };
    Some(items.into_iter().map(item).collect())
}

/// The length of the bullet that a line begins with.
fn bullet(line: &str) -> Option<usize> {
    for mark in ["- ", "* ", "• ", "+ ", "– "] {
        if line.starts_with(mark) {
            return Some(mark.len());
        }
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &line[digits..];
    ((1..=3).contains(&digits) && (rest.starts_with(". ") || rest.starts_with(") ")))
        .then_some(digits + 2)
}

fn entry(
    text: &str,
    base: usize,
    name: &str,
    key: Range<usize>,
    content: Range<usize>,
    shared: &Shared,
) -> Entry {
    Entry {
        key: name.to_owned(),
        key_span: base + key.start..base + key.end,
        node: block(text, base, content, shared),
    }
}

/// A text that stands for itself, without the space around it.
fn block(text: &str, base: usize, content: Range<usize>, shared: &Shared) -> Node {
    let raw = &text[content.clone()];
    let trimmed = raw.trim();
    let start = content.start + (raw.len() - raw.trim_start().len());
    let inner = trimmed
        .strip_prefix("<![CDATA[")
        .and_then(|inner| inner.strip_suffix("]]>"))
        .unwrap_or(trimmed);
    Node {
        id: shared.id(),
        span: base + start..base + start + trimmed.len(),
        kind: NodeKind::Text(Text {
            text: inner.to_owned(),
            form: Form::Block,
            cut: false,
        }),
        cut: false,
    }
}

fn fields(entries: Vec<Entry>, base: usize, length: usize, shared: &Shared) -> Inside {
    let span = match (entries.first(), entries.last()) {
        (Some(first), Some(last)) => {
            first.key_span.start..last.node.span.end.max(last.key_span.end)
        }
        _ => base..base + length,
    };
    let node = Node {
        id: shared.id(),
        span,
        kind: NodeKind::Object(entries),
        cut: false,
    };
    Inside {
        slips: vec![slip(&node)],
        node,
    }
}

fn slip(node: &Node) -> Slip {
    Slip {
        kind: RepairKind::Layout,
        span: node.span.clone(),
    }
}

impl Node {
    /// Reads the entities of XML in a text, if all that could be markup is written so.
    fn unescape(&mut self) {
        let NodeKind::Text(text) = &mut self.kind else {
            return;
        };
        if let Some(plain) = unescaped(&text.text) {
            text.text = plain;
        }
    }
}

fn unescaped(text: &str) -> Option<String> {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    let (first, mut rest) = text.split_at(text.find('&')?);
    if text.contains('<') {
        return None;
    }
    let mut plain = first.to_owned();
    loop {
        let (entity, meant) = entities
            .iter()
            .find(|(entity, _)| rest.starts_with(entity))?;
        plain.push_str(meant);
        rest = &rest[entity.len()..];
        let Some(next) = rest.find('&') else {
            plain.push_str(rest);
            return Some(plain);
        };
        plain.push_str(&rest[..next]);
        rest = &rest[next..];
    }
}

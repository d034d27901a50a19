//! Fields and lists between tags, as in XML.

use std::collections::HashSet;

use super::{Names, block, entry, fields, slip, unfinished};
use crate::read::embedded::Inside;
use crate::read::repair::RepairKind;
use crate::read::scan::Shared;
use crate::read::tree::{Entry, Form, Node, NodeKind, Slip};

/// Fields between tags: `<name>…</name>`.
pub(in crate::read) fn tags(
    text: &str,
    base: usize,
    names: &Names,
    shared: &Shared,
) -> Option<Inside> {
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
        if close.is_some()
            && let NodeKind::Text(text) = &mut entry.node.kind
            && text.text.is_empty()
        {
            text.form = Form::Empty;
        }
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
pub(in crate::read) fn siblings(text: &str, base: usize, shared: &Shared) -> Option<Inside> {
    siblings_at(text, base, MAX_WRAPPERS, shared)
}

/// A list may have so many tags around it.
const MAX_WRAPPERS: u32 = 3;

fn siblings_at(text: &str, base: usize, wrappers: u32, shared: &Shared) -> Option<Inside> {
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
    if let (Some(outer), [only]) = (known, &items[..])
        && let NodeKind::Text(inner) = &only.kind
        && inner.text.starts_with('<')
        && wrappers > 0
        && let Some(inside) = siblings_at(&inner.text, only.span.start, wrappers - 1, shared)
        && let NodeKind::List(items) = &inside.node.kind
        && (items.len() > 1 || is_list_name(outer))
    {
        // The list has a tag of its own.
        return Some(inside);
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

/// Whether a tag of this name stands around items.
fn is_list_name(name: &str) -> bool {
    ["items", "list", "array", "ul", "ol", "elements", "values"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
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
pub(in crate::read) fn opening_tag(text: &str) -> Option<(&str, usize)> {
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

/// Where the tag that closes a name stands in a text, and its length: behind those of the same name that are opened in
/// it, or if their ends are missing, the first.
pub(in crate::read) fn closing_tag(text: &str, name: &str) -> Option<(usize, usize)> {
    let mut first = None;
    let mut open = 0_usize;
    let mut at = 0;
    while let Some(start) = text[at..].find('<') {
        let start = at + start;
        at = start + 1;
        let Some(close) = text[at..].strip_prefix('/') else {
            let inner = opening_tag(&text[start..]);
            open += usize::from(inner.is_some_and(|(inner, _)| inner.eq_ignore_ascii_case(name)));
            continue;
        };
        let rest = close.trim_start();
        if let Some(found) = rest.get(..name.len())
            && found.eq_ignore_ascii_case(name)
            && let Some(after) = rest[name.len()..].trim_start().strip_prefix('>')
        {
            let place = (start, text.len() - start - after.len());
            if open == 0 {
                return Some(place);
            }
            open -= 1;
            first.get_or_insert(place);
        }
    }
    first
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

//! Lists with bullets or numbers, an item a line.

use std::ops::Range;

use super::block;
use super::lines::dedented;
use crate::read::scan::Shared;
use crate::read::tree::{Node, NodeKind};

/// The items of a list that is written with bullets or numbers, one a line. `prose` may stand around it.
pub(in crate::read) fn bullets(
    text: &str,
    base: usize,
    prose: bool,
    shared: &Shared,
) -> Option<Vec<Node>> {
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

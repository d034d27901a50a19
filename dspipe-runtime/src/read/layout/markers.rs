//! Fields between markers, as in `DSPy`'s chat format.

use std::ops::Range;

use super::{entry, fields};
use crate::read::embedded::Inside;
use crate::read::fold::fold;
use crate::read::scan::Shared;

/// Fields between markers: `[[ ## name ## ]]`.
pub(in crate::read) fn markers(text: &str, base: usize, shared: &Shared) -> Option<Inside> {
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
pub(in crate::read) fn marker(text: &str) -> Option<(&str, usize)> {
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

//! From a place in a scalar's text back to its place in the file.

use std::ops::Range;

use crate::source::{Sources, Span};
use crate::template;

/// The span of the `index`-th `{{ … }}` of a scalar. Placeholders are written
/// alike in every scalar style, so they can be found again in the source; where
/// that fails (an escaped brace), the whole scalar is marked.
pub(crate) fn locate_placeholder(sources: &Sources, scalar: Span, index: usize) -> Span {
    let source = sources.slice(scalar);
    let mut at = 0;
    for _ in 0..index {
        let Some((_, end)) = next_placeholder(source, at) else {
            return scalar;
        };
        at = end;
    }
    match next_placeholder(source, at) {
        Some((start, end)) => Span {
            start: scalar.start + start,
            end: scalar.start + end,
            ..scalar
        },
        None => scalar,
    }
}

fn next_placeholder(source: &str, from: usize) -> Option<(usize, usize)> {
    let start = from + source[from..].find("{{")?;
    let inner = start + 2;
    let end = template::close(&source[inner..]).map_or(source.len(), |length| inner + length + 2);
    Some((start, end))
}

/// The span of a part of `text`, which stands in `around`; all of `around` where the text is written
/// otherwise there (with escapes, or folded).
pub(crate) fn locate_part(sources: &Sources, around: Span, text: &str, part: Range<usize>) -> Span {
    match sources.slice(around).find(text) {
        Some(offset) => {
            let start = around.start + offset + part.start;
            // At the end of the text there is nothing to mark but its last character.
            let end = (around.start + offset + part.end).max(start);
            Span {
                start,
                end,
                ..around
            }
        }
        None => around,
    }
}

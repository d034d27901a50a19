//! From a place in a scalar's text back to its place in the file.

use crate::source::{Sources, Span};

/// The span of the `index`-th `{{ … }}` of a scalar. Placeholders are written
/// alike in every scalar style, so they can be found again in the source; where
/// that fails (an escaped brace), the whole scalar is marked.
pub(crate) fn locate_placeholder(sources: &Sources, scalar: Span, index: usize) -> Span {
    let source = sources.slice(scalar);
    let Some((start, _)) = source.match_indices("{{").nth(index) else {
        return scalar;
    };
    let end = source[start..]
        .find("}}")
        .map_or(source.len(), |len| start + len + 2);
    Span {
        start: scalar.start + start,
        end: scalar.start + end,
        ..scalar
    }
}

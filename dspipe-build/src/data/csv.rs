//! CSV with the place of every cell.

use csv::{ReaderBuilder, StringRecord};

use super::{Malformed, Part};
use crate::source::{FileId, Span};
use crate::yaml::{Key, Kind, Node};

/// Reads a table whose first row names the fields. Cells are plain scalars: what
/// they mean depends on the type asked for.
pub(super) fn records(
    text: &str,
    file: FileId,
    found: &mut dyn FnMut(Result<Part<'_>, Malformed>),
) {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut names: Option<Vec<Key>> = None;
    let mut row = StringRecord::new();
    loop {
        match reader.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                found(Err(Malformed {
                    at: 0,
                    problem: format!("the table cannot be read: {error}"),
                }));
                return;
            }
        }
        let at = row
            .position()
            .map_or(0, |position| usize::try_from(position.byte()).unwrap_or(0));
        let spans = cells(text, file, at, row.len());
        let cells = row.iter().map(str::to_owned).zip(spans.iter().copied());
        match &names {
            None => {
                let keys: Vec<Key> = cells
                    .map(|(name, span)| Key {
                        text: name.trim().trim_start_matches('\u{feff}').to_owned(),
                        span: unquoted(text, span),
                    })
                    .collect();
                found(Ok(Part::Header(&keys)));
                names = Some(keys);
            }
            Some(names) => found(record(names, cells.collect(), file).map(Part::Record)),
        }
    }
}

fn record(names: &[Key], cells: Vec<(String, Span)>, file: FileId) -> Result<Node, Malformed> {
    let start = cells.first().map_or(0, |(_, span)| span.start);
    let end = cells.last().map_or(start, |(_, span)| span.end);
    if cells.len() != names.len() {
        return Err(Malformed {
            at: start,
            problem: format!(
                "a row of {} cells under a header of {}",
                cells.len(),
                names.len()
            ),
        });
    }
    let entries = names
        .iter()
        .zip(cells)
        .map(|(name, (text, span))| {
            let key = Key {
                text: name.text.clone(),
                span,
            };
            let kind = Kind::Scalar { text, plain: true };
            (key, Node { span, kind })
        })
        .collect();
    Ok(Node {
        span: Span { file, start, end },
        kind: Kind::Map(entries),
    })
}

/// Where the cells of the row at `at` are, quotes included: the `csv` crate knows
/// only where rows begin.
fn cells(text: &str, file: FileId, at: usize, count: usize) -> Vec<Span> {
    let bytes = text.as_bytes();
    let mut at = at.min(bytes.len());
    while matches!(bytes.get(at), Some(b'\r' | b'\n')) {
        at += 1;
    }
    if at == 0 && text.starts_with('\u{feff}') {
        at = '\u{feff}'.len_utf8();
    }
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let start = at;
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            loop {
                match (bytes.get(at), bytes.get(at + 1)) {
                    (Some(b'"'), Some(b'"')) => at += 2,
                    (Some(b'"'), _) => {
                        at += 1;
                        break;
                    }
                    (Some(_), _) => at += 1,
                    (None, _) => break,
                }
            }
        }
        while !matches!(bytes.get(at), None | Some(b',' | b'\r' | b'\n')) {
            at += 1;
        }
        spans.push(Span {
            file,
            start,
            end: at,
        });
        if bytes.get(at) == Some(&b',') {
            at += 1;
        }
    }
    spans
}

/// The inside of a quoted cell, as names are suggested.
fn unquoted(text: &str, span: Span) -> Span {
    let cell = text.get(span.start..span.end).unwrap_or_default();
    if cell.len() >= 2 && cell.starts_with('"') && cell.ends_with('"') {
        return Span {
            start: span.start + 1,
            end: span.end - 1,
            ..span
        };
    }
    span
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (Vec<String>, Vec<Result<Node, Malformed>>) {
        let (mut names, mut rows) = (Vec::new(), Vec::new());
        records(text, FileId::default(), &mut |part| match part {
            Ok(Part::Header(keys)) => {
                names = keys.iter().map(|key| key.text.clone()).collect();
            }
            Ok(Part::Record(node)) => rows.push(Ok(node)),
            Err(error) => rows.push(Err(error)),
        });
        (names, rows)
    }

    #[test]
    fn cells_and_their_places() {
        let text = "\u{feff}text, label\r\n\r\n\"a, \"\"b\"\"\nc\",low\r\nd,high\r\n";
        let (names, rows) = read(text);
        assert_eq!(names, ["text", "label"]);
        let cells: Vec<(String, &str)> = rows
            .iter()
            .flat_map(|row| match &row.as_ref().unwrap().kind {
                Kind::Map(entries) => entries.clone(),
                _ => Vec::new(),
            })
            .map(|(_, node)| match node.kind {
                Kind::Scalar { text: cell, .. } => (cell, &text[node.span.start..node.span.end]),
                _ => (String::new(), ""),
            })
            .collect();
        assert_eq!(
            cells,
            [
                ("a, \"b\"\nc".to_owned(), "\"a, \"\"b\"\"\nc\""),
                ("low".to_owned(), "low"),
                ("d".to_owned(), "d"),
                ("high".to_owned(), "high"),
            ]
        );
    }

    #[test]
    fn rows_of_another_length() {
        let rows = read("a,b\n1\n1,2\n").1;
        let error = rows[0].as_ref().unwrap_err();
        assert_eq!(error.at, 4);
        assert!(
            error
                .problem
                .contains("a row of 1 cells under a header of 2")
        );
        assert!(rows[1].is_ok());
    }

    proptest! {
        #[test]
        fn any_text_gives_places_in_it(text in "[a\",\r\né ]*") {
            for row in read(&text).1 {
                match row {
                    Ok(node) => prop_assert!(text.get(node.span.start..node.span.end).is_some()),
                    Err(error) => prop_assert!(text.is_char_boundary(error.at)),
                }
            }
        }
    }
}

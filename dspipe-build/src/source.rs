//! Source files and positions in them.

use std::fmt;

/// Which file of a [`Sources`] a span lies in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(u32);

/// A byte range in one source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    pub(crate) file: FileId,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A value and where it was written. Comparisons look at the value only.
#[derive(Debug, Clone)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> Spanned<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// One file: the path that people see, and its text.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) text: String,
    line_starts: Vec<usize>,
}

impl SourceFile {
    /// One-based line and one-based column (in characters) of a byte offset.
    pub(crate) fn line_column(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// The files of one compilation, or of the part of it that one thread compiles.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    part: u32,
    files: Vec<SourceFile>,
    /// What the other threads had.
    others: Vec<Sources>,
}

/// Files in one part; the rest of the bits of a [`FileId`] tell the part.
const PART: u32 = 1 << 20;

impl Sources {
    /// The files of part number `part`.
    pub(crate) fn of_part(part: u32) -> Self {
        Self {
            part,
            ..Self::default()
        }
    }

    /// Shows the paths of all files as seen from elsewhere: `directory` is where they are seen from now.
    pub(crate) fn show_from(&mut self, directory: &str) {
        if directory.is_empty() {
            return;
        }
        for file in &mut self.files {
            file.path = [directory.trim_end_matches('/'), "/", &file.path].concat();
        }
    }

    /// Adds the files of another part.
    pub(crate) fn append(&mut self, other: Self) {
        self.others.push(other);
    }

    pub(crate) fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> FileId {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        self.files.push(SourceFile {
            path: path.into(),
            text,
            line_starts,
        });
        let index = u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX);
        FileId(self.part * PART + index)
    }

    pub(crate) fn file(&self, id: FileId) -> &SourceFile {
        let part = id.0 / PART;
        let mut others = self.others.iter();
        let files = match others.find(|other| other.part == part && part != self.part) {
            Some(other) => &other.files,
            None => &self.files,
        };
        &files[(id.0 % PART) as usize]
    }

    /// The text that a span covers.
    pub(crate) fn slice(&self, span: Span) -> &str {
        self.file(span.file)
            .text
            .get(span.start..span.end)
            .unwrap_or_default()
    }

    /// `path:line`, as doc comments and metadata cite it.
    pub(crate) fn location(&self, span: Span) -> String {
        let file = self.file(span.file);
        format!("{}:{}", file.path, file.line_column(span.start).0)
    }
}

/// The next place before or at `at` where a character begins.
pub(crate) fn boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", "é: 1\n  ü: 2\n");
        let file = sources.file(file);
        assert_eq!(file.line_column(0), (1, 1));
        assert_eq!(file.line_column(2), (1, 2));
        assert_eq!(file.line_column(file.text.find('ü').unwrap()), (2, 3));
        assert_eq!(file.line_column(file.text.len()), (3, 1));
    }
}

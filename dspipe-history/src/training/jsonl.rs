//! Files of examples: JSON Lines, read one line at a time, written whole or not at all.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Example;

/// Why a file of examples could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A line is not an example.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// The column in bytes, from 1.
        column: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The file could not be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file could not be written; what was there is as it was.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is such a file, and it was not to be replaced.
    #[error("{} exists; name another file, or replace it with --force", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

/// Whether a file may be replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// What is there stays.
    #[default]
    Refuse,
    /// What is there is replaced, at once and whole.
    Force,
}

/// The examples of a file with their lines, from 1. Empty lines are skipped. Goes on after a line that is
/// not an example, and ends after an error of the file.
///
/// # Errors
/// [`DataError::Read`] if the file cannot be opened.
pub fn read(
    path: impl Into<PathBuf>,
) -> Result<impl Iterator<Item = Result<(usize, Example), DataError>>, DataError> {
    let path = path.into();
    let file = File::open(&path).map_err(|source| DataError::Read {
        path: path.clone(),
        source,
    })?;
    Ok(Lines {
        path,
        reader: Some(BufReader::new(file)),
        text: Vec::new(),
        line: 0,
    })
}

struct Lines {
    path: PathBuf,
    /// `None` after the end.
    reader: Option<BufReader<File>>,
    text: Vec<u8>,
    line: usize,
}

impl Iterator for Lines {
    type Item = Result<(usize, Example), DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.text.clear();
            self.line += 1;
            match self.reader.as_mut()?.read_until(b'\n', &mut self.text) {
                Ok(0) => self.reader = None,
                Ok(_) if self.text.trim_ascii().is_empty() => {}
                Ok(_) => return Some(self.parse()),
                Err(source) => {
                    self.reader = None;
                    return Some(Err(DataError::Read {
                        path: self.path.clone(),
                        source,
                    }));
                }
            }
        }
    }
}

impl Lines {
    fn parse(&self) -> Result<(usize, Example), DataError> {
        let text = self
            .text
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.text);
        let wrong = |column, reason| DataError::Line {
            path: self.path.clone(),
            line: self.line,
            column,
            reason,
        };
        let example: Example = serde_json::from_slice(text).map_err(|error| {
            let text = error.to_string();
            // The position has fields of its own.
            let reason = text.split(" at line ").next().unwrap_or_default();
            wrong(error.column().max(1), reason.to_owned())
        })?;
        if !(example.weight >= 0.0 && example.weight.is_finite()) {
            return Err(wrong(1, "`weight` must not be negative".to_owned()));
        }
        Ok((self.line, example))
    }
}

/// All examples of a file with their lines.
///
/// # Errors
/// The first [`DataError`].
pub fn read_all(path: impl Into<PathBuf>) -> Result<Vec<(usize, Example)>, DataError> {
    read(path)?.collect()
}

/// Writes examples, and returns how many there were.
///
/// # Errors
/// [`DataError`]; what was there is as it was.
pub fn write<'a>(
    path: &Path,
    overwrite: Overwrite,
    examples: impl IntoIterator<Item = &'a Example>,
) -> Result<u64, DataError> {
    let mut count = 0;
    replace(path, overwrite, |out| {
        for example in examples {
            serde_json::to_writer(&mut *out, example)?;
            out.write_all(b"\n")?;
            count += 1;
        }
        Ok::<_, DataError>(())
    })?;
    Ok(count)
}

/// Writes a file whole or not at all: into one beside it, which then takes its name.
///
/// # Errors
/// [`DataError::Exists`], [`DataError::Write`], and what `fill_in` fails with.
pub fn replace<E: From<DataError>>(
    path: &Path,
    overwrite: Overwrite,
    fill_in: impl FnOnce(&mut dyn Write) -> Result<(), E>,
) -> Result<(), E> {
    let io = |source| DataError::Write {
        path: path.to_owned(),
        source,
    };
    let exists = || DataError::Exists {
        path: path.to_owned(),
    };
    // Said before the work, and seen to again after it.
    if overwrite == Overwrite::Refuse && path.exists() {
        return Err(exists().into());
    }
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let temporary = tempfile::NamedTempFile::new_in(directory).map_err(io)?;
    let mut out = BufWriter::new(temporary);
    fill_in(&mut out)?;
    let temporary = out.into_inner().map_err(|error| io(error.into_error()))?;
    temporary.as_file().sync_all().map_err(io)?;
    let stored = match overwrite {
        Overwrite::Force => temporary.persist(path),
        Overwrite::Refuse => temporary.persist_noclobber(path),
    };
    match stored {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(exists().into())
        }
        Err(error) => Err(io(error.error).into()),
    }
}

/// For writers inside [`replace`]: the file's name is not known there.
impl From<std::io::Error> for DataError {
    fn from(source: std::io::Error) -> Self {
        Self::Write {
            path: PathBuf::from("the temporary file"),
            source,
        }
    }
}

impl From<serde_json::Error> for DataError {
    fn from(error: serde_json::Error) -> Self {
        std::io::Error::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::test_support::example;

    #[test]
    fn what_is_written_reads_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jsonl");
        let mut second = example(json!({"text": "x\ny"}), json!({"n": 1.5}));
        second.weight = 0.5;
        second.synthetic = true;
        second.source = "execution 3".to_owned();
        let examples = [example(json!({}), json!({})), second];
        assert_eq!(write(&path, Overwrite::Refuse, &examples).unwrap(), 2);
        assert_eq!(
            fs::read_to_string(&path).unwrap().lines().next(),
            Some(r#"{"inputs":{},"outputs":{}}"#)
        );
        let read = read_all(&path).unwrap();
        assert_eq!(
            read,
            examples
                .into_iter()
                .enumerate()
                .map(|(i, e)| (i + 1, e))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn every_bad_line_has_its_number_and_the_rest_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jsonl");
        let lines = [
            "\u{feff}{\"input\": {}, \"output\": {}}",
            "",
            "{\"inputs\": {}, \"outputs\": 3}",
            "{\"inputs\": {}, \"outputs\": {}, \"weigth\": 2}",
            "{\"inputs\": {}, \"outputs\": {}, \"weight\": -1}",
            "{\"inputs\"",
            "{\"inputs\": {}, \"outputs\": {}}",
        ];
        fs::write(&path, lines.join("\r\n")).unwrap();
        let read: Vec<_> = read(&path).unwrap().collect();
        let good: Vec<usize> = read
            .iter()
            .filter_map(|r| Some(r.as_ref().ok()?.0))
            .collect();
        assert_eq!(good, [1, 7]);
        let bad: Vec<String> = read
            .iter()
            .filter_map(|r| r.as_ref().err().map(ToString::to_string))
            .collect();
        assert!(
            bad[0].contains("a.jsonl:3:") && bad[0].contains("expected a map"),
            "{bad:?}"
        );
        assert!(
            bad[1].contains("a.jsonl:4:") && bad[1].contains("`weigth`"),
            "{bad:?}"
        );
        assert!(
            bad[2].contains("a.jsonl:5:") && bad[2].contains("`weight`"),
            "{bad:?}"
        );
        assert!(bad[3].contains("a.jsonl:6:"), "{bad:?}");
    }

    #[test]
    fn nothing_is_replaced_unless_it_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jsonl");
        fs::write(&path, "mine").unwrap();
        let error = write(&path, Overwrite::Refuse, []).unwrap_err();
        assert!(matches!(error, DataError::Exists { .. }));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        // One that fails half way leaves it as it was, and nothing beside it.
        let failed: Result<(), DataError> = replace(&path, Overwrite::Force, |out| {
            out.write_all(b"half")?;
            Err(std::io::Error::other("no").into())
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        write(&path, Overwrite::Force, []).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}

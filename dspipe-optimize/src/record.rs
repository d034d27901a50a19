//! What LMs answered, kept until the optimization is done and after, so that one that was interrupted goes on
//! without asking again.
//!
//! Optimizers are deterministic: asked again with the same answers they come to the same place. So going on is
//! starting again, with answers from here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dspipe_runtime::cassette::{Cassettes, Mode};

use crate::error::OptimizeError;

const ANSWERS: &str = "answers";
const FINISHED: &str = "finished";

/// The answers of one optimization.
#[derive(Debug)]
pub(crate) struct Record {
    directory: PathBuf,
}

impl Record {
    /// The record of a key, which is made of everything that the answers depend on.
    pub(crate) fn open(root: &Path, workflow: &str, key: &str) -> Result<Self, OptimizeError> {
        let directory = root.join(file_name(workflow)).join(key);
        let made = fs::create_dir_all(&directory).and_then(|()| {
            // Answers are nobody's source code.
            let ignore = root.join(".gitignore");
            if ignore.exists() {
                Ok(())
            } else {
                fs::write(ignore, "*\n")
            }
        });
        match made {
            Ok(()) => Ok(Self { directory }),
            Err(source) => Err(OptimizeError::Io {
                path: directory,
                doing: "made",
                source,
            }),
        }
    }

    /// Whether there are answers already, and whether that optimization came to its end.
    pub(crate) fn state(&self) -> State {
        let begun = fs::read_dir(self.directory.join(ANSWERS))
            .is_ok_and(|mut entries| entries.next().is_some());
        match (begun, self.directory.join(FINISHED).exists()) {
            (false, _) => State::New,
            (true, false) => State::Interrupted,
            (true, true) => State::Finished,
        }
    }

    /// Forgets all answers.
    pub(crate) fn clear(&self) -> Result<(), OptimizeError> {
        for path in [ANSWERS, FINISHED].map(|name| self.directory.join(name)) {
            let removed = if path.is_dir() {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            match removed {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(OptimizeError::Io {
                        path,
                        doing: "removed",
                        source,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn finish(&self) -> Result<(), OptimizeError> {
        let path = self.directory.join(FINISHED);
        fs::write(&path, "").map_err(|source| OptimizeError::Io {
            path,
            doing: "written",
            source,
        })
    }

    pub(crate) fn answers(&self) -> Cassettes {
        Cassettes::fixed(self.directory.join(ANSWERS), Mode::New)
    }
}

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    New,
    Interrupted,
    Finished,
}

fn file_name(workflow: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    workflow.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_new_then_interrupted_then_finished() {
        let root = tempfile::tempdir().unwrap();
        let record = Record::open(root.path(), "my flow", "k").unwrap();
        assert_eq!(record.state(), State::New);
        let answers = root.path().join("my_flow/k/answers");
        fs::create_dir_all(&answers).unwrap();
        fs::write(answers.join("a.json"), "{}").unwrap();
        assert_eq!(record.state(), State::Interrupted);
        record.finish().unwrap();
        assert_eq!(record.state(), State::Finished);
        record.clear().unwrap();
        record.clear().unwrap();
        assert_eq!(record.state(), State::New);
        assert_eq!(
            fs::read_to_string(root.path().join(".gitignore")).unwrap(),
            "*\n"
        );
    }
}

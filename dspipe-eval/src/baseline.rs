//! The results that others are held against: a small file that is committed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::file;
use crate::tally::Tally;

/// What the files say of themselves; it changes when older ones can no longer be read.
const VERSION: u32 = 1;

/// What came of each case of a suite. It holds no times and no cost, so that the same results give the
/// same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    version: u32,
    /// The suite's name.
    pub suite: String,
    /// Every case, by its name.
    pub cases: BTreeMap<String, BaselineCase>,
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaselineCase {
    /// Identifies its input and expected output.
    pub content: String,
    /// How often it ran.
    pub tries: u32,
    /// How often it passed.
    pub passes: u32,
    /// The mean score, to four decimals.
    pub score: f64,
    /// The mean score of each metric, to four decimals.
    pub metrics: BTreeMap<String, f64>,
}

impl BaselineCase {
    /// Whether it passed more often than not.
    pub fn passed(&self) -> bool {
        self.passes * 2 > self.tries
    }
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// There is none.
    #[error(
        "there is no baseline at {}; DSPIPE_UPDATE_BASELINE=1 writes the results of this run there, to be \
         committed", .0.display()
    )]
    Missing(PathBuf),
    /// It cannot be read or written.
    #[error("the baseline {} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is something else.
    #[error(
        "{} is no baseline of `{suite}`: {reason}; DSPIPE_UPDATE_BASELINE=1 writes it anew", path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The suite.
        suite: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Baseline {
    /// The results of a run.
    pub fn of(suite: &str, tally: &Tally) -> Self {
        let cases = tally.cases.iter().map(|(id, outcome)| {
            let metrics = outcome.sums.keys().filter_map(|name| {
                let mean = outcome.metric(name)?;
                Some((name.clone(), rounded(mean)))
            });
            let case = BaselineCase {
                content: outcome.fingerprint.clone(),
                tries: outcome.tries,
                passes: outcome.passes,
                score: rounded(outcome.score()),
                metrics: metrics.collect(),
            };
            (id.clone(), case)
        });
        Self {
            version: VERSION,
            suite: suite.to_owned(),
            cases: cases.collect(),
        }
    }

    /// Reads the baseline of a suite.
    ///
    /// # Errors
    /// [`BaselineError`].
    pub fn read(path: &Path, suite: &str) -> Result<Self, BaselineError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BaselineError::Missing(path.to_owned()));
            }
            Err(source) => {
                let path = path.to_owned();
                return Err(BaselineError::Io { path, source });
            }
        };
        let malformed = |reason: String| BaselineError::Malformed {
            path: path.to_owned(),
            suite: suite.to_owned(),
            reason,
        };
        let found: Self =
            serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        if found.version != VERSION {
            return Err(malformed(format!(
                "it has version {}, this is {VERSION}",
                found.version
            )));
        }
        if found.suite != suite {
            return Err(malformed(format!("it is that of `{}`", found.suite)));
        }
        Ok(found)
    }

    /// Writes it, a line for each case.
    ///
    /// # Errors
    /// [`BaselineError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), BaselineError> {
        let write = || {
            let mut text = format!(
                "{{\n\"version\": {},\n\"suite\": {},\n\"cases\": {{",
                self.version,
                serde_json::to_string(&self.suite)?
            );
            for (nth, (id, case)) in self.cases.iter().enumerate() {
                text.push_str(if nth == 0 { "\n" } else { ",\n" });
                text.push_str(&serde_json::to_string(id)?);
                text.push_str(": ");
                text.push_str(&serde_json::to_string(case)?);
            }
            text.push_str("\n}\n}\n");
            file::write(path, text.as_bytes())
        };
        write().map_err(|source: io::Error| BaselineError::Io {
            path: path.to_owned(),
            source,
        })
    }
}

fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

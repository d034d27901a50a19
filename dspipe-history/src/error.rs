//! What can be wrong with a history.

use std::path::PathBuf;

/// Why a history could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// SQLite refused.
    #[error("{}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },

    /// A newer dspipe has written the file.
    #[error(
        "{} has version {found} of the layout, this dspipe knows {known}; use the newer dspipe",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that can be read.
        known: u32,
    },

    /// The file is a database of something else.
    #[error("{} is a database, but not a history of dspipe; name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },

    /// There is no such file, and none was to be made.
    #[error("there is no history at {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },

    /// No execution has this number.
    #[error("there is no execution {id} in {}", path.display())]
    NoExecution {
        /// The file.
        path: PathBuf,
        /// The number.
        id: i64,
    },

    /// Records were dropped since the last flush.
    #[error("{lost} executions were not recorded: {reason}")]
    Lost {
        /// How many.
        lost: u64,
        /// Why the last one was not.
        reason: String,
    },

    /// A value could not be serialized.
    #[error("the inputs of `{workflow}` cannot be serialized: {reason}")]
    Serialize {
        /// The workflow.
        workflow: String,
        /// What serde said.
        reason: String,
    },

    /// The thread that writes could not be started.
    #[error("the thread that writes the history cannot be started: {0}")]
    Thread(std::io::Error),

    /// The exported text could not be written.
    #[error("cannot write the export: {0}")]
    Export(std::io::Error),
}

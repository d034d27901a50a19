//! What an optimization can fail with.

use std::path::PathBuf;

use dspipe_runtime::LmError;

use crate::bridge::BridgeError;

/// Why an optimization did not come to its end. Prompts that are in use stay as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptimizeError {
    /// The workflow file, its settings or its data are not right.
    #[error("{0}")]
    Invalid(#[from] dspipe_build::Invalid),
    /// There are too few examples, or none of the right kind.
    #[error("{0}")]
    Data(String),
    /// What is asked for cannot be.
    #[error("{0}")]
    Settings(String),
    /// The metric cannot score an example, so no prompt can be compared with another.
    #[error("the metric has no score for the example at {example}: {reason}")]
    Metric {
        /// Where the example is.
        example: String,
        /// Why.
        reason: String,
    },
    /// An LM cannot be asked at all.
    #[error(transparent)]
    Lm(#[from] LmError),
    /// Python, the bridge or the optimizer failed.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// A file cannot be read or written.
    #[error("{} cannot be {doing}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `written` and the like.
        doing: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

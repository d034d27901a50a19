//! Why a build script cannot go on. Mistakes in workflows are diagnostics instead.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A failure of the build script itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A variable that Cargo sets for build scripts is not set.
    NotABuildScript {
        /// The variable.
        variable: &'static str,
    },
    /// [`Config::runtime_path`](crate::Config::runtime_path) is not a Rust path.
    RuntimePath {
        /// What was given.
        path: String,
    },
    /// A generated file could not be written.
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABuildScript { variable } => write!(
                f,
                "{variable} is not set: dspipe_build::compile belongs into a build script (build.rs)"
            ),
            Self::RuntimePath { path } => write!(
                f,
                "`{path}` is not a Rust path; the runtime path looks like `::dspipe_runtime`"
            ),
            Self::Write { path, source } => {
                write!(f, "cannot write {}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Write { source, .. } => Some(source),
            _ => None,
        }
    }
}

//! Why a build script cannot go on. Mistakes in workflows are diagnostics instead.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A failure of the build script itself.
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
    /// [`Config::type_prefix`](crate::Config::type_prefix) cannot begin a type's name.
    TypePrefix {
        /// What was given.
        prefix: String,
    },
    /// A pattern of [`Config::glob`](crate::Config::glob) names no directory to look in.
    Glob {
        /// The pattern.
        pattern: String,
    },
    /// What is to be done with a generated type cannot be done, or there is no such type.
    Override {
        /// The pattern for the type's path.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Workflows have errors, and the committed code is what it was before.
    Workflows {
        /// The diagnostics.
        report: String,
    },
    /// Committed code is not what the workflows compile to.
    Stale {
        /// The files that differ, are missing or are left over.
        files: Vec<PathBuf>,
    },
    /// [`Config::check_emitted`](crate::Config::check_emitted) without
    /// [`Config::emit_to`](crate::Config::emit_to).
    NothingEmitted,
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
            Self::TypePrefix { prefix } => write!(
                f,
                "no type can be called `{prefix}…`; a prefix is a word such as `Wf`"
            ),
            Self::Glob { pattern } => write!(
                f,
                "the pattern `{pattern}` must start with a directory of the package, as in \
                 `workflows/**/*.yaml`: Cargo watches all that is in it"
            ),
            Self::Override { pattern, problem } => write!(f, "`{pattern}`: {problem}"),
            Self::Workflows { report } => write!(f, "the workflows have errors\n\n{report}"),
            Self::Stale { files } => {
                f.write_str("generated code is stale; `cargo build` writes it anew:")?;
                files
                    .iter()
                    .try_for_each(|file| write!(f, "\n  {}", file.display()))
            }
            Self::NothingEmitted => {
                f.write_str("nothing is committed to compare with: call `Config::emit_to` first")
            }
            Self::Write { path, source } => {
                write!(f, "cannot write {}: {source}", path.display())
            }
        }
    }
}

/// As it is displayed: this is what Cargo shows when `main` returns it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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

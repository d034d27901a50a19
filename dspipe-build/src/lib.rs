//! Compiles dspipe workflows (YAML) to strongly typed Rust.
//!
//! A build script is all it takes:
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), dspipe_build::Error> {
//!     dspipe_build::compile("workflows")
//! }
//! ```
//!
//! The crate then includes the generated modules with
//! `dspipe_runtime::include_workflows!()`.
//!
//! # How it works
//!
//! Text becomes a spanned tree (`yaml`), the tree the format's own types (`spec`),
//! those a checked workflow (`check`, `ir`), and that Rust tokens (`emit`, `format`).
//! Every stage before `emit` collects all problems it finds; `emit` cannot fail.
//! Mistakes in workflows become compile errors of the crate, not of the build script,
//! with rustc-style snippets of the YAML.

mod artifact;
mod cargo;
mod check;
mod compile;
mod config;
mod data;
mod diag;
mod emit;
mod emitted;
mod error;
mod evals;
mod expr;
mod files;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzz;
mod glob;
mod ir;
mod library;
mod nested;
mod overrides;
#[cfg(feature = "schema")]
mod schema;
mod source;
mod spec;
mod stamps;
mod suite;
mod template;
mod training;
mod ty;
mod words;
mod write_back;
mod yaml;

/// What `dspipe-macros` shares with the compiler. Not for use by hand.
#[doc(hidden)]
pub mod shared {
    use crate::{check, diag};

    /// The known name that `written` is probably a slip of.
    pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        diag::nearest(written, known)
    }

    /// Whether a text names an LM as `provider/model`.
    pub fn is_lm_name(text: &str) -> bool {
        check::is_lm_name(text)
    }
}

use std::path::Path;

pub use compile::{Compilation, Workflow};
pub use config::Config;
pub use diag::{Code, UnknownCode};
pub use error::Error;
#[cfg(feature = "schema")]
pub use schema::format_schema;
pub use suite::{METRICS, Sample, SnapshotRules, Suite, SuiteCase, SuiteCheck, Takes};
pub use training::{Invalid, Record, Settings, Stage, Training};
pub use write_back::{StepText, write_back};

/// Compiles every workflow in a directory of the package, with default settings.
///
/// # Errors
///
/// See [`Config::compile`].
pub fn compile(directory: impl AsRef<Path>) -> Result<(), Error> {
    Config::new().workflows(directory).compile()
}

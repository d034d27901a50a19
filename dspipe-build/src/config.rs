//! The builder that a build script uses.

use std::path::{Path, PathBuf};

use proc_macro2::TokenStream;

use crate::compile::Compilation;
use crate::error::Error;
use crate::{cargo, files};

/// How workflows are compiled. [`compile`](crate::compile) is the short form.
///
/// ```no_run
/// # fn main() -> Result<(), dspipe_build::Error> {
/// dspipe_build::Config::new()
///     .workflows("workflows")
///     .workflow("special/triage.yaml")
///     .runtime_path("::my_reexport::dspipe_runtime")
///     .compile()
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) runtime: String,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    /// No workflows yet; the runtime at `::dspipe_runtime`.
    pub fn new() -> Self {
        Self {
            directories: Vec::new(),
            files: Vec::new(),
            runtime: "::dspipe_runtime".to_owned(),
        }
    }

    /// Compiles every `.yaml` and `.yml` file in a directory (not below it), given
    /// relative to the package.
    pub fn workflows(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.directories.push(directory.as_ref().to_owned());
        self
    }

    /// Compiles one file, given relative to the package.
    pub fn workflow(&mut self, file: impl AsRef<Path>) -> &mut Self {
        self.files.push(file.as_ref().to_owned());
        self
    }

    /// Where generated code finds the runtime: for a renamed dependency or a
    /// re-export. A Rust path such as `::dspipe_runtime` or `crate::runtime`.
    pub fn runtime_path(&mut self, path: impl Into<String>) -> &mut Self {
        self.runtime = path.into();
        self
    }

    /// Compiles the workflows into `OUT_DIR`, where `include_workflows!` finds them.
    ///
    /// Mistakes in workflows do not fail the build script: they become compile
    /// errors of the crate, with the rest of the generated code in place, so that
    /// editors keep working.
    ///
    /// # Errors
    ///
    /// When not called from a build script, when the runtime path is not a path, or
    /// when `OUT_DIR` cannot be written.
    pub fn compile(&self) -> Result<(), Error> {
        cargo::compile(self)
    }

    /// Reads and compiles in memory, paths taken relative to `base`; nothing is
    /// written. For tools.
    ///
    /// # Errors
    ///
    /// When the runtime path is not a path. Everything that is wrong with the files
    /// is in the [`Compilation`].
    pub fn load(&self, base: &Path) -> Result<Compilation, Error> {
        files::load(self, base)
    }
}

/// A path of identifiers, and nothing else, as tokens.
pub(crate) fn runtime_path(path: &str) -> Result<TokenStream, Error> {
    let bare = path.strip_prefix("::").unwrap_or(path);
    let is_path = bare.split("::").all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    });
    is_path
        .then(|| path.parse().ok())
        .flatten()
        .ok_or_else(|| Error::RuntimePath {
            path: path.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_paths() {
        for path in ["::dspipe_runtime", "crate::runtime", "a"] {
            assert!(runtime_path(path).is_ok(), "{path}");
        }
        for path in ["", "::", "a b", "a::", "a; drop()", "1a"] {
            assert!(runtime_path(path).is_err(), "{path}");
        }
    }
}

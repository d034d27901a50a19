//! The builder that a build script uses.

use std::path::{Path, PathBuf};

use crate::compile::Compilation;
use crate::error::Error;
use crate::overrides::{Change, Override};
use crate::{cargo, emitted, files};

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
    pub(crate) only_step: Option<String>,
    pub(crate) globs: Vec<String>,
    pub(crate) runtime: String,
    pub(crate) warnings_as_errors: bool,
    pub(crate) stale_prompts_as_errors: bool,
    pub(crate) type_prefix: String,
    pub(crate) overrides: Vec<Override>,
    pub(crate) emit_to: Option<PathBuf>,
    pub(crate) evals: PathBuf,
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
            only_step: None,
            globs: Vec::new(),
            runtime: "::dspipe_runtime".to_owned(),
            warnings_as_errors: false,
            stale_prompts_as_errors: false,
            type_prefix: String::new(),
            overrides: Vec::new(),
            emit_to: None,
            evals: PathBuf::from("evals"),
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

    /// Generates of each workflow only what one step needs: nothing, where there is no such step. For the
    /// macro.
    #[doc(hidden)]
    pub fn only_step(&mut self, name: impl Into<String>) -> &mut Self {
        self.only_step = Some(name.into());
        self
    }

    /// Compiles the files that a pattern matches, given relative to the package.
    ///
    /// `*` stands for any text without a `/`, `?` for one character, `**` for any
    /// number of directories. The pattern starts with a directory: Cargo is told to
    /// watch that one, for new files.
    ///
    /// Modules lie flat, wherever the files do: a module is called after the
    /// workflow's `name`, which stays when a file is moved, and two workflows of one
    /// name are an error.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), dspipe_build::Error> {
    /// dspipe_build::Config::new()
    ///     .glob("workflows/**/*.yaml")
    ///     .compile()
    /// # }
    /// ```
    pub fn glob(&mut self, pattern: impl Into<String>) -> &mut Self {
        self.globs.push(pattern.into());
        self
    }

    /// Whether warnings fail the build as errors do. Off unless called.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), dspipe_build::Error> {
    /// dspipe_build::Config::new()
    ///     .workflows("workflows")
    ///     .warnings_as_errors(std::env::var_os("CI").is_some())
    ///     .compile()
    /// # }
    /// ```
    pub fn warnings_as_errors(&mut self, yes: bool) -> &mut Self {
        self.warnings_as_errors = yes;
        self
    }

    /// Whether optimized prompts fail the build where their signature has changed since (E029), instead of a
    /// warning. Off unless called.
    pub fn stale_prompts_as_errors(&mut self, yes: bool) -> &mut Self {
        self.stale_prompts_as_errors = yes;
        self
    }

    /// A word in front of the names of all generated structs and enums: with `Wf`,
    /// `triage::Inputs` is `triage::WfInputs`.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), dspipe_build::Error> {
    /// dspipe_build::Config::new()
    ///     .workflows("workflows")
    ///     .type_prefix("Wf")
    ///     .compile()
    /// # }
    /// ```
    pub fn type_prefix(&mut self, prefix: impl Into<String>) -> &mut Self {
        self.type_prefix = prefix.into();
        self
    }

    /// Derives more traits, with commas between them, for the generated types whose
    /// paths match a pattern.
    ///
    /// A path is `workflow::Type` or `workflow::step::Type`, with the type's name as
    /// it is generated; `*` in the pattern stands for any text in one part of it,
    /// `**` for any number of parts. A pattern that matches no type is an error, as
    /// with the other methods that take one. Traits that a type derives anyway are
    /// left out.
    ///
    /// `JsonSchema` (of schemars) is written out for outputs of steps and the types of
    /// fields, as their replies are described to LMs. With it, they can be fields of a
    /// struct with `#[dspy_signature]`; the runtime needs its feature `structs`.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), dspipe_build::Error> {
    /// dspipe_build::Config::new()
    ///     .workflows("workflows")
    ///     .derive("triage::sort::Output", "Eq, Hash")
    ///     .derive("**::Kind", "PartialOrd, Ord")
    ///     .compile()
    /// # }
    /// ```
    pub fn derive(&mut self, pattern: impl Into<String>, traits: &str) -> &mut Self {
        let traits = traits.split(',').map(|name| name.trim().to_owned());
        self.change(pattern, Change::Derive(traits.collect()))
    }

    /// Puts an attribute on the generated types whose paths match a pattern, as for
    /// [`derive`](Self::derive).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), dspipe_build::Error> {
    /// dspipe_build::Config::new()
    ///     .workflows("workflows")
    ///     .attribute("triage::*::Kind", "#[must_use]")
    ///     .compile()
    /// # }
    /// ```
    pub fn attribute(
        &mut self,
        pattern: impl Into<String>,
        attribute: impl Into<String>,
    ) -> &mut Self {
        self.change(pattern, Change::Attribute(attribute.into()))
    }

    /// Uses a type of yours in place of a generated struct or enum of a step's fields,
    /// wherever the paths match a pattern as for [`derive`](Self::derive). The inputs
    /// and outputs of steps and workflows are always generated.
    ///
    /// The type has to do what the generated one does: `Clone`, `Debug`, `PartialEq`,
    /// serde's `Serialize`, the runtime's `read::Read`, and for enums `Copy`. One
    /// generated for another step does, which is how steps share a type.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), dspipe_build::Error> {
    /// dspipe_build::Config::new()
    ///     .workflows("workflows")
    ///     .replace_type("triage::answer::Kind", "super::sort::Kind")
    ///     .replace_type("*::*::Money", "crate::Money")
    ///     .compile()
    /// # }
    /// ```
    pub fn replace_type(&mut self, pattern: impl Into<String>, ty: impl Into<String>) -> &mut Self {
        self.change(pattern, Change::Replace(ty.into()))
    }

    /// Checks the suites (`*.eval.yaml`) of this directory, in place of those in `evals`, and makes tests of
    /// them for `dspipe_eval::main!`. What is wrong with one is a compile error of the test target that has the
    /// macro, and of nothing else.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), dspipe_build::Error> {
    /// dspipe_build::Config::new()
    ///     .workflows("workflows")
    ///     .evals("tests/evals")
    ///     .compile()
    /// # }
    /// ```
    pub fn evals(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        directory.as_ref().clone_into(&mut self.evals);
        self
    }

    fn change(&mut self, pattern: impl Into<String>, change: Change) -> &mut Self {
        let pattern = pattern.into();
        self.overrides.push(Override { pattern, change });
        self
    }

    /// Writes the code into a directory of the package, to be committed, and not into
    /// `OUT_DIR`: a `mod.rs` and a file for each workflow, each replaced in one step,
    /// and only if its text changed. The crate includes it with `mod generated;`.
    ///
    /// With mistakes in any workflow, the build script fails with their report, and
    /// the code stays as it was. Generated files of workflows that are no more are
    /// removed. [`check_emitted`](Self::check_emitted) tells when a commit forgot some.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), dspipe_build::Error> {
    /// dspipe_build::Config::new()
    ///     .workflows("workflows")
    ///     .emit_to("src/generated")
    ///     .compile()
    /// # }
    /// ```
    pub fn emit_to(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.emit_to = Some(directory.as_ref().to_owned());
        self
    }

    /// Fails if the code of [`emit_to`](Self::emit_to) is not what the workflows
    /// compile to. For a test, or a job of CI, that does not build with the build
    /// script (which would write it); `package` is the directory of `Cargo.toml`.
    ///
    /// ```no_run
    /// // In a test, with `dspipe-build` as a dev-dependency:
    /// dspipe_build::Config::new()
    ///     .workflows("workflows")
    ///     .emit_to("src/generated")
    ///     .check_emitted(env!("CARGO_MANIFEST_DIR"))
    ///     .unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Stale`] with the files that differ, and those of
    /// [`compile`](Self::compile).
    pub fn check_emitted(&self, package: impl AsRef<Path>) -> Result<(), Error> {
        let directory = self.emit_to.as_ref().ok_or(Error::NothingEmitted)?;
        let package = package.as_ref();
        emitted::check(&files::load(self, package)?, &package.join(directory))
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
    /// When not called from a build script, when a setting cannot be (a runtime path
    /// that is no path, an override for a type that does not exist), when the output
    /// cannot be written, and with [`emit_to`](Self::emit_to) when a workflow has errors.
    pub fn compile(&self) -> Result<(), Error> {
        cargo::compile(self)
    }

    /// Reads and compiles in memory, paths taken relative to `base`; nothing is
    /// written. For tools.
    ///
    /// # Errors
    ///
    /// When a setting cannot be. Everything that is wrong with the files is in the
    /// [`Compilation`].
    pub fn load(&self, base: &Path) -> Result<Compilation, Error> {
        files::load(self, base)
    }
}

/// Holds the settings that need no files to be right.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    runtime_path(&config.runtime)?;
    let prefix = &config.type_prefix;
    let is_word = prefix.starts_with(|c: char| c.is_ascii_uppercase())
        && prefix.chars().all(|c| c.is_ascii_alphanumeric());
    if !prefix.is_empty() && !is_word {
        return Err(Error::TypePrefix {
            prefix: prefix.clone(),
        });
    }
    Ok(())
}

/// A path of identifiers, and nothing else.
pub(crate) fn runtime_path(path: &str) -> Result<&str, Error> {
    let bare = path.strip_prefix("::").unwrap_or(path);
    let is_path = bare.split("::").all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    });
    is_path.then_some(path).ok_or_else(|| Error::RuntimePath {
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

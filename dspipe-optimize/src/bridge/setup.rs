//! Where the bridge's Python is, and how long it may take.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dspipe_runtime::local::{self, Environment, LocalError};

/// How the bridge is set up and watched.
///
/// Programs take it [from the environment](BridgeSettings::from_env).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BridgeSettings {
    /// What runs.
    pub python: Python,
    /// How long the process may take until it answers (120 s): the first start reads all of DSPy from disk.
    pub start_timeout: Duration,
    /// How often the process is asked whether it lives (15 s).
    pub ping_every: Duration,
    /// How long it may take to answer that (60 s); then it hangs and is killed. Jobs may take any time.
    pub silent_after: Duration,
}

/// What runs the bridge.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Python {
    /// The code in this crate, in an environment that is set up visibly if it is not there: `DSPIPE_HOME`
    /// says where, `DSPIPE_PYTHON` names an interpreter that has the packages already.
    SetUp(local::Settings),
    /// An interpreter that has the packages, and the directory of the bridge's code.
    Ready {
        /// The interpreter.
        interpreter: PathBuf,
        /// What it runs.
        directory: PathBuf,
    },
}

impl Python {
    /// An interpreter that has the packages, with the directory of the bridge's code.
    pub fn ready(interpreter: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        Self::Ready {
            interpreter: interpreter.into(),
            directory: directory.into(),
        }
    }
}

impl BridgeSettings {
    /// The settings that the environment asks for.
    ///
    /// # Errors
    /// As [`local::Settings::from_env`].
    pub fn from_env() -> Result<Self, LocalError> {
        Ok(Self::new(Python::SetUp(local::Settings::from_env()?)))
    }

    /// The default times.
    pub fn new(python: Python) -> Self {
        Self {
            python,
            start_timeout: Duration::from_secs(120),
            ping_every: Duration::from_secs(15),
            silent_after: Duration::from_secs(60),
        }
    }

    /// Sets up what is missing.
    pub(super) async fn prepare(&self) -> Result<Prepared, LocalError> {
        match &self.python {
            Python::SetUp(settings) => {
                let (environment, directory) = local::optimizers(settings).await?;
                Ok(Prepared {
                    interpreter: environment.python.clone(),
                    directory,
                    environment: Some(environment),
                })
            }
            Python::Ready {
                interpreter,
                directory,
            } => Ok(Prepared {
                interpreter: interpreter.clone(),
                directory: directory.clone(),
                environment: None,
            }),
        }
    }
}

/// What can be started now.
pub(super) struct Prepared {
    pub(super) interpreter: PathBuf,
    directory: PathBuf,
    environment: Option<Environment>,
}

impl Prepared {
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Lets the next start set up anew: something in the environment is broken.
    pub(super) fn invalidate(&self) {
        if let Some(environment) = &self.environment {
            environment.invalidate();
        }
    }
}

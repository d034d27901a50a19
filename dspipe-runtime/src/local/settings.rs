//! What the user can set, read from the environment in one place.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::LocalError;
use super::home;

/// How the embedded model is set up and run.
///
/// Programs take it [from the environment](Settings::from_env); the fields are public so that tests and
/// embedders can choose other directories without touching the environment of their process.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Where dspipe keeps its files: `DSPIPE_HOME`, or `dspipe` in the user's cache directory.
    pub home: PathBuf,
    /// Where running servers leave their address: `run` in [`home`](Settings::home).
    pub run: PathBuf,
    /// `DSPIPE_PYTHON`: an interpreter that has the packages already. Nothing is installed into it.
    pub python: Option<PathBuf>,
    /// `DSPIPE_LOCAL_IDLE_SECONDS`: how long a server stays without clients (default: 10 s).
    pub idle: Duration,
    /// How long a server may take until it is ready (60 s).
    pub start_timeout: Duration,
    /// `PATH`: where `uv` and Python interpreters are looked for.
    pub path: OsString,
}

impl Settings {
    /// The settings that the environment asks for.
    ///
    /// # Errors
    /// [`LocalError::NoHome`] without a home directory and `DSPIPE_HOME`; [`LocalError::Setting`] if
    /// `DSPIPE_LOCAL_IDLE_SECONDS` is not a number of seconds.
    pub fn from_env() -> Result<Self, LocalError> {
        let home = home::directory(variable("DSPIPE_HOME"))?;
        Ok(Self {
            python: variable("DSPIPE_PYTHON").map(PathBuf::from),
            idle: idle(variable("DSPIPE_LOCAL_IDLE_SECONDS"))?,
            path: env::var_os("PATH").unwrap_or_default(),
            ..Self::at(&home)
        })
    }

    /// The default settings with everything under `home`, which should be an absolute path.
    pub fn at(home: &Path) -> Self {
        Self {
            home: home.to_path_buf(),
            run: home.join("run"),
            python: None,
            idle: Duration::from_secs(10),
            start_timeout: Duration::from_secs(60),
            path: OsString::new(),
        }
    }
}

/// An empty variable counts as one that is not set, as shells cannot easily unset one for a command.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

fn idle(value: Option<OsString>) -> Result<Duration, LocalError> {
    const VARIABLE: &str = "DSPIPE_LOCAL_IDLE_SECONDS";
    let Some(value) = value else {
        return Ok(Duration::from_secs(10));
    };
    let text = value.to_string_lossy();
    match text.trim().parse::<u32>() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds.into())),
        _ => Err(LocalError::Setting {
            variable: VARIABLE,
            value: text.into_owned(),
            expected: "a whole number of seconds, at least 1",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_seconds_are_whole_and_positive() {
        assert_eq!(idle(None).unwrap(), Duration::from_secs(10));
        assert_eq!(idle(Some(" 30 ".into())).unwrap(), Duration::from_secs(30));
        for bad in ["0", "-1", "1.5", "soon"] {
            let message = idle(Some(bad.into())).unwrap_err().to_string();
            assert!(
                message.contains("DSPIPE_LOCAL_IDLE_SECONDS") && message.contains(bad),
                "{message}"
            );
        }
    }
}

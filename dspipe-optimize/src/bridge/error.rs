//! What can go wrong with the bridge, each with the way out.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use dspipe_runtime::local::LocalError;
use serde::{Deserialize, Serialize};

use super::host::Candidate;

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErrorClass {
    /// It may succeed if it is asked for again.
    Retry,
    /// This bridge cannot be relied upon any more: start another one.
    Restart,
    /// The request is wrong, or something is missing: change it.
    Fatal,
    /// It was wanted.
    Cancelled,
    /// The host's limit of calls, tokens, money or time is reached: take the best so far.
    Budget,
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Retry => "retry",
            Self::Restart => "restart",
            Self::Fatal => "fatal",
            Self::Cancelled => "cancelled",
            Self::Budget => "budget",
        })
    }
}

/// Why the bridge did not do what it was asked for.
///
/// Cheap to clone: if the bridge ends, all that wait for it get the same error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// There is no Python, or its packages could not be set up.
    #[error("DSPy's optimizers are not available: {0}")]
    SetUp(#[from] LocalError),

    /// A package is missing, or is not of the version that this crate was tested with.
    #[error(
        "{interpreter} cannot run DSPy's optimizers: {message}; if it is from DSPIPE_PYTHON, install the \
         versions of dspipe's `optimize.txt` or unset it, else run it again and dspipe sets up anew"
    )]
    Package {
        /// The interpreter.
        interpreter: PathBuf,
        /// What the bridge said.
        message: String,
    },

    /// The bridge's code is of another version of dspipe.
    #[error(
        "the bridge does not speak this version's protocol: {message}; use the code that belongs to it"
    )]
    Version {
        /// What differs.
        message: String,
    },

    /// The process could not be started.
    #[error(
        "cannot start DSPy's optimizers with {interpreter}: {source}; if the file is gone, run it again and \
         dspipe sets up anew"
    )]
    Spawn {
        /// The interpreter.
        interpreter: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },

    /// The process started, but did not answer the first request in time.
    #[error(
        "DSPy's optimizers were not ready after {} s and were stopped; the machine may be too busy: run it \
         again{}", after.as_secs_f64(), Said(stderr)
    )]
    StartTimeout {
        /// How long it was waited for.
        after: Duration,
        /// The end of its standard error.
        stderr: String,
    },

    /// The process ended by itself, or was killed.
    #[error("the process of DSPy's optimizers ended ({}){}", Status(*status), Said(stderr))]
    Ended {
        /// How, where known.
        status: Option<ExitStatus>,
        /// The end of its standard error.
        stderr: String,
    },

    /// The process gave no sign of life, and was killed.
    #[error(
        "the process of DSPy's optimizers hung: it did not answer for {} s and was killed{}",
        after.as_secs_f64(), Said(stderr)
    )]
    Silent {
        /// How long it was waited for.
        after: Duration,
        /// The end of its standard error.
        stderr: String,
    },

    /// The process wrote something that is not of the protocol, and was killed.
    #[error("the bridge broke the protocol: {reason}: {line:?}{}", Said(stderr))]
    Protocol {
        /// What is wrong.
        reason: String,
        /// The beginning of the line.
        line: String,
        /// The end of its standard error.
        stderr: String,
    },

    /// There is a job of this name already, or one that was dropped and has not ended yet.
    #[error("there is a job called `{job}` already; give each its own name")]
    JobExists {
        /// The name.
        job: String,
    },

    /// The request could not be written as JSON.
    #[error("the parameters of `{method}` cannot be written as JSON: {reason}")]
    Params {
        /// The request.
        method: &'static str,
        /// Why.
        reason: String,
    },

    /// The bridge answered with an error. It was the host's, if one of its answers was an error.
    #[error("{message}")]
    Job {
        /// What to do about it.
        class: ErrorClass,
        /// For programs, as in `bad_request`.
        code: String,
        /// For people.
        message: String,
        /// The last candidate that the job told of.
        best: Option<Box<Candidate>>,
    },
}

impl BridgeError {
    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::SetUp(LocalError::NoNetwork { .. } | LocalError::InstallStalled { .. }) => {
                ErrorClass::Retry
            }
            Self::SetUp(_)
            | Self::Package { .. }
            | Self::Version { .. }
            | Self::JobExists { .. }
            | Self::Params { .. } => ErrorClass::Fatal,
            Self::Spawn { .. }
            | Self::StartTimeout { .. }
            | Self::Ended { .. }
            | Self::Silent { .. }
            | Self::Protocol { .. } => ErrorClass::Restart,
            Self::Job { class, .. } => *class,
        }
    }

    /// The last candidate of the job that failed, if the bridge could still tell.
    pub fn best(&self) -> Option<&Candidate> {
        match self {
            Self::Job { best, .. } => best.as_deref(),
            _ => None,
        }
    }
}

struct Status(Option<ExitStatus>);

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(status) = self.0 else {
            return f.write_str("nothing is known of how");
        };
        write!(f, "{status}")?;
        #[cfg(unix)]
        {
            use std::os::unix::process::ExitStatusExt;
            const KILL: i32 = 9;
            if status.signal() == Some(KILL) {
                f.write_str("; the system may have run out of memory")?;
            }
        }
        Ok(())
    }
}

struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, "\nit said last:\n{}", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_up_may_succeed_later_if_the_network_failed() {
        let (installer, output) = ("pip", String::new());
        let network = BridgeError::from(LocalError::NoNetwork { installer, output });
        assert_eq!(network.class(), ErrorClass::Retry);
        let home = BridgeError::from(LocalError::NoHome);
        assert_eq!(home.class(), ErrorClass::Fatal);
    }
}

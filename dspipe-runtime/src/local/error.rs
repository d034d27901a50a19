//! What can go wrong with the embedded model, each with the way out.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::python::Rejected;

/// Why the embedded model is not available.
///
/// Every message says what happened and what to do about it. An error is cheap to clone, because all
/// callers that wait for the same start get the same one. None of them needs cleaning up by hand: the
/// next call begins where it can.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// There is no embedded model of this name.
    #[error("there is no embedded model `{name}`; there is: {known}")]
    UnknownModel {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: &'static str,
    },

    /// An environment variable has a value that cannot be used.
    #[error("{variable}={value} cannot be used: expected {expected}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },

    /// The user has no home directory, so there is no place for the cache.
    #[error(
        "no home directory was found for dspipe's files; set DSPIPE_HOME to a directory that can be written"
    )]
    NoHome,

    /// dspipe's directory cannot be written.
    #[error(
        "cannot write {path}: {source}; make it writable, or set DSPIPE_HOME to a directory that is"
    )]
    HomeNotWritable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },

    /// The disk has no room.
    #[error("{}", DiskFullMessage { path, needed: *needed, available: *available })]
    DiskFull {
        /// Where the room is missing.
        path: PathBuf,
        /// Bytes that the set-up needs in all, where known.
        needed: Option<u64>,
        /// Bytes that were free, where known.
        available: Option<u64>,
    },

    /// Another operation on a file failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },

    /// A list of pinned packages cannot be read.
    #[error("the list of pinned packages is damaged at line {line}: {reason}")]
    LockFile {
        /// Line number, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },

    /// No Python interpreter was found.
    #[error(
        "dspipe needs Python {minimum} or newer, and none was found{}; install it, or set \
         DSPIPE_PYTHON to an interpreter",
        Tried(tried)
    )]
    PythonNotFound {
        /// The oldest version that will do.
        minimum: PythonVersion,
        /// The candidates that were there but did not work.
        tried: Vec<Rejected>,
    },

    /// The interpreters that were found are too old.
    #[error(
        "dspipe needs Python {minimum} or newer{}; install a newer one, or set DSPIPE_PYTHON \
         to its path",
        Tried(tried)
    )]
    PythonTooOld {
        /// The oldest version that will do.
        minimum: PythonVersion,
        /// What was found.
        tried: Vec<Rejected>,
    },

    /// `DSPIPE_PYTHON` does not name a working interpreter.
    #[error(
        "DSPIPE_PYTHON={interpreter} cannot be used: {reason}; set it to a Python {minimum}+ interpreter, \
         or unset it to let dspipe find one"
    )]
    PythonUnusable {
        /// What `DSPIPE_PYTHON` holds.
        interpreter: PathBuf,
        /// Why it does not work.
        reason: String,
        /// The oldest version that will do.
        minimum: PythonVersion,
    },

    /// Python cannot make virtual environments.
    #[error(
        "{interpreter} (Python {version}) cannot make a virtual environment: its modules `venv` and \
         `ensurepip` are not both installed; on Debian and Ubuntu run `sudo apt install \
         python{}.{}-venv`, or install `uv`, or set DSPIPE_PYTHON to an interpreter that has the packages",
        version.0, version.1
    )]
    VenvMissing {
        /// The interpreter.
        interpreter: PathBuf,
        /// Its version.
        version: PythonVersion,
    },

    /// The interpreter named by `DSPIPE_PYTHON` lacks packages. Nothing is installed into it.
    #[error(
        "{interpreter} (from DSPIPE_PYTHON) lacks {}; run `{command}`, or unset DSPIPE_PYTHON to let \
         dspipe make its own environment",
        missing.join(", ")
    )]
    PackagesMissing {
        /// The interpreter.
        interpreter: PathBuf,
        /// The packages, as `name==version`.
        missing: Vec<String>,
        /// The command that installs them.
        command: String,
    },

    /// The package index could not be reached.
    #[error(
        "the Python packages could not be fetched, because the package index could not be \
         reached; check the network, and the proxy, certificate and index settings of {installer}, then \
         run it again\n{installer} said:\n{output}"
    )]
    NoNetwork {
        /// `uv` or `pip`.
        installer: &'static str,
        /// The end of its output.
        output: String,
    },

    /// What was fetched is not what the lock promises.
    #[error(
        "a package that was fetched is not the one that dspipe was released with (its SHA-256 differs), so \
         it was not installed; a proxy or mirror may have changed it: check the index settings of \
         {installer}, clear its cache, and run it again\n{installer} said:\n{output}"
    )]
    HashMismatch {
        /// `uv` or `pip`.
        installer: &'static str,
        /// The end of its output.
        output: String,
    },

    /// There is no ready-made package for this machine.
    #[error(
        "a Python package has no ready-made wheel for Python {version} on {platform}, or the \
         index that {installer} uses cannot be reached or does not hold it; check the network and the index \
         settings of {installer}, set DSPIPE_PYTHON to an interpreter of another version or architecture, or \
         if it is for the embedded model, use another LM (set DSPIPE_LM)\n{installer} said:\n{output}"
    )]
    NoWheel {
        /// `uv` or `pip`.
        installer: &'static str,
        /// The interpreter's version.
        version: PythonVersion,
        /// The interpreter's platform.
        platform: String,
        /// The end of the output.
        output: String,
    },

    /// The installer failed in another way.
    #[error(
        "{installer} could not install the Python packages ({status}); what it says below \
         should tell why, then run it again\n{installer} said:\n{output}"
    )]
    InstallFailed {
        /// `uv`, `pip` or `venv`.
        installer: &'static str,
        /// How it ended.
        status: String,
        /// The end of its output.
        output: String,
    },

    /// The installer made no progress for a long time and was stopped.
    #[error(
        "{installer} made no progress for {} s and was stopped; check the network and run it again\n\
         {installer} said:\n{output}",
        after.as_secs()
    )]
    InstallStalled {
        /// `uv`, `pip` or `venv`.
        installer: &'static str,
        /// How long nothing happened.
        after: Duration,
        /// The end of its output.
        output: String,
    },

    /// The server's program could not be started.
    #[error(
        "cannot start the model server with {interpreter}: {source}; if the file is gone, run it again and \
         dspipe sets up anew"
    )]
    Spawn {
        /// The interpreter.
        interpreter: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },

    /// The server found no model file.
    #[error("the embedded model is missing: {message}; run it again and dspipe sets up anew")]
    ModelMissing {
        /// What the server said.
        message: String,
    },

    /// The server could not import a package.
    #[error(
        "a package of the embedded model does not load: {message}; run it again and dspipe sets up anew"
    )]
    PackageBroken {
        /// What the server said.
        message: String,
    },

    /// The server found no free port.
    #[error(
        "the model server could not listen on 127.0.0.1: {message}; check for a firewall or a limit on \
         local ports, and run it again"
    )]
    Port {
        /// What the server said.
        message: String,
    },

    /// The server ran out of memory.
    #[error(
        "there is not enough memory for the embedded model: {message}; it needs about 500 MB: close other \
         programs, or set DSPIPE_LM to another LM"
    )]
    OutOfMemory {
        /// What the server said.
        message: String,
    },

    /// The server ended, or failed, before it was ready.
    #[error(
        "the model server did not start: {reason}; its log is {log}, and run it again to try once more{}",
        LogTail(log_tail)
    )]
    ServerFailed {
        /// How it ended, or what it said.
        reason: String,
        /// Its log file.
        log: PathBuf,
        /// The end of the log.
        log_tail: String,
    },

    /// The server was not ready in time and was stopped.
    #[error(
        "the model server was not ready after {} s and was stopped; the machine may be too busy: run it \
         again, its log is {log}{}",
        after.as_secs(), LogTail(log_tail)
    )]
    StartTimeout {
        /// How long it was waited for.
        after: Duration,
        /// Its log file.
        log: PathBuf,
        /// The end of the log.
        log_tail: String,
    },

    /// Another process holds the lock for starting the server and does not let go.
    #[error(
        "another process has been starting the model server for {} s{}; if it hangs, end it and run \
         this again",
        after.as_secs(), Holder(*holder)
    )]
    StartBlocked {
        /// How long it was waited for.
        after: Duration,
        /// The other process, where known.
        holder: Option<u32>,
    },

    /// The server speaks another protocol than this crate.
    #[error(
        "the model server does not speak this version's protocol: {reason}; if DSPIPE_PYTHON or files \
         under {directory} were changed, undo it or delete that directory, and run it again"
    )]
    Protocol {
        /// What differs.
        reason: String,
        /// Where the server's files are.
        directory: PathBuf,
    },

    /// The thread that did the work ended without an answer.
    #[error("the set-up ended without an answer; run it again")]
    Aborted,
}

impl LocalError {
    /// The error for a failed operation on dspipe's own files: a full disk and a directory that cannot
    /// be written are told apart from the rest.
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull {
                path,
                needed: None,
                available: None,
            },
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory => Self::HomeNotWritable {
                path,
                source: Arc::new(source),
            },
            _ => Self::Io {
                action,
                path,
                source: Arc::new(source),
            },
        }
    }
}

/// The version of a Python interpreter: major, minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PythonVersion(pub u32, pub u32);

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A number of bytes, shown in megabytes (10^6) as package indexes do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Megabytes(pub(super) u64);

impl fmt::Display for Megabytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.saturating_add(50_000) / 100_000;
        f.pad(&format!("{}.{} MB", tenths / 10, tenths % 10))
    }
}

struct DiskFullMessage<'a> {
    path: &'a Path,
    needed: Option<u64>,
    available: Option<u64>,
}

impl fmt::Display for DiskFullMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there is not enough room on the disk of {}",
            self.path.display()
        )?;
        if let Some(needed) = self.needed {
            write!(f, " ({} needed", Megabytes(needed))?;
            if let Some(available) = self.available {
                write!(f, ", {} free", Megabytes(available))?;
            }
            f.write_str(")")?;
        }
        f.write_str(
            "; free some, or set DSPIPE_HOME to a directory on another disk, and run it again",
        )
    }
}

struct Tried<'a>(&'a [Rejected]);

impl fmt::Display for Tried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        f.write_str(" (found: ")?;
        for (index, rejected) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{rejected}")?;
        }
        f.write_str(")")
    }
}

struct LogTail<'a>(&'a str);

impl fmt::Display for LogTail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, "\nits log ends with:\n{}", self.0)
        }
    }
}

struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, " (process {pid})"),
            None => Ok(()),
        }
    }
}

//! The model server: found, or started.
//!
//! One server per machine user, model and version of the crate. Its directory holds the lock that is
//! held while starting one, the address that a ready server writes, and its log.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::bridge::Bridge;
use super::env::{self, Environment};
use super::error::LocalError;
use super::file_lock::FileLock;
use super::home;
use super::lease::{Address, Lease};
use super::lock_file::{self, Lock};
use super::process::{self, Running};
use super::settings::Settings;
use super::{Endpoint, Model};

/// Lines of the server's log that an error shows.
const LOG_LINES: usize = 20;

/// Beyond the time that one start may take, for a process that waits for another's start.
const PATIENCE: Duration = Duration::from_secs(15);

/// Sets up what a server needs, visibly if it is not there.
pub(super) fn prepare(settings: &Settings) -> Result<(Environment, PathBuf), LocalError> {
    let lock = Lock::parse(&[lock_file::SERVER])?;
    let environment = env::ensure(settings, "the embedded model", &lock)?;
    let bridge = Bridge::current().write(&settings.home)?;
    Ok((environment, bridge))
}

/// Registers with the running server, or starts one.
pub(super) fn connect(settings: &Settings, model: Model) -> Result<(Endpoint, Lease), LocalError> {
    let run = RunDirectory::new(settings, model)?;
    if let Some(found) = run.find() {
        return Ok(found);
    }
    let (environment, bridge) = prepare(settings)?;
    home::create_private_dir(&run.path)?;
    let limit = settings.start_timeout + PATIENCE;
    let _guard = FileLock::acquire_within(&run.path.join("lock"), limit)?.map_err(|held| {
        LocalError::StartBlocked {
            after: limit,
            holder: held.by,
        }
    })?;
    if let Some(found) = run.find() {
        return Ok(found);
    }
    run.start(settings, &environment, &bridge)
}

struct RunDirectory {
    path: PathBuf,
    model: Model,
}

impl RunDirectory {
    /// The directory's name covers all that makes two servers differ.
    fn new(settings: &Settings, model: Model) -> Result<Self, LocalError> {
        let python = settings.python.as_deref().unwrap_or(Path::new(""));
        let key = home::content_hash([
            model.name().as_bytes(),
            Lock::parse(&[lock_file::SERVER])?.hash.as_bytes(),
            Bridge::current().hash().as_bytes(),
            python.as_os_str().as_encoded_bytes(),
        ]);
        Ok(Self {
            path: settings.run.join(key),
            model,
        })
    }

    fn address(&self) -> PathBuf {
        self.path.join("server.json")
    }

    fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// The server that wrote the address, if it is alive and ours. A stale address is no error: the
    /// process may have been killed, and its port may belong to another program by now.
    fn find(&self) -> Option<(Endpoint, Lease)> {
        let address = Address::read(&self.address()).ok()?;
        if address.mismatch(self.model.name()).is_some() {
            return None;
        }
        let lease = Lease::open(&address).ok()?;
        Some((Endpoint::of(address), lease))
    }

    /// Starts a server; to be called with the lock held.
    fn start(
        &self,
        settings: &Settings,
        environment: &Environment,
        bridge: &Path,
    ) -> Result<(Endpoint, Lease), LocalError> {
        match fs::remove_file(self.address()) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(LocalError::io("remove", &self.address(), source));
            }
            _ => {}
        }
        let log = File::create(self.log())
            .map_err(|source| LocalError::io("create", &self.log(), source))?;
        let mut child = Command::new(&environment.python);
        child
            .arg("-I")
            .arg(bridge)
            .args(["local-server", "--model", self.model.name()])
            .arg("--state-dir")
            .arg(&self.path)
            .arg("--idle-seconds")
            .arg(settings.idle.as_secs().to_string())
            .env_clear()
            .envs(process::inherited_variables())
            .current_dir(&self.path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        #[cfg(windows)]
        {
            use std::os::windows::process::CommandExt;
            const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
            const CREATE_NO_WINDOW: u32 = 0x0800_0000;
            // Ctrl-C in the terminal is for the program that started it, not for the server.
            child.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
        }
        let mut child = child.spawn().map_err(|source| {
            environment.invalidate();
            LocalError::Spawn {
                interpreter: environment.python.clone(),
                source: Arc::new(source),
            }
        })?;
        let stdout = child.stdout.take();
        let child = Running::new(child);
        wait_until_ready(stdout, settings.start_timeout)
            .map_err(|failure| self.explain(failure, settings, environment))?;

        let address = Address::read(&self.address())
            .map_err(|source| LocalError::io("read", &self.address(), source))?;
        if let Some(reason) = address.mismatch(self.model.name()) {
            return Err(LocalError::Protocol {
                reason,
                directory: bridge.to_path_buf(),
            });
        }
        let lease = Lease::open(&address).map_err(|error| {
            self.failed(format!("process {} does not answer: {error}", address.pid))
        })?;
        child.release();
        Ok((Endpoint::of(address), lease))
    }

    fn explain(
        &self,
        failure: Failure,
        settings: &Settings,
        environment: &Environment,
    ) -> LocalError {
        match failure {
            Failure::TimedOut => LocalError::StartTimeout {
                after: settings.start_timeout,
                log: self.log(),
                log_tail: home::tail(&self.log(), LOG_LINES),
            },
            Failure::Ended => self.failed("it ended before it was ready".into()),
            Failure::Reported(Report { kind, message }) => match kind.as_str() {
                "model-missing" => {
                    environment.invalidate();
                    LocalError::ModelMissing { message }
                }
                "package-missing" => {
                    environment.invalidate();
                    LocalError::PackageBroken { message }
                }
                "port" => LocalError::Port { message },
                "memory" => LocalError::OutOfMemory { message },
                _ => self.failed(message),
            },
        }
    }

    fn failed(&self, reason: String) -> LocalError {
        LocalError::ServerFailed {
            reason,
            log: self.log(),
            log_tail: home::tail(&self.log(), LOG_LINES),
        }
    }
}

fn wait_until_ready(stdout: Option<ChildStdout>, timeout: Duration) -> Result<(), Failure> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = stdout {
        // Reads to the end of the server's life, so that it never blocks on what it prints.
        let _ = thread::Builder::new()
            .name("dspipe-server".into())
            .spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if let Ok(said) = serde_json::from_str::<Said>(&line) {
                        // The receiver is gone once the server was ready.
                        let _ = sender.send(said);
                    }
                }
            });
    }
    match receiver.recv_timeout(timeout) {
        Ok(Said::Ready(true)) => Ok(()),
        Ok(Said::Ready(false)) | Err(RecvTimeoutError::Disconnected) => Err(Failure::Ended),
        Ok(Said::Error(report)) => Err(Failure::Reported(report)),
        Err(RecvTimeoutError::Timeout) => Err(Failure::TimedOut),
    }
}

/// Why a server did not become ready.
enum Failure {
    TimedOut,
    Ended,
    Reported(Report),
}

/// A line that a starting server prints.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Ready(bool),
    Error(Report),
}

#[derive(Deserialize)]
struct Report {
    kind: String,
    message: String,
}

//! The bridge's process: started with little of the user's environment, watched, and killed with its group.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dspipe_runtime::local;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::connection::{Connection, Stopped};
use super::error::BridgeError;
use super::setup::BridgeSettings;

/// Lines of standard error that are kept for errors.
const KEPT_LINES: usize = 50;

/// Characters of each that are kept.
const KEPT_CHARACTERS: usize = 1000;

/// Where longer lines are cut in two: a broken program may write without ever ending a line.
const LINE_BYTES: u64 = 64 * 1024;

/// For what should follow at once: the exit of a process that closed its pipe, the rest of what one that
/// ended has written.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A child process. Killed with its group when dropped.
#[derive(Debug)]
pub(super) struct Process(Mutex<Child>);

/// Its ends of the pipes.
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

impl Process {
    pub(super) fn start(interpreter: &Path, directory: &Path) -> io::Result<(Self, Pipes)> {
        let mut command = Command::new(interpreter);
        command
            .arg("-I")
            .arg(directory)
            .arg("optimize")
            .env_clear()
            .envs(local::inherited_variables())
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C in the terminal is for the program that started it, which then cancels.
        #[cfg(unix)]
        command.process_group(0);
        #[cfg(windows)]
        {
            const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
            const CREATE_NO_WINDOW: u32 = 0x0800_0000;
            command.creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
        }
        let mut child = command.spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let pipes = Pipes {
            stdin: child.stdin.take().ok_or_else(missing)?,
            stdout: child.stdout.take().ok_or_else(missing)?,
            stderr: child.stderr.take().ok_or_else(missing)?,
        };
        Ok((Self(Mutex::new(child)), pipes))
    }

    /// Its id, until it has ended.
    pub(super) fn id(&self) -> Option<u32> {
        self.child().id()
    }

    /// Waits for its end; how it ended, where known.
    pub(super) async fn ended(&self) -> Option<ExitStatus> {
        // Not held while waiting, so that it can be killed meanwhile.
        poll_fn(|context| pin!(self.child().wait()).poll(context))
            .await
            .ok()
    }

    /// Kills it, and all that it started.
    pub(super) fn kill(&self) {
        let mut child = self.child();
        // Once it was waited for, its id may be another's.
        #[cfg(unix)]
        if let Some(group) = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(rustix::process::Pid::from_raw)
        {
            // Can only fail because it has just ended.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = child.start_kill();
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        // Nothing that runs under the lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of standard error.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail(Arc<Mutex<VecDeque<String>>>);

impl Tail {
    pub(super) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(KEPT_CHARACTERS).collect());
    }

    /// Keeps and hands on each line until the process closes its end.
    async fn follow(self, stderr: ChildStderr) {
        let mut stderr = BufReader::new(stderr);
        let mut line = Vec::new();
        loop {
            let mut rest = (&mut stderr).take(LINE_BYTES);
            if !matches!(rest.read_until(b'\n', &mut line).await, Ok(read) if read > 0) {
                return;
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end();
            if !text.is_empty() {
                tracing::info!(target: "dspipe_optimize::bridge::stderr", "{text}");
                self.push(text);
            }
            line.clear();
        }
    }
}

/// Reads what the process says until it ends, hangs or breaks the protocol; then kills it, and fails all
/// that waits for it.
pub(super) async fn supervise(
    process: Arc<Process>,
    connection: Connection,
    stdout: ChildStdout,
    stderr: ChildStderr,
    tail: Tail,
    greeted: Arc<Notify>,
    settings: BridgeSettings,
) {
    let said = tokio::spawn(tail.clone().follow(stderr));
    let mut reading = pin!(connection.read(stdout));
    let stopped = tokio::select! {
        stopped = &mut reading => Some(stopped),
        // Its last answers may still be in the pipe.
        _ = process.ended() => Some(timeout(GRACE, reading).await.unwrap_or(Stopped::Closed)),
        () = hangs(&connection, &greeted, &settings) => None,
    };
    if stopped == Some(Stopped::Closed) {
        // It is about to end: its own status tells more than that of a killed one.
        let _ = timeout(GRACE, process.ended()).await;
    }
    process.kill();
    let status = process.ended().await;
    // What it started may have the pipe still.
    let _ = timeout(GRACE, said).await;
    let stderr = tail.text();
    let error = match stopped {
        Some(Stopped::Closed) => BridgeError::Ended { status, stderr },
        Some(Stopped::Protocol { reason, line }) => BridgeError::Protocol {
            reason,
            line,
            stderr,
        },
        None => BridgeError::Silent {
            after: settings.silent_after,
            stderr,
        },
    };
    connection.end(&error);
}

/// Returns when a `ping` was not answered in time.
async fn hangs(connection: &Connection, greeted: &Notify, settings: &BridgeSettings) {
    // The first answer has a limit of its own.
    greeted.notified().await;
    loop {
        sleep(settings.ping_every).await;
        let ping = connection.ask::<dspipe_runtime::Value>("ping", &super::Nothing {});
        // Any answer is a sign of life.
        if timeout(settings.silent_after, ping).await.is_err() {
            return;
        }
    }
}

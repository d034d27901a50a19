//! A lock between processes that the system gives back however its holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::error::LocalError;

/// How often a lock that another process holds is tried again.
const POLL: Duration = Duration::from_millis(50);

/// Held until dropped. The file stays, because removing it would let two processes lock two files of
/// one name.
#[derive(Debug)]
pub(super) struct FileLock {
    file: File,
    path: PathBuf,
}

/// Another process holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// The holder, where it could be read.
    pub(super) by: Option<u32>,
}

impl FileLock {
    /// Takes the lock if it is free.
    pub(super) fn try_acquire(path: &Path) -> Result<Result<Self, Held>, LocalError> {
        let failed = |source| LocalError::io("lock", path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                let mut lock = Self {
                    file,
                    path: path.to_path_buf(),
                };
                // Only for the message of a process that waits.
                let _ = lock.write_pid();
                Ok(Ok(lock))
            }
            Err(TryLockError::WouldBlock) => Ok(Err(Held {
                by: std::fs::read_to_string(path)
                    .ok()
                    .and_then(|text| text.trim().parse().ok()),
            })),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Takes the lock, waiting as long as it needs; `waiting` is called once if it is not free.
    pub(super) fn acquire(path: &Path, waiting: impl FnOnce(Held)) -> Result<Self, LocalError> {
        let mut waiting = Some(waiting);
        loop {
            match Self::try_acquire(path)? {
                Ok(lock) => return Ok(lock),
                Err(held) => {
                    if let Some(waiting) = waiting.take() {
                        waiting(held);
                    }
                    thread::sleep(POLL);
                }
            }
        }
    }

    /// Takes the lock within a time.
    pub(super) fn acquire_within(
        path: &Path,
        limit: Duration,
    ) -> Result<Result<Self, Held>, LocalError> {
        let deadline = Instant::now() + limit;
        loop {
            match Self::try_acquire(path)? {
                Err(_) if Instant::now() < deadline => thread::sleep(POLL),
                result => return Ok(result),
            }
        }
    }

    /// A standard input for a child process that shares the lock: where locks belong to the open file
    /// (Unix), it is held until the child has ended too, even if this process is killed. The child
    /// reads an empty input.
    pub(super) fn shared(&self) -> Result<Stdio, LocalError> {
        self.file
            .try_clone()
            .map(Stdio::from)
            .map_err(|source| LocalError::io("lock", &self.path, source))
    }

    fn write_pid(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        write!(self.file, "{}", process::id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that another test is just forking off shares the lock for a moment.
    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_held_lock_names_its_holder_and_is_free_after_the_drop() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = FileLock::try_acquire(&path).unwrap().unwrap();
        let held = FileLock::acquire_within(&path, Duration::ZERO)
            .unwrap()
            .unwrap_err();
        assert_eq!(held.by, cfg!(unix).then(process::id));
        drop(lock);
        assert!(FileLock::acquire_within(&path, LONG).unwrap().is_ok());
    }

    #[test]
    fn waiting_is_told_once_and_ends_when_the_lock_is_free() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = FileLock::try_acquire(&path).unwrap().unwrap();
        let mut told = 0;
        thread::scope(|scope| {
            let (sender, receiver) = std::sync::mpsc::channel();
            scope.spawn(move || {
                receiver.recv().unwrap();
                drop(lock);
            });
            FileLock::acquire(&path, |_| {
                told += 1;
                sender.send(()).unwrap();
            })
            .unwrap();
        });
        assert_eq!(told, 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_child_keeps_the_lock() {
        use std::process::Command;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = FileLock::try_acquire(&path).unwrap().unwrap();
        let mut child = Command::new("sleep")
            .arg("600")
            .stdin(lock.shared().unwrap())
            .spawn()
            .unwrap();
        drop(lock);
        assert!(FileLock::try_acquire(&path).unwrap().is_err());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(FileLock::acquire_within(&path, LONG).unwrap().is_ok());
    }
}

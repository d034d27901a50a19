//! The virtual environment: found complete, or made.
//!
//! A virtual environment cannot be moved, so it is made in its place, and a stamp file written last
//! tells that it is whole. A directory without a stamp is what an interrupted set-up left; whoever
//! holds the lock removes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::error::{LocalError, PythonVersion};
use super::file_lock::FileLock;
use super::home;
use super::install::{self, Installer, Job};
use super::lock_file::Lock;
use super::progress::{self, Progress};
use super::python;
use super::settings::Settings;

const STAMP: &str = "dspipe-env.json";

/// Room for the environment's own files, and some to spare.
const SPARE_BYTES: u64 = 64_000_000;

/// A Python that has the packages of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The interpreter to run.
    pub python: PathBuf,
    /// The environment's directory; `None` if it is an interpreter that the user named.
    pub directory: Option<PathBuf>,
}

impl Environment {
    /// Lets the next set-up make it anew, because something in it turned out to be broken. An interpreter
    /// that the user named is left as it is.
    #[doc(hidden)]
    pub fn invalidate(&self) {
        if let Some(directory) = &self.directory {
            // If it cannot be removed, the error that the caller reports already says what is broken.
            let _ = fs::remove_file(directory.join(STAMP));
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Stamp {
    lock: String,
    python: String,
    interpreter: PathBuf,
    installer: String,
    packages: Vec<String>,
}

/// The environment for a lock: the interpreter that the user named, or one of dspipe's own, which is
/// made if it is not there. `purpose` is what the user is told it is for.
pub(super) fn ensure(
    settings: &Settings,
    purpose: &str,
    lock: &Lock,
) -> Result<Environment, LocalError> {
    if let Some(interpreter) = &settings.python {
        return user_environment(settings, interpreter, lock);
    }
    let environments = settings.home.join("env");
    // One name for whatever Python is inside: a run that finds it complete need not look for any.
    let name = home::content_hash([
        lock.hash.as_bytes(),
        std::env::consts::OS.as_bytes(),
        std::env::consts::ARCH.as_bytes(),
    ]);
    let place = Place {
        directory: environments.join(&name),
        work: environments.join(format!("{name}.work")),
        lock: environments.join(format!("{name}.lock")),
    };
    if let Some(found) = complete(&place.directory, lock) {
        return Ok(found);
    }
    home::create_dir(&environments)?;
    let guard = FileLock::acquire(&place.lock, |held| {
        let holder = held.by.map(|pid| format!(" ({pid})")).unwrap_or_default();
        progress::say(&format!(
            "another process{holder} is setting up {purpose}; waiting for it"
        ));
    })?;
    if let Some(found) = complete(&place.directory, lock) {
        return Ok(found);
    }
    remove_interrupted(&environments);
    if place.directory.exists() {
        progress::say("removing what an interrupted set-up left");
    }
    place.clear()?;
    make(settings, purpose, lock, &place, &guard).inspect_err(|_| {
        // Best effort, so that a full disk is not left full; the next run would do it too.
        let _ = place.clear();
    })
}

/// Where one environment, its temporary files and its lock are.
struct Place {
    directory: PathBuf,
    work: PathBuf,
    lock: PathBuf,
}

impl Place {
    fn clear(&self) -> Result<(), LocalError> {
        home::remove_dir(&self.directory)?;
        home::remove_dir(&self.work)
    }
}

fn user_environment(
    settings: &Settings,
    interpreter: &Path,
    lock: &Lock,
) -> Result<Environment, LocalError> {
    let found = python::named(interpreter, settings)?;
    let lock = lock.for_python(&found);
    let names: Vec<&str> = lock
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let missing = python::missing_packages(&found.path, &names)?;
    if missing.is_empty() {
        return Ok(Environment {
            python: found.path,
            directory: None,
        });
    }
    let missing: Vec<String> = lock
        .packages
        .iter()
        .filter(|package| missing.contains(&package.name))
        .map(|package| format!("{}=={}", package.name, package.version))
        .collect();
    Err(LocalError::PackagesMissing {
        command: format!(
            "{} -m pip install --no-deps {}",
            found.path.display(),
            missing.join(" ")
        ),
        interpreter: found.path,
        missing,
    })
}

/// The environment in a directory if it is whole and its base interpreter still exists.
fn complete(directory: &Path, lock: &Lock) -> Option<Environment> {
    let stamp: Stamp = serde_json::from_slice(&fs::read(directory.join(STAMP)).ok()?).ok()?;
    let python = interpreter_in(directory);
    // On Unix this follows the link to the interpreter that the environment was made with.
    let usable = stamp.lock == lock.hash && python.is_file();
    usable.then(|| Environment {
        python,
        directory: Some(directory.to_path_buf()),
    })
}

pub(super) fn interpreter_in(directory: &Path) -> PathBuf {
    if cfg!(windows) {
        directory.join("Scripts").join("python.exe")
    } else {
        directory.join("bin").join("python")
    }
}

fn make(
    settings: &Settings,
    purpose: &str,
    lock: &Lock,
    place: &Place,
    guard: &FileLock,
) -> Result<Environment, LocalError> {
    let started = Instant::now();
    let installer = Installer::choose(settings);
    let interpreter = python::find(settings, matches!(installer, Installer::Pip))?;
    let lock = &lock.for_python(&interpreter);
    check_room(lock, &place.directory)?;
    progress::announce(purpose, lock, &place.directory, installer.name());

    home::create_dir(&place.work)?;
    let job = Job {
        installer: &installer,
        interpreter: &interpreter,
        lock,
        directory: &place.directory,
        work: &place.work,
        needed: needed(lock),
        guard,
    };
    install::make_environment(&job)?;
    let mut progress = Progress::new();
    let outcome = install::install(&job, &mut progress);
    progress.finish();
    outcome?;

    home::remove_dir(&place.work)?;
    write_stamp(
        &place.directory,
        lock,
        installer.name(),
        &interpreter.path,
        interpreter.version,
    )?;
    progress::say(&format!(
        "set up in {} s: {}",
        started.elapsed().as_secs().max(1),
        place.directory.display()
    ));
    Ok(Environment {
        python: interpreter_in(&place.directory),
        directory: Some(place.directory.clone()),
    })
}

fn write_stamp(
    directory: &Path,
    lock: &Lock,
    installer: &str,
    interpreter: &Path,
    version: PythonVersion,
) -> Result<(), LocalError> {
    let path = directory.join(STAMP);
    let stamp = Stamp {
        lock: lock.hash.clone(),
        python: version.to_string(),
        interpreter: interpreter.to_path_buf(),
        installer: installer.to_owned(),
        packages: lock
            .packages
            .iter()
            .map(|package| format!("{}=={}", package.name, package.version))
            .collect(),
    };
    let text = serde_json::to_vec_pretty(&stamp)
        .map_err(|error| LocalError::io("write", &path, error.into()))?;
    home::write_atomically(&path, &text)
}

fn needed(lock: &Lock) -> u64 {
    lock.download() + lock.installed() + SPARE_BYTES
}

/// Refuses before anything is fetched; a disk that does not tell its free space is tried.
fn check_room(lock: &Lock, directory: &Path) -> Result<(), LocalError> {
    let needed = needed(lock);
    match install::free_space(directory) {
        Some(available) if available < needed => Err(LocalError::DiskFull {
            path: directory.to_path_buf(),
            needed: Some(needed),
            available: Some(available),
        }),
        _ => Ok(()),
    }
}

/// Removes what interrupted set-ups of other locks left. Each is tried once; none is worth failing for.
fn remove_interrupted(environments: &Path) {
    let Ok(entries) = fs::read_dir(environments) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|end| end != "lock") {
            continue;
        }
        // Its own lock is held by this process, so it is skipped here.
        if let Ok(Ok(_guard)) = FileLock::try_acquire(&path) {
            let directory = path.with_extension("");
            let _ = fs::remove_dir_all(path.with_extension("work"));
            if !directory.join(STAMP).exists() {
                let _ = fs::remove_dir_all(directory);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str =
        "# download=1 installed=1 licence=MIT purpose=\"x\"\nx==1 --hash=sha256:00\n";

    #[cfg(unix)]
    #[test]
    fn an_environment_is_whole_only_with_its_stamp_and_its_interpreter() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("env");
        let base = home.path().join("base-python");
        let lock = Lock::parse(&[LOCK]).unwrap();
        fs::create_dir_all(directory.join("bin")).unwrap();
        fs::write(&base, "").unwrap();
        std::os::unix::fs::symlink(&base, directory.join("bin/python")).unwrap();
        assert_eq!(complete(&directory, &lock), None);

        write_stamp(&directory, &lock, "pip", &base, PythonVersion(3, 12)).unwrap();
        let whole = complete(&directory, &lock).unwrap();
        assert_eq!(whole.directory.as_deref(), Some(&*directory));

        fs::remove_file(&base).unwrap();
        assert_eq!(complete(&directory, &lock), None);
        fs::write(&base, "").unwrap();
        whole.invalidate();
        assert_eq!(complete(&directory, &lock), None);
    }

    #[test]
    fn leftovers_of_other_set_ups_go_unless_they_are_being_made() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for name in ["left", "left.work", "busy", "whole"] {
            fs::create_dir(at(name)).unwrap();
        }
        for name in ["left.lock", "whole.lock"] {
            fs::write(at(name), "").unwrap();
        }
        fs::write(at("whole").join(STAMP), "{}").unwrap();
        let _busy = FileLock::try_acquire(&at("busy.lock")).unwrap().unwrap();
        remove_interrupted(home.path());
        assert!(!at("left").exists() && !at("left.work").exists());
        assert!(at("busy").exists() && at("whole").exists());
    }
}

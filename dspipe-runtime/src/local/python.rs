//! Finding a Python interpreter that can run the model server.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::error::{LocalError, PythonVersion};
use super::settings::Settings;

/// The oldest Python that the packages support.
pub(super) const MINIMUM: PythonVersion = PythonVersion(3, 10);

/// Names that interpreters have, best first. The versioned ones help where `python3` is an old one.
const NAMES: &[&str] = &[
    "python3",
    "python",
    "py",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
];

/// What an interpreter is asked about itself; the answer is one line of JSON.
const PROBE: &str = r#"
import importlib.util, json, platform, sys, sysconfig
def has(name):
    return importlib.util.find_spec(name) is not None
print(json.dumps({
    "version": list(sys.version_info[:2]),
    "executable": sys.executable,
    "implementation": platform.python_implementation(),
    "platform": sysconfig.get_platform(),
    "venv": has("venv") and has("ensurepip"),
}))
"#;

/// Generous, because the first start of an interpreter on a cold disk takes seconds.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// A Python interpreter that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interpreter {
    /// Its own idea of its path: launchers and version managers' shims are resolved.
    pub(super) path: PathBuf,
    pub(super) version: PythonVersion,
    /// As in `linux-x86_64`.
    pub(super) platform: String,
    /// Whether it can make virtual environments with pip in them.
    pub(super) has_venv: bool,
}

impl Interpreter {
    /// Its `sys.platform`.
    pub(super) fn sys_platform(&self) -> &str {
        match self.platform.split('-').next() {
            Some("win" | "win32") => "win32",
            Some("macosx") => "darwin",
            Some(other) => other,
            None => "",
        }
    }
}

/// A candidate that will not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its path.
    pub path: PathBuf,
    /// Why it will not do, as in "Python 3.8".
    pub reason: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

/// Finds the first interpreter on the search path that is new enough and, if `needs_venv`, can make
/// virtual environments.
pub(super) fn find(settings: &Settings, needs_venv: bool) -> Result<Interpreter, LocalError> {
    let mut too_old = Vec::new();
    let mut broken = Vec::new();
    let mut without_venv = None;
    for path in NAMES
        .iter()
        .filter_map(|name| on_path(name.as_ref(), &settings.path))
    {
        match probe(&path) {
            Ok(found) if found.version < MINIMUM => too_old.push(Rejected {
                reason: format!("Python {}", found.version),
                path,
            }),
            Ok(found) if needs_venv && !found.has_venv => {
                without_venv.get_or_insert(found);
            }
            Ok(found) => return Ok(found),
            Err(reason) => broken.push(Rejected { path, reason }),
        }
    }
    Err(if let Some(found) = without_venv {
        LocalError::VenvMissing {
            interpreter: found.path,
            version: found.version,
        }
    } else if too_old.is_empty() {
        LocalError::PythonNotFound {
            minimum: MINIMUM,
            tried: broken,
        }
    } else {
        too_old.extend(broken);
        LocalError::PythonTooOld {
            minimum: MINIMUM,
            tried: too_old,
        }
    })
}

/// The interpreter that `DSPIPE_PYTHON` names: a path, or a name on the search path.
pub(super) fn named(interpreter: &Path, settings: &Settings) -> Result<Interpreter, LocalError> {
    let unusable = |reason: String| LocalError::PythonUnusable {
        interpreter: interpreter.to_path_buf(),
        reason,
        minimum: MINIMUM,
    };
    let path = if interpreter.components().count() > 1 {
        interpreter.to_path_buf()
    } else {
        on_path(interpreter.as_os_str(), &settings.path)
            .ok_or_else(|| unusable("there is no program of this name on PATH".into()))?
    };
    let mut found = probe(&path).map_err(unusable)?;
    if found.version < MINIMUM {
        return Err(unusable(format!("it is Python {}", found.version)));
    }
    // It is used exactly as named: a wrapper script may set up what the program behind it needs.
    found.path = path;
    Ok(found)
}

/// Those of the named packages that an interpreter does not have.
pub(super) fn missing_packages(
    interpreter: &Path,
    names: &[&str],
) -> Result<Vec<String>, LocalError> {
    const SCRIPT: &str = r"
import importlib.metadata, json, sys
missing = []
for name in sys.argv[1:]:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        missing.append(name)
print(json.dumps(missing))
";
    let mut command = Command::new(interpreter);
    command.args(["-I", "-c", SCRIPT]).args(names);
    answer(command).map_err(|reason| LocalError::PythonUnusable {
        interpreter: interpreter.to_path_buf(),
        reason,
        minimum: MINIMUM,
    })
}

/// Looks a program up on a search path, as the system would.
pub(super) fn on_path(name: &OsStr, search_path: &OsStr) -> Option<PathBuf> {
    env::split_paths(search_path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| {
            let mut path = directory.join(name);
            if cfg!(windows) && path.extension().is_none_or(|end| end != "exe") {
                path.as_mut_os_string().push(".exe");
            }
            path
        })
        .find(|path| is_executable(path))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// Asks an interpreter about itself; the error is a reason for people.
fn probe(path: &Path) -> Result<Interpreter, String> {
    #[derive(Deserialize)]
    struct Answer {
        version: (u32, u32),
        executable: PathBuf,
        implementation: String,
        platform: String,
        venv: bool,
    }
    let mut command = Command::new(path);
    command.args(["-I", "-c", PROBE]);
    let found: Answer = answer(command)?;
    if found.implementation != "CPython" {
        return Err(format!(
            "{} is not CPython, for which the packages are made",
            found.implementation
        ));
    }
    Ok(Interpreter {
        path: found.executable,
        version: PythonVersion(found.version.0, found.version.1),
        platform: found.platform,
        has_venv: found.venv,
    })
}

/// Runs an interpreter that prints one JSON value, with a time-out: a hanging shim must not hang us.
fn answer<T: for<'de> Deserialize<'de>>(mut command: Command) -> Result<T, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut stdout = child.stdout.take();
    // The answer is far smaller than a pipe's buffer, so it can be read after the end.
    let deadline = Instant::now() + PROBE_TIMEOUT;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                // Both can only fail because it has just ended.
                let _ = child.kill();
                let _ = child.wait();
                return Err("it did not answer".into());
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    let mut text = String::new();
    if let Some(stdout) = &mut stdout {
        stdout
            .read_to_string(&mut text)
            .map_err(|error| error.to_string())?;
    }
    if !status.success() {
        return Err(format!("it does not run as Python 3 ({status})"));
    }
    serde_json::from_str(text.trim()).map_err(|_| "it does not answer as Python 3 does".into())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::ffi::OsString;
    use std::io::Write;

    use super::*;

    /// A directory of programs that stand for interpreters.
    struct Programs(tempfile::TempDir);

    impl Programs {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn with(self, name: &str, body: &str) -> Self {
            // Written by another process: a file that this one has open for writing while another test
            // forks cannot be executed.
            let mut shell = Command::new("sh")
                .args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
                .arg(self.0.path().join(name))
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = shell.stdin.take().unwrap();
            write!(stdin, "#!/bin/sh\n{body}\n").unwrap();
            drop(stdin);
            assert!(shell.wait().unwrap().success());
            self
        }

        fn answering(self, name: &str, version: &str, venv: bool) -> Self {
            let path = self.0.path().join(name);
            let body = format!(
                r#"echo '{{"version": [{version}], "executable": "{}", "implementation": "CPython", "platform": "linux-x86_64", "venv": {venv}}}'"#,
                path.display()
            );
            self.with(name, &body)
        }

        fn settings(&self) -> Settings {
            Settings {
                path: OsString::from(self.0.path()),
                ..Settings::at(self.0.path())
            }
        }
    }

    #[test]
    fn the_first_that_is_new_enough_is_taken() {
        let programs = Programs::new()
            .answering("python3", "3, 9", true)
            .answering("python3.12", "3, 12", true);
        let found = find(&programs.settings(), true).unwrap();
        assert_eq!(found.version, PythonVersion(3, 12));
    }

    #[test]
    fn too_old_ones_are_named() {
        let programs = Programs::new()
            .answering("python3", "3, 9", true)
            .with("python", "exit 2");
        let error = find(&programs.settings(), true).unwrap_err();
        assert!(matches!(error, LocalError::PythonTooOld { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("Python 3.10 or newer"), "{message}");
        assert!(message.contains("python3: Python 3.9"), "{message}");
        assert!(message.contains("DSPIPE_PYTHON"), "{message}");
    }

    #[test]
    fn none_at_all_says_what_to_do() {
        let error = find(&Programs::new().settings(), true).unwrap_err();
        assert!(matches!(error, LocalError::PythonNotFound { .. }));
        assert!(error.to_string().contains("DSPIPE_PYTHON"), "{error}");
    }

    #[test]
    fn a_missing_venv_module_is_told_with_the_package_that_has_it() {
        let programs = Programs::new().answering("python3", "3, 11", false);
        let error = find(&programs.settings(), true).unwrap_err();
        assert!(
            error.to_string().contains("apt install python3.11-venv"),
            "{error}"
        );
        // uv makes environments by itself.
        assert!(find(&programs.settings(), false).is_ok());
    }

    #[test]
    fn a_named_interpreter_must_exist_work_and_be_new_enough() {
        let programs = Programs::new()
            .answering("old", "3, 8", true)
            .with("other", "echo hello");
        for (name, reason) in [
            ("nowhere", "No such file"),
            ("old", "it is Python 3.8"),
            ("other", "does not answer as Python 3"),
        ] {
            let path = programs.0.path().join(name);
            let error = named(&path, &programs.settings()).unwrap_err();
            assert!(
                matches!(error, LocalError::PythonUnusable { .. }),
                "{error}"
            );
            let message = error.to_string();
            assert!(message.contains(reason), "{message}");
            assert!(message.contains("DSPIPE_PYTHON="), "{message}");
        }
        assert!(named(Path::new("missing-name"), &programs.settings()).is_err());
    }
}

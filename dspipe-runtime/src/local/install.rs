//! Running `uv`, or `venv` and `pip`: their progress in bytes, and what their failures mean.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::env::interpreter_in;
use super::error::LocalError;
use super::file_lock::FileLock;
use super::home;
use super::lock_file::Lock;
use super::process::Running;
use super::progress::{Phase, Progress};
use super::python::{self, Interpreter};
use super::settings::Settings;

/// How often progress is looked at.
const POLL: Duration = Duration::from_millis(100);

/// With neither output nor bytes for this long, the installer hangs: beyond its own network time-outs.
const STALL: Duration = Duration::from_secs(15 * 60);

/// Lines of the installer's output that an error shows.
const TAIL_LINES: usize = 15;

/// Lines that are kept to find out why it failed.
const KEPT_LINES: usize = 400;

/// What makes the environment. Index, proxy and certificates are the user's own settings of the tool.
#[derive(Debug, Clone)]
pub(super) enum Installer {
    /// The `uv` at this path.
    Uv(PathBuf),
    /// The interpreter's `venv` module and the pip that comes with it.
    Pip,
}

impl Installer {
    pub(super) fn choose(settings: &Settings) -> Self {
        python::on_path("uv".as_ref(), &settings.path).map_or(Self::Pip, Self::Uv)
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Uv(_) => "uv",
            Self::Pip => "pip",
        }
    }
}

/// One environment to make.
pub(super) struct Job<'a> {
    pub(super) installer: &'a Installer,
    pub(super) interpreter: &'a Interpreter,
    pub(super) lock: &'a Lock,
    /// The environment.
    pub(super) directory: &'a Path,
    /// For temporary files; on the same disk.
    pub(super) work: &'a Path,
    /// Bytes that the set-up needs in all.
    pub(super) needed: u64,
    /// Held until the last child process has ended.
    pub(super) guard: &'a FileLock,
}

/// Makes the environment without packages.
pub(super) fn make_environment(job: &Job<'_>) -> Result<(), LocalError> {
    let mut command = match job.installer {
        Installer::Uv(uv) => {
            let mut command = Command::new(uv);
            command
                .args(["venv", "--quiet", "--python"])
                .arg(&job.interpreter.path);
            command
        }
        Installer::Pip => {
            let mut command = Command::new(&job.interpreter.path);
            command.args(["-I", "-m", "venv"]);
            command
        }
    };
    command.arg(job.directory);
    run(job, command, || 0)
}

/// Installs the packages of the lock: exactly these files, nothing built on this machine.
pub(super) fn install(job: &Job<'_>, progress: &mut Progress) -> Result<(), LocalError> {
    let requirements = job.work.join("requirements.txt");
    home::write_atomically(&requirements, job.lock.text.as_bytes())?;
    let python = interpreter_in(job.directory);
    let mut command = match job.installer {
        Installer::Uv(uv) => {
            let mut command = Command::new(uv);
            command
                .args(["pip", "install", "--no-progress", "--python"])
                .arg(&python);
            command
        }
        Installer::Pip => {
            let mut command = Command::new(&python);
            command.args(["-I", "-m", "pip", "install"]);
            command.args(["--no-input", "--progress-bar", "off"]);
            command.args(["--disable-pip-version-check", "--no-warn-script-location"]);
            command
        }
    };
    command
        .args([
            "--require-hashes",
            "--no-deps",
            "--only-binary",
            ":all:",
            "-r",
        ])
        .arg(&requirements);

    let before = size_of(job.directory);
    let mut fetched = 0;
    run(job, command, || {
        let unpacked = size_of(job.directory).saturating_sub(before);
        // Temporary files come and go; what was fetched stays fetched.
        fetched = fetched.max(size_of(job.work));
        if unpacked > 0 {
            progress.show(Phase::Unpack, unpacked, job.lock.installed());
        } else {
            // uv unpacks while it fetches, so what is on disk are the contents.
            let total = match job.installer {
                Installer::Uv(_) => job.lock.installed(),
                Installer::Pip => job.lock.download(),
            };
            progress.show(Phase::Fetch, fetched, total);
        }
        unpacked + fetched
    })
}

/// Free bytes where a path is or will be, if the system tells.
pub(super) fn free_space(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|ancestor| ancestor.exists())?;
    fs4::available_space(existing).ok()
}

/// Bytes of all files in a directory. Files that vanish meanwhile do not count.
fn size_of(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size_of(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Runs a step to its end; `measure` is asked for the bytes done now and then.
fn run(
    job: &Job<'_>,
    mut command: Command,
    mut measure: impl FnMut() -> u64,
) -> Result<(), LocalError> {
    configure(job, &mut command)?;
    let program = PathBuf::from(command.get_program());
    let failed = |source| LocalError::io("run", &program, source);

    // One pipe for both keeps the order of what is said.
    let (reader, writer) = io::pipe().map_err(failed)?;
    command.stdout(writer.try_clone().map_err(failed)?);
    command.stderr(writer);
    command.stdin(job.guard.shared()?);
    let mut child = Running::new(command.spawn().map_err(failed)?);
    // The command holds the pipe's writing end open, and the shared lock.
    drop(command);
    let output = Output::follow(reader).map_err(failed)?;

    let mut last = (0, 0);
    let mut moved = Instant::now();
    let status = loop {
        if let Some(status) = child.ended().map_err(failed)? {
            break status;
        }
        let now = (measure(), output.lines_seen());
        if now != last {
            last = now;
            moved = Instant::now();
        } else if moved.elapsed() > STALL {
            drop(child);
            return Err(LocalError::InstallStalled {
                installer: job.installer.name(),
                after: STALL,
                output: home::last_lines(&output.finish(), TAIL_LINES),
            });
        }
        thread::sleep(POLL);
    };
    let text = output.finish();
    if status.success() {
        Ok(())
    } else {
        Err(explain(job, status, &text))
    }
}

/// The tool's environment is the user's, less what would send the packages elsewhere.
fn configure(job: &Job<'_>, command: &mut Command) -> Result<(), LocalError> {
    const ELSEWHERE: &[&str] = &[
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
        "PIP_DRY_RUN",
        "PIP_CONSTRAINT",
        "PIP_PYTHON",
        "UV_SYSTEM_PYTHON",
        "UV_PYTHON",
        "UV_CONSTRAINT",
        "UV_OVERRIDE",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "PYTHONHOME",
        "PYTHONPATH",
    ];
    for name in ELSEWHERE {
        command.env_remove(name);
    }
    // A variable wins over `user = true` in pip's configuration files.
    command.env("PIP_USER", "0");
    command.env("UV_PYTHON_DOWNLOADS", "never");
    // Here their bytes can be seen, and are removed with everything else if the set-up is interrupted.
    let temporary = job.work.join("tmp");
    home::create_dir(&temporary)?;
    for name in ["TMPDIR", "TEMP", "TMP"] {
        command.env(name, &temporary);
    }
    if let Installer::Uv(_) = job.installer {
        command.env("UV_CACHE_DIR", job.work.join("uv-cache"));
        // uv would read the settings of a Python project that the user happens to be in.
        command.current_dir(job.work);
    }
    Ok(())
}

/// A child's output, read by a thread so that the child never waits for us.
struct Output {
    kept: Arc<Mutex<Vec<String>>>,
    seen: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Output {
    fn follow(reader: io::PipeReader) -> io::Result<Self> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::new(AtomicU64::new(0));
        let thread = thread::Builder::new()
            .name("dspipe-install".into())
            .spawn({
                let kept = Arc::clone(&kept);
                let seen = Arc::clone(&seen);
                move || {
                    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
                        seen.fetch_add(1, Ordering::Relaxed);
                        let line = redact(String::from_utf8_lossy(&line).trim_end());
                        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                        if kept.len() == KEPT_LINES {
                            kept.remove(0);
                        }
                        kept.push(line);
                    }
                }
            })?;
        Ok(Self { kept, seen, thread })
    }

    fn lines_seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// The output to its end. To be called when the child has ended.
    fn finish(self) -> String {
        // A panic of the thread loses lines, nothing else.
        let _ = self.thread.join();
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .join("\n")
    }
}

/// Hides names and passwords in URLs: an index may be private.
fn redact(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after
            .find(|c: char| c == '/' || c.is_whitespace() || c == '"' || c == '\'')
            .unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(at) => {
                shown.push_str("****");
                &after[at..]
            }
            None => after,
        };
    }
    shown.push_str(rest);
    shown
}

/// Why an installer failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    DiskFull,
    NotWritable,
    HashMismatch,
    NoVenv,
    NoNetwork,
    NoWheel,
    Other,
}

impl Cause {
    /// Read off the texts of pip and uv. The order matters: without a network, pip goes on to say that
    /// there is no matching distribution, and a full disk can look like a broken download.
    fn of(output: &str) -> Self {
        const SIGNS: &[(Cause, &[&str])] = &[
            (
                Cause::DiskFull,
                &[
                    "No space left on device",
                    "[Errno 28]",
                    "(os error 28)",
                    "Disk quota exceeded",
                    "not enough space on the disk",
                ],
            ),
            (
                Cause::NotWritable,
                &[
                    "[Errno 13]",
                    "[Errno 30]",
                    "Permission denied (os error 13)",
                    "Read-only file system",
                ],
            ),
            (
                Cause::HashMismatch,
                &["DO NOT MATCH THE HASHES", "Hash mismatch for"],
            ),
            (Cause::NoVenv, &["ensurepip is not available"]),
            (
                Cause::NoNetwork,
                &[
                    "Failed to establish a new connection",
                    "NewConnectionError",
                    "NameResolutionError",
                    "name resolution",
                    "Name or service not known",
                    "Max retries exceeded",
                    "ProxyError",
                    "ReadTimeoutError",
                    "ConnectTimeoutError",
                    "Read timed out",
                    "SSLError",
                    "CERTIFICATE_VERIFY_FAILED",
                    "ConnectionResetError",
                    "IncompleteRead",
                    "error sending request",
                    "tcp connect error",
                    "dns error",
                    "operation timed out",
                    "HTTP status server error",
                ],
            ),
            (
                Cause::NoWheel,
                &[
                    "No matching distribution found",
                    "is not a supported wheel on this platform",
                    "no usable wheels",
                    "no wheels with a matching",
                    "was not found in the package registry",
                ],
            ),
        ];
        SIGNS
            .iter()
            .find(|(_, signs)| signs.iter().any(|sign| output.contains(sign)))
            .map_or(Self::Other, |(cause, _)| *cause)
    }
}

fn explain(job: &Job<'_>, status: ExitStatus, text: &str) -> LocalError {
    let installer = job.installer.name();
    let output = home::last_lines(text, TAIL_LINES);
    match Cause::of(text) {
        Cause::DiskFull => LocalError::DiskFull {
            path: job.directory.to_path_buf(),
            needed: Some(job.needed),
            available: None,
        },
        Cause::NotWritable => LocalError::HomeNotWritable {
            path: job.directory.to_path_buf(),
            source: Arc::new(io::Error::other(format!("{installer} said:\n{output}\n"))),
        },
        Cause::HashMismatch => LocalError::HashMismatch { installer, output },
        Cause::NoVenv => LocalError::VenvMissing {
            interpreter: job.interpreter.path.clone(),
            version: job.interpreter.version,
        },
        Cause::NoNetwork => LocalError::NoNetwork { installer, output },
        Cause::NoWheel => LocalError::NoWheel {
            installer,
            version: job.interpreter.version,
            platform: job.interpreter.platform.clone(),
            output,
        },
        Cause::Other => LocalError::InstallFailed {
            installer,
            status: status.to_string(),
            output,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_read_off_what_pip_and_uv_really_say() {
        for (cause, output) in [
            (
                Cause::DiskFull,
                "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            ),
            (
                Cause::DiskFull,
                "error: Failed to download `x==1`\n  cause: Failed to extract archive\n  cause: No space left on device (os error 28)",
            ),
            (
                Cause::NotWritable,
                "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/x/lib'",
            ),
            (
                Cause::HashMismatch,
                "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            ),
            (
                Cause::HashMismatch,
                "error: Failed to download `x==1`\n  cause: Hash mismatch for `x==1`",
            ),
            (
                Cause::NoNetwork,
                "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<HTTPSConnection>: \
                 Failed to establish a new connection: [Errno 111] Connection refused')': /simple/x/\n\
                 ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)\n\
                 ERROR: No matching distribution found for x==1",
            ),
            (
                Cause::NoNetwork,
                "error: Failed to fetch: `…/simple/x/`\n  cause: error sending request for url\n  cause: tcp connect error",
            ),
            (
                Cause::NoWheel,
                "ERROR: Could not find a version that satisfies the requirement x==1 (from versions: none)\n\
                 ERROR: No matching distribution found for x==1",
            ),
            (
                Cause::NoWheel,
                "error: No solution found when resolving dependencies\n  cause: Because x==1 has no usable wheels",
            ),
            (
                Cause::NoVenv,
                "The virtual environment was not created successfully because ensurepip is not available.",
            ),
            (Cause::Other, "Segmentation fault"),
        ] {
            assert_eq!(Cause::of(output), cause, "{output}");
        }
    }

    #[test]
    fn credentials_of_an_index_are_not_shown() {
        assert_eq!(
            redact("Looking in indexes: https://me:pa@ss@host/simple, https://other/simple"),
            "Looking in indexes: https://****@host/simple, https://other/simple"
        );
        assert_eq!(redact("user@host, no address"), "user@host, no address");
        assert_eq!(redact("see https://host/a@b"), "see https://host/a@b");
    }

    #[test]
    fn sizes_count_files_at_all_depths() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("a/b")).unwrap();
        fs::write(directory.path().join("one"), [0; 10]).unwrap();
        fs::write(directory.path().join("a/b/two"), [0; 5]).unwrap();
        assert_eq!(size_of(directory.path()), 15);
        assert_eq!(size_of(&directory.path().join("nowhere")), 0);
    }
}

//! What the tests of the embedded model share: programs that stand for others, and this test program
//! run again as another process.

#![allow(dead_code, reason = "each test program uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes that long; it only ends a test that would hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Looks again and again until there is something.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never happened: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Writes a shell script that can be executed. Another process writes it: a file that this one has open
/// for writing while another test forks cannot be executed.
pub(crate) fn script(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut shell = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    write!(stdin, "#!/bin/sh\n{body}\n").unwrap();
    drop(stdin);
    assert!(shell.wait().unwrap().success());
}

/// A script that answers as a Python 3.12 with all packages, and otherwise does what `body` says.
pub(crate) fn python_script(path: &Path, body: &str) {
    script(
        path,
        &format!(
            r#"case "$*" in
*"importlib.util"*) echo '{{"version": [3, 12], "executable": "{path}", "implementation": "CPython", "platform": "linux-x86_64", "venv": true}}' ;;
*"importlib.metadata"*) echo '[]' ;;
*) {body} ;;
esac"#,
            path = path.display()
        ),
    );
}

/// This test program as another process: it runs its ignored test `other_process` only, in a process
/// group of its own.
pub(crate) struct OtherProcess {
    child: Child,
    lines: Receiver<String>,
}

/// This test program as a command that Ctrl-C ends, even where these tests run in the background of a shell,
/// which then ignores it and hands that on.
fn this_program() -> Command {
    let program = std::env::current_exe().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let interrupt = 1 << (2 - 1);
    if ignored.is_none_or(|mask| mask & interrupt == 0) {
        return Command::new(program);
    }
    let mut command = Command::new("env");
    command.arg("--default-signal=INT").arg(program);
    command
}

impl OtherProcess {
    pub(crate) fn start(job: &str, variables: &[(&str, &Path)]) -> Self {
        let mut child = this_program()
            .args(["--exact", "other_process", "--ignored", "--nocapture"])
            .env("DSPIPE_TEST_JOB", job)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        follow(child.stdout.take().unwrap(), sender.clone());
        follow(child.stderr.take().unwrap(), sender);
        Self { child, lines }
    }

    /// The rest of the next line that has this mark in it.
    pub(crate) fn said(&self, mark: &str) -> String {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => match line.split_once(mark) {
                    Some((_, rest)) => return rest.trim().to_owned(),
                    None => before.push(line),
                },
                Err(error) => panic!("it never said `{mark}` ({error}), but: {before:#?}"),
            }
        }
    }

    /// Sends a signal to the process group, as a terminal does.
    pub(crate) fn signal_group(&self, signal: &str) {
        signal_to(signal, &format!("-{}", self.child.id()));
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Lets it end, and returns all that it said since the last look.
    pub(crate) fn finish(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        self.lines.iter().collect()
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        // A failed test leaves nothing behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(output: impl std::io::Read + Send + 'static, sender: mpsc::Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
}

pub(crate) fn signal_to(signal: &str, target: &str) {
    let status = Command::new("kill")
        .args(["-s", signal, "--", target])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Command lines of all processes that have this text in them.
pub(crate) fn processes_with(text: &Path) -> Vec<String> {
    let text = text.to_str().unwrap();
    let commands: Vec<String> = if Path::new("/proc/self/cmdline").exists() {
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .collect()
    } else {
        let output = Command::new("ps").args(["-A", "-o", "args="]).output();
        String::from_utf8_lossy(&output.unwrap().stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    };
    commands
        .into_iter()
        .filter(|command| command.contains(text))
        .collect()
}

/// The variable of that name, in the other process.
pub(crate) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

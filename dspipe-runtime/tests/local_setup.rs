//! The set-up of the environment: what goes wrong on users' machines, and that the next run recovers.
//!
//! The installer is a script that says what pip or uv really say in such a case; the processes, locks,
//! signals and files are real. The real installers run in `local_server.rs`.

#![cfg(all(unix, feature = "local"))]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod local_support;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use dspipe_runtime::local::{Environment, LocalError, Settings, environment};
use local_support::{OtherProcess, eventually, processes_with, python_script, script, variable};

const LOCK: &str = "\
# download=1000 installed=2000 licence=MIT purpose=\"a test\"
thing==1.0 \\
    --hash=sha256:00
";

/// A home with a `python3` and an `uv` on its search path, both scripts.
struct Machine(tempfile::TempDir);

impl Machine {
    /// `install` is what `uv pip install` does; `$HOME_DIR` is the machine's directory.
    fn new(install: &str) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        python_script(&machine.at("bin/python3"), "exit 3");
        machine.installer(install);
        machine
    }

    fn installer(&self, install: &str) {
        // The last argument of `uv venv` is the directory to make.
        let body = format!(
            r#"HOME_DIR="{home}"
case "$1" in
venv) for last; do :; done; mkdir -p "$last/bin"; ln -s "$HOME_DIR/bin/python3" "$last/bin/python" ;;
pip) echo run >> "$HOME_DIR/installs"; {install} ;;
esac"#,
            home = self.0.path().display()
        );
        script(&self.at("bin/uv"), &body);
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn home(&self) -> PathBuf {
        self.at("home")
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::at(&self.home());
        settings.path = search_path(self.0.path());
        settings
    }

    fn set_up(&self) -> Result<Environment, LocalError> {
        environment(&self.settings(), "a test", &[LOCK])
    }

    fn set_up_elsewhere(&self) -> OtherProcess {
        OtherProcess::start("set up", &[("DSPIPE_TEST_MACHINE", self.0.path())])
    }

    fn installs(&self) -> usize {
        fs::read_to_string(self.at("installs")).map_or(0, |text| text.lines().count())
    }

    /// What is in the directory of environments, lock files aside.
    fn leftovers(&self) -> Vec<PathBuf> {
        fs::read_dir(self.home().join("env"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_none_or(|end| end != "lock"))
            .collect()
    }
}

/// The scripts before the system's programs, which they use themselves.
fn search_path(machine: &Path) -> OsString {
    OsString::from(machine.join("bin"))
}

/// What other processes of these tests do.
#[test]
#[ignore = "run by other tests"]
fn other_process() {
    let Some(machine) = variable("DSPIPE_TEST_MACHINE") else {
        return;
    };
    let mut settings = Settings::at(&machine.join("home"));
    settings.path = search_path(&machine);
    match environment(&settings, "a test", &[LOCK]) {
        Ok(environment) => println!("made: {}", environment.python.display()),
        Err(error) => println!("failed: {error}"),
    }
}

#[test]
fn a_set_up_is_told_once_and_without_control_characters() {
    let machine = Machine::new("exit 0");
    let said = machine.set_up_elsewhere().finish();
    let text = said.join("\n");
    assert!(text.contains("thing 1.0"), "{text}");
    assert!(text.contains("MIT"), "{text}");
    assert!(text.contains("to fetch"), "{text}");
    assert!(text.contains(machine.home().to_str().unwrap()), "{text}");
    assert!(text.contains("set up in"), "{text}");
    assert!(!text.contains(['\u{1b}', '\r']), "{text:?}");

    let again = machine.set_up_elsewhere().finish();
    assert!(again.iter().any(|line| line.starts_with("made: ")));
    assert!(
        !again.iter().any(|line| line.contains("dspipe:")),
        "{again:?}"
    );
    assert_eq!(machine.installs(), 1);
    assert_eq!(machine.leftovers().len(), 1);
}

#[test]
fn failures_are_told_apart_and_the_next_run_recovers() {
    type Expected = fn(&LocalError) -> bool;
    let cases: [(&str, Expected, &[&str]); 6] = [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            |error| matches!(error, LocalError::DiskFull { .. }),
            &["room on the disk", "DSPIPE_HOME"],
        ),
        (
            "error: Failed to fetch: the index\n  cause: error sending request for url\n  cause: dns error",
            |error| matches!(error, LocalError::NoNetwork { .. }),
            &["check the network", "cause: dns error"],
        ),
        (
            "error: Failed to download `thing==1.0`\n  cause: Hash mismatch for `thing==1.0`",
            |error| matches!(error, LocalError::HashMismatch { .. }),
            &["SHA-256 differs", "clear its cache"],
        ),
        (
            "  cause: Because thing==1.0 has no usable wheels and you require thing==1.0",
            |error| matches!(error, LocalError::NoWheel { .. }),
            &["Python 3.12 on linux-x86_64", "DSPIPE_LM"],
        ),
        (
            "error: failed to create directory: Permission denied (os error 13)",
            |error| matches!(error, LocalError::HomeNotWritable { .. }),
            &["cannot write", "DSPIPE_HOME"],
        ),
        (
            "thread panicked; index https://user:secret@host/simple",
            |error| matches!(error, LocalError::InstallFailed { .. }),
            &["exit status: 1", "https://****@host/simple"],
        ),
    ];
    for (says, expected, parts) in cases {
        let machine = Machine::new(&format!("cat >&2 <<'EOF'\n{says}\nEOF\nexit 1"));
        let error = machine.set_up().unwrap_err();
        assert!(expected(&error), "{error:?}");
        for part in parts {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        assert_eq!(machine.leftovers(), Vec::<PathBuf>::new());

        machine.installer("exit 0");
        assert!(machine.set_up().unwrap().python.exists());
    }
}

#[test]
fn a_killed_set_up_is_removed_and_made_again() {
    let machine = Machine::new("touch \"$HOME_DIR/begun\"; exec sleep 600");
    let mut killed = machine.set_up_elsewhere();
    eventually("the installation begins", || {
        machine.at("begun").exists().then_some(())
    });
    killed.signal_group("KILL");
    killed.wait();
    assert!(!machine.leftovers().is_empty());

    machine.installer("exit 0");
    let next = machine.set_up_elsewhere().finish().join("\n");
    assert!(next.contains("interrupted set-up"), "{next}");
    assert!(next.contains("made: "), "{next}");
    assert_eq!(machine.leftovers().len(), 1);
}

#[test]
fn an_installer_whose_owner_was_killed_is_waited_for() {
    // It goes on writing for a while; nobody may build in the same place meanwhile.
    let machine = Machine::new(
        "touch \"$HOME_DIR/begun\"; until [ -e \"$HOME_DIR/gate\" ]; do sleep 0.05; done; touch \"$HOME_DIR/ended\"",
    );
    let mut killed = machine.set_up_elsewhere();
    eventually("the installation begins", || {
        machine.at("begun").exists().then_some(())
    });
    killed.kill();
    machine.installer("[ -e \"$HOME_DIR/ended\" ]");
    let next = machine.set_up_elsewhere();
    next.said("another process");
    fs::write(machine.at("gate"), "").unwrap();
    next.said("made: ");
}

#[test]
fn an_interrupt_from_the_terminal_leaves_no_process() {
    let machine = Machine::new("touch \"$HOME_DIR/begun\"; exec tail -f \"$HOME_DIR/begun\"");
    let mut interrupted = machine.set_up_elsewhere();
    eventually("the installation begins", || {
        machine.at("begun").exists().then_some(())
    });
    interrupted.signal_group("INT");
    interrupted.wait();
    eventually("no process is left", || {
        processes_with(machine.0.path()).is_empty().then_some(())
    });
}

#[test]
fn two_at_once_set_up_once() {
    let machine = Machine::new("until [ -e \"$HOME_DIR/gate\" ]; do sleep 0.05; done; exit 0");
    let one = machine.set_up_elsewhere();
    one.said("setting up a test");
    let two = machine.set_up_elsewhere();
    two.said("is setting up a test; waiting for it");
    fs::write(machine.at("gate"), "").unwrap();
    assert_eq!(one.said("made: "), two.said("made: "));
    assert_eq!(machine.installs(), 1);
}

#[test]
fn no_python_and_a_home_that_cannot_be_written_are_told() {
    let machine = Machine::new("exit 0");
    let mut settings = machine.settings();
    settings.path = machine.at("nowhere").into();
    let error = environment(&settings, "a test", &[LOCK]).unwrap_err();
    assert!(
        matches!(error, LocalError::PythonNotFound { .. }),
        "{error}"
    );

    fs::write(machine.at("file"), "").unwrap();
    let mut settings = machine.settings();
    settings.home = machine.at("file").join("home");
    let error = environment(&settings, "a test", &[LOCK]).unwrap_err();
    assert!(
        matches!(error, LocalError::HomeNotWritable { .. }),
        "{error}"
    );
}

#[test]
fn a_disk_without_room_is_told_before_anything_is_fetched() {
    let machine = Machine::new("exit 0");
    let huge = LOCK.replace("download=1000", "download=9000000000000000000");
    let error = environment(&machine.settings(), "a test", &[&huge]).unwrap_err();
    let LocalError::DiskFull {
        needed: Some(needed),
        available: Some(available),
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert!(needed > available);
    assert_eq!(machine.installs(), 0);
}

#[test]
fn an_interpreter_of_the_user_is_used_as_it_is() {
    let machine = Machine::new("exit 0");
    let mut settings = machine.settings();
    settings.python = Some("python3".into());
    let environment_of = |settings: &Settings| environment(settings, "a test", &[LOCK]);
    assert_eq!(
        environment_of(&settings).unwrap(),
        Environment {
            python: machine.at("bin/python3"),
            directory: None
        }
    );

    script(
        &machine.at("bin/bare"),
        &format!(
            "case \"$*\" in *importlib.util*) exec {} \"$@\" ;; *) echo '[\"thing\"]' ;; esac",
            machine.at("bin/python3").display()
        ),
    );
    settings.python = Some(machine.at("bin/bare"));
    let error = environment_of(&settings).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("bin/bare -m pip install --no-deps thing==1.0"),
        "{error}"
    );

    settings.python = Some(machine.at("bin/nowhere"));
    let error = environment_of(&settings).unwrap_err();
    assert!(
        matches!(error, LocalError::PythonUnusable { .. }),
        "{error}"
    );
    assert_eq!(machine.installs(), 0);
}

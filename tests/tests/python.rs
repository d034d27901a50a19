//! The tests and the type check of the Python package, in an environment that dspipe sets up.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use dspipe_runtime::local::{self, Settings};

const LOCKS: [&str; 3] = [
    include_str!("../../python/locks/local.txt"),
    include_str!("../../python/locks/optimize.txt"),
    include_str!("../../python/locks/dev.txt"),
];

static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let settings = Settings::from_env().unwrap();
    match local::environment(&settings, "the tests in Python", &LOCKS) {
        Ok(environment) => environment.python,
        Err(error) => panic!("{error}"),
    }
});

fn run(arguments: &[&str]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../python");
    let output = Command::new(&*PYTHON)
        .args(arguments)
        .current_dir(directory)
        .env("DSPIPE_REQUIRE_LIVE", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{arguments:?} failed\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn pytest_passes() {
    run(&["-m", "pytest", "-q", "-p", "no:cacheprovider"]);
}

#[test]
fn mypy_finds_nothing() {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mypy");
    run(&["-m", "mypy", "--cache-dir", &cache.display().to_string()]);
}

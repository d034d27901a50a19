//! Generated code as it is committed in `goldens/`, where it is compiled with the strictest lints.
//!
//! `UPDATE_GOLDENS=1 cargo test -p dspipe-tests --test goldens` writes them anew.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use dspipe_build::Config;

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles `{name}.yaml` in a directory and compares with `goldens/{name}.rs`.
fn compare(directory: &Path, name: &str) {
    let compilation = Config::new()
        .workflow(format!("{name}.yaml"))
        .load(directory)
        .unwrap();
    let [workflow] = compilation.workflows() else {
        panic!("one file, one workflow");
    };
    assert_eq!(workflow.errors(), 0, "{}", compilation.report(workflow));
    let code = workflow.code().unwrap();
    let golden = here().join(format!("goldens/{name}.rs"));
    if env::var_os("UPDATE_GOLDENS").is_some() {
        fs::write(&golden, code).unwrap();
        return;
    }
    let committed = fs::read_to_string(&golden).unwrap_or_default();
    let line = committed
        .lines()
        .zip(code.lines())
        .take_while(|(old, new)| old == new)
        .count();
    assert!(
        committed == code,
        "{} is stale from line {} on:\n- {}\n+ {}\nUPDATE_GOLDENS=1 writes it anew",
        golden.display(),
        line + 1,
        committed.lines().nth(line).unwrap_or("(the end)"),
        code.lines().nth(line).unwrap_or("(the end)")
    );
}

#[test]
fn a_workflow_with_everything_in_it() {
    compare(&here().join("workflows"), "everything");
}

#[test]
fn lms_by_name() {
    compare(&here().join("workflows"), "lms");
}

#[test]
fn checks_and_asserts() {
    compare(&here().join("workflows"), "checks");
}

#[test]
fn modules() {
    compare(&here().join("workflows"), "modules");
}

#[test]
fn named_types() {
    compare(&here().join("workflows"), "types");
}

#[test]
fn conditions_and_expressions() {
    compare(&here().join("workflows"), "conditions");
}

#[test]
fn loops() {
    compare(&here().join("workflows"), "loops");
}

#[test]
fn calls_of_workflows() {
    compare(&here().join("workflows"), "calls");
}

/// The files of the user who asked for dspipe. They are not part of it; `DSPIPE_SEED` names their
/// directory, if it is not where it usually is.
#[test]
fn the_seed() {
    let directory = env::var_os("DSPIPE_SEED")
        .map_or_else(|| here().join("../../shared/corpus/seed"), PathBuf::from);
    if !directory.is_dir() {
        println!("skipped: the seed's workflow files are not at hand (set DSPIPE_SEED)");
        return;
    }
    for name in [
        "code_analyzer",
        "comprehensive_code_analysis",
        "documentation_generator",
    ] {
        compare(&directory, name);
    }
}

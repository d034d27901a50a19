//! Suites at build time: they are checked, and become what `dspipe_eval::main!` makes tests of.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cargo::{INDEX_HEADER, remove, write_if_changed};
use crate::config::Config;
use crate::diag::{self, Severity};
use crate::error::Error;
use crate::files::{self, display, read_data};
use crate::suite::{self, Checked, Reading};

/// The most diagnostics of one suite that are printed.
const SHOWN: usize = 50;

/// Checks the suites of the package and writes `dspipe_evals.rs`: an expression that opens them all. With
/// mistakes in any of them, it is their report as a compile error.
pub(crate) fn compile(config: &Config, package: &Path, out: &Path) -> Result<(), Error> {
    let directory = display(&config.evals);
    let target = out.join("dspipe_evals.rs");
    let report = out.join("dspipe_evals.errors.txt");
    let Some(names) = suites(&package.join(&config.evals)) else {
        // A directory that is not there cannot be watched. Whoever adds suites adds a test target first.
        println!("cargo::rerun-if-changed=Cargo.toml");
        remove(&report)?;
        return write_if_changed(&target, &nothing(&directory));
    };
    println!("cargo::rerun-if-changed={directory}");
    let mut errors = String::new();
    let mut opened = Vec::new();
    let mut seen: Vec<(String, String)> = Vec::new();
    for name in &names {
        let path = display(&config.evals.join(name));
        let mut reading = read(package, &path);
        let watched = files::to_watch_all(reading.files.iter(), package);
        for watched in watched {
            println!("cargo::rerun-if-changed={watched}");
        }
        if let Some(checked) = &reading.checked {
            let name = checked.suite.name.clone();
            match seen.iter().find(|(known, _)| *known == name) {
                // Writing to a string does not fail.
                Some((_, first)) => {
                    let _ = writeln!(
                        errors,
                        "error: two suites are called `{name}`: {first} and {path}\n"
                    );
                }
                None => seen.push((name, path.clone())),
            }
        }
        if config.warnings_as_errors {
            reading.diagnostics.warnings_to_errors();
        }
        let Reading {
            sources,
            diagnostics,
            checked,
            ..
        } = reading;
        let diagnostics = diagnostics.into_sorted();
        let (bad, good): (Vec<_>, Vec<_>) = diagnostics
            .iter()
            .partition(|it| it.severity == Severity::Error);
        for warning in good {
            println!("cargo::warning={}", diag::render_line(&sources, warning));
        }
        for error in bad.iter().take(SHOWN) {
            errors.push_str(&diag::render(&sources, error));
            errors.push_str("\n\n");
        }
        if bad.len() > SHOWN {
            let _ = writeln!(errors, "… and {} more in {path}\n", bad.len() - SHOWN);
        }
        opened.extend(checked.map(|checked| (path, checked)));
    }
    if !errors.is_empty() {
        write_if_changed(&report, &format!("\n{errors}"))?;
        let file = "concat!(env!(\"OUT_DIR\"), \"/dspipe_evals.errors.txt\")";
        let text = format!("{INDEX_HEADER}\n::core::compile_error!(include_str!({file}))\n");
        return write_if_changed(&target, &text);
    }
    remove(&report)?;
    let text = if opened.is_empty() {
        nothing(&directory)
    } else {
        expression(&opened)
    };
    write_if_changed(&target, &text)
}

/// The suites in a directory, sorted; `None` if there is no such directory.
fn suites(directory: &Path) -> Option<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let names = entries.map(|entry| PathBuf::from(entry.file_name()));
    let mut names: Vec<PathBuf> = names
        .filter(|name| {
            let name = name.to_string_lossy();
            name.ends_with(".eval.yaml") || name.ends_with(".eval.yml")
        })
        .collect();
    names.sort();
    Some(names)
}

fn read(package: &Path, path: &str) -> Reading {
    let mut read = |path: &Path| read_data(&package.join(path));
    match read(Path::new(path)) {
        // Whoever runs the cases reads them again.
        Ok(text) => suite::read(path, text, &mut read, &mut |_| {}),
        Err(problem) => suite::unreadable(path, &problem),
    }
}

fn nothing(directory: &str) -> String {
    let message = format!(
        "there are no suites: no file matches {directory}/*.eval.yaml (if the directory is new: `touch build.rs`)"
    );
    format!("{INDEX_HEADER}\n::core::compile_error!({message:?})\n")
}

/// Names that end in `dspipe_…` are those that the macro puts beside this.
fn expression(opened: &[(String, Checked)]) -> String {
    let mut text = format!("{INDEX_HEADER}\n::std::vec![\n");
    for (path, checked) in opened {
        let Checked {
            suite,
            module,
            step_module,
        } = checked;
        let open = match step_module {
            None => format!("dspipe_workflow_suite::<dspipe_workflows::{module}::Workflow>"),
            Some(step) => format!("dspipe_step_suite::<dspipe_workflows::{module}::{step}::Step>"),
        };
        let functions: Vec<String> = suite
            .functions
            .iter()
            .map(|name| format!("({name:?}, dspipe_metrics().{name})"))
            .collect();
        let _ = writeln!(
            text,
            "    {open}({path:?}, ::std::vec![{}]),",
            functions.join(", ")
        );
    }
    text.push_str("]\n");
    text
}

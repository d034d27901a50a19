//! `cargo dspipe check`: what a build would say of workflows and suites.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dspipe_build::{Suite, SuiteCheck};
use serde_json::Value;

use crate::{Failure, Format, load};

pub(crate) fn run(files: &[PathBuf], format: Format) -> Result<ExitCode, Failure> {
    let (suites, files): (Vec<PathBuf>, Vec<PathBuf>) =
        files.iter().cloned().partition(|file| is_suite(file));
    let suites: Result<Vec<SuiteCheck>, Failure> = suites.iter().map(|it| suite(it)).collect();
    let suites = suites?;
    let compilation = match files.as_slice() {
        [] => None,
        files => Some(load(files)?),
    };
    let errors = suites.iter().map(SuiteCheck::errors).sum::<usize>()
        + compilation
            .as_ref()
            .map_or(0, dspipe_build::Compilation::errors);
    let code = ExitCode::from(u8::from(errors > 0));
    let mut out = std::io::stdout().lock();
    if let Format::Json = format {
        let workflows = compilation.iter().map(dspipe_build::Compilation::to_json);
        let reports = workflows.chain(suites.iter().map(SuiteCheck::to_json));
        writeln!(out, "{}", joined(reports))?;
        return Ok(code);
    }
    for suite in &suites {
        write!(out, "{}", suite.report())?;
        if suite.errors() == 0 {
            let count = suite.cases();
            let s = if count == 1 { "" } else { "s" };
            writeln!(out, "{}: {count} case{s}, no errors", suite.path())?;
        }
    }
    let Some(compilation) = compilation else {
        return Ok(code);
    };
    for workflow in compilation.workflows() {
        write!(out, "{}", compilation.report(workflow))?;
    }
    if compilation.errors() == 0 {
        let count = compilation.workflows().len();
        let s = if count == 1 { "" } else { "s" };
        writeln!(out, "{count} workflow{s} checked, no errors")?;
    }
    Ok(code)
}

fn is_suite(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".eval.yaml") || name.ends_with(".eval.yml")
}

/// A suite in its package: the next directory above it with a `Cargo.toml`.
fn suite(given: &Path) -> Result<SuiteCheck, Failure> {
    let path = std::path::absolute(given)?;
    let package = path
        .ancestors()
        .skip(1)
        .find(|directory| directory.join("Cargo.toml").is_file());
    let package = package.or(path.parent()).unwrap_or(Path::new("."));
    let file = path.strip_prefix(package).unwrap_or(&path);
    // As it was given, so that reports name files as they are seen from here.
    let mut seen = given.components();
    let as_given = file
        .components()
        .rev()
        .all(|part| seen.next_back() == Some(part));
    let package = if as_given {
        seen.as_path().to_owned()
    } else {
        match std::env::current_dir()?.strip_prefix(package) {
            Ok(below) => below.components().map(|_| "..").collect(),
            Err(_) => package.to_owned(),
        }
    };
    Ok(Suite::check(&package, file))
}

/// Reports as one.
fn joined(reports: impl Iterator<Item = String>) -> Value {
    let reports = reports.map(|text| serde_json::from_str::<Value>(&text).unwrap_or_default());
    reports
        .reduce(|mut all, mut more| {
            for count in ["errors", "warnings"] {
                let sum = all[count].as_u64().unwrap_or(0) + more[count].as_u64().unwrap_or(0);
                all[count] = sum.into();
            }
            if let (Value::Array(all), Value::Array(more)) =
                (&mut all["diagnostics"], more["diagnostics"].take())
            {
                all.extend(more);
            }
            all
        })
        .unwrap_or_default()
}

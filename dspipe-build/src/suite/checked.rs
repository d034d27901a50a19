//! What a build says of a suite, without one.

use std::fmt::Write as _;
use std::path::Path;

use super::{Suite, read};
use crate::diag::{self, Diagnostic, Severity};
use crate::files::read_data;
use crate::source::Sources;

/// The most diagnostics that a report has.
const SHOWN: usize = 50;

/// A suite that was checked, and not kept.
#[derive(Debug)]
pub struct SuiteCheck {
    sources: Sources,
    diagnostics: Vec<Diagnostic>,
    path: String,
    cases: usize,
}

impl Suite {
    /// Checks a suite of the package in this directory; `file` is seen from there, and so are the paths in it. Reports
    /// have paths that are seen from where `package` is.
    pub fn check(package: &Path, file: &Path) -> SuiteCheck {
        let shown = |path: &Path| path.to_string_lossy().replace('\\', "/");
        let path = shown(file);
        let mut cases = 0;
        let mut reading = match read_data(&package.join(file)) {
            Ok(text) => read(
                &path,
                text,
                &mut |path| read_data(&package.join(path)),
                &mut |_| cases += 1,
            ),
            Err(problem) => super::unreadable(&path, &problem),
        };
        let package = shown(package);
        reading.sources.show_from(&package);
        SuiteCheck {
            path: match package.as_str() {
                "" => path,
                package => [package.trim_end_matches('/'), "/", &path].concat(),
            },
            sources: reading.sources,
            diagnostics: reading.diagnostics.into_sorted(),
            cases,
        }
    }
}

impl SuiteCheck {
    /// The file.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// How many cases are right.
    pub fn cases(&self) -> usize {
        self.cases
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        let all = self.diagnostics.iter();
        all.filter(|it| it.severity == Severity::Error).count()
    }

    /// The diagnostics as rustc would print them, the number of errors on the last line. Empty if there are none.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for diagnostic in self.diagnostics.iter().take(SHOWN) {
            text.push_str(&diag::render(&self.sources, diagnostic));
            text.push_str("\n\n");
        }
        // Writing to a string does not fail.
        if self.diagnostics.len() > SHOWN {
            let _ = writeln!(text, "… and {} more\n", self.diagnostics.len() - SHOWN);
        }
        let errors = self.errors();
        if errors > 0 {
            let s = if errors == 1 { "" } else { "s" };
            let _ = writeln!(text, "{errors} error{s} in {}", self.path);
        }
        text
    }

    /// All diagnostics as one JSON object, as [`Compilation::to_json`](crate::Compilation::to_json) gives those of
    /// workflows.
    pub fn to_json(&self) -> String {
        let all: Vec<&Diagnostic> = self.diagnostics.iter().collect();
        diag::json(&self.sources, &all).to_string()
    }
}

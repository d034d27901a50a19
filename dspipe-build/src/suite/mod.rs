//! Suites: files beside the workflows that say how good their outputs must be.
//!
//! The build holds them against the workflow, so that a wrong record, field or name is an error of the test
//! target that runs them; the harness reads them here again, with the same checks.

mod checked;
mod declared;
mod file;
mod options;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::check::Signatures;
use crate::data::{DataFile, Unread};
use crate::diag::{self, Code, Diagnostics};
use crate::files::read_data;
use crate::library::Library;
use crate::nested::Nested;
use crate::source::{FileId, Sources, Span, Spanned};
use crate::training::{self, Invalid};
use crate::{ir, spec, yaml};

pub use checked::SuiteCheck;
pub use options::{METRICS, Takes};

/// A file of a suite that was read and checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// The workflow file, from the package's directory.
    pub workflow: String,
    /// The step that is evaluated; `None` is the workflow as a whole.
    pub step: Option<String>,
    /// The metrics as they are written.
    pub metrics: Value,
    /// The Rust functions that the metrics name.
    pub functions: Vec<String>,
    /// The gates as they are written; null if there are none.
    pub gates: Value,
    /// How often each case runs.
    pub repeats: u32,
    /// Whether a case that does not pass is a failed test of its own.
    pub must_pass: bool,
    /// So many of the cases run; all without it.
    pub sample: Option<Sample>,
    /// Tags of every case.
    pub tags: Vec<String>,
    /// Whether rendered requests and replayed outputs are held against snapshots, and what is left out of them.
    pub snapshots: Option<SnapshotRules>,
    /// Where its recordings are, if it says so.
    pub cassettes: Option<String>,
    /// What is wrong without making it useless, each on a line.
    pub warnings: Vec<String>,
}

/// A case of a suite.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SuiteCase {
    /// Where it is, as in `data/test.jsonl:12`.
    pub source: String,
    /// The name that its record gives it; otherwise its file and line, as in `test-12`. No other case has it.
    pub name: String,
    /// What it can be selected by.
    pub tags: Vec<String>,
    /// What goes in, by field.
    pub inputs: Map<String, Value>,
    /// What is known of what should come out, by the names of steps, then by field; by those of loops and calls, as they
    /// give it. May be empty.
    pub outputs: Map<String, Value>,
}

/// Which cases run where not all do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How many.
    pub size: usize,
    /// Another seed takes others.
    pub seed: u64,
}

/// What snapshots leave out, because it differs from run to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotRules {
    /// Places in the output, as in `classify.id`.
    pub redact: Vec<String>,
    /// Regular expressions, and what stands for what they match.
    pub replace: Vec<(String, String)>,
}

/// A suite as the build needs it.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) suite: Suite,
    /// The module of the workflow, and that of the step if it is of one.
    pub(crate) module: String,
    pub(crate) step_module: Option<String>,
}

/// What a file of a suite came to.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) sources: Sources,
    pub(crate) diagnostics: Diagnostics,
    /// `None` if something is wrong.
    pub(crate) checked: Option<Checked>,
    /// The files that the result depends on besides its own, there or not.
    pub(crate) files: Vec<PathBuf>,
}

impl Suite {
    /// Reads a suite of the package in this directory; `file` is seen from there, and so are the paths in it.
    ///
    /// `take` gets the cases in the order of the files, one by one, so that a long data set is never in memory as a
    /// whole. It has got those that are right when there is an error.
    ///
    /// # Errors
    /// [`Invalid`] with all that is wrong with the file, its data, or its workflow.
    pub fn read(
        package: &Path,
        file: &Path,
        take: &mut dyn FnMut(SuiteCase),
    ) -> Result<Self, Invalid> {
        let shown = file.to_string_lossy().replace('\\', "/");
        let text = read_data(&package.join(file)).map_err(|problem| Invalid {
            report: format!("{shown} cannot be read: {problem}"),
        })?;
        let reading = read(
            &shown,
            text,
            &mut |path| read_data(&package.join(path)),
            take,
        );
        let checked = training::finish(&reading.sources, reading.diagnostics, reading.checked);
        let (warnings, Checked { suite, .. }) = checked?;
        Ok(Self { warnings, ..suite })
    }
}

/// Reads a suite and holds it against its workflow. `read` gives other files, `take` gets the cases.
pub(crate) fn read(
    path: &str,
    text: String,
    read: &mut dyn FnMut(&Path) -> Result<String, Unread>,
    take: &mut dyn FnMut(SuiteCase),
) -> Reading {
    let mut reading = Reading::default();
    let file = reading.sources.add(path, text);
    let root = yaml::parse(&reading.sources, file, &mut reading.diagnostics);
    let written = root.and_then(|root| file::Written::read(&root, &mut reading.diagnostics));
    if let Some(written) = written {
        let mut asked = Vec::new();
        let mut read = |path: &Path| {
            asked.push(path.to_owned());
            read(path)
        };
        let checked = reading.check(written, &mut read, take);
        reading.files = asked;
        reading.checked = checked.filter(|_| !reading.diagnostics.has_errors());
    }
    reading
}

/// What a suite comes to whose file cannot be read.
pub(crate) fn unreadable(path: &str, problem: &Unread) -> Reading {
    let mut reading = Reading::default();
    let file = reading.sources.add(path, "");
    let span = Span {
        file,
        start: 0,
        end: 0,
    };
    reading.diagnostics.error(
        Code::Unreadable,
        span,
        format!("the suite `{path}` cannot be read: {problem}"),
    );
    reading
}

impl Reading {
    fn check(
        &mut self,
        mut written: file::Written,
        read: &mut dyn FnMut(&Path) -> Result<String, Unread>,
        take: &mut dyn FnMut(SuiteCase),
    ) -> Option<Checked> {
        let signatures = self.workflow(&written.workflow, read)?;
        let only = match &written.step {
            None => None,
            Some(step) => Some(self.step(step, &signatures)?),
        };
        let mut names = Names::default();
        for data in &written.data {
            let Some(file) = self.open(data, read) else {
                continue;
            };
            let mut take = |case| take(names.named(case, &self.sources));
            signatures.of_file(only, file, &self.sources, &mut take, &mut self.diagnostics);
        }
        for node in std::mem::take(&mut written.cases) {
            let case = signatures.case(only, node, false, &mut self.diagnostics);
            if let Some(case) = case {
                take(names.named(case, &self.sources));
            }
        }
        names.report(&mut self.diagnostics);
        let functions = declared::check(
            &written,
            &signatures,
            only,
            &self.sources,
            &mut self.diagnostics,
        );
        let step_name = |step: usize| signatures.steps[step].text.clone();
        let suite = Suite {
            name: written.name.value,
            workflow: written.workflow.value,
            step: only.map(step_name),
            metrics: written.metrics.to_json(),
            functions,
            gates: written.gates.map_or(Value::Null, |gates| gates.to_json()),
            repeats: written.repeats,
            must_pass: written.must_pass,
            sample: written.sample,
            tags: written.tags,
            snapshots: written.snapshots.map(|written| SnapshotRules {
                redact: written.redact.into_iter().map(|it| it.value).collect(),
                replace: written
                    .replace
                    .into_iter()
                    .map(|(pattern, by)| (pattern.value, by))
                    .collect(),
            }),
            cassettes: written.cassettes,
            warnings: Vec::new(),
        };
        Some(Checked {
            suite,
            step_module: only.map(|step| signatures.steps[step].ident.clone()),
            module: signatures.module,
        })
    }

    /// The signatures of the workflow that a suite is of.
    fn workflow(
        &mut self,
        path: &Spanned<String>,
        mut read: &mut dyn FnMut(&Path) -> Result<String, Unread>,
    ) -> Option<Signatures> {
        let text = match read(Path::new(&path.value)) {
            Ok(text) => text,
            Err(problem) => {
                self.unread(path, "workflow", &problem);
                return None;
            }
        };
        let file = self.sources.add(path.value.clone(), text);
        // What is wrong with the workflow, its own compilation says.
        let mut diagnostics = Diagnostics::default();
        let root = yaml::parse(&self.sources, file, &mut diagnostics);
        let spec = root.and_then(|root| spec::Workflow::read(&root, &mut diagnostics));
        let signatures = spec.map(|mut spec| {
            let library = Library::load(&mut spec, &mut self.sources, &mut read, &mut diagnostics);
            let nested = Nested::load(&spec, &mut self.sources, &mut read, &mut diagnostics);
            Signatures::of(&spec, &library, &nested, &self.sources, &mut diagnostics)
        });
        let broken = diagnostics.into_sorted();
        let first = broken
            .iter()
            .find(|it| it.severity == diag::Severity::Error);
        if let Some(first) = first {
            self.diagnostics
                .error(
                    Code::InvalidSetting,
                    path.span,
                    format!("the workflow `{path}` has errors"),
                )
                .label("the suite cannot be checked before they are mended")
                .also(first.primary.span, first.message.clone());
            return None;
        }
        signatures
    }

    fn step(&mut self, name: &Spanned<String>, signatures: &Signatures) -> Option<usize> {
        let found = signatures.step(&name.value);
        if found.is_none() {
            let steps = signatures.steps.iter().map(|step| step.text.as_str());
            self.diagnostics
                .error(
                    Code::UnresolvedPath,
                    name.span,
                    format!("the workflow has no step `{name}`"),
                )
                .label("unknown step")
                .meant(name.span, &name.value, steps);
        }
        found
    }

    fn open(
        &mut self,
        path: &Spanned<String>,
        read: &mut dyn FnMut(&Path) -> Result<String, Unread>,
    ) -> Option<DataFile> {
        let Some(format) = DataFile::format_of(Path::new(&path.value)) else {
            self.diagnostics
                .error(
                    Code::InvalidSetting,
                    path.span,
                    format!("the data `{path}` cannot be read"),
                )
                .label("expected a name that ends in .json, .jsonl, .csv or .yaml");
            return None;
        };
        match read(Path::new(&path.value)) {
            Ok(text) => {
                let file: FileId = self.sources.add(path.value.clone(), text);
                Some(DataFile::new(file, format))
            }
            Err(problem) => {
                self.unread(path, "data", &problem);
                None
            }
        }
    }

    fn unread(&mut self, path: &Spanned<String>, what: &str, problem: &Unread) {
        self.diagnostics
            .error(
                Code::Unreadable,
                path.span,
                format!("the {what} `{path}` cannot be read"),
            )
            .label(problem.to_string())
            .help("paths in a suite start in the directory of Cargo.toml");
    }
}

/// The names of the cases so far.
#[derive(Default)]
struct Names {
    known: HashMap<Box<str>, Span>,
    /// Names that are there again, with the place of the first one and of this.
    again: Vec<(String, Span, Span)>,
}

impl Names {
    /// A case with its name, as others see it.
    fn named(&mut self, case: ir::Case, sources: &Sources) -> SuiteCase {
        let source = sources.location(case.span);
        let (name, place) = match case.id {
            Some(id) => (id.value, id.span),
            None => (
                name_of(&source),
                Span {
                    end: case.span.start + 1,
                    ..case.span
                },
            ),
        };
        match self.known.entry(name.as_str().into()) {
            Entry::Vacant(free) => _ = free.insert(place),
            Entry::Occupied(first) => self.again.push((name.clone(), *first.get(), place)),
        }
        SuiteCase {
            source,
            name,
            tags: case.tags,
            inputs: case.inputs,
            outputs: case.outputs,
        }
    }

    fn report(self, diagnostics: &mut Diagnostics) {
        /// As many are shown.
        const SHOWN: usize = 20;
        for (name, first, place) in self.again.into_iter().take(SHOWN) {
            diagnostics
                .error(
                    Code::Duplicate,
                    place,
                    format!("two cases are called `{name}`"),
                )
                .label("give this one another `id`")
                .also(first, "the first one");
        }
    }
}

/// `data/test.jsonl:12` as a name: `test-12`.
fn name_of(source: &str) -> String {
    let (file, line) = source.rsplit_once(':').unwrap_or((source, "1"));
    let name = Path::new(file).file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    let stem = name.split('.').next().unwrap_or_default();
    format!("{stem}-{line}")
}

//! The compiler as one function: texts in, code and diagnostics out. No I/O.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::artifact;
use crate::check;
use crate::config::Config;
use crate::data::{self, Unread};
use crate::diag::{self, Code, Diagnostic, Diagnostics, Severity};
use crate::emit;
use crate::ir;
use crate::library::Library;
use crate::nested::Nested;
use crate::source::{Sources, Span, Spanned};
use crate::spec;
use crate::yaml;

/// Workflows that were read and compiled in memory: what `build.rs`, the macro and
/// the command line all work with.
#[derive(Debug)]
pub struct Compilation {
    pub(crate) sources: Sources,
    pub(crate) workflows: Vec<Workflow>,
    pub(crate) watched: Vec<String>,
}

/// What became of one workflow file.
#[derive(Debug)]
pub struct Workflow {
    /// The path that people see.
    pub(crate) path: String,
    /// The module, by the workflow's name; by the file's where that is unknown.
    pub(crate) module: String,
    /// The items of the module. `None`: there was nothing to generate from.
    pub(crate) items: Option<String>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The files that the result depends on besides its own, there or not.
    pub(crate) files: Vec<PathBuf>,
    /// The generated types, as overrides name them.
    pub(crate) types: Vec<String>,
    /// The names of the steps, as written and as modules.
    pub(crate) steps: Vec<(String, String)>,
}

impl Compilation {
    /// The workflows, in the order in which their files were named or found.
    pub fn workflows(&self) -> &[Workflow] {
        &self.workflows
    }

    /// The files and directories that the result depends on, as given.
    pub fn watched(&self) -> &[String] {
        &self.watched
    }

    /// How many errors there are in all.
    pub fn errors(&self) -> usize {
        self.workflows.iter().map(Workflow::errors).sum()
    }

    /// The diagnostics of one workflow as rustc would print them, the number of
    /// errors on the last line. Empty when there are none.
    pub fn report(&self, workflow: &Workflow) -> String {
        const SHOWN: usize = 50;
        let mut text = String::new();
        for diagnostic in workflow.diagnostics.iter().take(SHOWN) {
            text.push_str(&diag::render(&self.sources, diagnostic));
            text.push_str("\n\n");
        }
        // Writing to a String cannot fail.
        if let Some(more) = workflow
            .diagnostics
            .len()
            .checked_sub(SHOWN)
            .filter(|n| *n > 0)
        {
            let _ = writeln!(text, "… and {more} more\n");
        }
        match workflow.errors() {
            0 => {}
            1 => _ = writeln!(text, "1 error in {}", workflow.path),
            n => _ = writeln!(text, "{n} errors in {}", workflow.path),
        }
        text
    }

    /// All diagnostics as one JSON object, for tools:
    ///
    /// ```json
    /// {
    ///   "version": 1,
    ///   "errors": 1,
    ///   "warnings": 0,
    ///   "diagnostics": [{
    ///     "severity": "error",
    ///     "code": "E004",
    ///     "message": "unknown key `descripton` in the workflow",
    ///     "labels": [{
    ///       "file": "workflows/triage.yaml",
    ///       "start": {"line": 3, "column": 3, "offset": 30},
    ///       "end": {"line": 3, "column": 13, "offset": 40},
    ///       "text": "unknown key",
    ///       "primary": true
    ///     }],
    ///     "help": null,
    ///     "suggestion": {
    ///       "message": "a similar name exists",
    ///       "file": "workflows/triage.yaml",
    ///       "start": {"line": 3, "column": 3, "offset": 30},
    ///       "end": {"line": 3, "column": 13, "offset": 40},
    ///       "replacement": "description"
    ///     },
    ///     "rendered": "error[E004]: …"
    ///   }]
    /// }
    /// ```
    ///
    /// Lines and columns count from 1, columns in characters; offsets are bytes, from 0. The first label is
    /// the primary one. `version` changes when a key changes its meaning or goes.
    pub fn to_json(&self) -> String {
        let all: Vec<&Diagnostic> = self
            .workflows
            .iter()
            .flat_map(|workflow| &workflow.diagnostics)
            .collect();
        diag::json(&self.sources, &all).to_string()
    }

    /// The warnings of one workflow, each on one line.
    pub(crate) fn warnings(&self, workflow: &Workflow) -> Vec<String> {
        workflow
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Warning)
            .map(|diagnostic| diag::render_line(&self.sources, diagnostic))
            .collect()
    }
}

impl Workflow {
    /// The file, as it was given.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name of the generated module, raw (`r#…`) where it is a keyword.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// The steps that could be read: their names in the file, and those of their modules.
    pub fn steps(&self) -> impl Iterator<Item = (&str, &str)> {
        self.steps
            .iter()
            .map(|(name, module)| (name.as_str(), module.as_str()))
    }

    /// How many errors the file has.
    pub fn errors(&self) -> usize {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .count()
    }

    /// The items of the module. With errors in the file, they are a skeleton to
    /// type-check against; `None` when there was nothing to make even that from.
    pub fn items(&self) -> Option<&str> {
        self.items.as_deref()
    }

    /// The generated file: a comment that says where it is from, and the [`items`](Self::items).
    pub fn code(&self) -> Option<String> {
        Some(format!(
            "// This file is @generated by dspipe-build from {}. Do not edit.\n\n{}",
            self.path.replace(char::is_control, " "),
            self.items.as_ref()?
        ))
    }
}

/// Compiles files, given as path and text, to modules. Two workflows of one name are an error of the second.
///
/// `read` gives the files that settings name; their paths are seen from where those of the
/// workflow files are.
pub(crate) fn compile(
    files: &[(&str, &str)],
    config: &Config,
    runtime: &str,
    read: &(dyn Fn(&Path) -> Result<String, Unread> + Sync),
) -> (Sources, Vec<Workflow>) {
    let parts: Vec<(u32, &[(&str, &str)])> = (0..).zip(files.chunks(share(files.len()))).collect();
    let mut sources = Sources::default();
    let mut all = Vec::with_capacity(files.len());
    // Each file to its end before the next one: what is known of it is then still in the processor's cache.
    for (found, compiled) in at_once(parts, |(part, files)| {
        let mut sources = Sources::of_part(part);
        let compiled: Vec<(Option<Name>, Workflow)> = files
            .iter()
            .map(|(path, text)| {
                let front = front(&mut sources, path, text, read);
                (front.name(), front.emit(config, runtime))
            })
            .collect();
        (sources, compiled)
    }) {
        if all.is_empty() {
            sources = found;
        } else {
            sources.append(found);
        }
        all.extend(compiled);
    }
    let second = same_names(&all);
    let mut workflows: Vec<Workflow> = all.into_iter().map(|(_, workflow)| workflow).collect();
    for (index, first) in second {
        let (path, text) = files[index];
        let mut front = front(&mut sources, path, text, read);
        if let Some(name) = front.name() {
            report_same_name(first, &name.written, &mut front.diagnostics);
        }
        workflows[index] = front.emit(config, runtime);
    }
    (sources, workflows)
}

/// What a workflow is called, in its file and as a module.
struct Name {
    written: Spanned<String>,
    ident: String,
}

/// Fewer files than this are compiled before a thread has started.
const FEW: usize = 16;
/// Into so many parts the work of a thread is cut, so that all of them end at about the same time, whatever
/// else the machine does.
const PARTS: usize = 8;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// How many of so many files are one part of the work.
pub(crate) fn share(files: usize) -> usize {
    files.div_ceil(threads() * PARTS).max(FEW)
}

/// Does several things on all processors; what comes of them, in their order.
pub(crate) fn at_once<T: Send, R: Send>(parts: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let helpers = threads().min(parts.len()).saturating_sub(1);
    let queue = Mutex::new(parts.into_iter().enumerate());
    let next = || match queue.lock() {
        Ok(mut queue) => queue.next(),
        // A thread that panics does not hold it.
        Err(poisoned) => poisoned.into_inner().next(),
    };
    let take_turns = || -> Vec<(usize, R)> {
        std::iter::from_fn(next)
            .map(|(index, part)| (index, work(part)))
            .collect()
    };
    let mut done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..helpers).map(|_| scope.spawn(take_turns)).collect();
        let mut done = take_turns();
        for thread in threads {
            match thread.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A file that was read and checked.
struct Front {
    path: String,
    /// `None`: there was nothing to check.
    checked: Option<(Spanned<String>, ir::Workflow)>,
    diagnostics: Diagnostics,
    asked: Vec<PathBuf>,
}

fn front(
    sources: &mut Sources,
    path: &str,
    text: &str,
    read: &(dyn Fn(&Path) -> Result<String, Unread> + Sync),
) -> Front {
    let file = sources.add(path, text);
    let mut diagnostics = Diagnostics::default();
    let mut asked = Vec::new();
    let mut read = |path: &Path| {
        asked.push(path.to_owned());
        read(path)
    };
    let spec = yaml::parse(sources, file, &mut diagnostics)
        .and_then(|root| spec::Workflow::read(&root, &mut diagnostics));
    let checked = spec.map(|mut spec| {
        let library = Library::load(&mut spec, sources, &mut read, &mut diagnostics);
        let data = data::DataFiles::load(&spec, sources, &mut read, &mut diagnostics);
        let artifact = artifact::load(spec.name.span, sources, &mut read, &mut diagnostics);
        let artifact = artifact.as_ref();
        let nested = Nested::load(&spec, sources, &mut read, &mut diagnostics);
        let workflow = check::check(
            &spec,
            &library,
            &nested,
            sources,
            &data,
            artifact,
            &mut diagnostics,
        );
        (spec.name, workflow)
    });
    Front {
        path: path.to_owned(),
        checked,
        diagnostics,
        asked,
    }
}

impl Front {
    fn name(&self) -> Option<Name> {
        let (written, workflow) = self.checked.as_ref()?;
        Some(Name {
            written: written.clone(),
            ident: workflow.name.ident.clone(),
        })
    }

    fn emit(self, config: &Config, runtime: &str) -> Workflow {
        let Self {
            path,
            checked,
            mut diagnostics,
            asked,
        } = self;
        let Some((_, workflow)) = checked else {
            return Workflow {
                module: module_of(&path),
                path,
                items: None,
                diagnostics: diagnostics.into_sorted(),
                files: asked,
                types: Vec::new(),
                steps: Vec::new(),
            };
        };
        if config.warnings_as_errors {
            diagnostics.warnings_to_errors();
        }
        if config.stale_prompts_as_errors {
            diagnostics.code_to_errors(Code::StaleArtifact);
        }
        let options = emit::Options {
            runtime,
            skeleton: diagnostics.has_errors(),
            type_prefix: &config.type_prefix,
            overrides: &config.overrides,
        };
        let items = match &config.only_step {
            None => Some(emit::workflow(&workflow, options)),
            Some(name) => {
                let step = workflow.steps.iter().position(|s| s.name.text == *name);
                step.map(|step| emit::step(&workflow, step, options))
            }
        };
        let names = workflow.steps.iter().map(|step| &step.name);
        Workflow {
            items,
            types: emit::type_paths(&workflow, &config.type_prefix),
            steps: names.map(|n| (n.text.clone(), n.ident.clone())).collect(),
            files: asked,
            module: workflow.name.ident,
            path,
            diagnostics: diagnostics.into_sorted(),
        }
    }
}

/// The workflows that another one before them is called like, and where its name is.
fn same_names(all: &[(Option<Name>, Workflow)]) -> Vec<(usize, Span)> {
    let mut seen: HashMap<&str, Span> = HashMap::new();
    let mut second = Vec::new();
    for (index, (name, _)) in all.iter().enumerate() {
        let Some(name) = name else { continue };
        match seen.get(name.ident.as_str()) {
            Some(first) => second.push((index, *first)),
            None => _ = seen.insert(&name.ident, name.written.span),
        }
    }
    second
}

fn report_same_name(first: Span, second: &Spanned<String>, diagnostics: &mut Diagnostics) {
    diagnostics
        .error(
            Code::Duplicate,
            second.span,
            format!("another workflow is called `{second}`"),
        )
        .label("rename this one")
        .also(first, "the first one");
}

/// A diagnostic for a path that could not even be read.
pub(crate) fn unreadable(sources: &mut Sources, path: &str, problem: &str) -> Workflow {
    let file = sources.add(path, "");
    let mut diagnostics = Diagnostics::default();
    let span = Span {
        file,
        start: 0,
        end: 0,
    };
    diagnostics.error(Code::Unreadable, span, problem);
    Workflow {
        path: path.to_owned(),
        module: module_of(path),
        items: None,
        diagnostics: diagnostics.into_sorted(),
        files: Vec::new(),
        types: Vec::new(),
        steps: Vec::new(),
    }
}

/// A module name for a file whose workflow could not be read.
fn module_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    check::module_name(file.split('.').next().unwrap_or(file))
}

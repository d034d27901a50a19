//! Workflows that others call: their files read and checked, and all of this held to end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::artifact;
use crate::check;
use crate::data::{DataFiles, ReadFile, Unread};
use crate::diag::{Code, Diagnostics};
use crate::ir;
use crate::library::{Library, normal};
use crate::source::{Sources, Spanned};
use crate::spec::{self, BlockKind};
use crate::yaml;

/// Deeper calls than this are not written by people.
const MAX_DEPTH: usize = 8;

/// By block of a workflow, the workflow that it calls.
#[derive(Debug, Default)]
pub(crate) struct Nested(Vec<Option<Called>>);

/// A workflow that is called.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    pub(crate) workflow: Arc<ir::Workflow>,
    /// Its file, seen from where those of the workflow files are.
    pub(crate) path: PathBuf,
}

impl Nested {
    pub(crate) fn of_block(&self, block: usize) -> Option<&Called> {
        self.0.get(block)?.as_ref()
    }

    /// Reads and checks every workflow that this one calls, and those that they call.
    pub(crate) fn load(
        workflow: &spec::Workflow,
        sources: &mut Sources,
        read: &mut ReadFile<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        if workflow.blocks().is_empty() {
            return Self::default();
        }
        let own = normal(Path::new(&sources.file(workflow.name.span.file).path));
        Loader {
            open: vec![(own, workflow.name.value.clone())],
            known: HashMap::new(),
            sources,
            read,
        }
        .all(workflow, diagnostics)
    }
}

struct Loader<'a> {
    /// The files that are being read, each called by the one before, and the workflows in them.
    open: Vec<(PathBuf, String)>,
    /// `None`: it has errors, which have been reported.
    known: HashMap<PathBuf, Option<Arc<ir::Workflow>>>,
    sources: &'a mut Sources,
    read: &'a mut ReadFile<'a>,
}

impl Loader<'_> {
    fn all(&mut self, workflow: &spec::Workflow, diagnostics: &mut Diagnostics) -> Nested {
        let called = workflow.blocks().iter().map(|block| match &block.kind {
            BlockKind::Call(it) => self.called(it.file.as_ref()?, diagnostics),
            _ => None,
        });
        Nested(called.collect())
    }

    fn called(&mut self, file: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<Called> {
        let near = Path::new(&self.sources.file(file.span.file).path)
            .parent()
            .unwrap_or(Path::new(""))
            .join(&file.value);
        let path = normal(&near);
        if let Some(from) = self.open.iter().position(|(open, _)| *open == path) {
            let chain = self.open[from..].iter().map(|(path, _)| path);
            let chain: Vec<String> = chain.chain([&path]).map(|path| shown(path)).collect();
            diagnostics
                .error(
                    Code::WorkflowCycle,
                    file.span,
                    format!("the workflows call each other: {}", chain.join(" calls ")),
                )
                .label("this call never ends")
                .help("break the circle at one of these calls");
            return None;
        }
        if self.open.len() > MAX_DEPTH {
            diagnostics
                .error(
                    Code::TooLarge,
                    file.span,
                    "workflows that call each other too deeply",
                )
                .label(format!("more than {MAX_DEPTH} calls"));
            return None;
        }
        let workflow = match self.known.get(&path) {
            Some(known) => known.clone(),
            None => {
                let found = self.checked(file, &path, diagnostics);
                self.known.insert(path.clone(), found.clone());
                found
            }
        };
        Some(Called {
            workflow: workflow?,
            path,
        })
    }

    fn checked(
        &mut self,
        file: &Spanned<String>,
        path: &Path,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<ir::Workflow>> {
        let text = match (self.read)(path) {
            Ok(text) => text,
            Err(problem) => {
                let label = match problem {
                    Unread::Missing => {
                        "no such file, seen from the directory of this one".to_owned()
                    }
                    Unread::TooLarge(bytes) => format!("the file has {} MiB", bytes >> 20),
                    Unread::NotUtf8(at) => format!("not UTF-8: the byte at offset {at} is no text"),
                    Unread::Failed(reason) => reason,
                };
                diagnostics
                    .error(
                        Code::NestedWorkflow,
                        file.span,
                        format!("the workflow `{file}` cannot be read"),
                    )
                    .label(label);
                return None;
            }
        };
        let mut found = Diagnostics::default();
        let id = self.sources.add(shown(path), text);
        let spec = yaml::parse(self.sources, id, &mut found)
            .and_then(|root| spec::Workflow::read(&root, &mut found));
        let checked = spec.and_then(|mut spec| {
            if let Some((other, _)) = self.open.iter().find(|(_, name)| *name == spec.name.value) {
                let other = shown(other);
                diagnostics
                    .error(
                        Code::Duplicate,
                        file.span,
                        format!("the workflow in `{file}` is called `{}`", spec.name),
                    )
                    .label(format!("so is that in `{other}`, which calls it"))
                    .also(spec.name.span, "rename one of the two");
                return None;
            }
            let library = Library::load(&mut spec, self.sources, self.read, &mut found);
            let data = DataFiles::load(&spec, self.sources, self.read, &mut found);
            let artifact = artifact::load(spec.name.span, self.sources, self.read, &mut found);
            self.open.push((path.to_owned(), spec.name.value.clone()));
            let nested = self.all(&spec, &mut found);
            self.open.pop();
            Some(check::check(
                &spec,
                &library,
                &nested,
                self.sources,
                &data,
                artifact.as_ref(),
                &mut found,
            ))
        });
        if found.has_errors() {
            diagnostics
                .error(
                    Code::NestedWorkflow,
                    file.span,
                    format!("the workflow `{file}` has errors"),
                )
                .label("it cannot be called")
                .help("they are shown, too");
            found.drop_warnings();
            diagnostics.append(found);
            return None;
        }
        checked.map(Arc::new)
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

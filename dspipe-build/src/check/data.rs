//! Files of training data that settings name.

use std::path::Path;

use crate::diag::{Code, Diagnostics};
use crate::source::{Sources, Spanned};
use crate::spec::{DspyConfig, Workflow};

/// Warns of files that are not there: running needs none of them, optimizing does.
pub(super) fn check(
    workflow: &Workflow,
    sources: &Sources,
    exists: &dyn Fn(&Path) -> bool,
    diagnostics: &mut Diagnostics,
) {
    let configs = std::iter::once(&workflow.dspy_config)
        .chain(workflow.steps.iter().map(|step| &step.dspy_config));
    for path in configs.flat_map(paths) {
        let file = Path::new(&sources.file(path.span.file).path);
        let directory = file.parent().unwrap_or(Path::new(""));
        if !exists(&directory.join(&path.value)) {
            diagnostics
                .warning(
                    Code::MissingData,
                    path.span,
                    format!("the training data `{path}` is not there"),
                )
                .label("no such file, seen from the directory of this one")
                .help("the workflow runs without it, but cannot be optimized");
        }
    }
}

fn paths(config: &DspyConfig) -> impl Iterator<Item = &Spanned<String>> {
    [&config.training_examples_path, &config.global_training_data]
        .into_iter()
        .flatten()
}

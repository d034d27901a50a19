//! Ways into single stages, for fuzzing only.

use std::path::Path;

use crate::compile as stage;
use crate::config::Config;
use crate::data::Unread;
use crate::diag::{self, Diagnostics};
use crate::expr;
use crate::source::Sources;
use crate::yaml;

/// Reads a text as YAML and renders what is wrong with it.
pub fn yaml(text: &str) {
    let mut sources = Sources::default();
    let file = sources.add("fuzz.yaml", text);
    let mut diagnostics = Diagnostics::default();
    let root = yaml::parse(&sources, file, &mut diagnostics);
    assert!(root.is_some() || diagnostics.has_errors());
    for diagnostic in diagnostics.into_sorted() {
        diag::render(&sources, &diagnostic);
    }
}

/// Reads a text as an expression.
pub fn expression(text: &str) {
    let range = match expr::parse(text) {
        Ok(node) => node.range,
        Err(error) => error.range,
    };
    assert!(text.get(range).is_some());
}

/// Compiles a text as a workflow file and renders what is wrong with it; the generated items.
pub fn compile(text: &str) -> Option<String> {
    let read = |_: &Path| Err(Unread::Missing);
    let files = [("fuzz.yaml", text)];
    let (sources, mut workflows) =
        stage::compile(&files, &Config::new(), "::dspipe_runtime", &read);
    let workflow = workflows.pop()?;
    for diagnostic in &workflow.diagnostics {
        diag::render(&sources, diagnostic);
    }
    workflow.items
}

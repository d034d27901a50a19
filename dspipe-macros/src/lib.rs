//! The attribute that compiles a dspipe workflow in place. Use it through
//! `dspipe_runtime`, which re-exports it.

mod args;
mod expand;
mod item;
mod mistake;
mod module;
#[cfg(test)]
mod parity;
#[cfg(feature = "structs")]
mod structs;

use proc_macro::TokenStream;

/// Compiles a workflow file into a module.
///
/// ```
/// use dspipe_runtime::dspy_signature;
///
/// #[dspy_signature(workflow = "workflows/triage.yaml")]
/// pub mod triage {}
///
/// assert_eq!(triage::WORKFLOW.steps[0].step, "sort");
/// ```
///
/// The module gets what a build script would generate for the file: `Inputs`,
/// `Outputs`, `run`, and a module and a function for each step. The crate is built
/// again when the file changes.
///
/// # Arguments
///
/// - `workflow`: the file, relative to the package.
/// - `runtime`: where generated code finds the runtime, for a renamed dependency;
///   `"::dspipe_runtime"` otherwise.
///
/// # Errors
///
/// Mistakes in the workflow are compile errors that show the YAML; the rest of the
/// module is still generated, so that they are the only ones.
#[proc_macro_attribute]
pub fn dspy_signature(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(arguments.into(), &item.into()).into()
}

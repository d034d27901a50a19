//! `#[dspy_signature]`: workflows compiled in place, and signatures from structs. Use it
//! through `dspipe_runtime`, which re-exports it.

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

/// Makes a workflow file a module, one of its steps a module, or a struct a signature.
///
/// # A workflow
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
/// - `workflow`: the file, relative to the package.
/// - `derive`: traits that all types of the module derive besides, with commas between
///   them, as `dspipe_build::Config::derive` has it.
/// - `runtime`: where generated code finds the runtime, for a renamed dependency or a
///   re-export; `"::dspipe_runtime"` otherwise.
///
/// Mistakes in the workflow are compile errors that show the YAML; the rest of the
/// module is still generated, so that they are the only ones.
///
/// # One step of a workflow
///
/// ```
/// use dspipe_runtime::{Error, dspy_signature};
///
/// #[dspy_signature(workflow = "workflows/triage.yaml", step = "sort")]
/// pub mod sort {}
///
/// async fn is_question(text: String) -> Result<bool, Error> {
///     let output = sort::run(sort::Input { text }).await?;
///     Ok(output.kind == sort::Kind::Question)
/// }
/// ```
///
/// The whole file is checked, and the step's part of it generated: the module has what
/// the step's own module has in the workflow (`Input`, `Output`, `SIGNATURE`, `Step` and
/// the types of its fields), `run(input)` and `run_with(&runner, input)`. Types of other
/// steps that the step takes are in modules of those steps' names.
///
/// # A struct
///
/// With the feature `structs` of dspipe-runtime, and no workflow file:
///
/// ```
/// use dspipe_runtime::{Error, dspy_signature};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
/// #[serde(rename_all = "lowercase")]
/// enum Kind {
///     Question,
///     Complaint,
///     Praise,
/// }
///
/// /// Sort a support ticket and say how urgent it is.
/// #[dspy_signature(lm = "openai/gpt-5-mini", temperature = 0.2)]
/// #[derive(Clone, Debug)]
/// struct Triage {
///     /// What the customer wrote
///     #[input]
///     text: String,
///     /// How urgent it is
///     #[output]
///     #[schemars(range(min = 1, max = 5))]
///     urgency: u8,
///     #[output]
///     kind: Kind,
/// }
///
/// async fn is_urgent(text: String) -> Result<bool, Error> {
///     let output: TriageOutput = Triage::run(TriageInput { text }).await?;
///     Ok(output.urgency > 3 && output.kind == Kind::Complaint)
/// }
/// ```
///
/// The struct's doc comment is what the LM is told to do, those of the fields describe
/// them. In place of the struct there are then:
///
/// - `TriageInput` and `TriageOutput`, structs with the fields that are marked `#[input]`
///   and `#[output]`. They keep visibility, docs and other attributes, those of the
///   struct included; put its derives below `#[dspy_signature]`. Both implement
///   `Serialize`, `Deserialize` and `JsonSchema`.
/// - `Triage`, an empty struct that stands for the signature: `Triage::run(input)`,
///   `Triage::run_with(&runner, input)`, and an implementation of
///   `dspipe_runtime::Signature`.
///
/// A field has any type that is `Serialize`, `Deserialize` and `JsonSchema` (of schemars
/// 1). A generated type is if `JsonSchema` is derived for it, by `derive = "JsonSchema"`
/// above or `Config::derive` of `dspipe_build`. The limits that schemars' attributes set,
/// such as `range` and `length`, are in the schema that is sent, and replies are held to
/// them. Every field of a reply that is not as it must be is reported with its path.
///
/// - `name`: the name of the step; the struct's own in snake case otherwise. The name of
///   the workflow is the path of the module.
/// - `lm`: the LM as `provider/model`; `temperature`: 0 to 2; `max_tokens`: the longest
///   reply. They are what a workflow file says of a step.
/// - `runtime`: as above.
///
/// `#[input(sensitive)]` and `#[output(sensitive)]` keep the values of a field out of
/// recordings of executions. A field is renamed by `#[serde(rename = "…")]`; other attributes of serde go on types
/// of your own. Generics and borrowed fields are refused: an LM is sent one schema and
/// one description of each field, and what it answers belongs to nobody else.
#[proc_macro_attribute]
pub fn dspy_signature(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(arguments.into(), &item.into()).into()
}

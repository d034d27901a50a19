//! Executes workflows that `dspipe-build` has compiled.
//!
//! A crate that compiles workflows in its build script takes them in with
//! [`include_workflows!`]; every workflow is a module with `Inputs`, `Outputs`, `run`, and a function and
//! a module for each step.
//!
//! ```
//! # #[cfg(feature = "macros")]
//! # mod example {
//! # mod workflows {
//! #     #[dspipe_runtime::dspy_signature(workflow = "../dspipe-macros/workflows/triage.yaml")]
//! #     pub(crate) mod triage {}
//! # }
//! use workflows::triage::{self, Inputs, sort::Kind};
//!
//! async fn needs_an_answer(text: String) -> Result<bool, dspipe_runtime::Error> {
//!     let outputs = triage::run(Inputs { text }).await?;
//!     Ok(outputs.sort.kind != Kind::Praise)
//! }
//! # }
//! ```
//!
//! # Which LM runs
//!
//! Each step runs on the LM that its workflow file names, as `provider/model`. `DSPIPE_LM` names one for
//! all steps. Where nothing does, the embedded [`local`] model runs, which needs no key and no server.
//! A provider's key is in `<PROVIDER>_API_KEY`; `<PROVIDER>_BASE_URL` sends its requests elsewhere, and
//! makes any server a provider.
//!
//! `anthropic/…` is asked by Anthropic Messages, `gemini/…` by `generateContent`, everything else by OpenAI
//! chat completions. `openai-responses/…` is `openai/…` by OpenAI responses. `<PROVIDER>_API` says it
//! otherwise: `openai-chat`, `openai-responses`, `anthropic` or `gemini`.
//!
//! # What happens
//!
//! Spans of `tracing` tell it: `run`, `step`, `lm_call`, `attempt`, with tokens, cost and what went wrong;
//! [`Observer`]s are told of steps. `DSPIPE_LOG=prompts` writes prompts and replies to standard error.
//!
//! # Features
//!
//! - `cassettes`: replies of LMs recorded and replayed, for tests.
//! - `http` (default): LMs behind HTTP endpoints.
//! - `local` (default): the embedded model. Implies `http`.
//! - `macros` (default): `#[dspy_signature]`, which compiles a workflow in place.
//! - `otel`: spans of calls have the attributes of OpenTelemetry's conventions for generative AI.
//! - `structs`: `#[dspy_signature]` on structs, which makes a signature of Rust types. Implies `macros` and `tools`.
//! - `tools`: [`Tool`]s that take a struct, whose schema comes from `schemars`.

pub mod adapter;
mod artifacts;
mod call;
#[cfg(feature = "cassettes")]
pub mod cassette;
mod changes;
mod check;
mod error;
#[doc(hidden)]
pub mod expr;
#[doc(hidden)]
pub mod generated;
pub mod lm;
#[cfg(feature = "local")]
pub mod local;
pub mod media;
pub mod module;
mod prompt;
mod prompt_log;
pub mod read;
mod runner;
mod secret;
mod setup;
mod shown;
mod signature;
mod slot;
pub mod stream;
#[cfg(feature = "tools")]
#[doc(hidden)]
pub mod structs;
mod task;
mod telemetry;
mod tool;
mod trace;

#[cfg(feature = "macros")]
pub use dspipe_macros::dspy_signature;
pub use serde_json::{Map, Value};

pub use artifacts::Artifacts;
pub use changes::{Change, Changes, DemoText, PromptText};
pub use check::{CheckDef, CheckFailed};
pub use error::Error;
pub use lm::{LmError, LmName, Lms};
pub use prompt_log::PromptLog;
pub use read::{Read, ReadError, Reader};
pub use runner::{LocalRunner, Runner, default_runner};
pub use secret::Secret;
pub use signature::{Demo, FieldDef, Prompt, Signature, SignatureDef, Workflow, WorkflowDef};
pub use stream::{Streamed, Streaming};
pub use task::Purpose;
pub use tool::{MissingTool, Tool, ToolError};
pub use trace::{CallReport, Exchange, Observer, Round, StepRecord, StepReport, Trace};

/// Takes in the workflows that the crate's build script has compiled.
///
/// To be used in a module of its own, which then has a module for each workflow.
#[macro_export]
macro_rules! include_workflows {
    () => {
        include!(concat!(env!("OUT_DIR"), "/dspipe.rs"));
    };
}

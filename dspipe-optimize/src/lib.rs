//! DSPy's optimizers for compiled workflows: Python searches, Rust does the work.
//!
//! An [`Optimization`] takes labelled examples, lets DSPy's optimizers look for better instructions and demos,
//! validates what they find on examples that they never saw, and writes what is better into the file beside
//! the workflow (`triage.optimized.json`), which the next build checks and compiles in. Every call of an LM,
//! every run of the workflow and every score is made here, by the same runner as in production; Python gets
//! no key and no address.
//!
//! [`bridge`] is the way to Python; `docs/bridge.md` describes the messages.

mod artifact;
pub mod bridge;
#[cfg(feature = "cli")]
mod cli;
mod data;
mod diff;
mod engine;
mod error;
mod host;
mod metric;
mod optimization;
mod outcome;
mod plan;
mod prepare;
mod program;
mod progress;
mod record;
mod request;
mod run;
mod study;
mod validate;
mod write_back;

pub use artifact::path_of;
pub use bridge::{Demo, Prompt, Prompts};
#[cfg(feature = "cli")]
pub use cli::Commands;
pub use data::{Data, Example};
pub use error::OptimizeError;
pub use metric::LabelledFields;
pub use optimization::Optimization;
pub use outcome::{Adoption, Outcome, Spending};
pub use plan::Plan;
pub use study::Study;
pub use validate::{Comparison, EvaluatedCase, Evaluation, Rule};

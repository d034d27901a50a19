//! Evaluation of dspipe workflows: how good outputs are, how sure that is, and whether it is good enough.
//!
//! A [`Suite`] has cases, runs them, and names the [`metric`]s that score the outputs and the [`gate`]s that
//! the results must reach. The [`harness`] makes tests of suites, for `cargo test` and `cargo nextest run`,
//! and writes [`report`]s. [`stats`] says how sure a result is.
//!
//! A [`WorkflowSuite`] is a suite in a file, and [`main!`] makes a test target of such files.
//!
//! What the files of a run hold is in `docs/eval-report.md`; what YAML can declare is at
//! [`Declared`](metric::Declared) and at [`Gate`].

mod baseline;
mod case;
mod file;
pub mod gate;
pub mod harness;
pub mod metric;
mod path;
mod record;
pub mod report;
mod result;
pub mod stats;
mod suite;
mod tally;
mod unit;
mod workflow_suite;
mod yaml;

pub use baseline::{Baseline, BaselineCase, BaselineError};
pub use case::{Case, CaseId, NoCaseId};
pub use gate::Gate;
pub use path::{NoPath, Path};
pub use record::record;
pub use result::{CaseResult, Execution, StepRecord};
pub use suite::{Metrics, NamedMetric, Suite};
pub use tally::{Outcome, Tally};
pub use unit::{Amount, Negative, NoWeight, OutOfRange, Unit, Weight};
pub use workflow_suite::WorkflowSuite;
pub use yaml::from_yaml;

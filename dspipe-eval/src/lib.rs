//! Evaluation of dspipe workflows: how good outputs are, how sure that is, and whether it is good enough.
//!
//! A [`Suite`] has cases, runs them, and names the [`metric`]s that score the outputs and the [`gate`]s that
//! the results must reach. The [`harness`] makes tests of suites, for `cargo test` and `cargo nextest run`,
//! and writes [`report`]s. [`stats`] says how sure a result is.
//!
//! A [`FileSuite`] is a suite in a file, and [`main!`] makes a test target of such files: `docs/evaluation.md`
//! shows how.
//!
//! What the files of a run hold is in `docs/eval-report.md`; what YAML can declare is at
//! [`Declared`](metric::Declared) and at [`Gate`].

mod baseline;
mod case;
mod entry;
mod file;
mod file_suite;
pub mod gate;
pub mod harness;
mod history;
pub mod metric;
mod path;
mod record;
pub mod report;
mod result;
mod snapshot;
pub mod stats;
mod stored;
mod suite;
mod tally;
mod target;
mod unit;
mod yaml;

pub use baseline::{Baseline, BaselineCase, BaselineError};
pub use case::{Case, CaseId, NoCaseId};
pub use file_suite::FileSuite;
pub use gate::Gate;
pub use path::{NoPath, Path};
pub use record::record;
pub use result::{CaseResult, Execution, StepRecord};
pub use snapshot::{AssertSnapshot, BadSnapshots, Snapshots};
pub use suite::{Metrics, NamedMetric, Suite};
pub use tally::{Outcome, Tally};
pub use unit::{Amount, Negative, NoWeight, OutOfRange, Unit, Weight};
pub use yaml::from_yaml;

#[doc(hidden)]
pub use dspipe_runtime as __runtime;
#[doc(hidden)]
pub use insta as __insta;

//! Evaluation of dspipe workflows: how good outputs are, how sure that is, and whether it is good enough.

mod baseline;
mod case;
mod file;
pub mod gate;
pub mod harness;
pub mod metric;
mod path;
pub mod report;
mod result;
pub mod stats;
mod suite;
mod tally;
mod unit;

pub use baseline::{Baseline, BaselineCase, BaselineError};
pub use case::{Case, CaseId, NoCaseId};
pub use gate::Gate;
pub use path::{NoPath, Path};
pub use result::{CaseResult, Execution, StepRecord};
pub use suite::{Metrics, NamedMetric, Suite};
pub use tally::{Outcome, Tally};
pub use unit::{Amount, Negative, NoWeight, OutOfRange, Unit, Weight};

//! What dspipe workflows did, kept in one SQLite file, and the training data in it.
//!
//! ```no_run
//! use std::sync::Arc;
//! use dspipe_history::{History, Settings};
//! use dspipe_runtime::LocalRunner;
//!
//! # fn example() -> Result<(), dspipe_history::HistoryError> {
//! let history = History::open("history.db", Settings::default())?;
//! let runner = LocalRunner::from_env().with_observer(Arc::new(history.recorder()?));
//! // Every step that `runner` runs is now recorded.
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - Several processes can record into the same file at once, and read it meanwhile.
//! - A kill at any moment loses at most what ended in the last few milliseconds, and never corrupts the
//!   file. [`Recorder::flush`] returns when everything is written; dropping the last recorder flushes too.
//! - Recording never fails a step. When the queue is full, executions are dropped and counted, or steps
//!   wait ([`WhenFull`]). When the disk is full, executions are dropped and counted until there is room.
//! - Redacted fields ([`Redaction`]) never reach the file, nor do the keys and tokens of the environment.

mod class;
mod database;
mod error;
mod execution;
mod filter;
mod fingerprint;
mod history;
mod recorder;
mod redaction;
mod retention;
mod stats;
#[cfg(test)]
mod test_support;
pub mod training;
mod writer;

pub use class::error_class;
pub use error::HistoryError;
pub use execution::{Execution, Feedback, Time, Verdict};
pub use filter::{Filter, Kind, Order, Outcome};
pub use history::{History, Settings};
pub use recorder::{NewExecution, Price, Prices, Recorder, Run};
pub use redaction::{Redaction, RedactionError, RedactionRule, SHORTEST as SHORTEST_REDACTED};
pub use retention::{Pruned, Retention};
pub use stats::GroupStats;
pub use writer::WhenFull;

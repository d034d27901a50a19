//! Evaluation of dspipe workflows: how good outputs are, how sure that is, and whether it is good enough.

pub mod metric;
mod path;
pub mod stats;
mod unit;

pub use path::{NoPath, Path};
pub use unit::{Amount, Negative, NoWeight, OutOfRange, Unit, Weight};

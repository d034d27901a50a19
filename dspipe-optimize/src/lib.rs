//! DSPy's optimizers for workflows that dspipe has compiled: Rust does the work, Python searches.

pub mod bridge;

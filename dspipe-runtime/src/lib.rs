//! The dspipe runtime.

#[cfg(feature = "local")]
pub mod local;
